// What a hostile member of a workspace gets by commands, buttons and forms: the bot's word, others' words, others' time.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import { createReception } from '../../bot/reception.ts';
import { createInstallations } from '../../core/customers/installations.ts';
import { isAllowedTarget, parseAllowedTarget } from '../../core/customers/settings.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createInbox } from '../../core/inbox.ts';
import type { ChatEvent, Standing } from '../../core/ports/chat.ts';
import { Secret } from '../../core/secret.ts';
import { services } from '../../core/services/index.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, grant, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { createRecordingChat, filledIn, type RecordingChat } from '../support/recording-chat.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';

const PASSWORD = 'hunter2-Correct-Horse';
let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let shop: Shop;
let chat: RecordingChat;
let standing: Standing;
let hand: (event: object) => ReturnType<typeof converse>;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
  keeper.remove();
});
beforeEach(async () => {
  shop = await installShop(core);
  standing = { kind: 'member', isInGroup: false };
  const recording = createRecordingChat();
  chat = recording;
  const asked = {
    ...recording,
    standing: async () => standing,
    channelOf: ({ ref }: { ref: string }) => ref.split(':')[0] ?? '',
  };
  const egress = createEgress({ privateTargets: ['127.0.0.1:4999'], log: silentLog });
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => asked, pictureUrl }),
    ...{ egress, http: createHttp({ egress }) },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => asked,
  };
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'C1:1' } as const;
  // Each caller says the rest.
  hand = (event) => converse(context, { id: newUuid(), thread, from: shop.merchant.person, ...event } as ChatEvent);
});

const kinds = async (kind: string) =>
  (
    await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations_audit WHERE customer_id = $1 AND kind = $2', [
      shop.customerId,
      kind,
    ])
  ).length;
const said = (calls: readonly { readonly call: string }[]) => calls.map(({ call }) => call);
const command = (text: string) => ({
  ...{ kind: 'command', command: 'countersign', text, trigger: 't', isOutsideThreads: true },
});
const press = (action: string, value: string) => ({ kind: 'action', action, value, trigger: 't' });
const form = (name: string, fields: object) => ({ kind: 'form', form: name, value: '', fields });
const rules = () => core.database.withCustomer(shop.customerId, (tx) => core.customers.rules(tx, shop.customerId));
const byAdmin = () => ({ from: shop.admin.person });
/** The settings as an admin has them in front of them at this moment, with these filled in otherwise. */
const settings = async (fields: object) => {
  await hand({ ...command('settings'), ...byAdmin() });
  const open = chat.forms.at(-1);
  if (!open) throw new Error('no form was opened');
  return { ...form(open.form, { ...filledIn(open), ...fields }), value: open.value, ...byAdmin() };
};
const save = async (fields: object) => hand(await settings(fields));

describe('71 a command that nobody else has seen', () => {
  test.each(['http://127.0.0.1:4999', ''])('is not shown when a password stands in it (%s)', async (site) => {
    await hand(command(`set up WooCommerce for ${site} password: ${PASSWORD}`));
    expect(JSON.stringify(chat.calls)).not.toContain(PASSWORD);
    expect(said(chat.calls)).toEqual(['ephemeral']);
  });

  test('has the bot say nothing in a channel that an admin has closed to it', async () => {
    await save({ channels: ['C2'] });
    const before = chat.calls.length;
    await hand(command('set up WooCommerce for http://127.0.0.1:4999'));
    expect(said(chat.calls.slice(before))).toEqual(['ephemeral']);
  });
});

