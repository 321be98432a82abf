// Several services in one sentence: what they are asked on, and what becomes of that card.
// One database for all.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import { setWork } from '../../core/customers/settings.ts';
import type { OperationId } from '../../core/ids.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import type { Button, Card, ChatEvent } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { buttonsOf, labels } from '../support/cards.ts';
import { type Core, installShop, openCore, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
vi.setConfig({ testTimeout: 120_000 });

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

interface Row {
  readonly id: string;
  readonly service: string;
  readonly target: string;
  readonly status: string;
  readonly plan_hash: string;
}

async function openScene() {
  const shop = await installShop(core);
  const chat = createRecordingChat();
  // Names that no test can reach: all of them answer but those that begin with `closed`.
  const egress = {
    ...createEgress({ privateTargets: [], log: silentLog }),
    check: async (origin: string) =>
      origin.includes('closed') ? ({ isAllowed: false, why: 'unresolvable' } as never) : ({ isAllowed: true } as const),
  };
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
    ...{ egress, http: { request: async () => ({ status: 200, headers: {}, body: '' }) } },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  let events = 0;
  const hand = (event: object) => converse(context, { id: `ev-${++events}`, thread, ...event } as ChatEvent); // each caller says the rest
  const card = (): Card => {
    const found = chat.shown().find(({ summary }) => summary.startsWith('Set up '));
    if (!found) throw new Error('there is no card about several');
    return found;
  };
  return {
    ...{ shop, chat, card, hand, refresh: context.progress.refresh },
    say: (text: string, { person }: Member = shop.merchant) => hand({ kind: 'message', from: person, text }),
    press: ({ person }: Member, { action, value }: Pick<Button, 'action' | 'value'>) =>
      hand({ kind: 'action', from: person, action, value, trigger: 't' }),
    button: (label: string, shown = card()) => {
      const found = buttonsOf(shown).find((each) => each.label === label);
      if (!found) throw new Error(`there is no ${label} among ${buttonsOf(shown).map((each) => each.label)}`);
      return found;
    },
    alone: () => chat.calls.filter(({ call }) => call === 'ephemeral').map(({ card: its }) => its?.summary ?? ''),
    last: () => chat.shown().at(-1)?.summary,
    operations: () =>
      sql<Row>(
        testDatabase.adminUrl,
        'SELECT id, service, target, status, plan_hash FROM autonomous_operations WHERE customer_id = $1 ORDER BY service DESC',
        [shop.customerId],
      ),
  };
}
type Scene = Awaited<ReturnType<typeof openScene>>;

const wordsOf = (card: Card | undefined) => JSON.stringify(card?.blocks);
const states = async (scene: Scene) => (await scene.operations()).map(({ status }) => status);
const SENTENCE = 'set up WooCommerce and Stripe for shop.example.com';
const asked = async (): Promise<Scene> => {
  const scene = await openScene();
  await scene.say(SENTENCE);
  return scene;
};

describe('the sentence', () => {
  test('makes one operation each and one card, on which each plan stands by itself', async () => {
    const scene = await asked();
    const [woo, stripe] = await scene.operations();
    expect([woo?.target, stripe?.target]).toEqual(['https://shop.example.com', 'https://dashboard.stripe.com']);
    expect(scene.chat.shown()).toHaveLength(1);
    expect(scene.chat.calls.filter(({ call }) => call === 'post')).toHaveLength(1);
    const card = scene.card();
    expect(card).toMatchObject({
      summary: 'Set up WooCommerce and Stripe: waiting for approval',
      status: { tone: 'waiting', words: 'Waiting for approval' },
    });
    expect(labels(card)).toEqual(['Approve both', 'Deny both', 'One at a time', 'Withdraw both']);
    const headings = card.blocks.flatMap((block) => (block.kind === 'heading' ? [JSON.stringify(block.text)] : []));
    expect(headings).toEqual([
      expect.stringContaining('Set up WooCommerce and Stripe'),
      expect.stringContaining('1. Create a WooCommerce API key for shop.example.com'),
      expect.stringContaining('2. Create a Stripe restricted key for dashboard.stripe.com'),
    ]);
    for (const { id, plan_hash: hash } of await scene.operations()) {
      expect(wordsOf(card)).toContain(id);
      expect(wordsOf(card)).toContain(`${hash.slice(0, 4)}…${hash.slice(-4)}`);
      expect(scene.button('Approve both').value).toContain(`${id} ${hash}`);
    }
    expect(card.blocks.filter(({ kind }) => kind === 'details')).toHaveLength(2);
  });

  test('delivered twenty times asks once', async () => {
    const scene = await openScene();
    const event = { kind: 'message', id: 'again', from: scene.shop.merchant.person, text: SENTENCE };
    await Promise.all(Array.from({ length: 20 }, () => scene.hand(event)));
    expect([(await scene.operations()).length, scene.chat.shown().length]).toEqual([2, 1]);
  });

  test('without an address is asked one question, and keeps what was understood', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce and Stripe');
    expect(scene.last()).toBe(
      'Gladly. For WooCommerce, what is the address of your shop? Write it here, such as “shop.example.com”. Stripe is noted; I ask for approval once I know this, too.',
    );
    await scene.say('other.example.com', scene.shop.approver); // was not asked
    expect(await scene.operations()).toEqual([]);
    await scene.say('shop.example.com');
    expect((await scene.operations()).map(({ target }) => target)).toEqual([
      'https://shop.example.com',
      'https://dashboard.stripe.com',
    ]);
    expect(labels(scene.card())).toContain('Approve both');
  });

  test('with two addresses that could be either’s is asked whose they are, and the answer goes on', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce, WordPress and Stripe for shop.example.com and blog.example.com');
    expect(scene.last()).toBe(
      "You named “shop.example.com” and “blog.example.com”, and I can't tell which is whose. Nothing was done yet. Write it like this: “WooCommerce at shop.example.com and WordPress at shop.example.com”.",
    );
    expect(await scene.operations()).toEqual([]);
    await scene.say('WooCommerce is at shop.example.com');
    expect(scene.last()).toMatch(
      /^Gladly\. For WordPress, what is the address of your site\?.*WooCommerce at shop\.example\.com and Stripe are noted/,
    );
    await scene.say('blog.example.com');
    expect((await scene.operations()).map(({ service, target }) => [service, target])).toEqual(
      [
        ['woocommerce', 'https://shop.example.com'],
        ['wordpress', 'https://blog.example.com'],
        ['stripe', 'https://dashboard.stripe.com'],
      ].toSorted(([a = ''], [b = '']) => (a < b ? 1 : -1)),
    );
    expect(labels(scene.card())).toContain('Approve all 3');
  });

  test('with one address for several kinds of site gives it to those that it can be of', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce and Shopify');
    expect(scene.last()).toContain('Which addresses are WooCommerce and Shopify at?');
    await scene.say('my-shop.myshopify.com');
    expect(scene.last()).toContain('For WooCommerce, what is the address of your shop?');
    await scene.say('shop.example.com');
    expect((await scene.operations()).map(({ target }) => target)).toEqual([
      'https://shop.example.com',
      'https://my-shop.myshopify.com',
    ]);
  });

  test('says of what it can not set up that it can not, also while it asks', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce, Xero and Stripe');
    expect(scene.last()).toMatch(
      /^I can't set up Xero yet\. Gladly\. For WooCommerce, what is the address of your shop\?/,
    );
  });

  test('with more than three services is refused as a whole', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce, WordPress, Shopify and Stripe for shop.example.com');
    expect(scene.last()).toBe(
      'You named 4 services, and I ask for 3 at a time at most. Nothing was done: name up to 3 of them.',
    );
    expect(await scene.operations()).toEqual([]);
  });

  test('goes on without what can not be opened or set up, says so, and takes the right address afterwards', async () => {
    const scene = await openScene();
    await scene.say('set up WooCommerce for shop.example.com, Xero, Stripe and WordPress for closed.example.com');
    expect(wordsOf(scene.chat.shown()[0])).toMatch(
      /I can't set up Xero yet\..*WordPress: I can't open closed\.example\.com.*I ask for WooCommerce and Stripe without them\. Write the right address here/,
    );
    expect((await scene.operations()).map(({ service }) => service)).toEqual(['woocommerce', 'stripe']);
    expect(scene.card().summary).toContain('Set up WooCommerce and Stripe');
    await scene.say('blog.example.com');
    expect((await scene.operations()).map(({ service }) => service)).toEqual(['wordpress', 'woocommerce', 'stripe']);
    expect(scene.last()).toContain('Create a WordPress');
  });

  test('goes on without a target that an admin closed; more than the hour allows are not asked for at all', async () => {
    const scene = await openScene();
    const { customerId } = scene.shop;
    const allow = (allowedTargets: readonly string[], operationsPerHour: number) =>
      core.database.withCustomer(customerId, (tx) =>
        setWork(tx, customerId, { isGuideOnly: false, operationsPerHour, allowedTargets, allowedChannels: [] }),
      );
    await allow(['dashboard.stripe.com'], 2);
    await scene.say(SENTENCE);
    expect(scene.chat.shown()[0]?.summary).toBe('An admin does not let me work at shop.example.com. Nothing was done.');
    expect((await scene.operations()).map(({ service }) => service)).toEqual(['stripe']);
    await allow([], 2);
    await scene.say(SENTENCE);
    expect(scene.last()).toMatch(/^2 requests came from here within an hour, which is the limit\. Nothing was done\./);
    await allow([], 1);
    await scene.say(SENTENCE);
    expect(scene.last()).toBe(
      'You asked for 2 set-ups at once, and 1 within an hour is the limit. Nothing was done: ask for fewer.',
    );
    expect(await scene.operations()).toHaveLength(1);
  });

  test('changed before anybody approved withdraws both, and asks anew for what stands there now', async () => {
    const scene = await asked();
    const edit = (before: string, after: string) =>
      scene.hand({ kind: 'edit', from: scene.shop.merchant.person, before, after });
    await edit(SENTENCE, 'please set up Stripe, and WooCommerce for https://shop.example.com/');
    expect(await states(scene)).toEqual(['awaiting_consent', 'awaiting_consent']);
    await edit(SENTENCE, 'set up WooCommerce for other.example.com');
    expect((await scene.operations()).map(({ target, status }) => `${target} ${status}`).toSorted()).toEqual([
      'https://dashboard.stripe.com cancelled',
      'https://other.example.com awaiting_consent',
      'https://shop.example.com cancelled',
    ]);
  });
});

