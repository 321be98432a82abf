import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { CountersignError } from '../core/errors.ts';
import type { RootKeys } from '../core/ports/keys.ts';
import type { Log } from '../core/ports/log.ts';
import { applyMigrations } from './apply-migrations.ts';
import { forbidTemporaryTables, makeQueues, storeContextKeys, storeRetention } from './provision.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

/** The newest migration's name: what a process that may not migrate waits for. */
export function newestMigration(): string {
  const names = readdirSync(MIGRATIONS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return (
    names
      .map(({ name }) => name)
      .toSorted()
      .at(-1) ?? ''
  );
}

/**
 * As a comment, which every role may read and a dump takes along: the program has no right to Prisma's own table. A program of
 * an earlier version, started once more, leaves a later one's.
 */
async function leaveVersion(owner: pg.Client): Promise<void> {
  const name = newestMigration();
  const { rows } = await owner.query<{ later: boolean }>(
    "SELECT coalesce(obj_description('app'::regnamespace, 'pg_namespace') >= $1, false) AS later",
    [name],
  );
  if (!rows[0]?.later) await owner.query(`COMMENT ON SCHEMA app IS ${pg.escapeLiteral(name)}`);
}

export interface MigrateOptions {
  /** The owner of the database, see `DATABASE_OWNER_URL`. The roles exist already: an owner may not make any. */
  readonly ownerUrl: string;
  readonly rootKeys: RootKeys;
  /** Audit entries are kept for so many days at least; absent: as it was. */
  readonly auditDays?: number;
  readonly log?: Log;
}

/** The advisory lock that Prisma Migrate takes (schema-engine, sql-schema-connector, postgres flavour). */
const MIGRATION_LOCK = 72707369;
const LONGEST_WAIT = '60s';
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Brings a database up to this version: migrations, context keys, queues, rights on the database itself. Runs at every start; where nothing is to do it
 * changes nothing, and of several at once one works while the others wait.
 * @returns the names of the migrations applied.
 * @throws CountersignError `migration_refused` (edited, failed, or another still running), `database_unavailable`.
 */
export async function migrate({ ownerUrl, rootKeys, auditDays, log }: MigrateOptions): Promise<readonly string[]> {
  const owner = await connect(ownerUrl);
  try {
    await lock(owner);
    const applied = await applyMigrations(owner, MIGRATIONS);
    await storeContextKeys(owner, rootKeys);
    if (auditDays !== undefined) await storeRetention(owner, auditDays);
    await makeQueues(ownerUrl);
    await leaveVersion(owner);
    if (!(await forbidTemporaryTables(owner)))
      log?.warn(
        { code: 'temporary_tables' },
        'the program may make temporary tables: let the owner of the database REVOKE TEMPORARY ON DATABASE … FROM PUBLIC',
      );
    if (applied.length > 0) log?.info({ applied }, 'database migrated');
    return applied;
  } finally {
    await owner.end(); // lets go of the lock
  }
}

async function connect(ownerUrl: string): Promise<pg.Client> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  owner.on('error', () => {}); // the query under way fails with it
  try {
    await owner.connect();
    return owner;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('database_unavailable', `The database can't be reached as its owner: ${reason}`, {
      isRetryable: true,
      cause,
    });
  }
}

async function lock(owner: pg.Client): Promise<void> {
  try {
    await owner.query(`SET lock_timeout = '${LONGEST_WAIT}'`);
    await owner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await owner.query('RESET lock_timeout');
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError) || cause.code !== LOCK_NOT_AVAILABLE) throw cause;
    throw new CountersignError(
      'migration_refused',
      `Another migration has been running for ${LONGEST_WAIT}: try again later.`,
      {
        isRetryable: true,
        cause,
      },
    );
  }
}
