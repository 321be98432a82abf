import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { isRetryable } from '../../core/operations/control.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { askForApprovers } from '../approvers-flow.ts';
import { stateWords } from '../cards/audit-card.ts';
import { operatorWords } from '../cards/pause-words.ts';
import type { Context } from '../context.ts';
import { isAllowedChannel, tooSoonCard } from '../request-flow.ts';
import { eventRef, whisper, whisperWords } from '../speak.ts';
import { namedOrOnly, sayRefused, UNCHANGED, whichWords } from './stop.ts';

/** Pause: the operation rests at its next safe point, and its card says who had it rest. */
export async function pauseOperation(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const id = await namedOrOnly(context, customerId, event, words, ({ state }) => RUNNING.includes(state));
  if (!id) return whisperWords(context, event, `${whichWords(words, 'pause')} ${UNCHANGED}`);
  const outcome = await context.control.pause(customerId, { operationId: id, by: member, event: eventRef(event) });
  switch (outcome.kind) {
    case 'paused':
    case 'pausing':
      return context.progress.refresh(customerId, outcome.operation.threadId);
    case 'not_running':
      return whisperWords(
        context,
        event,
        `Nothing of ${id} runs that could pause: ${stateOf(outcome.operation)}. ${UNCHANGED}`,
      );
    default:
      return sayRefused(context, customerId, member, event, outcome, { verb: 'pause', id, what: 'pause it' });
  }
}

const RUNNING: readonly string[] = ['queued', 'in_progress'];

/** Resume: its next job is sent, as long as its countersignature holds. */
export async function resumeOperation(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const isMeant = ({ state, hold }: { state: string; hold: string | null }) => state === 'paused' || hold !== null;
  const id = await namedOrOnly(context, customerId, event, words, isMeant);
  if (!id) return whisperWords(context, event, `${whichWords(words, 'resume')} ${UNCHANGED}`);
  const outcome = await context.control.resume(customerId, { operationId: id, by: member, event: eventRef(event) });
  switch (outcome.kind) {
    case 'resumed':
      return context.progress.refresh(customerId, outcome.operation.threadId);
    case 'lapsed': {
      const words = `The approval of ${id} does not hold any more, so it can’t go on. “Try again” asks for a new one.`;
      await whisperWords(context, event, words);
      return context.progress.refresh(customerId, outcome.operation.threadId);
    }
    case 'held':
      return whisperWords(
        context,
        event,
        `${operatorWords(outcome.pause)} It goes on by itself when that ends. ${UNCHANGED}`,
      );
    case 'not_paused':
      return whisperWords(context, event, `${id} is not paused: ${stateOf(outcome.operation)}. ${UNCHANGED}`);
    default:
      return sayRefused(context, customerId, member, event, outcome, { verb: 'resume', id, what: 'resume it' });
  }
}

/** Try again: a new operation with a plan and an approval of its own, asked for by whoever pressed it. */
export async function retryOperation(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const isMeant = (operation: Parameters<typeof isRetryable>[0] & { retriedAs: string | null }) =>
    isRetryable(operation) && operation.retriedAs === null;
  const id = await namedOrOnly(context, customerId, event, words, isMeant);
  if (!id) return whisperWords(context, event, `${whichWords(words, 'retry')} ${UNCHANGED}`);
  if (!(await isAllowedChannel(context, { customerId, event }))) return;
  const thread = await context.database.withCustomer(customerId, (tx) =>
    context.threads.open(tx, customerId, event.thread),
  );
  const wish = { operationId: id, by: member, event: eventRef(event), threadId: thread.id };
  const outcome = await context.control.retry(customerId, wish);
  switch (outcome.kind) {
    case 'requested':
      await context.progress.refresh(customerId, thread.id);
      return askForApprovers(context, outcome.operation);
    case 'already':
      return whisperWords(
        context,
        event,
        `${id} is being tried again already, as ${outcome.operation.id}. ${UNCHANGED}`,
      );
    case 'not_retryable':
      return whisperWords(context, event, `${id} can’t be tried again: ${stateOf(outcome.operation)}. ${UNCHANGED}`);
    case 'unreachable': {
      const { host } = new URL(outcome.operation.plan.origin);
      const words = `I can't open ${host} from here: it does not exist, or it is not a public address. Nothing was done. Look whether it opens in a browser, and retry once it does.`;
      return whisperWords(context, event, words);
    }
    case 'closed':
      return whisperWords(
        context,
        event,
        outcome.why === 'no_key'
          ? 'The key that it is about is not stored any more. Nothing was done.'
          : 'An admin does not let me do that any more. Nothing was done.',
      );
    case 'too_soon':
      return whisper(context, event, tooSoonCard(outcome.limit, outcome.operation.plan.base));
    default:
      return sayRefused(context, customerId, member, event, outcome, { verb: 'retry', id, what: 'try it again' });
  }
}

/** `it is waiting for approval` */
function stateOf({ state }: { readonly state: string }): string {
  return `it is ${stateWords(state)}`;
}