describe('“Approve both”', () => {
  test('countersigns both, and whoever asked gets a link for each that does not take the other’s place', async () => {
    const scene = await asked();
    const both = scene.button('Approve both');
    await scene.press(scene.shop.approver, both);
    expect(await states(scene)).toEqual(['awaiting_credentials', 'awaiting_credentials']);
    const links = scene.chat.calls.filter(({ call, key }) => call === 'ephemeral' && key?.startsWith('link:'));
    expect(new Set(links.map(({ key }) => key)).size).toBe(2);
    expect(scene.alone()).toEqual([
      'It was approved. Enter the WooCommerce sign-in for shop.example.com on your one-time page.',
      'It was approved. Your one-time page says how you make the Stripe key, and takes it.',
    ]);
    const card = scene.card();
    expect(card.summary).toMatch(
      /^Set up WooCommerce and Stripe: WooCommerce countersigned, waiting for the .*Stripe countersigned, waiting for the key$/,
    );
    expect(labels(card)).toEqual(['Enter the WooCommerce sign-in', 'Withdraw', 'Enter the Stripe key', 'Withdraw']);
    expect(card.blocks.filter(({ kind }) => kind === 'signature')).toHaveLength(2);
    expect(scene.chat.shown()).toHaveLength(1);
    // A second click, a late one, and one of somebody else: told, and nothing more happens.
    for (const who of [scene.shop.approver, scene.shop.secondApprover]) {
      await scene.press(who, both);
      expect(scene.alone().at(-1)).toMatch(
        /^WooCommerce: This was decided already: granted by Abel\. Your click changed nothing\. Stripe: .* nothing was decided now\.$/,
      );
    }
    expect(scene.chat.calls.filter(({ key }) => key?.startsWith('link:'))).toHaveLength(2);
  });

  test('delivered twenty times at once grants each once and sends each link once', async () => {
    const scene = await asked();
    const { action, value } = scene.button('Approve both');
    const event = { kind: 'action', id: 'click', from: scene.shop.approver.person, action, value, trigger: 't' };
    await Promise.all(Array.from({ length: 20 }, () => scene.hand(event)));
    expect(await states(scene)).toEqual(['awaiting_credentials', 'awaiting_credentials']);
    expect(scene.chat.calls.filter(({ key }) => key?.startsWith('link:'))).toHaveLength(2);
    expect(scene.alone().filter((words) => words.includes('decided'))).toEqual([]);
  });

  test('is refused to who may not, and with a plan that has changed since: nothing is half approved', async () => {
    const scene = await asked();
    const both = scene.button('Approve both');
    await scene.press(scene.shop.merchant, both);
    expect(scene.alone().at(-1)).toMatch(/You may not decide on this request.*None of these requests was decided/);
    const [, stripe] = await scene.operations();
    const { customerId, merchant } = scene.shop;
    await core.database.withCustomer(customerId, async (tx) => {
      const operation = await core.operations.get(tx, customerId, stripe?.id ?? '');
      const fewer = operation?.plan.permissions.filter((id) => id !== 'read_customers') ?? [];
      if (operation) await core.operations.choosePermissions(tx, operation, fewer, merchant);
    });
    await scene.press(scene.shop.approver, both);
    expect(scene.alone().at(-1)).toMatch(
      /^Stripe: This card is from an earlier version of the plan\..* nothing was decided now\.$/,
    );
    expect(await states(scene)).toEqual(['awaiting_consent', 'awaiting_consent']);
    const anew = scene.button('Approve both');
    expect(anew.value).not.toBe(both.value);
    await scene.press(scene.shop.approver, anew);
    expect(await states(scene)).toEqual(['awaiting_credentials', 'awaiting_credentials']);
  });

  test.each([
    '',
    'op-00000000',
    'op-00000000 x',
    'op-00000000 x op-00000000 x',
    'a b c d e f g h',
    'a  b c',
    '1 2 3 4 5',
  ])('takes no button that no card has: «%s»', async (value) => {
    const scene = await asked();
    for (const action of ['approve_together', 'deny_together', 'split_together'])
      await scene.press(scene.shop.approver, { action, value });
    expect(new Set(scene.alone())).toEqual(new Set([expect.stringContaining('Nothing was decided')]));
    expect(await states(scene)).toEqual(['awaiting_consent', 'awaiting_consent']);
  });
});

