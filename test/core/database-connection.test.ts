// The database goes away and comes back: nobody restarts anything, and nothing is lost.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectionConfig, untilReady } from '../../core/database-connection.ts';
import { newestMigration } from '../../prisma/migrate.ts';
import { type Core, connected, installShop, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';
import { silentLog } from '../support/silent-log.ts';

const PATIENCE = { timeout: 30_000, interval: 20 };

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** What was said, without its fields. */
function listening() {
  const said: string[] = [];
  const say = (_: object, words: string) => void said.push(words);
  return { said, log: { ...silentLog, info: say, warn: say } };
}

describe('a start', () => {
  const away = 'postgres://nobody@127.0.0.1:1/nothing';

  test('waits for a database that is away, says so once, and says how it went', async () => {
    const relay = await openPostgresRelay(database.programUrl);
    const { url } = relay;
    await relay.close();
    const { said, log } = listening();
    const ready = untilReady(url, { version: newestMigration(), log, limitMs: 30_000 });
    await vi.waitUntil(() => said.length > 0, PATIENCE);
    const back = await openPostgresRelay(database.programUrl, url);
    await ready;
    await back.close();
    expect(said).toEqual(['waiting for the database', 'the database is there']);
  });

  test('gives up after its patience, in one sentence', async () => {
    const began = performance.now();
    const ready = untilReady(away, { log: silentLog, limitMs: 700 });
    await expect(ready).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringMatching(/^After 1 s the database still can't be reached: connect ECONNREFUSED [^\n]*\.$/),
    });
    expect(performance.now() - began).toBeGreaterThan(690);
  });

  test('does not wait where it has no patience, nor for a login that is refused', async () => {
    await expect(untilReady(away, { log: silentLog, limitMs: 0 })).rejects.toThrow(/^The database can't be reached/);
    const nobody = database.programUrl.replace('countersign@', 'nobody@');
    const { said, log } = listening();
    await expect(untilReady(nobody, { log, limitMs: 30_000 })).rejects.toThrow(/^The database refused: .*nobody/);
    expect(said).toEqual([]);
  });

  test('waits for a database to be of its version, and takes a later one', async () => {
    const empty = await createEmptyDatabase();
    const needs = { log: silentLog, limitMs: 0 };
    const version = newestMigration();
    await expect(untilReady(empty.programUrl, { ...needs, version })).rejects.toThrow(
      'The database is not of this version: start one process with DATABASE_OWNER_URL, which migrates it.',
    );
    await empty.drop();
    await expect(untilReady(database.programUrl, { ...needs, version: `${version}z` })).rejects.toThrow(/this version/);
    await untilReady(database.programUrl, { ...needs, version });
    await untilReady(database.programUrl, { ...needs, version: '20200101000000_earlier' });
  });

  test('says in one sentence that there are too few connections, be it the server or the database that limits them', async () => {
    const words =
      /^PostgreSQL takes \d+ connections, and this process may need \d+: raise max_connections, or lower WORKER_CONCURRENCY\.$/;
    const ask = (connections: number, log = silentLog) =>
      untilReady(database.programUrl, { connections, log, limitMs: 30_000 });
    await ask(20);
    await expect(ask(500)).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringMatching(words) });
    await sql(database.adminUrl, `ALTER DATABASE ${database.name} CONNECTION LIMIT 12`);
    await expect(ask(20)).rejects.toThrow('PostgreSQL takes 12 connections, and this process may need 20');
    await sql(database.adminUrl, `ALTER DATABASE ${database.name} CONNECTION LIMIT -1`);
  });
});

test('a connection on which nothing comes for too long is given up', async () => {
  await expect(
    connected(database.programUrl, async () => {
      const client = new pg.Client(connectionConfig(database.programUrl, 'silent', 200));
      client.on('error', () => {});
      await client.connect();
      await client.query('SELECT pg_sleep(5)');
    }),
  ).rejects.toThrow('Connection terminated: the database said nothing for too long');
});

describe('while it runs', () => {
  let relay: PostgresRelay;
  /** Behind the relay, and beside it. */
  let core: Core;
  let other: Core;
  let shop: Shop;
  const jobs: string[] = [];
  const wakes: (string | undefined)[] = [];

  beforeAll(async () => {
    relay = await openPostgresRelay(database.programUrl);
    core = await openCore({ programUrl: relay.url });
    other = await openCore(database);
    shop = await installShop(other);
    await core.queue.workOperations(2, async ({ operationId }) => void jobs.push(operationId));
    core.database.listen('countersign_test', (payload) => void wakes.push(payload));
    await vi.waitUntil(() => wakes.length === 1, PATIENCE);
  });
  afterEach(() => relay.mend());
  afterAll(async () => {
    await core.close();
    await other.close();
    await relay.close();
  });

  const operations = () => core.database.withCustomer(shop.customerId, (tx) => tx.operation.count());

  /** A NOTIFY of somebody else arrives again. */
  async function isWoken(word: string): Promise<void> {
    await vi.waitUntil(async () => {
      await other.database.notify('countersign_test', [word]);
      return wakes.includes(word);
    }, PATIENCE);
  }

  test.each([
    ['a line that is cut without a word', () => relay.cut(), () => relay.mend()],
    [
      'a server that ends every connection',
      () =>
        sql(
          database.adminUrl,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'countersign' AND pid <> pg_backend_pid()",
        ),
      () => {},
    ],
  ])('after %s, jobs sent meanwhile are worked on, wakes arrive, and transactions go through', async (_, cut, mend) => {
    const before = wakes.length;
    expect(await core.database.processes()).toEqual([]);
    await cut();
    const asked = operations().catch((error: unknown) => error);
    const { id } = await vi.waitUntil(() => queuedOperation(other, shop).catch(() => false as const), PATIENCE);
    mend();
    await vi.waitUntil(() => jobs.includes(id), PATIENCE);
    const answer = await asked;
    expect(answer).toEqual(
      typeof answer === 'number'
        ? expect.any(Number)
        : expect.objectContaining({ code: 'database_unavailable', isRetryable: true }),
    );
    await vi.waitUntil(() => wakes.length > before, PATIENCE);
    expect(wakes.slice(before)).toContain(undefined); // what was missed is looked for
    await isWoken(`back-${id}`);
    expect(await operations()).toBeGreaterThan(0);
  });
});
