import type { Member } from '../../core/customers/customers.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { ThreadState } from '../../core/operations/threads.ts';
import type { Button, Card, ChatEvent } from '../../core/ports/chat.ts';
import { bold, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { eventRef, whisper, whisperWords } from '../speak.ts';
import { operationList } from './operations.ts';

const SHOWN = 10;
export const UNCHANGED = 'Nothing was changed.';

/** Stop: whoever asked, an approver or an admin. A running worker feels it before its next action. */
export async function stopOperation(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const id = await namedOrOnly(context, customerId, event, words, ({ state }) => !isEnd(state));
  if (!id) {
    const open = words.trim() === '' ? await openInThread(context, customerId, event) : [];
    if (open.length > 1) return whisper(context, event, whichCard(open));
    return whisperWords(context, event, `${whichWords(words, 'stop')} Nothing was stopped.`);
  }
  const wish = { operationId: id, by: member, event: eventRef(event) };
  const outcome = await context.control.cancel(customerId, wish);
  if (outcome.kind === 'cancelled') return; // the thread says so
  await sayRefused(context, customerId, member, event, outcome, { verb: 'stop', id, what: 'stop it' });
}

/** What any command to an operation may come to: it is over, there is none, it was said before, or they may not. */
export async function sayRefused(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  { kind }: { readonly kind: 'over' | 'unknown' | 'repeated' | 'not_allowed' },
  {
    verb,
    id,
    what,
  }: { readonly verb: 'stop' | 'pause' | 'resume' | 'retry'; readonly id: OperationId; readonly what: string },
): Promise<void> {
  switch (kind) {
    case 'over':
      return whisperWords(context, event, `That operation is over already. ${UNCHANGED}`);
    case 'unknown':
      return whisperWords(context, event, `${unknownWords(id)} ${UNCHANGED}`);
    case 'repeated':
      return;
    case 'not_allowed': {
      const words = `Only whoever asked, an approver or an admin can ${what}. ${UNCHANGED}`;
      return refuse(context, customerId, member, event, { asked: verb, about: id, words });
    }
    default:
      return kind satisfies never;
  }
}

async function openInThread(context: Context, customerId: CustomerId, event: ChatEvent): Promise<readonly Operation[]> {
  return context.database.withCustomer(customerId, async (tx) => {
    const thread = await context.threads.open(tx, customerId, event.thread);
    const operations = await context.operations.ofThread(tx, customerId, thread.id);
    return operations.filter(({ state }) => !isEnd(state)).slice(-SHOWN);
  });
}

/** Several requests go on in the thread: a word does not say which is meant, a button does. */
function whichCard(open: readonly Operation[]): Card {
  const every = open.length === 2 ? 'both' : `all ${open.length}`;
  const words = `${open.length} requests go on in this thread. Which shall be stopped? Nothing was stopped yet.`;
  const isOnly = ({ service }: Operation) => open.filter((other) => other.service.id === service.id).length === 1;
  const each = open.map(
    (operation): Button => ({
      label: `Stop ${isOnly(operation) ? operation.service.name : operation.id}`,
      ...{ style: 'plain', action: 'stop', value: operation.id },
    }),
  );
  const value = open.map(({ id }) => id).join(' ');
  return {
    summary: words,
    blocks: [
      { kind: 'text', text: [text(words)] },
      operationList(open),
      {
        kind: 'actions',
        buttons: [{ label: `Stop ${every}`, style: 'danger', action: 'stop_together', value }, ...each],
      },
    ],
  };
}

/** The operations that a button names, each as if its own Stop had been pressed. */
export async function stopTogether(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  for (const id of event.value.split(' ').slice(0, SHOWN))
    await stopOperation(context, customerId, member, { ...event, id: `${event.id}/${id}` }, id);
}

/** The platform's own Stop: everything that is open in the thread, each as if its own button had been pressed. */
export async function stopThread(
  context: Context,
  { customerId, member, thread }: { customerId: CustomerId; member: Member; thread: ThreadState },
  event: ChatEvent,
): Promise<void> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.ofThread(tx, customerId, thread.id),
  );
  const open = operations.filter(({ state }) => !isEnd(state));
  if (open.length === 0) return whisperWords(context, event, 'Nothing runs here any more. Nothing was changed.');
  for (const { id } of open)
    await stopOperation(context, customerId, member, { ...event, id: `${event.id}/${id}` }, id);
}

