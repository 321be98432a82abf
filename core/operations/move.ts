import type { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { NewEntry } from '../audit/entry.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import { tellMove } from '../notices/moves.ts';
import type { Vault } from '../vault/vault.ts';
import { type Execution, machineMsAt, readExecution } from './execution.ts';
import { isEnd, isForPeople, isLegalMove, type OperationState, parseState } from './states.ts';

/** One move of one operation: compare-and-set by state and, where the mover holds one, by fence. */
export interface Move {
  readonly operationId: OperationId;
  readonly to: OperationState;
  /** The states that the mover expects; another one means that somebody was faster. */
  readonly from: readonly OperationState[];
  /** The fence that the mover holds. */
  readonly fence?: bigint;
  readonly set?: Omit<
    Prisma.OperationUncheckedUpdateManyInput,
    'status' | 'fence' | 'customerId' | 'id' | 'executionMetadata'
  >;
  readonly entry: Omit<NewEntry, 'operationId'>;
}

/** Moves operations; every move takes a new fence number and is on record in the same transaction. */
export interface Mover {
  /** @returns the new fence, or `undefined` when the operation was not where the mover expected it: nothing was changed. */
  move(tx: Transaction, customerId: CustomerId, move: Move): Promise<bigint | undefined>;
}

export function createMover(deps: { audit: Audit; vault: Vault }): Mover {
  const { audit, vault } = deps;
  return {
    async move(tx, customerId, move) {
      const { operationId, to, fence, set, entry } = move;
      const row = await tx.operation.findUnique({
        where: { customerId_id: { customerId, id: operationId } },
        select: { status: true, fence: true, executionMetadata: true, createdAt: true, startedAt: true },
      });
      if (!row) return undefined;
      const from = parseState(row.status);
      if (!move.from.includes(from) || !isLegalMove(from, to) || (fence !== undefined && fence !== row.fence))
        return undefined;
      const next = row.fence + 1n;
      const now = await databaseNow(tx);
      const { count } = await tx.operation.updateMany({
        where: { customerId, id: operationId, status: from, fence: row.fence },
        data: {
          ...set,
          status: to,
          fence: next,
          executionMetadata: await clocked(tx, { customerId, operationId, ...row }, { from, to, now }),
          updatedAt: now,
          ...(to === 'in_progress' && row.startedAt === null ? { startedAt: now } : {}),
          ...(isEnd(to) ? { completedAt: now } : {}),
        },
      });
      if (count === 0) return undefined;
      if (isEnd(to)) await settle(tx, customerId, operationId, { to, now, actor: entry.actor }, vault);
      await tellMove(tx, customerId, { operationId, to, fence: next });
      await audit.append(tx, customerId, { ...entry, operationId });
      return next;
    },
  };
}

/**
 * The machine time, and how long people were waited for, as of the move. Of a worker that another one takes over from, it is the time until its last sign of
 * life: nobody knows when it died, and a computer that was off did no work.
 */
async function clocked(
  tx: Transaction,
  row: {
    customerId: CustomerId;
    operationId: OperationId;
    fence: bigint;
    executionMetadata: Prisma.JsonValue;
    createdAt: Date;
  },
  { from, to, now }: { from: OperationState; to: OperationState; now: Date },
): Promise<Execution> {
  const before = readExecution(row.executionMetadata);
  const waitedSince = before.waitingSince === null ? row.createdAt : new Date(before.waitingSince);
  const waitedMs = isForPeople(from) ? Math.max(0, now.getTime() - waitedSince.getTime()) : 0;
  const waitingSince = isForPeople(to) ? now.toISOString() : null;
  const execution = { ...before, peopleMs: before.peopleMs + waitedMs, waitingSince };
  const runningSince = to === 'in_progress' ? now.toISOString() : null;
  if (from !== 'in_progress') return { ...execution, runningSince };
  const until = to === 'in_progress' ? await lastSign(tx, row) : now;
  const machineMs = until ? machineMsAt(execution, until) : execution.machineMs;
  return { ...execution, machineMs, runningSince };
}

/** When the worker with the row's fence last wrote of a step. */
async function lastSign(
  tx: Transaction,
  { customerId, operationId, fence }: { customerId: CustomerId; operationId: OperationId; fence: bigint },
): Promise<Date | undefined> {
  const { _max: last } = await tx.operationStep.aggregate({
    where: { customerId, operationId, attempt: fence },
    _max: { startedAt: true, finishedAt: true },
  });
  const times = [last.startedAt, last.finishedAt].flatMap((at) => (at ? [at.getTime()] : []));
  return times.length > 0 ? new Date(Math.max(...times)) : undefined;
}

/** What no ended operation may leave behind: an open question, a sign-in secret or session, a link that still opens. */
async function settle(
  tx: Transaction,
  customerId: CustomerId,
  operationId: OperationId,
  { to, now, actor }: { to: OperationState; now: Date; actor: MemberId | undefined },
  vault: Vault,
): Promise<void> {
  const decision = to === 'denied' || to === 'expired' ? to : 'cancelled';
  await tx.consentRequest.updateMany({
    where: { customerId, operationId, decision: null, terms: null },
    data: { decision, decidedAt: now, decidedBy: actor ?? null },
  });
  await tx.connectLink.updateMany({
    where: { customerId, operationId, spentAt: null, purpose: { in: ['credentials', 'answer'] } },
    data: { spentAt: now },
  });
  await tx.question.updateMany({
    where: { customerId, operationId, closed: null },
    data: { closed: 'withdrawn', closedAt: now },
  });
  await vault.within(tx).deleteSignIn(customerId, operationId);
}
