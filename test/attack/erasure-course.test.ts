import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { exportCustomer } from '../../core/rights/export.ts';
import { Secret } from '../../core/secret.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { asCustomer, vouchByHand } from '../support/by-hand.ts';
import {
  type Core,
  cancel,
  connected,
  grantedOperation,
  installShop,
  openCore,
  queuedOperation,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { erasuresOf, folderInMemory, mortal, newMark } from '../support/erasures.ts';
import { sweep } from '../support/sweep.ts';
import { IS_WHOLE } from '../support/whole.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

/** All rows and jobs of a customer, as a dump holds them. */
async function rowsOf({ adminUrl }: TestDatabase, customerId: CustomerId): Promise<string> {
  return connected(adminUrl, async (client) => {
    const tables = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'customer_id' ORDER BY 1",
    );
    const parts = tables.rows.map(
      ({ name }) => `SELECT '${name}' AS t, to_jsonb(r)::text AS row FROM ${name} r WHERE customer_id = $1`,
    );
    const jobs =
      "SELECT 'job', to_jsonb(j)::text FROM pgboss.job j WHERE group_id = $1::text OR data ->> 'customerId' = $1::text";
    const { rows } = await client.query<{ row: string }>(
      `SELECT t || row AS row FROM (${[...parts, jobs].join(' UNION ALL ')}) a ORDER BY 1`,
      [customerId],
    );
    return rows.map(({ row }) => row).join('\n');
  });
}

test('143 an erasure refuses while something is under way, unless it is forced, and under a legal hold always', async () => {
  const [one, held, single] = [await installShop(core), await installShop(core), await installShop(core)];
  const running = await queuedOperation(core, one);
  const erasures = erasuresOf(core, keeper);
  const refused = { kind: 'running', operations: [running.id] };
  expect(await erasures.ofCustomer(one.customerId)).toEqual(refused);
  expect(await erasures.ofMember(one.customerId, one.merchant.id)).toEqual(refused);
  expect(await erasures.ofCustomer(one.customerId, { isForced: true })).toMatchObject({ kind: 'erased' });
  expect(await core.audit.verify(one.customerId)).toMatchObject({ isIntact: true });

  await keeper.retention.placeHold(held.customerId, { why: 'a court' });
  const operation = await grantedOperation(core, single);
  await keeper.retention.placeHold(single.customerId, { why: 'a court', operationId: operation.id });
  for (const { customerId } of [held, single])
    expect(await erasures.ofCustomer(customerId, { isForced: true })).toEqual({ kind: 'held' });
  expect(await erasures.ofMember(single.customerId, single.merchant.id, { isForced: true })).toEqual({
    kind: 'held',
  });
  await expect(core.keyRotation.eraseCustomer(single.customerId)).rejects.toThrow();
  expect(await erasures.ofMember(held.customerId, newUuid() as typeof held.admin.id)).toEqual({ kind: 'unknown' });
  expect(await erasures.ofCustomer(newUuid() as CustomerId)).toEqual({ kind: 'unknown' });
});

test('143 a legal hold of an operation keeps who countersigned it, and who is named in it, with all of their words', async () => {
  const shop = await installShop(core);
  const { customerId, admin, approver, secondApprover } = shop;
  const operation = await queuedOperation(core, shop);
  await keeper.retention.placeHold(customerId, {
    why: `@${secondApprover.person.name} is sued`,
    operationId: operation.id,
  });
  await core.database.withCustomer(customerId, (tx) =>
    core.audit.append(tx, customerId, {
      ...{ kind: 'rules.changed', actor: admin.id },
      payload: { text: `@${approver.person.name} and @${secondApprover.person.name} approve` },
    }),
  );
  const words = () =>
    sql(
      testDatabase.adminUrl,
      'SELECT seq FROM autonomous_operations_audit WHERE customer_id = $1 AND payload IS NOT NULL',
      [customerId],
    );
  const before = await words();
  const erasures = erasuresOf(core, keeper);
  for (const { id } of [approver, secondApprover])
    expect(await erasures.ofMember(customerId, id, { isForced: true })).toEqual({ kind: 'held' });
  expect(await words()).toEqual(before);
  // Of whoever took part in it not even a beginning is made: nothing of theirs is stopped.
  expect(await sql(testDatabase.adminUrl, 'SELECT FROM erasures WHERE member_id = $1', [approver.id])).toEqual([]);
});

