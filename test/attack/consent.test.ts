import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
  click,
  grant,
  installShop,
  kinds,
  look,
  openCore,
  patiently,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  storeSignIn,
  trail,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { countGrants, NOTHING, ONCE } from '../support/grants.ts';

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

const count = (operation: Operation) => countGrants(testDatabase, operation);

/** A request that goes straight to the queue when it is approved. */
async function readyRequest(): Promise<Operation> {
  const operation = await requestOperation(core, shop);
  await core.database.withCustomer(shop.customerId, (tx) => storeSignIn(core, tx, operation));
  return operation;
}

const cancel = (operation: Operation) =>
  core.database.withCustomer(operation.customerId, (tx) =>
    core.mover.move(tx, operation.customerId, {
      operationId: operation.id,
      from: [operation.state],
      to: 'cancelled',
      entry: { kind: 'operation.cancelled' },
    }),
  );

const setApprovers = (who: Shop, approvers: readonly Member[]) =>
  core.database.withCustomer(who.customerId, (tx) =>
    core.customers.setApprovers(
      tx,
      who.customerId,
      approvers.map(({ person }) => person),
      false,
    ),
  );

describe('approve exactly what was shown', () => {
  test('35 one changed character of the hash is stale, at every place', async () => {
    const operation = await readyRequest();
    for (let at = 0; at < 64; at += 9) {
      const other = operation.planHash[at] === '0' ? '1' : '0';
      const forged = operation.planHash.slice(0, at) + other + operation.planHash.slice(at + 1);
      const decision = await core.consents.grant(
        shop.customerId,
        click(operation, shop.approver, { planHash: forged }),
      );
      expect(decision).toMatchObject({ kind: 'stale', operation: { state: 'awaiting_consent' } });
    }
    for (const forged of ['', operation.planHash.toUpperCase(), `${operation.planHash} `])
      expect(
        await core.consents.grant(shop.customerId, click(operation, shop.approver, { planHash: forged })),
      ).toMatchObject({ kind: 'stale' });
    expect(await count(operation)).toEqual(NOTHING);
  });

  test('36 a click that belongs to another operation, or names an unknown one, is stale', async () => {
    const [one, two] = [await readyRequest(), await readyRequest()];
    const swapped = click(one, shop.approver, { planHash: two.planHash });
    expect(await core.consents.grant(shop.customerId, swapped)).toMatchObject({ kind: 'stale' });
    const unknown = click(one, shop.approver, { operationId: 'op-00000000' });
    expect(await core.consents.grant(shop.customerId, unknown)).toEqual({ kind: 'stale', operation: undefined });
    expect([await count(one), await count(two)]).toEqual([NOTHING, NOTHING]);
  });

  test("36 another customer's operation and an absent one get the same answer", async () => {
    const operation = await requestOperation(core, shop);
    const stranger = await installShop(core);
    const forged = click(operation, stranger.approver);
    expect(await core.consents.grant(stranger.customerId, forged)).toEqual({ kind: 'stale', operation: undefined });
    expect(await core.consents.deny(stranger.customerId, forged, 'x')).toEqual({ kind: 'stale', operation: undefined });
    expect((await look(core, operation)).state).toBe('awaiting_consent');
  });

  const EVIL = "plan = replace(plan, 'shop.example.com', 'evil.example.net')";

  test('35 a plan that was changed under its hash can not be approved', async () => {
    const operation = await readyRequest();
    await withoutCheck(`UPDATE autonomous_operations SET ${EVIL} WHERE id = $1`, operation);
    expect(await grant(core, operation, shop.approver)).toMatchObject({ kind: 'stale' });
    expect(await count(operation)).toEqual(NOTHING);
  });

  test.each([
    ['under its hash', EVIL],
    ['by one byte', 'plan = replace(plan, \'"v":1\', \'"v": 1\')'],
    [
      'together with its hash',
      `${EVIL}, plan_hash = encode(sha256(convert_to(replace(plan, 'shop.example.com', 'evil.example.net'), 'UTF8')), 'hex')`,
    ],
  ])('35 a plan that was changed %s after the grant is not carried out', async (_, set) => {
    const operation = await queuedOperation(core, shop);
    await withoutCheck(`UPDATE autonomous_operations SET ${set} WHERE id = $1`, operation);
    const verdict = await core.database.withCustomer(shop.customerId, (tx) =>
      core.consents.verify(tx, shop.customerId, operation.id),
    );
    expect(verdict).toEqual({ hasConsent: false, reason: 'The plan is not the one that was countersigned' });
    const job = { customerId: shop.customerId, operationId: operation.id };
    await expect(takeLease(core, job, new AbortController().signal)).rejects.toMatchObject({ why: 'consent' });
  });
});

