import { describe, expect, test } from 'vitest';
import { endOperation } from '../../core/operations/ending.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { mayRevoke } from '../../core/operations/revocation.ts';
import { OPEN_STATES } from '../../core/operations/states.ts';
import {
  aClick,
  cancel,
  core,
  inState,
  inside,
  jobOf,
  jobsOf,
  never,
  openControlled,
  pause,
  resume,
  retry,
  running,
  shop,
  testDatabase,
  wish,
} from '../support/controlled.ts';
import {
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  newcomer,
  noSecrets,
  queuedOperation,
  requestOperation,
  trail,
  untilBlocked,
} from '../support/core.ts';

openControlled();

const open = Object.entries(inState);
const fail = (operation: Operation) =>
  endOperation(
    core,
    { ...jobOf(operation), fence: undefined },
    { kind: 'failed', code: 'timeout', words: 'It took too long.' },
    noSecrets,
  );

describe('cancel', () => {
  test('knows every state that is no end, but the one that lasts no longer than its transaction', () => {
    expect([...Object.keys(inState), 'pending'].sort()).toEqual([...OPEN_STATES].sort());
  });

  test.each(open)(
    'ends an operation that is %s, once, and leaves no job, no secret and no question',
    async (state, make) => {
      const operation = await make();
      expect(operation.state).toBe(state);
      expect(await cancel(operation)).toMatchObject({ kind: 'cancelled', operation: { state: 'cancelled' } });
      expect(await cancel(operation)).toEqual({ kind: 'over' });
      const after = await look(core, operation);
      expect(after).toMatchObject({ state: 'cancelled', errorMessage: 'Stopped by Mona.' });
      expect((await kinds(core, operation)).filter((kind) => kind === 'operation.cancelled')).toHaveLength(1);
      expect(await takeLease(core, jobOf(operation), never)).toBeUndefined();
      const secrets = await inside((tx) => tx.credential.count({ where: { operationId: operation.id } }));
      const questions = await inside((tx) => tx.question.count({ where: { operationId: operation.id, closed: null } }));
      expect([secrets, questions]).toEqual([0, 0]);
    },
  );

  test.each(open)(
    'of one that is %s is whoever asked’s, an approver’s and an admin’s, and nobody else’s',
    async (_, make) => {
      const stranger = await inside((tx) =>
        core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-other', name: 'Olga' }),
      );
      const elsewhere = await installShop(core);
      const operation = await make();
      for (const by of [stranger, elsewhere.admin]) {
        expect(await cancel(operation, by)).toEqual({ kind: 'not_allowed' });
        expect(await pause(operation, by)).toEqual({ kind: 'not_allowed' });
        expect(await resume(operation, by)).toEqual({ kind: 'not_allowed' });
      }
      const foreign = core.control.cancel(elsewhere.customerId, wish(operation, elsewhere.admin));
      expect(await foreign).toEqual({ kind: 'unknown' });
      expect((await look(core, operation)).state).toBe(operation.state);
      expect(await cancel(operation, shop.admin)).toMatchObject({ kind: 'cancelled' });
      expect(await cancel(await make(), shop.approver)).toMatchObject({ kind: 'cancelled' });
    },
  );

  test('is whoever asked’s, and whoever countersigned’s, by any of their accounts', async () => {
    const own = await installShop(core);
    const accounts = [
      [own.merchant, await newcomer(core, own, 'Mona at home')],
      [own.approver, await newcomer(core, own, 'Abel at home')],
    ] as const;
    for (const [account, other] of accounts) {
      const operation = await queuedOperation(core, own);
      const stop = () => core.control.cancel(own.customerId, wish(operation, other));
      expect([await stop(), mayRevoke(operation, other)]).toEqual([{ kind: 'not_allowed' }, false]);
      const linked = await core.database.withCustomer(own.customerId, async (tx) => {
        await core.customers.link(tx, own.customerId, [account, other]);
        return core.customers.find(tx, own.customerId, other.id);
      });
      expect(await stop()).toMatchObject({ kind: 'cancelled' });
      // Whoever countersigned revokes as an approver, which the other account is not.
      expect(linked && mayRevoke(await look(core, operation), linked)).toBe(account === own.merchant);
    }
  });

  test('counts a role as it stands, not as it was', async () => {
    const operation = await queuedOperation(core, shop);
    const before = shop.secondApprover;
    await inside((tx) => core.customers.setApprovers(tx, shop.customerId, [shop.approver.person], false));
    try {
      expect(await cancel(operation, before)).toEqual({ kind: 'not_allowed' });
    } finally {
      const both = [shop.approver.person, shop.secondApprover.person];
      await inside((tx) => core.customers.setApprovers(tx, shop.customerId, both, false));
    }
  });

  test('is heard while a worker takes the operation: nobody is told that it is over', async () => {
    const operation = await queuedOperation(core, shop);
    let cancelled: ReturnType<typeof cancel> | undefined;
    await inside(async (tx) => {
      await core.mover.move(tx, shop.customerId, {
        ...{ operationId: operation.id, from: ['queued'], to: 'in_progress' },
        entry: { kind: 'operation.started' },
      });
      cancelled ??= cancel(operation);
      await untilBlocked(testDatabase, cancelled);
    });
    expect(await cancelled).toMatchObject({ kind: 'cancelled' });
    expect((await look(core, operation)).state).toBe('cancelled');
  });

  test.each(['approve first', 'cancel first'])(
    'and an approval at the same moment: one of them counts (%s)',
    async (order) => {
      const operation = await requestOperation(core, shop);
      const both = [() => grant(core, operation, shop.approver), () => cancel(operation)];
      if (order === 'cancel first') both.reverse();
      await Promise.all(both.map((click) => click()));
      const after = await look(core, operation);
      // The one who came second was either stopped afterwards, or too late to approve: never both undone.
      expect(after.state).toBe('cancelled');
      expect(await jobsOf(operation)).toBe(0);
      expect(await takeLease(core, jobOf(operation), never)).toBeUndefined();
    },
  );
});

