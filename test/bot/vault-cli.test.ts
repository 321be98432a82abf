import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { runCli } from '../../bot/cli.ts';
import { newUuid } from '../../core/ids.ts';
import { migrate } from '../../prisma/migrate.ts';
import { type Core, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let other: Shop;

const [OLD, NEW] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
const CANARY = 'cs_canary_1a2b3c4d5e6f';
const oldKeys = createEnvironmentRootKeys({ current: OLD, old: [] });

beforeAll(async () => {
  testDatabase = await createEmptyDatabase();
  await migrate({ ownerUrl: testDatabase.ownerUrl, rootKeys: oldKeys });
  core = await openCore(testDatabase, { rootKeys: oldKeys });
  [shop, other] = [await installShop(core), await installShop(core)];
  for (const { customerId } of [shop, other])
    await core.vault.store(customerId, 'stripe', 'api_key', { value: CANARY, metadata: { label: 'l' } });
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

async function run(argv: readonly string[], keys: Record<string, string> = { ENCRYPTION_KEY: OLD }) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = { ...keys, DATABASE_URL: testDatabase.programUrl, DATABASE_OWNER_URL: testDatabase.ownerUrl };
  const code = await runCli(argv, { env, say: (line) => said.push(line), complain: (line) => complained.push(line) });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

describe('countersign vault', () => {
  test('list names all customers, and of one the keys and credentials, never a value', async () => {
    const all = await run(['vault', 'list']);
    expect([all.code, all.said.split('\n').toSorted()]).toEqual([
      0,
      [shop, other].map(({ customerId }) => `${customerId}  Shop`).toSorted(),
    ]);
    const one = await run(['vault', 'list', '--customer', shop.customerId]);
    expect(one.code).toBe(0);
    expect(one.said).toMatch(/^key v1 {2}active {2}since /);
    expect(one.said).toMatch(/stripe {2}– {2}api_key$/m);
    expect(one.said + one.complained).not.toContain(CANARY);
  });

  test('rotate gives one customer, or all of them, a new key', async () => {
    const one = await run(['vault', 'rotate', '--customer', shop.customerId]);
    expect([one.code, one.said]).toEqual([0, `${shop.customerId}  v1 → v2, 1 secret rewrapped, v1 destroyed`]);
    const all = await run(['vault', 'rotate']);
    expect(all.said.split('\n').toSorted()).toEqual(
      [
        `${shop.customerId}  v2 → v3, 1 secret rewrapped, v2 destroyed`,
        `${other.customerId}  v1 → v2, 1 secret rewrapped, v1 destroyed`,
      ].toSorted(),
    );
    expect((await core.vault.get(other.customerId, 'stripe', 'api_key'))?.value.reveal()).toBe(CANARY);
  });

  test('no start goes on without a root key that the key of a customer is still wrapped under', async () => {
    const [first, second] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
    const rootKeys = (current: string, ...old: string[]) => createEnvironmentRootKeys({ current, old });
    const rotating = await createEmptyDatabase();
    const start = (keys: ReturnType<typeof rootKeys>) => migrate({ ownerUrl: rotating.ownerUrl, rootKeys: keys });
    try {
      await start(rootKeys(first));
      const late = await openCore(rotating, { rootKeys: rootKeys(first) });
      await start(rootKeys(second, first));
      const renewed = await openCore(rotating, { rootKeys: rootKeys(second, first) });
      try {
        await renewed.keyRotation.rewrapUnderRoot((await installShop(renewed)).customerId);
        const { customerId } = await installShop(late); // a process that nobody has restarted
        await late.vault.store(customerId, 'stripe', 'api_key', { value: CANARY });
        for (let n = 0; n < 2; n++)
          await expect(start(rootKeys(second))).rejects.toMatchObject({
            code: 'vault_key_missing',
            message: expect.stringContaining(
              'The keys of 1 of 2 customers are still wrapped under an earlier root key',
            ),
          });
        expect(await renewed.keyRotation.rewrapUnderRoot(customerId)).toBe(1);
        await start(rootKeys(second));
        // From here on the old process wraps nothing more.
        await expect(late.vault.list(customerId)).rejects.toMatchObject({ code: 'context_refused' });
      } finally {
        await late.close();
        await renewed.close();
      }
    } finally {
      await rotating.drop();
    }
  });

  test('rotate --root brings all keys under the newest root key, and then the old one is needed no more', async () => {
    const keys = { ENCRYPTION_KEY: NEW, ENCRYPTION_KEYS_OLD: OLD };
    const first = await run(['vault', 'rotate', '--root'], keys);
    expect(first.said).toContain('2 key versions of 2 customers were wrapped anew');
    expect(first.said).toContain('restart every process with the new one first, then run this, and again');
    expect(first.said).not.toContain('can be dropped');
    const again = await run(['vault', 'rotate', '--root'], keys);
    expect([again.code, again.said.slice(0, 2)]).toEqual([0, 'No']);
    expect(again.said).toContain('Nothing to do: of 2 customers no key version is left under an older root key');
    expect(again.said).toContain('ENCRYPTION_KEYS_OLD can be dropped');
    const alone = await run(['vault', 'list', '--customer', shop.customerId], { ENCRYPTION_KEY: NEW });
    expect([alone.code, alone.complained]).toEqual([0, '']);
    const renewed = await openCore(testDatabase, { rootKeys: createEnvironmentRootKeys({ current: NEW, old: [] }) });
    expect((await renewed.vault.get(shop.customerId, 'stripe', 'api_key'))?.value.reveal()).toBe(CANARY);
    await renewed.close();
  });

  test('says so where there is nothing to list or to rotate', async () => {
    const renewed = await openCore(testDatabase, { rootKeys: createEnvironmentRootKeys({ current: NEW, old: [] }) });
    const { customerId } = await installShop(renewed);
    await renewed.close();
    for (const [argv, words] of [
      [['vault', 'rotate', '--customer', customerId], 'Nothing to do: nothing was ever sealed for this customer.'],
      [['vault', 'list', '--customer', customerId], 'Nothing is stored for this customer.'],
    ] as const)
      expect(await run(argv, { ENCRYPTION_KEY: NEW })).toEqual({ code: 0, said: words, complained: '' });
  });

  test('a customer is named by its id or by a name that it alone has', async () => {
    await sql(testDatabase.adminUrl, "UPDATE customers SET name = 'Tea & Co.' WHERE customer_id = $1", [
      other.customerId,
    ]);
    for (const [named, code, words] of [
      ['Tea & Co.', 0, ''],
      [other.customerId.toUpperCase(), 0, ''],
      ['Shop', 2, 'Several customers have this name.'],
      [newUuid(), 2, 'There is no customer'],
    ] as const) {
      const listed = await run(['vault', 'list', '--customer', named], { ENCRYPTION_KEY: NEW });
      expect([named, listed.code, listed.complained]).toEqual([named, code, expect.stringContaining(words)]);
    }
  });
});
