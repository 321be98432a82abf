import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { newUuid } from '../../core/ids.ts';
import { openApi } from '../support/api.ts';
import { type Core, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let other: Shop;

const DAY_MS = 86_400_000;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [shop, other] = [await installShop(core), await installShop(core)];
  await sql(testDatabase.adminUrl, "UPDATE customers SET name = 'Tea & Co.' WHERE customer_id = $1", [shop.customerId]);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

async function run(...argv: string[]) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: testDatabase.programUrl };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['token', ...argv], { env, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

const create = (...more: string[]) => run('create', '--customer', 'Tea & Co.', '--scope', 'credentials:value', ...more);

async function trail(kind: string) {
  return core.database.withCustomer(shop.customerId, async (tx) => {
    const rows = await tx.auditEntry.findMany({
      where: { customerId: shop.customerId, kind },
      orderBy: { seq: 'asc' },
    });
    const entries = [];
    for (const row of rows) entries.push(await core.audit.read(tx, shop.customerId, row));
    return entries;
  });
}

describe('countersign token', () => {
  test('create prints a token that opens what the customer has, for as long as was said, and puts it on record', async () => {
    const { id } = await core.vault.store(shop.customerId, 'stripe', 'api_key', { value: 'sealed' });
    const { code, said, complained } = await create('--days', '7');
    expect([code, said]).toEqual([0, expect.stringMatching(/^csk_[0-9a-f]{64}$/)]);
    expect(complained).toMatch(
      /^[0-9a-f-]{36} {2}customer [0-9a-f-]{36} {2}credentials:value {2}until \S+Z {2}never used\n/,
    );
    expect(complained).not.toContain(said);
    const api = await openApi(core);
    expect(JSON.parse((await api.value(id, said)).text)).toMatchObject({ fields: { value: 'sealed' } });
    await api.close();
    const [token] = await core.apiTokens.list(shop.customerId);
    expect(token && token.expiresAt.getTime() - token.createdAt.getTime()).toBe(7 * DAY_MS);
    expect(await trail('token.created')).toMatchObject([
      {
        tokenId: token?.id,
        payload: { by: 'the operator', scopes: ['credentials:value'], expiresAt: token?.expiresAt.toISOString() },
      },
    ]);
  });

  test('create binds a token with which something is done to a member, by whatever they are called', async () => {
    const { id, person } = shop.approver;
    for (const named of [id, person.userId, person.name]) {
      const { code, complained } = await create('--scope', 'operations:read,consent:decide', '--member', named);
      expect([code, complained]).toEqual([0, expect.stringContaining(`for member ${id}`)]);
    }
    const [token] = await core.apiTokens.list(shop.customerId);
    expect(token).toMatchObject({ scopes: ['operations:read', 'consent:decide'], memberId: id });
    expect((await trail('token.created')).at(-1)).toMatchObject({ payload: { member: id } });
    const unnamed = await create('--scope', 'credentials:write');
    expect(unnamed.complained).toMatch(new RegExp(`${id} {2}web U-Abel {2}Abel {2}merchant,approver`));
  });

  test('create takes an id for whose it is, whatever somebody else is called', async () => {
    const [{ id, person }, { id: other }] = [shop.approver, shop.merchant];
    for (const name of [id, person.userId]) {
      await sql(testDatabase.adminUrl, 'UPDATE members SET name = $2 WHERE id = $1', [other, name]);
      const { code, complained } = await create('--member', name);
      expect([code, complained]).toEqual([0, expect.stringContaining(`for member ${id}`)]);
    }
    await sql(testDatabase.adminUrl, 'UPDATE members SET name = $2 WHERE id = $1', [other, person.name]);
    const { code, complained } = await create('--member', person.name);
    expect([code, complained]).toEqual([2, expect.stringMatching(new RegExp(`More than one .*${id}`, 's'))]);
    expect(complained).toContain(other);
  });

  test('create makes it good for ninety days when nothing else is said, and names a customer by its id, too', async () => {
    const { code } = await run('create', '--customer', other.customerId, '--scope', 'credentials:value');
    const [token] = await core.apiTokens.list(other.customerId);
    expect([code, token && token.expiresAt.getTime() - token.createdAt.getTime()]).toEqual([0, 90 * DAY_MS]);
  });

  test('list says of each whose it is, what it may do, until when, and when it was used; never the token', async () => {
    const { said: token } = await create();
    await core.apiTokens.admit(token);
    const own = await run('list', '--customer', 'Tea & Co.');
    expect(own.said.split('\n')[0]).toMatch(/ {2}credentials:value {2}until \S+Z {2}last used \S+Z$/);
    expect(own.said).not.toContain(other.customerId);
    const all = await run('list');
    for (const { customerId } of [shop, other]) expect(all.said).toContain(`customer ${customerId}`);
    expect(all.said + all.complained).not.toContain('csk_');
    await shiftClock(testDatabase.ownerUrl, '91 days');
    expect((await run('list', '--customer', 'Tea & Co.')).said.split('\n')[0]).toContain('  expired ');
    await shiftClock(testDatabase.ownerUrl, '-91 days');
  });

  test('revoke ends a token at once, whoever’s it is, once, and puts it on record', async () => {
    const { said: token } = await create();
    const id = (await core.apiTokens.list(shop.customerId))[0]?.id ?? '';
    expect(await core.apiTokens.admit(token)).toBeDefined();
    expect(await run('revoke', id)).toEqual({ code: 0, said: `${id} is revoked.`, complained: '' });
    expect(await core.apiTokens.admit(token)).toBeUndefined();
    expect((await run('list')).said).toMatch(new RegExp(`^${id} .* {2}revoked \\S+Z$`, 'm'));
    for (const gone of [id, newUuid()])
      expect(await run('revoke', gone)).toEqual({
        ...{ code: 1, said: '' },
        complained: 'There is no such token, or it was revoked before.',
      });
    expect(await trail('token.revoked')).toMatchObject([{ tokenId: id, payload: { by: 'the operator' } }]);
  });

  test.each([
    [['create', '--scope', 'credentials:value'], 'Say which customer'],
    [['create', '--customer', 'Tea & Co.'], 'Say what it may do (--scope): operations:read, operations:write, '],
    [
      ['create', '--customer', 'Tea & Co.', '--scope', 'operations:write'],
      'is done by somebody: say by whom (--member)',
    ],
    [['create', '--customer', 'Tea & Co.', '--scope', 'queue:read', '--member', 'Nobody'], 'members is “Nobody”.'],
    [['create', '--customer', 'Tea & Co.', '--scope', 'credentials:value,everything'], 'Say what it may do'],
    [['create', '--customer', 'Tea & Co.', '--scope', 'credentials:value', '--days', '0'], 'from 1 to 366'],
    [['create', '--customer', 'Tea & Co.', '--scope', 'credentials:value', '--days', 'many'], 'from 1 to 366'],
    [['create', '--customer', 'Nobody', '--scope', 'credentials:value'], 'There is no customer “Nobody”.'],
    [['list', '--customer', 'Nobody'], 'There is no customer “Nobody”.'],
    [['revoke', `csk_${'0'.repeat(64)}`], 'named by its id'],
  ])('explains what is wrong with %j', async (argv, words) => {
    const { code, said, complained } = await run(...argv);
    expect([code, said]).toEqual([2, '']);
    expect(complained).toContain(words);
  });

  test('asks for the id where two customers have one name', async () => {
    await sql(testDatabase.adminUrl, "UPDATE customers SET name = 'Twins'");
    const { code, complained } = await run('create', '--customer', 'Twins', '--scope', 'credentials:value');
    expect(code).toBe(2);
    for (const { customerId } of [shop, other]) expect(complained).toContain(customerId);
  });
});
