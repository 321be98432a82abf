import { once } from 'node:events';
import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import { newOperationId, newUuid } from '../../core/ids.ts';
import { createLateDeadlines } from '../../core/operations/deadlines.ts';
import { endGivenUp } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { countJobs, findJob } from '../../core/queue/jobs.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import { OPERATIONS_QUEUE, type OperationJob, QUEUES, type Urgency } from '../../core/queue/queues.ts';
import {
  type Core,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

/** On a machine that is busy with other tests: what is given back to the queue comes again only after its pauses. */
const PATIENCE_MS = 120_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let otherShop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [shop, otherShop] = [await installShop(core), await installShop(core)];
});

// Nobody works here between tests: what one of them left behind is not the next one's.
beforeEach(() => sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job'));

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

interface JobRow {
  readonly id: string;
  readonly state: string;
  readonly data: object;
  readonly retry_count: number;
  readonly start_after: Date;
}

const jobsOf = ({ operationId }: Pick<OperationJob, 'operationId'>) =>
  sql<JobRow>(
    testDatabase.adminUrl,
    "SELECT id, state, data, retry_count, start_after FROM pgboss.job WHERE data ->> 'operationId' = $1",
    [operationId],
  );

const newJob = ({ customerId } = shop): OperationJob => ({ customerId, operationId: newOperationId() });
const send = (job: OperationJob) =>
  core.database.withCustomer(job.customerId, (tx) => core.queue.sendOperation(tx, job));

const prioritiesOf = async (jobs: readonly OperationJob[]) => {
  const rows = await sql<{ id: string; priority: number }>(
    testDatabase.adminUrl,
    "SELECT data ->> 'operationId' AS id, priority FROM pgboss.job WHERE name = 'operations'",
  );
  return jobs.map(({ operationId }) => rows.find(({ id }) => id === operationId)?.priority);
};

/** Looks until it is so: what is waited for happens in another connection. */
async function until<T>(read: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  const seen = await vi.waitUntil(
    async () => {
      const value = await read();
      return isSo(value) && { value };
    },
    { timeout: PATIENCE_MS, interval: 50 },
  );
  return seen.value;
}

/** A worker of its own on the same queues; stopped before the file ends. */
async function withWorker<T>(work: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = createQueue({ url: testDatabase.programUrl, log: silentLog });
  await queue.start();
  try {
    return await work(queue);
  } finally {
    await queue.stop(5_000);
  }
}

describe('a job', () => {
  test('is there with the commit that makes it true, and not before', async () => {
    const job = newJob();
    const id = await core.database.withCustomer(job.customerId, async (tx) => {
      const sent = await core.queue.sendOperation(tx, job);
      expect(await jobsOf(job)).toEqual([]);
      return sent;
    });
    expect(await jobsOf(job)).toMatchObject([{ id, state: 'created', data: job }]);
  });

  test('is not there when its transaction was rolled back', async () => {
    const job = newJob();
    const rolledBack = core.database.withCustomer(job.customerId, async (tx) => {
      await core.queue.sendOperation(tx, job);
      await core.queue.sendDeadline(tx, job, new Date());
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await jobsOf(job)).toEqual([]);
  });

  test('for later waits for its time', async () => {
    const job = newJob();
    const at = new Date(Date.now() + 900_000);
    await core.database.withCustomer(job.customerId, (tx) => core.queue.sendDeadline(tx, job, at));
    expect(await jobsOf(job)).toMatchObject([{ state: 'created', start_after: at }]);
  });
});

describe('a job as its customer sees it', () => {
  const seen = <T>({ customerId }: Shop, read: (tx: Transaction) => Promise<T>) =>
    core.database.withCustomer(customerId, read);
  const NONE = { waiting: 0, active: 0, completed: 0, failed: 0, delayed: 0, paused: 0 };

  test('is nobody else’s, by its id or in numbers', async () => {
    const job = newJob();
    const id = await send(job);
    const found = (whose: Shop) => seen(whose, (tx) => findJob(tx, whose.customerId, id));
    expect(await found(shop)).toMatchObject({ id, operationId: job.operationId, state: 'waiting', attempts: 0 });
    expect(await found(otherShop)).toBeUndefined();
    const counts = (whose: Shop) => seen(whose, (tx) => countJobs(tx, whose.customerId));
    expect([await counts(shop), await counts(otherShop)]).toEqual([{ ...NONE, waiting: 1 }, NONE]);
  });

  test('waits for a worker once its time has come, and is delayed until then', async () => {
    const [now, later] = [newJob(), newJob()];
    const sent = (job: OperationJob, afterSeconds: number) =>
      seen(shop, (tx) => core.queue.sendOperation(tx, job, { afterSeconds }));
    const states = [];
    for (const id of [await sent(now, 0), await sent(later, 60)])
      states.push((await seen(shop, (tx) => findJob(tx, shop.customerId, id)))?.state);
    expect(states).toEqual(['waiting', 'delayed']);
    const counts = await seen(shop, (tx) => countJobs(tx, shop.customerId));
    expect(counts).toEqual({ ...NONE, waiting: 1, delayed: 1 });
  });
});

describe('63 the line of jobs', () => {
  const sendFor = (job: OperationJob, urgency?: Urgency) =>
    core.database.withCustomer(job.customerId, (tx) => core.queue.sendOperation(tx, job, urgency ? { urgency } : {}));

  test('has whoever waits before what is done again, that before the schedule, and all before a second one of anybody', async () => {
    const third = await installShop(core);
    const [first, second] = [newJob(), newJob()];
    const [again, scheduled] = [newJob(otherShop), newJob(third)];
    await sendFor(first);
    await sendFor(second);
    await sendFor(again, 'again');
    await sendFor(scheduled, 'schedule');
    const [a, b, c, d] = await prioritiesOf([first, again, scheduled, second]);
    expect([a, b, c, d]).toEqual([2, 1, 0, -1]);
    const order: string[] = [];
    await withWorker(async (queue) => {
      await queue.workOperations(1, async ({ operationId }) => void order.push(operationId));
      await until(
        async () => order.length,
        (length) => length === 4,
      );
    });
    expect(order).toEqual([first, again, scheduled, second].map(({ operationId }) => operationId));
  });

  test('of one customer keeps the order in which they were sent, also once it has moved on', async () => {
    const jobs = [newJob(), newJob(), newJob(), newJob()] as const;
    for (const job of jobs) await sendFor(job);
    const isDone =
      "UPDATE pgboss.job SET state = 'completed' WHERE name = 'operations' AND data ->> 'operationId' = $1";
    for (const { operationId } of jobs.slice(0, 2)) await sql(testDatabase.adminUrl, isDone, [operationId]);
    const later = newJob();
    await sendFor(later);
    expect(await prioritiesOf([...jobs.slice(2), later])).toEqual([-4, -7, -10]);
  });

  test('has a job that failed behind whoever waits, and no further back than it was', async () => {
    const [failing, behind] = [newJob(), newJob()];
    await sendFor(failing);
    await sendFor(behind);
    await withWorker(async (queue) => {
      const tried = new Set<string>();
      await queue.workOperations(1, async ({ operationId }) => {
        if (tried.size < tried.add(operationId).size) throw new Error('an outage');
      });
      for (const job of [failing, behind])
        await until(
          () => jobsOf(job),
          ([row]) => row?.state === 'completed' && row.retry_count === 1,
        );
    });
    expect(await prioritiesOf([failing, behind])).toEqual([1, -1]);
  });
});

describe('operations of one customer at once', () => {
  /** Two processes' worth of queues and databases: nothing in memory is shared. */
  const withTwo = async (work: (cores: readonly [Core, Core]) => Promise<void>) => {
    const cores = [await openCore(testDatabase), await openCore(testDatabase)] as const;
    try {
      await work(cores);
    } finally {
      for (const each of cores) await each.close();
    }
  };

  test('are never more than the number over two processes, and each gets its turn without losing a retry', async () => {
    const crowded = await installShop(core);
    const all: Operation[] = [];
    for (let n = 0; n < 6; n++)
      all.push(await queuedOperation(core, crowded, { base: `https://shop${n}.example.com` }));
    let [running, most, busy] = [0, 0, 0];
    await withTwo(async (cores) => {
      for (const each of cores)
        await each.queue.workOperations(
          4,
          async (job, signal) => {
            const lease = await takeLease({ ...each, atOnce: 2 }, job, signal).catch((error: unknown) => {
              if (error instanceof CountersignError && error.code === 'customer_busy') busy++;
              throw error;
            });
            most = Math.max(most, ++running);
            lease?.release();
            // As many as may run hold their places until another one has been turned away.
            await vi.waitUntil(() => busy > 0 && most >= 2, { timeout: 30_000, interval: 20 });
            running--;
            const entry = { kind: 'operation.cancelled' } as const;
            const { operationId } = job;
            await each.database.withCustomer(job.customerId, (tx) =>
              each.mover.move(tx, job.customerId, { operationId, from: ['in_progress'], to: 'cancelled', entry }),
            );
          },
          // pg-boss lets more through than may run, as it does where two workers look at the same moment.
          4,
        );
      const unfinished = () =>
        sql(
          testDatabase.adminUrl,
          "SELECT FROM pgboss.job WHERE name = 'operations' AND state <> 'completed' AND group_id = $1",
          [crowded.customerId],
        );
      await until(unfinished, ({ length }) => length === 0);
    });
    expect(most).toBe(2);
    expect(busy).toBeGreaterThan(0);
    for (const operation of all) {
      expect((await look(core, operation)).state).toBe('cancelled');
      const [row] = await sql<{ left: number }>(
        testDatabase.adminUrl,
        "SELECT retry_limit - retry_count AS left FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1",
        [operation.id],
      );
      expect(row?.left).toBe(QUEUES.find(({ name }) => name === OPERATIONS_QUEUE)?.options.retryLimit);
    }
  }, 120_000);

  test('count those alone that are under way: who waits for a person leaves the place to others', async () => {
    const waiting = await installShop(core);
    const [one, two] = [await queuedOperation(core, waiting), await queuedOperation(core, waiting)];
    const lease = (operation: Operation) => {
      const job = { customerId: operation.customerId, operationId: operation.id };
      return takeLease({ ...core, atOnce: 1 }, job, new AbortController().signal);
    };
    (await lease(one))?.release();
    const jobs = [one, two].map(({ customerId, id: operationId }) => ({ customerId, operationId }));
    const last = "UPDATE pgboss.job SET priority = -90 WHERE name = 'operations' AND data ->> 'operationId' = $1";
    await sql(testDatabase.adminUrl, last, [one.id]);
    await expect(lease(two)).rejects.toMatchObject({ code: 'customer_busy' });
    // Whose worker is lost does not wait behind those who wait for its place.
    expect(await prioritiesOf(jobs)).toEqual([3, -1]);
    (await lease(one))?.release(); // it is taken over, and takes no second place
    const { customerId, id: operationId } = one;
    const entry = { kind: 'question.asked', stepNumber: 1 } as const;
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, { operationId, from: ['in_progress'], to: 'waiting_for_human', entry }),
    );
    const taken = await lease(two);
    taken?.release();
    expect(taken).toBeDefined();
  });
});

