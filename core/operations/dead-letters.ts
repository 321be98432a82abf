import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, customerId, type MemberId, type OperationId, parseOperationId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import {
  DEADLINES_QUEUE,
  GIVEN_UP_QUEUE,
  LATE_DEADLINES_QUEUE,
  OPERATIONS_QUEUE,
  type OperationJob,
  QUEUES,
  UNDELIVERED_QUEUE,
} from '../queue/queues.ts';
import { lockedOperation } from './locked.ts';
import type { Operations } from './operations.ts';
import { isEnd, type OperationState } from './states.ts';

/** What an operator sees of one job: ids and counts, as nothing else lies in the queue's tables. */
export interface JobOnRecord {
  readonly id: string;
  readonly queue: string;
  /** `dead`: it has no retry left, and what it was for may be open still. */
  readonly state: 'waiting' | 'again' | 'running' | 'dead';
  readonly customerId: string;
  readonly operationId: string;
  readonly priority: number;
  /** How often it was handed out again. */
  readonly retries: number;
  readonly sentAt: Date;
}

export interface QueueStats {
  readonly queue: string;
  readonly waiting: number;
  readonly again: number;
  readonly running: number;
  readonly dead: number;
  /** Since when the job has been due that waits longest; `null`: none waits. */
  readonly oldestSeconds: number | null;
}

/** What became of a dead job that an operator wants done after all. */
export type Redriven =
  | { readonly kind: 'sent'; readonly operationId: OperationId; readonly queue: string }
  /** No dead job has that id, or belongs to that operation. */
  | { readonly kind: 'unknown' }
  /** It is over, and stays what it ended as: a new request is needed. */
  | { readonly kind: 'ended'; readonly operationId: OperationId; readonly state: OperationState }
  /** It is open, and has another job by now or waits for a person: nothing is to be sent. */
  | { readonly kind: 'in_hand'; readonly operationId: OperationId; readonly state: OperationState };

const MOST_LISTED = 200;
const WITH_IDS = [OPERATIONS_QUEUE, GIVEN_UP_QUEUE, DEADLINES_QUEUE, LATE_DEADLINES_QUEUE];

/** Failed for good, or handed on to the queue for that and not dealt with yet; of both, the latter. */
const IS_DEAD = Prisma.sql`(
  (j.name IN (${GIVEN_UP_QUEUE}, ${LATE_DEADLINES_QUEUE}, ${UNDELIVERED_QUEUE}) AND j.state < 'completed')
  OR (j.name IN (${OPERATIONS_QUEUE}, ${DEADLINES_QUEUE}) AND j.state = 'failed' AND NOT EXISTS (
    SELECT FROM pgboss.job copy WHERE copy.name IN (${GIVEN_UP_QUEUE}, ${LATE_DEADLINES_QUEUE})
      AND copy.source_id = j.id AND copy.state < 'completed')))`;
const STATE = Prisma.sql`CASE WHEN ${IS_DEAD} THEN 'dead' WHEN j.state = 'active' THEN 'running'
  WHEN j.state = 'retry' THEN 'again' ELSE 'waiting' END`;

const jobRows = z.array(
  z.object({
    id: z.string(),
    queue: z.string(),
    state: z.enum(['waiting', 'again', 'running', 'dead']),
    customerId: z.string(),
    operationId: z.string(),
    priority: z.int(),
    retries: z.int(),
    sentAt: z.date(),
  }),
);
const statRows = z.array(
  z.object({
    queue: z.string(),
    waiting: z.int(),
    again: z.int(),
    running: z.int(),
    dead: z.int(),
    oldestSeconds: z.int().nullable(),
  }),
);

