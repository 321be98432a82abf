// What people are told, where they want it, and once: core/notices, bot/notices.ts, bot/notify-flow.ts.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { renderForm } from '../../adapters/slack/forms.ts';
import { createNotices } from '../../bot/notices.ts';
import type { Member } from '../../core/customers/customers.ts';
import { setDigest } from '../../core/customers/settings.ts';
import type { Directory } from '../../core/directory.ts';
import { CountersignError } from '../../core/errors.ts';
import { newUuid } from '../../core/ids.ts';
import { choose } from '../../core/notices/choices.ts';
import { mondays } from '../../core/notices/clock.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Card } from '../../core/ports/chat.ts';
import { createWebhooks } from '../../core/webhooks/webhooks.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, cancel, grantedOperation, openCore, requestOperation, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { DAY, noticesOn, type Scene } from '../support/notices.ts';
import { filledIn } from '../support/recording-chat.ts';
import { problemsOfView } from '../support/slack/blocks.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
const { pass, putBack, inMs, inside, openScene, standingConsent } = noticesOn(() => ({
  testDatabase,
  core,
  keeper,
}));

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});
afterEach(putBack);
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
  keeper.remove();
});

const wordsOf = (card: Card | undefined) => JSON.stringify(card);

describe('whoever wants to be told directly', () => {
  /** Quiet from an hour ago until in two hours. */
  const quietNow = () => {
    const minute = Math.floor(inMs(0).getTime() / 60_000) % 1440;
    return { from: (minute + 1380) % 1440, to: (minute + 120) % 1440, timeZone: 'UTC' };
  };

  test('hears of the end and of what waits for them; whoever chose nothing is told in the thread alone', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    await cancel(core, await requestOperation(core, shop));
    await inside(shop, (tx) =>
      choose(tx, shop.customerId, shop.merchant.id, { place: 'direct', timeZone: 'UTC', quiet: undefined }),
    );
    const operation = await grantedOperation(core, shop);
    await scene.look();
    expect(chat.direct().map(({ to, card }) => `${to.name}: ${card.summary}`)).toEqual([
      'Mona: Create a WooCommerce API key for shop.example.com: waits for you',
    ]);
    await cancel(core, operation);
    await scene.look();
    expect(
      chat
        .direct()
        .map(({ card }) => card.summary)
        .at(-1),
    ).toMatch(/shop\.example\.com: (cancelled|stopped)/);
    expect(chat.direct()).toHaveLength(2);
  });

  test('hears in quiet hours of what waits for them alone; the rest comes afterwards, as one message', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const quiet = quietNow();
    await inside(shop, (tx) =>
      choose(tx, shop.customerId, shop.merchant.id, { place: 'direct', timeZone: 'UTC', quiet }),
    );
    await cancel(core, await requestOperation(core, shop));
    await cancel(core, await requestOperation(core, shop));
    await grantedOperation(core, shop);
    await scene.look();
    expect(chat.direct().map(({ card }) => card.summary)).toEqual([expect.stringContaining('waits for you')]);
    await pass(3 * 3_600_000);
    await scene.look();
    await scene.look();
    expect(chat.direct()).toHaveLength(2);
    expect(chat.direct()[1]?.card.summary).toMatch(/^2 messages: .+ · .+/);
  });

  test('who ends their quiet hours hears at once of what waited', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const { customerId, merchant } = shop;
    const direct = { place: 'direct', timeZone: 'UTC' } as const;
    await inside(shop, (tx) => choose(tx, customerId, merchant.id, { ...direct, quiet: quietNow() }));
    await cancel(core, await requestOperation(core, shop));
    await scene.look();
    expect(chat.direct()).toEqual([]);
    await inside(shop, (tx) => choose(tx, customerId, merchant.id, { ...direct, quiet: undefined }));
    await scene.look();
    expect(chat.direct()).toHaveLength(1);
  });

  test('sees one message, although its process died before it wrote down that it had sent it', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const { customerId, merchant } = shop;
    await inside(shop, (tx) =>
      choose(tx, customerId, merchant.id, { place: 'direct', timeZone: 'UTC', quiet: undefined }),
    );
    await cancel(core, await requestOperation(core, shop));
    const dying = {
      ...chat,
      async directMessage(...call: Parameters<typeof chat.directMessage>): Promise<never> {
        await chat.directMessage(...call);
        throw new CountersignError('chat_unavailable', 'gone', { isRetryable: true });
      },
    };
    await createNotices({ ...scene.told, chat: () => dying }).deliver();
    await cancel(core, await requestOperation(core, shop)); // comes in a message of its own
    await scene.look();
    await scene.look();
    expect(chat.direct().map(({ card }) => card.summary.startsWith('2 messages'))).toEqual([false, false]);
  });
});