describe('stop all', () => {
  test('ends all that is open, says by whom, and is an admin’s alone; what is asked for afterwards stays', async () => {
    const own = await installShop(core);
    const made = [
      await requestOperation(core, own),
      await grantedOperation(core, own),
      await queuedOperation(core, own),
    ];
    for (const by of [own.merchant, own.approver, shop.admin])
      expect(await core.control.cancelAll(own.customerId, by)).toEqual({ kind: 'not_allowed' });
    expect(await core.control.cancelAll(own.customerId, own.admin)).toEqual({ kind: 'cancelled', count: 3 });
    for (const operation of made)
      expect(await look(core, operation)).toMatchObject({
        state: 'cancelled',
        errorMessage: 'Stopped by Ada, with everything else.',
      });
    const later = await requestOperation(core, own);
    expect((await look(core, later)).state).toBe('awaiting_consent');
    expect(await core.control.cancelAll(own.customerId, own.admin)).toEqual({ kind: 'cancelled', count: 1 });
    expect(await core.control.cancelAll(own.customerId, own.admin)).toEqual({ kind: 'cancelled', count: 0 });
  });

  test('that comes again ends what is left of what was open then, and nothing that was asked for since', async () => {
    const own = await installShop(core);
    const event = { platform: 'web', id: 'stop all' } as const;
    const left = await requestOperation(core, own);
    // Whoever took it came no further.
    await core.database.withCustomer(own.customerId, (tx) => takeEvent(tx, own.customerId, event));
    const later = await requestOperation(core, own);
    const outcome = { kind: 'cancelled', count: 1, isRepeated: true };
    expect(await core.control.cancelAll(own.customerId, own.admin, event)).toEqual(outcome);
    expect((await look(core, left)).state).toBe('cancelled');
    expect((await look(core, later)).state).toBe('awaiting_consent');
  });

  test('while requests are being made ends each of them or leaves it whole', async () => {
    const own = await installShop(core);
    await queuedOperation(core, own);
    const asked = Array.from({ length: 6 }, () => requestOperation(core, own));
    const [outcome, ...made] = await Promise.all([core.control.cancelAll(own.customerId, own.admin), ...asked]);
    const states = await Promise.all(made.map(async (operation) => (await look(core, operation)).state));
    const cancelled = states.filter((state) => state === 'cancelled').length;
    expect(outcome).toEqual({ kind: 'cancelled', count: 1 + cancelled });
    expect(states.filter((state) => state !== 'cancelled').every((state) => state === 'awaiting_consent')).toBe(true);
  });
});

