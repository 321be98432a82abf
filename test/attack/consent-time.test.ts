import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
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
  trail,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const { minutesPass, putBack } = clockOf(() => testDatabase);

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterEach(async () => {
  vi.useRealTimers();
  await putBack();
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const verify = ({ customerId, id }: Operation) =>
  core.database.withCustomer(customerId, (tx) => core.consents.verify(tx, customerId, id));

const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });

const remindersOf = async (operation: Operation) =>
  (await kinds(core, operation)).filter((kind) => kind === 'consent.reminded').length;

describe('43 the times of a question survive a restart', () => {
  test('the reminder comes once, and then its end, from processes that were not there when it was asked', async () => {
    const operation = await requestOperation(core, shop);
    await core.close(); // whoever asked is gone
    core = await openCore(testDatabase);
    await core.queue.workDeadlines(createDeadlines(core));
    expect(await remindersOf(operation)).toBe(0);
    await minutesPass(8);
    await vi.waitUntil(async () => (await remindersOf(operation)) === 1, { timeout: 20_000 });
    expect(await look(core, operation)).toMatchObject({ state: 'awaiting_consent', remindedAt: expect.any(Date) });
    await core.close();
    core = await openCore(testDatabase);
    await core.queue.workDeadlines(createDeadlines(core));
    await minutesPass(8);
    await vi.waitUntil(async () => (await look(core, operation)).state === 'expired', { timeout: 20_000 });
    expect(await remindersOf(operation)).toBe(1);
    const events = await sql(
      testDatabase.adminUrl,
      'SELECT kind FROM consent_events WHERE operation_id = $1 ORDER BY n',
      [operation.id],
    );
    expect(events).toEqual([{ kind: 'requested' }, { kind: 'reminded' }, { kind: 'expired' }]);
  });

  test('however often its time is looked at, also by many at once, a question is remembered once', async () => {
    const operation = await requestOperation(core, shop);
    const looks = () => createDeadlines(core)(jobOf(operation));
    await looks();
    expect(await remindersOf(operation)).toBe(0); // too early
    await minutesPass(8);
    await Promise.all(Array.from({ length: 8 }, looks));
    expect(await remindersOf(operation)).toBe(1);
  });

  test('a question that was answered is not remembered', async () => {
    const operation = await grantedOperation(core, shop);
    await minutesPass(8);
    await createDeadlines(core)(jobOf(operation));
    expect(await remindersOf(operation)).toBe(0);
  });
});

describe('44 the clock jumps', () => {
  test('ahead: what had its time is over, and what ran does not go on', async () => {
    const [asked, running] = [await requestOperation(core, shop), await queuedOperation(core, shop)];
    const lease = await takeLease(core, jobOf(running), new AbortController().signal);
    await minutesPass(24 * 60);
    expect(await grant(core, asked, shop.approver)).toMatchObject({ kind: 'stale' });
    await expect(lease?.guard('sign_in')).rejects.toThrow('Consent required: Consent has expired');
    await vi.waitUntil(() => lease?.signal.aborted, { timeout: 10_000 });
    lease?.release();
  });

  test('back: an expired countersignature does not come to life again', async () => {
    await minutesPass(120);
    const operation = await queuedOperation(core, shop);
    await minutesPass(61);
    expect(await verify(operation)).toEqual({ hasConsent: false, reason: 'Consent has expired' });
    await minutesPass(-120); // before it was ever given
    expect(await verify(operation)).toEqual({ hasConsent: false, reason: 'The clock of the database went back' });
    await expect(takeLease(core, jobOf(operation), new AbortController().signal)).rejects.toThrow(
      'Consent required: The clock of the database went back',
    );
  });

  test('back: what was noticed as expired stays so', async () => {
    const operation = await requestOperation(core, shop);
    await minutesPass(16);
    await createDeadlines(core)(jobOf(operation));
    await minutesPass(-16);
    expect(await grant(core, operation, shop.approver)).toMatchObject({
      kind: 'stale',
      operation: { state: 'expired' },
    });
  });

  test.each([-24, 24])('in the program alone, by %d hours: nothing that was not allowed becomes so', async (hours) => {
    const [asked, expired] = [await requestOperation(core, shop), await grantedOperation(core, shop)];
    await minutesPass(61);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * 3_600_000 });
    const decided = grant(core, asked, shop.approver).then(
      ({ kind }) => kind,
      ({ code }: { code: string }) => code,
    );
    // A program whose clock is behind proves itself with a token that has run out: it isn't let in at all.
    expect(await decided).toBe(hours < 0 ? 'context_refused' : 'stale');
    const verdict = verify(expired).then(
      ({ hasConsent }) => hasConsent,
      ({ code }: { code: string }) => code,
    );
    expect(await verdict).toBe(hours < 0 ? 'context_refused' : false);
  });

  test('in the program alone: times on record are the database’s', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 24 * 3_600_000 });
    const operation = await grantedOperation(core, await installShop(core)); // whose chain was in no other time yet
    vi.useRealTimers();
    const written = [
      operation.grant?.grantedAt,
      operation.request?.decidedAt,
      (await trail(core, operation)).at(-1)?.at,
    ];
    for (const moment of written) expect(Math.abs((moment?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    expect((operation.grant?.expiresAt?.getTime() ?? 0) - Date.now()).toBeLessThan(61 * 60_000);
  });
});
