import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { type Core, grantedOperation, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let folder: string;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  await sql(testDatabase.adminUrl, "UPDATE customers SET name = 'Tea & Co.' WHERE customer_id = $1", [shop.customerId]);
  folder = mkdtempSync(join(tmpdir(), 'customer-cli-'));
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await core.close();
  await testDatabase.drop();
});

async function run(argv: readonly string[], typed?: string) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = {
    ...{ ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: testDatabase.programUrl },
    CHECKPOINT_DIR: join(folder, 'checkpoints'),
  };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const ask = typed === undefined ? {} : { ask: async () => typed };
  const code = await runCli(['customer', ...argv], { env, ...sinks, ...ask });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

describe('countersign customer', () => {
  test('hold places and releases a legal hold with its reason, of the customer or of one operation', async () => {
    const operation = await grantedOperation(core, shop);
    const hold = (...more: string[]) => run(['hold', 'Tea & Co.', ...more]);
    expect(await hold('on')).toMatchObject({ code: 2, complained: 'Say why (--reason TEXT): it goes on record.' });
    expect(await hold('perhaps', '--reason', 'x')).toMatchObject({ code: 2 });
    expect(await hold('on', '--reason', 'x', '--operation', 'op-zzzzzzzz')).toMatchObject({ code: 2 });
    const about = ['--operation', operation.id];
    for (const more of [['on'], ['on', ...about], ['off', ...about], ['off']])
      expect(await hold(...more, '--reason', 'a court')).toMatchObject({ code: 0, complained: '' });
    const entries = await core.database.withCustomer(shop.customerId, (tx) =>
      tx.auditEntry.findMany({ where: { kind: { startsWith: 'hold.' } }, orderBy: { seq: 'asc' } }),
    );
    expect(entries.map(({ kind, operationId }) => [kind, operationId])).toEqual([
      ['hold.placed', null],
      ['hold.operation_placed', operation.id],
      ['hold.operation_released', operation.id],
      ['hold.released', null],
    ]);
  });

  test('export writes files whose hashes the manifest has, into a folder of its own, closed to others', async () => {
    const to = join(folder, 'export');
    const { code, said } = await run(['export', 'Tea & Co.', '--to', to]);
    expect([code, said]).toEqual([0, expect.stringMatching(/^Wrote \d+ files to /)]);
    const manifest = JSON.parse(readFileSync(join(to, 'manifest.json'), 'utf8')) as {
      files: { file: string; sha256: string }[];
    };
    for (const { file, sha256 } of manifest.files)
      expect([
        file,
        createHash('sha256')
          .update(readFileSync(join(to, file)))
          .digest('hex'),
      ]).toEqual([file, sha256]);
    expect(await run(['export', 'Tea & Co.', '--to', to])).toMatchObject({ code: 2 });
    const person = await run(['export', 'Tea & Co.', '--to', join(folder, 'person'), '--member', 'Mona']);
    expect(person.code).toBe(0);
    const nobody = await run(['export', 'Tea & Co.', '--to', join(folder, 'nobody'), '--member', 'Eve']);
    expect([nobody.code, nobody.complained, existsSync(join(folder, 'nobody'))]).toEqual([
      2,
      expect.stringMatching(
        /Nobody of this customer’s members is “Eve”\.\nThere is:\n[0-9a-f-]{36}.*becomes a member\.$/s,
      ),
      false,
    ]);
  });

  test('link makes accounts one person, and one account alone nobody else’s, on record', async () => {
    const person = async () => {
      const members = await core.database.withCustomer(shop.customerId, (tx) =>
        core.customers.members(tx, shop.customerId),
      );
      return ['Mona', 'Abel'].map((name) => members.find((member) => member.person.name === name)?.personId);
    };
    expect((await run(['link', 'Tea & Co.', '--member', 'Mona', '--member', 'Abel'])).code).toBe(0);
    const [mona, abel] = await person();
    expect(mona).toBe(abel);
    for (const name of ['Mona', 'Abel']) await run(['link', 'Tea & Co.', '--member', name]);
    const [alone, other] = await person();
    expect(alone).not.toBe(other);
  });

  test('erase asks for the name once more, refuses what runs, and prints a receipt, the same one again', async () => {
    const erase = (...more: string[]) => run(['erase', 'Tea & Co.', '--keep-space', ...more]);
    expect(await erase()).toMatchObject({ code: 2, complained: expect.stringContaining('Nothing was erased') });
    expect((await run(['erase', 'Tea & Co.', '--keep-space'], 'Tea')).code).toBe(2);
    const running = await erase('--confirm', 'Tea & Co.');
    expect([running.code, running.complained]).toEqual([1, expect.stringContaining('1 operation is under way')]);
    const withSpace = await run(['erase', 'Tea & Co.', '--yes']);
    expect([withSpace.code, withSpace.complained]).toEqual([2, expect.stringContaining('DATABASE_OWNER_URL')]);
    const { code, said } = await run(['erase', 'Tea & Co.', '--keep-space', '--force'], 'Tea & Co.');
    expect(code).toBe(0);
    const [line = ''] = said.split('\n');
    expect(JSON.parse(line)).toMatchObject({ customerId: shop.customerId, space: 'left' });
    expect(await run(['erase', shop.customerId, '--keep-space', '--yes'])).toMatchObject({ code: 0, said });
    expect(await erase('--yes')).toMatchObject({
      code: 2,
      complained: expect.stringMatching(/There is no customer “Tea & Co\.”\. \S+ list` prints the ids of all\.$/),
    });
    // Cut off when its name was gone: the id is said, and what was typed at first is confirmation enough.
    const cutOff = "UPDATE erasures SET state = 'rows', finished_at = NULL, receipt = NULL WHERE customer_id = $1";
    await sql(testDatabase.adminUrl, cutOff, [shop.customerId]);
    expect((await erase('--yes')).complained).toContain(`An erasure was begun of ${shop.customerId}`);
    expect(await run(['erase', shop.customerId, '--keep-space', '--confirm', 'Tea & Co.'])).toMatchObject({ code: 0 });
  });

  test('a name does nothing to the terminal, and is typed as it is shown', async () => {
    const { customerId, merchant } = await installShop(core);
    const name = 'Mo\u001b[2J\u202e\nna';
    await sql(testDatabase.adminUrl, 'UPDATE members SET name = $2 WHERE id = $1', [merchant.id, name]);
    const [shown, to] = ['Mo\ufffd[2J\ufffd na', join(folder, 'of a name')];
    const { complained } = await run(['export', customerId, '--to', to, '--member', 'Eve']);
    expect(complained.split('\n').find((line) => line.startsWith(merchant.id))).toContain(`  ${shown}  `);
    for (const trick of ['\u001b', '\u202e']) expect(complained).not.toContain(trick);
    expect(await run(['export', customerId, '--to', to, '--member', shown])).toMatchObject({ code: 0 });
  });

  test('an id names its own member, whatever anybody else calls themselves', async () => {
    const { customerId, merchant, approver, secondApprover } = await installShop(core);
    for (const [id, name] of [
      [approver.id, merchant.id],
      [secondApprover.id, merchant.person.userId],
    ])
      await sql(testDatabase.adminUrl, 'UPDATE members SET name = $2 WHERE id = $1', [id, name]);
    for (const named of [merchant.id, merchant.person.userId]) {
      const to = join(folder, `of ${named}`);
      expect(await run(['export', customerId, '--to', to, '--member', named])).toMatchObject({ code: 0 });
      expect(JSON.parse(readFileSync(join(to, 'manifest.json'), 'utf8'))).toMatchObject({ members: [merchant.id] });
    }
  });

  test('erase of a person begins with their other accounts, and ends with the one that is named, or at the first that is refused', async () => {
    const other = await installShop(core);
    const { customerId, merchant, approver } = other;
    await grantedOperation(core, other);
    await run(['link', customerId, '--member', merchant.id, '--member', approver.id]);
    const erase = (...more: string[]) =>
      run(['erase', customerId, '--member', approver.id, '--keep-space', '--yes', ...more]);
    expect(await erase()).toMatchObject({ code: 1, said: '', complained: expect.stringContaining('under way') });
    const named = await run(['erase', customerId, '--member', approver.id, '--keep-space']);
    expect(named.complained).toContain('the person Abel, with 1 other account, for good');
    const { code, said } = await erase('--force');
    expect(code).toBe(0);
    expect([...said.matchAll(/"memberId":"([^"]+)"/g)].map(([, id]) => id)).toEqual([merchant.id, approver.id]);
  });
});