test('“Deny both” takes one reason, which stands with each of them', async () => {
  const scene = await asked();
  const both = scene.button('Deny both');
  await scene.press(scene.shop.merchant, both);
  expect(scene.chat.forms).toEqual([]);
  await scene.press(scene.shop.approver, both);
  expect(scene.chat.forms.at(-1)).toMatchObject({
    form: 'deny_together',
    title: 'Deny both requests?',
    value: both.value,
  });
  const submit = (reason: string) =>
    scene.hand({
      ...{ kind: 'form', from: scene.shop.approver.person, form: 'deny_together', value: both.value },
      fields: { reason: [reason] },
    });
  expect(await submit(' ')).toMatchObject({ fieldErrors: { reason: expect.stringContaining('Write a reason') } });
  await submit('not this week');
  expect(await states(scene)).toEqual(['denied', 'denied']);
  expect(wordsOf(scene.card()).match(/not this week/g)).toHaveLength(2);
  expect(labels(scene.card())).toEqual([]);
  await scene.press(scene.shop.approver, both);
  expect(scene.alone().at(-1)).toContain('This was decided already');
});

describe('“One at a time”', () => {
  test('gives each its own card with all of its choices, and the first card points to them', async () => {
    const scene = await asked();
    const both = scene.button('Approve both');
    await scene.press({ ...scene.shop.admin }, scene.button('One at a time'));
    expect(scene.alone().at(-1)).toContain('You may not decide on this request');
    await scene.press(scene.shop.merchant, scene.button('One at a time'));
    const [card, woo, stripe] = scene.chat.shown();
    expect([card?.summary, card && labels(card)]).toEqual([
      'Set up WooCommerce and Stripe: asked one at a time now. Each request has a card of its own below.',
      [],
    ]);
    expect(woo && labels(woo)).toEqual(
      expect.arrayContaining(['Approve', 'Deny', 'Choose permissions', 'How to do it by hand', 'Withdraw']),
    );
    expect(stripe && labels(stripe)).toEqual(expect.arrayContaining(['Approve', 'Do it for me', 'Withdraw']));
    if (!stripe) return;
    await scene.press(scene.shop.approver, scene.button('Approve', stripe));
    expect((await scene.operations()).map(({ service, status }) => [service, status])).toEqual([
      ['woocommerce', 'awaiting_consent'],
      ['stripe', 'awaiting_credentials'],
    ]);
    // The old card's button, from a screen that was not looked at for a while.
    await scene.press(scene.shop.secondApprover, both);
    expect(scene.alone().at(-1)).toMatch(/^Stripe: This was decided already: granted by Abel/);
    expect((await states(scene)).toSorted()).toEqual(['awaiting_consent', 'awaiting_credentials']);
    expect(scene.chat.shown()).toHaveLength(3);
  });
});

