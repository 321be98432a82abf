import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CountersignError } from '../core/errors.ts';

/** The table as Prisma Migrate makes it, so that its command line and this program can take turns. */
const RECORDS = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  varchar(36)  PRIMARY KEY NOT NULL,
    checksum            varchar(64)  NOT NULL,
    finished_at         timestamptz,
    migration_name      varchar(255) NOT NULL,
    logs                text,
    rolled_back_at      timestamptz,
    started_at          timestamptz  NOT NULL DEFAULT pg_catalog.now(),
    applied_steps_count integer      NOT NULL DEFAULT 0
  )`;

interface Migration {
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file in hex, as Prisma Migrate records it. */
  readonly checksum: string;
}

interface MigrationRecord {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished_at: Date | null;
}

/**
 * Applies the migrations of `folder` that the database lacks, in the order of their names, each together with its record
 * in one transaction: a failing one leaves nothing behind. The caller holds the migration lock.
 * @returns the names of those applied. @throws CountersignError `migration_refused`.
 */
export async function applyMigrations(owner: pg.Client, folder: string): Promise<readonly string[]> {
  await owner.query(RECORDS);
  const records = await readRecords(owner);
  const missing = readMigrations(folder).filter((migration) => !isApplied(migration, records.get(migration.name)));
  for (const migration of missing) await apply(owner, migration);
  return missing.map(({ name }) => name);
}

function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names
    .map(({ name }) => name)
    .sort()
    .map((name) => {
      const bytes = readFileSync(join(folder, name, 'migration.sql'));
      return { name, sql: bytes.toString(), checksum: createHash('sha256').update(bytes).digest('hex') };
    });
}

async function readRecords(owner: pg.Client): Promise<ReadonlyMap<string, MigrationRecord>> {
  const { rows } = await owner.query<MigrationRecord>(
    'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at',
  );
  return new Map(rows.map((row) => [row.migration_name, row]));
}

function isApplied({ name, checksum }: Migration, record: MigrationRecord | undefined): boolean {
  if (!record) return false;
  if (record.finished_at === null) {
    throw refused(`Migration ${name} is on record as failed: see what it did, then run prisma migrate resolve.`);
  }
  if (record.checksum !== checksum) {
    throw refused(
      `Migration ${name} was edited after it was applied: restore the file, and put the change in a new one.`,
    );
  }
  return true;
}

async function apply(owner: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await owner.query('BEGIN');
    await owner.query(sql);
    await owner.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, pg_catalog.clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await owner.query('COMMIT');
  } catch (cause) {
    await owner.query('ROLLBACK').catch(() => {}); // a lost connection has rolled back by itself
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw refused(`Migration ${name} failed and was rolled back whole: ${reason}`, cause);
  }
}

function refused(message: string, cause?: unknown): CountersignError {
  return new CountersignError('migration_refused', message, { cause });
}