describe('a worker', () => {
  test('gets ids, as they were sent, once', async () => {
    await withWorker(async (queue) => {
      const got: OperationJob[] = [];
      await queue.workOperations(2, async ({ jobId: _, ...ids }) => {
        got.push(ids);
      });
      const jobs = [newJob(), newJob(), newJob()];
      for (const job of jobs) await send(job);
      for (const job of jobs)
        await until(
          () => jobsOf(job),
          ([row]) => row?.state === 'completed',
        );
      const ours = got.filter(({ operationId }) => jobs.some((job) => job.operationId === operationId));
      expect(ours.sort(byId)).toEqual([...jobs].sort(byId));
    });
  });

  const byId = (a: OperationJob, b: OperationJob) => a.operationId.localeCompare(b.operationId);

  test('that fails gets the job again', async () => {
    await withWorker(async (queue) => {
      const job = newJob();
      let tries = 0;
      await queue.workOperations(1, async ({ operationId }) => {
        if (operationId === job.operationId && ++tries < 3) throw new Error('an outage');
      });
      await send(job);
      const [row] = await until(
        () => jobsOf(job),
        ([found]) => found?.state === 'completed',
      );
      expect([tries, row?.retry_count]).toEqual([3, 2]);
    });
  });

  test('does as many at a time as it was told, and no more', async () => {
    await withWorker(async (queue) => {
      let [running, most] = [0, 0];
      let go = () => {};
      const both = new Promise<void>((resolve) => {
        go = resolve;
      });
      await queue.workOperations(2, async () => {
        most = Math.max(most, ++running);
        if (running === 2) go();
        await both;
        running--;
      });
      const jobs = [newJob(), newJob(otherShop), newJob(), newJob(otherShop)];
      for (const job of jobs) await send(job);
      for (const job of jobs)
        await until(
          () => jobsOf(job),
          ([row]) => row?.state === 'completed',
        );
      expect(most).toBe(2);
    });
  });

  test("has a place for a customer's only job, however many jobs another customer has", async () => {
    await withWorker(async (queue) => {
      const done = Promise.withResolvers<void>();
      const got: OperationJob[] = [];
      const run = async (job: OperationJob) => {
        // Both workers may begin one at the same moment: what holds them to the number is the place, as in the product.
        const isBusy =
          job.customerId === shop.customerId && got.some(({ customerId }) => customerId === shop.customerId);
        if (isBusy && !isOver) throw new CountersignError('customer_busy', 'one is under way', { isRetryable: true });
        got.push(job);
        if (job.customerId === shop.customerId) await done.promise;
      };
      let isOver = false;
      await queue.workOperations(2, run, 1);
      const [many, only] = [Array.from({ length: 6 }, () => newJob()), newJob(otherShop)];
      try {
        for (const job of [...many, only]) await send(job);
        await until(
          () => jobsOf(only),
          ([row]) => row?.state === 'completed',
        );
        expect(got.filter(({ customerId }) => customerId === shop.customerId)).toHaveLength(1);
      } finally {
        isOver = true;
        done.resolve();
      }
      for (const job of many)
        await until(
          () => jobsOf(job),
          ([row]) => row?.state === 'completed',
        );
    });
  });

  test("does what is due for other customers although one customer's can not be done", async () => {
    const [poison, ...good] = [newJob(), newJob(otherShop), newJob(otherShop)] as const;
    for (const job of [poison, ...good])
      await core.database.withCustomer(job.customerId, (tx) => core.queue.sendDeadline(tx, job, new Date()));
    const done: OperationJob[] = [];
    await withWorker(async (queue) => {
      await queue.workDeadlines(async (job) => {
        if (job.operationId === poison.operationId) throw new Error('it can not be read');
        done.push(job);
      });
      await until(
        () => jobsOf(poison),
        ([row]) => row?.state === 'retry',
      );
    });
    expect(done.toSorted(byId)).toEqual(good.toSorted(byId));
    for (const job of good) expect(await jobsOf(job)).toMatchObject([{ state: 'completed', retry_count: 0 }]);
  });

  test('that stops waits for the job at hand, and takes no other', async () => {
    const [first, second] = [newJob(), newJob()];
    const seen: string[] = [];
    const finished = new EventTarget();
    await withWorker(async (queue) => {
      let began = () => {};
      const isBegun = new Promise<void>((resolve) => {
        began = resolve;
      });
      await queue.workOperations(1, async ({ operationId }) => {
        seen.push(operationId);
        began();
        await once(finished, 'go');
      });
      await send(first);
      await isBegun;
      await send(second);
      const stopped = queue.stop(20_000);
      finished.dispatchEvent(new Event('go'));
      await stopped;
    });
    expect(seen).toEqual([first.operationId]);
    expect((await jobsOf(first))[0]?.state).toBe('completed');
    expect((await jobsOf(second))[0]?.state).toBe('created');
  });

  test('is not handed what is no job of ours: more than ids, or ids of another shape', async () => {
    const boss = new PgBoss({
      connectionString: testDatabase.programUrl,
      schema: 'pgboss',
      migrate: false,
      createSchema: false,
      supervise: false,
      schedule: false,
    });
    await boss.start();
    const good = newJob();
    const bad: object[] = [
      { ...newJob(), password: 'x' },
      { ...newJob(), customerId: "x' OR true" },
      { ...newJob(), operationId: '../op-12345678' },
      {},
    ];
    const ids: (string | null)[] = [];
    for (const data of bad) ids.push(await boss.send(OPERATIONS_QUEUE, data, { retryLimit: 0 }));
    await boss.stop({ graceful: false });
    const got: OperationJob[] = [];
    await withWorker(async (queue) => {
      await queue.workOperations(4, async ({ jobId: _, ...ids }) => {
        got.push(ids);
      });
      await send(good);
      const states = () =>
        sql<{ state: string }>(testDatabase.adminUrl, 'SELECT state FROM pgboss.job WHERE id = ANY($1)', [ids]);
      await until(states, (rows) => rows.length === bad.length && rows.every(({ state }) => state === 'failed'));
      await until(
        () => jobsOf(good),
        ([row]) => row?.state === 'completed',
      );
    });
    expect(got).toEqual([good]);
  });
});

