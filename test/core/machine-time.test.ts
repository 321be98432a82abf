// Five minutes of machine time are the most for one operation; what people take for an answer is none of it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { handOver } from '../../core/operations/hand-over.ts';
import { type Lease, takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { answerQuestion, latestQuestion } from '../../core/operations/questions.ts';
import { recordBegin } from '../../core/operations/step-record.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { installShop, look, noSecrets, queuedOperation, type Shop, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 60_000;

let database: TestDatabase;
let shop: PracticeShop;
let worker: Worker;
let customer: Shop;
const leases: Lease[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  worker = await openWorker(database, { target: new URL(shop.origin).host });
  customer = await installShop(worker.core);
});
afterEach(() => {
  for (const lease of leases.splice(0)) lease.release();
});
afterAll(async () => {
  await worker.close();
  await shop.close();
  await database.drop();
});

const queued = () =>
  queuedOperation(
    worker.core,
    customer,
    { origin: shop.origin, base: shop.origin },
    { admin_username: shop.username, admin_password: shop.password },
  );

async function taken({ customerId, id }: Operation): Promise<Lease> {
  const lease = await takeLease(worker.core, { customerId, operationId: id }, new AbortController().signal);
  if (!lease) throw new Error('the lease was not to be had');
  leases.push(lease);
  return lease;
}

const pass = (time: string) => shiftClock(database.ownerUrl, time);
/** The worker has it for so long. */
async function passing(lease: Lease, time: string): Promise<Lease> {
  await pass(time);
  return lease;
}
const msOf = async (operation: Operation) => (await look(worker.core, operation)).execution.machineMs;
const workflowOf = ({ plan }: Operation) => worker.core.workflows.getDefinition(plan.workflowId);
/** Of a browser, a hand-over before the sign-in asks nothing. */
const session = { close: async () => {} } as BrowserSession;

async function asks(lease: Lease): Promise<void> {
  const deps = { ...worker.core, browser: { open: async () => session, close: async () => {} } };
  const asked = { step: 4, question: 'help', words: 'Why.' } as const;
  await handOver(deps, lease, workflowOf(lease.operation), asked, session, noSecrets);
}

async function answer({ customerId, id }: Operation): Promise<void> {
  const { core } = worker;
  const operation = await core.database.withCustomer(customerId, (tx) => core.operations.get(tx, customerId, id));
  if (!operation) throw new Error('it is gone');
  await core.database.withCustomer(customerId, async (tx) => {
    const question = await latestQuestion(tx, customerId, id);
    return answerQuestion(tx, core, operation, question?.id ?? '', { kind: 'go_on' }, customer.merchant.id);
  });
}

describe('machine time', () => {
  test('is that of every stretch in which a worker had the operation, and of no wait for a person', async () => {
    const operation = await queued();
    await pass('20 seconds'); // in the queue
    await asks(await passing(await taken(operation), '30 seconds'));
    await pass('25 minutes');
    await answer(operation);
    expect(Math.round((await msOf(operation)) / 10_000)).toBe(3);
    const { peopleMs } = (await look(worker.core, operation)).execution;
    expect(peopleMs).toBeGreaterThan(25 * 60_000);
    expect(peopleMs).toBeLessThan(30 * 60_000);
    const lease = await passing(await taken(operation), '40 seconds');
    const verified = { kind: 'works', checked: 'answered 200', method: 'rest' } as const;
    await endOperation(worker.core, lease, { kind: 'completed', verified }, noSecrets);
    const end = await look(worker.core, operation);
    expect(Math.round((end.result?.data.durationMs ?? 0) / 10_000)).toBe(7);
    const record = { entries: 1, seq: 1n, hash: 'ab', isIntact: true };
    expect(resultCard(end, record).summary).toMatch(/^Done in (6[5-9]|7\d|8[0-4]) s\./);
  });

  test('of a worker that died ends with its last sign of life, so that a computer that was off costs nothing', async () => {
    const operation = await queued();
    const lease = await passing(await taken(operation), '10 seconds');
    const [step] = workflowOf(operation).steps;
    if (step)
      await recordBegin({ ...worker.core, screenshots: createScreenshots(worker.core), log: silentLog }, lease, step);
    await pass('30 minutes');
    await taken(operation);
    expect(Math.round((await msOf(operation)) / 10_000)).toBe(1);
  });
});

describe('an operation whose machine time is over', () => {
  test(
    'ends before another step, and says what was done and what was not',
    async () => {
      const operation = await queued();
      await asks(await passing(await taken(operation), '5 minutes 1 second'));
      await answer(operation);
      const before = shop.requests.length;
      await worker.run(operation);
      const end = await look(worker.core, operation);
      expect(end).toMatchObject({ state: 'failed', errorCode: 'overtime' });
      expect(end.errorMessage).toMatch(
        /^It was worked on for 5 minutes, which is the most for one operation, without coming to its end\. 0 of 10 steps were done; step 1, “Open the sign-in page”, and what comes after it were not\. No key was made\.$/,
      );
      expect((await trail(worker.core, operation)).at(-1)).toMatchObject({ kind: 'operation.failed', success: false });
      expect(shop.requests.slice(before)).toEqual([]);
    },
    2 * RUN_MS,
  );

  test(
    'after it set out to make a key does not say that none was made',
    async () => {
      const operation = await queued();
      const lease = await taken(operation);
      await worker.core.database.withCustomer(customer.customerId, (tx) =>
        writeIntent(tx, worker.core.audit, operation, 9, operation.plan.label, lease.fence),
      );
      await pass('5 minutes 1 second');
      await asks(lease);
      await answer(operation);
      await worker.run(operation);
      const end = await look(worker.core, operation);
      expect(end).toMatchObject({ state: 'failed', errorCode: 'overtime' });
      expect(end.errorMessage).not.toContain('No key was made');
      const card = JSON.stringify(resultCard(end, { entries: 1, seq: 1n, hash: 'ab', isIntact: true }));
      expect(card).toContain(`A key named “${operation.plan.label}” may have been made in the shop`);
    },
    2 * RUN_MS,
  );

  test(
    'is stopped in the middle of a step that waits',
    async () => {
      const operation = await queued();
      await asks(await passing(await taken(operation), '4 minutes 55 seconds'));
      await answer(operation);
      shop.failNext('busy-for-a-minute');
      await worker.run(operation);
      expect(await look(worker.core, operation)).toMatchObject({ state: 'failed', errorCode: 'overtime' });
    },
    2 * RUN_MS,
  );
});