test('a customer whose platform takes its time keeps nobody else waiting, in this round or in the next', async () => {
  const [slow, quick] = [await openScene(), await openScene()];
  const answered = Promise.withResolvers<void>();
  for (const { shop } of [slow, quick])
    await inside(shop, (tx) =>
      choose(tx, shop.customerId, shop.merchant.id, { place: 'direct', timeZone: 'UTC', quiet: undefined }),
    );
  const end = async ({ shop }: Scene) => cancel(core, await requestOperation(core, shop));
  await Promise.all([end(slow), end(quick)]);
  const both = [slow, quick].map(({ shop }) => shop.customerId);
  const directory: Directory = {
    ...core.directory,
    customersToNotify: async () => {
      const due = await core.directory.customersToNotify();
      return both.filter((customerId) => due.includes(customerId)); // the slow one first
    },
  };
  let most = 0;
  let sending = 0;
  const chat = {
    ...quick.chat,
    async directMessage(...[to, ...rest]: Parameters<typeof quick.chat.directMessage>) {
      if (to.workspaceId !== slow.shop.workspaceId) return quick.chat.directMessage(to, ...rest);
      most = Math.max(most, ++sending);
      await answered.promise;
      sending -= 1;
      return slow.chat.directMessage(to, ...rest);
    },
  };
  const notices = createNotices({ ...quick.told, directory, chat: () => chat });
  const first = notices.deliver();
  try {
    await vi.waitFor(() => expect(quick.chat.direct()).toHaveLength(1), 10_000);
    await Promise.all([end(slow), end(quick)]);
    const second = notices.deliver();
    await vi.waitFor(() => expect(quick.chat.direct()).toHaveLength(2), 10_000);
    answered.resolve();
    await Promise.all([first, second]);
  } finally {
    answered.resolve();
    await first;
  }
  await notices.deliver();
  expect([slow.chat.direct().length, most]).toEqual([2, 1]);
});