describe('when one of them is decided by itself the card follows', () => {
  test.each([
    ['approved', 'approve', 'Countersigned by'],
    ['stopped', 'stop', 'Cancelled before anybody approved it'],
  ])('%s', async (_, action, words) => {
    const scene = await asked();
    const [woo, stripe] = await scene.operations();
    const value = action === 'stop' ? (stripe?.id ?? '') : `${stripe?.id} ${stripe?.plan_hash}`;
    const who = action === 'stop' ? scene.shop.merchant : scene.shop.approver;
    await scene.press(who, { action, value });
    const { customerId, threadId } = scene.shop;
    await scene.refresh(customerId, threadId);
    const card = scene.card();
    expect(wordsOf(card)).toContain(words);
    expect(labels(card)).toEqual(
      expect.arrayContaining(['Approve', 'Deny', 'Choose permissions', 'How to do it by hand']),
    );
    expect(labels(card)).not.toContain('Approve both');
    await scene.press(scene.shop.approver, scene.button('Approve'));
    expect((await scene.operations())[0]).toMatchObject({ id: woo?.id, status: 'awaiting_credentials' });
  });
});

test('half of the time over, the thread is reminded once of both, and follows their end', async () => {
  const scene = await asked();
  const { customerId, threadId } = scene.shop;
  const pass = async (minutes: number) => {
    await shiftClock(testDatabase.ownerUrl, `${minutes} minutes`);
    for (const { id } of await scene.operations())
      await createDeadlines(core)({ customerId, operationId: id as OperationId });
    await scene.refresh(customerId, threadId);
  };
  try {
    await pass(8);
    expect(scene.chat.shown()).toHaveLength(2);
    expect(scene.last()).toMatch(/^Still waiting for approval: Create a WooCommerce .* and Create a Stripe /);
    await pass(8);
    expect(await states(scene)).toEqual(['expired', 'expired']);
    expect(labels(scene.card())).toEqual([]);
    expect(wordsOf(scene.card()).match(/Expired: nobody approved it in time/g)).toHaveLength(2);
    expect(scene.chat.shown().map(({ summary }) => summary)).toEqual([
      'Set up WooCommerce and Stripe: expired',
      expect.stringMatching(/^The reminder about op-.* and op-.* is settled: see their card above\.$/),
      expect.stringContaining('WooCommerce'),
      expect.stringContaining('Stripe'),
    ]);
  } finally {
    await shiftClock(testDatabase.ownerUrl, '-16 minutes');
  }
});

