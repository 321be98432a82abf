import { Secret } from '../../core/secret.ts';
import type { CredentialPlace } from '../../core/vault/vault.ts';
import type { Benchmark } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';
import { type Limits, repeat, type Samples, timed } from './samples.ts';

const CUSTOMERS = 10;
const PLACE: CredentialPlace = {
  service: 'woocommerce',
  target: 'https://shop.example.com',
  type: 'api_key',
  operationId: null,
};

/** Opening a stored key with its audit entry, as one transaction: by one reader, and by ten at once of a customer each. */
export const credentialOpen: Benchmark = {
  name: 'credential-open',
  async run(bench) {
    const rig = await bench.rig();
    const customers: RigCustomer[] = [];
    for (let i = 0; i < CUSTOMERS; i++) customers.push(await customerWithKey(rig));
    const limits = bench.isSlice ? { times: 30, withinMs: 3_000 } : { times: 300, withinMs: 20_000 };
    const alone = await openings(rig, customers.slice(0, 1), limits);
    const together = await openings(rig, customers, limits);
    return [
      { what: 'credential opened, 1 in flight', unit: 'ms', values: alone },
      { what: 'credential opened, 10 in flight, a customer each', unit: 'ms', values: together },
    ];
  },
};

async function customerWithKey(rig: Rig): Promise<RigCustomer> {
  const customer = await rig.addCustomer();
  const fields = { consumer_key: new Secret('ck_not_a_real_one'), consumer_secret: new Secret('cs_not_a_real_one') };
  const { customerId } = customer;
  await rig.database.withCustomer(customerId, (tx) => rig.vault.store(tx, customerId, PLACE, fields));
  return customer;
}

/** `limits` hold for each customer. The first opening of each is not counted. */
async function openings(rig: Rig, customers: readonly RigCustomer[], limits: Limits): Promise<Samples> {
  const lane = async (customer: RigCustomer) => {
    await open(rig, customer);
    return repeat(limits, () => timed(() => open(rig, customer)));
  };
  return (await Promise.all(customers.map(lane))).flat();
}

async function open({ database, vault }: Rig, { customerId }: RigCustomer): Promise<void> {
  const fields = await database.withCustomer(customerId, (tx) => vault.open(tx, customerId, PLACE, { why: 'bench' }));
  if (!fields?.consumer_key) throw new Error('the credential was not there');
}
