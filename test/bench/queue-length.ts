import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { readConfig } from '../../bot/config.ts';
import type { OperationId } from '../../core/ids.ts';
import { OPERATIONS_QUEUE } from '../../core/queue/queues.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Benchmark } from './benchmark.ts';
import { createRig, type Rig, type RigCustomer } from './rig.ts';
import { repeat, type Samples } from './samples.ts';

const FEW = 500;
const MANY = 10_000;
/** Of each queued operation, so that the workers are busy all the time. */
const WORK_MS = 20;
const ARRIVAL_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 5_000;

/**
 * From Approve to the worker while another customer's operations are queued: ten thousand of them, and five hundred, which
 * keep the workers as busy. The two in turns; what the queue's length costs is the ratio.
 */
export const queueLength: Benchmark = {
  name: 'queue-length',
  async run(bench) {
    const rig = await createRig(bench);
    const [noisy, quiet] = [await rig.addCustomer(), await rig.addCustomer()];
    const { close: stopQueue } = await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const { it: admin, close: closeAdmin } = await bench.open(
      () => connected(rig.adminUrl),
      (client) => client.end(),
    );
    const pattern = await approved(rig, noisy); // before there is a worker: its job stays
    const job = await jobOf(admin, pattern);
    const arrivals = new Map<OperationId, () => void>();
    const limits = readConfig({});
    const stages = bench.isSlice ? [FEW, MANY] : [FEW, MANY, MANY, FEW, FEW, MANY];
    const values = new Map<number, number[]>([
      [FEW, []],
      [MANY, []],
    ]);
    let isWorking = false;
    for (const length of stages) {
      await fill(admin, job, length);
      if (!isWorking)
        await rig.queue.workOperations(
          limits.agent.workerConcurrency,
          async ({ operationId }) => {
            const arrived = arrivals.get(operationId);
            if (arrived) arrived();
            else await wait(WORK_MS);
          },
          limits.limits.operationsAtOnce,
        );
      isWorking = true;
      values.get(length)?.push(...(await arrivalsOf(rig, quiet, arrivals, bench.isSlice ? 4 : 25)));
      if ((await emptied(admin, pattern)) === 0) throw new Error('the queue was empty before the end');
    }
    await closeAdmin();
    await stopQueue();
    return [FEW, MANY].map((length) => ({
      what: `Approve clicked, until the worker has the job, ${length} queued`,
      unit: 'ms' as const,
      values: values.get(length) ?? [],
    }));
  },
};

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** @returns the operation whose job waits. */
async function approved(rig: Rig, customer: RigCustomer): Promise<OperationId> {
  const { id, planHash } = await makeApprovable(rig, customer);
  await rig.consents.grant(customer.customerId, { operationId: id, planHash, by: customer.approver, method: 'web' });
  return id;
}

async function arrivalsOf(
  rig: Rig,
  customer: RigCustomer,
  arrivals: Map<OperationId, () => void>,
  times: number,
): Promise<Samples> {
  return repeat({ times, withinMs: 4_000 }, async () => {
    const { id, planHash } = await makeApprovable(rig, customer);
    const arrival = Promise.withResolvers<void>();
    arrivals.set(id, arrival.resolve);
    const limit = setTimeout(() => arrival.reject(new Error('a job did not arrive')), ARRIVAL_LIMIT_MS);
    const began = performance.now();
    await rig.consents.grant(customer.customerId, { operationId: id, planHash, by: customer.approver, method: 'web' });
    await arrival.promise;
    clearTimeout(limit);
    arrivals.delete(id);
    return performance.now() - began;
  });
}

/** The row of the job that waits for it. */
async function jobOf(admin: pg.Client, id: OperationId): Promise<unknown> {
  const { rows } = await admin.query<{ job: unknown }>(
    `SELECT to_jsonb(j) AS job FROM pgboss.job j WHERE name = $1 AND data->>'operationId' = $2`,
    [OPERATIONS_QUEUE, id],
  );
  if (!rows[0]) throw new Error('no job was sent');
  return rows[0].job;
}

/** Copies of a waiting job; what they are about is not looked at. */
async function fill(admin: pg.Client, job: unknown, count: number): Promise<void> {
  await admin.query(
    `INSERT INTO pgboss.job SELECT made.* FROM generate_series(1, $2::int) n,
       LATERAL jsonb_populate_record(NULL::pgboss.job, $1::jsonb || jsonb_build_object('id', gen_random_uuid(), 'n', n)) made`,
    [JSON.stringify(job), count],
  );
  await admin.query('ANALYZE pgboss.job');
}

/** @returns how many still waited, which are taken out. */
async function emptied(admin: pg.Client, pattern: OperationId): Promise<number> {
  const { rowCount } = await admin.query(
    `DELETE FROM pgboss.job WHERE name = $1 AND data->>'operationId' = $2 AND state = 'created'`,
    [OPERATIONS_QUEUE, pattern],
  );
  return rowCount ?? 0;
}