/**
 * The operation that somebody names, or without a name the only one of the thread that the command could mean; `undefined`:
 * there is none, or several.
 */
export async function namedOrOnly(
  context: Context,
  customerId: CustomerId,
  event: ChatEvent,
  words: string,
  isMeant: (operation: Operation) => boolean,
): Promise<OperationId | undefined> {
  if (words.trim() !== '') return parseOperationId(words);
  return context.database.withCustomer(customerId, async (tx) => {
    const thread = await context.threads.open(tx, customerId, event.thread);
    const meant = (await context.operations.ofThread(tx, customerId, thread.id)).filter(isMeant);
    return meant.length === 1 ? meant[0]?.id : undefined;
  });
}

/** Why `namedOrOnly` found nothing. */
export function whichWords(words: string, verb: string): string {
  return words.trim() === ''
    ? `Say which operation, such as /countersign ${verb} op-7k3f9q2m.`
    : unknownWords(words.trim().slice(0, 40));
}

/** The same for absent and for somebody else's. */
function unknownWords(id: string): string {
  return `There is no operation “${id}” here.`;
}

/** `stop all`: asks first, and says what that would stop; admins only. */
export async function askToStopAll(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  if (!member.roles.includes('admin')) return refuseAll(context, customerId, member, event);
  const open = await context.database.withCustomer(customerId, (tx) => context.operations.open(tx, customerId));
  if (open.length === 0) return whisperWords(context, event, 'Nothing is running or waiting.');
  const running = open.filter(({ state }) => state === 'in_progress').length;
  const title = open.length === 1 ? 'Stop the one open operation?' : `Stop all ${open.length} open operations?`;
  const rest = open.length - SHOWN;
  await whisper(context, event, {
    summary: title,
    blocks: [
      {
        kind: 'text',
        text: [bold(title), text(running > 0 ? ` ${running} of them ${running === 1 ? 'is' : 'are'} running.` : '')],
      },
      operationList(open.slice(0, SHOWN)),
      ...(rest > 0 ? [{ kind: 'text', tone: 'quiet', text: [text(`And ${rest} more.`)] } as const] : []),
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          text(
            'Each thread then says who stopped it. It stops what is there now: what is asked for afterwards is new.',
          ),
        ],
      },
      {
        kind: 'actions',
        buttons: [
          { label: open.length === 1 ? 'Stop it' : 'Stop them all', style: 'danger', action: 'stop_all', value: '' },
        ],
      },
    ],
  });
}

/** The answer to `askToStopAll`: every operation that is open at this moment ends. */
export async function stopAll(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  const outcome = await context.control.cancelAll(customerId, member, eventRef(event));
  if (outcome.kind !== 'cancelled') return refuseAll(context, customerId, member, event);
  const { count, isRepeated } = outcome;
  const none = 'Nothing was running or waiting any more.';
  const stopped = isRepeated
    ? 'Everything that was open then is stopped.'
    : `Stopped ${count} ${count === 1 ? 'operation' : 'operations'}.`;
  const isNone = count === 0 && !isRepeated;
  await whisperWords(context, event, isNone ? none : `${stopped} Every thread says so. New requests are possible.`);
}

function refuseAll(context: Context, customerId: CustomerId, member: Member, event: ChatEvent): Promise<void> {
  return refuse(context, customerId, member, event, {
    asked: 'stop_all',
    words: 'Only an admin can stop everything. Nothing was stopped.',
  });
}
