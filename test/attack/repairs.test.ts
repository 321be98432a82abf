// Repairs run under a standing grant and ask nobody: what no grant covers is not done, whoever says that it is.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import { newOperationId } from '../../core/ids.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Plan, planHash, planText } from '../../core/operations/plan.ts';
import { deleteKeyOf } from '../../core/operations/revocation.ts';
import { keptWorking, madeConnection, placeOf, repairsAt } from '../support/connections.ts';
import {
  type Core,
  cancel,
  click,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let core: Core;
const never = new AbortController().signal;

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database);
});

afterAll(async () => {
  await core?.close();
  await database?.drop();
});

interface Begun {
  readonly shop: Shop;
  readonly consentId: string;
  readonly repair: Operation;
}

/** A repair under a standing grant, about to run. */
async function begunRepair(): Promise<Begun> {
  const shop = await installShop(core);
  const operation = await madeConnection(core, shop);
  const consentId = await keptWorking(core, shop, operation);
  await core.repairs.consider(placeOf(operation), 'broken');
  const [repair] = await repairsAt(core, placeOf(operation));
  if (repair?.state !== 'queued') throw new Error('no repair was begun');
  return { shop, consentId, repair };
}

/** The plan as somebody who owns the database could have it: nothing of ours writes one. */
async function withPlan({ customerId, id, plan }: Operation, changes: Partial<Plan>): Promise<void> {
  const other = { ...plan, ...changes };
  await sql(
    database.adminUrl,
    'UPDATE autonomous_operations SET plan = $3, plan_hash = $4 WHERE customer_id = $1 AND id = $2',
    [customerId, id, planText(other), planHash(other)],
  );
}

const verdict = ({ customerId, id }: Operation, permission?: string) =>
  core.database.withCustomer(customerId, (tx) => core.consents.verify(tx, customerId, id, permission));

/** What the database itself says of beginning it, also to somebody whom row level security does not bind. */
const begins = ({ customerId, id }: Operation) =>
  sql(database.adminUrl, "UPDATE autonomous_operations SET status = 'in_progress' WHERE customer_id = $1 AND id = $2", [
    customerId,
    id,
  ]);

const CLOSED = /Consent required/;

/** The worker takes it up, and ends it without any step. */
async function expectNotRun(repair: Operation): Promise<void> {
  await expect(takeLease(core, { customerId: repair.customerId, operationId: repair.id }, never)).rejects.toThrow(
    CLOSED,
  );
}

test('139 a countersignature that is no standing one, or lacks the permission of repairs, lets no repair run', async () => {
  const { shop, repair, consentId } = await begunRepair();
  expect(await verdict(repair)).toMatchObject({ hasConsent: true });
  for (const permission of repair.plan.permissions)
    expect(await verdict(repair, permission)).toMatchObject({ hasConsent: true });
  expect(await verdict(repair, 'write_shop')).toEqual({
    hasConsent: false,
    reason: 'Permission write_shop was not granted',
  });
  const asked = await grantedOperation(core, shop, { base: 'https://b.example.com', origin: 'https://b.example.com' });
  await withPlan(repair, { repair: { cause: 'broken', consent: asked.grant?.id ?? '' } });
  expect(await verdict(repair)).toMatchObject({ hasConsent: false });
  await expect(begins(repair)).rejects.toThrow(CLOSED);
  await expectNotRun(repair);
  // The same grant without that permission, as only the owner could have it.
  await withPlan(repair, {});
  await sql(database.adminUrl, 'ALTER TABLE autonomous_consent DROP CONSTRAINT autonomous_consent_standing_check');
  await sql(database.adminUrl, "UPDATE autonomous_consent SET permissions = permissions - 'repair' WHERE id = $1", [
    consentId,
  ]);
  expect(await verdict(repair)).toEqual({ hasConsent: false, reason: 'Permission repair was not granted' });
  await expect(begins(repair)).rejects.toThrow(CLOSED);
  await expectNotRun(repair);
});

