import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Stopped } from '../../core/operations/stopped.ts';
import {
  type Core,
  click,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  storeSignIn,
  trail,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const verify = (operation: Operation, permission?: string) =>
  core.database.withCustomer(operation.customerId, (tx) =>
    core.consents.verify(tx, operation.customerId, operation.id, permission),
  );

const revoke = (operation: Operation, by: Member) =>
  core.database.withCustomer(operation.customerId, (tx) => core.consents.revoke(tx, operation, by));

const grantsOf = (operation: Operation) =>
  sql(testDatabase.adminUrl, 'SELECT * FROM autonomous_consent WHERE operation_id = $1', [operation.id]);

const jobsOf = (operation: Operation) =>
  sql<{ id: string }>(
    testDatabase.adminUrl,
    "SELECT id FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1",
    [operation.id],
  );

describe('a grant', () => {
  test('holds who, what plan, which permissions, until when and how', async () => {
    const operation = await requestOperation(core, shop);
    const from = { method: 'web', ipAddress: '192.0.2.7', userAgent: 'Firefox' } as const;
    const decision = await core.consents.grant(shop.customerId, click(operation, shop.approver, from));
    expect(decision).toMatchObject({ kind: 'granted', next: 'awaiting_credentials' });
    const [row] = await grantsOf(operation);
    expect(row).toMatchObject({
      user_id: shop.approver.id,
      plan_hash: operation.planHash,
      permissions: operation.plan.permissions,
      service: 'woocommerce',
      operation: 'api_key_generation',
      target: 'https://shop.example.com',
      collection_method: 'web',
      ip_address: '192.0.2.7',
      user_agent: 'Firefox',
      consent_version: '1.0',
      revoked_at: null,
    });
    expect(row?.expires_at.getTime() - row?.granted_at.getTime()).toBe(60 * 60_000);
    const after = await look(core, operation);
    expect(after).toMatchObject({
      state: 'awaiting_credentials',
      request: { decision: 'granted', decidedBy: shop.approver.id },
    });
    expect(after.grant?.approver.id).toBe(shop.approver.id);
    expect(after.decidedBy?.id).toBe(shop.approver.id);
  });

  test('sends the job by itself where the sign-in lies in the vault already', async () => {
    const operation = await requestOperation(core, shop);
    await core.database.withCustomer(shop.customerId, (tx) => storeSignIn(core, tx, operation));
    expect(await grant(core, operation, shop.approver)).toMatchObject({ kind: 'granted', next: 'queued' });
    const jobs = await jobsOf(operation);
    expect(jobs).toHaveLength(1);
    const [row] = await sql<{ job_id: string }>(
      testDatabase.adminUrl,
      'SELECT job_id FROM autonomous_operations WHERE id = $1',
      [operation.id],
    );
    expect(row?.job_id).toBe(jobs[0]?.id);
  });

  test('without the sign-in sends none', async () => {
    expect(await jobsOf(await grantedOperation(core, shop))).toEqual([]);
  });
});

describe('who decides', () => {
  interface Scenario {
    readonly by: keyof Shop & ('admin' | 'merchant' | 'approver' | 'secondApprover');
    readonly requester: 'merchant' | 'approver';
    readonly worksAlone: boolean;
    readonly decision: string;
    readonly grants: number;
    readonly kind: string;
  }
  const othersRequest = { requester: 'merchant', worksAlone: false } as const;
  const ownRequest = { requester: 'approver', worksAlone: false } as const;
  const granted = { decision: 'granted', grants: 1, kind: 'consent.granted' } as const;
  const refused = (decision: string) => ({ decision, grants: 0, kind: 'consent.refused' });
  const scenarios: readonly Scenario[] = [
    { ...othersRequest, by: 'approver', ...granted },
    { ...othersRequest, by: 'secondApprover', ...granted },
    { ...othersRequest, by: 'admin', ...refused('not_an_approver') },
    { ...othersRequest, by: 'merchant', ...refused('not_an_approver') },
    { ...othersRequest, by: 'merchant', worksAlone: true, ...refused('not_an_approver') },
    { ...ownRequest, by: 'approver', ...refused('own_request') },
    { ...ownRequest, by: 'secondApprover', ...granted },
    { ...ownRequest, by: 'approver', worksAlone: true, ...granted },
  ];

  test.each(scenarios)(
    '$by clicks on the request of $requester (works alone: $worksAlone): $decision',
    async (scenario) => {
      const own = await installShop(core);
      const approvers = [own.approver.person, own.secondApprover.person];
      await core.database.withCustomer(own.customerId, (tx) =>
        core.customers.setApprovers(tx, own.customerId, approvers, scenario.worksAlone),
      );
      const operation = await requestOperation(core, own, { requester: own[scenario.requester] });
      const decision = await grant(core, operation, own[scenario.by]);
      expect(decision.kind === 'refused' ? decision.why : decision.kind).toBe(scenario.decision);
      expect(await grantsOf(operation)).toHaveLength(scenario.grants);
      const last = (await trail(core, operation)).at(-1);
      expect([last?.kind, last?.actor]).toEqual([scenario.kind, own[scenario.by].id]);
      expect((await look(core, operation)).state).toBe(scenario.grants ? 'awaiting_credentials' : 'awaiting_consent');
    },
  );

  test('is refused each time that they click without the right to, and on record once a question and reason', async () => {
    const operation = await requestOperation(core, shop);
    const refused = { kind: 'refused', why: 'not_an_approver' };
    const clicks = Array.from({ length: 20 }, () => grant(core, operation, shop.merchant));
    expect(await Promise.all(clicks)).toEqual(clicks.map(() => refused));
    for (let again = 0; again < 20; again++) expect(await grant(core, operation, shop.merchant)).toEqual(refused);
    expect(await grant(core, operation, shop.admin)).toEqual(refused);
    const refusals = async (of: Operation) =>
      (await trail(core, of)).filter(({ kind }) => kind === 'consent.refused').map(({ actor }) => actor);
    expect(await refusals(operation)).toEqual([shop.merchant.id, shop.admin.id]);
    const events = "SELECT member_id FROM consent_events WHERE operation_id = $1 AND kind = 'refused' ORDER BY n";
    expect(await sql(testDatabase.adminUrl, events, [operation.id])).toEqual([
      { member_id: shop.merchant.id },
      { member_id: shop.admin.id },
    ]);
    const other = await requestOperation(core, shop);
    expect(await grant(core, other, shop.merchant)).toEqual(refused);
    expect(await refusals(other)).toEqual([shop.merchant.id]);
  });

  test('is refused on record once more where the reason is another one', async () => {
    const own = await installShop(core);
    const operation = await requestOperation(core, own);
    expect(await grant(core, operation, own.merchant)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    await core.database.withCustomer(own.customerId, (tx) =>
      core.customers.setApprovers(tx, own.customerId, [own.merchant.person, own.approver.person], false),
    );
    for (const _ of [1, 2])
      expect(await grant(core, operation, own.merchant)).toEqual({ kind: 'refused', why: 'own_request' });
    const refusals = (await trail(core, operation)).filter(({ kind }) => kind === 'consent.refused');
    expect(refusals.map(({ payload }) => payload)).toEqual([{ why: 'not_an_approver' }, { why: 'own_request' }]);
  });

  test('may deny, with a reason on record, and nobody else may', async () => {
    const operation = await requestOperation(core, shop);
    const deny = (by: Member) => core.consents.deny(shop.customerId, click(operation, by), 'Not this shop');
    expect(await deny(shop.merchant)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await deny(shop.admin)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect((await look(core, operation)).state).toBe('awaiting_consent');
    expect(await deny(shop.approver)).toMatchObject({ kind: 'denied' });
    expect(await look(core, operation)).toMatchObject({
      state: 'denied',
      errorMessage: 'Not this shop',
      grant: null,
      request: { decision: 'denied', decidedBy: shop.approver.id },
    });
    expect((await trail(core, operation)).slice(3)).toMatchObject([
      { kind: 'consent.refused', actor: shop.merchant.id },
      { kind: 'consent.refused', actor: shop.admin.id },
      { kind: 'operation.denied', actor: shop.approver.id, payload: { reason: 'Not this shop' } },
    ]);
    expect(await deny(shop.secondApprover)).toMatchObject({ kind: 'stale' });
    expect(await grant(core, operation, shop.approver)).toMatchObject({ kind: 'stale' });
  });
});

test('a plan that no longer says which key it replaces is not approved; made anew, it is', async () => {
  const base = 'https://replaced.example.com';
  const operation = await requestOperation(core, shop, { origin: base, base });
  const metadata = { label: 'Countersign op-00000001', operationId: 'op-00000001' };
  await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { target: base, value: 'ck_x', metadata });
  expect(await grant(core, operation, shop.approver)).toMatchObject({ kind: 'stale' });
  expect(await grantsOf(operation)).toEqual([]);
  await core.database.withCustomer(shop.customerId, (tx) =>
    core.operations.choosePermissions(tx, operation, operation.plan.permissions, shop.approver),
  );
  const renewed = await look(core, operation);
  expect(renewed.plan.replaces).toBe('Countersign op-00000001');
  expect(await grant(core, renewed, shop.approver)).toMatchObject({ kind: 'granted' });
});

describe('other permissions', () => {
  const choose = (operation: Operation, permissions: readonly string[]) =>
    core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(tx, operation, permissions, shop.merchant),
    );

  test('make another plan: the old card can not be approved any more, the new one can', async () => {
    const operation = await requestOperation(core, shop);
    expect(await choose(operation, [...operation.plan.permissions, 'write_shop'])).toBe(true);
    const changed = await look(core, operation);
    expect(changed.planHash).not.toBe(operation.planHash);
    expect(changed.plan).toMatchObject({ values: { scope: 'read_write' } });
    expect(changed.steps.map(({ intent }) => intent)).toEqual(changed.plan.steps.map(({ intent }) => intent));
    expect(await grant(core, operation, shop.approver)).toMatchObject({ kind: 'stale' });
    expect(await grantsOf(operation)).toEqual([]);
    expect(await grant(core, changed, shop.approver)).toMatchObject({ kind: 'granted' });
    expect(await verify(changed, 'write_shop')).toMatchObject({ hasConsent: true });
    const decisions = await sql(
      testDatabase.adminUrl,
      'SELECT decision FROM consent_requests WHERE operation_id = $1 ORDER BY asked_at',
      [operation.id],
    );
    expect(decisions).toEqual([{ decision: 'superseded' }, { decision: 'granted' }]);
    expect(await kinds(core, operation)).toEqual([
      ...['operation.requested', 'plan.made', 'consent.requested', 'plan.made', 'consent.requested', 'consent.granted'],
    ]);
  });

  test('chosen too late change nothing', async () => {
    const operation = await requestOperation(core, shop);
    await grant(core, operation, shop.approver);
    expect(await choose(operation, [...operation.plan.permissions, 'write_shop'])).toBe(false);
    expect(await look(core, operation)).toMatchObject({
      planHash: operation.planHash,
      request: { decision: 'granted' },
    });
    expect(await verify(operation)).toMatchObject({ hasConsent: true });
  });

  test('chosen on a card that was changed meanwhile change nothing', async () => {
    const operation = await requestOperation(core, shop);
    await choose(operation, [...operation.plan.permissions, 'write_shop']);
    const changed = await look(core, operation);
    expect(await choose(operation, operation.plan.permissions)).toBe(false);
    expect((await look(core, operation)).planHash).toBe(changed.planHash);
  });
});

describe('verify', () => {
  test('goes by the permissions that were granted', async () => {
    const operation = await grantedOperation(core, shop);
    expect(operation.plan.permissions).toEqual(['check_key', 'create_api_key', 'read_shop', 'sign_in']);
    for (const permission of operation.plan.permissions)
      expect(await verify(operation, permission)).toMatchObject({ hasConsent: true });
    for (const permission of ['write_shop', 'revoke_key', '', 'sign_in ', 'SIGN_IN', 'constructor', '0', 'length'])
      expect(await verify(operation, permission)).toEqual({
        hasConsent: false,
        reason: `Permission ${permission} was not granted`,
      });
    expect(await verify(operation)).toMatchObject({ hasConsent: true, consentRecord: { id: operation.grant?.id } });
  });

  test('finds no consent before the click, and none for an unknown operation', async () => {
    const none = { hasConsent: false, reason: 'No consent granted for this operation' };
    expect(await verify(await requestOperation(core, shop))).toEqual(none);
    const foreign = await grantedOperation(core, await installShop(core));
    expect(await verify({ ...foreign, customerId: shop.customerId })).toEqual(none);
  });

  test('feels a revocation at once, and it is on record once', async () => {
    const operation = await grantedOperation(core, shop);
    expect(await revoke(operation, shop.merchant)).toBe(true);
    expect(await verify(operation)).toEqual({ hasConsent: false, reason: 'Consent was revoked' });
    expect(await revoke(operation, shop.merchant)).toBe(false);
    const revocations = (await trail(core, operation)).filter(({ kind }) => kind === 'consent.revoked');
    expect(revocations).toMatchObject([{ actor: shop.merchant.id }]);
  });

  test("ends with the hour, by the database's clock", async () => {
    const operation = await grantedOperation(core, shop);
    await shiftClock(testDatabase.ownerUrl, '59 minutes');
    try {
      expect(await verify(operation)).toMatchObject({ hasConsent: true });
      await shiftClock(testDatabase.ownerUrl, '61 seconds');
      expect(await verify(operation)).toEqual({ hasConsent: false, reason: 'Consent has expired' });
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-60 minutes -1 second');
    }
  });
});

test('a queued operation whose countersignature was revoked is not begun', async () => {
  const operation = await queuedOperation(core, shop);
  await revoke(operation, shop.approver);
  const job = { customerId: shop.customerId, operationId: operation.id };
  await expect(takeLease(core, job, AbortSignal.abort())).rejects.toThrow(Stopped);
  expect((await look(core, operation)).state).toBe('queued');
});

test('a click and an entry about the same operation never wait for each other in a circle', async () => {
  const operation = await requestOperation(core, shop);
  await core.database
    .withCustomer(shop.customerId, async (tx) => {
      await core.audit.append(tx, shop.customerId, { kind: 'rules.changed' }); // holds the head of the chain
      const clicked = grant(core, operation, shop.approver);
      await untilBlocked(testDatabase, clicked);
      await core.audit.append(tx, shop.customerId, { kind: 'guide.shown', operationId: operation.id });
      return { clicked };
    })
    .then(async ({ clicked }) => expect(await clicked).toMatchObject({ kind: 'granted' }));
});
