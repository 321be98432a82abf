import pg from 'pg';
import { CountersignError } from '../core/errors.ts';

const LOCK_NOT_AVAILABLE = '55P03';
const NOT_ALLOWED = '42501';
const MOST_TRIES = 3;

/** What of it this role may not do: whoever owns the server does it, or time does. */
export interface Reclaimed {
  /** The log of changes goes on in a new file, and the database has written everything down, so that older files may go. */
  readonly isLogEnded: boolean;
}

/**
 * Writes every table that holds anything of customers anew, with its indexes: a plain VACUUM leaves the bytes of deleted rows where they
 * were. Each table is locked for as long as that takes. @throws CountersignError `database_unavailable` (retryable: somebody holds a
 * table).
 */
export async function reclaimSpace(ownerUrl: string): Promise<Reclaimed> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  owner.on('error', () => {}); // the statement under way fails with it
  await owner.connect();
  try {
    await owner.query("SET lock_timeout = '30s'");
    const { rows } = await owner.query<{ name: string }>(TABLES);
    for (const { name } of rows) await rewrite(owner, name);
    return { isLogEnded: await endLog(owner) };
  } finally {
    await owner.end();
  }
}

const TABLES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND (n.nspname IN ('public', 'app') OR (n.nspname = 'pgboss' AND c.relname LIKE 'job%')) ORDER BY 1`;

async function rewrite(owner: pg.Client, name: string): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      await owner.query(`VACUUM (FULL) ${name}`); // a name of the catalogue, quoted there
      return;
    } catch (cause) {
      const isBusy = cause instanceof pg.DatabaseError && cause.code === LOCK_NOT_AVAILABLE;
      if (isBusy && tries < MOST_TRIES) continue;
      if (!isBusy) throw cause;
      throw new CountersignError('database_unavailable', `Somebody holds the table ${name}: begin again.`, {
        isRetryable: true,
        cause,
      });
    }
}

async function endLog(owner: pg.Client): Promise<boolean> {
  try {
    for (const statement of ['CHECKPOINT', 'SELECT pg_switch_wal()', 'CHECKPOINT']) await owner.query(statement);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === NOT_ALLOWED) return false;
    throw error;
  }
}
