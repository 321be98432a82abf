import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Core, installShop, openCore, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WHERE = { target: 'https://shop.example.com' };

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  const expiring = (inMs: number) => ({ ...WHERE, value: 'x', expiresAt: new Date(Date.now() + inMs) });
  await core.vault.store(shop.customerId, 'stripe', 'oauth_token', expiring(HOUR_MS));
  await core.vault.store(shop.customerId, 'stripe', 'session', expiring(-HOUR_MS));
});

afterEach(() => {
  vi.useRealTimers();
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const live = async () =>
  (await core.vault.get(shop.customerId, 'stripe', 'oauth_token', WHERE))?.value.reveal() ?? null;
const expired = async () => (await core.vault.get(shop.customerId, 'stripe', 'session', WHERE))?.value.reveal() ?? null;

/** The program's clock alone. */
function setClock(byMs: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs });
}

describe('16 expiry goes by the clock of the database', () => {
  test('16 with the clock of the program a day ahead', async () => {
    setClock(DAY_MS);
    expect([await live(), await expired()]).toEqual(['x', null]);
  });

  test('16 with the clock of the program a day behind, which gets no context at all', async () => {
    setClock(-DAY_MS);
    for (const read of [live, expired]) await expect(read()).rejects.toMatchObject({ code: 'context_refused' });
  });

  test.each([
    ['1 day', [null, null]],
    ['-1 day', ['x', 'x']],
  ])('16 with the clock of the database moved by %s: that one decides', async (interval, expected) => {
    await shiftClock(testDatabase.ownerUrl, interval);
    try {
      expect([await live(), await expired()]).toEqual(expected);
    } finally {
      await shiftClock(testDatabase.ownerUrl, interval.startsWith('-') ? '1 day' : '-1 day');
    }
  });
});
