import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { type Core, cancel, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';

const LOCAL = 'localhost:4999';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  await sql(testDatabase.adminUrl, "UPDATE customers SET name = 'Tea & Co.' WHERE customer_id = $1", [shop.customerId]);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

async function run(...argv: string[]) {
  const [said, complained]: [string[], string[]] = [[], []];
  const database = { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: testDatabase.programUrl };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['webhook', ...argv], { env: { ...database, ALLOW_PRIVATE_TARGETS: LOCAL }, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

const OF = ['--customer', 'Tea & Co.'] as const;

describe('countersign webhook', () => {
  test('add prints a secret once, list shows where it goes, replay sends again, and remove ends it', async () => {
    const added = await run('add', `http://${LOCAL}/hook`, ...OF, '--kinds', 'operation');
    expect([added.code, added.said]).toEqual([0, expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/)]);
    expect(added.complained).not.toContain(added.said);
    const listed = await run('list', ...OF);
    expect(listed.said).toMatch(new RegExp(`^[0-9a-f-]{36} {2}http://${LOCAL}/hook {2}operation {2}since \\S+Z$`));
    const id = listed.said.split(' ')[0] ?? '';
    await cancel(core, await requestOperation(core, shop));
    expect(await run('replay', id, ...OF)).toMatchObject({ code: 0, said: '0 messages will be sent again.' });
    expect((await run('remove', id, ...OF)).code).toBe(0);
    expect((await run('remove', id, ...OF)).complained).toBe('This customer has no such webhook.');
    expect((await run('replay', id, ...OF)).code).toBe(1);
    expect((await run('list', ...OF)).complained).toBe('There is none.');
    const rows = await sql(testDatabase.adminUrl, 'SELECT sealed FROM webhooks');
    expect(rows).toEqual([{ sealed: null }]);
  });

  const REFUSED: readonly (readonly [string, readonly string[], string])[] = [
    ['plain http', ['add', 'http://hooks.example.com/'], 'begins with https'],
    ['another scheme', ['add', 'ftp://hooks.example.com/'], 'begins with https'],
    ['no address', ['add', 'hooks'], 'begins with https'],
    ['a password in it', ['add', 'https://u:p@hooks.example.com/'], 'holds no name, password'],
    ['a private address', ['add', 'https://127.0.0.1/hook'], 'a private one'],
    ['the metadata service', ['add', 'https://169.254.169.254/latest'], 'a private one'],
    ['an unknown kind', ['add', `http://${LOCAL}/`, '--kinds', 'operation,everything'], 'The kinds are'],
    ['no id', ['remove', 'https://hooks.example.com/'], 'named by its id'],
    ['no cursor', ['replay', '00000000-0000-4000-8000-000000000000', '--from', 'now'], 'A cursor is'],
  ];
  test.each(REFUSED)('refuses %s and changes nothing', async (_, argv, words) => {
    const { code, said, complained } = await run(...argv, ...OF);
    expect([code, said, complained]).toEqual([2, '', expect.stringContaining(words)]);
    expect((await run('list', ...OF)).said).toBe('');
  });
});
