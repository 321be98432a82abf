import type { CustomerId } from '../../core/ids.ts';
import { replayWebhook } from '../../core/webhooks/delivery.ts';
import { createWebhooks, WEBHOOK_KINDS, type Webhook, type WebhookKind } from '../../core/webhooks/webhooks.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, counted, misused } from './command.ts';
import { CUSTOMER, customerOf } from './whom.ts';

const STOP_MS = 1_000;

/** `webhook add`: the one time that its secret is shown. */
export const webhookAdd: Command = {
  usage: 'webhook add URL',
  summary:
    'Tells that address of a customer’s events from now on, and prints the secret of its signatures, this one time.',
  options: {
    customer: CUSTOMER,
    kinds: {
      type: 'string',
      help: `of what, with commas between: ${WEBHOOK_KINDS.join(', ')}; of all by default`,
      default: WEBHOOK_KINDS.join(','),
    },
  },
  async run(call) {
    const [url = ''] = call.args;
    const kinds = kindsOf(call);
    if (!kinds) return misused(call, `The kinds are some of ${WEBHOOK_KINDS.join(', ')}.`);
    const problem = await problemOf(call, url);
    if (problem) return misused(call, problem);
    const foundation = await call.open();
    const customer = await customerOf(call, foundation);
    if (!customer) return 2;
    const added = await createWebhooks(foundation).add(customer, { url, kinds });
    if (added.kind === 'full') {
      call.complain('This customer has ten webhooks already: remove one first.');
      return 1;
    }
    call.complain(`${lineOf(added.webhook)}\nThis is its secret. It is not shown again:`);
    call.say(added.secret.reveal());
    return 0;
  },
};

export const webhookList: Command = {
  usage: 'webhook list',
  summary: 'The webhooks of a customer; never a secret.',
  options: { customer: CUSTOMER },
  async run(call) {
    const foundation = await call.open();
    const customer = await customerOf(call, foundation);
    if (!customer) return 2;
    const all = await createWebhooks(foundation).list(customer);
    for (const webhook of all) call.say(lineOf(webhook));
    if (all.length === 0) call.complain('There is none.');
    return 0;
  },
};

export const webhookRemove: Command = {
  usage: 'webhook remove ID',
  summary: 'Tells that address nothing more, and forgets its secret. The id is the one that webhook list prints.',
  options: { customer: CUSTOMER },
  async run(call) {
    return withWebhook(call, async (foundation, customer, id) => {
      if (!(await createWebhooks(foundation).remove(customer, id))) return unknown(call);
      call.say(`${id} is removed.`);
      return 0;
    });
  },
};

export const webhookReplay: Command = {
  usage: 'webhook replay ID',
  summary:
    'Sends what could not be delivered again; with --from, everything since that entry of the trail, delivered or not.',
  options: { customer: CUSTOMER, from: { type: 'string', help: 'the cursor of the first event to send again' } },
  async run(call) {
    const { from } = call.values;
    if (from !== undefined && !(typeof from === 'string' && /^[1-9]\d{0,17}$/.test(from)))
      return misused(call, 'A cursor is a whole number, as events carry it.');
    return withWebhook(call, async (foundation, customer, id) => {
      await foundation.queue.start();
      try {
        const sent = await replayWebhook(foundation, customer, id, from === undefined ? undefined : BigInt(from));
        if (sent === undefined) return unknown(call);
        call.say(`${counted(sent, 'message')} will be sent again.`);
        return 0;
      } finally {
        await foundation.queue.stop(STOP_MS);
      }
    });
  },
};

async function withWebhook(
  call: Call,
  work: (foundation: Foundation, customer: CustomerId, id: string) => Promise<number>,
): Promise<number> {
  const [id = ''] = call.args;
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    return misused(call, 'A webhook is named by its id, as `webhook list` prints it.');
  const foundation = await call.open();
  const customer = await customerOf(call, foundation);
  return customer ? work(foundation, customer, id) : 2;
}

function unknown(call: Call): number {
  call.complain('This customer has no such webhook.');
  return 1;
}

function lineOf({ id, url, kinds, createdAt }: Webhook): string {
  return [id, url, kinds.join(','), `since ${createdAt.toISOString()}`].join('  ');
}

function kindsOf({ values: { kinds } }: Call): readonly WebhookKind[] | undefined {
  const asked = typeof kinds === 'string' ? [...new Set(kinds.split(',').map((word) => word.trim()))] : [];
  const known = WEBHOOK_KINDS.filter((kind) => asked.includes(kind));
  return known.length > 0 && known.length === asked.length ? known : undefined;
}

/** What is wrong with an address. Plain http is for a receiver beside us, which the operator has named. */
async function problemOf(call: Call, url: string): Promise<string | undefined> {
  const address = URL.parse(url);
  if (!address || !/^https?:$/.test(address.protocol)) return 'An address begins with https://.';
  if (address.username || address.password || address.hash)
    return 'The address holds no name, password or part after #.';
  const isNamed = call.config().targets.private.includes(address.host.toLowerCase());
  if (address.protocol === 'http:' && !isNamed)
    return 'The address begins with https://; http is for one that ALLOW_PRIVATE_TARGETS names.';
  const verdict = await call.openOutside().egress.check(address.origin);
  if (verdict.isAllowed) return undefined;
  return verdict.reason === 'private_address'
    ? 'This address is a private one, which nothing is sent to unless ALLOW_PRIVATE_TARGETS names it.'
    : 'This address can’t be reached: is its name right?';
}
