import type { Role } from '../../core/customers/customers.ts';
import type { Block, Card, RichText } from '../../core/ports/chat.ts';
import type { Service } from '../../core/services/service.ts';
import { code, text } from './text.ts';

/** What follows `/countersign`, by what it is for. */
export const COMMANDS = {
  look: ['operations', 'consents', 'console'],
  steer: ['stop op-…', 'pause op-…', 'resume op-…', 'retry op-…'],
  notify: ['notify'],
  link: ['link'],
  tests: ['test woocommerce'],
  admins: ['credentials', 'stop all', 'settings', 'accounts'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/**
 * What the bot can do, for somebody who has never met it. What it refuses people it does not offer them.
 * @param roles of whoever alone sees it; none: everybody does
 */
export function helpCard(
  services: readonly Service[],
  lead = 'I set up store integrations, step by step, where everybody can watch.',
  roles: readonly Role[] = [],
): Card {
  const known = services.map((service) => service.name).join(', ');
  const isAdmin = roles.includes('admin');
  const mayTest = isAdmin || roles.includes('approver');
  const forAdmins: Extract<Block, { kind: 'facts' }>['rows'] = [
    { label: 'For admins', value: [code('/audit op-…'), text(' '), ...spelled(COMMANDS.admins)] },
  ];
  return {
    summary: `${lead} I know: ${known}.`,
    blocks: [
      { kind: 'text', text: [text(lead)] },
      {
        kind: 'facts',
        rows: [
          { label: 'Ask', value: [text(`“set up ${services[0]?.name ?? 'WooCommerce'} for shop.example.com”`)] },
          {
            label: 'Later',
            value: [text(`“rotate the ${services[0]?.name ?? 'WooCommerce'} key for shop.example.com”, or “revoke …”`)],
          },
          { label: 'I know', value: [text(known)] },
          {
            label: 'Then',
            value: [
              text('an approver countersigns, you enter the sign-in on a one-time page, and you watch it happen'),
            ],
          },
          { label: 'Look', value: spelled(COMMANDS.look) },
          { label: 'Steer', value: spelled(COMMANDS.steer) },
          {
            label: 'Yours',
            value: [
              ...[...spelled(COMMANDS.notify), text(' what you are told of, and when; ')],
              ...[...spelled(COMMANDS.link), text(' your sign-in page once more')],
            ],
          },
          ...(mayTest ? [{ label: 'Try a key', value: spelled(COMMANDS.tests) }] : []),
          ...(isAdmin ? forAdmins : []),
        ],
      },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text('Nothing runs that nobody countersigned. Passwords and keys never belong in chat.')],
      },
    ],
  };
}

function spelled(commands: readonly string[]): RichText {
  return commands.flatMap((words, index) => [...(index === 0 ? [] : [text(' ')]), code(`/countersign ${words}`)]);
}
