// What somebody speaks is read back before anything comes of it: bot/voice-flow.ts, bot/reception.ts.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import { createReception } from '../../bot/reception.ts';
import type { Member } from '../../core/customers/customers.ts';
import { createInbox } from '../../core/inbox.ts';
import type { ChatEvent, Form, Transcript } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, look, openCore, requestOperation, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

const SPOKEN = 'Set up WooCommerce for shop dot example dot com.';
let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
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

async function openScene(transcripts: readonly Transcript[]) {
  const shop = await installShop(core);
  const recording = createRecordingChat();
  const forms: Form[] = [];
  const asked: number[] = [];
  const chat = {
    ...recording,
    async transcript(): Promise<Transcript> {
      asked.push(performance.now());
      return transcripts[asked.length - 1] ?? { kind: 'not_yet' };
    },
    openForm: async (_: string, form: Form) => void forms.push(form),
  };
  const egress = {
    ...createEgress({ privateTargets: [], log: silentLog }),
    check: async () => ({ isAllowed: true }) as const,
  };
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
    ...{ egress, http: { request: async () => ({ status: 200, headers: {}, body: '' }) } }, // names that no test can reach answer
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  let events = 0;
  const hand = (event: object) => converse(context, { id: `ev-${++events}`, thread, ...event } as ChatEvent); // each caller says the rest
  const button = (action: string) =>
    recording
      .shown()
      .flatMap(({ blocks }) => blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : [])))
      .findLast((each) => each.action === action);
  return {
    ...{ shop, context, chat, forms, asked, thread },
    speak: (more: object = {}) => hand({ kind: 'message', from: shop.merchant.person, text: '', clip: 'F1', ...more }),
    say: (text: string) => hand({ kind: 'message', from: shop.merchant.person, text }),
    press: ({ person }: Member, action: string) =>
      hand({
        ...{ kind: 'action', from: person, action, value: button(action)?.value ?? '', trigger: 't' },
        message: { thread, ref: 'm0' },
      }),
    submit: (words: string) =>
      hand({ kind: 'form', from: shop.merchant.person, form: 'heard', value: '', fields: { words: [words] } }),
    last: () => recording.calls.at(-1)?.card?.summary,
    targets: async () =>
      (
        await sql<{ target: string }>(
          testDatabase.adminUrl,
          'SELECT target FROM autonomous_operations WHERE customer_id = $1',
          [shop.customerId],
        )
      ).map(({ target }) => target),
  };
}
const ready = (text: string): Transcript => ({ kind: 'ready', text });

