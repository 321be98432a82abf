import { z } from 'zod';
import type { Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import { type OperationState, parseState } from '../operations/states.ts';
import { FIRST, OPERATIONS_QUEUE } from './queues.ts';

// The queue's tables lie outside row level security, so that each of these names the customer in its question.

/** `delayed`: not due yet, be it the first time or again; `paused`: no job, its operation rests. */
export const JOB_STATES = ['waiting', 'active', 'completed', 'failed', 'delayed', 'paused', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** A job of one of the customer's operations. */
export interface JobView {
  readonly id: string;
  readonly operationId: OperationId;
  readonly state: JobState;
  /** How often a worker began it. */
  readonly attempts: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

export type JobCounts = Readonly<Record<Exclude<JobState, 'cancelled'>, number>>;

const counts = z.array(
  z.object({ ...{ waiting: z.int(), active: z.int(), completed: z.int(), failed: z.int(), delayed: z.int() } }),
);
const latest = z.array(z.object({ at: z.date().nullable() }));
const jobs = z
  .array(
    z.object({
      operationId: z.string(),
      state: z.enum(['created', 'retry', 'active', 'completed', 'cancelled', 'failed']),
      isDue: z.boolean(),
      retries: z.int(),
      startedAt: z.date().nullable(),
      finishedAt: z.date().nullable(),
    }),
  )
  .max(1);

/** Jobs of the last day by state; `paused`: operations that rest. */
export async function countJobs(tx: Transaction, customerId: CustomerId): Promise<JobCounts> {
  const [row] = counts.parse(
    await tx.$queryRaw`
      SELECT count(*) FILTER (WHERE state < 'active' AND start_after <= app.now())::int AS waiting,
        count(*) FILTER (WHERE state < 'active' AND start_after > app.now())::int AS delayed,
        count(*) FILTER (WHERE state = 'active')::int AS active,
        count(*) FILTER (WHERE state = 'completed')::int AS completed,
        count(*) FILTER (WHERE state = 'failed')::int AS failed
      FROM pgboss.job WHERE name = ${OPERATIONS_QUEUE} AND group_id = ${customerId}`,
  );
  const paused = await tx.operation.count({ where: { customerId, status: 'paused' } });
  return { ...(row ?? { waiting: 0, active: 0, completed: 0, failed: 0, delayed: 0 }), paused };
}

/** When the newest of the customer's jobs was done. */
export async function lastJobAt(tx: Transaction, customerId: CustomerId): Promise<Date | null> {
  const [row] = latest.parse(
    await tx.$queryRaw`
      SELECT max(completed_on) AS at FROM pgboss.job
      WHERE name = ${OPERATIONS_QUEUE} AND group_id = ${customerId} AND state = 'completed'`,
  );
  return row?.at ?? null;
}

/** A day after its end a job is forgotten; then its operation says what became of it. */
export async function findJob(tx: Transaction, customerId: CustomerId, id: string): Promise<JobView | undefined> {
  const [job] = jobs.parse(
    await tx.$queryRaw`
      SELECT data ->> 'operationId' AS "operationId", state::text AS state, start_after <= app.now() AS "isDue",
        retry_count AS retries, started_on AS "startedAt", completed_on AS "finishedAt"
      FROM pgboss.job WHERE name = ${OPERATIONS_QUEUE} AND group_id = ${customerId} AND id = ${id}::uuid`,
  );
  const operationId = parseOperationId(job?.operationId ?? '');
  if (!job || !operationId) return forgotten(tx, customerId, id);
  const { retries, startedAt, finishedAt } = job;
  const state =
    job.state === 'created' || job.state === 'retry'
      ? job.isDue
        ? 'waiting'
        : 'delayed'
      : (job.state satisfies JobState);
  return { id, operationId, state, attempts: startedAt ? retries + 1 : 0, startedAt, finishedAt };
}

async function forgotten(tx: Transaction, customerId: CustomerId, jobId: string): Promise<JobView | undefined> {
  const row = await tx.operation.findFirst({
    where: { customerId, jobId },
    select: { id: true, status: true, startedAt: true, completedAt: true },
  });
  if (!row) return undefined;
  const { startedAt, completedAt: finishedAt } = row;
  const state = STATE_OF_FORGOTTEN[parseState(row.status)] ?? 'completed'; // a job never waits for a person: it ends
  // An operation's own id.
  return { id: jobId, operationId: row.id as OperationId, state, attempts: startedAt ? 1 : 0, startedAt, finishedAt };
}

const STATE_OF_FORGOTTEN: Readonly<Partial<Record<OperationState, JobState>>> = {
  ...{ denied: 'cancelled', expired: 'cancelled', cancelled: 'cancelled' },
  ...{ failed: 'failed', paused: 'paused' },
};

/** Has those of the customer's jobs that wait handed out before all others. */
export async function putFirst(tx: Transaction, customerId: CustomerId, jobIds: readonly string[]): Promise<void> {
  await tx.$executeRaw`
    UPDATE pgboss.job SET priority = ${FIRST}
    WHERE name = ${OPERATIONS_QUEUE} AND group_id = ${customerId} AND state < 'active' AND priority < ${FIRST}
      AND id = ANY (${[...jobIds]}::uuid[])`;
}

/** The newest job of an operation that was ever sent to the queue. */
export async function jobOf(tx: Transaction, customerId: CustomerId, id: OperationId): Promise<string | null> {
  const row = await tx.operation.findUnique({ where: { customerId_id: { customerId, id } }, select: { jobId: true } });
  return row?.jobId ?? null;
}