describe('72 what an admin has closed', () => {
  test('stays closed to “try again”: in another channel nothing is asked for', async () => {
    const target = { origin: 'http://127.0.0.1:4999', base: 'http://127.0.0.1:4999' };
    const { id } = await requestOperation(core, shop, target);
    await hand(press('stop', id));
    await save({ channels: ['C2'] });
    await hand(press('retry', id));
    await hand(command(`retry ${id}`));
    expect(await kinds('operation.requested')).toBe(1);
    await hand({ ...press('retry', id), thread: { platform: 'web', workspaceId: shop.workspaceId, ref: 'C2:1' } });
    expect(await kinds('operation.requested')).toBe(2);
  });

  test.each([
    ['shop.example.com', 'https://shop.example.com:8443'],
    ['*.example.com', 'https://shop.example.com:8443'],
    ['shop.example.com', 'https://shop.example.com.'],
    ['*.example.com', 'https://shop.example.com.'],
    ['*.example.com', 'https://user.example.com@evil.example'],
    ['*.example.com', 'https://evil.example/.example.com'],
    ['127.0.0.1', 'http://[::ffff:127.0.0.1]'],
  ])('stays closed to another site than %s, such as %s', (allowed, base) => {
    expect(isAllowedTarget(base, { allowedTargets: [allowed] })).toBe(false);
  });

  test.each([
    ['https://shop.example.com:443', 'https://shop.example.com'],
    ['http://shop.example.com:80', 'http://shop.example.com'],
    ['SHOP.example.com', 'https://shop.EXAMPLE.com'],
  ])('is no more than that: %s lets %s be set up', (words, base) => {
    const allowed = parseAllowedTarget(words);
    expect(isAllowedTarget(base, { allowedTargets: allowed === undefined ? [] : [allowed] })).toBe(true);
    expect(allowed).toBe('shop.example.com');
  });
});

describe('73 whoever presses on and on', () => {
  test('puts each opinion on record once', async () => {
    const { id } = await requestOperation(core, shop);
    for (const rating of ['good', 'good', 'bad', 'good', 'bad', 'awful']) await hand(press('rate', `${rating} ${id}`));
    expect(await kinds('result.rated')).toBe(2);
  });

  test('leaves the platform’s answers to those who may decide: about nobody else is it asked', async () => {
    const asked: string[] = [];
    const platform = ({ userId }: { userId: string }): Standing => {
      asked.push(userId);
      return { kind: 'member', isInGroup: false };
    };
    const own = await openCore(testDatabase, { platform });
    const operation = await requestOperation(own, shop);
    for (const _ of Array.from({ length: 20 }))
      expect(await grant(own, operation, shop.merchant)).toEqual({ kind: 'refused', why: 'not_an_approver' });
    expect(await grant(own, operation, shop.approver)).toMatchObject({ kind: 'granted' });
    expect(asked).toEqual([shop.approver.person.userId]);
    await own.close();
  });

  test('has keys tried ten times an hour, and no further time is on record', async () => {
    const target = 'https://shop.example.com';
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { target, value: 'ck_canary' });
    for (const _ of Array.from({ length: 12 })) await hand({ ...command('test woocommerce'), ...byAdmin() });
    expect(chat.calls.filter(({ card }) => card?.summary === 'The WooCommerce key does not work')).toHaveLength(10);
    expect(chat.calls.at(-1)?.card?.summary).toMatch(/within an hour\. Ask again in \d minutes\. Nothing was tried\.$/);
  });

  test('was shown the guide once, as the record has it', async () => {
    const { id } = await requestOperation(core, shop);
    for (const _ of [1, 2, 3]) await hand(press('guide', id));
    expect(await kinds('guide.shown')).toBe(1);
  });
});

describe('74 a form that was saved', () => {
  test('does not come back when it is sent again, after others have been saved', async () => {
    const first = { id: newUuid(), ...(await settings({ mode: ['guide_only'], rules: ['own'] })) };
    await hand(first);
    expect(await rules()).toMatchObject({ isGuideOnly: true, mayWorkAlone: true });
    await save({ mode: [], rules: [] });
    await hand(first);
    expect(await rules()).toMatchObject({ isGuideOnly: false, mayWorkAlone: false });
    // Nor is a form taken that says nothing of what was there when it was filled in.
    await hand({ ...first, id: newUuid(), value: '' });
    expect(await rules()).toMatchObject({ isGuideOnly: false, mayWorkAlone: false });
    const two = [shop.approver, shop.merchant].map(({ person }) => person.userId);
    const link = { id: newUuid(), ...form('link_accounts', { accounts: two }), ...byAdmin() };
    await hand(link);
    for (const account of two) await hand({ ...form('link_accounts', { accounts: [account] }), ...byAdmin() });
    await hand(link);
    const of = (id: string) =>
      core.database.withCustomer(shop.customerId, (tx) => core.customers.memberById(tx, shop.customerId, id));
    expect((await of(shop.approver.id)).personId).not.toBe((await of(shop.merchant.id)).personId);
  });
});