describe('140 a repair whose plan differs from what was shown for the standing grant', () => {
  test.each([
    {
      what: 'by the key that it ends',
      changes: ({ key, values, steps }: Plan) => ({
        ...(key ? { key: { ...key, label: 'Till' } } : {}),
        values: { ...values, oldLabel: 'Till' },
        steps: steps.map((step) => ({ ...step, intent: step.intent.replaceAll(key?.label ?? '', 'Till') })),
      }),
    },
    {
      what: 'by one permission',
      changes: (plan: Plan) => ({ permissions: [...plan.permissions, 'write_shop'].sort() }),
    },
    { what: 'by one step', changes: (plan: Plan) => ({ steps: plan.steps.slice(0, -1) }) },
    { what: 'by its target', changes: () => ({ base: 'https://c.example.com', origin: 'https://c.example.com' }) },
    { what: 'by what it is about', changes: (plan: Plan) => ({ values: { ...plan.values, scope: 'read_write' } }) },
  ])('$what does not run', async ({ changes }) => {
    const { repair } = await begunRepair();
    await withPlan(repair, changes(repair.plan));
    expect(await verdict(repair)).toMatchObject({ hasConsent: false });
    await expectNotRun(repair);
  });

  test('by nothing, but after its own time, does not run either', async () => {
    const { repair } = await begunRepair();
    await withPlan(repair, { runsUntil: new Date(Date.now() - 1_000).toISOString() });
    expect(await verdict(repair)).toEqual({ hasConsent: false, reason: 'Consent has expired' });
    await expectNotRun(repair);
  });

  test('by nothing, but in another operation, does not run either', async () => {
    const { shop, repair } = await begunRepair();
    const other = await grantedOperation(core, shop, {
      base: 'https://d.example.com',
      origin: 'https://d.example.com',
    });
    await withPlan({ ...other, plan: repair.plan }, {});
    expect(await verdict(other)).toMatchObject({ hasConsent: false });
    await expect(begins(other)).rejects.toThrow(CLOSED);
    await cancel(core, repair);
  });

  test('and that the program did not vouch for is not even written', async () => {
    const { shop, repair } = await begunRepair();
    const plan: Plan = { ...repair.plan, operationId: newOperationId() };
    const insert = (tx: Transaction) => tx.$executeRaw`
      INSERT INTO autonomous_operations (customer_id, id, thread_id, user_id, service, operation, target, workflow_id, workflow_version,
        status, plan, plan_hash, permissions, total_steps)
      SELECT customer_id, ${plan.operationId}, thread_id, user_id, service, operation, target, workflow_id, workflow_version,
        'queued', ${planText(plan)}, ${planHash(plan)}, permissions, total_steps
      FROM autonomous_operations WHERE customer_id = ${shop.customerId}::uuid AND id = ${repair.id}`;
    await expect(core.database.withCustomer(shop.customerId, insert)).rejects.toThrow();
    await expect(
      core.database.withCustomer(
        shop.customerId,
        (tx) => tx.$executeRaw`
          UPDATE autonomous_operations SET plan = ${planText({ ...repair.plan, operationId: repair.id, stores: 'x' })},
            plan_hash = ${planHash({ ...repair.plan, operationId: repair.id, stores: 'x' })}
          WHERE customer_id = ${shop.customerId}::uuid AND id = ${repair.id}`,
      ),
    ).rejects.toThrow();
  });
});

test('141 another customer’s standing grant covers nothing', async () => {
  const [mine, theirs] = [await begunRepair(), await begunRepair()];
  await withPlan(mine.repair, { repair: { cause: 'broken', consent: theirs.consentId } });
  expect(await verdict(mine.repair)).toMatchObject({ hasConsent: false });
  await expect(begins(mine.repair)).rejects.toThrow(CLOSED);
  await expectNotRun(mine.repair);
  expect(await verdict(theirs.repair)).toMatchObject({ hasConsent: true });
});

