import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
  cancel,
  click,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const { inMinutes, minutesPass, putBack } = clockOf(() => testDatabase);

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterEach(putBack);

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(work: (tx: Transaction) => Promise<T>, own = shop) =>
  core.database.withCustomer(own.customerId, work);

async function eventsOf(operation: Operation): Promise<readonly string[]> {
  const rows = await sql<{ kind: string }>(
    testDatabase.adminUrl,
    `SELECT e.kind FROM consent_events e JOIN consent_requests r ON r.id = e.request_id
     WHERE e.operation_id = $1 ORDER BY r.asked_at, e.n`,
    [operation.id],
  );
  return rows.map(({ kind }) => kind);
}

describe('several approvals', () => {
  test('are on the operation with who and when, and each is on record', async () => {
    const own = await installShop(core);
    await inside(
      (tx) =>
        core.customers.setRules(tx, own.customerId, {
          approvalsRequired: 2,
          adminsApprove: true,
          approverGroup: null,
        }),
      own,
    );
    const operation = await requestOperation(core, own);
    expect(await grant(core, operation, own.approver)).toMatchObject({ kind: 'approved', approvals: 1, required: 2 });
    expect((await look(core, operation)).approvals).toMatchObject([{ by: { id: own.approver.id } }]);
    expect(await grant(core, operation, own.admin)).toMatchObject({ kind: 'granted' });
    expect((await look(core, operation)).approvals.map(({ by }) => by.id)).toEqual([own.approver.id, own.admin.id]);
    expect((await kinds(core, operation)).slice(-2)).toEqual(['consent.approved', 'consent.granted']);
    const bases = await sql(
      testDatabase.adminUrl,
      "SELECT basis FROM consent_events WHERE operation_id = $1 AND kind = 'approved' ORDER BY n",
      [operation.id],
    );
    expect(bases).toEqual([{ basis: 'approver' }, { basis: 'admin' }]);
  });

  test('that somebody gave after more were asked for count, and fewer by then are enough', async () => {
    const own = await installShop(core);
    const require = (approvalsRequired: number) =>
      inside(
        (tx) =>
          core.customers.setRules(tx, own.customerId, { approvalsRequired, adminsApprove: false, approverGroup: null }),
        own,
      );
    const operation = await requestOperation(core, own);
    await require(2);
    expect(await grant(core, operation, own.approver)).toMatchObject({ kind: 'approved' });
    await require(1);
    expect(await grant(core, operation, own.approver)).toMatchObject({ kind: 'granted' });
  });
});

describe('consents of a customer', () => {
  test('are listed, counted, found and taken back one by one or a service at a time', async () => {
    const own = await installShop(core);
    const [one, two, three] = [
      await grantedOperation(core, own),
      await grantedOperation(core, own),
      await grantedOperation(core, own),
    ];
    const list = (filter?: { activeOnly?: boolean; service?: string }) =>
      inside((tx) => core.consents.list(tx, own.customerId, filter), own);
    const stats = () => inside((tx) => core.consents.getStats(tx, own.customerId), own);
    expect((await list()).map(({ operationId }) => operationId)).toEqual([three.id, two.id, one.id]);
    expect(await list({ service: 'stripe' })).toEqual([]);
    const id = one.grant?.id ?? '';
    expect(await inside((tx) => core.consents.getById(tx, own.customerId, id), own)).toMatchObject({
      id,
      operationId: one.id,
      userId: own.approver.id,
      isActive: true,
      standing: null,
      permissions: one.plan.permissions,
      collectionMethod: 'web',
      ipAddress: null,
    });
    const revokeById = (which: string, whose = own) =>
      inside((tx) => core.consents.revokeById(tx, whose.customerId, which, own.merchant), whose);
    expect(await revokeById(id, await installShop(core))).toBe(false);
    expect(await revokeById('no id')).toBe(false);
    expect(await revokeById(id)).toBe(true);
    expect(await revokeById(id)).toBe(false);
    expect(await stats()).toEqual({ total: 3, active: 2, revoked: 1, expired: 0 });
    expect(await list({ activeOnly: true, service: 'woocommerce' })).toHaveLength(2);
    const all = () =>
      inside((tx) => core.consents.revokeAllForService(tx, own.customerId, 'woocommerce', own.admin), own);
    expect(await all()).toBe(2);
    expect(await all()).toBe(0);
    expect(await stats()).toEqual({ total: 3, active: 0, revoked: 3, expired: 0 });
    expect((await kinds(core, two)).slice(-2)).toEqual(['consent.revoked', 'operation.cancelled']);
    expect(await eventsOf(two)).toEqual(['requested', 'approved', 'granted', 'revoked']);
  });

  test('say which permissions they hold, and count as expired after their time', async () => {
    const own = await installShop(core);
    const operation = await grantedOperation(core, own);
    const has = (permission: string) =>
      inside((tx) => core.consents.hasPermission(tx, own.customerId, operation.id, permission), own);
    expect(await has('sign_in')).toBe(true);
    expect(await has('write_shop')).toBe(false);
    await minutesPass(61);
    expect(await has('sign_in')).toBe(false);
    expect(await inside((tx) => core.consents.getStats(tx, own.customerId), own)).toMatchObject({
      active: 0,
      expired: 1,
    });
    const all = inside((tx) => core.consents.revokeAllForService(tx, own.customerId, 'woocommerce', own.admin), own);
    expect(await all).toBe(0);
    expect(await kinds(core, operation)).not.toContain('consent.revoked');
  });

  test('of a plan without any permission are none', async () => {
    const operation = await requestOperation(core, shop, { permissions: [] });
    await expect(grant(core, operation, shop.approver)).rejects.toThrow('At least one permission required');
    expect(await eventsOf(operation)).toEqual(['requested']);
  });
});

