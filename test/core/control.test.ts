import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { ask, lapse, latestQuestion } from '../../core/operations/questions.ts';
import { mayRevoke } from '../../core/operations/revocation.ts';
import { OPEN_STATES, type OperationState } from '../../core/operations/states.ts';
import type { EventRef } from '../../core/ports/chat.ts';
import {
  type Core,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  newcomer,
  noSecrets,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  trail,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let clicks = 0;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
const never = new AbortController().signal;
const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });
const wish = ({ id }: { readonly id: string }, by: Member = shop.merchant, event?: EventRef) => ({
  ...{ operationId: id, by },
  ...(event ? { event } : {}),
});
const aClick = (): EventRef => ({ platform: 'web', id: `click ${clicks++}` });
const cancel = (operation: Operation, by?: Member) => core.control.cancel(shop.customerId, wish(operation, by));
const pause = (operation: Operation, by?: Member) => core.control.pause(shop.customerId, wish(operation, by));
const resume = (operation: Operation, by?: Member) => core.control.resume(shop.customerId, wish(operation, by));
const retry = (operation: Operation, by?: Member) =>
  core.control.retry(shop.customerId, { ...wish(operation, by), threadId: shop.threadId });
const fail = (operation: Operation) =>
  endOperation(
    core,
    { ...jobOf(operation), fence: undefined },
    { kind: 'failed', code: 'timeout', words: 'It took too long.' },
    noSecrets,
  );

/** How many jobs of an operation somebody has still to do. */
async function jobsOf({ id }: Operation): Promise<number> {
  const rows = await sql(
    testDatabase.adminUrl,
    `SELECT id FROM pgboss.job WHERE name = 'operations' AND data->>'operationId' = $1 AND state < 'completed'`,
    [id],
  );
  return rows.length;
}

/** With a worker that holds it, whose timer is off. */
async function running(): Promise<{ operation: Operation; lease: NonNullable<Awaited<ReturnType<typeof takeLease>>> }> {
  const operation = await queuedOperation(core, shop);
  const lease = await takeLease(core, jobOf(operation), never);
  if (!lease) throw new Error('the lease was not to be had');
  lease.release();
  return { operation: await look(core, operation), lease };
}

/** The same, and it has just set out to make its key. */
async function making() {
  const run = await running();
  const { customerId, id: operationId } = run.operation;
  await inside(async (tx) => {
    await writeIntent(tx, core.audit, run.operation, 9, run.operation.plan.label, run.lease.fence);
    const where = { customerId_operationId_number: { customerId, operationId, number: 9 } };
    await tx.operationStep.update({ where, data: { state: 'running', attempt: run.lease.fence } });
  });
  const stored = () =>
    inside(async (tx) => {
      const where = { customerId_operationId_number: { customerId, operationId, number: 9 } };
      await tx.operationIntent.updateMany({ where: { customerId, operationId }, data: { state: 'done' } });
      await tx.operationStep.update({ where, data: { state: 'done' } });
    });
  return { ...run, stored };
}

async function waiting(): Promise<Operation> {
  const { operation } = await running();
  await inside(async (tx) => {
    await ask(tx, core, operation, { step: 3, kind: 'help', words: 'Look at this.', screenshotId: null });
    await core.mover.move(tx, shop.customerId, {
      ...{ operationId: operation.id, from: ['in_progress'], to: 'waiting_for_human' },
      entry: { kind: 'question.asked', stepNumber: 3 },
    });
  });
  return look(core, operation);
}

async function lapsed(): Promise<Operation> {
  const operation = await waiting();
  await inside(async (tx) => {
    const question = await latestQuestion(tx, shop.customerId, operation.id);
    if (question) await lapse(tx, shop.customerId, question, new Date());
    await core.mover.move(tx, shop.customerId, {
      ...{ operationId: operation.id, from: ['waiting_for_human'], to: 'paused' },
      entry: { kind: 'question.lapsed', stepNumber: 3 },
    });
  });
  return look(core, operation);
}

async function paused(by?: Member): Promise<Operation> {
  const { operation } = await running();
  await pause(operation, by);
  return look(core, operation);
}

/** An operation in each state that is no end. */
const inState: Partial<Record<OperationState, () => Promise<Operation>>> = {
  awaiting_consent: () => requestOperation(core, shop),
  awaiting_credentials: () => grantedOperation(core, shop),
  queued: () => queuedOperation(core, shop),
  in_progress: async () => (await running()).operation,
  waiting_for_human: waiting,
  paused,
};
const open = Object.entries(inState);

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

