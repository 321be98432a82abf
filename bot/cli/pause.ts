import type { CustomerId } from '../../core/ids.ts';
import type { PauseStatus } from '../../core/operations/standstill.ts';
import { redact } from '../../core/redaction.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, counted, misused } from './command.ts';
import { customerOf, nameShown } from './whom.ts';

const MOST_CHARACTERS = 200;
const CUSTOMER = { type: 'string', help: 'the name or the id of one customer; without it, all of them' } as const;

/** `pause`: nothing begins any more, and what runs rests at a safe point. */
export const pause: Command = {
  usage: 'pause',
  summary:
    'Lets nothing begin, in whatever process, and what runs rest at a safe point; every thread says it, with the reason.',
  options: {
    customer: CUSTOMER,
    reason: { type: 'string', help: 'for the people in the threads, such as “moving to a new server”' },
    status: { type: 'boolean', help: 'only says what is paused, since when and why' },
  },
  async run(call) {
    const reason = reasonOf(call);
    if (reason === undefined) return misused(call, `A reason is one line of ${MOST_CHARACTERS} characters at most.`);
    const foundation = await call.open();
    if (call.values.status) return sayStatus(call, foundation);
    const whose = await whoseOf(call, foundation);
    if (!whose) return 2;
    await foundation.queue.start();
    try {
      const held = await foundation.standstill.pause(whose, reason);
      call.say(
        `${whose === 'everybody' ? 'Everything' : `The work of ${whose}`} is paused. ${counted(held, 'operation')} ${held === 1 ? 'was' : 'were'} running or about to. \`resume\` ends it.`,
      );
      return 0;
    } finally {
      await foundation.queue.stop(5_000);
    }
  },
};

export const resume: Command = {
  usage: 'resume',
  summary: 'Ends a pause: what it held goes on, and every thread says so.',
  options: { customer: CUSTOMER },
  async run(call) {
    const foundation = await call.open();
    const whose = await whoseOf(call, foundation);
    if (!whose) return 2;
    await foundation.queue.start();
    try {
      const { resumed, lapsed, stillPaused } = await foundation.standstill.resume(whose);
      const rest = lapsed > 0 ? ` ${counted(lapsed, 'approval')} had lapsed meanwhile: try those again.` : '';
      call.say(`Resumed: ${counted(resumed, 'operation')} ${resumed === 1 ? 'goes' : 'go'} on.${rest}`);
      if (stillPaused === 0) return 0;
      call.complain(
        whose === 'everybody'
          ? `The work of ${counted(stillPaused, 'customer')} is paused by itself, and stays so: \`pause --status\` names them, \`resume --customer\` ends that.`
          : 'Everything is paused, so this customer’s work is, too: `resume` without --customer ends that.',
      );
      return 1;
    } finally {
      await foundation.queue.stop(5_000);
    }
  },
};

async function sayStatus(call: Call, { standstill }: Foundation): Promise<number> {
  const all = await standstill.status();
  const everybodys = await standstill.everybodys();
  if (everybodys) call.say(`Everything is paused since ${everybodys.since.toISOString()}${reasonWords(everybodys)}.`);
  const named = all.filter(({ pause: of, held }) => held > 0 || (of !== undefined && !of.isEverybodys));
  for (const customer of named) call.say(customerLine(customer));
  if (!everybodys && named.length === 0) call.say('Nothing is paused.');
  return 0;
}

function customerLine({ customerId, name, pause: of, held }: PauseStatus): string {
  const own = of && !of.isEverybodys ? [`paused since ${of.since.toISOString()}${reasonWords(of)}`] : [];
  return [`${customerId} ${nameShown(name)}`, ...own, `${counted(held, 'operation')} held`].join('  ');
}

function reasonWords({ reason }: { readonly reason: string }): string {
  return reason === '' ? '' : `: ${reason}`;
}

/** One line, without secrets: the threads show it. */
function reasonOf({ values: { reason } }: Call): string | undefined {
  if (reason === undefined) return '';
  const words = typeof reason === 'string' ? redact(reason.toWellFormed().trim(), []) : '';
  return [...words].length <= MOST_CHARACTERS && !/\p{Cc}/u.test(words) ? words : undefined;
}

/** `undefined` after a complaint. */
async function whoseOf(call: Call, foundation: Foundation): Promise<CustomerId | 'everybody' | undefined> {
  return call.values.customer === undefined ? 'everybody' : customerOf(call, foundation);
}
