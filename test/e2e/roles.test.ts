// One process of ROLE=bot and two of ROLE=worker on one database: each does its part and needs nothing of the other's.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createFileCheckpoints } from '../../adapters/checkpoints/index.ts';
import { readConfig } from '../../bot/config.ts';
import { connectionsOf } from '../../bot/database-connections.ts';
import { customerId as asCustomerId } from '../../core/ids.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { sql } from '../support/core.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { enterSignIn, follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';
import { type ProgramProcess, startProgram } from '../support/program-process.ts';
import { silentLog } from '../support/silent-log.ts';

let database: TestDatabase;
let shop: PracticeShop;
/** Of two keys for one shop the later one takes the place of the other. */
let otherShop: PracticeShop;
let folder: string;
let demo: TestDemo;
let people: People;
const workers: ProgramProcess[] = [];
const botSaid: string[] = [];
const say = (_: object, words: string) => void botSaid.push(words);
const botLog = { ...silentLog, info: say, warn: say };
const aboutWorkers = () => botSaid.filter((words) => words.includes('ROLE=worker'));

/** What all processes of one installation have in common. */
function common(): Record<string, string> {
  return {
    DATABASE_URL: database.programUrl,
    ENCRYPTION_KEY: key,
    CHECKPOINT_DIR: join(folder, 'checkpoints'),
    ALLOW_PRIVATE_TARGETS: [shop, otherShop].map(({ origin }) => new URL(origin).host).join(','),
    OPERATIONS_AT_ONCE: '2',
  };
}
const key = randomBytes(32).toString('base64');

const startWorker = () => {
  const worker = startProgram({
    ...common(),
    ...{ ROLE: 'worker', WORKER_CONCURRENCY: '1', CHECKPOINT_DIR: join(folder, 'of-a-worker') },
  });
  workers.push(worker);
  return worker;
};

const heard = (worker: ProgramProcess | undefined, words: RegExp) =>
  vi.waitUntil(() => worker?.log.find(({ msg }) => words.test(msg)), { timeout: RUN_MS, interval: 50 });

const keysOf = (id: string) =>
  [...shop.keys(), ...otherShop.keys()].filter(({ description, isRevoked }) => description.includes(id) && !isRevoked);

beforeAll(async () => {
  database = await createEmptyDatabase();
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  otherShop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  folder = mkdtempSync(join(tmpdir(), 'countersign-roles-'));
});

afterAll(async () => {
  await people?.close();
  for (const worker of workers) worker.terminate();
  for (const worker of workers) await worker.ended();
  await demo?.remove();
  await shop?.close();
  await otherShop?.close();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

test(
  'a worker that is started first waits for the process that migrates, which is the only one',
  async () => {
    const worker = startWorker();
    const waiting = await heard(worker, /^waiting for the database$/);
    expect(waiting).toMatchObject({ lack: expect.stringContaining('start one process with DATABASE_OWNER_URL') });
    const own = { ROLE: 'bot', DATABASE_OWNER_URL: database.ownerUrl, CHROMIUM_PATH: '/nowhere/chromium' };
    demo = await startTestDemo({ env: { ...common(), ...own }, log: botLog });
    await worker.url();
    const migrated = await sql<{ n: number }>(
      database.adminUrl,
      'SELECT count(*)::int AS n FROM _prisma_migrations WHERE finished_at IS NOT NULL',
    );
    expect(migrated[0]?.n).toBeGreaterThan(10);
    expect(worker.log.map(({ msg }) => msg)).not.toContain('database migrated');
  },
  RUN_MS,
);

test(
  'both workers run an operation at the same time, and the bot shows each thread how it ended',
  async () => {
    await startWorker().url();
    people = await openPeople(demo.chatUrl);
    await appoint(demo, ['approver']);
    const threads: string[] = [];
    const forms: Page[] = [];
    for (const { origin, username, password } of [shop, otherShop]) {
      threads.push(await people.begin('Merchant', `set up WooCommerce for ${origin}`));
      await press(people.page('Approver'), 'Approve');
      const form = await follow(people.page('Merchant'), 'Open the one-time page');
      await form.getByRole('textbox', { name: 'User name or e-mail address' }).fill(username);
      await form.getByLabel('Password', { exact: true }).fill(password);
      forms.push(form);
    }
    for (const form of forms) await form.getByRole('button', { name: 'Send it to the vault' }).click();
    for (const thread of threads) {
      await people.open(thread);
      await seen(people.page('Merchant'), 'Done in', 2 * RUN_MS);
      expect(keysOf(await operationIdIn(people.page('Merchant')))).toHaveLength(1);
    }
    const both = 'SELECT max(started_at) < min(completed_at) AS overlap FROM autonomous_operations';
    expect(await demo.sql(both)).toEqual([{ overlap: true }]); // each takes one at a time
  },
  6 * RUN_MS,
);

test('a bot signs where the trail stands once a worker has ended an operation, and keeps that in its own folder', async () => {
  const ended = async () => {
    const [row] = await demo.sql(
      `SELECT customer_id AS "customerId", max(seq)::text AS seq FROM autonomous_operations_audit
       WHERE kind = 'operation.completed' GROUP BY 1`,
    );
    return z.object({ customerId: z.uuid(), seq: z.string() }).parse(row);
  };
  const { customerId, seq } = await ended();
  const notes = () => createFileCheckpoints({ dir: join(folder, 'checkpoints') }).read(asCustomerId(customerId));
  const isSigned = async () => (await notes()).some((note) => Number(note.split('\n')[1]) >= Number(seq));
  await vi.waitUntil(isSigned, { timeout: 30_000, interval: 50 });
  expect(existsSync(join(folder, 'of-a-worker'))).toBe(false);
});

test('no process has more connections than it says', async () => {
  const rows = await sql<{ name: string; n: number }>(
    database.adminUrl,
    'SELECT usename AS name, count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1',
  );
  const most = (role: string) => connectionsOf(readConfig({ ROLE: role, WORKER_CONCURRENCY: '1' })).all;
  expect(rows.find(({ name }) => name === 'countersign')?.n).toBeLessThanOrEqual(most('bot') + 2 * most('worker'));
  expect(rows.map(({ name }) => name)).not.toContain('countersign_owner');
});

test(
  'a worker that is told to end is not ready any more, and what it does not finish in time the next one does',
  async () => {
    const [first, second] = workers;
    second?.terminate();
    expect(await second?.ended()).toMatchObject({ code: 0 });
    const url = (await first?.url()) ?? '';
    const status = async (path: string) => (await fetch(`${url}${path}`)).status;
    expect([await status('/healthz'), await status('/readyz'), await status('/connect/x')]).toEqual([200, 200, 404]);
    await people.begin('Merchant', `set up WooCommerce for ${shop.origin}`);
    await press(people.page('Approver'), 'Approve');
    await enterSignIn(people.page('Merchant'), { user: shop.username, password: shop.password });
    const begun = "SELECT 1 FROM autonomous_operations WHERE status = 'in_progress' AND current_step > 1";
    await vi.waitUntil(async () => (await demo.sql(begun)).length > 0, { timeout: RUN_MS, interval: 50 });
    first?.terminate();
    await vi.waitUntil(async () => (await status('/readyz')) === 503, { timeout: 20_000, interval: 20 });
    expect(await status('/healthz')).toBe(200);
    expect(await first?.ended()).toMatchObject({ code: 0 });
    await vi.waitUntil(() => /^no process with ROLE=worker/.test(aboutWorkers().at(-1) ?? ''), {
      timeout: 60_000,
      interval: 50,
    });
    await startWorker().url();
    await seen(people.page('Merchant'), 'Done in', 2 * RUN_MS);
    expect(keysOf(await operationIdIn(people.page('Merchant')))).toHaveLength(1);
  },
  6 * RUN_MS,
);
