import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Shown } from '../../core/consent/consent.ts';
import { setWork, type WorkSettings } from '../../core/customers/settings.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { askedTogether } from '../../core/operations/together.ts';
import {
  type Core,
  cancel,
  click,
  grant,
  installShop,
  kinds,
  look,
  openCore,
  patiently,
  requestOperation,
  requestPair,
  type Shop,
  sql,
  storeSignIn,
  trail,
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

/** Two requests of one message, which go straight to the queue when they are approved. */
async function readyPair(who = shop): Promise<readonly [Operation, Operation]> {
  const pair = await requestPair(core, who);
  await core.database.withCustomer(who.customerId, async (tx) => {
    for (const operation of pair) await storeSignIn(core, tx, operation);
  });
  return pair;
}

const shownOf = (pair: readonly Operation[]): readonly Shown[] =>
  pair.map(({ id: operationId, planHash }) => ({ operationId, planHash }));
const approve = (
  pair: readonly Operation[],
  by = shop.approver,
  shown = shownOf(pair),
  event?: { platform: 'web'; id: string },
) =>
  core.consents.grantTogether(
    by === shop.approver ? shop.customerId : (pair[0]?.customerId ?? shop.customerId),
    shown,
    {
      ...{ by, method: 'web' },
      ...(event && { event }),
    },
  );
const deny = (pair: readonly Operation[], by = shop.approver) =>
  core.consents.denyTogether(shop.customerId, shownOf(pair), { by, method: 'web' }, 'no');

const count = async ({ id }: Operation) => {
  const [row] = await sql<{ grants: number; jobs: number; entries: number; approvals: number }>(
    testDatabase.adminUrl,
    `SELECT (SELECT count(*)::int FROM autonomous_consent WHERE operation_id = $1) AS grants,
      (SELECT count(*)::int FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1) AS jobs,
      (SELECT count(*)::int FROM consent_events WHERE operation_id = $1 AND kind = 'approved') AS approvals,
      (SELECT count(*)::int FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = 'consent.granted') AS entries`,
    [id],
  );
  return row;
};
const counts = (pair: readonly Operation[]) => Promise.all(pair.map(count));
const NOTHING = { grants: 0, jobs: 0, entries: 0, approvals: 0 };
const ONCE = { grants: 1, jobs: 1, entries: 1, approvals: 1 };
const states = async (pair: readonly Operation[]) =>
  (await Promise.all(pair.map((one) => look(core, one)))).map(({ state }) => state);

/** Another choice of permissions: the old question is superseded. */
async function replan(operation: Operation): Promise<void> {
  const [, ...fewer] = operation.plan.permissions.toReversed();
  const isChanged = await core.database.withCustomer(operation.customerId, (tx) =>
    core.operations.choosePermissions(tx, operation, fewer, shop.merchant),
  );
  if (!isChanged) throw new Error('the plan did not change');
}

describe('95 two plans on one card', () => {
  test('are two operations with a question each, and two countersignatures with entries of their own', async () => {
    const pair = await readyPair();
    const [one, two] = pair;
    expect(one.planHash).not.toBe(two.planHash);
    expect([one.request?.id === two.request?.id, one.threadId === two.threadId]).toEqual([false, true]);
    const groups = await core.database.withCustomer(shop.customerId, (tx) =>
      askedTogether(tx, shop.customerId, one.threadId),
    );
    expect(groups).toContainEqual({ ids: [one.id, two.id], isSplit: false });
    const outcome = await approve(pair);
    expect(outcome).toMatchObject({ kind: 'decided', each: [{ kind: 'granted' }, { kind: 'granted' }] });
    expect(await counts(pair)).toEqual([ONCE, ONCE]);
    for (const operation of pair) {
      const { grant: its, planHash, plan } = await look(core, operation);
      expect(its).toMatchObject({ planHash, permissions: plan.permissions, operationId: operation.id });
      const entry = (await trail(core, operation)).find(({ kind }) => kind === 'consent.granted');
      expect(entry).toMatchObject({ actor: shop.approver.id, planHash });
    }
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('are not approved where one of them has become another plan, whichever it is', async () => {
    for (const which of [0, 1] as const) {
      const pair = await readyPair();
      await replan(pair[which]);
      const outcome = await approve(pair);
      expect(outcome).toMatchObject({ kind: 'none', why: [{ kind: 'stale', operation: { id: pair[which].id } }] });
      expect(await counts(pair)).toEqual([NOTHING, NOTHING]);
      expect(await states(pair)).toEqual(['awaiting_consent', 'awaiting_consent']);
    }
  });

  test('are not approved with the other one’s hash, a hash of nothing, or an operation that is not there', async () => {
    const pair = await readyPair();
    const [one, two] = pair;
    const forged = [
      [
        { operationId: one.id, planHash: two.planHash },
        { operationId: two.id, planHash: one.planHash },
      ],
      [
        { operationId: one.id, planHash: one.planHash },
        { operationId: two.id, planHash: '' },
      ],
      [
        { operationId: one.id, planHash: one.planHash },
        { operationId: 'op-00000000', planHash: two.planHash },
      ],
    ];
    for (const shown of forged) expect(await approve(pair, shop.approver, shown)).toMatchObject({ kind: 'none' });
    const twice = [...shownOf([one]), ...shownOf([one])];
    await expect(approve(pair, shop.approver, twice)).rejects.toThrow(TypeError);
    expect(await counts(pair)).toEqual([NOTHING, NOTHING]);
  });

  test('of two customers are never decided together', async () => {
    const other = await installShop(core);
    const [own] = await readyPair();
    const [foreign] = await readyPair(other);
    const outcome = await approve([own, foreign]);
    expect(outcome).toEqual({ kind: 'none', why: [{ kind: 'stale', operation: undefined }] });
    expect(await counts([own, foreign])).toEqual([NOTHING, NOTHING]);
  });

  test.each([
    ['denied', async (one: Operation) => core.consents.deny(shop.customerId, click(one, shop.secondApprover), 'no')],
    ['approved by itself', async (one: Operation) => grant(core, one, shop.secondApprover)],
    ['stopped', async (one: Operation) => cancel(core, one)],
  ])('are refused together once one of them was %s, and the other one still waits', async (_, end) => {
    const pair = await readyPair();
    await end(pair[1]);
    const [before, seen] = [await count(pair[1]), await kinds(core, pair[1])];
    expect(await approve(pair)).toMatchObject({ kind: 'none', why: [{ kind: 'stale' }] });
    expect(await deny(pair)).toMatchObject({ kind: 'none', why: [{ kind: 'stale' }] });
    expect([await count(pair[1]), await kinds(core, pair[1])]).toEqual([before, seen]);
    expect([await count(pair[0]), (await look(core, pair[0])).state]).toEqual([NOTHING, 'awaiting_consent']);
    expect(await grant(core, pair[0], shop.approver)).toMatchObject({ kind: 'granted' });
  });

  test('are not approved after their time, whether or not anybody noticed', async () => {
    const [unnoticed, half] = [await readyPair(), await readyPair()];
    await shiftClock(testDatabase.ownerUrl, '15 minutes');
    try {
      await createDeadlines(core)({ customerId: shop.customerId, operationId: half[0].id });
      expect(await approve(unnoticed)).toMatchObject({ kind: 'none', why: [{ kind: 'stale' }, { kind: 'stale' }] });
      expect(await approve(half)).toMatchObject({ kind: 'none' });
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-15 minutes');
    }
    expect(await counts([...unnoticed, ...half])).toEqual([NOTHING, NOTHING, NOTHING, NOTHING]);
  });

  test('are not for whoever asked, nor for who is no approver: refused, once on record with each', async () => {
    const pair = await readyPair();
    for (const [by, why] of [
      [shop.merchant, 'not_an_approver'],
      [shop.merchant, 'not_an_approver'],
      [shop.admin, 'not_an_approver'],
    ] as const)
      expect(await approve(pair, by)).toMatchObject({
        kind: 'none',
        why: [
          { kind: 'refused', why },
          { kind: 'refused', why },
        ],
      });
    for (const operation of pair)
      expect((await kinds(core, operation)).filter((kind) => kind === 'consent.refused')).toHaveLength(2);
    expect(await counts(pair)).toEqual([NOTHING, NOTHING]);
  });

  test('are not for an approver who added permissions to one of them', async () => {
    const pair = await readyPair();
    const [one, two] = pair;
    const all = two.type.permissions
      .filter((p) => p.ways === undefined || p.ways.includes(two.way.id))
      .map((p) => p.id);
    const more = all.find(
      (id) =>
        !two.plan.permissions.includes(id) && two.type.checkPermissions([...two.plan.permissions, id]) === undefined,
    );
    if (!more) throw new Error('nothing can be added');
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(tx, two, [...two.plan.permissions, more], shop.approver),
    );
    const widened = await look(core, two);
    const outcome = await approve([one, widened]);
    expect(outcome).toEqual({ kind: 'none', why: [{ kind: 'refused', why: 'own_widening' }] });
    expect(await counts(pair)).toEqual([NOTHING, NOTHING]);
    expect(await approve([one, widened], shop.secondApprover)).toMatchObject({ kind: 'decided' });
  });

  test('clicked at once by two approvers, and by one of them alone: each is granted once', async () => {
    for (let round = 0; round < 3; round++) {
      const pair = await readyPair();
      const back = pair.toReversed();
      const clicks = Array.from({ length: 24 }, (_, n) =>
        patiently(async () => {
          if (n % 4 === 3) return (await grant(core, pair[n % 2 ? 0 : 1], shop.secondApprover)).kind;
          return (await approve(n % 2 ? pair : back, n % 3 ? shop.approver : shop.secondApprover)).kind;
        }),
      );
      const outcomes = await Promise.all(clicks);
      const both = outcomes.filter((kind) => kind === 'decided').length;
      const alone = outcomes.filter((kind) => kind === 'granted').length;
      expect([both, alone]).toEqual(both === 1 ? [1, 0] : [0, alone]);
      const each = await counts(pair);
      expect(each.filter((one) => one?.grants === 1)).toHaveLength(both === 1 ? 2 : alone);
      for (const one of each) expect([NOTHING, ONCE]).toContainEqual(one);
    }
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('approve both and deny both at once: one of them is the decision about both', async () => {
    for (let round = 0; round < 4; round++) {
      const pair = await readyPair();
      const outcomes = await Promise.all([
        approve(pair),
        deny(pair, shop.secondApprover),
        approve(pair, shop.secondApprover),
      ]);
      expect(outcomes.filter(({ kind }) => kind === 'decided')).toHaveLength(1);
      const ended = new Set(await states(pair));
      expect(ended.size).toBe(1);
      expect(['queued', 'denied']).toContain([...ended][0]);
    }
  });

  test('take a delivery once, and say of its repetition where they stand', async () => {
    const pair = await readyPair();
    const event = { platform: 'web', id: 'click-together' } as const;
    expect(await approve(pair, shop.approver, shownOf(pair), event)).toMatchObject({ kind: 'decided' });
    expect(await approve(pair, shop.approver, shownOf(pair), event)).toMatchObject({
      kind: 'none',
      why: [{ kind: 'repeated', operation: { state: 'queued' } }, { kind: 'repeated' }],
    });
    const again = await readyPair();
    // The same event can't be turned into a decision on others.
    expect(await approve(again, shop.approver, shownOf(again), event)).toMatchObject({
      kind: 'none',
      why: [{ kind: 'repeated' }, { kind: 'repeated' }],
    });
    expect(await counts(again)).toEqual([NOTHING, NOTHING]);
  });

  test('where two have to approve, take the word of two people for both', async () => {
    const own = await installShop(core);
    await core.database.withCustomer(own.customerId, (tx) =>
      core.customers.setRules(tx, own.customerId, { approvalsRequired: 2, adminsApprove: false, approverGroup: null }),
    );
    const pair = await readyPair(own);
    const by = (who: Shop['approver']) =>
      core.consents.grantTogether(own.customerId, shownOf(pair), { by: who, method: 'web' });
    expect(await grant(core, pair[0], own.approver)).toMatchObject({ kind: 'approved' });
    expect(await by(own.approver)).toMatchObject({ kind: 'decided' });
    expect(await by(own.approver)).toMatchObject({
      kind: 'decided',
      each: [{ kind: 'already_approved' }, { kind: 'already_approved' }],
    });
    expect((await counts(pair)).map((one) => [one?.grants, one?.approvals])).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(await by(own.secondApprover)).toMatchObject({
      kind: 'decided',
      each: [{ kind: 'granted' }, { kind: 'granted' }],
    });
    expect((await counts(pair)).map((one) => [one?.grants, one?.approvals])).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});

describe('asking for two', () => {
  const work = { isGuideOnly: false, operationsPerHour: 3, allowedTargets: [], allowedChannels: [] };
  const installed = async (settings: Partial<WorkSettings>) => {
    const own = await installShop(core);
    await core.database.withCustomer(own.customerId, (tx) => setWork(tx, own.customerId, { ...work, ...settings }));
    return own;
  };
  const askedBy = async ({ customerId }: Shop) =>
    (
      await sql<{ service: string }>(
        testDatabase.adminUrl,
        'SELECT service FROM autonomous_operations WHERE customer_id = $1',
        [customerId],
      )
    ).map(({ service }) => service);

  test('95 counts each of them, and asks for none where they are more than the hour allows', async () => {
    const own = await installed({});
    await requestPair(core, own);
    await expect(requestPair(core, own)).rejects.toThrow('"tooSoon":"operations","most":3');
    expect(await askedBy(own)).toHaveLength(2);
    expect(await requestOperation(core, own)).toMatchObject({ state: 'awaiting_consent' });
    await expect(requestPair(core, await installed({ operationsPerHour: 1 }))).rejects.toThrow('"most":1');
  });

  test('leaves out the one whose target an admin has closed, and asks for the other one alone', async () => {
    const own = await installed({ allowedTargets: ['shop.example.com'] });
    await expect(requestPair(core, own)).rejects.toThrow('[{"closed":"target"}]');
    expect(await askedBy(own)).toEqual(['woocommerce']);
    const groups = await core.database.withCustomer(own.customerId, (tx) =>
      askedTogether(tx, own.customerId, own.threadId),
    );
    expect(groups).toEqual([]);
  });

  test('takes the message once, however often it is delivered, and none of it where nothing can be asked for', async () => {
    const own = await installed({});
    const event = { platform: 'web', id: 'message-together' } as const;
    await requestPair(core, own, event);
    await expect(requestPair(core, own, event)).rejects.toThrow('undefined');
    const closed = await installed({ isGuideOnly: true });
    for (let delivery = 0; delivery < 2; delivery++)
      await expect(requestPair(core, closed, event)).rejects.toThrow('"closed":"guide_only"');
    expect([await askedBy(own), await askedBy(closed)]).toEqual([
      expect.arrayContaining(['stripe', 'woocommerce']),
      [],
    ]);
  });
});
