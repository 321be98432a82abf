// The feed of bot/progress.ts: when each thread is shown, and which of them waits for which.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../core/errors.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Chat, Platform } from '../../core/ports/chat.ts';
import { type Core, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { progressOf } from '../support/progress.ts';
import { createRecordingChat } from '../support/recording-chat.ts';

let testDatabase: TestDatabase;
let core: Core;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
afterAll(async () => {
  await core?.close();
  await testDatabase.drop();
});

describe('the feed', () => {
  /** A thread of its own for one more operation; the platform knows it by `ref`. */
  async function requestIn(core: Core, shop: Shop, ref: string, platform: Platform = 'web'): Promise<Operation> {
    const { customerId, workspaceId } = shop;
    const thread = await core.database.withCustomer(customerId, (tx) =>
      core.threads.open(tx, customerId, { platform, workspaceId, ref }),
    );
    return requestOperation(core, shop, { threadId: thread.id });
  }

  /** Refuses every post to the thread `broken` until it is mended, and says when each was tried. */
  function partlyBroken() {
    const chat = createRecordingChat();
    const tries: number[] = [];
    let isBroken = true;
    const partly: Chat = {
      ...chat,
      async post(thread, card, options) {
        if (thread.ref === 'broken') {
          tries.push(performance.now());
          if (isBroken) throw new Error('channel_not_found');
        }
        return chat.post(thread, card, options);
      },
    };
    const keys = () => chat.calls.flatMap(({ key }) => (key === undefined ? [] : [key]));
    const mend = () => {
      isBroken = false;
    };
    return { chat: partly, tries, keys, mend };
  }

  const shownSoon = (keys: () => readonly string[], { id }: Operation, timeout = 10_000) =>
    vi.waitUntil(() => keys().includes(`consent:${id}`), { timeout });

  test('shows every other thread although one can not be posted to, and one is of a platform that is gone; the first once it can', async () => {
    const shop = await installShop(core);
    const { chat, keys, mend } = partlyBroken();
    const progress = progressOf(core, chat);
    await requestIn(core, shop, 'gone', 'slack');
    const broken = await requestIn(core, shop, 'broken');
    progress.start();
    try {
      for (const ref of ['second', 'third']) await shownSoon(keys, await requestIn(core, shop, ref));
      expect(keys()).not.toContain(`consent:${broken.id}`);
      mend();
      await shownSoon(keys, broken, 20_000);
    } finally {
      await progress.stop();
    }
  });

  test('tries a thread that can not be posted to ever more seldom, however often its customer is woken', async () => {
    const shop = await installShop(core);
    const { chat, tries, keys } = partlyBroken();
    const progress = progressOf(core, chat);
    await requestIn(core, shop, 'broken');
    progress.start();
    try {
      while (tries.length < 3) await shownSoon(keys, await requestIn(core, shop, 'busy'));
      const [first = 0, second = 0, third = 0] = tries;
      expect(second - first).toBeGreaterThanOrEqual(1_000);
      expect(third - second).toBeGreaterThanOrEqual(2_000);
    } finally {
      await progress.stop();
    }
  });

  /** A thread that was tried in vain for many minutes; `later` brings its feed so many milliseconds on, and says whether it tried again. */
  async function afterManyFailures(core: Core, shop: Shop, error: Error) {
    const now = performance.now.bind(performance);
    let ahead = 0;
    let tries = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead);
    const chat: Chat = {
      ...createRecordingChat(),
      async post(thread, ...rest) {
        // The feed shows every customer's threads, also those that another test left behind.
        if (thread.ref !== 'broken' || thread.workspaceId !== shop.workspaceId)
          return createRecordingChat().post(thread, ...rest);
        tries++;
        throw error;
      },
    };
    const progress = progressOf(core, chat);
    await requestIn(core, shop, 'broken');
    progress.start();
    const later = async (ms: number) => {
      const before = tries;
      ahead += ms;
      // The whole customer is gone through for a thread that is shown behind this one.
      const { id, threadId } = await requestIn(core, shop, `after ${ms} ${ahead}`);
      const isShown = async () => {
        const [shown] = await core.database.withCustomer(shop.customerId, (tx) =>
          tx.threadMessage.findMany({ where: { customerId: shop.customerId, threadId, slot: `consent:${id}` } }),
        );
        return shown !== undefined;
      };
      await vi.waitUntil(isShown, { timeout: 10_000 });
      return tries > before;
    };
    await vi.waitUntil(() => tries > 0, { timeout: 10_000 });
    for (let n = 0; n < 8; n++) await later(200_000);
    return { later, stop: () => progress.stop() };
  }

  test('tries a thread again half a minute after its last try at the latest, however long the platform was away', async () => {
    const shop = await installShop(core);
    const away = new CountersignError('chat_unavailable', 'Nobody answers.', { isRetryable: true });
    const { later, stop } = await afterManyFailures(core, shop, away);
    try {
      expect(await later(10_000)).toBe(false);
      expect(await later(20_000)).toBe(true);
    } finally {
      await stop();
      vi.restoreAllMocks();
    }
  });

  test('tries a thread again no sooner than the platform has asked to wait', async () => {
    const shop = await installShop(core);
    const words = { isRetryable: true, retryAfterMs: 120_000 };
    const limited = new CountersignError('chat_unavailable', 'Too many messages.', words);
    const { later, stop } = await afterManyFailures(core, shop, limited);
    try {
      expect(await later(100_000)).toBe(false);
      expect(await later(30_000)).toBe(true);
    } finally {
      await stop();
      vi.restoreAllMocks();
    }
  });

  test('tells whoever asked, directly and once, why their thread stays silent for good; not what passes', async () => {
    const shop = await installShop(core);
    const chat = createRecordingChat();
    const told: string[] = [];
    let tries = 0;
    const silent: Chat = {
      ...chat,
      async post({ ref }) {
        tries++;
        throw new CountersignError('chat_unavailable', `${ref} says no.`, { isRetryable: ref !== 'archived' });
      },
      async directMessage(to, card) {
        told.push(`${to.userId}: ${card.summary}`);
        return { thread: { ...to, ref: 'direct' }, ref: 'm' };
      },
    };
    const progress = progressOf(core, silent);
    for (const ref of ['archived', 'away']) await requestIn(core, shop, ref);
    progress.start();
    try {
      await vi.waitUntil(() => tries >= 4, { timeout: 20_000 });
    } finally {
      await progress.stop();
    }
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(
      /^U-Mona: I can't write in the thread of op-\w{8}\. archived says no\. What was decided goes on/,
    );
  });

  test('does not let a customer whose chat is slow keep another one waiting', async () => {
    const shop = await installShop(core);
    const quick = await installShop(core);
    const slow = Promise.withResolvers<void>();
    const fast = createRecordingChat();
    const chat: Chat = {
      ...fast,
      async post(thread, card, options) {
        if (thread.workspaceId === shop.workspaceId) await slow.promise;
        return fast.post(thread, card, options);
      },
    };
    const progress = progressOf(core, chat);
    const held: Promise<void>[] = [];
    for (const ref of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const { threadId } = await requestIn(core, shop, ref);
      held.push(progress.refresh(shop.customerId, threadId));
    }
    const { id } = await requestOperation(core, quick);
    let isOver = false;
    const other = progress.refresh(quick.customerId, quick.threadId).finally(() => {
      isOver = true;
    });
    try {
      await vi.waitUntil(() => isOver, { timeout: 5_000 });
      expect(fast.calls.map(({ key }) => key)).toEqual([`consent:${id}`]);
    } finally {
      slow.resolve();
      await Promise.all([...held, other]);
    }
    expect(fast.calls).toHaveLength(7);
  });
});

test('whoever finds every connection for locks taken is told so, and does not wait for ever', async () => {
  const free = Promise.withResolvers<void>();
  const begun = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const held = begun.map(({ resolve }, n) =>
    core.database.exclusively(`held ${n}`, async () => {
      resolve();
      await free.promise;
    }),
  );
  try {
    await Promise.all(begun.map(({ promise }) => promise));
    await expect(core.database.exclusively('one more', async () => {})).rejects.toMatchObject({
      code: 'database_unavailable',
      isRetryable: true,
    });
  } finally {
    free.resolve();
    await Promise.all(held);
  }
});