/** The jobs of operations and deadlines that are not done, those that were due first at the top; at most 200. `of`: of one customer alone. */
export async function listJobs(
  database: Database,
  options: { readonly isDead: boolean; readonly of?: CustomerId },
): Promise<readonly JobOnRecord[]> {
  const wanted = options.isDead ? IS_DEAD : Prisma.sql`(j.state < 'completed' OR ${IS_DEAD})`;
  return jobRows.parse(
    await database.shared(Prisma.sql`
      SELECT j.id, j.name AS queue, ${STATE} AS state, coalesce(j.data ->> 'customerId', '') AS "customerId",
        coalesce(j.data ->> 'operationId', '') AS "operationId", j.priority, j.retry_count AS retries, j.created_on AS "sentAt"
      FROM pgboss.job j WHERE j.name IN (${Prisma.join(WITH_IDS)}) AND ${wanted} AND ${isOf(options.of)}
      ORDER BY j.start_after, j.created_on LIMIT ${MOST_LISTED}`),
  );
}

/** Every queue of ours, also an empty one; with `of`, one customer's jobs alone are counted. */
export async function queueStats(database: Database, of?: CustomerId): Promise<readonly QueueStats[]> {
  const names = QUEUES.map(({ name }) => name);
  const found = statRows.parse(
    await database.shared(Prisma.sql`
      SELECT j.queue, count(*) FILTER (WHERE j.state = 'waiting')::int AS waiting, count(*) FILTER (WHERE j.state = 'again')::int AS again,
        count(*) FILTER (WHERE j.state = 'running')::int AS running, count(*) FILTER (WHERE j.state = 'dead')::int AS dead,
        floor(extract(epoch FROM app.now() - min(j.start_after) FILTER (
          WHERE j.state IN ('waiting', 'again') AND j.start_after <= app.now())))::int AS "oldestSeconds"
      FROM (SELECT j.name AS queue, ${STATE} AS state, j.start_after FROM pgboss.job j
        WHERE j.name IN (${Prisma.join(names)}) AND (j.state < 'completed' OR ${IS_DEAD})
          AND ${isOf(of)}) j
      GROUP BY j.queue`),
  );
  const none = { waiting: 0, again: 0, running: 0, dead: 0, oldestSeconds: null };
  return names.map((queue) => found.find((row) => row.queue === queue) ?? { queue, ...none });
}

/** How many operations of the customer waited for a machine, and ran, at one moment. */
export interface QueueDepth {
  readonly at: Date;
  readonly waiting: number;
  readonly running: number;
}

const DEPTH_EVERY_MINUTES = 30;
const depthRows = z.array(z.object({ at: z.date(), waiting: z.int(), running: z.int() }));

/**
 * The last day in half hours, oldest first, the present moment included: so long the queue keeps what is done. A job that was
 * handed out again counts by its latest start.
 */
export async function queueDepths(database: Database, of: CustomerId): Promise<readonly QueueDepth[]> {
  return depthRows.parse(
    await database.shared(Prisma.sql`
      WITH j AS MATERIALIZED (
        SELECT j.created_on, j.started_on, j.completed_on FROM pgboss.job j WHERE j.name = ${OPERATIONS_QUEUE} AND ${isOf(of)}
      )
      SELECT moment.at, count(*) FILTER (WHERE j.created_on IS NOT NULL AND coalesce(j.started_on > moment.at, true))::int AS waiting,
        count(*) FILTER (WHERE j.started_on <= moment.at)::int AS running
      FROM generate_series(app.now() - interval '1 day', app.now(), make_interval(mins => ${DEPTH_EVERY_MINUTES}::int)) AS moment (at)
      LEFT JOIN j ON j.created_on <= moment.at AND coalesce(j.completed_on > moment.at, true)
      GROUP BY moment.at ORDER BY moment.at`),
  );
}

/** The queue's tables lie outside row level security: whose a job is says its payload. */
function isOf(customer: CustomerId | undefined): Prisma.Sql {
  return customer === undefined ? Prisma.sql`true` : Prisma.sql`j.data ->> 'customerId' = ${customer}`;
}

