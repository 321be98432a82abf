import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { readConfig } from '../../bot/config.ts';
import type { OperationId } from '../../core/ids.ts';
import { storeEntered } from '../../core/operations/entered.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import type { Benchmark } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';

const WARM_UPS = 3; // connections and prepared statements, which a running program has
const BETWEEN_CLICKS_MS = 50; // the worker is idle again, as between two clicks of people
const ARRIVAL_LIMIT_MS = 35_000; // longer than the queue polls when it missed a notification
const STOP_LIMIT_MS = 5_000;
const TARGET = { of: 'median', atMost: 50 } as const;

/** A click on Approve, one at a time, until the worker of the same process has the operation's job in its hands. */
export const approveToWorker: Benchmark = {
  name: 'approve-to-worker',
  async run(bench) {
    const rig = await bench.rig();
    const customer = await rig.addCustomer();
    const start = () => startWorker(rig);
    const { it: arrivals, close: stopQueue } = await bench.open(start, () => rig.queue.stop(STOP_LIMIT_MS));
    const clicks: Click[] = [];
    const times = bench.isSlice ? 8 : 100;
    for (let i = 0; i < WARM_UPS + times; i++) {
      const click = await approve(rig, customer, await makeApprovable(rig, customer), arrivals);
      if (i >= WARM_UPS) clicks.push(click);
      await wait(BETWEEN_CLICKS_MS);
    }
    await stopQueue();
    const values = (from: (click: Click) => number) => clicks.map((click) => click.arrivedAt - from(click));
    const [unit, target] = ['ms', TARGET] as const;
    return [
      { what: 'Approve clicked, until the worker has the job', unit, target, values: values((c) => c.calledAt) },
      { what: 'Approve on record, until the worker has the job', unit, target, values: values((c) => c.returnedAt) },
      { what: 'Approve clicked, until on record', unit, values: clicks.map((c) => c.returnedAt - c.calledAt) },
    ];
  },
};

/** In milliseconds of performance.now(). The job may arrive before the call that sent it has returned. */
interface Click {
  readonly calledAt: number;
  readonly returnedAt: number;
  readonly arrivedAt: number;
}

type Arrivals = Map<OperationId, (at: number) => void>;

/** The queues as bot/main.ts works on them; a job ends as soon as it has arrived. */
async function startWorker({ queue, deadlines }: Rig): Promise<Arrivals> {
  const arrivals: Arrivals = new Map();
  await queue.start();
  await queue.workDeadlines(deadlines);
  await queue.workOperations(readConfig({}).agent.workerConcurrency, async ({ operationId }) => {
    arrivals.get(operationId)?.(performance.now());
  });
  return arrivals;
}

/** Where an operation is to go; by default to a shop that nobody visits. */
interface Target {
  readonly origin: string;
  readonly signIn?: Readonly<Record<string, string>>;
}

/** An operation that waits for consent alone: its sign-in lies in the vault. */
export async function makeApprovable(
  rig: Pick<Rig, 'operations' | 'database' | 'vault'>,
  { customerId, merchant, threadId }: RigCustomer,
  { origin, signIn = {} }: Target = { origin: 'https://shop.example.com' },
): Promise<Operation> {
  const type = woocommerce.operationTypes.api_key_generation;
  if (!type) throw new Error('WooCommerce has no api_key_generation');
  const permissions = type.permissions.filter((p) => p.isRequired || p.isDefault).map((p) => p.id);
  const what = { threadId, requester: merchant, service: woocommerce, type, origin, base: origin, permissions };
  const operation = await rig.operations.request(customerId, what);
  if (!operation || 'tooSoon' in operation || 'closed' in operation) throw new Error('there is no operation');
  await rig.database.withCustomer(customerId, async (tx) => {
    const madeUp = Object.fromEntries(operation.way.fields.map(({ name }) => [name, 'not a real one']));
    await storeEntered(tx, rig.vault, operation, { ...madeUp, ...signIn });
  });
  return operation;
}

async function approve(rig: Rig, customer: RigCustomer, operation: Operation, arrivals: Arrivals): Promise<Click> {
  const { id: operationId, planHash } = operation;
  const arrival = Promise.withResolvers<number>();
  arrivals.set(operationId, arrival.resolve);
  const limit = setTimeout(() => arrival.reject(new Error('a job did not arrive')), ARRIVAL_LIMIT_MS);
  try {
    const click = { operationId, planHash, by: customer.approver, method: 'web' } as const;
    const calledAt = performance.now();
    const decision = await rig.consents.grant(customer.customerId, click);
    const returnedAt = performance.now();
    if (decision.kind !== 'granted' || decision.next !== 'queued') throw new Error(`the click led to ${decision.kind}`);
    return { calledAt, returnedAt, arrivedAt: await arrival.promise };
  } finally {
    clearTimeout(limit);
    arrivals.delete(operationId);
  }
}
