import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  asCustomer,
  type Core,
  cancel,
  connected,
  grantedOperation,
  installShop,
  openCore,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

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

const CANARY = 'cs_canary_erased_0a1b2c3d4e5f6071';
const GONE = { code: 'vault_key_missing', message: 'The key of this customer is gone.' };

interface Held {
  readonly shop: Shop;
  readonly operation: Operation;
  readonly pictureId: string;
}

/** A customer with something of each kind that is sealed. */
async function held(): Promise<Held> {
  const shop = await installShop(core);
  const operation = await grantedOperation(core, shop);
  await core.vault.store(shop.customerId, 'stripe', 'api_key', { value: CANARY });
  const picture = { mediaType: 'image/png', width: 1, height: 1, alt: '', bytes: Buffer.from(CANARY) } as const;
  const pictureId = await createScreenshots(core).put(shop.customerId, {
    ...picture,
    operationId: operation.id,
    step: 1,
  });
  await cancel(core, operation); // while it runs nobody is erased
  return { shop, operation, pictureId };
}

const openSecret = async ({ shop }: Held) =>
  (await core.vault.get(shop.customerId, 'stripe', 'api_key'))?.value.reveal();
/** How many entries of the trail still have their words. */
const openWords = async ({ shop, operation }: Held) =>
  (
    await core.database.withCustomer(shop.customerId, (tx) => core.audit.entriesOf(tx, shop.customerId, operation.id))
  ).filter(({ payload }) => payload !== undefined).length;
const openPicture = async ({ shop, pictureId }: Held) =>
  (await createScreenshots(core).get(shop.customerId, pictureId))?.bytes.toString();

const SEALED = ['autonomous_credentials', 'autonomous_operations_audit', 'screenshots'];

/** Rows of these tables as a dump holds them: what COPY writes. */
async function dump(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const all = new Map<string, readonly string[]>();
  for (const table of tables) {
    const rows = await sql<{ row: string }>(testDatabase.adminUrl, `SELECT to_jsonb(t)::text AS row FROM ${table} t`);
    all.set(
      table,
      rows.map(({ row }) => row),
    );
  }
  return all;
}

/** As a restore does it: constraints and triggers off, every row as it was. */
function restore(dumped: ReadonlyMap<string, readonly string[]>): Promise<void> {
  return connected(testDatabase.adminUrl, async (client) => {
    await client.query("SET session_replication_role = 'replica'");
    for (const [table, rows] of dumped) {
      await client.query(`DELETE FROM ${table}`);
      for (const row of rows)
        await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, $1)`, [row]);
    }
  });
}

describe('15 an erased customer', () => {
  test('15 can not be read any more, not even after a dump of everything but the keys is restored; others can', async () => {
    const [erased, other] = [await held(), await held()];
    expect([await openSecret(erased), await openPicture(erased)]).toEqual([CANARY, CANARY]);
    expect(await openWords(erased)).toBeGreaterThan(0);
    const [rest, keys] = [await dump(SEALED), await dump(['customer_keys'])];
    await core.keyRotation.eraseCustomer(erased.shop.customerId);
    expect(await openSecret(erased)).toBeUndefined();
    await restore(rest);
    for (const open of [openSecret, openPicture]) await expect(open(erased)).rejects.toMatchObject(GONE);
    expect(await openWords(erased)).toBe(0);
    expect([await openSecret(other), await openPicture(other)]).toEqual([CANARY, CANARY]);
    expect(await openWords(other)).toBeGreaterThan(0);
    // What this rests on: the keys are kept apart, and not for long. With their dump everything is back.
    await restore(keys);
    expect(await openSecret(erased)).toBe(CANARY);
  });

  test('15 has no key bytes in its rows, gets no new key, and can not be taken back', async () => {
    const erased = await held();
    const { customerId } = erased.shop;
    await core.keyRotation.rotateCustomerKeys(customerId);
    await core.keyRotation.eraseCustomer(customerId);
    const rows = await sql(testDatabase.adminUrl, 'SELECT state, wrapped FROM customer_keys WHERE customer_id = $1', [
      customerId,
    ]);
    expect(rows).toEqual([1, 2].map(() => ({ state: 'destroyed', wrapped: Buffer.alloc(0) })));
    await expect(core.vault.store(customerId, 'stripe', 'api_key', { value: 'x' })).rejects.toMatchObject(GONE);
    await expect(core.keyRotation.rotateCustomerKeys(customerId)).rejects.toMatchObject({ code: 'vault_key_missing' });
    for (const statement of [
      'UPDATE customers SET erased_at = NULL WHERE customer_id = $1',
      "UPDATE customers SET erased_at = app.now() + interval '1 day' WHERE customer_id = $1",
      "UPDATE customer_keys SET state = 'active', wrapped = 'x' WHERE customer_id = $1",
      "INSERT INTO customer_keys (customer_id, version, wrapped, state) VALUES ($1, 3, 'x', 'active')",
    ])
      await expect(
        asCustomer(testDatabase.programUrl, customerId, (client) => client.query(statement, [customerId])),
        statement,
      ).rejects.toMatchObject({ code: '42501' });
  });

  test('15 is on record as erased, in a chain that is still intact', async () => {
    const { shop } = await held();
    await core.keyRotation.eraseCustomer(shop.customerId);
    const [last] = await sql<{ kind: string }>(
      testDatabase.adminUrl,
      'SELECT kind FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq DESC LIMIT 1',
      [shop.customerId],
    );
    expect(last?.kind).toBe('customer.erased');
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
    expect(await core.directory.customers()).not.toContain(shop.customerId);
  });
});