export interface RedriveDeps {
  readonly database: Database;
  readonly operations: Operations;
  readonly audit: Audit;
  /** Started. */
  readonly queue: Queue;
}

const deadRows = z.array(
  z.object({ id: z.string(), queue: z.string(), customerId: z.uuid(), operationId: z.string() }),
);

/**
 * Does a dead job after all, where its operation is still open: a new job takes its place, on record. @param id of the dead
 * job, or of its operation. @param by an admin, to whom no job of another customer is there; absent: the operator
 */
export async function redrive(
  deps: RedriveDeps,
  id: string,
  by?: { readonly customerId: CustomerId; readonly memberId: MemberId },
): Promise<Redriven> {
  const [dead] = deadRows.parse(
    await deps.database.shared(Prisma.sql`
      SELECT coalesce(j.source_id, j.id)::text AS id, coalesce(j.source_name, j.name) AS queue,
        j.data ->> 'customerId' AS "customerId", j.data ->> 'operationId' AS "operationId"
      FROM pgboss.job j WHERE j.name IN (${Prisma.join(WITH_IDS)}) AND ${IS_DEAD}
        AND ${isOf(by?.customerId)}
        AND (j.id::text = ${id.toLowerCase()} OR j.data ->> 'operationId' = ${id.toLowerCase()})
      ORDER BY coalesce(j.source_name, j.name) = ${OPERATIONS_QUEUE} DESC, j.created_on DESC LIMIT 1`),
  );
  const operationId = dead && parseOperationId(dead.operationId);
  if (!dead || !operationId) return { kind: 'unknown' };
  const job: OperationJob = { customerId: customerId(dead.customerId), operationId };
  return deps.database.withCustomer(job.customerId, async (tx): Promise<Redriven> => {
    const operation = await lockedOperation(tx, deps.operations, job.customerId, operationId);
    if (!operation) return { kind: 'unknown' };
    const { state } = operation;
    if (isEnd(state)) return { kind: 'ended', operationId, state };
    if (dead.queue === DEADLINES_QUEUE) await deps.queue.sendDeadline(tx, job, await databaseNow(tx));
    else if (!(await sendAnew(tx, deps, job, dead.id, by?.memberId))) return { kind: 'in_hand', operationId, state };
    await bury(tx, job, dead.queue);
    return { kind: 'sent', operationId, queue: dead.queue };
  });
}

/** @returns false where this is not the operation's job any more, or no worker is what it waits for. */
async function sendAnew(
  tx: Transaction,
  deps: RedriveDeps,
  job: OperationJob,
  jobId: string,
  by: MemberId | undefined,
): Promise<boolean> {
  const { customerId, operationId: id } = job;
  const isItsJob = { customerId, id, jobId, status: { in: ['queued', 'in_progress'] } };
  if ((await tx.operation.count({ where: isItsJob })) === 0) return false;
  const sent = await deps.queue.sendOperation(tx, job, { urgency: 'again' });
  await tx.operation.updateMany({ where: { customerId, id }, data: { jobId: sent } });
  await deps.audit.append(tx, customerId, {
    kind: 'operation.queued',
    operationId: id,
    ...(by ? { actor: by } : {}),
    payload: { by: by ? 'an admin' : 'the operator', why: 'its job had no retry left' },
  });
  return true;
}

/** What has been sent anew is dead no more, nor is anybody to give it up. */
async function bury(tx: Transaction, { operationId }: OperationJob, queue: string): Promise<void> {
  const deadLetters = queue === OPERATIONS_QUEUE ? GIVEN_UP_QUEUE : LATE_DEADLINES_QUEUE;
  await tx.$executeRaw`
    UPDATE pgboss.job SET state = 'cancelled', completed_on = pgboss.job_now()
    WHERE data ->> 'operationId' = ${operationId}
      AND ((name = ${queue} AND state = 'failed') OR (name = ${deadLetters} AND state < 'completed'))`;
}
