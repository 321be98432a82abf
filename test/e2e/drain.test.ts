// A worker that is told to stop, as every deploy tells it, or that freezes: what becomes of the operation that it has.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Operation } from '../../core/operations/operation.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type Core, installShop, kinds, look, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const RUN_MS = 90_000;
const GENERATE_STEP = 9;

let database: TestDatabase;
let core: Core;
let shop: PracticeShop;
let customer: Shop;
const workers: WorkerProcess[] = [];
/** How long the shop takes for an admin page. */
let pageMs = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database);
  customer = await installShop(core);
  const latencyMs = (path: string) => (path.startsWith('/wp-admin/admin.php') ? pageMs : 0);
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false }, latencyMs });
});
afterEach(async () => {
  pageMs = 0;
  for (const worker of workers.splice(0)) await worker.remove();
});
afterAll(async () => {
  await shop.close();
  await core.close();
  await database.drop();
});

async function start(): Promise<WorkerProcess> {
  const worker = await startWorkerProcess(database, new URL(shop.origin).host);
  workers.push(worker);
  return worker;
}

const queued = () =>
  queuedOperation(
    core,
    customer,
    { origin: shop.origin, base: shop.origin },
    { admin_username: shop.username, admin_password: shop.password },
  );
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: RUN_MS, interval: 50 });
const isAtStep = (operation: Operation, step: number) =>
  until(async () => (await look(core, operation)).currentStep === step);
const keysOf = ({ id }: Operation) => shop.keys().filter(({ description }) => description.includes(id));
const jobOf = async ({ id }: Operation) => {
  const [job] = await sql<{ state: string; output: unknown }>(
    database.adminUrl,
    `SELECT state::text AS state FROM pgboss.job WHERE name = 'operations' AND data->>'operationId' = $1`,
    [id],
  );
  return job;
};
const signIns = () => shop.requests.filter(({ method, path }) => method === 'POST' && path === '/wp-login.php').length;

test(
  'SIGTERM lets the running step be finished, and hands the job back at once: another worker goes on from there',
  async () => {
    const before = signIns();
    const worker = await start();
    const operation = await queued();
    await isAtStep(operation, 4);
    pageMs = 3_000; // of the page that the sign-in leads to
    worker.signal('SIGTERM');
    const stoppedAt = performance.now();
    expect(await worker.ended).toBe(0);
    expect(performance.now() - stoppedAt).toBeLessThan(20_000);
    const left = await look(core, operation);
    expect(left.state).toBe('in_progress');
    expect(left.steps.map(({ state }) => state).filter((state) => state === 'running')).toEqual([]);
    expect(left.steps[3]).toMatchObject({ state: 'done' });
    expect(await jobOf(operation)).toEqual({ state: 'retry' }); // and not `active` until its heartbeat is missed
    pageMs = 0;
    await start();
    await until(async () => (await look(core, operation)).state === 'completed');
    expect(keysOf(operation)).toHaveLength(1);
    expect(signIns() - before).toBe(1);
    expect(await kinds(core, operation)).toContain('operation.taken_over');
  },
  4 * RUN_MS,
);

if (IS_WHOLE)
  test(
    'SIGTERM at a step that does not come to its end lets go of it in time, and nothing is made twice',
    async () => {
      const worker = await start();
      const operation = await queued();
      const hold = shop.holdGenerate();
      await isAtStep(operation, GENERATE_STEP);
      worker.signal('SIGTERM');
      const stoppedAt = performance.now();
      expect(await worker.ended).toBe(0);
      expect(performance.now() - stoppedAt).toBeLessThan(20_000);
      expect([await jobOf(operation), keysOf(operation)]).toEqual([{ state: 'retry' }, []]);
      hold.isHeld = false;
      await start();
      await until(async () => (await look(core, operation)).state === 'completed');
      expect(keysOf(operation)).toHaveLength(1);
    },
    4 * RUN_MS,
  );

test(
  'a second SIGTERM ends it at once',
  async () => {
    const worker = await start();
    const operation = await queued();
    const hold = shop.holdGenerate();
    await isAtStep(operation, GENERATE_STEP);
    await until(() => hold.asked > 0);
    const stoppedAt = performance.now();
    await until(() => {
      worker.signal('SIGTERM');
      return worker.isOver();
    });
    expect(performance.now() - stoppedAt).toBeLessThan(5_000); // and not after the 12 s that the step would be given
    expect(await worker.ended).toBe(1);
    expect(keysOf(operation)).toEqual([]);
    const { customerId, id: operationId } = operation;
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, {
        ...{ operationId, from: ['in_progress'], to: 'cancelled' }, // or the next worker would go on with it
        entry: { kind: 'operation.cancelled' },
      }),
    );
  },
  3 * RUN_MS,
);

/** Browsers that a process has started and that run, frozen or not. */
function browsersOf(pid: number): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      const [state, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return parent === String(pid) && state !== 'Z' && /chrom/.test(readFileSync(`/proc/${name}/cmdline`, 'latin1'));
    } catch {
      return false; // no process, or gone meanwhile
    }
  });
}

if (IS_WHOLE && process.platform === 'linux')
  test(
    'whoever takes over from a frozen one on the same machine ends its browser, and when it thaws it does nothing any more',
    async () => {
      const worker = await start();
      const operation = await queued();
      const hold = shop.holdGenerate();
      await isAtStep(operation, GENERATE_STEP);
      expect(browsersOf(worker.pid)).toHaveLength(1);
      worker.signal('SIGSTOP');
      await start(); // is given the job once the heartbeat is missed
      await until(() => browsersOf(worker.pid).length === 0);
      hold.isHeld = false;
      await until(async () => (await look(core, operation)).state === 'completed');
      const before = shop.requests.length;
      worker.signal('SIGCONT');
      worker.signal('SIGTERM');
      await worker.ended;
      expect(shop.requests.slice(before)).toEqual([]);
      expect(keysOf(operation)).toHaveLength(1);
    },
    4 * RUN_MS,
  );
