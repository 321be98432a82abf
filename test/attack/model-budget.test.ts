import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ModelLimits, stepBudget } from '../../core/agent/budget.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Core, installShop, openCore, patiently, requestOperation, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/** Money that many spend at once, from two processes: nothing in memory is shared. */
let testDatabase: TestDatabase;
const cores: Core[] = [];
const AT_ONCE = 50;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  for (let n = 0; n < 2; n++) cores.push(await openCore(testDatabase));
});
afterAll(async () => {
  for (const each of cores) await each.close();
  await testDatabase.drop();
});

function core(n = 0): Core {
  const found = cores[n % cores.length];
  if (!found) throw new Error('the database is not open');
  return found;
}

const budgetOf = ({ customerId, id: operationId }: Operation, limits: ModelLimits, n: number) =>
  stepBudget(core(n).database, limits, { customerId, operationId, step: 1 });

/** Of all these reservations at once, those that were given. */
async function reserveAll(operations: readonly Operation[], limits: ModelLimits, usd: number) {
  const asked = Array.from({ length: AT_ONCE }, (_, n) => {
    const operation = operations[n % operations.length];
    if (!operation) throw new Error('there is no operation');
    return patiently(() => budgetOf(operation, limits, n)(usd));
  });
  const all = await Promise.allSettled(asked);
  for (const one of all)
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'model_budget_spent' });
  return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

const spentBy = async ({ customerId }: Operation) => {
  const [row] = await sql<{ usd: number }>(
    testDatabase.adminUrl,
    'SELECT sum(coalesce(spent_micros, reserved_micros))::float8 / 1e6 AS usd FROM model_calls WHERE customer_id = $1',
    [customerId],
  );
  return row?.usd;
};

describe('65 fifty reservations at once', () => {
  test('never exceed what an operation may spend', async () => {
    const operation = await requestOperation(core(), await installShop(core()));
    const given = await reserveAll([operation], { perOperationUsd: 1, perMonthUsd: 100 }, 0.03);
    expect([given.length, await spentBy(operation)]).toEqual([33, 0.99]);
  });

  test('of several operations never exceed what their customer may spend in a month', async () => {
    const shop = await installShop(core());
    const operations: Operation[] = [];
    for (let n = 0; n < 3; n++) operations.push(await requestOperation(core(), shop));
    const [first] = operations;
    if (!first) throw new Error('there is no operation');
    const given = await reserveAll(operations, { perOperationUsd: 100, perMonthUsd: 1 }, 0.07);
    expect([given.length, await spentBy(first)]).toEqual([14, 0.98]);
  });

  test('that cost less than they reserved leave the rest to others, and no more than that', async () => {
    const operation = await requestOperation(core(), await installShop(core()));
    const limits = { perOperationUsd: 1, perMonthUsd: 100 };
    const first = await reserveAll([operation], limits, 0.1);
    expect(first).toHaveLength(10);
    await Promise.all(first.map(({ settle }) => settle(0.05)));
    expect(await reserveAll([operation], limits, 0.1)).toHaveLength(5);
    expect(await spentBy(operation)).toBe(1);
  });
});

describe('65 a loop that never ends', () => {
  test('is stopped by what it costs, however little each turn does', async () => {
    const operation = await requestOperation(core(), await installShop(core()));
    const reserve = budgetOf(operation, { perOperationUsd: 0.5, perMonthUsd: 100 }, 0);
    let turns = 0;
    const loop = async () => {
      for (; turns < 1_000; turns++) await (await reserve(0.05)).settle(0.02);
    };
    await expect(loop()).rejects.toMatchObject({ code: 'model_budget_spent' });
    // Each turn reserves 0.05 before it costs 0.02: the last one begins with 0.44 or 0.46 spent.
    expect(turns).toBe(23);
    expect(await spentBy(operation)).toBeLessThanOrEqual(0.5);
  });
});
