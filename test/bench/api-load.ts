import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { entryHash } from '../../core/audit/chain.ts';
import { createApiTokens } from '../../core/customers/api-tokens.ts';
import { createDirectory } from '../../core/directory.ts';
import type { OperationId } from '../../core/ids.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Bench, Benchmark, Measure } from './benchmark.ts';
import { firstPaints } from './console-paint.ts';
import { startProgram } from './program.ts';
import type { Rig, RigCustomer } from './rig.ts';

const ENTRIES_OF_EACH = 20;
const FILE_ENTRIES = 100_000; // of one COPY
/** A token has 600 requests a minute. */
const TOKENS = 60;
const STOP_LIMIT_MS = 5_000;
const BOT = join(import.meta.dirname, 'bot-program.ts');

/**
 * The HTTP API of a bot in a process of its own, asked over loopback, with a customer's 100,000 operations and 2,000,000 audit
 * entries in the database: an offline generator makes the entries' chain, and COPY loads it. Then the console's pages.
 */
export const apiLoad: Benchmark = {
  name: 'api-load',
  async run(bench) {
    const rig = await bench.rig();
    const customer = await rig.addCustomer();
    await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const { id } = await makeApprovable(rig, customer);
    const operations = bench.isSlice ? 500 : 100_000;
    await load(bench, rig, customer, id, operations);
    const tokens = await tokensOf(rig, customer);
    const { it: bot, close } = await bench.open(
      () => startProgram({ ...rig.env, ROLE: 'bot', PORT: '0' }, BOT),
      (started) => started.end(),
    );
    const paths = (n: number) =>
      n % 2 === 0 ? `/status/${numbered(1 + ((n * 7919) % operations))}` : '/operations?limit=20';
    const ask = asker(`${bot.url}/api/autonomous`, tokens, paths);
    await inFlight(5, bench.isSlice ? 40 : 400, ask); // statements that are prepared, and pages that are read into memory
    const few = await inFlight(5, bench.isSlice ? 100 : 1_000, ask);
    const many = await inFlight(50, bench.isSlice ? 200 : 6_000, ask);
    const shown = { url: bot.url, operation: id, text: numbered(Math.floor(operations / 2)).slice(3) };
    const paints = await firstPaints(bench, rig, customer, shown, bench.isSlice ? 1 : 5);
    await close();
    const of = `of ${operations} operations`;
    const rows: Measure[] = [
      { what: `status or list by the API, 5 in flight, ${of}`, unit: 'ms', values: few.ms, target: P99_FEW },
      { what: `status or list by the API, 50 in flight, ${of}`, unit: 'ms', values: many.ms, target: P99_MANY },
      { what: 'requests that the API answers, 50 in flight', unit: '/s', values: [many.perSecond] },
    ];
    return [...rows, ...paints];
  },
};

const P99_FEW = { of: 'p99', atMost: 50 } as const;
const P99_MANY = { of: 'p99', atMost: 400 } as const;

type Ask = () => Promise<number>;

function asker(base: string, tokens: readonly string[], pathOf: (n: number) => string): Ask {
  let n = 0;
  return async () => {
    const at = n++;
    const headers = { authorization: `Bearer ${tokens[at % tokens.length]}` };
    const began = performance.now();
    const answer = await fetch(`${base}${pathOf(at)}`, { headers });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`the API answered ${answer.status}: ${text.slice(0, 200)}`);
    return performance.now() - began;
  };
}

async function inFlight(
  count: number,
  requests: number,
  ask: Ask,
): Promise<{ readonly ms: readonly number[]; readonly perSecond: number }> {
  const ms: number[] = [];
  let left = requests;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (left-- > 0) ms.push(await ask());
    }),
  );
  return { ms, perSecond: (1000 * requests) / (performance.now() - began) };
}

async function tokensOf({ database, audit }: Rig, { customerId }: RigCustomer): Promise<readonly string[]> {
  const tokens = createApiTokens({ database, directory: createDirectory(database), audit });
  const made: string[] = [];
  while (made.length < TOKENS)
    made.push((await tokens.create(customerId, { scopes: ['operations:read'], days: 1 })).token.reveal());
  return made;
}

/** Ids that no operation draws: their alphabet has no 0. */
function numbered(n: number): string {
  return `op-${String(n).padStart(8, '0')}`;
}

/** Copies of one operation, completed, and of its newest audit entry, `ENTRIES_OF_EACH` each, in the chain that there is. */
async function load(
  bench: Bench,
  { adminUrl, audit, database }: Rig,
  { customerId, merchant }: RigCustomer,
  of: OperationId,
  operations: number,
): Promise<void> {
  await database.withCustomer(customerId, (tx) =>
    audit.append(tx, customerId, { kind: 'guide.shown', operationId: of, actor: merchant.id }),
  );
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { it: folder } = await bench.open(
    () => mkdtemp(join(tmpdir(), 'bench-copy-')),
    (made) => rm(made, { recursive: true }),
  );
  chmodSync(folder, 0o755); // the server reads it, as somebody else
  try {
    await client.query(`SET session_replication_role = replica`); // rows of the past, which no trigger is asked about
    await client.query(
      `INSERT INTO autonomous_operations SELECT made.* FROM autonomous_operations o, generate_series(1, $2::int) n,
        LATERAL jsonb_populate_record(o, jsonb_build_object('id', 'op-' || lpad(n::text, 8, '0'), 'status', 'failed',
          'completed_at', o.created_at, 'created_at', o.created_at - make_interval(mins => n))) made
       WHERE o.customer_id = $3 AND o.id = $1`,
      [of, operations, customerId],
    );
    await client.query(
      `INSERT INTO operation_steps (customer_id, operation_id, number, intent)
       SELECT s.customer_id, 'op-' || lpad(n::text, 8, '0'), s.number, s.intent
       FROM operation_steps s, generate_series(1, $2::int) n WHERE s.customer_id = $3 AND s.operation_id = $1`,
      [of, operations, customerId],
    );
    await loadEntries(client, folder, customerId, of, operations);
    await client.query('ANALYZE');
  } finally {
    await client.end();
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
  operations: number,
): Promise<void> {
  const { rows } = await client.query<Newest>(
    `SELECT seq, at, hash, header FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq DESC LIMIT 1`,
    [customerId],
  );
  const [newest] = rows;
  if (!newest?.header.includes(of)) throw new Error('the newest entry is not about the operation');
  const sealed = randomBytes(300).toString('hex'); // as long as the words of a step, which nobody opens here
  const total = operations * ENTRIES_OF_EACH;
  let [seq, prev] = [BigInt(newest.seq), newest.hash];
  for (let made = 0; made < total; made += FILE_ENTRIES) {
    const file = join(folder, `${made}.csv`);
    const out = createWriteStream(file, { mode: 0o644 });
    for (let n = made; n < Math.min(total, made + FILE_ENTRIES); n++) {
      const id = numbered(1 + (n % operations));
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
