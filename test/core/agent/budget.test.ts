import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stepBudget } from '../../../core/agent/budget.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import { type Core, installShop, openCore, requestOperation, type Shop } from '../../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const limits = { perOperationUsd: 1, perMonthUsd: 1.5 };
const of = ({ customerId, id: operationId }: Operation) =>
  stepBudget(core.database, limits, { customerId, operationId, step: 1 });
const refusedFor = (words: string) => ({ code: 'model_budget_spent', message: expect.stringContaining(words) });
const fresh = async () => {
  shop = await installShop(core);
  return requestOperation(core, shop);
};

describe("the model's budget", () => {
  test('counts a request as the most until its end is known', async () => {
    const reserve = of(await fresh());
    const first = await reserve(0.7);
    await expect(reserve(0.4)).rejects.toMatchObject(refusedFor('operation'));
    await first.settle(0.1);
    await (await reserve(0.7)).settle(0.2);
    await expect(reserve(0.71)).rejects.toMatchObject(refusedFor('operation'));
  });

  test('ends for all operations of a customer in a month, and begins anew with the next', async () => {
    const one = await fresh();
    const two = await requestOperation(core, shop, { base: 'https://second.example.com' });
    await of(one)(0.9);
    await expect(of(two)(0.7)).rejects.toMatchObject(refusedFor('month'));
    await of(two)(0.5);
    await shiftClock(testDatabase.ownerUrl, '31 days');
    await of(two)(0.4);
    await shiftClock(testDatabase.ownerUrl, '-31 days');
  });

  test('is never more than there is when two ask at once', async () => {
    const reserve = of(await fresh());
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => reserve(0.3)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  test('is closed once the customer has switched the model off', async () => {
    const reserve = of(await fresh());
    await core.database.withCustomer(shop.customerId, (tx) =>
      tx.customer.update({ where: { customerId: shop.customerId }, data: { allowsModel: false } }),
    );
    await expect(reserve(0.01)).rejects.toMatchObject(refusedFor('switched'));
  });
});
