import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import { heldPauseOf } from '../../core/operations/hold.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
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
const take = ({ customerId, id }: Operation) => takeLease(core, { customerId, operationId: id }, never);

async function running(): Promise<Operation> {
  const operation = await queuedOperation(core, shop);
  (await take(operation))?.release();
  return look(core, operation);
}

/** Everybody's pause, for as long as `work` takes. */
async function atStandstill(reason: string, work: () => Promise<void>): Promise<void> {
  await core.standstill.pause('everybody', reason);
  try {
    await work();
  } finally {
    await core.standstill.resume('everybody');
  }
}

describe('a pause of one customer', () => {
  test('rests what runs, lets nothing begin, and is said in every open thread', async () => {
    const elsewhere = await installShop(core);
    const [own, queued, asked, entering] = [
      await running(),
      await queuedOperation(core, shop),
      await requestOperation(core, shop),
      await grantedOperation(core, shop),
    ];
    const other = await queuedOperation(core, elsewhere);
    expect(await core.standstill.pause(shop.customerId, 'moving')).toBe(2);
    for (const operation of [own, queued])
      expect(await look(core, operation)).toMatchObject({ state: 'paused', hold: 'operator', heldBy: null });
    for (const operation of [asked, entering]) expect((await kinds(core, operation)).at(-1)).toBe('pause.begun');
    const late = await queuedOperation(core, shop);
    expect(await take(late)).toBeUndefined();
    expect(await look(core, late)).toMatchObject({ state: 'paused', hold: 'operator' });
    const lease = await take(other);
    expect(lease).toBeDefined();
    lease?.release();
    const status = await core.standstill.status();
    expect(status.find(({ customerId }) => customerId === shop.customerId)).toMatchObject({
      held: 3,
      pause: { reason: 'moving', isEverybodys: false },
    });
    expect(await core.standstill.resume(shop.customerId)).toEqual({ resumed: 3, lapsed: 0, stillPaused: 0 });
    for (const operation of [own, queued, late]) {
      expect(await look(core, operation)).toMatchObject({ state: 'queued', hold: null });
      const again = await take(operation);
      expect(again).toBeDefined();
      again?.release();
    }
    expect((await kinds(core, asked)).at(-1)).toBe('pause.ended');
  });

  test('is refused to nobody who approves: what is approved meanwhile waits, and begins when it ends', async () => {
    await core.standstill.pause(shop.customerId, '');
    const operation = await queuedOperation(core, shop);
    expect(await take(operation)).toBeUndefined();
    expect(await core.control.resume(shop.customerId, { operationId: operation.id, by: shop.admin })).toMatchObject({
      kind: 'held',
      pause: { reason: '' },
    });
    await core.standstill.resume(shop.customerId);
    const lease = await take(operation);
    expect(lease?.operation.id).toBe(operation.id);
    lease?.release();
  });

  test('leaves what a person paused with that person', async () => {
    const operation = await running();
    await core.control.pause(shop.customerId, { operationId: operation.id, by: shop.merchant });
    await core.standstill.pause(shop.customerId, 'x');
    await core.standstill.resume(shop.customerId);
    expect(await look(core, operation)).toMatchObject({ state: 'paused', hold: 'person' });
  });

  test('can be cancelled through', async () => {
    const operation = await running();
    await core.standstill.pause(shop.customerId, 'x');
    const wish = { operationId: operation.id, by: shop.merchant };
    expect(await core.control.cancel(shop.customerId, wish)).toMatchObject({ kind: 'cancelled' });
    expect(await core.standstill.resume(shop.customerId)).toMatchObject({ resumed: 0 });
  });
});

