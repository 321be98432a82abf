import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { makesKey } from '../services/key-types.ts';
import { lockedOperation } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { isEnd, OPEN_STATES } from './states.ts';
import type { Threads } from './threads.ts';

/** The code of an operation that ended because its database is a restored one. */
export const RESTORED = 'restored';

/** Threads that somebody may still look at are shown anew; older ones are left as they are. */
const RECENT_DAYS = 30;

export interface RestoredDeps {
  readonly database: Database;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly threads: Threads;
}

export interface AfterRestore {
  readonly ended: number;
  /** To be shown anew, by the process that shows threads. */
  readonly threads: number;
}

/**
 * After a dump was restored, and before anything else works on it: nobody knows what was done since the dump, so nothing goes
 * on that was under way then. A thread may show what the database has forgotten, so that each of its messages counts as
 * one that shows something else.
 */
export async function settleRestored(deps: RestoredDeps, customerId: CustomerId): Promise<AfterRestore> {
  const { database } = deps;
  const ids = await database.withCustomer(customerId, (tx) =>
    tx.operation.findMany({ where: { customerId, status: { in: [...OPEN_STATES] } }, select: { id: true } }),
  );
  let ended = 0;
  // Ids of rows are what OperationId says.
  for (const { id } of ids) if (await end(deps, customerId, id as OperationId)) ended++;
  const threads = await database.withCustomer(customerId, (tx) => showAnew(tx, customerId));
  return { ended, threads };
}

function end(deps: RestoredDeps, customerId: CustomerId, id: OperationId): Promise<boolean> {
  return deps.database.withCustomer(customerId, async (tx) => {
    const operation = await lockedOperation(tx, deps.operations, customerId, id);
    if (!operation || isEnd(operation.state)) return false;
    const thread = await deps.threads.get(tx, customerId, operation.threadId);
    const why = `The database was restored from a backup, so what was done after that is not on record, and nothing goes on.${leftWords(operation)}`;
    const moved = await deps.mover.move(tx, customerId, {
      ...{ operationId: id, from: OPEN_STATES, to: 'failed' },
      set: { errorCode: RESTORED, errorMessage: why },
      entry: { kind: 'operation.failed', success: false, payload: { code: RESTORED, why } },
    });
    if (moved === undefined || !thread) return moved !== undefined;
    // A message that was posted under these names since is found again by them, and then changed.
    const slots = [`progress:${id}`, `result:${id}`];
    const known = await deps.threads.messages(tx, customerId, thread, slots);
    for (const slot of slots)
      if (!known.has(slot))
        await deps.threads.keepMessage(tx, customerId, thread, slot, { thread: thread.ref, ref: '' }, '');
    return true;
  });
}

/** A key that it may have made since. Of an operation that makes none, its plan names a key that is in use. */
function leftWords({ type, service, plan, intent }: Operation): string {
  if (!makesKey(type)) return '';
  const label = intent?.label ?? plan.label;
  return ` If a key named “${label}” is in ${service.side ?? 'the shop'}'s list of keys, revoke it there.`;
}

async function showAnew(tx: Transaction, customerId: CustomerId): Promise<number> {
  const since = new Date((await databaseNow(tx)).getTime() - RECENT_DAYS * 86_400_000);
  const recent = { customerId, operations: { some: { updatedAt: { gte: since } } } };
  const threads = await tx.thread.findMany({ where: recent, select: { id: true } });
  const threadId = { in: threads.map(({ id }) => id) };
  // What was shown to one person alone has no reference and is not said twice.
  await tx.threadMessage.updateMany({ where: { customerId, threadId, NOT: { ref: '' } }, data: { shown: '' } });
  await tx.thread.updateMany({ where: { customerId, id: threadId }, data: { cursor: 0n } });
  return threads.length;
}
