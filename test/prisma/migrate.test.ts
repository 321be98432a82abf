import { createHmac, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RootKeys } from '../../core/ports/keys.ts';
import { QUEUES } from '../../core/queue/queues.ts';
import { applyMigrations } from '../../prisma/apply-migrations.ts';
import { migrate } from '../../prisma/migrate.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';

let database: TestDatabase;
let owner: pg.Client;

beforeEach(async () => {
  database = await createEmptyDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterEach(async () => {
  await owner.end();
  await database.drop();
});

async function rows(sql: string): Promise<unknown[]> {
  return (await owner.query(sql)).rows;
}

describe('applying migrations', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function write(name: string, sql: string): void {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'migration.sql'), sql);
  }

  test('goes by name, and applies each migration once', async () => {
    write('2_fill', 'INSERT INTO box VALUES (2)');
    write('1_make', 'CREATE TABLE box (n int); INSERT INTO box VALUES (1);');
    expect(await applyMigrations(owner, folder)).toEqual(['1_make', '2_fill']);
    expect(await applyMigrations(owner, folder)).toEqual([]);
    write('3_more', 'INSERT INTO box VALUES (3)');
    expect(await applyMigrations(owner, folder)).toEqual(['3_more']);
    expect(await rows('SELECT n FROM box ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('refuses a migration that was edited after it was applied', async () => {
    write('1_make', 'CREATE TABLE box (n int)');
    await applyMigrations(owner, folder);
    write('1_make', 'CREATE TABLE box (n bigint)');
    write('2_more', 'CREATE TABLE more (n int)');
    await expect(applyMigrations(owner, folder)).rejects.toMatchObject({
      code: 'migration_refused',
      message: expect.stringContaining('1_make was edited'),
    });
    expect(await rows("SELECT to_regclass('more') AS more")).toEqual([{ more: null }]);
  });

  test('rolls a failing migration back whole, its record included, and applies it once mended', async () => {
    write('1_make', 'CREATE TABLE box (n int)');
    write('2_bad', 'INSERT INTO box VALUES (1); CREATE TABLE half (n int); SELECT 1 / 0;');
    await expect(applyMigrations(owner, folder)).rejects.toMatchObject({
      code: 'migration_refused',
      message: expect.stringContaining('2_bad failed and was rolled back whole: division by zero'),
    });
    expect(await rows("SELECT to_regclass('half') AS half")).toEqual([{ half: null }]);
    expect(await rows('SELECT migration_name FROM _prisma_migrations')).toEqual([{ migration_name: '1_make' }]);
    expect(await rows('SELECT n FROM box')).toEqual([]);
    write('2_bad', 'INSERT INTO box VALUES (1)');
    expect(await applyMigrations(owner, folder)).toEqual(['2_bad']);
  });

  test("refuses to go on after a migration that Prisma's command line recorded as failed", async () => {
    write('1_make', 'CREATE TABLE box (n int)');
    await applyMigrations(owner, folder);
    await owner.query('UPDATE _prisma_migrations SET finished_at = NULL');
    await expect(applyMigrations(owner, folder)).rejects.toMatchObject({
      code: 'migration_refused',
      message: expect.stringContaining('on record as failed'),
    });
  });
});

describe('migrating a database', () => {
  test('leaves context keys, queues and tables, and a second run changes nothing', async () => {
    expect(await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys })).not.toEqual([]);
    const before = await state();
    expect(await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys })).toEqual([]);
    expect(await state()).toEqual(before);
    expect(before.queues.map(({ name }) => name)).toEqual(QUEUES.map(({ name }) => name).sort());
    expect(before.keys.map(({ id, kind }) => `${id} ${kind}`)).toEqual(['1 program', '100 database']);
  });

  test('runs once when two programs start at the same time', async () => {
    const runs = await Promise.all([
      migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys }),
      migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys }),
    ]);
    const names = await rows('SELECT migration_name AS name FROM _prisma_migrations ORDER BY 1');
    expect(runs.map((applied) => applied.length).sort()).toEqual([0, names.length]);
    expect(runs.flat().sort()).toEqual(names.map((row) => (row as { name: string }).name)); // the column just selected
  });

  test("follows the root keys, and keeps the database's own key", async () => {
    const keys = (...fills: number[]): RootKeys => ({
      ...testRootKeys,
      derive: () => fills.map((fill) => Buffer.alloc(32, fill)),
    });
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: keys(1) });
    const first = await state();
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: keys(2, 1) });
    const rotating = await state();
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: keys(2) });
    const rotated = await state();
    const [one, database100] = first.keys;
    expect(rotating.keys).toEqual([expect.objectContaining({ id: 1 }), { ...one, id: 2 }, database100]);
    expect(rotated.keys).toEqual([rotating.keys[0], database100]);
    expect(rotated.keys[0]).not.toEqual(one);
    expect(first.keys[0]?.inner).toBe(`${'37'.repeat(32)}${'36'.repeat(32)}`); // 01 xor 36, then 00 xor 36
    expect(first.keys[0]?.outer).toBe(`${'5d'.repeat(32)}${'5c'.repeat(32)}`);
  });

  test("takes the program's signature made with the root key, and no other", async () => {
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys });
    const [key = Buffer.alloc(0)] = testRootKeys.derive('countersign/context/v1');
    expect(await enteredWith(key)).toBe('entered');
    expect(await enteredWith(Buffer.alloc(32, 9))).toBe('42501');
  });

  async function enteredWith(key: Buffer): Promise<string> {
    const [customer, expires] = [randomUUID(), Math.floor(Date.now() / 1000) + 60];
    const token = createHmac('sha256', key).update(`${customer}|${expires}`).digest();
    const program = new pg.Client({ connectionString: database.programUrl });
    await program.connect();
    try {
      await program.query('BEGIN');
      await program.query('SELECT sec.enter($1, $2, $3)', [customer, expires, token]);
      const { rows: entered } = await program.query('SELECT sec.customer() AS customer');
      return entered[0].customer === customer ? 'entered' : 'not entered';
    } catch (error) {
      return error instanceof pg.DatabaseError ? String(error.code) : String(error);
    } finally {
      await program.end();
    }
  }

  test('brings the options of an existing queue in line', async () => {
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys });
    const before = await state();
    await owner.query('UPDATE pgboss.queue SET retry_limit = 99, expire_seconds = 1, notify = false');
    await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys });
    expect(await state()).toEqual(before);
  });

  test('says that a database is out of reach', async () => {
    const ownerUrl = database.ownerUrl.replace(/host=[^&]*/, 'host=%2Fnowhere');
    await expect(migrate({ ownerUrl, rootKeys: testRootKeys })).rejects.toMatchObject({
      code: 'database_unavailable',
      isRetryable: true,
    });
  });

  async function state() {
    const keys = await owner.query<{ id: number; kind: string; inner: string; outer: string }>(
      `SELECT id, kind, encode(inner_pad, 'hex') AS inner, encode(outer_pad, 'hex') AS outer FROM sec.context_key ORDER BY id`,
    );
    const queues = await owner.query<{ name: string }>(
      `SELECT name, policy, retry_limit, retry_delay, expire_seconds, deletion_seconds, heartbeat_seconds, notify, created_on
       FROM pgboss.queue ORDER BY name`,
    );
    const records = await owner.query(
      'SELECT id, checksum, migration_name, finished_at FROM _prisma_migrations ORDER BY 3',
    );
    return { keys: keys.rows, queues: queues.rows, records: records.rows };
  }
});
