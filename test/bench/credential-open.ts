import { randomInt } from 'node:crypto';
import type { CustomerId } from '../../core/ids.ts';
import { fillVault, shopTarget } from '../support/vault.ts';
import type { Benchmark } from './benchmark.ts';
import type { Rig } from './rig.ts';
import { type Limits, repeat, type Samples, timed } from './samples.ts';

const CUSTOMERS = 100;
const CUSTOMERS_OF_SLICE = 10;
const IN_FLIGHT = 10;
const SECRETS = 100_000;

/**
 * Opening one of 100,000 stored keys of 100 customers, its audit entry included: by one reader, by ten at once of a customer
 * each, and by ten at once of the same customer, whose entries wait for each other in one chain. And how many secrets a
 * second a rotation of a customer's key wraps anew.
 */
export const credentialOpen: Benchmark = {
  name: 'credential-open',
  async run(bench) {
    const rig = await bench.rig();
    const count = bench.isSlice ? CUSTOMERS_OF_SLICE : CUSTOMERS;
    const each = SECRETS / CUSTOMERS / (bench.isSlice ? 10 : 1);
    const customers: CustomerId[] = [];
    for (let i = 0; i < count; i++) {
      const { customerId } = await rig.addCustomer();
      await fillVault(rig.database, rig.rootKeys, customerId, each, 'not a real one');
      customers.push(customerId);
    }
    const limits = bench.isSlice ? { times: 30, withinMs: 3_000 } : { times: 500, withinMs: 20_000 };
    const [first, ...others] = customers.slice(0, IN_FLIGHT);
    if (!first) throw new Error('there is no customer');
    const alone = await openings(rig, [first], each, limits);
    const bare = await repeat(limits, () => timed(() => nothing(rig, first)));
    const apart = await openings(rig, [first, ...others], each, limits);
    const together = await openings(
      rig,
      Array.from({ length: IN_FLIGHT }, () => first),
      each,
      limits,
    );
    const what = `of ${each * count} credentials opened`;
    return [
      { what: `${what}, 1 in flight`, unit: 'ms', values: alone },
      { what: 'an empty transaction of a customer', unit: 'ms', values: bare },
      { what: `${what}, 10 over 10 customers`, unit: 'ms', values: apart, target: { of: 'p99', atMost: 50 } },
      { what: `${what}, 10 on one customer`, unit: 'ms', values: together },
      { what: 'secrets rewrapped', unit: '/s', values: await rotations(rig, customers.slice(0, 5)) },
    ];
  },
};

/** `limits` hold for each lane. The first opening of each is not counted. */
async function openings(rig: Rig, lanes: readonly CustomerId[], each: number, limits: Limits): Promise<Samples> {
  const lane = async (customerId: CustomerId) => {
    await open(rig, customerId, each);
    return repeat(limits, () => timed(() => open(rig, customerId, each)));
  };
  return (await Promise.all(lanes.map(lane))).flat();
}

async function open({ vault }: Rig, customerId: CustomerId, each: number): Promise<void> {
  const place = { service: 'woocommerce', type: 'api_key', target: shopTarget(randomInt(each)) } as const;
  const length = await vault.open({ ...place, customerId, why: 'bench' }, (fields) => fields.value?.length);
  if (!length) throw new Error('the credential was not there');
}

/** What any transaction costs: begin, context, a statement, commit. */
function nothing({ database }: Rig, customerId: CustomerId): Promise<unknown> {
  return database.withCustomer(customerId, (tx) => tx.$queryRaw`SELECT 1`);
}

/** Secrets a second of each customer's whole rotation: the new version, the rewraps, the end of the old one. */
async function rotations({ keyRotation }: Rig, customers: readonly CustomerId[]): Promise<Samples> {
  const rates: number[] = [];
  for (const customerId of customers) {
    const began = performance.now();
    const outcome = await keyRotation.rotateCustomerKeys(customerId);
    if (outcome.kind !== 'rotated' || outcome.rewrapped === 0) throw new Error('nothing was rewrapped');
    rates.push(outcome.rewrapped / ((performance.now() - began) / 1000));
  }
  return rates;
}
