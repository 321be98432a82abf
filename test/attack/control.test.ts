// Promise 8: a person can always stop it. What was stopped or held back, nobody has go on who may not.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { heldPauseOf } from '../../core/operations/hold.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, installShop, look, openCore, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
beforeEach(async () => {
  shop = await installShop(core);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
const never = new AbortController().signal;
const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });

describe('69 what somebody smuggles into the program’s connection', () => {
  const refused = { code: '42501' };

  test('lets no paused customer’s work go on, and holds nobody else’s', async () => {
    await core.standstill.pause(shop.customerId, 'x');
    const smuggled = (statement: string) =>
      asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement));
    await expect(smuggled('UPDATE customers SET paused_at = NULL, pause_reason = NULL')).rejects.toMatchObject(refused);
    await expect(smuggled("SELECT app.set_standstill('mine')")).rejects.toMatchObject(refused);
    await expect(smuggled('SELECT app.set_standstill(NULL)')).rejects.toMatchObject(refused);
    await expect(smuggled('UPDATE sec.standstill SET since = NULL, reason = NULL')).rejects.toMatchObject(refused);
    expect(await inside((tx) => heldPauseOf(tx, shop.customerId))).toMatchObject({ reason: 'x' });
    expect(await core.standstill.everybodys()).toBeUndefined();
    await core.standstill.resume(shop.customerId);
  });

  test('begins nothing while it is paused', async () => {
    const operation = await queuedOperation(core, shop);
    await core.standstill.pause(shop.customerId, 'x');
    const begun = asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query(`UPDATE autonomous_operations SET status = 'in_progress' WHERE id = '${operation.id}'`),
    );
    await expect(begun).rejects.toMatchObject({ code: '55000' });
    await core.standstill.resume(shop.customerId);
  });
});

describe('69 a pause', () => {
  test('is no answer of a worker that takes the job of an operation: it begins nothing', async () => {
    const operation = await queuedOperation(core, shop);
    await core.standstill.pause(shop.customerId, 'x');
    const late = await queuedOperation(core, shop);
    for (const each of [operation, late]) {
      expect(await takeLease(core, jobOf(each), never)).toBeUndefined();
      expect(await look(core, each)).toMatchObject({ state: 'paused', hold: 'operator', startedAt: null });
    }
  });

  test('does not come between the intent and the vault', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await takeLease(core, jobOf(operation), never);
    if (!lease) throw new Error('the lease was not to be had');
    lease.release();
    await inside(async (tx) => {
      await writeIntent(tx, core.audit, operation, 9, operation.plan.label, lease.fence);
      const key = { customerId: shop.customerId, operationId: operation.id, number: 9 };
      const data = { state: 'running', attempt: lease.fence };
      await tx.operationStep.update({ where: { customerId_operationId_number: key }, data });
    });
    const wish = { operationId: operation.id, by: shop.merchant };
    expect((await core.control.pause(shop.customerId, wish)).kind).toBe('pausing');
    await expect(lease.guard('sign_in')).resolves.toBeUndefined();
    expect(await look(core, operation)).toMatchObject({ state: 'in_progress', fence: lease.fence });
  });

  test('and a stop are no stranger’s to give, nor is their end', async () => {
    const operation = await queuedOperation(core, shop);
    const stranger = await inside((tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-other', name: 'Olga' }),
    );
    const wish = { operationId: operation.id, by: { ...stranger, roles: ['admin'] as const } }; // by their own word alone
    for (const ask of [core.control.cancel, core.control.pause, core.control.resume])
      expect((await ask(shop.customerId, wish)).kind).toBe('not_allowed');
    expect((await core.control.cancelAll(shop.customerId, wish.by)).kind).toBe('not_allowed');
    expect((await core.control.withdraw(shop.customerId, [operation.id], wish)).kind).toBe('not_allowed');
    expect((await look(core, operation)).state).toBe('queued');
  });

  test('that ended lets an earlier job take nothing from the worker of the newer one', async () => {
    const operation = await queuedOperation(core, shop);
    const where = { id: operation.id };
    const jobId = async () => (await inside((tx) => tx.operation.findFirstOrThrow({ where }))).jobId ?? '';
    const earlier = await jobId();
    const wish = { operationId: operation.id, by: shop.merchant };
    await core.control.pause(shop.customerId, wish);
    await core.control.resume(shop.customerId, wish);
    const lease = await takeLease(core, { ...jobOf(operation), jobId: await jobId() }, never);
    expect(await takeLease(core, { ...jobOf(operation), jobId: earlier }, never)).toBeUndefined();
    await expect(lease?.guard('sign_in')).resolves.toBeUndefined();
    lease?.release();
  });
});

describe('69 what is tried again', () => {
  test('runs under no countersignature of the operation before', async () => {
    const operation = await queuedOperation(core, shop);
    await core.control.cancel(shop.customerId, { operationId: operation.id, by: shop.merchant });
    const wish = { operationId: operation.id, by: shop.merchant, threadId: shop.threadId };
    const again = await core.control.retry(shop.customerId, wish);
    if (again.kind !== 'requested') throw new Error(again.kind);
    const moved = inside((tx) =>
      core.mover.move(tx, shop.customerId, {
        ...{ operationId: again.operation.id, from: ['awaiting_consent'], to: 'queued' },
        entry: { kind: 'operation.queued' },
      }),
    );
    await moved;
    await expect(takeLease(core, jobOf(again.operation), never)).rejects.toThrow('No consent granted');
  });
});