describe('retry', () => {
  test('is a new operation, with a plan of its own that nobody countersigned, and names the old one', async () => {
    const { operation } = await running();
    await fail(operation);
    const outcome = await retry(operation);
    if (outcome.kind !== 'requested') throw new Error(outcome.kind);
    const again = outcome.operation;
    expect(again).toMatchObject({ state: 'awaiting_consent', retryOf: operation.id, grant: null });
    expect(again.planHash).not.toBe(operation.planHash);
    expect(again.plan.permissions).toEqual(operation.plan.permissions);
    expect((await trail(core, again))[0]).toMatchObject({ payload: { retryOf: operation.id } });
    expect((await trail(core, operation)).at(-1)).toMatchObject({
      kind: 'operation.retried',
      payload: { as: again.id },
    });
    expect((await look(core, operation)).retriedAs).toBe(again.id);
    const old = { operationId: again.id, planHash: operation.planHash, by: shop.approver, method: 'web' } as const;
    expect(await core.consents.grant(shop.customerId, old)).toMatchObject({ kind: 'stale' });
  });

  test('makes whoever presses it the one who asks, who does not approve it then', async () => {
    const operation = await queuedOperation(core, shop);
    await cancel(operation);
    const outcome = await retry(operation, shop.approver);
    if (outcome.kind !== 'requested') throw new Error(outcome.kind);
    expect(outcome.operation.requester.id).toBe(shop.approver.id);
    const own = await grant(core, outcome.operation, shop.approver);
    expect(own).toMatchObject({ kind: 'refused', why: 'own_request' });
  });

  test('by many at once, or by one click that comes twice, is one operation; the new one can be tried again itself', async () => {
    const operation = await requestOperation(core, shop);
    await cancel(operation);
    const [click] = [aClick()];
    const pressing = [shop.merchant, shop.approver, shop.admin, shop.secondApprover].map((by) => retry(operation, by));
    const twice = { ...wish(operation, shop.merchant, click), threadId: shop.threadId };
    const outcomes = await Promise.all([
      ...pressing,
      core.control.retry(shop.customerId, twice),
      core.control.retry(shop.customerId, twice),
    ]);
    expect(outcomes.filter(({ kind }) => kind === 'requested')).toHaveLength(1);
    expect(await inside((tx) => tx.operation.count({ where: { retryOf: operation.id } }))).toBe(1);
    const again = outcomes.find((outcome) => outcome.kind === 'requested');
    if (again?.kind !== 'requested') throw new Error('nobody asked');
    expect(await retry(operation)).toMatchObject({ kind: 'already', operation: { id: again.operation.id } });
    await cancel(again.operation, shop.admin); // whoever of them was first asked for it
    expect(await retry(again.operation, shop.admin)).toMatchObject({ kind: 'requested' });
  });

  test('is not for what goes on, was denied, or succeeded; nor for anybody', async () => {
    const going = await requestOperation(core, shop);
    expect(await retry(going)).toMatchObject({ kind: 'not_retryable' });
    await core.consents.deny(shop.customerId, { operationId: going.id, by: shop.approver, method: 'web' }, 'No.');
    expect(await retry(going)).toMatchObject({ kind: 'not_retryable', operation: { state: 'denied' } });
    const other = await requestOperation(core, shop);
    await cancel(other);
    const stranger = (await installShop(core)).admin;
    expect(await retry(other, stranger)).toEqual({ kind: 'not_allowed' });
  });
});
