import { fromPrisma, type JobResult, PgBoss } from 'pg-boss';
import { z } from 'zod';
import type { Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, customerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Log } from '../ports/log.ts';
import {
  CHECKPOINTS_QUEUE,
  CONNECTIONS_QUEUE,
  DEADLINES_QUEUE,
  GIVEN_UP_QUEUE,
  LATE_DEADLINES_QUEUE,
  OPERATIONS_QUEUE,
  type OperationJob,
  priorityOf,
  QUEUES,
  RETENTION_QUEUE,
  UPKEEP_QUEUE,
  type Urgency,
  WEBHOOKS_QUEUE,
  type WebhookJob,
} from './queues.ts';

/** pg-boss, as far as Countersign uses it: jobs are sent in the transaction that makes them true. */
export interface Queue {
  /**
   * Sends the operation's job with `tx`'s commit, to be taken at once unless told otherwise; nothing is sent when it is rolled
   * back. A person waits for it unless another urgency is given. @returns the job's id.
   */
  sendOperation(
    tx: Transaction,
    job: OperationJob,
    options?: { readonly urgency?: Urgency; readonly afterSeconds?: number },
  ): Promise<string>;
  /** Looks at the operation again at that time, for what expires when nobody clicks. */
  sendDeadline(tx: Transaction, job: OperationJob, at: Date): Promise<void>;
  /**
   * Works on operations, `concurrency` at a time in this process and `ofCustomer` of one customer in all processes together,
   * any number where that is absent. pg-boss counts what is begun without a lock, so that two workers that look at the same
   * moment both begin one; core/operations/places.ts holds them to the number, and a job that fails with its `customer_busy`
   * is put back in its place, with no retry lost. `signal` is aborted when the job is taken away.
   */
  workOperations(
    concurrency: number,
    run: (job: OperationJob, signal: AbortSignal) => Promise<void>,
    ofCustomer?: number,
  ): Promise<void>;
  /** Hears of each job that has no retry left; `jobId` is the id that `sendOperation` gave. */
  workGivenUp(run: (job: OperationJob, jobId: string) => Promise<void>): Promise<void>;
  workDeadlines(run: (job: OperationJob) => Promise<void>): Promise<void>;
  /** Hears of each deadline that has no retry left, and again every minute until it did something about it. */
  workLateDeadlines(run: (job: OperationJob) => Promise<void>): Promise<void>;
  /** Every ten minutes for all customers, and for one where `sendCheckpoint` asks for it, in one process of all. */
  workCheckpoints(run: (customerId: CustomerId | undefined) => Promise<unknown>): Promise<void>;
  /** Has one of those who work on checkpoints sign where a customer's chain stands. */
  sendCheckpoint(customerId: CustomerId): Promise<void>;
  /** Once a day, in one process of all. */
  workRetention(run: () => Promise<void>): Promise<void>;
  /** Sends a message's job with `tx`'s commit. */
  sendWebhook(tx: Transaction, job: WebhookJob): Promise<void>;
  /** Delivers messages, a few at a time; one that throws is tried again, ever later, and in the end kept as undelivered. */
  workWebhooks(run: (job: WebhookJob) => Promise<void>): Promise<void>;
  /** Runs `run` once in each span of `everySeconds`, in one of the processes that call this. */
  workUpkeep(everySeconds: number, run: () => Promise<void>): Promise<void>;
  /** The same, for passes over the connections. */
  workConnections(everySeconds: number, run: () => Promise<unknown>): Promise<void>;
  start(): Promise<void>;
  /** Takes no new job and waits for running ones, at most `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>;
}

const payload = z.strictObject({ customerId: z.uuid(), operationId: z.string() });
const message = z.strictObject({
  customerId: z.uuid(),
  webhookId: z.uuid(),
  seq: z.string().regex(/^[1-9]\d{0,17}$/),
  type: z.string().regex(/^(?:operation|credential|connection)\.[a-z_]+$/),
});
const ofCustomer = z.strictObject({ customerId: z.uuid() });
const POLL_SECONDS = 2; // the floor under LISTEN/NOTIFY, and what wakes delayed jobs
const MONITOR_SECONDS = 1; // how soon it is seen that the heartbeat of a killed worker has stopped; pg-boss takes no less
const HEARTBEAT_REFRESH_SECONDS = 3;
const WEBHOOKS_AT_ONCE = 4;
const POOL_SIZE = 4;

/** What one process opens for the queue: the pool, and what hears of new jobs. */
export const QUEUE_CONNECTIONS = POOL_SIZE + 1;

/** pg-boss looks every 30 s while LISTEN is up unless told otherwise, also for jobs that are delayed. */
const POLLING = { pollingIntervalSeconds: POLL_SECONDS, notifyPollingIntervalSeconds: POLL_SECONDS } as const;

export function createQueue(config: { url: string; log: Log }): Queue {
  const boss = new PgBoss({
    connectionString: config.url,
    schema: 'pgboss',
    application_name: 'countersign queue',
    max: POOL_SIZE,
    migrate: false,
    createSchema: false,
    useListenNotify: true,
    supervise: true,
    schedule: true,
    reindex: false,
    // Both: the first is how often it looks at all (60 s unless told otherwise), the second how often at one queue.
    superviseIntervalSeconds: MONITOR_SECONDS,
    monitorIntervalSeconds: MONITOR_SECONDS,
  });
  boss.on('error', (error: Error) =>
    config.log.warn({ code: 'queue', cause: error.message }, 'the queue had an error'),
  );

  let stopping: Promise<void> | undefined;
  return {
    async sendOperation(tx, job, { urgency = 'person', afterSeconds = 0 } = {}) {
      const priority = priorityOf(urgency, await lastOf(tx, job.customerId));
      const options = {
        ...{ db: fromPrisma(tx), group: { id: job.customerId }, priority },
        ...(afterSeconds > 0 ? { startAfter: afterSeconds } : {}),
      };
      const id = await boss.send(OPERATIONS_QUEUE, idsOf(job), options);
      if (!id)
        throw new CountersignError('database_unavailable', 'The queue took no job. Nothing was changed.', {
          isRetryable: true,
        });
      return id;
    },
    async sendDeadline(tx, job, at) {
      await boss.send(DEADLINES_QUEUE, idsOf(job), { db: fromPrisma(tx), startAfter: at });
    },
    async workOperations(concurrency, run, ofCustomer) {
      const options = {
        ...POLLING,
        ...(ofCustomer === undefined ? {} : { groupConcurrency: ofCustomer }), // a job's group is its customer
        heartbeatRefreshSeconds: HEARTBEAT_REFRESH_SECONDS,
        includeMetadata: true,
      } as const;
      const workOne = async () => {
        const id: string = await boss.work(OPERATIONS_QUEUE, options, async (jobs) => {
          for (const job of jobs) {
            const work = () => run({ ...idsOf(job.data), jobId: job.id }, job.signal);
            const isDone = await withoutWords(config.log, work, isBusy).then(
              () => true,
              (error: unknown) => (isBusy(error) ? putBack(boss, job) : Promise.reject(error)).then(() => false),
            );
            if (isDone) boss.notifyWorker(id); // else it would look for the next one when two seconds since the last look are over
          }
        });
      };
      for (let n = 0; n < concurrency; n++) await workOne();
    },
    async workGivenUp(run) {
      await boss.work(GIVEN_UP_QUEUE, { ...POLLING, includeMetadata: true }, async (jobs) => {
        for (const { data, sourceId } of jobs)
          if (sourceId)
            await withoutWords(config.log, () => {
              const job = idsOf(data);
              config.log.error(
                { code: 'given_up', ...job },
                'the job of an operation has no retry left: the operation ends, unless it has another one',
              );
              return run(job, sourceId);
            });
      });
    },
    async workDeadlines(run) {
      // Each by itself: one that can't be done takes no other customer's with it.
      const options = { ...POLLING, batchSize: 20, perJobResults: true } as const;
      await boss.work(DEADLINES_QUEUE, options, async (jobs) => {
        const results: JobResult[] = [];
        for (const { id, data } of jobs) {
          const failure = await withoutWords(config.log, () => run(idsOf(data))).catch((error: Error) => error);
          results.push(failure ? { id, status: 'failed', output: failure } : { id, status: 'completed' });
        }
        return results;
      });
    },
    async workLateDeadlines(run) {
      await boss.work(LATE_DEADLINES_QUEUE, POLLING, async (jobs) => {
        for (const { data } of jobs)
          await withoutWords(config.log, () => {
            const job = idsOf(data);
            config.log.error({ code: 'deadline_late', ...job }, 'a deadline was not kept in time: it is tried again');
            return run(job);
          });
      });
    },
    workCheckpoints: (run) =>
      workByClock(boss, CHECKPOINTS_QUEUE, '*/10 * * * *', (data) => {
        const named = ofCustomer.safeParse(data);
        return run(named.success ? customerId(named.data.customerId) : undefined);
      }),
    async sendCheckpoint(customerId) {
      await boss.send(CHECKPOINTS_QUEUE, { customerId });
    },
    workRetention: (run) => workByClock(boss, RETENTION_QUEUE, '17 3 * * *', run),
    async sendWebhook(tx, { seq, ...ids }) {
      const data = message.parse({ ...ids, seq: String(seq) });
      await boss.send(WEBHOOKS_QUEUE, data, { db: fromPrisma(tx), group: { id: ids.customerId } });
    },
    async workWebhooks(run) {
      // A receiver that hangs holds its customer's one place, and nobody else's.
      const options = { ...POLLING, localConcurrency: WEBHOOKS_AT_ONCE, groupConcurrency: 1 };
      await boss.work(WEBHOOKS_QUEUE, options, async (jobs) => {
        for (const { data } of jobs)
          await withoutWords(config.log, () => {
            const { customerId: id, seq, ...rest } = message.parse(data);
            return run({ ...rest, customerId: customerId(id), seq: BigInt(seq) });
          });
      });
    },
    workUpkeep: (everySeconds, run) => workEvery(boss, UPKEEP_QUEUE, everySeconds, run),
    workConnections: (everySeconds, run) => workEvery(boss, CONNECTIONS_QUEUE, everySeconds, run),
    async start() {
      await boss.start();
    },
    stop: (timeoutMs) => (stopping ??= stopAtOnce(boss, timeoutMs)),
  };
}

/** pg-boss ends its LISTEN first, and its workers go on taking jobs until the database has answered that. */
async function stopAtOnce(boss: PgBoss, timeoutMs: number): Promise<void> {
  await Promise.all(QUEUES.map(({ name }) => boss.offWork(name, { wait: false })));
  await boss.stop({ graceful: true, timeout: timeoutMs });
}

/** A job that sends the next one. */
async function workEvery(
  boss: PgBoss,
  queue: string,
  everySeconds: number,
  run: () => Promise<unknown>,
): Promise<void> {
  // One in each span of that length; a second one is moved to the next.
  const send = () => boss.sendDebounced(queue, {}, {}, everySeconds);
  await boss.work(queue, { ...POLLING, heartbeatRefreshSeconds: HEARTBEAT_REFRESH_SECONDS }, async () => {
    await run(); // a failure sends this job again, by the queue's own retries
    await send();
  });
  await send();
}

/** @param cron minute, hour, day, month, weekday, in UTC. */
async function workByClock(
  boss: PgBoss,
  queue: string,
  cron: string,
  run: (data: unknown) => Promise<unknown>,
): Promise<void> {
  await boss.work(queue, POLLING, async (jobs) => {
    for (const { data } of jobs) await run(data);
  });
  await boss.schedule(queue, cron, null, { tz: 'UTC' });
}

const lastRows = z.tuple([z.object({ last: z.int().nullable() })]);

async function lastOf(tx: Transaction, customer: string): Promise<number | null> {
  const [{ last }] = lastRows.parse(
    await tx.$queryRaw`
      SELECT min(priority) AS last FROM pgboss.job
      WHERE name = ${OPERATIONS_QUEUE} AND state < 'active' AND group_id = ${customer}`,
  );
  return last;
}

/** The customer has as many operations under way as it may: see core/operations/places.ts. */
function isBusy(error: unknown): boolean {
  return error instanceof CountersignError && error.code === 'customer_busy';
}

const BUSY_SECONDS = 1; // before another look; in the meantime what was handed out again has its turn

/**
 * Makes a begun job one that waits, in its old place. The attempt counts and the limit goes up with it, so that this worker,
 * which pg-boss makes complete what it was given, can't be taken for whoever gets the job next.
 */
async function putBack(boss: PgBoss, { id, retryCount }: { id: string; retryCount: number }): Promise<void> {
  await boss.getDb().executeSql(
    `UPDATE pgboss.job SET state = 'created', heartbeat_on = NULL, retry_limit = retry_limit + 1,
       start_after = pgboss.job_now() + make_interval(secs => $4)
     WHERE name = $1 AND id = $2 AND state = 'active' AND retry_count = $3`,
    [OPERATIONS_QUEUE, id, retryCount, BUSY_SECONDS],
  );
}

/**
 * pg-boss keeps what a job threw, message and properties, in a table outside row level security: only a code goes there, and
 * what `isOurs` stays here.
 */
async function withoutWords(
  log: Log,
  work: () => Promise<void>,
  isOurs: (error: unknown) => boolean = () => false,
): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (isOurs(cause)) throw cause;
    const code = cause instanceof CountersignError ? cause.code : 'internal';
    log.warn({ code, cause }, 'a job failed, and will be handed out again');
    throw new Error(code);
  }
}

/** Also of what is sent: pg-boss's tables are no place for anything else. */
function idsOf(data: unknown): OperationJob {
  const job = payload.parse(data);
  const operationId: OperationId | undefined = parseOperationId(job.operationId);
  if (!operationId) throw new TypeError('job without an operation id');
  return { customerId: customerId(job.customerId), operationId };
}
