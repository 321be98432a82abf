import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Core, installShop, openCore, patiently, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const SHOPS = 4;
const LANES = 12;
const KILLS = 3;
const POINTS = 1_000;
const PROGRAM = join(import.meta.dirname, 'mover-process.ts');

test('47 killed or cut off at a thousand moments, a process leaves no effect without its entry, and no entry without its effect', async () => {
  const shops: Shop[] = [];
  for (let n = 0; n < SHOPS; n++) shops.push(await installShop(core));
  const operations: Operation[] = [];
  for (let n = 0; n < LANES; n++) operations.push(await inProgress(shops[n % SHOPS]));
  const before = await countAll();
  const lanes = operations.map(({ customerId, id }) => ({ customerId, operationId: id }));
  const input = JSON.stringify({ url: testDatabase.programUrl, lanes });
  let points = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const own = await ownConnections();
    const child = spawn(process.execPath, [PROGRAM, input], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    await Promise.race([once(child.stdout, 'data'), exit]);
    while (points < (POINTS * kill) / KILLS) {
      await after(Math.random() * 80); // the moment of the cut, which is to be any
      points += await cut(own);
    }
    await after(Math.random() * 80);
    expect(child.exitCode).toBeNull();
    child.kill('SIGKILL');
    points += LANES;
    await exit;
  }
  await allSettled();
  const counts = await countAll();
  expect(counts.moves - before.moves).toBe(counts.moveEntries - before.moveEntries);
  expect(counts.intents).toBe(counts.intentEntries);
  expect(counts.intents).toBeGreaterThan(LANES * KILLS - 1);
  expect(points).toBeGreaterThanOrEqual(POINTS);
  for (const { customerId } of shops) expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
}, 300_000);

/** Cuts every connection of the program that is inside a transaction. @returns how many were. */
async function cut(own: readonly number[]): Promise<number> {
  const rows = await sql(
    testDatabase.adminUrl,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = $1 AND usename = 'countersign' AND xact_start IS NOT NULL AND pid <> ALL ($2)`,
    [testDatabase.name, own],
  );
  return rows.length;
}

/** The connections of this test's own core. */
async function ownConnections(): Promise<readonly number[]> {
  const rows = await sql<{ pid: number }>(
    testDatabase.adminUrl,
    "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND usename = 'countersign'",
    [testDatabase.name],
  );
  return rows.map(({ pid }) => pid);
}

async function inProgress(shop: Shop | undefined): Promise<Operation> {
  if (!shop) throw new Error('no shop');
  const operation = await queuedOperation(core, shop);
  const { customerId, id: operationId } = operation;
  await core.database.withCustomer(customerId, (tx) =>
    core.mover.move(tx, customerId, {
      operationId,
      from: ['queued'],
      to: 'in_progress',
      set: { consentGiven: true },
      entry: { kind: 'operation.started' },
    }),
  );
  return operation;
}

/** The effects, and what the trail says of them. Every move takes a fence number. */
async function countAll() {
  const [row] = await sql<{ moves: number; intents: number; moveEntries: number; intentEntries: number }>(
    testDatabase.adminUrl,
    `SELECT (SELECT sum(fence)::int FROM autonomous_operations) AS moves,
       (SELECT count(*)::int FROM operation_intents) AS intents,
       (SELECT count(*)::int FROM autonomous_operations_audit WHERE kind = 'operation.taken_over') AS "moveEntries",
       (SELECT count(*)::int FROM autonomous_operations_audit WHERE kind = 'intent.written') AS "intentEntries"`,
  );
  if (!row) throw new Error('nothing was counted');
  return row;
}

/** The server rolls back what the dead left open as soon as it notices. */
async function allSettled(): Promise<void> {
  const open = `SELECT FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`;
  await vi.waitUntil(async () => (await sql(testDatabase.adminUrl, open, [testDatabase.name])).length === 0, {
    timeout: 30_000,
  });
}

test('48 a hundred appends at once, from two processes, leave no gap, no fork and no step back in time, and never look broken', async () => {
  const { customerId } = await installShop(core);
  const database = createDatabase({ url: testDatabase.programUrl, rootKeys: testRootKeys, poolSize: 10 });
  const there = { database, audit: createAudit({ database, sealer: core.sealer }) };
  let isDone = false;
  const watching = (async () => {
    const verdicts = [];
    while (!isDone) verdicts.push(await patiently(() => core.audit.verify(customerId)));
    return verdicts;
  })();
  try {
    const appends = Array.from({ length: 100 }, (_, n) => {
      const { database: door, audit } = n % 2 === 0 ? core : there;
      return patiently(() =>
        door.withCustomer(customerId, (tx) => audit.append(tx, customerId, { kind: 'rules.changed', payload: { n } })),
      );
    });
    const outcomes = await Promise.allSettled(appends);
    isDone = true;
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    const seqs = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [Number(outcome.value.seq)] : []));
    expect(seqs.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
  } finally {
    isDone = true;
    expect((await watching).filter((verdict) => !verdict.isIntact)).toEqual([]);
    await database.close();
  }
  expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 100 });
  const times = await sql<{ at: Date; prev: string }>(
    testDatabase.adminUrl,
    "SELECT at, encode(prev, 'hex') AS prev FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq",
    [customerId],
  );
  expect(times.map(({ at }) => at)).toEqual(times.map(({ at }) => at).toSorted((a, b) => a.getTime() - b.getTime()));
  expect(new Set(times.map(({ prev }) => prev)).size).toBe(100);
});
