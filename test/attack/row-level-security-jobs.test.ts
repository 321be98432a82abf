// pg-boss's tables lie outside row level security: a job is a hint, believed in nothing, and holds ids alone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createRunner } from '../../core/operations/run.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import type { OperationJob } from '../../core/queue/queues.ts';
import { createSecretRegistry } from '../../core/redaction.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, click, kinds, look, queuedOperation, requestOperation, type Shop, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let core: Core;
let a: Shop;
let b: Shop;

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, core, a, b } = two);
});
beforeEach(() => sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job'));
afterAll(() => two.close());

interface JobRow {
  readonly name: string;
  readonly state: string;
  readonly data: unknown;
  readonly row: string;
}

const jobs = () =>
  sql<JobRow>(testDatabase.adminUrl, 'SELECT name, state, data, to_jsonb(j)::text AS row FROM pgboss.job j');

/** Works off whatever lies in the queues, as the program does but for the browser: none may be asked for. */
async function workOff(): Promise<{ readonly opened: number }> {
  let opened = 0;
  const open = async () => {
    opened++;
    throw new Error('a browser was asked for');
  };
  const runner = createRunner({
    ...core,
    browser: { open, close: async () => {} },
    http: { request: open },
    screenshots: { put: open, get: open },
    log: silentLog,
    secrets: createSecretRegistry(),
  });
  await withQueue(async (queue) => {
    await queue.workOperations(2, (job, signal) => runner.run(job, signal));
    await queue.workDeadlines(createDeadlines(core));
    await vi.waitUntil(async () => (await jobs()).every(({ state }) => state === 'completed'), {
      timeout: 30_000,
      interval: 50,
    });
  });
  return { opened };
}

async function withQueue<T>(work: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = createQueue({ url: testDatabase.programUrl, log: silentLog });
  await queue.start();
  try {
    return await work(queue);
  } finally {
    await queue.stop(5_000);
  }
}

/** The operation with everything that is on record of it. */
async function whole(operation: Operation) {
  return { operation: await look(core, operation), kinds: await kinds(core, operation) };
}

describe('30 a job of A that names an operation of B', () => {
  const send = (job: OperationJob) =>
    core.database.withCustomer(a.customerId, async (tx) => {
      await core.queue.sendOperation(tx, job);
      await core.queue.sendDeadline(tx, job, new Date());
    });

  test('finds nothing: no browser is opened, and B’s operation stays as it was', async () => {
    const [queued, waiting] = [await queuedOperation(core, b), await requestOperation(core, b)];
    await sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job');
    for (const operation of [queued, waiting]) {
      const before = await whole(operation);
      await send({ customerId: a.customerId, operationId: operation.id });
      expect(await workOff()).toEqual({ opened: 0 });
      expect(await whole(operation)).toEqual(before);
    }
    expect(await core.audit.verify(a.customerId)).toMatchObject({ isIntact: true });
  });

  test('and B itself, sent from inside A’s transaction, does nothing that B has not countersigned', async () => {
    const waiting = await requestOperation(core, b);
    await sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job');
    const before = await whole(waiting);
    const data = JSON.stringify({ customerId: b.customerId, operationId: waiting.id });
    await asCustomer(testDatabase.programUrl, a.customerId, (client) =>
      client.query("INSERT INTO pgboss.job (name, data) VALUES ('operations', $1), ('deadlines', $1)", [data]),
    );
    expect(await workOff()).toEqual({ opened: 0 });
    expect((await whole(waiting)).operation).toMatchObject({
      state: before.operation.state,
      fence: before.operation.fence,
    });
  });
});

describe('30 the tables of the queue', () => {
  test('hold ids and nothing else, whatever people wrote', async () => {
    const canary = `canary-${randomUUID()}`;
    const base = `https://${canary}.example.com`;
    await queuedOperation(core, b, { origin: base, base });
    const denied = await requestOperation(core, b, { origin: base, base });
    await core.consents.deny(b.customerId, click(denied, b.approver), `${canary} is my reason`);
    const rows = await jobs();
    expect(new Set(rows.map(({ name }) => name))).toEqual(new Set(['operations', 'deadlines']));
    for (const { data, row } of rows) {
      expect(data).toEqual({ customerId: b.customerId, operationId: expect.stringMatching(/^op-[0-9a-z]{8}$/) });
      expect(row).not.toMatch(/canary|example\.com|woocommerce|Mona|Abel/);
    }
  });

  test('keep no word of what a job failed with', async () => {
    const canary = `canary-${randomUUID()}`;
    await withQueue(async (queue) => {
      const fail = async () => {
        throw Object.assign(new Error(canary, { cause: new Error(canary) }), { request: canary });
      };
      await queue.workOperations(1, fail);
      await queue.workDeadlines(fail);
      const job = { customerId: a.customerId, operationId: two.ofA.id };
      await core.database.withCustomer(a.customerId, async (tx) => {
        await core.queue.sendOperation(tx, job);
        await core.queue.sendDeadline(tx, job, new Date());
      });
      const failures = "SELECT FROM pgboss.job WHERE output IS NOT NULL AND name = 'operations'";
      await vi.waitUntil(async () => (await sql(testDatabase.adminUrl, failures)).length > 0, { timeout: 20_000 });
      const late = "SELECT FROM pgboss.job WHERE output IS NOT NULL AND name = 'deadlines'";
      await vi.waitUntil(async () => (await sql(testDatabase.adminUrl, late)).length > 0, { timeout: 20_000 });
    });
    expect((await jobs()).map(({ row }) => row).filter((row) => row.includes('canary'))).toEqual([]);
  });

  test('have no word of people in any other table either', async () => {
    const tables = await sql<{ name: string }>(
      testDatabase.adminUrl,
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'pgboss' AND table_type = 'BASE TABLE'",
    );
    expect(tables.length).toBeGreaterThan(3);
    for (const { name } of tables) {
      const rows = await sql<{ row: string }>(
        testDatabase.adminUrl,
        `SELECT to_jsonb(t)::text AS row FROM pgboss.${name} t`,
      );
      expect(
        rows.filter(({ row }) => /canary|example\.com|Mona|Abel/.test(row)),
        name,
      ).toEqual([]);
    }
  });
});
