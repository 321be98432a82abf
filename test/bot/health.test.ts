// What whoever looks after the processes asks them, and what they say by themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { findChromium } from '../../adapters/browser/index.ts';
import { readConfig } from '../../bot/config.ts';
import { type App, start } from '../../bot/main.ts';
import { createDatabaseWatch } from '../../bot/watch.ts';
import { createDatabase, type Database } from '../../core/database.ts';
import { newestMigration } from '../../prisma/migrate.ts';
import { descendants } from '../attack/faults/program.ts';
import { sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';
import { TEST_ENCRYPTION_KEY, testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';

const PATIENCE = { timeout: 20_000, interval: 50 };

let database: TestDatabase;
let relay: PostgresRelay;

beforeAll(async () => {
  database = await createTestDatabase();
  relay = await openPostgresRelay(database.programUrl);
});
afterAll(async () => {
  await relay.close();
  await database.drop();
});

/** What is said to the operator. */
function hearing() {
  const said: string[] = [];
  const say = (_: object, words: string) => void said.push(words);
  return { said, log: { ...silentLog, info: say, warn: say } };
}

describe('a process', () => {
  let app: App;
  let folder: string;
  const { said, log } = hearing();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-health-'));
    const env = {
      ...{ DATABASE_URL: relay.url, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, PORT: '0', ROLE: 'bot' },
      CHECKPOINT_DIR: join(folder, 'checkpoints'),
    };
    app = await start(readConfig(env), { folder, log });
  });
  afterEach(() => relay.mend());
  afterAll(async () => {
    await app.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = async (path: string) => {
    const response = await fetch(`${app.urls.http}${path}`);
    return [response.status, await response.text()];
  };
  const untilReadiness = (status: number) => vi.waitUntil(async () => (await ask('/readyz'))[0] === status, PATIENCE);

  test('is ready while the database is there, is not while it is away, and is again by itself', async () => {
    expect(await ask('/readyz')).toEqual([200, 'ready\n']);
    relay.cut();
    await untilReadiness(503);
    expect(await ask('/readyz')).toEqual([503, 'not ready\n']);
    expect(await ask('/healthz')).toEqual([200, 'ok\n']); // a restart would bring nobody the database back
    await vi.waitUntil(() => said.includes('the database does not answer: waiting for it'), PATIENCE);
    relay.mend();
    await untilReadiness(200);
    await vi.waitUntil(() => said.includes('the database answers again'), PATIENCE);
    expect(said.filter((words) => words.includes('does not answer'))).toHaveLength(1);
  });
});

test('a process is not ready on a database of an earlier version, and is on one of a later', async () => {
  const own = createDatabase({ url: database.programUrl, rootKeys: testRootKeys, poolSize: 1 });
  const version = newestMigration();
  const watch = createDatabaseWatch({ database: own, role: 'bot', log: silentLog, version });
  const leave = (name: string) => sql(database.ownerUrl, `COMMENT ON SCHEMA app IS '${name}'`);
  try {
    expect([await own.version(), await watch.answers()]).toEqual([version, true]);
    await leave('20250101000000_long_ago');
    expect(await watch.answers()).toBe(false);
    await leave('20990101000000_to_come');
    expect(await watch.answers()).toBe(true);
  } finally {
    await leave(version);
    await own.close();
  }
});

test('a worker in production whose Chromium can have no sandbox does not start, says what to do, and leaves no browser', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-sandbox-'));
  const { path } = await findChromium({ log: silentLog, mayInstall: true, ...configuredChromium() });
  const chromium = join(folder, 'chromium');
  // As on a system without user namespaces.
  const script = `#!/bin/sh\ncase " $* " in *" --no-sandbox "*) exec "${path}" "$@";; *) exit 1;; esac\n`;
  writeFileSync(chromium, script, { mode: 0o755 });
  const env = {
    ...{ DATABASE_URL: database.programUrl, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, PORT: '0', ROLE: 'worker' },
    ...{
      NODE_ENV: 'production',
      PUBLIC_URL: 'https://bot.example.com',
      CHROMIUM_PATH: chromium,
      CHECKPOINT_DIR: join(folder, 'checkpoints'),
    },
  };
  try {
    await expect(start(readConfig(env), { folder, log: silentLog })).rejects.toMatchObject({
      code: 'browser_missing',
      message: expect.stringMatching(/sandbox is off.*run as an ordinary account/),
    });
    expect(descendants(process.pid, new RegExp(folder))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function configuredChromium() {
  const { CHROMIUM_PATH } = process.env;
  return CHROMIUM_PATH === undefined ? {} : { configured: CHROMIUM_PATH };
}

describe('what is missing', () => {
  const opened: Database[] = [];
  const watches: ReturnType<typeof createDatabaseWatch>[] = [];
  afterEach(async () => {
    for (const watch of watches.splice(0)) watch.stop();
    for (const each of opened.splice(0)) await each.close();
  });

  const connect = (name?: string) => {
    const base = { url: database.programUrl, rootKeys: testRootKeys, poolSize: 1 };
    const found = createDatabase(name === undefined ? base : { ...base, name });
    opened.push(found);
    return found;
  };
  const watch = (role: 'all' | 'bot' | 'worker') => {
    const { said, log } = hearing();
    const made = createDatabaseWatch({ database: connect(role), role, log, everyMs: 50 });
    watches.push(made);
    made.start();
    return said;
  };

  test.each([
    ['bot', 'worker'],
    ['worker', 'bot'],
  ] as const)('a %s says once that there is no %s, and when there is one', async (role, other) => {
    const said = watch(role);
    await vi.waitUntil(() => said.length > 0, PATIENCE);
    expect(said[0]).toMatch(new RegExp(`^no process with ROLE=${other} is connected`));
    expect(await connect(other).processes()).toEqual(['bot', 'worker']);
    await vi.waitUntil(() => said.length > 1, PATIENCE);
    expect(said.slice(1)).toEqual([`a process with ROLE=${other} is connected now`]);
  });

  test('a process that is both misses nothing, and nobody misses anything beside it', async () => {
    const onlooker = connect();
    const said = watch('all');
    await vi.waitUntil(async () => (await onlooker.processes()).includes('all'), PATIENCE);
    const worker = watch('worker');
    await vi.waitUntil(async () => (await onlooker.processes()).includes('worker'), PATIENCE);
    expect([...said, ...worker]).toEqual([]);
  });
});
