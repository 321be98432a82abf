// What an admin lets the bot do at all: bot/work-flow.ts, core/customers/settings.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import { isAllowedTarget, parseAllowedTarget } from '../../core/customers/settings.ts';
import type { ChatEvent, Form } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

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

interface Scene {
  readonly shop: Shop;
  readonly chat: RecordingChat;
  readonly forms: readonly Form[];
  /** What was said last, to whomever. */
  last(): string | undefined;
  ask(channel?: string): Promise<void>;
  save(by: 'admin' | 'merchant', fields: Readonly<Record<string, readonly string[]>>): ReturnType<typeof converse>;
  operations(): Promise<number>;
}

async function openScene(): Promise<Scene> {
  const shop = await installShop(core);
  const recording = createRecordingChat();
  const forms: Form[] = [];
  const chat = {
    ...recording,
    openForm: async (_: string, form: Form) => void forms.push(form),
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
  return {
    ...{ shop, chat: recording, forms },
    last: () => recording.calls.at(-1)?.card?.summary,
    async ask(channel = 'C1') {
      const text = `set up WooCommerce for http://${TARGET}`;
      await hand({ kind: 'message', thread: thread(channel), from: shop.merchant.person, text });
    },
    async save(by, fields) {
      const { person } = shop[by];
      await hand({
        kind: 'action',
        thread: thread('C1'),
        from: person,
        action: 'choose_work',
        value: '',
        trigger: 't',
      });
      return hand({ kind: 'form', thread: thread('C1'), from: person, form: 'work', value: '', fields });
    },
    async operations() {
      const rows = await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations WHERE customer_id = $1', [
        shop.customerId,
      ]);
      return rows.length;
    },
  };
}

describe('an admin', () => {
  test('lets the bot say only how it is done: the steps come, and nothing is asked for', async () => {
    const scene = await openScene();
    expect(await scene.save('admin', { mode: ['guide_only'] })).toBeUndefined();
    expect(scene.last()).toMatch(/^Saved\. I only say how it is done by hand/);
    await scene.ask();
    expect(scene.last()).toMatch(/by hand$/);
    expect(await scene.operations()).toBe(0);
    await expect(requestOperation(core, scene.shop)).rejects.toThrow();
    await scene.save('admin', {});
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
    expect(scene.last()).toMatch(/^You have asked for 2 set-ups within an hour/);
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
    await scene.ask();
    expect(await scene.operations()).toBe(1);
  });
});

test('nobody else changes any of it, by the button or by a form of their own', async () => {
  const scene = await openScene();
  expect(await scene.save('merchant', { mode: ['guide_only'] })).toMatchObject({
    fieldErrors: { mode: 'Only an admin can change this.' },
  });
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