describe('142 a standing grant that is taken back', () => {
  test('stops the repair that runs under it within two seconds, and its sign-in is gone', async () => {
    const { shop, repair, consentId } = await begunRepair();
    const lease = await takeLease(core, { customerId: shop.customerId, operationId: repair.id }, never);
    if (!lease) throw new Error('the lease was not to be had');
    await lease.guard('sign_in');
    const stopped = new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve()));
    const before = performance.now();
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.consents.revokeById(tx, shop.customerId, consentId, shop.admin),
    );
    await expect(lease.guard('sign_in')).rejects.toThrow('Consent was revoked');
    await stopped;
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(String(lease.signal.reason)).toContain('Consent was revoked');
    lease.release();
    await expectNotRun(repair);
    await cancel(core, repair); // as the runner does once it was stopped
    const left =
      'SELECT credential_type FROM autonomous_credentials WHERE customer_id = $1 AND operation_id IS NOT NULL';
    expect(await sql(database.adminUrl, left, [shop.customerId])).toEqual([]);
    expect((await look(core, repair)).state).toBe('cancelled');
  });

  test('lets nothing act any more that has not seen it yet', async () => {
    const { shop, repair, consentId } = await begunRepair();
    await sql(database.adminUrl, 'UPDATE autonomous_consent SET revoked_at = app.now() WHERE id = $1', [consentId]);
    await expect(begins(repair)).rejects.toThrow(CLOSED);
    await expectNotRun(repair);
    expect(shop.customerId).toBe(repair.customerId);
  });
});

describe('154 a key that is taken away', () => {
  const taken = async ({ customerId, admin }: Shop, operation: Operation) =>
    core.database.withCustomer(customerId, (tx) => deleteKeyOf(tx, core, operation, admin));

  test('takes every consent to its repairs along, whichever operation of the connection it was given for', async () => {
    const shop = await installShop(core);
    await keptWorking(core, shop, await madeConnection(core, shop));
    const newer = await madeConnection(core, shop); // by hand: its key takes the place
    expect(await taken(shop, newer)).toBe(true);
    const live =
      'SELECT id FROM autonomous_consent WHERE customer_id = $1 AND template_hash IS NOT NULL AND revoked_at IS NULL';
    expect(await sql(database.adminUrl, live, [shop.customerId])).toEqual([]);
    const kept =
      'SELECT credential_type FROM autonomous_credentials WHERE customer_id = $1 AND operation_id IS NOT NULL';
    expect(await sql(database.adminUrl, kept, [shop.customerId])).toEqual([]);
    const made = await madeConnection(core, shop);
    await core.repairs.consider(placeOf(made), 'broken');
    expect((await repairsAt(core, placeOf(made))).map(({ state }) => state)).toEqual(['awaiting_consent']);
  });

  test('takes the questions for such a consent along: none of them is countersigned afterwards', async () => {
    const shop = await installShop(core);
    const operation = await madeConnection(core, shop);
    const offered = await core.repairOffers.offer(shop.customerId, operation.id, shop.merchant);
    if (offered.kind !== 'asked') throw new Error(`expected a question, got ${offered.kind}`);
    const newer = await madeConnection(core, shop);
    expect(await taken(shop, newer)).toBe(true);
    const { planHash } = offered.question;
    const decision = await core.standingGrants.grant(shop.customerId, click(operation, shop.approver, { planHash }));
    expect(decision).toMatchObject({ kind: 'stale' });
    const granted = 'SELECT id FROM autonomous_consent WHERE customer_id = $1 AND template_hash IS NOT NULL';
    expect(await sql(database.adminUrl, granted, [shop.customerId])).toEqual([]);
  });
});

test('160 who may not decide clicks on a repair that nobody was asked about: the chain stays as it is', async () => {
  const { shop, repair } = await begunRepair();
  const before = await kinds(core, repair);
  const denies = (by: Member) => core.consents.deny(shop.customerId, click(repair, by, { method: 'api' }), 'no');
  const said = [await denies(shop.merchant), await denies(shop.merchant), await denies(shop.approver)];
  const granted = await core.consents.grant(shop.customerId, click(repair, shop.merchant));
  expect(await kinds(core, repair)).toEqual(before);
  expect([...said, granted].map(({ kind }) => kind)).toEqual(['stale', 'stale', 'stale', 'stale']);
});
