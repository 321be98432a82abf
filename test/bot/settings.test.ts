// What an admin decides, in one form: bot/settings-flow.ts, bot/settings-form.ts, core/customers/settings.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { renderForm } from '../../adapters/slack/forms.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import { isAllowedTarget, parseAllowedTarget } from '../../core/customers/settings.ts';
import type { ChatEvent, Form, ThreadRef } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { createRecordingChat, filledIn, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';
import { problemsOfView } from '../support/slack/blocks.ts';

/** Of a site that answers. */
let TARGET: string;
let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let site: LoopbackSite;
beforeAll(async () => {
  site = await serveSite({ '/': 'a shop' });
  TARGET = site.authority;
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});
afterAll(async () => {
  await site?.close();
  await core.close();
  await testDatabase.drop();
  keeper.remove();
});

type By = 'admin' | 'merchant' | 'approver';
type Fields = Readonly<Record<string, readonly string[]>>;

interface Scene {
  readonly shop: Shop;
  readonly chat: RecordingChat;
  readonly forms: readonly Form[];
  /** What was said last, to whomever. */
  last(): string | undefined;
  ask(channel?: string): Promise<void>;
  readonly thread: ThreadRef;
  /** The admin presses something. */
  press(event: object): Promise<unknown>;
  /** `/countersign settings`; the form that came of it. */
  open(by: By): Promise<Form | undefined>;
  /** The form as it was opened, with these fields filled in otherwise, sent by somebody. */
  send(form: Form | undefined, by: By, fields: Fields, id?: string): ReturnType<typeof converse>;
  /** Both: it begins with the settings as they are. */
  save(by: By, fields: Fields): ReturnType<typeof converse>;
  operations(): Promise<number>;
}

async function openScene(): Promise<Scene> {
  const shop = await installShop(core);
  const recording = createRecordingChat();
  const chat = {
    ...recording,
    channelOf: ({ ref }: { ref: string }) => ref.split(':')[0] ?? '',
  };
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const egress = createEgress({ privateTargets: [TARGET], log: silentLog });
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
    ...{ egress, http: createHttp({ egress }) },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
  const thread = (channel: string) =>
    ({ platform: 'web', workspaceId: shop.workspaceId, ref: `${channel}:1` }) as const;
  let events = 0;
  const hand = (event: object) => converse(context, { id: `ev-${++events}`, ...event } as ChatEvent); // each caller says the rest
  const scene: Scene = {
    ...{ shop, chat: recording, forms: recording.forms },
    last: () => recording.calls.at(-1)?.card?.summary,
    async ask(channel = 'C1') {
      const text = `set up WooCommerce for http://${TARGET}`;
      await hand({ kind: 'message', thread: thread(channel), from: shop.merchant.person, text });
    },
    thread: thread('C1'),
    press: (event) => hand({ kind: 'action', thread: thread('C1'), from: shop.admin.person, trigger: 't', ...event }),
    async open(by) {
      const before = recording.forms.length;
      const { person } = shop[by];
      const words = { command: 'countersign', text: 'settings', trigger: 't' };
      await hand({ kind: 'command', thread: thread('C1'), from: person, ...words });
      return recording.forms[before];
    },
    send(form, by, fields, id = `sent-${++events}`) {
      const { person } = shop[by];
      const filled = { ...(form ? filledIn(form) : {}), ...fields };
      const { form: name, value } = form ?? { form: 'settings', value: '' };
      return hand({ id, kind: 'form', thread: thread('C1'), from: person, form: name, value, fields: filled });
    },
    async save(by, fields) {
      return scene.send(await scene.open(by), by, fields);
    },
    async operations() {
      const rows = await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations WHERE customer_id = $1', [
        shop.customerId,
      ]);
      return rows.length;
    },
  };
  return scene;
}

const settingsOf = ({ shop }: Scene) =>
  core.database.withCustomer(shop.customerId, async (tx) => ({
    rules: await core.customers.rules(tx, shop.customerId),
    approvers: (await core.customers.members(tx, shop.customerId, 'approver')).map(({ id }) => id),
  }));

