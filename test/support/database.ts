import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { forbidTemporaryTables } from '../../prisma/provision.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection strings to the run's server, database `postgres`, one for each role; and the migrated database. */
    postgres: { readonly admin: string; readonly owner: string; readonly program: string; readonly template: string };
  }
}

export interface TestDatabase {
  readonly name: string;
  /** Owner of everything in it; what migrations run as. */
  readonly ownerUrl: string;
  /** What the program runs as: row level security applies. */
  readonly programUrl: string;
  /** Superuser, for looking behind row level security. */
  readonly adminUrl: string;
  /** Connections still open to it are cut. */
  drop(): Promise<void>;
}

/** A database of its own for a test file: migrated, with context keys and queues, and no customer. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const database = await create(`TEMPLATE ${inject('postgres').template}`);
  await withClient(database.ownerUrl, forbidTemporaryTables); // a copy does not take these rights along
  return database;
}

/** The same without anything in it. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create('');
}

async function create(from: string): Promise<TestDatabase> {
  const urls = inject('postgres');
  const name = `t_${process.env.VITEST_POOL_ID ?? '0'}_${randomUUID().slice(0, 8)}`;
  await withClient(urls.admin, (admin) => admin.query(`CREATE DATABASE ${name} OWNER countersign_owner ${from}`));
  return {
    name,
    ownerUrl: inDatabase(urls.owner, name),
    programUrl: inDatabase(urls.program, name),
    adminUrl: inDatabase(urls.admin, name),
    drop: async () => {
      await withClient(urls.admin, (admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

/**
 * Moves a test database's `app.now()` ahead by a PostgreSQL interval such as `91 days`; a further call adds to it. The
 * queues' clock follows. Only the owner can: the program may neither write the shift nor replace the function.
 */
export async function shiftClock(ownerUrl: string, interval: string): Promise<void> {
  await withClient(ownerUrl, async (owner) => {
    await owner.query('BEGIN');
    await owner.query(MAKE_SHIFTABLE);
    await owner.query('UPDATE test.clock SET ahead = ahead + $1::interval', [interval]);
    await owner.query('COMMIT');
  });
}

/** How the clock of a test's own database, and the queue's with it, is moved by minutes, and put back. */
export function clockOf(database: () => Pick<TestDatabase, 'ownerUrl'>) {
  let ahead = 0;
  const minutesPass = async (minutes: number): Promise<void> => {
    ahead += minutes;
    await shiftClock(database().ownerUrl, `${minutes} minutes`);
  };
  const inMinutes = (minutes: number) => new Date(Date.now() + (ahead + minutes) * 60_000);
  return { minutesPass, inMinutes, putBack: () => minutesPass(-ahead) };
}

const MAKE_SHIFTABLE = `
  SELECT pg_advisory_xact_lock(hashtext('test.clock'));
  CREATE SCHEMA IF NOT EXISTS test;
  CREATE TABLE IF NOT EXISTS test.clock (ahead interval NOT NULL);
  INSERT INTO test.clock SELECT '0' WHERE NOT EXISTS (SELECT FROM test.clock);
  GRANT USAGE ON SCHEMA test TO countersign_program, countersign_retention;
  GRANT SELECT ON test.clock TO countersign_program, countersign_retention;
  CREATE OR REPLACE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT pg_catalog.now() + ahead FROM test.clock);
  CREATE OR REPLACE FUNCTION pgboss.job_now() RETURNS timestamptz LANGUAGE sql STABLE RETURN app.now();
`;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function inDatabase(url: string, name: string): string {
  return url.replace('/postgres?', `/${name}?`);
}