describe('a grant is extended', () => {
  const extend = (operation: Operation, until: Date, by: Member = shop.secondApprover) =>
    core.consents.extend(operation.customerId, click(operation, by), until);

  test('by an approver, as far as its plan said that it may run, and no further', async () => {
    const operation = await grantedOperation(core, shop);
    const latest = new Date(operation.plan.runsUntil);
    await minutesPass(30);
    expect(await extend(operation, new Date(latest.getTime() + 1))).toEqual({ kind: 'beyond_plan', latest });
    expect(await extend(operation, latest, shop.merchant)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await extend(operation, inMinutes(1))).toMatchObject({ kind: 'stale' }); // shorter
    expect(await extend(operation, latest)).toEqual({ kind: 'extended', expiresAt: latest });
    await minutesPass(40);
    expect(await inside((tx) => core.consents.verify(tx, shop.customerId, operation.id))).toMatchObject({
      hasConsent: true,
    });
    await minutesPass(6);
    expect(await inside((tx) => core.consents.verify(tx, shop.customerId, operation.id))).toMatchObject({
      reason: 'Consent has expired',
    });
    expect(await eventsOf(operation)).toEqual(['requested', 'approved', 'granted', 'refused', 'extended']);
  });

  test('not once it was revoked or has expired, and one revocation ends every part of it', async () => {
    const operation = await grantedOperation(core, shop);
    const latest = new Date(operation.plan.runsUntil);
    expect(await extend(operation, latest)).toMatchObject({ kind: 'extended' });
    await inside((tx) => core.consents.revoke(tx, operation, shop.merchant));
    expect(await extend(operation, latest)).toMatchObject({ kind: 'stale' });
    const live = 'SELECT FROM autonomous_consent WHERE operation_id = $1 AND revoked_at IS NULL';
    expect(await sql(testDatabase.adminUrl, live, [operation.id])).toEqual([]);
    const over = await grantedOperation(core, shop);
    await cancel(core, over);
    expect(await extend(over, new Date(over.plan.runsUntil))).toMatchObject({ kind: 'stale' });
    const late = await grantedOperation(core, shop);
    await minutesPass(61);
    expect(await extend(late, new Date(late.plan.runsUntil))).toMatchObject({ kind: 'stale' });
  });

  test('not by one where several have to approve', async () => {
    const own = await installShop(core);
    const operation = await grantedOperation(core, own);
    const rules = { approvalsRequired: 2, adminsApprove: false, approverGroup: null };
    await inside((tx) => core.customers.setRules(tx, own.customerId, rules), own);
    expect(await extend(operation, new Date(operation.plan.runsUntil), own.approver)).toEqual({
      kind: 'several_required',
    });
  });
});