describe('an admin', () => {
  test('has all settings in one form, at once, and a form that was not touched changes none', async () => {
    const scene = await openScene();
    const before = await settingsOf(scene);
    const form = await scene.open('admin');
    expect(scene.chat.calls.map(({ call }) => call)).toEqual(['openForm']);
    expect(form?.fields.map(({ name }) => name)).toEqual([
      ...['approvers', 'required', 'rules', 'mode', 'targets', 'channels', 'hourly', 'retention', 'model'],
      ...['digest', 'zone'],
    ]);
    expect(await scene.send(form, 'admin', {})).toBeUndefined();
    expect(scene.last()).toBe(
      'Saved. U-Abel, U-Anna may approve. I set things up at every public site. Records are kept for 90 days.',
    );
    expect(await settingsOf(scene)).toEqual(before);
  });

  test('fills a form of Slack however much there is, within its limits, and saves it as it was', async () => {
    const scene = await openScene();
    const hosts = Array.from({ length: 100 }, (_, n) =>
      `${String(n).padStart(3, '0')}.a-rather-long-name.example`.slice(0, 29),
    );
    const channels = Array.from({ length: 100 }, (_, n) => `C${String(n).padStart(8, '0')}`);
    const wanted = { targets: [hosts.join('\n')], channels, hourly: ['1000'], retention: ['36500'], required: ['2'] };
    expect(await scene.save('admin', wanted)).toBeUndefined();
    const form = await scene.open('admin');
    if (!form) throw new Error('no form was opened');
    const view = renderForm(form, { workspaceId: 'T0001', channel: 'C0001', ts: '1700000000.000100' });
    expect(problemsOfView({ ...view })).toEqual([]);
    const before = await settingsOf(scene);
    expect(before.rules.allowedTargets).toEqual(hosts);
    expect(await scene.send(form, 'admin', {})).toBeUndefined();
    expect(await settingsOf(scene)).toEqual(before);
  });

  test('saves all of it or nothing', async () => {
    const scene = await openScene();
    const before = await settingsOf(scene);
    const form = await scene.open('admin');
    const wanted = {
      required: ['2'],
      rules: ['admins'],
      targets: [TARGET],
      hourly: ['7'],
      retention: ['31'],
      model: [],
    };
    expect(await scene.send(form, 'admin', { ...wanted, retention: ['29'] })).toEqual({
      fieldErrors: { retention: 'Write a number from 30 to 36500, or nothing.' },
    });
    expect(await scene.send(form, 'admin', { ...wanted, required: ['9'] })).toEqual({
      fieldErrors: { required: 'Only 3 people could approve: choose more, or a smaller number.' },
    });
    expect(await settingsOf(scene)).toEqual(before);
    expect(await scene.send(form, 'admin', wanted)).toBeUndefined();
    expect((await settingsOf(scene)).rules).toMatchObject({
      ...{ approvalsRequired: 2, adminsApprove: true, allowedTargets: [TARGET], operationsPerHour: 7 },
      ...{ retentionDays: 31, allowsModel: false },
    });
    expect(scene.last()).toMatch(/It takes 2 of them\..*Records are kept for 31 days\. The model is switched off\.$/);
  });

  test('undoes no change of another admin that they have not seen', async () => {
    const scene = await openScene();
    const [first, second] = [await scene.open('admin'), await scene.open('admin')];
    expect(await scene.send(first, 'admin', { rules: ['own'] }, 'the first')).toBeUndefined();
    expect(await scene.send(second, 'admin', { targets: [TARGET] })).toEqual({
      fieldErrors: { approvers: expect.stringMatching(/^Ada has changed the settings since you opened this form/) },
    });
    expect((await settingsOf(scene)).rules).toMatchObject({ mayWorkAlone: true, allowedTargets: [] });
    // What its platform repeats was saved.
    expect(await scene.send(first, 'admin', { rules: ['own'] }, 'the first')).toBeUndefined();
    expect(await scene.save('admin', { targets: [TARGET] })).toBeUndefined();
    expect((await settingsOf(scene)).rules).toMatchObject({ mayWorkAlone: true, allowedTargets: [TARGET] });
  });

  test('who saves at the same moment as another one is the only one, or is told', async () => {
    const scene = await openScene();
    const forms = [await scene.open('admin'), await scene.open('admin'), await scene.open('admin')];
    const outcomes = await Promise.all(
      forms.map((form, index) => scene.send(form, 'admin', { hourly: [String(index + 1)] })),
    );
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1);
    const saved = outcomes.indexOf(undefined) + 1;
    expect((await settingsOf(scene)).rules).toMatchObject({ operationsPerHour: saved });
  });

  test('lets the bot say only how it is done: the steps come, and nothing is asked for', async () => {
    const scene = await openScene();
    expect(await scene.save('admin', { mode: ['guide_only'] })).toBeUndefined();
    expect(scene.last()).toMatch(/^Saved\. .* I only say how it is done by hand/);
    await scene.ask();
    expect(scene.last()).toMatch(/by hand$/);
    expect(await scene.operations()).toBe(0);
    await expect(requestOperation(core, scene.shop)).rejects.toThrow();
    await scene.save('admin', { mode: [] });
    await scene.ask();
    expect(await scene.operations()).toBe(1);
  });

  test('names the sites: at others nothing is asked for, whoever asks and however', async () => {
    const scene = await openScene();
    await scene.save('admin', { targets: ['https://Shop.example.com/\n*.example.org'] });
    await scene.ask();
    expect(scene.last()).toBe(`An admin does not let me work at ${TARGET}. Nothing was done.`);
    expect(await scene.operations()).toBe(0);
    await scene.save('admin', { targets: [TARGET] });
    await scene.ask();
    expect(await scene.operations()).toBe(1);
    expect(scene.forms.at(-1)?.fields.find(({ name }) => name === 'targets')).toMatchObject({
      initial: 'shop.example.com\n*.example.org',
    });
  });

  test('names the channels: elsewhere nothing is asked for, and whoever asks hears why, alone', async () => {
    const scene = await openScene();
    await scene.save('admin', { channels: ['C2'] });
    await scene.ask('C1');
    expect(scene.chat.calls.at(-1)).toMatchObject({ call: 'ephemeral' });
    expect(scene.last()).toMatch(/^An admin has chosen the channels/);
    expect(await scene.operations()).toBe(0);
    await scene.ask('C2');
    expect(await scene.operations()).toBe(1);
  });

  test('says how often: what is more is told when to ask again', async () => {
    const scene = await openScene();
    await scene.save('admin', { hourly: ['2'] });
    for (const _ of [1, 2, 3]) await scene.ask();
    expect(await scene.operations()).toBe(2);
    expect(scene.last()).toMatch(/^2 requests came from here within an hour/);
  });

  test('is told at its field what can’t be saved, and nothing is changed', async () => {
    const scene = await openScene();
    expect(await scene.save('admin', { targets: ['shop.example.com\nnot a site!'] })).toMatchObject({
      fieldErrors: { targets: '“not a site!” is no site. Write it like shop.example.com.' },
    });
    for (const hourly of ['0', '1001', '1.5', 'many'])
      expect(await scene.save('admin', { hourly: [hourly] })).toMatchObject({ fieldErrors: { hourly: /1 to 1000/ } });
    const many = Array.from({ length: 101 }, (_, n) => `s${n}.example.com`).join('\n');
    expect(await scene.save('admin', { targets: [many] })).toMatchObject({ fieldErrors: { targets: /At most 100/ } });
    const long = Array.from({ length: 60 }, (_, n) => `${n}.${'a'.repeat(50)}.example`).join('\n');
    expect(await scene.save('admin', { targets: [long] })).toMatchObject({
      fieldErrors: { targets: /At most 3000 c/ },
    });
    for (const retention of ['29', '36501', 'long'])
      expect(await scene.save('admin', { retention: [retention] })).toMatchObject({
        fieldErrors: { retention: /from 30 to 36500/ },
      });
    await scene.ask();
    expect(await scene.operations()).toBe(1);
  });
});