describe('63 a job without a retry left', () => {
  /** A worker that takes the job once more, for the last time, and fails. */
  const failForGood = (queue: Queue, { customerId, id }: Operation) =>
    sql(
      testDatabase.adminUrl,
      "UPDATE pgboss.job SET retry_count = retry_limit WHERE name = 'operations' AND data ->> 'operationId' = $1",
      [id],
    ).then(() =>
      queue.workOperations(1, async (job) => {
        const lease = await takeLease(core, job, new AbortController().signal);
        lease?.release();
        if (job.customerId === customerId) throw new Error('an outage');
      }),
    );

  test('ends its operation, which says what was left behind', async () => {
    const operation = await queuedOperation(core, shop);
    await withWorker(async (queue) => {
      await queue.workGivenUp((job, jobId) => endGivenUp(core, job, jobId));
      await failForGood(queue, operation);
      const ended = await until(
        () => look(core, operation),
        ({ state }) => state === 'failed',
      );
      expect(ended).toMatchObject({
        errorCode: 'given_up',
        errorMessage: expect.stringContaining('not tried any more'),
      });
    });
    expect((await kinds(core, operation)).slice(-2)).toEqual(['operation.started', 'operation.failed']);
  });

  test('says nothing about an operation that has another job by now, or is over', async () => {
    const operation = await queuedOperation(core, shop);
    const { customerId, id: operationId } = operation;
    await endGivenUp(core, { customerId, operationId }, newUuid());
    expect((await look(core, operation)).state).toBe('queued');
    const [job] = await jobsOf({ operationId });
    const entry = { kind: 'operation.cancelled' } as const;
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, { operationId, from: ['queued'], to: 'cancelled', entry }),
    );
    const before = await look(core, operation);
    await endGivenUp(core, { customerId, operationId }, job?.id ?? '');
    expect(await look(core, operation)).toEqual(before);
  });
});