test('143 what a platform or the disk does not let go of keeps the erasure from its end, and it goes on from there', async () => {
  const shop = await installShop(core);
  const { customerId } = shop;
  const workspaceId = `T${newUuid().slice(0, 8).toUpperCase()}`;
  await core.database.withCustomer(customerId, (tx) =>
    tx.workspace.create({ data: { customerId, platform: 'slack', workspaceId } }),
  );
  await core.installations.install({
    ...{ workspaceId, name: 'Shop', appId: 'A1', teamId: workspaceId, enterpriseId: null, botUserId: 'U0BOT' },
    ...{ scopes: ['chat:write'], installer: shop.admin.person },
    tokens: { access: new Secret('xoxb-1') },
  });
  const outage = () => Promise.reject(new Error('out of order'));
  const state = async () =>
    (
      await sql<{ state: string }>(testDatabase.adminUrl, 'SELECT state FROM erasures WHERE customer_id = $1', [
        customerId,
      ])
    )[0]?.state;
  await expect(erasuresOf(core, keeper, { revokeSlackToken: outage }).ofCustomer(customerId)).rejects.toThrow();
  expect(await state()).toBe('begun');
  expect((await core.installations.open(workspaceId))?.access.reveal()).toBe('xoxb-1'); // so that it can be tried again
  await expect(erasuresOf(core, keeper, { reclaim: outage }).ofCustomer(customerId)).rejects.toThrow('out of order');
  expect(await state()).toBe('rows');
  expect(await erasuresOf(core, keeper).ofCustomer(customerId)).toMatchObject({ kind: 'erased', isNew: true });
});

test('143 an erasure that was killed, wherever, is taken up and comes to the same end', async () => {
  const prepared = async () => {
    const shop = await installShop(core);
    await cancel(core, await queuedOperation(core, shop));
    await core.vault.store(shop.customerId, 'stripe', 'api_key', { value: 'x' });
    return shop;
  };
  const counting = mortal(core.database, { at: Number.MAX_SAFE_INTEGER, isAfter: false });
  await erasuresOf(core, keeper, {}, counting).ofCustomer((await prepared()).customerId);
  const all = Array.from({ length: counting.count() }, (_, index) => index + 1);
  expect(all.length).toBeGreaterThan(15);
  const some = IS_WHOLE ? all : all.filter((at) => at % 9 === 4);
  for (const at of some)
    for (const isAfter of IS_WHOLE ? [false, true] : [at % 2 === 0]) {
      const { customerId } = await prepared();
      const dying = mortal(core.database, { at, isAfter });
      await expect(erasuresOf(core, keeper, {}, dying).ofCustomer(customerId)).rejects.toThrow('killed');
      const outcome = await erasuresOf(core, keeper).ofCustomer(customerId);
      expect([at, isAfter, outcome.kind]).toEqual([at, isAfter, 'erased']);
      expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, unexplained: 0 });
      const rows = await sql(testDatabase.adminUrl, 'SELECT FROM members WHERE customer_id = $1', [customerId]);
      expect(rows).toEqual([]);
    }
}, 900_000);

test('143 an account leads to the others of the same person until its own erasure is over, wherever it was killed', async () => {
  const shop = await installShop(core);
  const { customerId, merchant, secondApprover } = shop;
  await core.database.withCustomer(customerId, (tx) => core.customers.link(tx, customerId, [merchant, secondApprover]));
  for (let at = 1, isOver = false; !isOver; at++) {
    const dying = mortal(core.database, { at, isAfter: true });
    isOver = await erasuresOf(core, keeper, {}, dying)
      .ofMember(customerId, merchant.id)
      .then(({ kind }) => kind === 'erased')
      .catch(() => false);
    const accounts = await core.database.withCustomer(customerId, (tx) => core.customers.members(tx, customerId));
    const personOf = (id: string) => accounts.find((account) => account.id === id)?.personId;
    const [row] = await sql<{ state: string }>(
      testDatabase.adminUrl,
      'SELECT state FROM erasures WHERE customer_id = $1',
      [customerId],
    );
    const isLinked = personOf(merchant.id) === personOf(secondApprover.id);
    expect([at, isLinked || row?.state === 'finished']).toEqual([at, true]);
    if (isOver) expect(isLinked).toBe(false);
  }
}, 60_000);

test('144 the other customer stays as it is, byte for byte, its jobs included', async () => {
  const [one, other] = [await installShop(core), await installShop(core)];
  for (const shop of [one, other]) await queuedOperation(core, shop);
  const before = await rowsOf(testDatabase, other.customerId);
  expect(before).toMatch(/^job.*operations/m);
  await erasuresOf(core, keeper).ofCustomer(one.customerId, { isForced: true });
  expect(await rowsOf(testDatabase, other.customerId)).toBe(before);
  expect(await rowsOf(testDatabase, one.customerId)).not.toMatch(/^job/m);
});