describe('the form', () => {
  const open = async ({ shop, chat, hand }: Scene, by: Member = shop.merchant) => {
    const command = { kind: 'command', command: 'countersign', text: 'notify', trigger: 't' };
    await hand({ ...command, from: by.person });
    return chat.forms.at(-1);
  };
  const send = async (scene: Scene, fields: Readonly<Record<string, readonly string[]>>) => {
    const form = await open(scene);
    const filled = { ...(form ? filledIn(form) : {}), ...fields };
    return scene.hand({ kind: 'form', from: scene.shop.merchant.person, form: 'notify', value: '', fields: filled });
  };

  test('says what holds, is one that Slack takes, and changes it for whoever sent it alone', async () => {
    const scene = await openScene();
    const form = await open(scene);
    expect(form && filledIn(form)).toEqual({ place: ['thread'], from: [], to: [], zone: ['UTC'] });
    expect(form && problemsOfView({ ...renderForm(form, { workspaceId: 'T0001', channel: 'C0001' }) })).toEqual([]);
    expect(
      await send(scene, { place: ['direct'], from: ['22'], to: ['07:30'], zone: ['Europe/Berlin'] }),
    ).toBeUndefined();
    expect(scene.chat.calls.at(-1)?.card?.summary).toMatch(
      /^Saved\. I tell you directly\. From 22:00 to 07:30 \(Europe\/Berlin, where it is \d\d:\d\d now\) I keep what can wait\.$/,
    );
    const again = await open(scene);
    expect(again && filledIn(again)).toEqual({
      ...{ place: ['direct'], from: ['22:00'], to: ['07:30'], zone: ['Europe/Berlin'] },
    });
    const others = await open(scene, scene.shop.admin);
    expect(others && filledIn(others)).toMatchObject({ place: ['thread'] });
  });

  test.each([
    ['10 pm', '7:30 AM'],
    ['22.00', '730'],
    ['2200', '07.30'],
  ])('takes %s and %s for times', async (from, to) => {
    const scene = await openScene();
    expect(await send(scene, { from: [from], to: [to] })).toBeUndefined();
    const form = await open(scene);
    expect(form && filledIn(form)).toMatchObject({ from: ['22:00'], to: ['07:30'] });
  });

  test('says what a webhook hears, and where the rest is told', async () => {
    const scene = await openScene();
    const url = 'https://hooks.example.com';
    await createWebhooks(core).add(scene.shop.customerId, { url, kinds: ['operation'] });
    expect(await send(scene, { place: ['webhook'] })).toBeUndefined();
    expect(scene.chat.calls.at(-1)?.card?.summary).toBe(
      'Saved. Your organisation’s webhook is told of consents that end soon; the rest I tell you directly.',
    );
  });

  test.each([
    ['no time', { from: ['25:00'], to: ['07:00'] }, 'from'],
    ['no hour of half a day', { from: ['13 pm'], to: ['07:00'] }, 'from'],
    ['one time', { from: ['22:00'] }, 'to'],
    ['the same time twice', { from: ['22:00'], to: ['22:00'] }, 'to'],
    ['no zone', { zone: ['Mars/Olympus'] }, 'zone'],
    ['a place that is none', { place: ['fax'] }, 'place'],
    ['a webhook that is not there', { place: ['webhook'] }, 'place'],
  ])('refuses %s', async (_, fields, field) => {
    const answer = await send(await openScene(), fields);
    expect(answer && 'fieldErrors' in answer && Object.keys(answer.fieldErrors)).toEqual([field]);
  });
});

describe('the summary of a week', () => {
  /** To half an hour before Monday, 09:00 in Berlin. */
  const beforeMonday = async ({ shop }: Scene) => {
    await inside(shop, (tx) => setDigest(tx, shop.customerId, { hasDigest: true, timeZone: 'Europe/Berlin' }));
    const { next } = mondays(inMs(0), 'Europe/Berlin');
    await pass(next.getTime() - inMs(0).getTime() - 30 * 60_000);
  };

  test('comes to each admin once, on Monday at nine, with figures and no secret', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', {
      ...{ target: 'https://shop.example.com', value: 'ck_canary7f3a9c51', expiresAt: inMs(12 * DAY) },
    });
    await sql(
      testDatabase.adminUrl,
      "UPDATE connection_health SET state = 'broken', checked_at = app.now() WHERE customer_id = $1",
      [shop.customerId],
    );
    await beforeMonday(scene);
    await cancel(core, await requestOperation(core, shop));
    await scene.look();
    expect(chat.direct()).toEqual([]);
    await pass(31 * 60_000);
    await scene.look();
    await scene.look();
    expect(chat.direct().map(({ to }) => to.name)).toEqual(['Ada']);
    const words = wordsOf(chat.direct()[0]?.card);
    expect(words).toContain('WooCommerce at shop.example.com');
    expect(words).toContain('1 made, 0 rotated');
    expect(words).toContain('"detail":"does not work any more"');
    expect(words).not.toContain('canary');
    await pass(7 * DAY - 3_600_000);
    await scene.look();
    await pass(3_600_000);
    await scene.look();
    expect(chat.direct()).toHaveLength(2); // the key still expires
  });

  test('comes once for a Monday, also to whoever moves to another zone in the course of it', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const zone = (timeZone: string) =>
      inside(shop, (tx) => setDigest(tx, shop.customerId, { hasDigest: true, timeZone }));
    const until = async (timeZone: string) =>
      pass(mondays(inMs(0), timeZone).next.getTime() - inMs(0).getTime() + 60_000);
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', {
      ...{ target: 'https://shop.example.com', value: 'x', expiresAt: inMs(20 * DAY) },
    });
    await zone('Pacific/Auckland');
    await until('Pacific/Auckland');
    await scene.look();
    expect(chat.direct()).toHaveLength(1);
    await zone('Europe/Berlin');
    await until('Europe/Berlin');
    await scene.look();
    await scene.look();
    expect(chat.direct()).toHaveLength(1);
  });

  test('does not come after a week in which nothing happened, nor where it is switched off', async () => {
    const silent = await openScene();
    await beforeMonday(silent);
    await silent.look();
    await pass(3_600_000);
    await silent.look();
    expect(silent.chat.direct()).toEqual([]);
    const off = await openScene();
    await beforeMonday(off);
    await standingConsent(off, 10);
    await off.look();
    await inside(off.shop, (tx) => setDigest(tx, off.shop.customerId, { hasDigest: false, timeZone: null }));
    await pass(3_600_000);
    await off.look();
    expect(off.chat.direct()).toEqual([]);
  });
});

