import type { Operation as OperationRow } from '../../prisma/generated/client.ts';
import type { Consents } from '../consent/consent.ts';
import { verdictOnSight } from '../consent/standing.ts';
import type { Database, Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId, MemberId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationJob } from '../queue/queues.ts';
import { type HeldBy, heldPauseOf, isEffectUnderWay, pauseNow } from './hold.ts';
import { lock } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { hasPlace } from './places.ts';
import { readSight, type Sight, sightOf } from './sight.ts';
import { isEnd, type OperationState, parseState } from './states.ts';
import { Stopped } from './stopped.ts';

const WATCH_MS = 1_000; // so that a stop is felt within two seconds, whatever the page does
/** For so long, by this process's own clock, a worker may act upon what it last saw of fence and consent. */
const SIGHT_MS = 5_000;

/** The right of one worker to act on one operation, until somebody takes the next fence number. */
export interface Lease {
  readonly operation: Operation;
  readonly fence: bigint;
  /**
   * Aborted with a Stopped when the lease is lost, and with `database_unavailable` when neither fence nor consent could be
   * looked at for 5 s: somebody else may have the operation by now.
   */
  readonly signal: AbortSignal;
  /** Fence, consent, plan hash and permission, as of now. @throws Stopped */
  guard(permission: string): Promise<void>;
  /** The same question as the signal's without waiting for a timer: a process that was frozen has to ask it. @throws CountersignError */
  requireSight(): void;
  /** The fence, inside a transaction that is about to write: until it ends nobody takes over. @throws Stopped */
  hold(tx: Transaction): Promise<void>;
  /**
   * The same with consent, plan hash and permission, before something is set out on that can't be undone: whoever was
   * taking the countersignature back held the operation until now, after `guard` had seen it alive. @throws Stopped
   */
  holdToAct(tx: Transaction, permission: string): Promise<void>;
  /**
   * The same for a result that was read already, which is lost if it isn't written: also once somebody stopped the
   * operation, but never once another worker took it. @throws Stopped
   */
  holdToKeep(tx: Transaction): Promise<void>;
  release(): void;
}

export interface LeaseDeps {
  readonly database: Database;
  readonly consents: Consents;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly queue: Queue;
  /** Operations of one customer that may be under way in all processes together; absent: any number. */
  readonly atOnce?: number;
  /** Whether it is left to a worker of another version, asked with its row locked. */
  readonly leave?: (tx: Transaction, job: OperationJob, row: OperationRow) => Promise<boolean>;
}

const RUNNABLE: readonly OperationState[] = ['queued', 'in_progress'];

/**
 * Takes the operation of a job, also from a worker that died. `undefined`: there is nothing to do any more, or it
 * is held back, and paused now, or left to others. @throws Stopped `consent`, CountersignError `customer_busy`: the queue puts
 * the job back
 */
export async function takeLease(
  deps: LeaseDeps,
  job: OperationJob,
  jobSignal: AbortSignal,
): Promise<Lease | undefined> {
  const { customerId, operationId } = job;
  const taken = await deps.database.withCustomer(customerId, async (tx) => {
    await lock(tx, customerId, operationId); // so that a countersignature that is being taken back is seen as that
    const row = await tx.operation.findUnique({ where: { customerId_id: { customerId, id: operationId } } });
    if (!row || isEnd(parseState(row.status)) || !isOwnJob(row, job)) return undefined;
    if (await deps.leave?.(tx, job, row)) return undefined;
    const operation = await deps.operations.get(tx, customerId, operationId);
    if (!operation) return undefined;
    const isRunnable = RUNNABLE.includes(operation.state);
    const held = isRunnable ? await heldBy(tx, customerId, row) : undefined;
    if (held) {
      await pauseNow(tx, deps, operation, held);
      return undefined;
    }
    const verdict = await deps.consents.verifyToBegin(tx, operation);
    if (!verdict.hasConsent) throw new Stopped('consent', verdict.reason);
    if (!isRunnable) return undefined;
    const isTakeOver = operation.state === 'in_progress';
    if (!isTakeOver && deps.atOnce !== undefined && !(await hasPlace(tx, customerId, deps.atOnce))) return 'busy';
    const fence = await deps.mover.move(tx, customerId, {
      operationId,
      from: ['queued', 'in_progress'],
      to: 'in_progress',
      fence: operation.fence,
      set: { consentGiven: true },
      entry: { kind: isTakeOver ? 'operation.taken_over' : 'operation.started', attempt: operation.fence + 1n },
    });
    return fence === undefined ? undefined : { operation, fence, seenAt: performance.now() };
  });
  if (taken === 'busy')
    throw new CountersignError('customer_busy', 'The customer has as many operations under way as it may.', {
      isRetryable: true,
    });
  return taken && createLease(deps, taken, jobSignal);
}