test('nobody else changes any of it, by the command or by a form of their own', async () => {
  const scene = await openScene();
  for (const by of ['merchant', 'approver'] as const) {
    expect(await scene.save(by, { mode: ['guide_only'] })).toMatchObject({
      fieldErrors: { approvers: 'Only an admin can change the settings. Nothing was changed.' },
    });
    expect(scene.chat.calls.at(-1)).toMatchObject({ call: 'ephemeral' });
    expect(scene.last()).toBe('Only an admin can change the settings. Nothing was changed.');
  }
  expect(scene.forms).toEqual([]);
  await scene.ask();
  expect(await scene.operations()).toBe(1);
});

describe('a site that an admin names', () => {
  test.each([
    ['shop.example.com', 'https://shop.example.com/', true],
    ['shop.example.com', 'https://shop.example.com/wp/', true],
    ['shop.example.com', 'https://evil-shop.example.com/', false],
    ['shop.example.com', 'https://shop.example.com.evil.example/', false],
    ['*.example.com', 'https://shop.example.com/', true],
    ['*.example.com', 'https://a.b.example.com/', true],
    ['*.example.com', 'https://example.com/', false],
    ['*.example.com', 'https://notexample.com/', false],
    ['shop.example.com:8443', 'https://shop.example.com:8443/', true],
    ['shop.example.com:8443', 'https://shop.example.com/', false],
  ])('%s, of %s: %s', (allowed, base, isAllowed) => {
    expect(isAllowedTarget(base, { allowedTargets: [allowed] })).toBe(isAllowed);
  });

  test.each([
    ['https://Shop.Example.com/path?x', 'shop.example.com'],
    ['*.example.com', '*.example.com'],
    ['*', undefined],

    ['shop example.com', undefined],
    ['user@shop.example.com', undefined],
  ])('as %s is %s', (words, host) => {
    expect(parseAllowedTarget(words)).toBe(host);
  });
});

