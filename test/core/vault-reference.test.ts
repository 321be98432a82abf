import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Core, installShop, openCore, sql } from '../support/core.ts';
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

describe('in the shapes of the reference', () => {
  const type = 'oauth_token';

  test('a secret without a target is stored, read, replaced and deleted by customer, service and type', async () => {
    const { customerId } = await installShop(core);
    expect(await core.vault.get(customerId, 'stripe', type)).toBeNull();
    const stored = await core.vault.store(customerId, 'stripe', type, { value: 'one', metadata: { label: 'a' } });
    expect(await core.vault.get(customerId, 'stripe', type)).toMatchObject({ id: stored.id, metadata: { label: 'a' } });
    await core.vault.store(customerId, 'stripe', type, { value: 'two' });
    expect((await core.vault.get(customerId, 'stripe', type))?.value.reveal()).toBe('two');
    expect(await core.vault.list(customerId, 'stripe')).toHaveLength(1);
    expect(await core.vault.list(customerId, 'shopify')).toEqual([]);
    expect(await core.vault.delete(customerId, 'stripe', type)).toBe(true);
    expect(await core.vault.delete(customerId, 'stripe', type)).toBe(false);
    expect(await core.vault.verify(customerId, 'stripe', type)).toBe(false);
  });

  test('of several targets one must be named; of one, none needs to be', async () => {
    const { customerId } = await installShop(core);
    await core.vault.store(customerId, 'shopify', type, { value: 'a', target: 'https://a.example.com' });
    expect((await core.vault.get(customerId, 'shopify', type))?.target).toBe('https://a.example.com');
    await core.vault.store(customerId, 'shopify', type, { value: 'b', target: 'https://b.example.com' });
    const unnamed = [
      () => core.vault.get(customerId, 'shopify', type),
      () => core.vault.find(customerId, 'shopify', type),
      () => core.vault.store(customerId, 'shopify', type, { value: 'c' }),
      () => core.vault.delete(customerId, 'shopify', type),
      () => core.vault.rotate(customerId, 'shopify', type),
      () => core.vault.verify(customerId, 'shopify', type),
    ];
    for (const call of unnamed) await expect(call()).rejects.toMatchObject({ code: 'credential_target_required' });
    const named = await core.vault.get(customerId, 'shopify', type, { target: 'https://b.example.com' });
    expect(named?.value.reveal()).toBe('b');
  });

  test('what can be opened is verified, and what was tampered with is not', async () => {
    const { customerId } = await installShop(core);
    const { id } = await core.vault.store(customerId, 'stripe', type, { value: 'x' });
    expect(await core.vault.verify(customerId, 'stripe', type)).toBe(true);
    await sql(testDatabase.adminUrl, 'UPDATE autonomous_credentials SET secret_version = 9 WHERE id = $1', [id]);
    expect(await core.vault.verify(customerId, 'stripe', type)).toBe(false);
  });

  test('a stale secret is marked once, and rotating it seals it anew and takes the mark away', async () => {
    const { customerId } = await installShop(core);
    const due = () => core.vault.getCredentialsRequiringRotation(customerId);
    await core.vault.store(customerId, 'stripe', type, { value: 'x', metadata: { label: 'l' } });
    await core.vault.markStaleCredentialsForRotation();
    expect(await due()).toEqual([]);
    await shiftClock(testDatabase.ownerUrl, '91 days');
    try {
      expect(await core.vault.markStaleCredentialsForRotation()).toBeGreaterThan(0);
      expect(await core.vault.markStaleCredentialsForRotation()).toBe(0);
      expect(await due()).toMatchObject([{ service: 'stripe', rotationRequired: true }]);
      expect(await core.vault.getCredentialsRequiringRotation()).toEqual(expect.arrayContaining([...(await due())]));
      const rotated = await core.vault.rotate(customerId, 'stripe', type);
      expect(rotated).toMatchObject({
        rotationRequired: false,
        metadata: { label: 'l' },
        lastRotatedAt: expect.any(Date),
      });
      expect(await core.vault.markStaleCredentialsForRotation()).toBe(0);
      expect(await due()).toEqual([]);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-91 days');
    }
    expect((await core.vault.get(customerId, 'stripe', type))?.value.reveal()).toBe('x');
    await core.vault.rotate(customerId, 'stripe', type, { value: 'the next one' });
    expect((await core.vault.get(customerId, 'stripe', type))?.value.reveal()).toBe('the next one');
    await expect(core.vault.rotate(customerId, 'stripe', 'session')).rejects.toMatchObject({
      code: 'credential_not_found',
      message: 'Credential not found for rotation',
    });
  });

  test('every change that has no entry of its caller gets one', async () => {
    const { customerId } = await installShop(core);
    await core.vault.store(customerId, 'stripe', type, { value: 'x' });
    await core.vault.get(customerId, 'stripe', type);
    await core.vault.rotate(customerId, 'stripe', type);
    await core.vault.delete(customerId, 'stripe', type);
    const rows = await sql<{ kind: string }>(
      testDatabase.adminUrl,
      "SELECT kind FROM autonomous_operations_audit WHERE customer_id = $1 AND kind LIKE 'credential.%' ORDER BY seq",
      [customerId],
    );
    const kinds = ['credential.stored', 'credential.opened', 'credential.rotated', 'credential.deleted'];
    expect(rows.map(({ kind }) => kind)).toEqual(kinds);
  });
});