test('145 what speaks SQL in the program’s name takes no row, no words and no hold away', async () => {
  const shop = await installShop(core);
  const { customerId } = shop;
  const operation = await queuedOperation(core, shop);
  await keeper.retention.placeHold(customerId, { why: 'a court', operationId: operation.id });
  const forgotten = JSON.stringify({ kind: 'retention.forgotten', days: 1 });
  const erased = JSON.stringify({ kind: 'member.erased', erasedMember: shop.merchant.id });
  const released = JSON.stringify({ kind: 'hold.operation_released', operationId: operation.id });
  for (const statement of [
    'SELECT app.erase_rows(1000)',
    `SELECT app.erase_person('${erased}')`,
    `SELECT app.append_audit('${released}', NULL)`,
    'UPDATE customers SET erased_at = app.now()',
    "UPDATE members SET user_id = 'x'",
    'DELETE FROM threads',
    'DELETE FROM erasures',
    'TRUNCATE members',
    'ALTER TABLE autonomous_operations_audit DISABLE TRIGGER keep_held',
    'SET ROLE countersign_retention',
  ]) {
    const smuggled = asCustomer(testDatabase.programUrl, customerId, (client) => client.query(statement));
    await expect(smuggled, statement).rejects.toMatchObject({ code: '42501' });
  }
  await sql(
    testDatabase.adminUrl,
    "UPDATE connect_links SET expires_at = app.now() - interval '100 days' WHERE customer_id = $1",
    [customerId],
  );
  await core.sessions.issue(customerId, shop.merchant.id);
  await sql(
    testDatabase.adminUrl,
    "UPDATE console_sessions SET link_expires_at = app.now() - interval '100 days' WHERE customer_id = $1",
    [customerId],
  );
  const unvouched = asCustomer(testDatabase.programUrl, customerId, (client) =>
    client.query('SELECT app.forget_old($1)', [forgotten]),
  );
  await expect(unvouched).rejects.toMatchObject({ code: '42501' });
  // With the program's word for it, the database itself keeps what is held.
  const word = (header: string, statement: string) =>
    asCustomer(testDatabase.programUrl, customerId, async (client) => {
      await vouchByHand(client, 'audit', customerId, header);
      return client.query(statement, [header]);
    });
  const words = JSON.stringify({ kind: 'erasure.completed', erased: [['1', '99']] });
  await expect(word(words, 'SELECT app.erase_payloads($1)')).rejects.toMatchObject({
    code: '23514',
    constraint: 'legal_hold',
  });
  // Who asked for it, and who countersigned it.
  for (const { id } of [shop.merchant, shop.approver]) {
    const header = JSON.stringify({ kind: 'member.erased', erasedMember: id });
    const refused = { code: '23514', constraint: 'legal_hold' };
    await expect(word(header, 'SELECT app.erase_person($1)')).rejects.toMatchObject(refused);
  }
});

test('145 a receipt that the program did not sign keeps nobody from being erased', async () => {
  const shop = await installShop(core);
  const { customerId, merchant } = shop;
  await asCustomer(testDatabase.programUrl, customerId, (client) =>
    client.query(
      `INSERT INTO erasures (customer_id, id, member_id, state, finished_at, receipt)
       SELECT $1::uuid, gen_random_uuid(), m, 'finished', app.now(), 'Erased.' FROM unnest(ARRAY[$2::uuid, NULL]) m`,
      [customerId, merchant.id],
    ),
  );
  const erasures = erasuresOf(core, keeper);
  expect(await erasures.ofMember(customerId, merchant.id)).toMatchObject({ kind: 'erased', isNew: true });
  expect(await erasures.ofMember(customerId, merchant.id)).toMatchObject({ kind: 'erased', isNew: false });
  const names = await sql<{ name: string }>(testDatabase.adminUrl, 'SELECT name FROM members WHERE id = $1', [
    merchant.id,
  ]);
  expect(names).toEqual([{ name: 'erased' }]);
  expect(await erasures.ofCustomer(customerId)).toMatchObject({ kind: 'erased', isNew: true });
  expect(await sql(testDatabase.adminUrl, 'SELECT FROM members WHERE customer_id = $1', [customerId])).toEqual([]);
});

test('146 an export holds no secret, and nothing of another customer', async () => {
  const [mark, foreign] = [newMark(), newMark()];
  const [one, other] = [await installShop(core), await installShop(core)];
  for (const [shop, words] of [
    [one, mark],
    [other, foreign],
  ] as const) {
    await queuedOperation(core, shop, {}, { admin_username: `user ${words}` });
    await core.vault.store(shop.customerId, 'stripe', 'api_key', { value: `sk_live_${words}` });
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.audit.append(tx, shop.customerId, { kind: 'rules.changed', payload: { words } }),
    );
  }
  const deps = { ...core, checkpoints: keeper.checkpoints, screenshots: createScreenshots(core) };
  for (const people of [undefined, [one.merchant.id, other.merchant.id]]) {
    const folder = folderInMemory();
    await exportCustomer(deps, one.customerId, people, folder);
    const all = Buffer.concat([...folder.files.values()]);
    const secrets = {
      secret: `sk_live_${mark}`,
      'sign-in': `user ${mark}`,
      foreign,
      'foreign customer': other.customerId,
    };
    const leaks = sweep([{ name: 'export', bytes: all }], secrets);
    // That somebody asked for a person of another customer is on record, by their id.
    expect(leaks.filter(({ form }) => !form.startsWith('foreign customer') || people === undefined)).toEqual([]);
    expect(all.includes(one.customerId)).toBe(true);
  }
});