describe('what somebody spoke', () => {
  test('is read back as it is typed, and nothing is planned before they confirm it', async () => {
    const scene = await openScene([ready(SPOKEN)]);
    await scene.speak();
    expect(scene.last()).toBe('I heard: Set up WooCommerce for shop.example.com');
    expect(await scene.targets()).toEqual([]);
    await scene.press(scene.shop.approver, 'heard');
    expect(scene.last()).toMatch(/^Only whoever said it/);
    expect(await scene.targets()).toEqual([]);
    // Twice, as people press: it is asked for once.
    await Promise.all([1, 2].map(() => scene.press(scene.shop.merchant, 'heard')));
    expect(await scene.targets()).toEqual(['https://shop.example.com']);
    expect(scene.chat.shown()[0]?.summary).toMatch(/Confirmed\.$/);
  });

  test('can be put right before it is asked for', async () => {
    const scene = await openScene([ready('set up WooCommerce for chop dot example dot com')]);
    await scene.speak();
    await scene.press(scene.shop.merchant, 'edit_heard');
    expect(scene.forms[0]?.fields[0]).toMatchObject({ initial: 'set up WooCommerce for chop.example.com' });
    await scene.submit('set up WooCommerce for shop.example.com');
    expect(await scene.targets()).toEqual(['https://shop.example.com']);
  });

  test('approves nothing, confirmed or not', async () => {
    const scene = await openScene([ready('Approved.')]);
    const operation = await requestOperation(core, scene.shop);
    await scene.speak({ from: scene.shop.approver.person });
    await scene.press(scene.shop.approver, 'heard');
    expect(scene.last()).toMatch(/^Words decide nothing here/);
    expect((await look(core, operation)).state).toBe('awaiting_consent');
  });

  test('and sounds like a password is not read back, and not used', async () => {
    const scene = await openScene([ready('the password is Hunter2Hunter2')]);
    await scene.speak();
    expect(scene.last()).toMatch(/I did not use it/);
    expect(JSON.stringify(scene.chat.calls)).not.toContain('Hunter2');
  });

  test('among others, in a thread of ours, is left alone unless it asks for something', async () => {
    const scene = await openScene([ready('lovely weather today'), ready(SPOKEN)]);
    await scene.context.database.withCustomer(scene.shop.customerId, (tx) =>
      scene.context.threads.open(tx, scene.shop.customerId, scene.thread),
    );
    await scene.speak({ isOverheard: true });
    expect(scene.chat.calls).toEqual([]);
    await scene.speak({ isOverheard: true });
    expect(scene.last()).toMatch(/^I heard: Set up/);
  });

  test('in answer to our question, is read back without our name, and completes the request', async () => {
    const scene = await openScene([ready('shop dot example dot com'), ready('shop dot example dot com')]);
    await scene.say('set up WooCommerce');
    expect(scene.last()).toContain('address');
    const { approver, merchant } = scene.shop;
    const before = scene.chat.calls.length;
    await scene.speak({ from: approver.person, isOverheard: true });
    expect(scene.chat.calls).toHaveLength(before); // nobody asked them
    await scene.speak({ isOverheard: true });
    expect(scene.last()).toBe('I heard: shop.example.com');
    await scene.press(merchant, 'heard');
    expect(await scene.targets()).toEqual(['https://shop.example.com']);
  });

  test.each([{ kind: 'none' } as const, ready('  ')])(
    'and nobody wrote down is asked for in writing: %o',
    async (given) => {
      const scene = await openScene([given]);
      await scene.speak();
      expect(scene.last()).toMatch(/Please type it/);
    },
  );

  test('is asked for after 2, 5, 10 and 20 s, and then in writing', async () => {
    const scene = await openScene([]);
    const waits: unknown[] = [];
    for (const attempt of [0, 1, 2, 3]) waits.push(await scene.speak({ attempt }));
    expect(waits).toEqual([2_000, 3_000, 5_000, 10_000].map((laterMs) => ({ laterMs })));
    expect(await scene.speak({ attempt: 4 })).toBeUndefined();
    expect(scene.last()).toMatch(/Please type it/);
  });
});

test('while the platform still listens, nothing waits: what is typed in that thread is answered first', async () => {
  const scene = await openScene([{ kind: 'not_yet' }, ready(SPOKEN)]);
  const { thread, shop, context, chat } = scene;
  const inbox = createInbox({ database: core.database, sealer: core.sealer });
  const reception = createReception({
    ...{ inbox, directory: core.directory, log: silentLog, chat: () => chat },
    converse: (event) => converse(context, event),
  });
  const from = shop.merchant.person;
  await reception.listen({ kind: 'message', id: 'spoken', thread, from, text: '', clip: 'F1' });
  await reception.listen({ kind: 'message', id: 'typed', thread, from, text: 'help' });
  await vi.waitUntil(() => chat.calls.length === 1, { timeout: 10_000 });
  expect(scene.asked).toHaveLength(1);
  expect(scene.last()).toMatch(/^I set up store integrations/);
  await vi.waitUntil(() => chat.calls.length === 2, { timeout: 10_000 });
  expect(scene.last()).toMatch(/^I heard:/);
  const [first = 0, second = 0] = scene.asked;
  expect(second - first).toBeGreaterThanOrEqual(1_990);
  await reception.stop(1_000);
});
