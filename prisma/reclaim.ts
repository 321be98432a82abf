import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { CountersignError } from '../core/errors.ts';

const LOCK_NOT_AVAILABLE = '55P03';
const NOT_ALLOWED = '42501';
const MOST_TRIES = 3;
const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

export interface Reclaimed {
  /** The log of changes goes on in a new file, and the database has written everything down, so that older files may go. */
  readonly isLogEnded: boolean;
  /**
   * The processes of the server (`pid`) whose transactions were open before and did not end in time: what they may still see was
   * copied, though it is deleted. Empty: no deleted row is left in the tables.
   */
  readonly stillOpen: readonly number[];
}

/**
 * Writes every table that holds anything of customers anew, with its indexes: a plain VACUUM leaves the bytes of deleted rows where they
 * were. Each table is locked for as long as that takes. Waits up to `patienceMs` for transactions that are open. @throws CountersignError `database_unavailable` (retryable: somebody holds a
 * table).
 */
export async function reclaimSpace(ownerUrl: string, { patienceMs = PATIENCE_MS } = {}): Promise<Reclaimed> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  owner.on('error', () => {}); // the statement under way fails with it
  await owner.connect();
  try {
    await owner.query("SET lock_timeout = '30s'");
    const stillOpen = await waitForOthers(owner, patienceMs);
    const { rows } = await owner.query<{ name: string }>(TABLES);
    for (const { name } of rows) await rewrite(owner, name);
    return { isLogEnded: await endLog(owner), stillOpen };
  } finally {
    await owner.end();
  }
}

const TABLES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND (n.nspname IN ('public', 'app') OR (n.nspname = 'pgboss' AND c.relname LIKE 'job%')) ORDER BY 1`;

/**
 * VACUUM copies a deleted row that a transaction of this database may still see, and one that was deleted after any transaction of the
 * server that writes began: its own view reaches back as far. A plain VACUUM beside it is no matter.
 */
const OPEN = `
  SELECT DISTINCT l.virtualtransaction AS name, coalesce(l.pid, 0) AS pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
  WHERE l.granted AND l.mode = 'ExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND (l.locktype = 'transactionid' OR (l.locktype = 'virtualxid' AND a.datname = current_database()))
    AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = l.pid)`;

/** Twice: what begins beside an older one sees as much as that one. */
async function waitForOthers(owner: pg.Client, patienceMs: number): Promise<readonly number[]> {
  const until = performance.now() + patienceMs;
  const open = async () => (await owner.query<{ name: string; pid: number }>(OPEN)).rows;
  for (let rounds = 0; rounds < 2; rounds++) {
    let left = await open();
    while (left.length > 0) {
      if (performance.now() >= until) return [...new Set(left.map(({ pid }) => pid))];
      await setTimeout(LOOK_MS);
      const now = new Set((await open()).map(({ name }) => name));
      left = left.filter(({ name }) => now.has(name));
    }
  }
  return [];
}

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