describe('pause', () => {
  test.each(['queued', 'in_progress'] as const)('lets one that is %s rest, and says who did', async (state) => {
    const operation = (await inState[state]?.()) as Operation; // both are in the table
    expect(await pause(operation, shop.approver)).toMatchObject({
      kind: 'paused',
      operation: { state: 'paused', hold: 'person', heldBy: { id: shop.approver.id } },
    });
    expect(await takeLease(core, jobOf(operation), never)).toBeUndefined();
    const entry = (await trail(core, operation)).at(-1);
    expect(entry).toMatchObject({ kind: 'operation.paused', actor: shop.approver.id });
    expect(await pause(operation)).toMatchObject({ kind: 'not_running' });
  });

  test.each(['awaiting_consent', 'awaiting_credentials', 'waiting_for_human'] as const)(
    'changes nothing where one is %s: nothing runs',
    async (state) => {
      const operation = (await inState[state]?.()) as Operation; // all are in the table
      expect(await pause(operation)).toMatchObject({ kind: 'not_running', operation: { state } });
    },
  );

  test('waits for an effect that has begun, and rests as soon as that is on record', async () => {
    const { operation, lease, stored } = await making();
    expect(await pause(operation)).toMatchObject({
      kind: 'pausing',
      operation: { state: 'in_progress', hold: 'person' },
    });
    expect(await pause(operation)).toMatchObject({ kind: 'pausing' });
    expect((await kinds(core, operation)).filter((kind) => kind === 'operation.pause_asked')).toHaveLength(1);
    await expect(lease.guard('sign_in')).resolves.toBeUndefined();
    await stored();
    await expect(lease.guard('sign_in')).rejects.toThrow('The operation was paused');
    expect(await look(core, operation)).toMatchObject({ state: 'paused', heldBy: { id: shop.merchant.id } });
  });

  test('that was asked for in the middle of an effect is kept by whoever takes over from a dead worker', async () => {
    const { operation } = await making();
    await pause(operation);
    expect(await takeLease(core, jobOf(operation), never)).toBeUndefined();
    expect(await look(core, operation)).toMatchObject({
      state: 'paused',
      hold: 'person',
      intent: { state: 'started' },
    });
  });

  test('that was asked for in the middle of an effect can be taken back before it comes', async () => {
    const { operation, lease, stored } = await making();
    await pause(operation);
    expect(await resume(operation)).toMatchObject({ kind: 'resumed', operation: { state: 'in_progress', hold: null } });
    await stored();
    await expect(lease.guard('sign_in')).resolves.toBeUndefined();
  });

  test('and the end of the run at the same moment: the operation is paused or over, and never both', async () => {
    for (let n = 0; n < 5; n++) {
      const { operation, lease } = await running();
      const ending = { kind: 'failed', code: 'timeout', words: 'It took too long.' } as const;
      const [outcome] = await Promise.all([pause(operation), endOperation(core, lease, ending, noSecrets)]);
      const { state } = await look(core, operation);
      expect(['paused', 'failed']).toContain(state);
      expect(outcome.kind).toBe(state === 'paused' ? 'paused' : 'over');
    }
  });
});

describe('resume', () => {
  test('sends the next job with the move, which a worker takes', async () => {
    const operation = await paused();
    expect(await resume(operation, shop.approver)).toMatchObject({
      kind: 'resumed',
      operation: { state: 'queued', hold: null, heldBy: null },
    });
    expect((await trail(core, operation)).at(-1)).toMatchObject({ kind: 'operation.resumed', actor: shop.approver.id });
    const lease = await takeLease(core, jobOf(operation), never);
    expect(lease?.operation.id).toBe(operation.id);
    lease?.release();
    expect(await resume(operation)).toMatchObject({ kind: 'not_paused' });
  });

  test('twice at once sends one job', async () => {
    const operation = await paused();
    const before = await jobsOf(operation);
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => resume(operation)));
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual([...Array(4).fill('not_paused'), 'resumed']);
    expect((await jobsOf(operation)) - before).toBe(1);
  });

  test('of one that was paused before its job came: the earlier job takes nothing, neither before nor after', async () => {
    const operation = await queuedOperation(core, shop);
    const jobId = async () =>
      (await inside((tx) => tx.operation.findFirstOrThrow({ where: { id: operation.id }, select: { jobId: true } })))
        .jobId ?? '';
    const first = await jobId();
    await pause(operation);
    await resume(operation);
    const second = await jobId();
    expect(second).not.toBe(first);
    expect(await takeLease(core, { ...jobOf(operation), jobId: first }, never)).toBeUndefined();
    const lease = await takeLease(core, { ...jobOf(operation), jobId: second }, never);
    expect(lease).toBeDefined();
    expect(await takeLease(core, { ...jobOf(operation), jobId: first }, never)).toBeUndefined();
    await expect(lease?.guard('sign_in')).resolves.toBeUndefined();
    lease?.release();
  });

  test('goes on with a question that nobody answered, which is paused in other words', async () => {
    const operation = await lapsed();
    expect(operation).toMatchObject({ state: 'paused', hold: null });
    expect(await resume(operation)).toMatchObject({ kind: 'resumed', operation: { state: 'queued' } });
    expect((await kinds(core, operation)).at(-1)).toBe('question.answered');
  });

  test('is refused to what ran under a countersignature that was taken back: it has ended', async () => {
    const operation = await paused();
    await inside((tx) => core.consents.revoke(tx, operation, shop.approver));
    expect(await resume(operation)).toEqual({ kind: 'over' });
    expect((await look(core, operation)).state).toBe('cancelled');
  });

  test('says that the countersignature lapsed meanwhile, and ends it, so that it can be asked for anew', async () => {
    const operation = await paused();
    const other = await paused();
    await shiftClock(testDatabase.adminUrl, '61 minutes');
    expect(await resume(operation)).toMatchObject({ kind: 'lapsed', operation: { state: 'expired' } });
    expect((await look(core, operation)).errorMessage).toBe(
      'It was paused by Mona, and did not go on in time: Consent has expired.',
    );
    // Also when nobody comes back to it.
    await createDeadlines(core)(jobOf(other));
    expect(await look(core, other)).toMatchObject({
      state: 'expired',
      errorMessage: 'It was paused by Mona, and did not go on in time: Consent has expired.',
    });
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

test('a click that is delivered again changes nothing', async () => {
  const operation = await paused();
  const click = aClick();
  expect(await core.control.resume(shop.customerId, wish(operation, shop.merchant, click))).toMatchObject({
    kind: 'resumed',
  });
  await pause(operation);
  expect(await core.control.resume(shop.customerId, wish(operation, shop.merchant, click))).toEqual({
    kind: 'repeated',
  });
  expect((await look(core, operation)).state).toBe('paused');
});