describe('a deadline without a retry left', () => {
  const logged: object[] = [];
  const log = { ...silentLog, error: (fields: object, message: string) => void logged.push({ ...fields, message }) };

  /** Its time comes, and of all its tries only the last is left. */
  const lastTry = async ({ customerId, id: operationId }: Operation) => {
    const isOver = "UPDATE consent_requests SET expires_at = app.now() - interval '1 s' WHERE operation_id = $1";
    await sql(testDatabase.adminUrl, isOver, [operationId]);
    await sql(testDatabase.adminUrl, "DELETE FROM pgboss.job WHERE name = 'deadlines'");
    await core.database.withCustomer(customerId, (tx) =>
      core.queue.sendDeadline(tx, { customerId, operationId }, new Date()),
    );
    await sql(testDatabase.adminUrl, "UPDATE pgboss.job SET retry_count = retry_limit WHERE name = 'deadlines'");
  };
  /** Looks while the deadline has come and its last try fails. */
  const whileLate = (late: (queue: Queue) => Promise<unknown>) => {
    const queue = createQueue({ url: testDatabase.programUrl, log });
    return queue.start().then(async () => {
      try {
        await queue.workDeadlines(() => Promise.reject(new Error('an outage')));
        await late(queue);
      } finally {
        await queue.stop(5_000);
      }
    });
  };
  const ended = (operation: Operation) =>
    until(
      () => look(core, operation),
      ({ state }) => state !== 'awaiting_consent',
    );

  test('is kept late, and the log says so', async () => {
    const operation = await requestOperation(core, shop);
    await lastTry(operation);
    await whileLate(async (queue) => {
      await queue.workLateDeadlines(createLateDeadlines(core));
      expect(await ended(operation)).toMatchObject({ state: 'expired', errorMessage: 'Nobody approved it in time.' });
    });
    const { customerId, id: operationId } = operation;
    const message = 'a deadline was not kept in time: it is tried again';
    expect(logged).toContainEqual({ code: 'deadline_late', customerId, operationId, message });
  });

  test('ends its operation, which says so, where not even then it can be kept', async () => {
    const operation = await requestOperation(core, shop);
    await sql(
      testDatabase.adminUrl,
      `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
       CREATE TRIGGER refuse BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW
         WHEN (NEW.kind = 'operation.expired') EXECUTE FUNCTION public.refuse()`,
    );
    await lastTry(operation);
    await whileLate(async (queue) => {
      await queue.workLateDeadlines(createLateDeadlines(core));
      expect(await ended(operation)).toMatchObject({
        state: 'failed',
        errorCode: 'given_up',
        errorMessage: 'Nobody approved it in time, and closing it failed again and again. Nothing was done.',
        request: { decision: 'cancelled' },
      });
    });
    expect((await kinds(core, operation)).at(-1)).toBe('operation.failed');
    await sql(testDatabase.adminUrl, 'DROP FUNCTION public.refuse() CASCADE');
  });
});

