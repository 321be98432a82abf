import { examineTarget } from '../../core/services/examine.ts';
import { services } from '../../core/services/index.ts';
import type { Command } from './command.ts';

/** `doctor SERVICE URL`: what is wrong with a target, without any key. */
export const doctor: Command = {
  usage: 'doctor SERVICE [ADDRESS]',
  summary: 'Looks at a shop or site from here, without any key, and says in words what is wrong with it.',
  async run({ args: [id = '', address = ''], openOutside, say, complain }) {
    const service = services.find((one) => [one.id, ...one.aliases].includes(id.toLowerCase()));
    if (!service) {
      complain(`There is no service “${id}”. There are: ${services.map((one) => one.id).join(', ')}.`);
      return 2;
    }
    const findings = await examineTarget(openOutside(), service, address || (service.home ?? ''));
    for (const { isGood, words } of findings) say(`${isGood ? 'ok   ' : 'WRONG'}  ${words}`);
    return findings.every(({ isGood }) => isGood) ? 0 : 1;
  },
};