describe('the first day', () => {
  const welcome = (scene: Scene, action: string, more: object) =>
    scene.press({ action, value: '', message: { ref: 'welcome', thread: scene.thread }, ...more });

  test.each([
    ['Choose approvers', 'choose_approvers'],
    ['I work alone', 'work_alone'],
  ])('the card that came directly goes with “%s”', async (_, action) => {
    const scene = await openScene();
    await core.database.withCustomer(scene.shop.customerId, (tx) =>
      core.customers.setApprovers(tx, scene.shop.customerId, [], false),
    );
    await welcome(scene, action, {});
    if (action === 'choose_approvers')
      expect(await scene.send(scene.forms.at(-1), 'admin', { approvers: ['U-Abel'] })).toBeUndefined();
    expect(scene.chat.calls.at(-1)).toMatchObject({
      call: 'update',
      card: { summary: expect.stringMatching(/^Saved\. /) },
    });
    expect(scene.last()).toMatch(
      action === 'work_alone' ? /Ada may approve, own requests, too\.$|U-Ada/ : /U-Abel may approve\.$/,
    );
  });

  test.each([
    [{ adminsApprove: true }, 'Every admin may approve. It takes 2 of them.'],
    [{ approverGroup: 'G-1' }, 'Everybody in the group G-1 may approve. It takes 2 of them.'],
  ])('an old card’s “I work alone” undoes nothing that was chosen since: %o', async (chosen, words) => {
    const scene = await openScene();
    await core.database.withCustomer(scene.shop.customerId, async (tx) => {
      await core.customers.setApprovers(tx, scene.shop.customerId, [], false);
      const rules = { approvalsRequired: 2, adminsApprove: false, approverGroup: null, ...chosen };
      await core.customers.setRules(tx, scene.shop.customerId, rules);
    });
    const before = await settingsOf(scene);
    await welcome(scene, 'work_alone', {});
    expect(await settingsOf(scene)).toEqual(before);
    expect(scene.last()).toBe(
      `That was chosen already. ${words} Nothing was changed; /countersign settings changes it.`,
    );
  });

  test('“I work alone” that is delivered twice is answered alike', async () => {
    const scene = await openScene();
    await core.database.withCustomer(scene.shop.customerId, (tx) =>
      core.customers.setApprovers(tx, scene.shop.customerId, [], false),
    );
    for (const _ of [1, 2]) await welcome(scene, 'work_alone', { id: 'twice' });
    expect(scene.chat.calls.map(({ card }) => card?.summary)).toEqual(
      Array.from({ length: 2 }, () => expect.stringMatching(/^Saved\. /)),
    );
  });
});