test('the queues are there as they are described, made by the migration', async () => {
  const rows = await sql(
    testDatabase.adminUrl,
    'SELECT name, notify, heartbeat_seconds, expire_seconds, retry_limit, retry_delay, deletion_seconds, dead_letter FROM pgboss.queue WHERE name = ANY($1) ORDER BY name DESC',
    [QUEUES.map(({ name }) => name)],
  );
  expect(rows).toEqual(
    QUEUES.toSorted((a, b) => (a.name < b.name ? 1 : -1))
      .map(({ name, options }) => ({
        name,
        notify: options.notify,
        heartbeat_seconds: options.heartbeatSeconds ?? null,
        expire_seconds: options.expireInSeconds,
        retry_limit: options.retryLimit,
        retry_delay: options.retryDelay,
        deletion_seconds: options.deleteAfterSeconds,
        dead_letter: options.deadLetter ?? null,
      }))
      .toSorted((a, b) => (a.name < b.name ? 1 : -1)),
  );
});

test('what goes by the clock is on the schedule, and its job does the work; a checkpoint is due sooner where somebody asks for it', async () => {
  const done: string[] = [];
  const queue = createQueue({ url: testDatabase.programUrl, log: silentLog });
  await queue.start();
  const boss = new PgBoss({
    connectionString: testDatabase.programUrl,
    schema: 'pgboss',
    migrate: false,
    createSchema: false,
  });
  try {
    await queue.workCheckpoints(async (customerId) => void done.push(customerId ?? 'checkpoints'));
    await queue.workRetention(async () => void done.push('retention'));
    expect(await sql(testDatabase.adminUrl, 'SELECT name, cron, timezone FROM pgboss.schedule ORDER BY name')).toEqual([
      { name: 'checkpoints', cron: '*/10 * * * *', timezone: 'UTC' },
      { name: 'retention', cron: '17 3 * * *', timezone: 'UTC' },
    ]);
    boss.on('error', () => {});
    await boss.start();
    for (const name of ['checkpoints', 'retention']) await boss.send(name);
    await queue.sendCheckpoint(shop.customerId);
    await until(
      async () => done,
      (seen) => new Set(seen).size === 3,
    );
    expect(done.toSorted()).toEqual([shop.customerId, 'checkpoints', 'retention'].toSorted());
  } finally {
    await boss.stop({ graceful: false });
    await queue.stop(5_000);
  }
});

