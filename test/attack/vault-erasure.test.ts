import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { asCustomer, wordFor } from '../support/by-hand.ts';
import {
  type Core,
  cancel,
  click,
  connected,
  grantedOperation,
  installShop,
  look,
  openCore,
  requestOperation,
  type Shop,
  sql,
  trail,
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
  return { shop, operation, pictureId: pictureId ?? '' };
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

describe('15 a smuggled statement under the role of the program destroys nothing:', () => {
  const refused = { code: '42501', message: /does not vouch for this|permission denied/ };

  /** Without any word, and with words for something else. */
  async function smuggle({ shop: { customerId } }: Held, statement: string): Promise<void> {
    const words = ['', wordFor('key', newUuid(), '1|decrypt_only|'), wordFor('credential', customerId, 'deleted')];
    for (const word of words) {
      const smuggled = asCustomer(testDatabase.programUrl, customerId, async (client) => {
        await client.query("SELECT set_config('app.vouched', $1, true)", [word]);
        await client.query(statement);
      });
      await expect(smuggled, statement).rejects.toMatchObject(refused);
    }
  }

  test.each(["wrapped = 'x'", "wrapped = wrapped || 'x'", "state = 'decrypt_only'"])(
    "15 a customer's key: %s",
    async (change) => {
      const one = await held();
      await smuggle(one, `UPDATE customer_keys SET ${change}`);
      expect([await openSecret(one), await openPicture(one)]).toEqual([CANARY, CANARY]);
    },
  );

  test('15 the next key, by a version that stands in its way', async () => {
    const one = await held();
    await smuggle(one, "INSERT INTO customer_keys SELECT customer_id, 2, 'x', 'decrypt_only' FROM customer_keys");
    expect(await core.keyRotation.rotateCustomerKeys(one.shop.customerId)).toMatchObject({ kind: 'rotated', to: 2 });
    expect([await openSecret(one), await openPicture(one)]).toEqual([CANARY, CANARY]);
  });

  test.each([
    "UPDATE autonomous_credentials SET encrypted_credential = 'x'",
    "UPDATE autonomous_credentials SET encryption_key_id = 'v7'",
    'UPDATE autonomous_credentials SET secret_version = secret_version + 1',
    "UPDATE autonomous_credentials SET expires_at = app.now() - interval '1 day'",
    "UPDATE autonomous_credentials SET target = 'https://elsewhere.example.com'",
    'UPDATE autonomous_credentials SET id = gen_random_uuid()',
    'DELETE FROM autonomous_credentials',
  ])('15 a sealed secret: %s', async (statement) => {
    const one = await held();
    await smuggle(one, statement);
    expect(await openSecret(one)).toBe(CANARY);
  });

  test('15 the customer, by marking it as erased, after which it would get no key', async () => {
    const one = await held();
    await smuggle(one, 'UPDATE customers SET erased_at = app.now()');
    expect(await core.directory.customers()).toContain(one.shop.customerId);
  });
});

test('15 why somebody denied is told by no row in clear, and by nobody once the customer is erased, not even from a dump', async () => {
  const shop = await installShop(core);
  const { customerId } = shop;
  const [operation, other] = [await requestOperation(core, shop), await grantedOperation(core, shop)];
  await core.consents.deny(customerId, click(operation, shop.approver), CANARY);
  const asked = { by: shop.merchant, until: new Date(Date.now() + 86_400_000), keeps: [] };
  const question = await core.standingGrants.ask(customerId, other.id, asked);
  const standing = { ...click(other, shop.approver), planHash: question?.planHash ?? '' };
  expect(await core.standingGrants.deny(customerId, standing, CANARY)).toEqual({ kind: 'denied' });
  await cancel(core, other);
  const told = async () => [
    (await look(core, operation)).errorMessage,
    (await trail(core, operation)).at(-1)?.payload?.reason,
  ];
  expect(await told()).toEqual([CANARY, CANARY]);
  const tables = await sql<{ name: string }>(
    testDatabase.adminUrl,
    `SELECT table_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = 'customer_id' AND table_name <> 'customer_keys'`,
  );
  const dumped = await dump(tables.map(({ name }) => name));
  const clear = [...dumped].flatMap(([table, rows]) => rows.filter((row) => row.includes(CANARY)).map(() => table));
  expect(clear).toEqual([]);
  await core.keyRotation.eraseCustomer(customerId);
  expect(await told()).toEqual([null, undefined]);
  await restore(new Map([...dumped].filter(([table]) => table !== 'customers')));
  expect(await told()).toEqual([null, undefined]);
});
