import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { newUuid } from '../../core/ids.ts';
import { endGivenUp } from '../../core/operations/ending.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { QUEUES } from '../../core/queue/queues.ts';
import {
  type Core,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { deadJob } from '../support/dead-job.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});
beforeEach(() => sql(testDatabase.adminUrl, 'DELETE FROM pgboss.job'));
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

async function run(...argv: string[]) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: testDatabase.programUrl };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['queue', ...argv], { env, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

interface Job {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}
const jobsOf = ({ id }: Operation, state?: string) =>
  sql<Job>(
    testDatabase.adminUrl,
    "SELECT id, name, state FROM pgboss.job WHERE data ->> 'operationId' = $1 AND state::text = coalesce($2, state::text)",
    [id, state ?? null],
  );

/** As pg-boss leaves a job after its last retry, with a copy in the queue for that. */
async function dieOf(operation: Operation, queue: 'operations' | 'deadlines', copy: string): Promise<string> {
  const dead = await deadJob(testDatabase, operation, queue);
  await sql(testDatabase.adminUrl, "DELETE FROM pgboss.job WHERE data ->> 'operationId' = $1 AND state <> 'failed'", [
    operation.id,
  ]);
  await sql(
    testDatabase.adminUrl,
    `INSERT INTO pgboss.job (name, data, source_name, source_id) SELECT $3, data, name, id FROM pgboss.job WHERE id = $1 AND name = $2`,
    [dead, queue, copy],
  );
  return dead ?? '';
}

describe('countersign queue', () => {
  test('stats has every queue, and how many of which kind are in it', async () => {
    await queuedOperation(core, shop);
    await dieOf(await queuedOperation(core, shop), 'operations', 'operations_given_up');
    const { code, said } = await run('stats', '--json');
    const all: { queue: string }[] = JSON.parse(said);
    expect([code, all.map(({ queue }) => queue)]).toEqual([0, QUEUES.map(({ name }) => name)]);
    const of = (name: string) => all.find(({ queue }) => queue === name);
    expect(of('operations')).toMatchObject({ waiting: 1, again: 0, running: 0, dead: 0 });
    expect(of('operations_given_up')).toMatchObject({ waiting: 0, dead: 1 });
    expect((await run('stats')).said).toMatch(
      /^operations +1 waiting {2}0 again {2}0 running {2}0 dead {2}oldest due/m,
    );
  });

  test('list prints what is not done, with --failed what is dead, once each, and says so when nothing is', async () => {
    expect(await run('list', '--failed')).toEqual({ code: 0, said: 'No job is dead.', complained: '' });
    const [fine, dead] = [await queuedOperation(core, shop), await queuedOperation(core, shop)];
    await dieOf(dead, 'operations', 'operations_given_up');
    const listed = (await run('list')).said;
    expect(listed).toMatch(new RegExp(`operations {2}waiting {2}${fine.id} {2}customer ${shop.customerId}`));
    const failed: object[] = JSON.parse((await run('list', '--failed', '--json')).said);
    expect(failed).toEqual([expect.objectContaining({ operationId: dead.id, state: 'dead' })]);
  });

  test('redrive sends an open operation’s dead job anew, once and on record, and nobody gives it up any more', async () => {
    const operation = await queuedOperation(core, shop);
    const dead = await dieOf(operation, 'operations', 'operations_given_up');
    expect(await run('redrive', operation.id)).toEqual({
      ...{ code: 0, complained: '' },
      said: `${operation.id}: a new job is in the queue operations.`,
    });
    const [sent, ...more] = await jobsOf(operation, 'created');
    expect([sent?.name, more]).toEqual(['operations', []]);
    const { customerId, id: operationId } = operation;
    await endGivenUp(core, { customerId, operationId }, dead);
    expect((await look(core, operation)).state).toBe('queued');
    await endGivenUp(core, { customerId, operationId }, sent?.id ?? '');
    expect((await look(core, operation)).state).toBe('failed'); // the new one is its job
    expect((await kinds(core, operation)).slice(-2)).toEqual(['operation.queued', 'operation.failed']);
    expect(await run('redrive', dead)).toMatchObject({ code: 1, complained: expect.stringMatching(/^No dead job is/) });
  });

  test('redrive does a deadline that was late, by the id of its job', async () => {
    const operation = await requestOperation(core, shop);
    await dieOf(operation, 'deadlines', 'deadlines_late');
    const [copy] = await jobsOf(operation, 'created');
    expect(await run('redrive', copy?.id ?? '')).toMatchObject({ code: 0 });
    expect(await jobsOf(operation, 'created')).toMatchObject([{ name: 'deadlines' }]);
  });

  test('redrive of an operation that is over sends nothing, and says that a new request is needed', async () => {
    const operation = await queuedOperation(core, shop);
    const dead = await dieOf(operation, 'operations', 'operations_given_up');
    const { customerId, id: operationId } = operation;
    await endGivenUp(core, { customerId, operationId }, dead);
    const { code, complained } = await run('redrive', operation.id);
    expect([code, complained]).toEqual([1, expect.stringMatching(/is over \(failed\).*asked for anew/)]);
    expect(await jobsOf(operation, 'created')).toMatchObject([{ name: 'operations_given_up' }]);
  });

  test('redrive leaves an operation alone that has another job, and one that was never there', async () => {
    const operation = await queuedOperation(core, shop);
    await dieOf(operation, 'operations', 'operations_given_up');
    await sql(testDatabase.adminUrl, 'UPDATE autonomous_operations SET job_id = $2 WHERE id = $1', [
      operation.id,
      newUuid(),
    ]);
    expect(await run('redrive', operation.id)).toMatchObject({ code: 1, complained: expect.stringMatching(/is open/) });
    expect(await run('redrive', newUuid())).toMatchObject({ code: 1 });
    expect(await run('redrive', 'x')).toMatchObject({ code: 2 });
  });
});