test('the id of the job stands in its operation', async () => {
  const operation = await queuedOperation(core, shop);
  const [row] = await sql<{ job_id: string }>(
    testDatabase.adminUrl,
    'SELECT job_id FROM autonomous_operations WHERE id = $1',
    [operation.id],
  );
  const jobs = await sql<{ id: string }>(
    testDatabase.adminUrl,
    "SELECT id FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1",
    [operation.id],
  );
  expect(jobs).toEqual([{ id: row?.job_id }]);
});

test('upkeep is done once in each span, by one of the processes, and again in the next one', async () => {
  const [one, two] = [
    createQueue({ url: testDatabase.programUrl, log: silentLog }),
    createQueue({ url: testDatabase.programUrl, log: silentLog }),
  ];
  let runs = 0;
  const run = async () => {
    runs++;
  };
  try {
    for (const queue of [one, two]) {
      await queue.start();
      await queue.workUpkeep(3_600, run);
    }
    const jobs = () => sql<JobRow>(testDatabase.adminUrl, "SELECT * FROM pgboss.job WHERE name = 'upkeep'");
    const after = await until(jobs, (rows) => rows.some(({ state }) => state === 'completed') && rows.length > 1);
    expect(after.filter(({ state }) => state === 'completed')).toHaveLength(1);
    const [next, ...more] = after.filter(({ state }) => state === 'created');
    expect([runs, more]).toEqual([1, []]);
    expect(next?.data).toEqual({});
    expect(next?.start_after.getTime()).toBeGreaterThan(Date.now());
    await sql(testDatabase.adminUrl, "UPDATE pgboss.job SET start_after = app.now() WHERE state = 'created'");
    await until(jobs, (rows) => rows.filter(({ state }) => state === 'completed').length === 2);
    expect(runs).toBe(2);
  } finally {
    for (const queue of [one, two]) await queue.stop(5_000);
  }
});
