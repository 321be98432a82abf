import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { REPAIR_PERMISSION, templateHash } from '../../core/consent/standing.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { makePlan, type Plan } from '../../core/operations/plan.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import {
  type Core,
  click,
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
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const { inMinutes, minutesPass, putBack } = clockOf(() => testDatabase);
const DAY = 24 * 60;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});

afterEach(putBack);

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(work: (tx: Transaction) => Promise<T>, own = shop) =>
  core.database.withCustomer(own.customerId, work);

describe('a standing grant for repairs', () => {
  // One whose trail tells of no later time: where the clock went back, no standing grant holds.
  beforeEach(async () => {
    shop = await installShop(core);
  });

  const KEEPS = ['admin_password', 'admin_username'];

  async function asked(operation: Operation, days = 30, keeps: readonly string[] = KEEPS) {
    const until = inMinutes(days * DAY);
    const question = await core.standingGrants.ask(operation.customerId, operation.id, {
      by: shop.merchant,
      ...{ until, keeps },
    });
    if (!question) throw new Error('another question is open');
    return question;
  }

  async function standing(operation: Operation, days = 30, keeps: readonly string[] = KEEPS) {
    const { planHash } = await asked(operation, days, keeps);
    const decision = await core.standingGrants.grant(
      operation.customerId,
      click(operation, shop.approver, { planHash }),
    );
    if (decision.kind !== 'granted') throw new Error(`expected a grant, got ${decision.kind}`);
    return decision;
  }

  /** The plan of a repair: the same as made later, for another operation. */
  function planOf(changes: Partial<Parameters<typeof makePlan>[0]> = {}): Plan {
    const type = woocommerce.operationTypes.api_key_generation;
    const [way] = type.ways;
    const base = 'https://shop.example.com';
    return makePlan({
      operationId: 'op-repair22' as Operation['id'], // the type's promise
      ...{ service: woocommerce, type, way, origin: base, base, replaces: 'Countersign op-old' },
      workflow: core.workflows.getDefinition(way.workflowId),
      permissions: defaultPermissions(type),
      now: inMinutes(0),
      ...changes,
    });
  }

  const verify = (plan: Plan) => inside((tx) => core.standingGrants.verify(tx, shop.customerId, plan));

  const secretsOf = ({ id }: Operation) =>
    sql(
      testDatabase.adminUrl,
      'SELECT credential_type FROM autonomous_credentials WHERE operation_id = $1 ORDER BY 1',
      [id],
    );

  const end = (operation: Operation) =>
    inside((tx) =>
      core.mover.move(tx, shop.customerId, {
        operationId: operation.id,
        from: ['queued', 'awaiting_credentials'],
        to: 'failed',
        entry: { kind: 'operation.failed' },
      }),
    );

  test('covers repairs by the same template and by no other one, under its own permission', async () => {
    const operation = await queuedOperation(core, shop);
    const { terms } = await standing(operation);
    expect(terms.permissions).toContain(REPAIR_PERMISSION);
    expect(await inside((tx) => core.consents.verify(tx, shop.customerId, operation.id))).toMatchObject({
      hasConsent: true,
      consentRecord: { standing: null },
    });
    expect(templateHash(operation.plan)).toBe(templateHash(planOf()));
    expect(await verify(planOf())).toMatchObject({ hasConsent: true, consentRecord: { standing: { keeps: KEEPS } } });
    const workflow = core.workflows.getDefinition(operation.plan.workflowId);
    const type = woocommerce.operationTypes.api_key_generation;
    const others = [
      planOf({ workflow: { ...workflow, version: workflow.version + 1 } }),
      planOf({ workflow: { ...workflow, steps: workflow.steps.slice(1) } }),
      planOf({ permissions: [...defaultPermissions(type), 'write_shop'] }),
      planOf({ base: 'https://other.example.com', origin: 'https://other.example.com' }),
    ];
    for (const other of others)
      expect(await verify(other)).toEqual({
        hasConsent: false,
        reason: 'No consent granted for repairs by this plan',
      });
  });

  test('puts every word of it on record with what was shown for it, not with what the plan permits', async () => {
    const own = await installShop(core);
    const rules = { approvalsRequired: 2, adminsApprove: false, approverGroup: null };
    const operation = await grantedOperation(core, own);
    await inside((tx) => core.customers.setRules(tx, own.customerId, rules), own);
    const ask = { by: own.merchant, until: inMinutes(DAY), keeps: [] };
    const { terms, planHash = '' } = (await core.standingGrants.ask(own.customerId, operation.id, ask)) ?? {};
    for (const by of [own.approver, own.secondApprover])
      await core.standingGrants.grant(own.customerId, click(operation, by, { planHash }));
    const rows = await sql(
      testDatabase.adminUrl,
      'SELECT kind, permissions FROM consent_events WHERE operation_id = $1 AND plan_hash = $2 ORDER BY n',
      [operation.id, planHash],
    );
    const permissions = terms?.permissions ?? [];
    expect(permissions).toContain(REPAIR_PERMISSION);
    expect(rows).toEqual(['requested', 'approved', 'approved', 'granted'].map((kind) => ({ kind, permissions })));
  });

  test('is no consent to the operation itself, nor to its type', async () => {
    const own = await installShop(core);
    const operation = await requestOperation(core, own);
    const until = inMinutes(DAY);
    const question = await core.standingGrants.ask(own.customerId, operation.id, {
      by: own.merchant,
      until,
      keeps: [],
    });
    const planHash = question?.planHash ?? '';
    const decided = await core.standingGrants.grant(own.customerId, click(operation, own.approver, { planHash }));
    expect(decided).toMatchObject({ kind: 'granted' });
    expect((await look(core, operation)).grant).toBeNull();
    expect(await inside((tx) => core.consents.verify(tx, own.customerId, operation.id), own)).toMatchObject({
      hasConsent: false,
    });
    const [row] = await inside(
      (tx) =>
        tx.$queryRaw<
          unknown[]
        >`SELECT has_autonomous_consent(${own.customerId}::uuid, 'woocommerce', 'api_key_generation') AS has`,
      own,
    );
    expect(row).toEqual({ has: false });
  });

  test('is bound to what was shown, and decided like any other question', async () => {
    const operation = await grantedOperation(core, shop);
    const { planHash } = await asked(operation);
    const { standingGrants } = core;
    const decide = (by: Member, hash = planHash) =>
      standingGrants.grant(shop.customerId, click(operation, by, { planHash: hash }));
    expect(await decide(shop.merchant)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await decide(shop.approver, operation.planHash)).toMatchObject({ kind: 'stale' });
    expect(
      await decide(
        shop.approver,
        planHash.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      ),
    ).toMatchObject({
      kind: 'stale',
    });
    expect(await standingGrants.deny(shop.customerId, click(operation, shop.approver), 'no')).toEqual({
      kind: 'denied',
    });
    expect(await decide(shop.secondApprover)).toMatchObject({ kind: 'stale' });
    const again = await core.standingGrants.ask(shop.customerId, operation.id, {
      ...{ by: shop.approver, until: inMinutes(DAY), keeps: [] },
    });
    expect(await decide(shop.approver, again?.planHash)).toEqual({ kind: 'refused', why: 'own_request' });
    expect(await decide(shop.secondApprover, again?.planHash)).toMatchObject({ kind: 'granted' });
  });

  test('asks for 90 days at most, for sign-in fields of the service, and one at a time', async () => {
    const operation = await grantedOperation(core, shop);
    await expect(asked(operation, 91)).rejects.toThrow(RangeError);
    await expect(asked(operation, -1)).rejects.toThrow(RangeError);
    await expect(asked(operation, 1, ['api_key'])).rejects.toThrow(RangeError);
    await asked(operation);
    const comes = () => createDeadlines(core)({ customerId: shop.customerId, operationId: operation.id });
    await comes();
    await expect(asked(operation)).rejects.toThrow('another question is open');
    await minutesPass(16);
    await comes();
    await asked(operation);
    expect((await kinds(core, operation)).filter((kind) => kind === 'consent.expired')).toHaveLength(1);
  });

  test('is asked and given also where its operation ends in between', async () => {
    const operation = await queuedOperation(core, shop);
    const { planHash } = await asked(operation);
    await end(operation);
    const given = await core.standingGrants.grant(shop.customerId, click(operation, shop.approver, { planHash }));
    expect(given).toMatchObject({ kind: 'granted' });
  });

  test('keeps the sign-in secrets that it names beyond the end, until its date', async () => {
    const operation = await queuedOperation(core, shop);
    await standing(operation, 30, ['admin_password']);
    await end(operation);
    expect(await secretsOf(operation)).toEqual([{ credential_type: 'admin_password' }]);
    const comes = () => createDeadlines(core)({ customerId: shop.customerId, operationId: operation.id });
    await minutesPass(30 * DAY - 60);
    await comes();
    expect(await secretsOf(operation)).toHaveLength(1);
    await minutesPass(61);
    expect(await verify(planOf())).toMatchObject({ hasConsent: false });
    await comes();
    expect(await secretsOf(operation)).toEqual([]);
    expect((await kinds(core, operation)).at(-1)).toBe('credential.deleted');
  });

  test('gives them up when it is taken back, but takes none from an operation that still needs them', async () => {
    const [over, waiting] = [await queuedOperation(core, shop), await queuedOperation(core, shop)];
    const [first, second] = [await standing(over), await standing(waiting)];
    await end(over);
    expect(await secretsOf(over)).toHaveLength(2);
    const revoke = (id: string) => inside((tx) => core.consents.revokeById(tx, shop.customerId, id, shop.admin));
    expect([await revoke(first.consentId), await revoke(second.consentId)]).toEqual([true, true]);
    expect([await secretsOf(over), await secretsOf(waiting)]).toMatchObject([[], { length: 2 }]);
    await end(waiting);
    expect(await secretsOf(waiting)).toEqual([]);
  });

  test('holds no longer than those who gave it may approve', async () => {
    const own = await installShop(core);
    const operation = await grantedOperation(core, own);
    await inside((tx) => storeSignIn(core, tx, operation), own);
    const until = inMinutes(DAY);
    const question = await core.standingGrants.ask(own.customerId, operation.id, {
      by: own.merchant,
      until,
      keeps: [],
    });
    await core.standingGrants.grant(
      own.customerId,
      click(operation, own.approver, { planHash: question?.planHash ?? '' }),
    );
    const check = () => inside((tx) => core.standingGrants.verify(tx, own.customerId, planOf()), own);
    expect(await check()).toMatchObject({ hasConsent: true });
    await inside((tx) => core.customers.setApprovers(tx, own.customerId, [own.secondApprover.person], false), own);
    expect(await check()).toEqual({ hasConsent: false, reason: 'Whoever countersigned may no longer approve' });
  });
});