describe('stop', () => {
  test('in a thread with two asks which, and stops both or the one that is chosen', async () => {
    const scene = await asked();
    await scene.say('stop');
    const card = scene.chat.calls.at(-1)?.card;
    expect(card?.summary).toBe('2 requests go on in this thread. Which shall be stopped? Nothing was stopped yet.');
    expect(card && labels(card)).toEqual(['Stop both', 'Stop WooCommerce', 'Stop Stripe']);
    expect(await states(scene)).toEqual(['awaiting_consent', 'awaiting_consent']);
    if (!card) return;
    await scene.press(scene.shop.merchant, scene.button('Stop WooCommerce', card));
    expect(await states(scene)).toEqual(['cancelled', 'awaiting_consent']);
    await scene.press(scene.shop.merchant, scene.button('Stop both', card));
    expect(await states(scene)).toEqual(['cancelled', 'cancelled']);
  });

  test('by “Withdraw both” ends both; by somebody who may not, neither', async () => {
    const scene = await asked();
    const both = scene.button('Withdraw both');
    const stranger = {
      ...scene.shop.merchant,
      person: { ...scene.shop.merchant.person, userId: 'U-Other', name: 'Other' },
    };
    await scene.press(stranger, both);
    expect(scene.alone()).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('Nothing was changed')));
    await scene.press(scene.shop.merchant, both);
    expect(await states(scene)).toEqual(['cancelled', 'cancelled']);
  });
});
