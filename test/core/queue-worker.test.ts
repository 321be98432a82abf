import { once } from 'node:events';
import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../core/errors.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { OPERATIONS_QUEUE, type OperationJob, QUEUES } from '../../core/queue/queues.ts';
import { type Core, installShop, look, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { jobsOf, newJob, PATIENCE_MS, prioritiesOf, send, until, withWorker } from '../support/jobs.ts';

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

describe('a worker', () => {
  test('gets ids, as they were sent, once', async () => {
    await withWorker(testDatabase, async (queue) => {
      const got: OperationJob[] = [];
      await queue.workOperations(2, async ({ jobId: _, ...ids }) => {
        got.push(ids);
      });
      const jobs = [newJob(shop), newJob(shop), newJob(shop)];
      for (const job of jobs) await send(core, job);
      for (const job of jobs)
        await until(
          () => jobsOf(testDatabase, job),
          ([row]) => row?.state === 'completed',
        );
      const ours = got.filter(({ operationId }) => jobs.some((job) => job.operationId === operationId));
      expect(ours.sort(byId)).toEqual([...jobs].sort(byId));
    });
  });

  const byId = (a: OperationJob, b: OperationJob) => a.operationId.localeCompare(b.operationId);

  test('that fails gets the job again', async () => {
    await withWorker(testDatabase, async (queue) => {
      const job = newJob(shop);
      let tries = 0;
      await queue.workOperations(1, async ({ operationId }) => {
        if (operationId === job.operationId && ++tries < 3) throw new Error('an outage');
      });
      await send(core, job);
      const [row] = await until(
        () => jobsOf(testDatabase, job),
        ([found]) => found?.state === 'completed',
      );
      expect([tries, row?.retry_count]).toEqual([3, 2]);
    });
  });

  test('does as many at a time as it was told, and no more', async () => {
    await withWorker(testDatabase, async (queue) => {
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
      const jobs = [newJob(shop), newJob(otherShop), newJob(shop), newJob(otherShop)];
      for (const job of jobs) await send(core, job);
      for (const job of jobs)
        await until(
          () => jobsOf(testDatabase, job),
          ([row]) => row?.state === 'completed',
        );
      expect(most).toBe(2);
    });
  });

  test("has a place for a customer's only job, however many jobs another customer has", async () => {
    await withWorker(testDatabase, async (queue) => {
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
      const [many, only] = [Array.from({ length: 6 }, () => newJob(shop)), newJob(otherShop)];
      try {
        for (const job of [...many, only]) await send(core, job);
        await until(
          () => jobsOf(testDatabase, only),
          ([row]) => row?.state === 'completed',
        );
        expect(got.filter(({ customerId }) => customerId === shop.customerId)).toHaveLength(1);
      } finally {
        isOver = true;
        done.resolve();
      }
      for (const job of many)
        await until(
          () => jobsOf(testDatabase, job),
          ([row]) => row?.state === 'completed',
        );
    });
  });

  test("does what is due for other customers although one customer's can not be done", async () => {
    const [poison, ...good] = [newJob(shop), newJob(otherShop), newJob(otherShop)] as const;
    for (const job of [poison, ...good])
      await core.database.withCustomer(job.customerId, (tx) => core.queue.sendDeadline(tx, job, new Date()));
    const done: OperationJob[] = [];
    await withWorker(testDatabase, async (queue) => {
      await queue.workDeadlines(async (job) => {
        if (job.operationId === poison.operationId) throw new Error('it can not be read');
        done.push(job);
      });
      await until(
        () => jobsOf(testDatabase, poison),
        ([row]) => row?.state === 'retry',
      );
    });
    expect(done.toSorted(byId)).toEqual(good.toSorted(byId));
    for (const job of good)
      expect(await jobsOf(testDatabase, job)).toMatchObject([{ state: 'completed', retry_count: 0 }]);
  });

  test('that stops waits for the job at hand, and takes no other', async () => {
    const [first, second] = [newJob(shop), newJob(shop)];
    const seen: string[] = [];
    const finished = new EventTarget();
    await withWorker(testDatabase, async (queue) => {
      let began = () => {};
      const isBegun = new Promise<void>((resolve) => {
        began = resolve;
      });
      await queue.workOperations(1, async ({ operationId }) => {
        seen.push(operationId);
        began();
        await once(finished, 'go');
      });
      await send(core, first);
      await isBegun;
      await send(core, second);
      const stopped = queue.stop(20_000);
      finished.dispatchEvent(new Event('go'));
      await stopped;
    });
    expect(seen).toEqual([first.operationId]);
    expect((await jobsOf(testDatabase, first))[0]?.state).toBe('completed');
    expect((await jobsOf(testDatabase, second))[0]?.state).toBe('created');
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
    const good = newJob(shop);
    const bad: object[] = [
      { ...newJob(shop), password: 'x' },
      { ...newJob(shop), customerId: "x' OR true" },
      { ...newJob(shop), operationId: '../op-12345678' },
      {},
    ];
    const ids: (string | null)[] = [];
    for (const data of bad) ids.push(await boss.send(OPERATIONS_QUEUE, data, { retryLimit: 0 }));
    await boss.stop({ graceful: false });
    const got: OperationJob[] = [];
    await withWorker(testDatabase, async (queue) => {
      await queue.workOperations(4, async ({ jobId: _, ...ids }) => {
        got.push(ids);
      });
      await send(core, good);
      const states = () =>
        sql<{ state: string }>(testDatabase.adminUrl, 'SELECT state FROM pgboss.job WHERE id = ANY($1)', [ids]);
      await until(states, (rows) => rows.length === bad.length && rows.every(({ state }) => state === 'failed'));
      await until(
        () => jobsOf(testDatabase, good),
        ([row]) => row?.state === 'completed',
      );
    });
    expect(got).toEqual([good]);
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
    expect(await prioritiesOf(testDatabase, jobs)).toEqual([3, -1]);
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
