// A sign-in as it is entered: core/operations/entering.ts.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { signInPlace } from '../../core/operations/entered.ts';
import { enterFor } from '../../core/operations/entering.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Core, grantedOperation, installShop, kinds, look, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
beforeEach(async () => {
  shop = await installShop(core);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const enter = (operation: Operation, password: string, spend = async () => true) =>
  enterFor(core, operation, shop.merchant.id, { admin_username: 'mona', admin_password: password }, spend);
const passwordOf = async (operation: Operation) =>
  (
    await core.vault.get(
      shop.customerId,
      operation.service.id,
      'admin_password',
      signInPlace(operation, 'admin_password'),
    )
  )?.value.reveal();
const jobsOf = async ({ id }: Operation) =>
  (
    await sql(
      testDatabase.adminUrl,
      "SELECT FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1",
      [id],
    )
  ).length;

test('a sign-in is taken once: what comes later leaves neither a secret nor a job nor an entry', async () => {
  const operation = await grantedOperation(core, shop);
  expect(await enter(operation, 'the first one')).toMatchObject({ kind: 'entered' });
  expect(await enter(operation, 'the second one')).toEqual({ kind: 'gone' });
  expect([await passwordOf(operation), await jobsOf(operation)]).toEqual(['the first one', 1]);
  expect((await look(core, operation)).state).toBe('queued');
  expect((await kinds(core, operation)).filter((kind) => kind === 'credentials.entered')).toHaveLength(1);
});

test('a sign-in whose link is spent already, or whose countersignature was taken back, leaves nothing', async () => {
  const [spent, revoked] = [await grantedOperation(core, shop), await grantedOperation(core, shop)];
  const { token } = await core.database.withCustomer(shop.customerId, (tx) =>
    core.links.issue(tx, shop.customerId, {
      purpose: 'credentials',
      operationId: revoked.id,
      memberId: shop.merchant.id,
    }),
  );
  expect(await enter(spent, 'x', async () => false)).toEqual({ kind: 'gone' });
  await core.database.withCustomer(shop.customerId, (tx) => core.consents.revoke(tx, revoked, shop.approver));
  expect(await enter(revoked, 'x')).toEqual({ kind: 'gone' });
  // Nothing can be entered for it any more, so it does not go on waiting for that.
  expect(await look(core, revoked)).toMatchObject({ state: 'cancelled', errorMessage: 'Consent was revoked' });
  expect(await core.links.look(token)).toBeUndefined();
  for (const operation of [spent, revoked])
    expect([await passwordOf(operation), await jobsOf(operation)]).toEqual([undefined, 0]);
});
