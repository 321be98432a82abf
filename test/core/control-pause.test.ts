import { describe, expect, test } from 'vitest';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { lapse, latestQuestion } from '../../core/operations/questions.ts';
import {
  aClick,
  core,
  inState,
  inside,
  jobOf,
  jobsOf,
  never,
  openControlled,
  pause,
  paused,
  resume,
  running,
  shop,
  testDatabase,
  waiting,
  wish,
} from '../support/controlled.ts';
import { kinds, look, noSecrets, queuedOperation, trail } from '../support/core.ts';
import { shiftClock } from '../support/database.ts';

openControlled();

/** An operation whose worker has just set out to make its key. */
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
