import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Asked, recordRefusal } from '../../core/audit/refusal.ts';
import type { Member } from '../../core/customers/customers.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const refuse = (shop: Shop, by: Member, asked: Asked) =>
  core.database.withCustomer(shop.customerId, (tx) =>
    recordRefusal(tx, core.audit, shop.customerId, { by: by.id, asked }),
  );

/** Who was refused what, oldest first. */
async function refusals(shop: Shop): Promise<readonly string[]> {
  const rows = await sql<{ who: string; asked: string }>(
    testDatabase.adminUrl,
    `SELECT m.name AS who, a.header::jsonb ->> 'asked' AS asked
     FROM autonomous_operations_audit a JOIN members m ON m.id::text = a.header::jsonb ->> 'actor'
     WHERE a.customer_id = $1 AND a.kind = 'access.refused' ORDER BY a.seq`,
    [shop.customerId],
  );
  return rows.map(({ who, asked }) => `${who}: ${asked}`);
}

describe('a refusal', () => {
  test('is on record with who asked for what, in a chain that checks', async () => {
    const shop = await installShop(core);
    await refuse(shop, shop.merchant, 'audit');
    await refuse(shop, shop.merchant, 'stop_all');
    await refuse(shop, shop.approver, 'settings');
    expect(await refusals(shop)).toEqual(['Mona: audit', 'Mona: stop_all', 'Abel: settings']);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('names the operation that it was about', async () => {
    const shop = await installShop(core);
    const operation = await requestOperation(core, shop);
    await core.database.withCustomer(shop.customerId, (tx) =>
      recordRefusal(tx, core.audit, shop.customerId, { by: shop.merchant.id, asked: 'export', about: operation.id }),
    );
    expect((await trail(core, operation)).at(-1)).toMatchObject({
      kind: 'access.refused',
      actor: shop.merchant.id,
      asked: 'export',
      success: false,
    });
  });

  test('is written once a minute for a person and a thing, however often and however many at once', async () => {
    const shop = await installShop(core);
    await Promise.all(Array.from({ length: 20 }, () => refuse(shop, shop.merchant, 'audit')));
    await refuse(shop, shop.merchant, 'audit');
    expect(await refusals(shop)).toEqual(['Mona: audit']);
    await shiftClock(testDatabase.ownerUrl, '59 seconds');
    await refuse(shop, shop.merchant, 'audit');
    expect(await refusals(shop)).toHaveLength(1);
    await shiftClock(testDatabase.ownerUrl, '2 seconds');
    await refuse(shop, shop.merchant, 'audit');
    expect(await refusals(shop)).toEqual(['Mona: audit', 'Mona: audit']);
  });
});
