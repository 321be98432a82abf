import type { Consents } from '../consent/consent.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { isEnd } from './states.ts';
import { Stopped } from './stopped.ts';

const WATCH_MS = 1_000; // so that a stop is felt within two seconds, whatever the page does

/** The right of one worker to act on one operation, until somebody takes the next fence number. */
export interface Lease {
  readonly operation: Operation;
  readonly fence: bigint;
  /** Aborted with a Stopped when the lease is lost. */
  readonly signal: AbortSignal;
  /** Fence, consent, plan hash and permission, as of now. @throws Stopped */
  guard(permission: string): Promise<void>;
  /** The fence, inside a transaction that is about to write: until it ends nobody takes over. @throws Stopped */
  hold(tx: Transaction): Promise<void>;
  release(): void;
}

export interface LeaseDeps {
  readonly database: Database;
  readonly consents: Consents;
  readonly operations: Operations;
  readonly mover: Mover;
}

/** Takes the operation of a job, also from a worker that died. `undefined`: there is nothing to do any more. @throws Stopped `consent` */
export async function takeLease(
  deps: LeaseDeps,
  job: OperationJob,
  jobSignal: AbortSignal,
): Promise<Lease | undefined> {
  const { customerId, operationId } = job;
  const taken = await deps.database.withCustomer(customerId, async (tx) => {
    const operation = await deps.operations.get(tx, customerId, operationId);
    if (!operation || isEnd(operation.state)) return undefined;
    const verdict = await deps.consents.verifyToBegin(tx, operation);
    if (!verdict.hasConsent) throw new Stopped('consent', verdict.reason);
    const isTakeOver = operation.state === 'in_progress';
    const fence = await deps.mover.move(tx, customerId, {
      operationId,
      from: ['queued', 'in_progress'],
      to: 'in_progress',
      fence: operation.fence,
      set: { consentGiven: true, ...(operation.startedAt ? {} : { startedAt: await databaseNow(tx) }) },
      entry: { kind: isTakeOver ? 'operation.taken_over' : 'operation.started', attempt: operation.fence + 1n },
    });
    return fence === undefined ? undefined : { operation, fence };
  });
  return taken && createLease(deps, taken.operation, taken.fence, jobSignal);
}

function createLease(deps: LeaseDeps, operation: Operation, fence: bigint, jobSignal: AbortSignal): Lease {
  const { database, consents } = deps;
  const { customerId, id } = operation;
  const lost = new AbortController();
  const check = (tx: Transaction) => checkFence(tx, customerId, id, fence);
  const watch = setInterval(() => {
    database
      .withCustomer(customerId, async (tx) => {
        await check(tx);
        const verdict = await consents.verify(tx, customerId, id);
        if (!verdict.hasConsent) throw new Stopped('consent', verdict.reason);
      })
      .catch((error: unknown) => {
        if (error instanceof Stopped) lost.abort(error); // an outage of the database is found by the next write
      });
  }, WATCH_MS);
  return {
    operation,
    fence,
    signal: AbortSignal.any([lost.signal, jobSignal]),
    guard: (permission) =>
      database.withCustomer(customerId, async (tx) => {
        await check(tx);
        const verdict = await consents.verify(tx, customerId, id, permission);
        if (!verdict.hasConsent) throw new Stopped('consent', verdict.reason);
      }),
    hold: async (tx) => {
      await lock(tx, customerId, id);
      await check(tx);
    },
    release: () => clearInterval(watch),
  };
}

/**
 * Until the transaction ends, nobody takes the operation over: they wait, and then see what was written. Not FOR UPDATE,
 * which an append's foreign key would wait for.
 */
async function lock(tx: Transaction, customerId: CustomerId, id: string): Promise<void> {
  await tx.$executeRaw`SELECT 1 FROM autonomous_operations WHERE customer_id = ${customerId}::uuid AND id = ${id} FOR NO KEY UPDATE`;
}

async function checkFence(tx: Transaction, customerId: CustomerId, id: string, fence: bigint): Promise<void> {
  const row = await tx.operation.findUnique({
    where: { customerId_id: { customerId, id } },
    select: { status: true, fence: true },
  });
  if (row?.status !== 'in_progress' || row.fence !== fence)
    throw new Stopped('moved', 'Somebody else moved the operation');
}