describe('a step', () => {
  let attempt = 0n;
  const tries = async ({ shop }: Scene, operation: Operation, done: number, failed: number) => {
    for (let n = 0; n < done + failed; n++)
      await inside(shop, (tx) =>
        core.audit.append(tx, shop.customerId, {
          ...{ kind: 'step.finished', operationId: operation.id, stepNumber: 4, attempt: ++attempt },
          ...{ success: n < done, durationMs: 1 },
        }),
      );
    // A step's record is written with its operation's.
    await sql(testDatabase.adminUrl, 'UPDATE autonomous_operations SET updated_at = app.now() WHERE id = $1', [
      operation.id,
    ]);
  };
  const pictured = async ({ shop }: Scene, operation: Operation, state: 'done' | 'failed') => {
    const id = newUuid();
    await inside(shop, async (tx) => {
      const { customerId } = shop;
      const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 640, height: 400, alt: '' };
      await tx.screenshot.create({ data: { customerId, id, operationId: operation.id, step: 4, ...picture } });
      const key = { customerId, operationId: operation.id, number: 4 };
      await tx.operationStep.upsert({
        where: { customerId_operationId_number: key },
        create: { ...key, intent: 'Press', state, screenshotId: id, finishedAt: new Date() },
        update: { state, screenshotId: id, finishedAt: new Date() },
      });
    });
    return id;
  };

  test('that fails more often is told to admins once, with a picture of then and of now, and closed when it is over', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const [before, now] = [await requestOperation(core, shop), await requestOperation(core, shop)];
    await tries(scene, before, 11, 1);
    const old = await pictured(scene, before, 'done');
    await pass(20 * DAY);
    await tries(scene, now, 6, 3);
    await scene.look();
    expect(chat.direct()).toEqual([]); // nine tries say too little
    const fresh = await pictured(scene, now, 'failed');
    await tries(scene, now, 0, 1);
    await scene.look();
    await scene.look();
    const [told, ...more] = chat.direct();
    expect([told?.to.name, more]).toEqual(['Ada', []]);
    expect(told?.card.summary).toMatch(/^A step fails more often: “.+” of “WooCommerce: create a REST API key”$/);
    const words = wordsOf(told?.card);
    expect(words).toContain('went well in 60 % of 10 tries in the last 7 days, and in 92 % of 12');
    expect(words.indexOf(`/pictures/${old}`)).toBeLessThan(words.indexOf(`/pictures/${fresh}`));
    expect(words).toContain(`/pictures/${old}`);
    await pass(8 * DAY);
    await tries(scene, now, 10, 0);
    await scene.look();
    await scene.look();
    expect(chat.direct().map(({ card }) => card.summary)).toEqual([expect.stringContaining('goes well again')]);
    await tries(scene, now, 0, 20);
    await scene.look();
    expect(chat.direct()).toHaveLength(2); // another time, another card
  });

  test('that always failed, or fell a little, is told to nobody', async () => {
    const scene = await openScene();
    const [before, now] = [await requestOperation(core, scene.shop), await requestOperation(core, scene.shop)];
    await tries(scene, before, 9, 3);
    await pass(20 * DAY);
    await tries(scene, now, 7, 4);
    await scene.look();
    expect(scene.chat.direct()).toEqual([]);
  });
});
