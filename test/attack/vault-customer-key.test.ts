// What the database lets nobody do with the keys of a customer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CustomerId } from '../../core/ids.ts';
import { asCustomer, wordFor } from '../support/by-hand.ts';
import { type Core, installShop, openCore, queuedOperation, sql, untilBlocked } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { shopWithSecrets } from '../support/vault.ts';

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

const admin = <Row extends object>(text: string, values: unknown[] = []) =>
  sql<Row & Record<string, unknown>>(testDatabase.adminUrl, text, values);
const filled = (count: number) => shopWithSecrets(core, count, 'a secret');

describe('13 a key that something still needs', () => {
  const DESTROY = "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE customer_id = $1 AND version = 1";
  const RETIRE = "UPDATE customer_keys SET state = 'decrypt_only' WHERE customer_id = $1";
  const NEEDED = { code: '23001', message: 'key version 1 is still needed' };
  /** With the program's word, so that it is the key's own rules that refuse. */
  const asProgram = (customerId: CustomerId, text: string, state = /state = '(\w+)'/.exec(text)?.[1] ?? 'active') =>
    asCustomer(testDatabase.programUrl, customerId, async (client) => {
      const word = wordFor('key', customerId, `1|${state}|`);
      await client.query("SELECT set_config('app.vouched', $1, true)", [word]);
      return client.query(text, [customerId]);
    });

  /** A retired key with one thing sealed under it, and the statement that takes that thing away. */
  const things: readonly (readonly [string, () => Promise<readonly [CustomerId, string]>])[] = [
    [
      'a stored secret',
      async () => {
        const { customerId } = await filled(1);
        return [customerId, 'DELETE FROM autonomous_credentials WHERE customer_id = $1'];
      },
    ],
    [
      'the words of an audit entry',
      async () => {
        const { customerId } = await installShop(core);
        await core.database.withCustomer(customerId, (tx) =>
          core.audit.append(tx, customerId, { kind: 'rules.changed', payload: { a: 1 } }),
        );
        const drop = 'ALTER TABLE autonomous_operations_audit DISABLE TRIGGER append_only';
        return [customerId, `${drop}; DELETE FROM autonomous_operations_audit`];
      },
    ],
    [
      'a screenshot',
      async () => {
        const shop = await installShop(core);
        const { customerId } = shop;
        const operation = await queuedOperation(core, shop);
        await core.database.withCustomer(customerId, async (tx) => {
          const { record } = await core.sealer.seal(tx, customerId, ['screenshot'], Buffer.from('a picture'));
          const size = { width: 1, height: 1, alt: '', mediaType: 'image/png' };
          const row = { customerId, id: customerId, operationId: operation.id, step: 1, ...size };
          await tx.screenshot.create({ data: { ...row, sealed: Uint8Array.from(record) } });
        });
        await admin('DELETE FROM autonomous_credentials WHERE customer_id = $1', [customerId]);
        await admin('ALTER TABLE autonomous_operations_audit DISABLE TRIGGER append_only');
        await admin('DELETE FROM autonomous_operations_audit WHERE customer_id = $1', [customerId]);
        return [customerId, 'DELETE FROM screenshots WHERE customer_id = $1'];
      },
    ],
  ];

  test.each(things)('13 is destroyed by nobody, not even past row level security: %s', async (_, make) => {
    const [customerId, take] = await make();
    await asProgram(customerId, RETIRE);
    await expect(asProgram(customerId, DESTROY)).rejects.toMatchObject(NEEDED);
    await expect(admin(DESTROY, [customerId])).rejects.toMatchObject(NEEDED);
    if (take.includes('$1')) await admin(take, [customerId]);
    else await admin(take);
    await asProgram(customerId, DESTROY);
  });

  test('13 is destroyed neither while somebody is just sealing under it', async () => {
    const { customerId } = await filled(1);
    await admin('DELETE FROM autonomous_credentials WHERE customer_id = $1', [customerId]); // so nothing needs the key yet
    const { promise: written, resolve: write } = Promise.withResolvers<void>();
    const { promise: sealed, resolve: isSealed } = Promise.withResolvers<void>();
    const storing = core.database.withCustomer(customerId, async (tx) => {
      await core.vault.within(tx).store(customerId, 'stripe', 'api_key', { value: 'x' });
      isSealed();
      await written;
    });
    await sealed;
    await asProgram(customerId, RETIRE);
    const destroying = asProgram(customerId, DESTROY);
    destroying.catch(() => {});
    await untilBlocked(testDatabase, destroying);
    write();
    await storing;
    await expect(destroying).rejects.toMatchObject(NEEDED);
    expect((await core.vault.get(customerId, 'stripe', 'api_key'))?.value.reveal()).toBe('x');
  });

  test.each([
    ['skipped over', "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE customer_id = $1", '42501'],
    ['left in its row', "UPDATE customer_keys SET state = 'destroyed' WHERE customer_id = $1", '42501'],
    ['emptied alone', "UPDATE customer_keys SET wrapped = '' WHERE customer_id = $1", '23514'],
    ['counted down', 'UPDATE customer_keys SET seals = -1 WHERE customer_id = $1', '42501'],
    ['renumbered', 'UPDATE customer_keys SET version = 9 WHERE customer_id = $1', '42501'],
    ['given another age', 'UPDATE customer_keys SET created_at = app.now() WHERE customer_id = $1', '42501'],
    ['deleted', 'DELETE FROM customer_keys WHERE customer_id = $1', '42501'],
  ])('13 an active key is not %s', async (_, statement, code) => {
    const { customerId } = await filled(1);
    await expect(asProgram(customerId, statement)).rejects.toMatchObject({ code });
  });

  test('13 a key does not come back', async () => {
    const { customerId } = await filled(1);
    await core.keyRotation.rotateCustomerKeys(customerId);
    for (const change of ["state = 'active'", "state = 'decrypt_only', wrapped = 'x'"]) {
      const statement = `UPDATE customer_keys SET ${change} WHERE customer_id = $1 AND version = 1`;
      await expect(asProgram(customerId, statement)).rejects.toMatchObject({
        code: expect.stringMatching(/^(42501|23505)$/),
      });
    }
  });
});
