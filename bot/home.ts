import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import { isEnd } from '../core/operations/states.ts';
import type { Block, ChatEvent } from '../core/ports/chat.ts';
import { text } from './cards/text.ts';
import { operationList } from './commands/operations.ts';
import type { Context } from './context.ts';

/** So many of the newest operations are looked at: a page, not an archive. */
const LATEST = 50;
const SHOWN = 10;

/** A person's own page: what waits, what runs, what is connected, and where the record of it is. */
export async function showHome(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'home' }>,
): Promise<void> {
  const chat = context.chat(event.thread.platform);
  if (!chat.showHome) return;
  const latest = await context.database.withCustomer(customerId, (tx) =>
    context.operations.latest(tx, customerId, LATEST),
  );
  await chat.showHome(event.from, { summary: 'Countersign', blocks: homeBlocks(context, latest, member) });
}

function homeBlocks({ services }: Context, latest: readonly Operation[], member: Member): readonly Block[] {
  const waiting = latest.filter(({ state }) => state === 'awaiting_consent');
  const running = latest.filter(({ state }) => !isEnd(state) && state !== 'awaiting_consent');
  const connected = latest.filter(({ isKeyStored }) => isKeyStored);
  const isAdmin = member.roles.includes('admin');
  const example = `set up ${services[0]?.name ?? 'WooCommerce'} for shop.example.com`;
  return [
    { kind: 'heading', text: [text('Countersign')] },
    {
      kind: 'text',
      text: [text(`Write “${example}” to me, or in a channel that I am in. Nothing runs that nobody countersigned.`)],
    },
    ...part('Waiting for approval', waiting, 'Nothing waits. Requests are approved in their threads.'),
    ...part('Under way', running, 'Nothing is under way.'),
    ...part('Connected', connected, 'Nothing is connected yet.'),
    ...(isAdmin ? part('Latest, each with its trail: /audit op-…', latest, 'There is no trail yet.') : []),
  ];
}

function part(title: string, operations: readonly Operation[], otherwise: string): readonly Block[] {
  const heading: Block = { kind: 'heading', text: [text(title)] };
  return operations.length === 0
    ? [heading, { kind: 'text', tone: 'quiet', text: [text(otherwise)] }]
    : [heading, operationList(operations.slice(0, SHOWN))];
}
