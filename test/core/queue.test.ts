import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { newUuid } from '../../core/ids.ts';
import { createLateDeadlines } from '../../core/operations/deadlines.ts';
import { endGivenUp } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { countJobs, findJob } from '../../core/queue/jobs.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import { type OperationJob, QUEUES, type Urgency } from '../../core/queue/queues.ts';
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
import { type JobRow, jobsOf, newJob, PATIENCE_MS, prioritiesOf, send, until, withWorker } from '../support/jobs.ts';
import { silentLog } from '../support/silent-log.ts';

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

describe('a job', () => {
  test('is there with the commit that makes it true, and not before', async () => {
    const job = newJob(shop);
    const id = await core.database.withCustomer(job.customerId, async (tx) => {
      const sent = await core.queue.sendOperation(tx, job);
      expect(await jobsOf(testDatabase, job)).toEqual([]);
      return sent;
    });
    expect(await jobsOf(testDatabase, job)).toMatchObject([{ id, state: 'created', data: job }]);
  });

  test('is not there when its transaction was rolled back', async () => {
    const job = newJob(shop);
    const rolledBack = core.database.withCustomer(job.customerId, async (tx) => {
      await core.queue.sendOperation(tx, job);
      await core.queue.sendDeadline(tx, job, new Date());
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await jobsOf(testDatabase, job)).toEqual([]);
  });

  test('for later waits for its time', async () => {
    const job = newJob(shop);
    const at = new Date(Date.now() + 900_000);
    await core.database.withCustomer(job.customerId, (tx) => core.queue.sendDeadline(tx, job, at));
    expect(await jobsOf(testDatabase, job)).toMatchObject([{ state: 'created', start_after: at }]);
  });
});

describe('a job as its customer sees it', () => {
  const seen = <T>({ customerId }: Shop, read: (tx: Transaction) => Promise<T>) =>
    core.database.withCustomer(customerId, read);
  const NONE = { waiting: 0, active: 0, completed: 0, failed: 0, delayed: 0, paused: 0 };

  test('is nobody else’s, by its id or in numbers', async () => {
    const job = newJob(shop);
    const id = await send(core, job);
    const found = (whose: Shop) => seen(whose, (tx) => findJob(tx, whose.customerId, id));
    expect(await found(shop)).toMatchObject({ id, operationId: job.operationId, state: 'waiting', attempts: 0 });
    expect(await found(otherShop)).toBeUndefined();
    const counts = (whose: Shop) => seen(whose, (tx) => countJobs(tx, whose.customerId));
    expect([await counts(shop), await counts(otherShop)]).toEqual([{ ...NONE, waiting: 1 }, NONE]);
  });

  test('waits for a worker once its time has come, and is delayed until then', async () => {
    const [now, later] = [newJob(shop), newJob(shop)];
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
    const [first, second] = [newJob(shop), newJob(shop)];
    const [again, scheduled] = [newJob(otherShop), newJob(third)];
    await sendFor(first);
    await sendFor(second);
    await sendFor(again, 'again');
    await sendFor(scheduled, 'schedule');
    const [a, b, c, d] = await prioritiesOf(testDatabase, [first, again, scheduled, second]);
    expect([a, b, c, d]).toEqual([2, 1, 0, -1]);
    const order: string[] = [];
    await withWorker(testDatabase, async (queue) => {
      await queue.workOperations(1, async ({ operationId }) => void order.push(operationId));
      await until(
        async () => order.length,
        (length) => length === 4,
      );
    });
    expect(order).toEqual([first, again, scheduled, second].map(({ operationId }) => operationId));
  });

  test('of one customer keeps the order in which they were sent, also once it has moved on', async () => {
    const jobs = [newJob(shop), newJob(shop), newJob(shop), newJob(shop)] as const;
    for (const job of jobs) await sendFor(job);
    const isDone =
      "UPDATE pgboss.job SET state = 'completed' WHERE name = 'operations' AND data ->> 'operationId' = $1";
    for (const { operationId } of jobs.slice(0, 2)) await sql(testDatabase.adminUrl, isDone, [operationId]);
    const later = newJob(shop);
    await sendFor(later);
    expect(await prioritiesOf(testDatabase, [...jobs.slice(2), later])).toEqual([-4, -7, -10]);
  });

  test('has a job that failed behind whoever waits, and no further back than it was', async () => {
    const [failing, behind] = [newJob(shop), newJob(shop)];
    await sendFor(failing);
    await sendFor(behind);
    await withWorker(testDatabase, async (queue) => {
      const tried = new Set<string>();
      await queue.workOperations(1, async ({ operationId }) => {
        if (tried.size < tried.add(operationId).size) throw new Error('an outage');
      });
      for (const job of [failing, behind])
        await until(
          () => jobsOf(testDatabase, job),
          ([row]) => row?.state === 'completed' && row.retry_count === 1,
        );
    });
    expect(await prioritiesOf(testDatabase, [failing, behind])).toEqual([1, -1]);
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
    await withWorker(testDatabase, async (queue) => {
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
    const [job] = await jobsOf(testDatabase, { operationId });
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
