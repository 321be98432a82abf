import type { Benchmark } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';
import { repeat, type Samples, timed } from './samples.ts';

const IN_FLIGHT = 10;
const APPENDS_A_LANE = 10;

/** Entries with a sealed payload, a transaction each, ten in flight: into one chain, whose head they queue for, and into ten. */
export const auditAppend: Benchmark = {
  name: 'audit-append',
  async run(bench) {
    const rig = await bench.rig();
    const customers: RigCustomer[] = [];
    for (let i = 0; i < IN_FLIGHT; i++) customers.push(await rig.addCustomer());
    const limits = bench.isSlice ? { times: 3, withinMs: 4_000 } : { times: 20, withinMs: 30_000 };
    const rates = async (lanes: readonly RigCustomer[]): Promise<Samples> => {
      await round(rig, lanes); // connections and prepared statements
      return repeat(limits, () => round(rig, lanes));
    };
    const [first] = customers;
    if (!first) throw new Error('no customer was made');
    return [
      { what: 'audit entries, one customer', unit: '/s', values: await rates(Array(IN_FLIGHT).fill(first)) },
      { what: 'audit entries, ten customers', unit: '/s', values: await rates(customers) },
    ];
  },
};

/** @returns entries a second over the round. */
async function round(rig: Rig, lanes: readonly RigCustomer[]): Promise<number> {
  const tookMs = await timed(() =>
    Promise.all(
      lanes.map(async (customer) => {
        for (let i = 0; i < APPENDS_A_LANE; i++) await append(rig, customer);
      }),
    ),
  );
  return (lanes.length * APPENDS_A_LANE * 1000) / tookMs;
}

function append({ database, audit }: Rig, { customerId, merchant }: RigCustomer): Promise<unknown> {
  const entry = {
    kind: 'trail.read',
    actor: merchant.id,
    payload: { why: 'bench', how: 'a sentence of usual length' },
  } as const;
  return database.withCustomer(customerId, (tx) => audit.append(tx, customerId, entry));
}
