import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { entryHash } from '../../core/audit/chain.ts';
import type { OperationId } from '../../core/ids.ts';
import type { Bench } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';

export const ENTRIES_OF_EACH = 20;
const FILE_ENTRIES = 100_000; // of one COPY

/** Ids that no operation draws: their alphabet has no 0. */
export function numbered(n: number): OperationId {
  return `op-${String(n).padStart(8, '0')}` as OperationId; // `op-` and eight digits: the type's promise
}

/**
 * Operations of the past by the thousand, numbered from 1: copies of one, ended, with its steps, and of its customer's newest
 * audit entry, `ENTRIES_OF_EACH` each. An offline generator makes their chain on from the one that there is, and COPY loads it.
 */
export async function loadOperations(
  bench: Bench,
  { adminUrl, audit, database }: Rig,
  { customerId, merchant }: RigCustomer,
  of: OperationId,
  { from = 1, to }: { readonly from?: number; readonly to: number },
): Promise<void> {
  await database.withCustomer(customerId, (tx) =>
    audit.append(tx, customerId, { kind: 'guide.shown', operationId: of, actor: merchant.id }),
  );
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { it: folder, close: removeFolder } = await bench.open(
    () => mkdtemp(join(tmpdir(), 'bench-copy-')),
    (made) => rm(made, { recursive: true }),
  );
  chmodSync(folder, 0o755); // the server reads it, as somebody else
  try {
    await client.query(`SET session_replication_role = replica`); // rows of the past, which no trigger is asked about
    // Each in a thread of its own, in which it was shown: else a bot would begin with showing them all.
    await client.query(
      `INSERT INTO threads SELECT made.* FROM autonomous_operations o JOIN threads t ON t.customer_id = o.customer_id AND t.id = o.thread_id,
        generate_series($4::int, $2::int) n,
        LATERAL jsonb_populate_record(t, jsonb_build_object('id', md5('bench ' || n)::uuid, 'ref', 'bench ' || n, 'cursor', t.last_seq)) made
       WHERE o.customer_id = $3 AND o.id = $1`,
      [of, to, customerId, from],
    );
    await client.query(
      `INSERT INTO autonomous_operations SELECT made.* FROM autonomous_operations o, generate_series($4::int, $2::int) n,
        LATERAL jsonb_populate_record(o, jsonb_build_object('id', 'op-' || lpad(n::text, 8, '0'), 'thread_id', md5('bench ' || n)::uuid, 'status', 'failed',
          'completed_at', o.created_at, 'created_at', o.created_at - make_interval(mins => n))) made
       WHERE o.customer_id = $3 AND o.id = $1`,
      [of, to, customerId, from],
    );
    await client.query(
      `INSERT INTO operation_steps (customer_id, operation_id, number, intent)
       SELECT s.customer_id, 'op-' || lpad(n::text, 8, '0'), s.number, s.intent
       FROM operation_steps s, generate_series($4::int, $2::int) n WHERE s.customer_id = $3 AND s.operation_id = $1`,
      [of, to, customerId, from],
    );
    await loadEntries(client, folder, customerId, of, { from, to });
    // As a database lies that was filled over months: nothing is left to be looked at again, or to be written out.
    await client.query(
      'VACUUM (FREEZE, ANALYZE) threads, autonomous_operations, operation_steps, autonomous_operations_audit',
    );
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
    await removeFolder();
  }
}

interface Newest {
  readonly seq: string;
  readonly at: Date;
  readonly hash: Buffer;
  readonly header: string;
}

async function loadEntries(
  client: pg.Client,
  folder: string,
  customerId: string,
  of: OperationId,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const { rows } = await client.query<Newest>(
    `SELECT seq, at, hash, header FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq DESC LIMIT 1`,
    [customerId],
  );
  const [newest] = rows;
  if (!newest?.header.includes(of)) throw new Error('the newest entry is not about the operation');
  const sealed = randomBytes(300).toString('hex'); // as long as the words of a step, which nobody opens here
  const operations = to - from + 1;
  const total = operations * ENTRIES_OF_EACH;
  let [seq, prev] = [BigInt(newest.seq), newest.hash];
  for (let made = 0; made < total; made += FILE_ENTRIES) {
    const file = join(folder, `${made}.csv`);
    const out = createWriteStream(file, { mode: 0o644 });
    for (let n = made; n < Math.min(total, made + FILE_ENTRIES); n++) {
      const id = numbered(from + (n % operations));
      const header = newest.header.replace(of, id);
      const hash = entryHash(prev, ++seq, newest.at, header);
      const line = `${customerId},${seq},${id},guide.shown,${newest.at.toISOString()},"${header.replaceAll('"', '""')}",\\x${prev.toString('hex')},\\x${hash.toString('hex')},\\x${sealed}\n`;
      prev = hash;
      if (!out.write(line)) await once(out, 'drain');
    }
    out.end();
    await once(out, 'close');
    await client.query(
      `COPY autonomous_operations_audit (customer_id, seq, operation_id, kind, at, header, prev, hash, payload) FROM '${file}' (FORMAT csv)`,
    );
    await rm(file);
  }
  await client.query('UPDATE audit_heads SET seq = $2, hash = $3 WHERE customer_id = $1', [customerId, seq, prev]);
}
