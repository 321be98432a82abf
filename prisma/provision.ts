import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { PgBoss } from 'pg-boss';
import { CountersignError } from '../core/errors.ts';
import type { RootKeys } from '../core/ports/keys.ts';
import { QUEUES } from '../core/queue/queues.ts';

/** What `sec.enter` checks the program's signature with; core/database.ts signs with the same key. */
const CONTEXT_PURPOSE = 'countersign/context/v1';
/** Program keys are numbered from 1, newest first; the database's own key stands apart. */
const DATABASE_KEY_ID = 100;
/** Block of SHA-256, and the two constants of HMAC: RFC 2104, section 2. */
const BLOCK_BYTES = 64;
const INNER = 0x36;
const OUTER = 0x5c;

/** Brings `sec.context_key` in line with the root keys: one row each, and the database's own random key made once. */
export async function storeContextKeys(owner: pg.Client, rootKeys: RootKeys): Promise<void> {
  const keys = rootKeys.derive(CONTEXT_PURPOSE);
  await owner.query('BEGIN');
  try {
    await requireKnownKey(owner, keys);
    for (const [index, key] of keys.entries()) await storeKey(owner, index + 1, 'program', key, REPLACE);
    await owner.query("DELETE FROM sec.context_key WHERE kind = 'program' AND id > $1", [keys.length]);
    await storeKey(owner, DATABASE_KEY_ID, 'database', randomBytes(32), KEEP);
    await owner.query('COMMIT');
  } catch (error) {
    await owner.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** No audit entry goes sooner than this, whatever the program asks for. */
export async function storeRetention(owner: pg.Client, auditDays: number): Promise<void> {
  await owner.query('UPDATE sec.retention SET audit_days = $1 WHERE audit_days <> $1', [auditDays]);
}

/** A root key that the database has never seen opens nothing that lies in it: better no start than a silent one. */
async function requireKnownKey(owner: pg.Client, keys: readonly Buffer[]): Promise<void> {
  const { rows } = await owner.query<{ inner_pad: Buffer }>(
    "SELECT inner_pad FROM sec.context_key WHERE kind = 'program'",
  );
  const isKnown = rows.some(({ inner_pad }) => keys.some((key) => pad(key, INNER).equals(inner_pad)));
  if (rows.length > 0 && !isKnown)
    throw new CountersignError(
      'vault_key_missing',
      'The root key is not the one that this database was made with, so nothing in it could be opened. Nothing was changed. Give the earlier key as ENCRYPTION_KEY (or, while you rotate, in ENCRYPTION_KEYS_OLD); without it, start with an empty database.',
    );
}

function pad(key: Buffer, by: number): Buffer {
  return Buffer.from(Buffer.concat([key], BLOCK_BYTES).map((byte) => byte ^ by));
}

const KEEP = 'NOTHING';
const REPLACE = `UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
  WHERE (context_key.inner_pad, context_key.outer_pad) IS DISTINCT FROM (excluded.inner_pad, excluded.outer_pad)`;

/** HMAC with the key's two blocks ready-made: SQL has no exclusive or for bytea. */
async function storeKey(owner: pg.Client, id: number, kind: string, key: Buffer, onConflict: string): Promise<void> {
  await owner.query(
    `INSERT INTO sec.context_key (id, kind, inner_pad, outer_pad) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO ${onConflict}`,
    [id, kind, pad(key, INNER), pad(key, OUTER)],
  );
}

/**
 * Leaves temporary tables to the owner: on a connection of the pool one would stand before a table of ours, or carry rows
 * from one customer to the next. A right on the database itself: neither a template's copy nor a restored dump has it.
 * @returns false where it is not the owner's to take, because the database belongs to somebody else.
 */
export async function forbidTemporaryTables(owner: pg.Client): Promise<boolean> {
  const mayMake = async () => {
    const { rows } = await owner.query<{ may: boolean }>(
      "SELECT has_database_privilege('countersign_program', current_database(), 'TEMPORARY') AS may",
    );
    return rows[0]?.may ?? true;
  };
  if (!(await mayMake())) return true;
  await owner.query(
    "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$",
  );
  return !(await mayMake());
}

/** Makes the queues of core/queue as the owner, and brings the options of existing ones in line. */
export async function makeQueues(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: ownerUrl,
    schema: 'pgboss',
    max: 1,
    migrate: false,
    createSchema: false,
    supervise: false,
    schedule: false,
  });
  boss.on('error', () => {}); // the call that fails throws it too
  await boss.start();
  try {
    for (const { name, options } of QUEUES) {
      if (await boss.getQueue(name)) await boss.updateQueue(name, options);
      else await boss.createQueue(name, options);
    }
  } finally {
    await boss.stop({ graceful: false });
  }
}
