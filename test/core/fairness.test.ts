import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { newOperationId } from '../../core/ids.ts';
import type { OperationJob } from '../../core/queue/queues.ts';
import { type Core, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/** A customer who floods the queue, with worker processes of their own. */
const PROGRAM = join(import.meta.dirname, '..', 'support', 'queue-worker.ts');
const FLOOD = 1_000;
const HOLD_MS = 500;

let testDatabase: TestDatabase;
let core: Core;
let loud: Shop;
let louder: Shop;
let quiet: Shop;
const processes: ChildProcess[] = [];
const begun: { readonly customerId: string; readonly at: number }[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [loud, louder, quiet] = [await installShop(core), await installShop(core), await installShop(core)];
});
beforeEach(async () => {
  begun.splice(0);
  await sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job');
});
afterEach(async () => {
  for (const child of processes.splice(0)) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

/** Two worker processes of two jobs each. */
async function startWorkers(ofCustomer: number): Promise<void> {
  const settings = { url: testDatabase.programUrl, concurrency: 2, ofCustomer, holdMs: HOLD_MS };
  await Promise.all(
    [1, 2].map(async () => {
      const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      processes.push(child);
      const lines = createInterface({ input: child.stdout });
      const { promise, resolve } = Promise.withResolvers<void>();
      lines.on('line', (line) => {
        if (line === 'ready') resolve();
        else begun.push({ customerId: line.split(' ')[0] ?? '', at: performance.now() });
      });
      await promise;
    }),
  );
}

const newJob = ({ customerId }: Shop): OperationJob => ({ customerId, operationId: newOperationId() });

async function flood(shop: Shop, jobs: number): Promise<void> {
  const batch = 100; // a transaction has its time, too
  for (let sent = 0; sent < jobs; sent += batch)
    await core.database.withCustomer(shop.customerId, async (tx) => {
      for (let n = 0; n < batch; n++) await core.queue.sendOperation(tx, newJob(shop));
    });
}

/** How long the shop's only job waits, in ms from its commit. */
async function waitOf(shop: Shop): Promise<number> {
  await core.database.withCustomer(shop.customerId, (tx) => core.queue.sendOperation(tx, newJob(shop)));
  const sent = performance.now();
  const found = await vi.waitUntil(() => begun.find(({ customerId }) => customerId === shop.customerId), {
    timeout: 30_000,
    interval: 20,
  });
  return found.at - sent;
}

const beginnings = ({ customerId }: Shop) => begun.filter((each) => each.customerId === customerId).length;

test('a thousand jobs of one customer leave the other places free, and the only job of another one begins at once', async () => {
  await flood(loud, FLOOD);
  await startWorkers(2);
  await vi.waitUntil(() => beginnings(loud) >= 4, { timeout: 30_000 });
  expect(await waitOf(quiet)).toBeLessThan(2_000);
}, 120_000);

test('where floods have taken every place, the only job of another customer has the next one that is free', async () => {
  await flood(loud, FLOOD / 2);
  await flood(louder, FLOOD / 2);
  await startWorkers(2);
  await vi.waitUntil(() => beginnings(loud) >= 2 && beginnings(louder) >= 2, { timeout: 30_000 });
  // A place is free every half a second at the latest, and what is taken then waits two seconds for the next look at most.
  expect(await waitOf(quiet)).toBeLessThan(HOLD_MS + 2_000);
}, 120_000);
