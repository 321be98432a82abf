// What the erasure of a person takes, of theirs and of what others wrote, and what it leaves.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { newUuid } from '../../core/ids.ts';
import { ATTRIBUTIONS } from '../../core/operations/attribution.ts';
import { reclaimSpace } from '../../prisma/reclaim.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { keptWorking, madeConnection } from '../support/connections.ts';
import {
  type Core,
  cancel,
  connected,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { erasuresOf, newMark } from '../support/erasures.ts';
import { databaseFolder, findMark, plant, sealMarks } from '../support/marks.ts';

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
    await sealMarks(core, { ...shop, merchant, admin: merchant }, mark);
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
    const folders = [await databaseFolder(testDatabase), keeper.dir];
    expect((await findMark(testDatabase, mark, folders)).length).toBeGreaterThan(10);

    const erasures = erasuresOf(core, keeper, {
      reclaim: async () => (await reclaimSpace(testDatabase.ownerUrl)).stillOpen.length === 0,
    });
    expect(await erasures.ofMember(customerId, merchant.id)).toMatchObject({ kind: 'erased' });
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    expect(await findMark(testDatabase, mark, folders)).toEqual([]);
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
    const said = Object.values(ATTRIBUTIONS).map(([before, after]) => `${before}${name}${after}`);
    const meant = isFull ? [`${name}, as they say`, `(${userId})`] : [];
    const goes = [`@${name} wants it`, `ask <@${userId}>`, ...meant, ...said];
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

  test('143 what open transactions keep in the files is said, and goes when the erasure is begun again', async () => {
    const [shop, mark] = [await installShop(core), newMark()];
    const { customerId } = shop;
    await sealMarks(core, shop, mark);
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
      return findMark(testDatabase, mark, [await databaseFolder(testDatabase)]);
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
});
