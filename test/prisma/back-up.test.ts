// What docs/back-up-and-restore.md says, done: where PostgreSQL is installed with its commands, else by the rows themselves.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { createProgress, type Progress } from '../../bot/progress.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import type { OperationTypeDefinition, Service } from '../../core/services/service.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { countersign, type Keeper, keepTrails } from '../support/audit.ts';
import { madeConnection } from '../support/connections.ts';
import {
  type Core,
  cancel,
  connected,
  grant,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createEmptyDatabase, createTestDatabase } from '../support/database.ts';
import { type InstalledPostgres, startInstalledPostgres } from '../support/installed-postgres.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { TEST_ENCRYPTION_KEY, testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';

interface Place {
  readonly ownerUrl: string;
  readonly programUrl: string;
  readonly adminUrl: string;
}

let installed: InstalledPostgres | undefined;
let folder: string;
const ending: (() => unknown)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'back-up-'));
  installed = await startInstalledPostgres();
}, 120_000);

afterAll(async () => {
  for (const end of ending.reverse()) await end();
  installed?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A database that is migrated, on the server that will be dumped. */
async function original(): Promise<Place> {
  if (!installed) return createTestDatabase();
  const { socketDir, url } = installed;
  const server = { socketDir, url, isAdopted: false, stop: async () => {} };
  const urls = await prepareRoles(server, { database: 'countersign' });
  await migrate({ ...urls, rootKeys: testRootKeys });
  return { ...urls, adminUrl: url(ADMIN_ROLE, 'countersign') };
}

/** The blocks of the page under this heading, but for what npm is asked to do. */
function commandsOf(heading: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/back-up-and-restore.md'), 'utf8');
  const [, section = ''] = page.split(`## ${heading}\n`);
  const blocks = [...(section.split('\n## ')[0] ?? '').matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  return blocks.filter((block) => !block.includes('npm run')).join('');
}

function runCommands({ binDir, socketDir }: InstalledPostgres, heading: string): void {
  const places = { BACKUP: join(folder, 'backup'), KEYS: join(folder, 'keys'), CHECKPOINT_DIR: join(folder, 'live') };
  const names = { DATABASE: 'countersign', RESTORED: 'countersign_restored' };
  const { status, stderr } = spawnSync('bash', ['-euc', commandsOf(heading)], {
    encoding: 'utf8',
    env: { PATH: `${binDir}:/usr/bin:/bin`, PGHOST: socketDir, PGUSER: ADMIN_ROLE, ...places, ...names },
  });
  if (status !== 0) throw new Error(`${heading} ended with ${status}: ${stderr}`);
}

type Rows = ReadonlyMap<string, readonly string[]>;
const TABLES = `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname IN ('public', 'sec', 'pgboss') ORDER BY 1`;

async function rowsOf({ adminUrl }: Place): Promise<Rows> {
  const rows = new Map<string, readonly string[]>();
  for (const { name } of await sql<{ name: string }>(adminUrl, TABLES))
    rows.set(
      name,
      (await sql<{ row: string }>(adminUrl, `SELECT to_jsonb(t)::text AS row FROM ${name} t`)).map(({ row }) => row),
    );
  return rows;
}

async function intoEmpty(rows: Rows): Promise<Place> {
  const place = await createEmptyDatabase();
  await migrate({ ownerUrl: place.ownerUrl, rootKeys: testRootKeys });
  await connected(place.adminUrl, async (client) => {
    await client.query("SET session_replication_role = 'replica'");
    for (const [table, all] of rows) {
      await client.query(`DELETE FROM ${table}`);
      for (const row of all)
        await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, $1)`, [row]);
    }
  });
  return place;
}

/** Backs up, and gives the way to restore it into an empty database. */
async function backUp(place: Place): Promise<() => Promise<Place>> {
  for (const name of ['backup', 'keys']) mkdirSync(join(folder, name), { recursive: true });
  const server = installed;
  if (!server) {
    cpSync(join(folder, 'live'), join(folder, 'backup/checkpoints'), { recursive: true });
    const rows = await rowsOf(place);
    return () => intoEmpty(rows);
  }
  runCommands(server, 'Back up');
  return async () => {
    runCommands(server, 'Restore');
    const url = (role: string) => server.url(role, 'countersign_restored');
    return { ownerUrl: url('countersign_owner'), programUrl: url('countersign'), adminUrl: url(ADMIN_ROLE) };
  };
}

async function open(place: Place, checkpoints: string): Promise<{ core: Core; keeper: Keeper; progress: Progress }> {
  const core = await openCore(place);
  const keeper = keepTrails(core, { dir: join(folder, checkpoints) });
  const progress = createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: (_, id) => id });
  ending.push(() => core.close());
  return { core, keeper, progress };
}

const chat = createRecordingChat();
const summaries = () => chat.shown().map(({ summary }) => summary);

test('a dump restored with the keys into an empty database opens what was sealed, verifies, and has threads say what is true', async () => {
  const place = await original();
  const { core, keeper, progress } = await open(place, 'live');
  const shop: Shop = await installShop(core);
  const { customerId, threadId } = shop;
  await core.vault.store(customerId, 'stripe', 'api_key', { value: 'sealed before the dump' });
  const over = await requestOperation(core, shop);
  await cancel(core, over);
  const inUse = await madeConnection(core, shop);
  const [asked, queued] = [await requestOperation(core, shop), await queuedOperation(core, shop)];
  const request = (service: Service, type: OperationTypeDefinition, base: string) =>
    requestOperation(core, shop, { service, type, origin: base, base, permissions: defaultPermissions(type) });
  const tried = await request(woocommerce, woocommerce.operationTypes.integration_test, inUse.plan.base);
  expect(tried.plan.label).toBe(inUse.plan.label);
  const other = await request(stripe, stripe.operationTypes.api_key_generation, stripe.home);
  const secondName = `${queued.plan.label} 2`;
  await core.database.withCustomer(customerId, (tx) => writeIntent(tx, core.audit, queued, 9, secondName, 1n));
  await progress.refresh(customerId, threadId);
  await keeper.checkpoints.makeAll();

  const restore = await backUp(place);

  await grant(core, asked, shop.approver);
  await cancel(core, asked);
  await requestOperation(core, shop);
  await progress.refresh(customerId, threadId);
  await keeper.checkpoints.makeAll();
  const showedAfterwards = summaries();
  expect(showedAfterwards.filter((words) => words.startsWith('Stopped:'))).toHaveLength(2);

  const there = await restore();
  const env = {
    ...{ DATABASE_URL: there.programUrl, DATABASE_OWNER_URL: there.ownerUrl, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY },
    CHECKPOINT_DIR: join(folder, 'backup/checkpoints'),
  };
  expect(await countersign(['restored'], env)).toEqual({
    ...{ code: 0, err: '' },
    out: '1 customer: 4 operations were under way and ended; 1 thread is shown anew once a bot runs.',
  });
  const verified = await countersign(['audit', 'verify', '--customer', customerId], env);
  expect(verified).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^The chain in the database is intact: \d+ entries/),
  });
  expect(verified.out).toContain('signed checkpoint');

  const again = await open(there, 'backup/checkpoints');
  expect((await again.core.vault.get(customerId, 'stripe', 'api_key'))?.value.reveal()).toBe('sealed before the dump');
  expect(await again.core.directory.customersBehind()).toEqual([customerId]);
  await again.progress.refresh(customerId, threadId);
  const why =
    'The database was restored from a backup, so what was done after that is not on record, and nothing goes on.';
  const words = (label: string) =>
    `WooCommerce for shop.example.com was not set up. ${why} If a key named “${label}” is in the shop's list of keys, revoke it there.`;
  const notTried = `The WooCommerce key for shop.example.com was not found to work. ${why}`;
  const paid = expect.stringContaining(`If a key named “${other.plan.label}” is in Stripe's list of keys, revoke it`);
  expect(summaries()).toEqual(expect.arrayContaining([words(asked.plan.label), words(secondName), notTried, paid]));
  expect(summaries().filter((said) => said.startsWith('Stopped:'))).toHaveLength(1); // the one that was over before
  expect((await look(again.core, over)).state).toBe('cancelled');

  await again.keeper.checkpoints.makeAll();
  const next = await queuedOperation(again.core, shop);
  expect((await look(again.core, next)).state).toBe('queued');
  expect(await countersign(['restored'], env)).toMatchObject({
    code: 0,
    out: expect.stringContaining('1 operation was under way'),
  });
}, 180_000);
