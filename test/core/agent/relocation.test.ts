import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../../core/operations/operation.ts';
import { decideProposal } from '../../../core/workflow/found-anew.ts';
import { proposalsFor } from '../../../core/workflow/proposals.ts';
import { alterationOf } from '../../drift/alteration.ts';
import { play } from '../../drift/play.ts';
import { type PracticeShop, startPracticeShop } from '../../practice/woocommerce/server.ts';
import { cancel, installShop, look, queuedOperation, type Shop, sql, trail } from '../../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { IS_WHOLE } from '../../support/whole.ts';
import { openWorker, type Worker } from '../../support/worker.ts';

/** "Log In" was reworded and every identifier renamed: no locator of step 4 finds it. */
const REWORDED = {
  name: 'a reworded sign-in button',
  isRecoverable: true,
  identifiers: (name: string) => `next-${name}`,
  script: `drift.relabel('#wp-submit', 'Sign in')`,
};
const STEP = 4;

describe('a run on changed pages', () => {
  let database: TestDatabase;
  let shop: PracticeShop;
  let worker: Worker;
  let customer: Shop;
  let first: Operation;
  let second: Operation;

  const ran = async (of: Shop): Promise<Operation> => {
    const secrets = { admin_username: shop.username, admin_password: shop.password };
    const operation = await queuedOperation(worker.core, of, { origin: shop.origin, base: shop.origin }, secrets);
    await worker.run(operation);
    return look(worker.core, operation);
  };
  const rungOf = (operation: Operation) => operation.steps.find(({ number }) => number === STEP)?.rung;
  const entryOf = async (operation: Operation) =>
    (await trail(worker.core, operation)).find(
      ({ kind, stepNumber }) => kind === 'step.finished' && stepNumber === STEP,
    );
  const proposals = () =>
    sql<{ id: string; customer_id: string; step: number; held: number; element: object; target: string }>(
      database.adminUrl,
      'SELECT * FROM workflow_proposals ORDER BY created_at, step',
    );

  beforeAll(async () => {
    database = await createTestDatabase();
    shop = await startPracticeShop({ obstacles: { adminEmailCheck: false }, alteration: alterationOf(REWORDED) });
    worker = await openWorker(database, { target: new URL(shop.origin).host });
    customer = await installShop(worker.core);
    first = await ran(customer);
  }, 120_000);
  afterAll(async () => {
    await worker.close();
    await shop.close();
    await database.drop();
  });

  test('says of the step that its element was relocated, and how surely', async () => {
    expect(first).toMatchObject({ state: 'completed' });
    expect(rungOf(first)).toBe('relocated');
    const note = 'The page has changed here; what was meant was recognised by what is known of it.';
    expect(first.steps.find(({ number }) => number === STEP)).toMatchObject({ note });
    const entry = await entryOf(first);
    expect(entry).toMatchObject({ rung: 'relocated', payload: { action: 'click #wp-submit' } });
    expect(entry?.payload?.relocated).toEqual({
      by: 'fingerprint',
      score: expect.closeTo(1, 0),
      margin: expect.closeTo(1, 0),
    });
  });

  test('keeps what the element is now, for that customer’s target, with locators that find it', async () => {
    const kept = (await proposals()).filter(({ step }) => step === STEP);
    expect(kept).toHaveLength(1);
    expect(kept[0]).toMatchObject({
      customer_id: customer.customerId,
      target: shop.origin,
      held: 1,
      element: {
        identity: { tag: 'input', type: 'submit', role: 'button', name: 'Sign in' },
        locators: expect.arrayContaining([{ by: 'role', role: 'button', name: 'Sign in', exact: true }]),
        fingerprint: expect.objectContaining({ name: 'Sign in', id: 'next-wp-submit' }),
      },
    });
  });

  test('tries it at the next run there, and counts that it held', async () => {
    const [before] = await proposals();
    second = await ran(customer);
    expect(second).toMatchObject({ state: 'completed' });
    expect(rungOf(second)).toBe('relocated');
    expect(await entryOf(second)).toMatchObject({ payload: { relocated: { by: 'proposal', proposal: before?.id } } });
    expect((await proposals()).find(({ id }) => id === before?.id)).toMatchObject({ held: 2 });
  }, 120_000);

  test('takes it no more once an admin has discarded it, and asks a person', async () => {
    const { core } = worker;
    const { customerId, admin } = customer;
    const kept = (await proposals()).find(({ step, customer_id }) => step === STEP && customer_id === customerId);
    const decide = (decision: 'discard' | 'restore') =>
      core.database.withCustomer(customerId, (tx) =>
        decideProposal(tx, core.audit, customerId, { id: kept?.id ?? '', decision, by: admin.id }),
      );
    expect(await decide('discard')).toBe('done');
    const third = await ran(customer);
    expect([third.state, rungOf(third)]).toEqual(['waiting_for_human', null]);
    expect((await proposals()).find(({ id }) => id === kept?.id)).toMatchObject({ held: 2 });
    expect(await decide('restore')).toBe('done');
    await cancel(core, third);
  }, 120_000);

  test('has nothing of it for another customer, another target or another version of the workflow', async () => {
    const other = await installShop(worker.core);
    const { workflowId, workflowVersion, base: target } = first.plan;
    const place = { workflowId, workflowVersion, target };
    const known = (of: Shop, changes: Partial<typeof place>) =>
      worker.core.database.withCustomer(of.customerId, (tx) =>
        proposalsFor(tx, of.customerId, { ...place, ...changes }),
      );
    expect(await known(customer, {})).not.toEqual([]);
    expect(await known(other, {})).toEqual([]);
    expect(await known(customer, { target: 'https://other.example.com' })).toEqual([]);
    expect(await known(customer, { workflowVersion: workflowVersion + 1 })).toEqual([]);
  });

  test('says nothing of the pages any more once the customer is erased', async () => {
    await worker.core.keyRotation.eraseCustomer(customer.customerId);
    expect((await proposals()).map(({ element }) => element)).toEqual((await proposals()).map(() => ({})));
  });
});

if (IS_WHOLE)
  test('nothing is relocated where only the recorded locators may be tried', async () => {
    expect(await play(REWORDED, 'replay')).toMatchObject({
      left: { step: 1, failure: 'postcondition_failed' },
      wrong: [],
    });
  }, 60_000);
