import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { migrateDiff, schemaDiff } from '../../prisma/schema-diff.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';

const prismaDir = resolve(import.meta.dirname, '../../prisma');
let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  database = await createEmptyDatabase();
  folder = mkdtempSync(join(tmpdir(), 'drift-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await database.drop();
});

test('the migrations make what schema.prisma says', async () => {
  const { code, said } = await migrateDiff(database.ownerUrl, {}, ['--exit-code']);
  expect(said).toContain('No difference detected'); // the sentence: a broken engine says nothing and ends with 0
  expect(code).toBe(0);
});

test('a column that no migration makes is found', async () => {
  const schema = join(folder, 'schema.prisma');
  writeFileSync(
    schema,
    readFileSync(join(prismaDir, 'schema.prisma'), 'utf8').replace(
      'model Customer {',
      'model Customer {\n  lost String?',
    ),
  );
  const diff = await schemaDiff(database.ownerUrl, { schema });
  expect(diff.isSame).toBe(false);
  expect(diff.sql).toContain('ADD COLUMN     "lost" TEXT');
});

test('a migration that fails is an error with its reason, and leaves no shadow database', async () => {
  const migrations = join(folder, 'migrations');
  cpSync(join(prismaDir, 'migrations'), migrations, { recursive: true });
  mkdirSync(join(migrations, '99999999999999_bad'));
  writeFileSync(join(migrations, '99999999999999_bad', 'migration.sql'), 'SELECT 1 / 0;');
  await expect(schemaDiff(database.ownerUrl, { migrations })).rejects.toThrow('division by zero');
  expect(await shadowDatabases()).toEqual([]);
});

test('an engine that breaks down is an error with its reason, never silence', async () => {
  const panics = { FORCE_PANIC_SCHEMA_ENGINE: '1' }; // Prisma's own switch for this
  const { code, said } = await migrateDiff(database.ownerUrl, {}, ['--exit-code'], panics);
  expect(code).toBe(1);
  expect(said).toMatch(/schema engine panic: .*\n.*debugPanic/);
});

async function shadowDatabases(): Promise<unknown[]> {
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  const { rows } = await admin.query("SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'");
  await admin.end();
  return rows;
}