/** Resumed while its earlier job was still on its way, an operation has two: the earlier one would take it from the other's worker. */
function isOwnJob(row: OperationRow, { jobId }: OperationJob): boolean {
  return jobId === undefined || row.jobId === null || row.jobId === jobId;
}

/** Who holds the operation of that locked row back right now: true until the transaction ends. */
async function heldBy(
  tx: Transaction,
  customerId: CustomerId,
  row: Pick<OperationRow, 'hold' | 'heldBy'>,
): Promise<HeldBy | undefined> {
  // CHECK autonomous_operations_hold_check: a person's hold has its person, a member by foreign key.
  if (row.hold === 'person') return { hold: 'person', by: row.heldBy as MemberId };
  return row.hold === 'operator' || (await heldPauseOf(tx, customerId)) ? { hold: 'operator' } : undefined;
}

interface Taken {
  readonly operation: Operation;
  readonly fence: bigint;
  /** By `performance.now()`. */
  readonly seenAt: number;
}

function createLease(deps: LeaseDeps, { operation, fence, seenAt: takenAt }: Taken, jobSignal: AbortSignal): Lease {
  const { database } = deps;
  const { customerId, id } = operation;
  const lost = new AbortController();
  let seenAt = takenAt;
  /** @returns whether somebody wants it paused. */
  const check = (seen: Sight | undefined, permission?: string) => {
    const { isHeld } = requireFence(seen, fence);
    const verdict = verdictOnSight(seen, permission);
    if (!verdict.hasConsent) throw new Stopped('consent', verdict.reason);
    return isHeld;
  };
  /** Never in the middle of an effect: that one is finished and kept first. */
  const pauseWhereSafe = () =>
    database.withCustomer(customerId, async (tx) => {
      await lock(tx, customerId, id);
      requireFence(await sightOf(tx, customerId, id), fence);
      if (await isEffectUnderWay(tx, customerId, id, fence)) return false;
      const row = await tx.operation.findUniqueOrThrow({
        where: { customerId_id: { customerId, id } },
        select: { hold: true, heldBy: true },
      });
      const held = await heldBy(tx, customerId, row);
      return held !== undefined && pauseNow(tx, deps, { customerId, id, fence, grant: operation.grant }, held);
    });
  /** What is seen is at least as new as the moment before the question. */
  const look = async (permission?: string) => {
    const askedAt = performance.now();
    const isHeld = check(await readSight(database, customerId, id), permission);
    seenAt = Math.max(seenAt, askedAt);
    if (isHeld && (await pauseWhereSafe())) throw new Stopped('paused', 'The operation was paused');
  };
  const requireSight = () => {
    if (performance.now() - seenAt > SIGHT_MS) throw outOfSight();
  };
  const watch = setInterval(() => {
    look().catch((error: unknown) => {
      if (error instanceof Stopped) lost.abort(error); // an outage of the database is endured until it lasts too long
    });
    try {
      requireSight();
    } catch (error) {
      lost.abort(error);
    }
  }, WATCH_MS);
  return {
    operation,
    fence,
    signal: AbortSignal.any([lost.signal, jobSignal]),
    guard: look,
    requireSight,
    hold: async (tx) => {
      await lock(tx, customerId, id);
      requireFence(await sightOf(tx, customerId, id), fence);
    },
    holdToAct: async (tx, permission) => {
      await lock(tx, customerId, id);
      check(await sightOf(tx, customerId, id), permission);
    },
    holdToKeep: async (tx) => {
      await lock(tx, customerId, id);
      await checkUntaken(tx, customerId, id, fence);
    },
    release: () => clearInterval(watch),
  };
}

function outOfSight(): CountersignError {
  const words = `The database did not answer for ${SIGHT_MS / 1000} s, so the work on this operation was let go.`;
  return new CountersignError('database_unavailable', words, { isRetryable: true });
}

function requireFence(seen: Sight | undefined, fence: bigint): Sight {
  if (seen?.status !== 'in_progress' || seen.fence !== fence)
    throw new Stopped('moved', 'Somebody else moved the operation');
  return seen;
}

/** Every move takes one fence number, and a worker that takes over leaves it `in_progress`. */
async function checkUntaken(tx: Transaction, customerId: CustomerId, id: string, fence: bigint): Promise<void> {
  const row = await tx.operation.findUnique({
    where: { customerId_id: { customerId, id } },
    select: { status: true, fence: true },
  });
  const isOurs = row?.status === 'in_progress' ? row.fence === fence : row?.fence === fence + 1n;
  if (!isOurs) throw new Stopped('moved', 'Somebody else moved the operation');
}
