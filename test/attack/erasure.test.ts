import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { prepareRoles, startPostgres } from '../../adapters/postgres/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { runCli } from '../../bot/cli.ts';
import { checkpointSigners } from '../../core/audit/note.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createInbox } from '../../core/inbox.ts';
import { exportCustomer } from '../../core/rights/export.ts';
import { readReceipt } from '../../core/rights/receipt.ts';
import { Secret } from '../../core/secret.ts';
import { migrate } from '../../prisma/migrate.ts';
import { reclaimSpace } from '../../prisma/reclaim.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { keptWorking, madeConnection } from '../support/connections.ts';
import {
  asCustomer,
  type Core,
  cancel,
  connected,
  grantedOperation,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  vouchByHand,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { erasuresOf, folderInMemory, mortal } from '../support/erasures.ts';
import { TEST_ENCRYPTION_KEY, testRootKeys } from '../support/root-keys.ts';
import { databaseSinks, filesIn } from '../support/sinks.ts';
import { sweep } from '../support/sweep.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';
import { IS_WHOLE } from '../support/whole.ts';

const CHAIN = ['autonomous_operations_audit', 'audit_heads', 'audit_checkpoints', 'customer_keys', 'erasures'];
/** What says where a row belongs; a sealed token, which is opened to be revoked. */
const FIXED = "('customer_id', 'status', 'platform', 'roles')";

interface Place {
  readonly adminUrl: string;
  readonly ownerUrl: string;
}

/**
 * Writes a mark into every column of the customer's that can hold one, whatever tables there are: as somebody who owns the server.
 * @returns their names.
 */
async function plant({ adminUrl }: Place, customerId: CustomerId, mark: string): Promise<readonly string[]> {
  return connected(adminUrl, async (client) => {
    const { rows } = await client.query<{ name: string; col: string; type: string }>(
      `SELECT table_name AS name, column_name AS col, udt_name AS type FROM information_schema.columns
       WHERE table_schema = 'public' AND udt_name IN ('text', 'varchar', '_text', 'jsonb', 'bytea')
         AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'customer_id')
         AND table_name <> ALL ($1) AND column_name NOT IN ${FIXED} AND column_name !~ '(^|_)id$' AND column_name !~ '_hash$'
         AND (table_name, column_name) NOT IN (('slack_installations', 'sealed'))
       ORDER BY 1, 2`,
      [CHAIN],
    );
    const planted: string[] = [];
    for (const { name, col, type } of rows) {
      const value = {
        text: `$2::text || coalesce(${col}, '')`,
        varchar: `$2::text || coalesce(${col}, '')`,
        _text: 'ARRAY[$2::text]',
        jsonb: 'jsonb_build_object($2::text, 1)',
        bytea: "convert_to($2::text, 'UTF8')",
      }[type];
      await client.query('BEGIN');
      await client.query("SET LOCAL session_replication_role = 'replica'");
      const done = await client
        .query(`UPDATE ${name} SET ${col} = ${value} WHERE customer_id = $1`, [customerId, `${mark}/`])
        .catch(() => undefined); // a column with words of its own, which takes no others
      await client.query(done ? 'COMMIT' : 'ROLLBACK');
      if (done?.rowCount) planted.push(`${name}.${col}`);
    }
    return planted;
  });
}

/** Where bytes of the mark are still found: in every row of every table, and in files. */
async function found({ adminUrl }: Place, mark: string, folders: readonly string[]): Promise<readonly string[]> {
  const sinks = [...(await databaseSinks(adminUrl)), ...folders.filter(existsSync).flatMap(filesIn)];
  return [...new Set(sweep(sinks, { mark }).map(({ sink }) => sink))];
}

/** The folder of a database's own files. */
async function filesOf({ adminUrl }: Place): Promise<string> {
  const [row] = await sql<{ dir: string }>(
    adminUrl,
    "SELECT current_setting('data_directory') || '/base/' || oid AS dir FROM pg_database WHERE datname = current_database()",
  );
  return row?.dir ?? '';
}

/** All rows and jobs of a customer, as a dump holds them. */
async function rowsOf({ adminUrl }: Place, customerId: CustomerId): Promise<string> {
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

const newMark = () => `mark${randomBytes(8).toString('hex')}`;

/** Words of the trail and a waiting message: what is sealed, and opened by the program alone. @returns how many values. */
async function live(core: Core, shop: Shop, mark: string): Promise<number> {
  const { customerId } = shop;
  await core.database.withCustomer(customerId, async (tx) => {
    for (let n = 0; n < 10; n++)
      await core.audit.append(tx, customerId, {
        kind: 'rules.changed',
        actor: shop.admin.id,
        payload: { words: `${mark} ${n}` },
      });
  });
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: `thread ${mark}` } as const;
  const message = { kind: 'message', id: newUuid(), thread, from: shop.merchant.person, text: mark } as const;
  await createInbox(core).keep(customerId, message);
  return 12;
}

describe('of an erased customer', () => {
  let two: TwoCustomers;
  let testDatabase: TestDatabase;
  let core: Core;
  let keeper: Keeper;

  beforeAll(async () => {
    two = await openTwoCustomers();
    ({ testDatabase, core } = two);
    keeper = keepTrails(core);
  });

  afterAll(async () => {
    keeper.remove();
    await two.close();
  });

  test('143 nothing is left in rows, files or checkpoints, and its trail says “erased”', async () => {
    const [{ customerId }, mark] = [two.a, newMark()];
    await cancel(core, two.ofA);
    const sealed = await live(core, two.a, mark);
    const planted = await plant(testDatabase, customerId, mark);
    expect(planted.length + sealed).toBeGreaterThan(49);
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    const folders = [await filesOf(testDatabase), keeper.dir];
    // The search finds it where it lies: in the tables, and in the files under them.
    const before = await found(testDatabase, mark, folders);
    expect(before.filter((name) => name.startsWith('table ')).length).toBeGreaterThan(20);
    expect(before.filter((name) => name.includes('/base/')).length).toBeGreaterThan(20);

    const revoked: string[] = [];
    const erased = await erasuresOf(core, keeper, {
      reclaim: async () => (await reclaimSpace(testDatabase.ownerUrl)).stillOpen.length === 0,
      revokeSlackToken: async (token) => void revoked.push(token.reveal()),
    }).ofCustomer(customerId);
    expect(erased).toMatchObject({ kind: 'erased', isNew: true });
    expect(revoked).toEqual([expect.stringMatching(/^xoxb-of /)]);
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    expect(await found(testDatabase, mark, folders)).toEqual([]);

    const { checkpoints } = await keeper.checkpoints.held(customerId);
    const verdict = await core.audit.verify(customerId, checkpoints);
    expect(verdict).toMatchObject({ isIntact: true, unexplained: 0 });
    expect('erased' in verdict && verdict.erased).toBeGreaterThan(10);
    const env = {
      ENCRYPTION_KEY: TEST_ENCRYPTION_KEY,
      DATABASE_URL: testDatabase.programUrl,
      CHECKPOINT_DIR: keeper.dir,
    };
    const said: string[] = [];
    const sinks = { say: (line: string) => said.push(line), complain: (line: string) => said.push(line) };
    expect(
      await runCli(['audit', 'verify', '--customer', customerId, '--checkpoints', keeper.dir], { env, ...sinks }),
    ).toBe(0);
    expect(said.join('\n')).toMatch(/intact[\s\S]*payloads are erased/);
    expect(said.join('\n')).not.toMatch(/modified/);

    // The receipt is signed by the key of the checkpoints, and names what it is about by ids alone.
    const note = erased.kind === 'erased' ? erased.receipt : '';
    const verifiers = checkpointSigners(testRootKeys).map(({ verifier }) => verifier);
    expect(readReceipt(note, verifiers)).toMatchObject({ customerId, space: 'rewritten' });
    expect(readReceipt(note.replace('rewritten', 'left     '), verifiers)).toBeUndefined();
    expect(await erasuresOf(core, keeper).ofCustomer(customerId)).toEqual({
      kind: 'erased',
      receipt: note,
      isNew: false,
      isRewritten: false,
    });
    // Whoever has the same workspace begins anew, as somebody else.
    const again = await core.customers.install(
      { platform: 'web', workspaceId: two.a.workspaceId, name: 'Shop' },
      two.a.admin.person,
    );
    expect(again).not.toBe(customerId);
  }, 60_000);
});

describe('a person', () => {
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

  test('143 who is erased is found nowhere, what others wrote stays, and so does what was decided', async () => {
    const [mark, other] = [newMark(), newMark()];
    const shop = await installShop(core);
    const { customerId } = shop;
    const person = {
      platform: 'web',
      workspaceId: shop.workspaceId,
      userId: `U-${mark}`,
      name: `Mona ${mark}`,
    } as const;
    const { merchant, thread } = await core.database.withCustomer(customerId, async (tx) => ({
      merchant: await core.customers.member(tx, customerId, person),
      thread: await core.threads.open(tx, customerId, {
        platform: 'web',
        workspaceId: shop.workspaceId,
        ref: `thread ${mark}`,
      }),
    }));
    const asked = { threadId: thread.id, requester: merchant };
    const operation = await grantedOperation(core, shop, asked);
    // Somebody else's operation says who stopped it.
    await core.database.withCustomer(customerId, (tx) =>
      core.customers.setApprovers(tx, customerId, [shop.approver.person, person], false),
    );
    const stopped = await requestOperation(core, shop);
    const stopping = { operationId: stopped.id, by: merchant, event: { platform: 'web', id: newUuid() } } as const;
    expect(await core.control.cancel(customerId, stopping)).toMatchObject({ kind: 'cancelled' });
    await core.database.withCustomer(customerId, async (tx) => {
      await core.vault.within(tx).store(customerId, 'woocommerce', 'admin_username', {
        ...{ value: mark, target: 'https://shop.example.com', operationId: operation.id },
      });
      const said = (actor: string, text: string) =>
        core.audit.append(tx, customerId, {
          kind: 'rules.changed',
          actor: actor as typeof merchant.id,
          payload: { text },
        });
      await said(merchant.id, `${mark} wrote this`);
      await said(shop.admin.id, `made Mona ${mark} an approver`);
      await said(shop.admin.id, `${other} has nothing to do with it`);
      await core.threads.keepMessage(
        tx,
        customerId,
        thread,
        'reference',
        { thread: thread.ref, ref: `{"userId":"U-${mark}"}` },
        '',
      );
    });
    await core.apiTokens.create(customerId, { scopes: ['operations:read'], days: 1, member: merchant.id });
    await core.sessions.issue(customerId, merchant.id);
    const picture = { mediaType: 'image/png', width: 1, height: 1, alt: mark, bytes: Buffer.from(mark) } as const;
    await createScreenshots(core).put(customerId, { ...picture, operationId: operation.id, step: 1 });
    await live(core, { ...shop, merchant, admin: merchant }, mark);
    await cancel(core, operation);
    for (const statement of [
      `UPDATE autonomous_operations SET error_message = '${mark}' WHERE user_id = '${merchant.id}'`,
      `UPDATE operation_steps SET note = '${mark}' WHERE operation_id = '${operation.id}'`,
      `UPDATE threads SET awaiting = '{"by":"${merchant.id}","text":"${mark}"}' WHERE id = '${thread.id}'`,
      `INSERT INTO chat_events (customer_id, platform, event_id) VALUES ('${customerId}', 'web', 'x/U-${mark}/1')`,
      `INSERT INTO limits (customer_id, name, remaining, at) VALUES ('${customerId}', 'questions of U-${mark}', 1, app.now())`,
    ])
      await sql(testDatabase.adminUrl, statement);
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    const folders = [await filesOf(testDatabase), keeper.dir];
    expect((await found(testDatabase, mark, folders)).length).toBeGreaterThan(10);

    const erasures = erasuresOf(core, keeper, {
      reclaim: async () => (await reclaimSpace(testDatabase.ownerUrl)).stillOpen.length === 0,
    });
    expect(await erasures.ofMember(customerId, merchant.id)).toMatchObject({ kind: 'erased' });
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    expect(await found(testDatabase, mark, folders)).toEqual([]);
    const verdict = await core.audit.verify(customerId, (await keeper.checkpoints.held(customerId)).checkpoints);
    expect(verdict).toMatchObject({ isIntact: true, unexplained: 0 });

    const words = await core.database.withCustomer(customerId, async (tx) => {
      const rows = await tx.auditEntry.findMany({
        where: { customerId, kind: 'rules.changed' },
        orderBy: { seq: 'asc' },
      });
      const read = [];
      for (const row of rows) read.push((await core.audit.read(tx, customerId, row)).payload?.text);
      return read;
    });
    expect(words.filter((text) => text !== undefined)).toEqual([`${other} has nothing to do with it`]);
    const { members, open } = await core.database.withCustomer(customerId, async (tx) => ({
      members: await core.customers.members(tx, customerId),
      open: await core.operations.get(tx, customerId, operation.id),
    }));
    expect(members.find(({ id }) => id === merchant.id)).toMatchObject({ person: { name: 'erased' }, roles: [] });
    expect(open).toMatchObject({ state: 'cancelled', requester: { id: merchant.id } });
    // Should they write again, they are somebody new.
    const anew = await core.database.withCustomer(customerId, (tx) => core.customers.member(tx, customerId, person));
    expect(anew.id).not.toBe(merchant.id);
  }, 60_000);

  test.each([
    { name: 'the', userId: 'approver', isFull: false },
    { name: 'Set up', userId: 'U-9', isFull: true },
  ])('143 a person called “$name” takes nobody else’s words along', async ({ name, userId, isFull }) => {
    const shop = await installShop(core);
    const { customerId, workspaceId, admin, merchant } = shop;
    const person = { platform: 'web', workspaceId, userId, name } as const;
    const theirs = await core.database.withCustomer(customerId, async (tx) => {
      await core.customers.setApprovers(tx, customerId, [shop.approver.person, person], false);
      return core.customers.member(tx, customerId, person);
    });
    const stopped = await requestOperation(core, shop);
    const stopping = { operationId: stopped.id, by: theirs, event: { platform: 'web', id: newUuid() } } as const;
    expect(await core.control.cancel(customerId, stopping)).toMatchObject({ kind: 'cancelled' });
    const stays = [
      'set up the shop for the approver',
      `${name}ology`,
      `a@${name.replace(' ', '')}.example`,
      `${userId}1`,
    ];
    const goes = [`@${name} wants it`, `ask <@${userId}>`, ...(isFull ? [`${name}, as they say`, `(${userId})`] : [])];
    await core.database.withCustomer(customerId, async (tx) => {
      for (const text of [...stays, ...goes])
        await core.audit.append(tx, customerId, { kind: 'rules.changed', actor: admin.id, payload: { text } });
    });
    expect(await erasuresOf(core, keeper).ofMember(customerId, theirs.id)).toMatchObject({ kind: 'erased' });
    const left = await core.database.withCustomer(customerId, async (tx) => {
      const where = { customerId, kind: { in: ['rules.changed', 'operation.requested'] }, payload: { not: null } };
      const rows = await tx.auditEntry.findMany({ where, orderBy: { seq: 'asc' } });
      const read = [];
      for (const row of rows) read.push(await core.audit.read(tx, customerId, row));
      return { read, why: (await core.operations.get(tx, customerId, stopped.id))?.errorMessage };
    });
    expect(left.read.filter(({ kind }) => kind === 'rules.changed').map(({ payload }) => payload?.text)).toEqual(stays);
    expect(left.read.filter(({ actor }) => actor === merchant.id).length).toBeGreaterThan(0);
    expect(left.why ?? '').not.toContain(name); // “Stopped by the.”
  });

  test('143 the chats of a person with the bot go with them, and nothing of whoever’s id is longer', async () => {
    const { customerId } = await installShop(core);
    const workspaceId = newUuid();
    const chat = async (userId: string) => {
      const person = { platform: 'teams', workspaceId, userId, name: 'Al' } as const;
      const ref = { platform: 'teams', workspaceId, ref: `personal:a:1-of-${userId}` } as const;
      return core.database.withCustomer(customerId, async (tx) => {
        const member = await core.customers.member(tx, customerId, person);
        const thread = await core.threads.open(tx, customerId, ref);
        const reference = { thread: ref, ref: JSON.stringify({ conversationId: `a:1-of-${userId}`, userId }) };
        await core.threads.keepMessage(tx, customerId, thread, 'reference', reference, '');
        await tx.chatEvent.create({ data: { customerId, platform: 'teams', eventId: `inbox/${ref.ref}/17` } });
        return { member, thread };
      });
    };
    const [al, other] = [await chat('29:ab'), await chat('29:ab-c')];
    const rows = () =>
      sql<{ row: string }>(
        testDatabase.adminUrl,
        `SELECT t.ref AS row FROM threads t WHERE customer_id = $1 AND platform = 'teams'
         UNION ALL SELECT event_id FROM chat_events WHERE customer_id = $1
         UNION ALL SELECT ref FROM thread_messages WHERE customer_id = $1 ORDER BY 1`,
        [customerId],
      ).then((all) => all.map(({ row }) => row));
    const before = await rows();
    expect(before.filter((row) => /of-29:ab(?!-)/.test(row))).toHaveLength(3);
    expect(await erasuresOf(core, keeper).ofMember(customerId, al.member.id)).toMatchObject({ kind: 'erased' });
    const others = before.filter((row) => row.includes('29:ab-c'));
    expect(await rows()).toEqual([`erased ${al.thread.id}`, ...others].toSorted());
    expect(other.thread.id).not.toBe(al.thread.id);
  });

  test('143 a chat in Slack where nobody asked for anything leads nobody to a person who is gone', async () => {
    const { customerId, merchant, workspaceId } = await installShop(core);
    const ref = (at: string) => ({ platform: 'slack', workspaceId, ref: `D0MONA:${at}` }) as const;
    const open = (at: string) =>
      core.database.withCustomer(customerId, (tx) => core.threads.open(tx, customerId, ref(at)));
    const [, waiting] = [await open('1.0'), await open('2.0')];
    const awaiting = { memberId: newUuid(), service: 'woocommerce', wantsWrite: false, askedAt: '' };
    await core.database.withCustomer(customerId, (tx) =>
      core.threads.setAwaiting(tx, customerId, waiting.id, awaiting),
    );
    const old = "UPDATE threads SET created_at = app.now() - interval '2 minutes' WHERE customer_id = $1";
    await sql(testDatabase.adminUrl, old, [customerId]);
    await open('3.0'); // in the middle of becoming a request
    expect(await erasuresOf(core, keeper).ofMember(customerId, merchant.id)).toMatchObject({ kind: 'erased' });
    const left = "SELECT ref FROM threads WHERE customer_id = $1 AND platform = 'slack' ORDER BY ref";
    expect(await sql(testDatabase.adminUrl, left, [customerId])).toEqual([
      { ref: 'D0MONA:2.0' },
      { ref: 'D0MONA:3.0' },
    ]);
  });

  test('143 a sign-in that somebody keeps for another one’s key goes with them', async () => {
    const shop = await installShop(core);
    const operation = await madeConnection(core, shop);
    await keptWorking(core, shop, operation);
    const signIn = { admin_username: 'ada', admin_password: newMark() };
    await core.repairOffers.keep(operation, shop.admin.id, signIn, async () => true);
    expect(await erasuresOf(core, keeper).ofMember(shop.customerId, shop.admin.id)).toMatchObject({ kind: 'erased' });
    const left =
      'SELECT credential_type FROM autonomous_credentials WHERE customer_id = $1 AND operation_id IS NOT NULL';
    expect(await sql(testDatabase.adminUrl, left, [shop.customerId])).toEqual([]);
  });

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

  test('143 what open transactions keep in the files is said, and goes when the erasure is begun again', async () => {
    const [shop, mark] = [await installShop(core), newMark()];
    const { customerId } = shop;
    await live(core, shop, mark);
    expect((await plant(testDatabase, customerId, mark)).length).toBeGreaterThan(5);
    let open: readonly number[] = [];
    const erase = (patience = {}) =>
      erasuresOf(core, keeper, {
        reclaim: async () => {
          open = (await reclaimSpace(testDatabase.ownerUrl, patience)).stillOpen;
          return open.length === 0;
        },
      }).ofCustomer(customerId);
    const files = async () => {
      await sql(testDatabase.adminUrl, 'CHECKPOINT');
      return found(testDatabase, mark, [await filesOf(testDatabase)]);
    };
    const elsewhere = new URL(testDatabase.adminUrl);
    elsewhere.pathname = '/postgres';
    const pidOf = async (client: pg.Client) =>
      (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
    await connected(elsewhere.href, async (writer) => {
      await writer.query('BEGIN');
      await writer.query('SELECT pg_current_xact_id()'); // whatever writes anywhere on the server, for as long as it does
      await connected(testDatabase.adminUrl, async (reader) => {
        await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
        await reader.query('SELECT 1'); // its snapshot sees everything still
        const left = {
          kind: 'erased',
          isNew: true,
          isRewritten: false,
          receipt: expect.stringContaining('"space":"left"'),
        };
        expect(await erase({ patienceMs: 0 })).toMatchObject(left);
        expect(open).toEqual(expect.arrayContaining([await pidOf(reader), await pidOf(writer)]));
        await reader.query('ROLLBACK');
      });
      expect(await files()).not.toEqual([]);
      expect(await erase({ patienceMs: 0 })).toMatchObject({ isNew: false, isRewritten: false });
      expect(await files()).not.toEqual([]);
      const erased = erase();
      await writer.query('ROLLBACK'); // which is waited for
      expect(await erased).toMatchObject({ kind: 'erased', isNew: false, isRewritten: true });
    });
    expect(await files()).toEqual([]);
  }, 120_000);

  test('143 a receipt does not say that the disk was written anew where rows came after', async () => {
    const { customerId } = await installShop(core);
    const limit = "INSERT INTO limits (customer_id, name, remaining, at) VALUES ($1, 'late', 1, app.now())";
    const reclaim = async () => {
      await sql(testDatabase.adminUrl, limit, [customerId]);
      return true;
    };
    const erased = await erasuresOf(core, keeper, { reclaim }).ofCustomer(customerId);
    expect(erased.kind === 'erased' && erased.receipt).toContain('"space":"left"');
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
    await core.database.withCustomer(customerId, (tx) =>
      core.customers.link(tx, customerId, [merchant, secondApprover]),
    );
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
});

if (IS_WHOLE)
  test('143 nothing of an erased customer is left in any file of the database, its log of changes and its log of words included', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'countersign-erased-'));
    chmodSync(dir, 0o755); // as root, the server runs under an account of its own
    const server = await startPostgres({ dir: join(dir, 'pg'), isDurable: true, settings: { full_page_writes: 'on' } });
    try {
      const urls = await prepareRoles(server, { database: 'erased' });
      await migrate({ ownerUrl: urls.ownerUrl, rootKeys: testRootKeys });
      const place = { ...urls, adminUrl: server.url(ADMIN_ROLE, 'erased') };
      const core = await openCore(urls);
      const keeper = keepTrails(core);
      const mark = newMark();
      const shop = await installShop(core);
      await cancel(core, await queuedOperation(core, shop, {}, { admin_username: mark }));
      await live(core, shop, mark);
      expect((await plant(place, shop.customerId, mark)).length).toBeGreaterThan(25);
      await sql(place.adminUrl, 'CHECKPOINT');
      const places = async () => (await found(place, mark, [join(dir, 'pg'), keeper.dir])).join('\n');
      const before = await places();
      for (const where of [/table public/, /base/, /pg_wal/]) expect(before).toMatch(where);
      const erasures = erasuresOf(core, keeper, {
        reclaim: async () => (await reclaimSpace(urls.ownerUrl)).stillOpen.length === 0,
      });
      expect(await erasures.ofCustomer(shop.customerId)).toMatchObject({ kind: 'erased' });
      await sql(place.adminUrl, 'SELECT pg_switch_wal()');
      await sql(place.adminUrl, 'CHECKPOINT');
      expect(await places()).toBe('');
      keeper.remove();
      await core.close();
    } finally {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  }, 240_000);
