import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Limit, take } from '../../core/limits.ts';
import { type Core, installShop, openCore, patiently, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let [a, b]: Shop[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const HOURLY = { quota: 10, windowSeconds: 3_600 };

function takeFrom(shop: Shop | undefined, limit: Limit) {
  if (!shop) throw new Error('there is no shop');
  return core.database.withCustomer(shop.customerId, (tx) => take(tx, shop.customerId, limit));
}

describe('a limit', () => {
  test('allows exactly its quota of two hundred who come at once', async () => {
    const limit = { name: 'at once', ...HOURLY };
    const taken = await Promise.all(Array.from({ length: 200 }, () => patiently(() => takeFrom(a, limit))));
    expect(taken.filter(({ isAllowed }) => isAllowed)).toHaveLength(10);
    expect(
      taken
        .map(({ remaining }) => remaining)
        .toSorted((x, y) => x - y)
        .at(-1),
    ).toBe(9);
  });

  test('fills up evenly again by the database’s clock, and no fuller than its quota', async () => {
    const limit = { name: 'evenly', ...HOURLY };
    for (let n = 0; n < 10; n++) expect((await takeFrom(a, limit)).isAllowed).toBe(true);
    const refused = await takeFrom(a, limit);
    expect(refused).toMatchObject({ isAllowed: false, remaining: 0 });
    expect(refused.retrySeconds).toBeGreaterThan(300);
    expect(refused.retrySeconds).toBeLessThanOrEqual(360); // one of ten in an hour
    await shiftClock(testDatabase.ownerUrl, '361 seconds');
    expect((await takeFrom(a, limit)).isAllowed).toBe(true);
    expect((await takeFrom(a, limit)).isAllowed).toBe(false);
    await shiftClock(testDatabase.ownerUrl, '3 days');
    expect(await takeFrom(a, limit)).toMatchObject({ isAllowed: true, remaining: 9, retrySeconds: 0 });
  });

  test('is a customer’s own, and a name’s own', async () => {
    const limit = { name: 'own', quota: 1, windowSeconds: 3_600 };
    expect((await takeFrom(a, limit)).isAllowed).toBe(true);
    expect((await takeFrom(a, limit)).isAllowed).toBe(false);
    expect((await takeFrom(b, limit)).isAllowed).toBe(true);
    expect((await takeFrom(a, { ...limit, name: 'another' })).isAllowed).toBe(true);
  });

  test('takes nothing in a transaction that is rolled back', async () => {
    const limit = { name: 'rolled back', quota: 1, windowSeconds: 3_600 };
    const { customerId } = a ?? (await installShop(core));
    const failing = core.database.withCustomer(customerId, async (tx) => {
      await take(tx, customerId, limit);
      throw new Error('changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    expect((await takeFrom(a, limit)).isAllowed).toBe(true);
  });
});