describe('everybody’s pause', () => {
  test('also holds a customer who comes while it lasts, and one whose own pause ended', async () => {
    await core.standstill.pause(shop.customerId, 'own');
    await atStandstill('all', async () => {
      const later = await installShop(core);
      expect(await take(await queuedOperation(core, later))).toBeUndefined();
      expect(await core.standstill.resume(shop.customerId)).toMatchObject({ stillPaused: 1 });
      expect(await take(await queuedOperation(core, shop))).toBeUndefined();
      expect(await core.standstill.everybodys()).toMatchObject({ reason: 'all' });
      await core.standstill.pause('everybody', 'another reason');
      expect(await core.standstill.everybodys()).toMatchObject({ reason: 'another reason' });
    });
    expect(await core.standstill.everybodys()).toBeUndefined();
    const lease = await take(await queuedOperation(core, shop));
    expect(lease).toBeDefined();
    lease?.release();
  });

  test('stands for a process that was started afterwards', async () => {
    const operation = await queuedOperation(core, shop);
    await atStandstill('night', async () => {
      const another = await openCore(testDatabase);
      try {
        expect(
          await takeLease(another, { customerId: shop.customerId, operationId: operation.id }, never),
        ).toBeUndefined();
        expect((await look(another, operation)).state).toBe('paused');
      } finally {
        await another.close();
      }
    });
  });

  test('is taken by a worker in the middle of an effect once that is on record', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await take(operation);
    if (!lease) throw new Error('the lease was not to be had');
    lease.release();
    const key = { customerId: shop.customerId, operationId: operation.id, number: 9 };
    const step = (state: string) =>
      inside((tx) =>
        tx.operationStep.update({
          where: { customerId_operationId_number: key },
          data: { state, attempt: lease.fence },
        }),
      );
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, operation.plan.label, lease.fence));
    await step('running');
    await atStandstill('now', async () => {
      expect(await look(core, operation)).toMatchObject({ state: 'in_progress', hold: 'operator' });
      await expect(lease.guard('sign_in')).resolves.toBeUndefined();
      await step('done');
      await expect(lease.guard('sign_in')).rejects.toThrow('The operation was paused');
      expect((await look(core, operation)).state).toBe('paused');
    });
    expect((await look(core, operation)).state).toBe('queued');
  });

  test('is seen by a worker before any command told its operation: the flag alone is enough', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await take(operation);
    lease?.release();
    await sql(testDatabase.adminUrl, `UPDATE sec.standstill SET since = app.now(), reason = 'cut off'`);
    try {
      await expect(lease?.guard('sign_in')).rejects.toThrow('The operation was paused');
      expect(await look(core, operation)).toMatchObject({ state: 'paused', hold: 'operator' });
    } finally {
      await core.standstill.resume('everybody');
    }
  });
});

describe('a pause and a lease that is being taken', () => {
  test('the pause waits for it, and then rests what it began', async () => {
    const operation = await queuedOperation(core, shop);
    let pausing: Promise<number> | undefined;
    await inside(async (tx) => {
      expect(await heldPauseOf(tx, shop.customerId)).toBeUndefined();
      await core.mover.move(tx, shop.customerId, {
        ...{ operationId: operation.id, from: ['queued'], to: 'in_progress' },
        entry: { kind: 'operation.started' },
      });
      pausing ??= core.standstill.pause(shop.customerId, 'x');
      await untilBlocked(testDatabase, pausing);
    });
    expect(await pausing).toBe(1);
    expect((await look(core, operation)).state).toBe('paused');
  });

  test('twenty operations and a pause at the same moment: none of them runs afterwards', async () => {
    const queued: Operation[] = [];
    for (let n = 0; n < 8; n++) queued.push(await queuedOperation(core, shop));
    const taking = queued.map(take);
    await core.standstill.pause(shop.customerId, 'x');
    for (const lease of await Promise.all(taking)) lease?.release();
    for (const operation of queued) expect((await look(core, operation)).state).toBe('paused');
    expect(await core.standstill.resume(shop.customerId)).toMatchObject({ resumed: 8 });
  });

  test('the end of a pause and a job that is just being held back: it is not forgotten', async () => {
    await core.standstill.pause(shop.customerId, 'x');
    const operation = await queuedOperation(core, shop);
    const [, outcome] = await Promise.all([take(operation), core.standstill.resume(shop.customerId)]);
    const { state, hold } = await look(core, operation);
    expect(outcome.stillPaused).toBe(0);
    expect([state, hold]).not.toContain('operator');
    expect(['queued', 'in_progress']).toContain(state);
  });
});
