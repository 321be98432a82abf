import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { PgBoss } from 'pg-boss';
import { contextKeys, contextToken } from '../core/database.ts';
import { CountersignError } from '../core/errors.ts';
import type { RootKeys } from '../core/ports/keys.ts';
import { QUEUES } from '../core/queue/queues.ts';

/** Program keys are numbered from 1, newest first; the database's own key stands apart. */
const DATABASE_KEY_ID = 100;
/** Block of SHA-256, and the two constants of HMAC: RFC 2104, section 2. */
const BLOCK_BYTES = 64;
const INNER = 0x36;
const OUTER = 0x5c;

/**
 * Brings `sec.context_key` in line with the root keys: one row each, and the database's own random key made once.
 * @throws CountersignError `vault_key_missing` when a root key is missing that something is still sealed under.
 */
export async function storeContextKeys(owner: pg.Client, rootKeys: RootKeys): Promise<void> {
  const keys = contextKeys(rootKeys);
  await owner.query('BEGIN');
  try {
    const isDropping = await requireKnownKey(owner, keys);
    for (const [index, key] of keys.entries()) await storeKey(owner, index + 1, 'program', key, REPLACE);
    await owner.query("DELETE FROM sec.context_key WHERE kind = 'program' AND id > $1", [keys.length]);
    await storeKey(owner, DATABASE_KEY_ID, 'database', randomBytes(32), KEEP);
    if (isDropping) await requireAllUnwrappable(owner, rootKeys, keys);
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

/**
 * A root key that the database has never seen opens nothing that lies in it: better no start than a silent one.
 * @returns whether a root key that the database knows is no longer given.
 */
async function requireKnownKey(owner: pg.Client, keys: readonly Buffer[]): Promise<boolean> {
  const { rows } = await owner.query<{ inner_pad: Buffer }>(
    "SELECT inner_pad FROM sec.context_key WHERE kind = 'program'",
  );
  const known = rows.filter(({ inner_pad }) => keys.some((key) => pad(key, INNER).equals(inner_pad)));
  if (rows.length > 0 && known.length === 0)
    throw new CountersignError(
      'vault_key_missing',
      'The root key is not the one that this database was made with, so nothing in it could be opened. Nothing was changed. Give the earlier key as ENCRYPTION_KEY (or, while you rotate, in ENCRYPTION_KEYS_OLD); without it, start with an empty database.',
    );
  return known.length < rows.length;
}

/**
 * What is wrapped under a root key that is gone stays shut for good. Looked at only when one goes: from the commit on, a
 * process that still has it can enter no customer, and so wraps nothing under it any more.
 */
async function requireAllUnwrappable(owner: pg.Client, rootKeys: RootKeys, keys: readonly Buffer[]): Promise<void> {
  const { rows } = await owner.query<{ id: string }>('SELECT id FROM directory.customers() AS id');
  const shut: string[] = [];
  for (const { id } of rows)
    if ((await wrappedKeys(owner, keys, id)).some((wrapped) => !rootKeys.canUnwrap(wrapped))) shut.push(id);
  if (shut.length > 0)
    throw new CountersignError(
      'vault_key_missing',
      `The keys of ${shut.length} of ${rows.length} customers are still wrapped under an earlier root key, which is missing. Nothing was changed. Give it in ENCRYPTION_KEYS_OLD, restart every process, and run \`countersign vault rotate --root\` until it says that nothing is left.`,
    );
}

/** Row level security binds the owner, too: each customer is entered, as the program does it. */
async function wrappedKeys(owner: pg.Client, [key]: readonly Buffer[], customer: string): Promise<readonly Buffer[]> {
  const { expires, token } = contextToken(key ?? Buffer.alloc(0), customer);
  await owner.query("SELECT set_config('app.context', '', true)"); // of one customer before the next
  await owner.query('SELECT sec.enter($1::uuid, $2::bigint, $3)', [customer, expires, token]);
  const { rows } = await owner.query<{ wrapped: Buffer }>(
    "SELECT wrapped FROM public.customer_keys WHERE customer_id = $1::uuid AND state <> 'destroyed'",
    [customer],
  );
  return rows.map(({ wrapped }) => wrapped);
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
