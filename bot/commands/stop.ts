import type { Member } from '../../core/customers/customers.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { isEnd, STATES } from '../../core/operations/states.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { eventRef, whisperWords } from '../speak.ts';

const STOPPABLE = STATES.filter((state) => !isEnd(state));

/** Stop: whoever asked, an approver or an admin. A running worker feels it before its next action. */
export async function stopOperation(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const id =
    parseOperationId(words) ?? (words.trim() === '' ? await onlyOneHere(context, customerId, event) : undefined);
  const outcome = id ? await stopOne(context, customerId, member, id, event) : 'unknown';
  if (outcome === 'unknown' && words.trim() !== '')
    return whisperWords(
      context,
      event,
      `There is no operation “${words.trim().slice(0, 40)}” here. Nothing was stopped.`,
    );
  if (outcome === 'unknown')
    return whisperWords(
      context,
      event,
      'Say which operation, such as /countersign stop op-7k3f9q2m. Nothing was stopped.',
    );
  if (outcome === 'not_allowed')
    return refuse(context, customerId, member, event, {
      asked: 'stop',
      words: 'Only whoever asked, an approver or an admin can stop this. Nothing was stopped.',
      ...(id ? { about: id } : {}),
    });
  if (outcome === 'over') return whisperWords(context, event, 'That operation is over already. Nothing was changed.');
}

/** "stop" alone means the one operation of this thread that is not over yet. */
async function onlyOneHere(
  context: Context,
  customerId: CustomerId,
  event: ChatEvent,
): Promise<OperationId | undefined> {
  return context.database.withCustomer(customerId, async (tx) => {
    const thread = await context.threads.open(tx, customerId, event.thread);
    const open = (await context.operations.ofThread(tx, customerId, thread.id)).filter(({ state }) => !isEnd(state));
    return open.length === 1 ? open[0]?.id : undefined;
  });
}

/** `stop all`: every operation of the workspace; admins only. */
export async function stopAll(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  if (!member.roles.includes('admin'))
    return refuse(context, customerId, member, event, {
      asked: 'stop_all',
      words: 'Only an admin can stop everything. Nothing was stopped.',
    });
  const open = await context.database.withCustomer(customerId, (tx) =>
    tx.operation.findMany({ where: { customerId, status: { in: STOPPABLE } }, select: { id: true } }),
  );
  let stopped = 0;
  for (const { id } of open) if ((await stopOne(context, customerId, member, id)) === 'stopped') stopped++;
  await whisperWords(
    context,
    event,
    stopped === 0
      ? 'Nothing was running or waiting.'
      : `Stopped ${stopped} ${stopped === 1 ? 'operation' : 'operations'}. Every thread says so.`,
  );
}

async function stopOne(
  context: Context,
  customerId: CustomerId,
  member: Member,
  id: string,
  event?: ChatEvent,
): Promise<'stopped' | 'over' | 'not_allowed' | 'unknown' | 'repeated'> {
  return context.database.withCustomer(customerId, async (tx) => {
    if (event && !(await takeEvent(tx, customerId, eventRef(event)))) return 'repeated';
    const operation = await context.operations.get(tx, customerId, id);
    if (!operation) return 'unknown';
    const isAllowed =
      operation.requester.id === member.id || member.roles.some((role) => role === 'approver' || role === 'admin');
    if (!isAllowed) return 'not_allowed';
    const why = `Stopped by ${member.person.name}.`;
    const entry = { kind: 'operation.cancelled', actor: member.id, payload: { why } } as const;
    const fence = await context.mover.move(tx, customerId, {
      operationId: operation.id,
      from: STOPPABLE,
      to: 'cancelled',
      set: { errorMessage: why },
      entry,
    });
    return fence === undefined ? 'over' : 'stopped';
  });
}
