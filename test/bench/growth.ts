import { randomInt } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import pg from 'pg';
import { z } from 'zod';
import { makeApprovable } from './approve-to-worker.ts';
import type { Bench, Benchmark, Measure } from './benchmark.ts';
import { ENTRIES_OF_EACH, loadOperations, numbered } from './load-operations.ts';
import { createRig, type Rig, type RigCustomer } from './rig.ts';
import { repeat, timed } from './samples.ts';

const STOP_LIMIT_MS = 5_000;
const MILLION = 1_000_000;
/** What a million takes, with the write-ahead log and the files that are loaded. */
const ROOM_FOR_A_MILLION = 40e9;

/**
 * What a customer's record grows to: how many bytes an operation takes in PostgreSQL, indexes included and pictures not, and
 * how long it takes to read one of them, the newest of them, and the trail of one, with a thousand, with 100,000 and, where
 * there is room, with a million of them.
 */
export const growth: Benchmark = {
  name: 'growth',
  isLeftOutOfSlice: true,
  async run(bench) {
    const rig = await createRig(bench);
    const customer = await rig.addCustomer();
    const { close: stopQueue } = await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const { id } = await makeApprovable(rig, customer);
    const measures: Measure[] = [];
    let [loaded, bytes] = [0, await room(rig)];
    for (const operations of await counts(bench)) {
      await loadOperations(bench, rig, customer, id, { from: loaded + 1, to: operations });
      const now = await room(rig);
      measures.push({
        what: `database for an operation with ${ENTRIES_OF_EACH} entries, ${operations} of them`,
        unit: 'kB',
        values: [(now - bytes) / 1000 / (operations - loaded)],
      });
      measures.push(...(await readings(bench, rig, customer, operations)));
      [loaded, bytes] = [operations, now];
    }
    await stopQueue();
    return measures;
  },
};

async function counts({ isSlice, note }: Bench): Promise<readonly number[]> {
  if (isSlice) return [500, 2_000];
  const { bavail, bsize } = await statfs(tmpdir());
  if (bavail * bsize > ROOM_FOR_A_MILLION) return [1_000, 100_000, MILLION];
  note(`A million operations were not loaded: they take ${ROOM_FOR_A_MILLION / 1e9} GB of disk.`);
  return [1_000, 100_000];
}

async function readings(
  bench: Bench,
  { database, operations }: Rig,
  { customerId }: RigCustomer,
  count: number,
): Promise<readonly Measure[]> {
  const any = () => numbered(1 + randomInt(count));
  const limits = bench.isSlice ? { times: 20, withinMs: 2_000 } : { times: 200, withinMs: 20_000 };
  const measured = async (what: string, read: () => Promise<unknown>): Promise<Measure> => {
    for (let n = 0; n < 5; n++) await read(); // prepared statements
    return { what: `${what}, ${count} of them`, unit: 'ms', values: await repeat(limits, () => timed(read)) };
  };
  return [
    await measured('an operation read', () =>
      database.withCustomer(customerId, (tx) => operations.get(tx, customerId, any())),
    ),
    await measured('the newest 20 operations', () =>
      database.withCustomer(customerId, (tx) => operations.latest(tx, customerId, 20)),
    ),
    await measured('the trail of an operation', () =>
      database.withCustomer(customerId, (tx) =>
        tx.auditEntry.findMany({ where: { customerId, operationId: any() }, orderBy: { seq: 'asc' } }),
      ),
    ),
  ];
}

const rooms = z.tuple([z.object({ bytes: z.coerce.number() })]);

/** Of the tables that an operation and its trail lie in, in bytes. */
async function room({ adminUrl }: Rig): Promise<number> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT sum(pg_total_relation_size(name)) AS bytes
       FROM unnest(ARRAY['autonomous_operations', 'operation_steps', 'autonomous_operations_audit']::regclass[]) name`,
    );
    return rooms.parse(rows)[0].bytes;
  } finally {
    await client.end();
  }
}
