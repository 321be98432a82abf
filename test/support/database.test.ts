import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, shiftClock, type TestDatabase } from './database.ts';

let one: TestDatabase;
let two: TestDatabase;

beforeAll(async () => {
  [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});

afterAll(async () => {
  await Promise.all([one.drop(), two.drop()]);
});

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function daysAhead(url: string): Promise<Record<string, number>> {
  const [row] = await query<Record<string, number>>(
    url,
    `SELECT extract(day FROM app.now() - now())::int AS app, extract(day FROM pgboss.job_now() - now())::int AS queue`,
  );
  return row ?? {};
}

test('each test database is a migrated copy of its own', async () => {
  const tables =
    "SELECT to_regclass('public.customers') IS NOT NULL AS customers, (SELECT count(*)::int FROM sec.context_key) AS keys";
  expect(await query(one.ownerUrl, tables)).toEqual([{ customers: true, keys: 2 }]);
  await query(one.ownerUrl, 'CREATE TABLE mine (n int)');
  expect(await query(two.ownerUrl, "SELECT to_regclass('mine') AS mine")).toEqual([{ mine: null }]);
});

test('the clock of a test database moves ahead, shift by shift, for the program and the queues too', async () => {
  await shiftClock(one.ownerUrl, '90 days');
  await shiftClock(one.ownerUrl, '1 day');
  expect(await daysAhead(one.ownerUrl)).toEqual({ app: 91, queue: 91 });
  expect(await daysAhead(one.programUrl)).toEqual({ app: 91, queue: 91 });
  expect(await daysAhead(two.programUrl)).toEqual({ app: 0, queue: 0 });
});

test('the program can move no clock', async () => {
  await shiftClock(one.ownerUrl, '0');
  for (const sql of [
    "UPDATE test.clock SET ahead = '1 year'",
    'CREATE OR REPLACE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql RETURN pg_catalog.now()',
  ]) {
    await expect(query(one.programUrl, sql), sql).rejects.toMatchObject({ code: '42501' });
  }
});

test('a dropped database is gone, open connections or not', async () => {
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.programUrl });
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  const ended = new Promise((resolve) => client.once('end', resolve));
  await client.connect();
  await database.drop();
  await ended;
  expect(errors).toContainEqual(expect.objectContaining({ code: '57P01' })); // cut by an administrator
  const rows = await query(one.adminUrl, `SELECT FROM pg_database WHERE datname = '${database.name}'`);
  expect(rows).toEqual([]);
});