/** Somebody who owns the database: its own check is gone, and the program's must hold alone. */
async function withoutCheck(statement: string, { id }: Operation): Promise<void> {
  const CHECK = 'autonomous_operations_plan_hash_check';
  await sql(testDatabase.adminUrl, `ALTER TABLE autonomous_operations DROP CONSTRAINT IF EXISTS ${CHECK}`, []);
  await sql(testDatabase.adminUrl, statement, [id]);
}

describe('an approver', () => {
  test('32 who was removed between request and click is refused, whatever their client still says', async () => {
    const own = await installShop(core);
    const operation = await requestOperation(core, own);
    await setApprovers(own, [own.secondApprover]);
    expect(own.approver.roles).toContain('approver'); // as it was when the card came
    expect(await grant(core, operation, own.approver)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await core.consents.deny(own.customerId, click(operation, own.approver), 'x')).toMatchObject({
      kind: 'refused',
    });
    expect(await count(operation)).toEqual(NOTHING);
    expect((await trail(core, operation)).at(-1)).toMatchObject({ kind: 'consent.refused', actor: own.approver.id });
  });

  test('39 is not made by saying so', async () => {
    const operation = await requestOperation(core, shop);
    const self: Member = { ...shop.merchant, roles: ['merchant', 'approver', 'admin'] };
    expect(await grant(core, operation, self)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    const renamed: Member = { ...shop.merchant, id: shop.admin.id, roles: ['approver'] };
    expect(await grant(core, operation, renamed)).toEqual({ kind: 'refused', why: 'not_verified' });
    expect(await count(operation)).toEqual(NOTHING);
  });

  test('36 of another customer, or of another workspace of this one, is none', async () => {
    const [own, stranger] = [await installShop(core), await installShop(core)];
    const operation = await requestOperation(core, own);
    expect(await grant(core, operation, stranger.approver)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    const outsider = await core.database.withCustomer(own.customerId, async (tx) => {
      const person = { ...own.approver.person, workspaceId: stranger.workspaceId };
      await core.customers.setApprovers(tx, own.customerId, [own.approver.person, person], true);
      return core.customers.member(tx, own.customerId, person);
    });
    expect(outsider.roles).toContain('approver');
    expect(await grant(core, operation, outsider)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await count(operation)).toEqual(NOTHING);
  });

  test('32 who was removed between click and run has countersigned nothing that runs', async () => {
    const own = await installShop(core);
    const operation = await queuedOperation(core, own);
    await setApprovers(own, [own.secondApprover]);
    const job = { customerId: own.customerId, operationId: operation.id };
    await expect(takeLease(core, job, new AbortController().signal)).rejects.toMatchObject({ why: 'consent' });
    expect((await look(core, operation)).state).toBe('queued');
  });
});

describe('33 however many click at once', () => {
  test('a hundred approvals of two approvers make one grant, one job and one entry', async () => {
    const operation = await readyRequest();
    const clicks = Array.from({ length: 100 }, (_, n) =>
      patiently(() => grant(core, operation, n % 2 ? shop.approver : shop.secondApprover)),
    );
    const decisions = (await Promise.all(clicks)).map(({ kind }) => kind);
    expect(decisions.filter((kind) => kind === 'granted')).toHaveLength(1);
    expect(decisions.filter((kind) => kind === 'stale')).toHaveLength(99);
    expect(await count(operation)).toEqual(ONCE);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('where two have to approve, a hundred clicks of two people are two approvals and one grant', async () => {
    const own = await installShop(core);
    await core.database.withCustomer(own.customerId, (tx) =>
      core.customers.setRules(tx, own.customerId, {
        approvalsRequired: 2,
        adminsApprove: false,
        approverGroup: null,
      }),
    );
    const operation = await requestOperation(core, own);
    await core.database.withCustomer(own.customerId, (tx) => storeSignIn(core, tx, operation));
    const clicks = Array.from({ length: 100 }, (_, n) =>
      patiently(() => grant(core, operation, n % 2 ? own.approver : own.secondApprover)),
    );
    const decisions = (await Promise.all(clicks)).map(({ kind }) => kind);
    expect(decisions.filter((kind) => kind === 'approved')).toHaveLength(1);
    expect(decisions.filter((kind) => kind === 'granted')).toHaveLength(1);
    expect(
      decisions.filter((kind) => kind !== 'approved' && kind !== 'granted' && kind !== 'already_approved'),
    ).toEqual(decisions.filter((kind) => kind === 'stale'));
    expect(await count(operation)).toEqual(ONCE);
    const events = await sql<{ kind: string }>(
      testDatabase.adminUrl,
      'SELECT kind FROM consent_events WHERE operation_id = $1 ORDER BY n',
      [operation.id],
    );
    expect(events.map(({ kind }) => kind)).toEqual(['requested', 'approved', 'approved', 'granted']);
  });

  test('approve and deny: one of them is the decision, and only one', async () => {
    for (let round = 0; round < 5; round++) {
      const operation = await readyRequest();
      const clicks = Array.from({ length: 6 }, (_, n) =>
        n % 2
          ? grant(core, operation, shop.approver)
          : core.consents.deny(shop.customerId, click(operation, shop.secondApprover), 'no'),
      );
      const decisions = (await Promise.all(clicks)).map(({ kind }) => kind).filter((kind) => kind !== 'stale');
      expect(decisions).toHaveLength(1);
      expect(await count(operation)).toEqual(decisions[0] === 'granted' ? ONCE : NOTHING);
      expect((await look(core, operation)).state).toBe(decisions[0] === 'granted' ? 'queued' : 'denied');
    }
  });

  test('approve and stop: a stopped operation was never granted after its end', async () => {
    for (let round = 0; round < 5; round++) {
      const operation = await readyRequest();
      const [decision, stopped] = await Promise.all([grant(core, operation, shop.approver), cancel(operation)]);
      expect([decision.kind, stopped === undefined]).toEqual(
        decision.kind === 'granted' ? ['granted', true] : ['stale', false],
      );
      expect(await count(operation)).toEqual(decision.kind === 'granted' ? ONCE : NOTHING);
    }
  });
});

describe('34 an approval comes too late', () => {
  const STATES: [string, (operation: Operation) => Promise<unknown>][] = [
    ['a denial', (operation) => core.consents.deny(shop.customerId, click(operation, shop.secondApprover), 'no')],
    ['a cancellation', cancel],
    ['an approval', (operation) => grant(core, operation, shop.secondApprover)],
    [
      'a revocation',
      async (operation) => {
        await grant(core, operation, shop.secondApprover);
        await core.database.withCustomer(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.approver));
      },
    ],
  ];
  test.each(STATES)('after %s', async (_, end) => {
    const operation = await readyRequest();
    await end(operation);
    const [before, seen] = [await count(operation), await kinds(core, operation)];
    expect(await grant(core, operation, shop.approver)).toMatchObject({
      kind: 'stale',
      operation: { id: operation.id },
    });
    expect([await count(operation), await kinds(core, operation)]).toEqual([before, seen]);
  });

  test('after its fifteen minutes, whether or not anybody noticed yet', async () => {
    const [unnoticed, noticed] = [await readyRequest(), await readyRequest()];
    await shiftClock(testDatabase.ownerUrl, '15 minutes');
    try {
      await createDeadlines(core)({ customerId: shop.customerId, operationId: noticed.id });
      expect(await grant(core, unnoticed, shop.approver)).toMatchObject({
        kind: 'stale',
        operation: { state: 'awaiting_consent' },
      });
      expect(await grant(core, noticed, shop.approver)).toMatchObject({
        kind: 'stale',
        operation: { state: 'expired' },
      });
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-15 minutes');
    }
    expect([await count(unnoticed), await count(noticed)]).toEqual([NOTHING, NOTHING]);
  });
});