describe('77 an admin who was made a guest, or has left', () => {
  test.each(['guest', 'unknown'] as const)('changes no rule and reads no trail (%s)', async (kind) => {
    const { id } = await requestOperation(core, shop);
    const before = await rules();
    const own = { approvers: [shop.merchant.person.userId], required: ['1'], rules: ['own'] };
    const [sites, alone] = [await settings({ targets: ['evil.example'] }), await settings(own)];
    const opened = chat.forms.length;
    standing = { kind };
    for (const event of [
      sites,
      alone,
      { ...alone, form: 'approvers' },
      form('link_accounts', { accounts: [shop.approver.person.userId] }),
      press('work_alone', ''),
      command('accounts'),
      press('choose_approvers', ''),
      press('reveal', id),
      press('share_audit', id),
      { ...command(id), command: 'audit' },
      command('credentials'),
      command('test woocommerce'),
      command('settings'),
    ])
      await hand({ ...event, ...byAdmin() });
    expect(await rules()).toEqual(before);
    for (const what of ['rules.changed', 'trail.read']) expect(await kinds(what)).toBe(0);
    expect(said(chat.calls)).not.toContain('post');
    expect(chat.forms).toHaveLength(opened);
    await hand({ ...press('stop', id), ...byAdmin() });
    expect(await kinds('operation.cancelled')).toBe(1);
  });
});

/** Whoever asks in a workspace of Slack, and where. */
const merchantOf = (customerId: CustomerId, workspaceId: string) =>
  core.database.withCustomer(customerId, async (tx) => {
    const person = { platform: 'slack', workspaceId, userId: 'U3', name: 'Mona' } as const;
    const { id: threadId } = await core.threads.open(tx, customerId, { platform: 'slack', workspaceId, ref: 'C1:1.1' });
    return { customerId, workspaceId, threadId, merchant: await core.customers.member(tx, customerId, person) };
  });

describe('75 one customer’s trouble', () => {
  test('leaves nobody else’s words unanswered', async () => {
    const shops = [shop, await installShop(core), await installShop(core)];
    const inbox = createInbox({ database: core.database, sealer: createSealer(testRootKeys) });
    const event = ({ workspaceId, merchant }: Shop): ChatEvent => ({
      ...{ kind: 'message', id: newUuid(), from: merchant.person, text: 'hello' },
      thread: { platform: 'slack', workspaceId, ref: 'C1:1.1' },
    });
    for (const each of shops) await inbox.keep(each.customerId, event(each));
    // Whichever is looked at first.
    const [first] = shops.map(({ customerId }) => customerId).sort();
    await sql(testDatabase.adminUrl, "UPDATE chat_events SET sealed = '\\x00' WHERE customer_id = $1", [first]);
    await shiftClock(testDatabase.ownerUrl, '2 minutes');
    const heard: string[] = [];
    const { promise: both, resolve } = Promise.withResolvers<void>();
    const reception = createReception({
      ...{ inbox, directory: core.directory, log: silentLog, chat: () => chat },
      converse: async ({ thread }) => {
        heard.push(thread.workspaceId);
        if (heard.length === 2) resolve();
        return undefined;
      },
    });
    reception.start();
    await both;
    await reception.stop(5_000);
    expect(heard.sort()).toEqual(
      shops
        .filter(({ customerId }) => customerId !== first)
        .map((s) => s.workspaceId)
        .sort(),
    );
  });

  test('keeps nobody else’s removal from being finished', async () => {
    const ids: string[] = [];
    for (const workspaceId of [newUuid(), newUuid()].map((id) => `T${id.slice(0, 8).toUpperCase()}`)) {
      const { customerId } = await core.installations.install({
        ...{
          workspaceId,
          teamId: workspaceId,
          enterpriseId: null,
          appId: 'A1',
          botUserId: 'U1',
          scopes: [],
          name: 'x',
        },
        installer: { platform: 'slack', workspaceId, userId: 'U2', name: 'x' },
        tokens: { access: new Secret('a token') },
      });
      await requestOperation(core, { ...shop, ...(await merchantOf(customerId, workspaceId)) });
      await core.installations.remove(workspaceId, 'uninstalled');
      ids.push(customerId);
    }
    const [first, second] = ids.sort();
    const move: typeof core.mover.move = (tx, customerId, ...rest) =>
      customerId === first ? Promise.reject(new Error('stuck')) : core.mover.move(tx, customerId, ...rest);
    const stuck = createInstallations({ ...core, mover: { ...core.mover, move } });
    await expect(stuck.finishRemovals()).rejects.toThrow('stuck');
    expect(await core.directory.customersToClear()).toEqual([first]);
    await core.installations.finishRemovals();
    expect(await core.directory.customersToClear()).not.toContain(second);
  });
});
