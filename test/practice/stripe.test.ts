// The workflow for Stripe's dashboard on the practice account, where the end-to-end test does not go: after a crash.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeIntent } from '../../core/operations/effect.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openWorker, type Worker } from '../support/worker.ts';
import { type PracticeStripe, startPracticeStripe } from './stripe/server.ts';

const type = stripe.operationTypes.api_key_generation;
const way = type.ways.find(({ kind }) => kind === 'browser');
if (!way) throw new Error('Stripe has a way in the browser');

let testDatabase: TestDatabase;
let practice: PracticeStripe;
let worker: Worker;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  practice = await startPracticeStripe();
  worker = await openWorker(testDatabase, { target: new URL(practice.origin).host });
}, 120_000);

afterAll(async () => {
  await worker?.close();
  await practice?.close();
  await testDatabase?.drop();
});

test('a worker that takes over finds the key of the one that died by its name, and makes no second one', async () => {
  const { core } = worker;
  const shop = await installShop(core);
  const place = { service: stripe, type, way, origin: practice.origin, base: practice.origin };
  const signIn = { admin_email: practice.email, admin_password: practice.password };
  const asked = { ...place, permissions: defaultPermissions(type, way) };
  const operation = await queuedOperation(core, shop, asked, signIn);
  const effect = operation.plan.steps.find(({ risk }) => risk === 'creates')?.order ?? 0;
  const { label } = operation.plan;
  await core.database.withCustomer(shop.customerId, (tx) =>
    writeIntent(tx, core.audit, operation, effect, label, operation.fence),
  );
  practice.makeKey({ name: label, mode: 'test', raks: ['rak_balance_read'] }); // and then it died
  await worker.run(operation);
  const after = await look(core, operation);
  expect(after).toMatchObject({ state: 'failed', errorCode: 'effect_unsure', isKeyStored: false });
  expect(after.errorMessage).toContain(`Revoke “${label}” in Stripe's list of keys`);
  expect(practice.keys()).toHaveLength(1);
}, 120_000);
