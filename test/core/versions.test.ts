// A deploy that goes round: a worker of the older version beside a bot, and a worker, of the newer one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Operation } from '../../core/operations/operation.ts';
import { createWorkflowRegistry, type WorkflowRegistry } from '../../core/workflow/registry.ts';
import type { Workflow } from '../../core/workflow/workflow.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { installShop, kinds, look, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 60_000;

let database: TestDatabase;
let shop: PracticeShop;
let customer: Shop;
let newer: Worker;
const workers: Worker[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  newer = await open();
  customer = await installShop(newer.core);
});
afterAll(async () => {
  for (const worker of workers) await worker.close();
  await shop.close();
  await database.drop();
});

async function open(workflows?: WorkflowRegistry): Promise<Worker> {
  const target = new URL(shop.origin).host;
  const worker = await openWorker(database, { target, ...(workflows ? { workflows } : {}) });
  workers.push(worker);
  return worker;
}

/** The registry of a version whose workflows are others. */
function registry(change: (workflow: Workflow) => Workflow | undefined): WorkflowRegistry {
  const real = createWorkflowRegistry();
  const get = (id: string) => {
    const workflow = real.get(id);
    return workflow && change(workflow);
  };
  return { ...real, get, getDefinition: (id) => get(id) ?? real.getDefinition(`${id} of another version`) };
}
const OLDER = registry((workflow) => ({ ...workflow, version: workflow.version - 1 }));
const WITHOUT = registry(() => undefined);
const STILL_NEWER = registry((workflow) => ({ ...workflow, version: workflow.version + 1 }));

const queued = () =>
  queuedOperation(
    newer.core,
    customer,
    { origin: shop.origin, base: shop.origin },
    { admin_username: shop.username, admin_password: shop.password },
  );
const jobsOf = ({ id }: Operation) =>
  sql<{ id: string; seconds: number }>(
    database.adminUrl,
    `SELECT id, round(extract(epoch FROM start_after - created_on))::int AS seconds FROM pgboss.job
     WHERE name = 'operations' AND data->>'operationId' = $1 ORDER BY created_on`,
    [id],
  );
const jobIdOf = async ({ id }: Operation) =>
  (
    await sql<{ job: string }>(database.adminUrl, 'SELECT job_id AS job FROM autonomous_operations WHERE id = $1', [id])
  )[0]?.job;

test.each([
  ['knows only an older version of the way', OLDER],
  ['does not know the way', WITHOUT],
])(
  'a worker that %s leaves the operation, for later, to one that does',
  async (_, workflows) => {
    const older = await open(workflows);
    const operation = await queued();
    const requests = shop.requests.length;
    for (const _ of [1, 2]) await older.run(operation);
    expect(await look(newer.core, operation)).toMatchObject({ state: 'queued', fence: operation.fence });
    expect(await kinds(newer.core, operation)).not.toContain('operation.started');
    expect(shop.requests).toHaveLength(requests);
    const jobs = await jobsOf(operation);
    expect(jobs.map(({ seconds }) => seconds)).toEqual([0, 10, 10]);
    expect(await jobIdOf(operation)).toBe(jobs.at(-1)?.id);
    await newer.run(operation);
    expect((await look(newer.core, operation)).state).toBe('completed');
  },
  3 * RUN_MS,
);

test('when nobody comes who knows it, the operation ends, and says so', async () => {
  const older = await open(OLDER);
  const operation = await queued();
  await sql(
    database.adminUrl,
    `UPDATE autonomous_operations SET execution_metadata = execution_metadata || '{"left": 59}' WHERE id = $1`,
    [operation.id],
  );
  await older.run(operation);
  expect((await look(newer.core, operation)).state).toBe('queued');
  await older.run(operation);
  const end = await look(newer.core, operation);
  expect(end).toMatchObject({ state: 'failed', errorCode: 'workflow_changed' });
  expect(end.errorMessage).toMatch(
    /^It was approved for version \d+ of the way to do this, and no worker that knows it/,
  );
  expect(await jobsOf(operation)).toHaveLength(2);
});

test('what a newer version no longer does is not done: the operation ends, and is to be asked for again', async () => {
  const stillNewer = await open(STILL_NEWER);
  const operation = await queued();
  await stillNewer.run(operation);
  const end = await look(newer.core, operation);
  expect(end).toMatchObject({ state: 'failed', errorCode: 'workflow_changed' });
  expect(end.errorMessage).toContain('Ask again to see the new plan.');
});
