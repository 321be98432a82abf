import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { Context } from '../../bot/context.ts';
import { sendSignInLink } from '../../bot/credential-flow.ts';
import { createProgress, type Progress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Database, Transaction } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import { endOperation } from '../../core/operations/ending.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Card, Chat, Platform } from '../../core/ports/chat.ts';
import {
  type Core,
  click,
  grant,
  grantedOperation,
  installShop,
  noSecrets,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
/** Two processes on one database. */
let [one, two]: Core[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  [one, two] = [await openCore(testDatabase), await openCore(testDatabase)];
});
afterAll(async () => {
  await one?.close();
  await two?.close();
  await testDatabase.drop();
});

function progressOf(core: Core | undefined, chat: Chat, database?: Database): Progress {
  if (!core) throw new Error('the database is not open');
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const only = (platform: Platform) => {
    if (platform === 'web') return chat;
    throw new CountersignError('chat_unavailable', `${platform} is not connected to this installation.`);
  };
  return createProgress({ ...core, database: database ?? core.database, log: silentLog, chat: only, pictureUrl });
}

async function shopOf(core: Core | undefined): Promise<{ core: Core; shop: Shop }> {
  if (!core) throw new Error('the database is not open');
  return { core, shop: await installShop(core) };
}

const deny = (core: Core, shop: Shop, operation: Operation) =>
  core.consents.deny(shop.customerId, click(operation, shop.approver), 'not now');
/** A link to their one-time page for whoever asked. */
const sendLink = (core: Core, chat: Chat, operation: Operation) =>
  // What is sent uses nothing of a context but this.
  sendSignInLink(
    { ...core, chat: () => chat, publicUrl: () => 'http://localhost:3000' } as unknown as Context,
    operation,
    {},
  );
const summaries = (cards: readonly Card[]) => cards.map(({ summary }) => summary);

/** The same database, and how many queries were made of it by name. */
function counting({ database }: Core): { database: Database; queries: () => number } {
  let count = 0;
  const counted = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(it, name, receiver) {
        const value: unknown = Reflect.get(it, name, receiver);
        if (typeof value === 'function')
          return (...args: unknown[]) => {
            count++;
            return value.apply(it, args); // what it calls of its own is no query more
          };
        return typeof value === 'object' && value !== null ? counted(value) : value;
      },
    });
  const inside = <T>(customerId: Shop['customerId'], work: (tx: Transaction) => Promise<T>) =>
    database.withCustomer(customerId, (tx) => work(counted(tx)));
  return { database: { ...database, withCustomer: inside }, queries: () => count };
}

describe('a thread', () => {
  test('costs no more for forty ended operations than for two', async () => {
    const { core, shop } = await shopOf(one);
    const chat = createRecordingChat();
    const { database, queries } = counting(core);
    const verified = vi.spyOn(core.audit, 'isIntactUpTo');
    const progress = progressOf(core, chat, database);
    const show = () => progress.refresh(shop.customerId, shop.threadId);
    const costOfOneMore = async () => {
      const [before, looksBefore] = [queries(), verified.mock.calls.length];
      const operation = await requestOperation(core, shop);
      await show();
      await deny(core, shop, operation);
      await show();
      return { queries: queries() - before, verifications: verified.mock.calls.length - looksBefore };
    };
    await costOfOneMore();
    await costOfOneMore();
    const early = await costOfOneMore();
    for (let n = 0; n < 37; n++) await deny(core, shop, await requestOperation(core, shop));
    await show();
    const late = await costOfOneMore();
    expect(chat.shown()).toHaveLength(2 * 41);
    expect(late).toEqual(early);
    expect(late.verifications).toBe(1);
    const idle = queries();
    await show();
    expect(queries() - idle).toBeLessThanOrEqual(4);
    verified.mockRestore();
  });

  test('says in a message of its own that nobody can approve a request any more, and that somebody can again', async () => {
    const { core, shop } = await shopOf(one);
    const { customerId, threadId, merchant, approver, secondApprover } = shop;
    const chat = createRecordingChat();
    const progress = progressOf(core, chat);
    const show = () => progress.refresh(customerId, threadId);
    const link = (...accounts: Member[]) =>
      core.database.withCustomer(customerId, (tx) => core.customers.link(tx, customerId, accounts));
    const { id } = await requestOperation(core, shop);
    await show();
    expect(chat.shown()).toHaveLength(1);
    await link(merchant, approver, secondApprover);
    await show();
    expect(summaries(chat.shown())[1]).toBe(
      `${id} waits in vain: Nobody can approve this as things stand: Mona, who asked for it, is the only one who may, and nobody approves their own request. Ada can choose somebody else, with /countersign settings.`,
    );
    await link(secondApprover);
    await show();
    expect(summaries(chat.shown())[1]).toBe(`The word about who may approve ${id} is settled: see its card above.`);
    const required = (approvalsRequired: number) =>
      core.database.withCustomer(customerId, (tx) =>
        core.customers.setRules(tx, customerId, { approvalsRequired, adminsApprove: false, approverGroup: null }),
      );
    await required(2);
    await show();
    expect(summaries(chat.shown())[1]).toContain('There are fewer people who may approve this than it takes.');
    expect(chat.shown()).toHaveLength(2);
  });

  test('says nothing twice while nobody was chosen yet: its card asks for that', async () => {
    const { core, shop } = await shopOf(one);
    const { customerId, threadId } = shop;
    const chat = createRecordingChat();
    await core.database.withCustomer(customerId, (tx) => core.customers.setApprovers(tx, customerId, [], false));
    await requestOperation(core, shop);
    await progressOf(core, chat).refresh(customerId, threadId);
    expect(chat.shown()).toHaveLength(1);
    expect(JSON.stringify(chat.shown())).toContain('Nobody may approve this yet. Ada can choose who does.');
  });

  test('still shows what happens to an ended operation later', async () => {
    const { core, shop } = await shopOf(one);
    const chat = createRecordingChat();
    const progress = progressOf(core, chat);
    const operation = await queuedOperation(core, shop);
    const { customerId, id } = operation;
    await endOperation(
      core,
      { customerId, operationId: id, fence: undefined },
      { kind: 'stopped', words: 'Stopped.' },
      noSecrets,
    );
    await progress.refresh(customerId, shop.threadId);
    const before = chat.calls.length;
    await progress.refresh(customerId, shop.threadId);
    expect(chat.calls).toHaveLength(before);
    await core.database.withCustomer(customerId, (tx) => core.consents.revoke(tx, operation, shop.approver));
    await progress.refresh(customerId, shop.threadId);
    expect(chat.calls.slice(before)).toMatchObject([{ call: 'update' }]);
    expect(JSON.stringify(chat.calls.at(-1))).toContain('revoked');
  });

  test('of two processes shows the newest state last, however slow the first one is', async () => {
    const { core, shop } = await shopOf(one);
    const slow = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let isSlow = false;
    const chat = createRecordingChat(async ({ call }) => {
      if (!isSlow || call !== 'update') return;
      isSlow = false;
      begun.resolve();
      await slow.promise;
    });
    const [first, second] = [progressOf(one, chat), progressOf(two, chat)];
    const operation = await requestOperation(core, shop);
    await first.refresh(shop.customerId, shop.threadId);
    await grant(core, operation, shop.approver);
    isSlow = true;
    const older = first.refresh(shop.customerId, shop.threadId); // has read "waiting for the sign-in"
    await begun.promise;
    const { customerId, id: operationId } = operation;
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, {
        operationId,
        from: ['awaiting_credentials'],
        to: 'cancelled',
        set: { errorMessage: 'Stopped by Abel.' },
        entry: { kind: 'operation.cancelled' },
      }),
    );
    const newer = second.refresh(customerId, shop.threadId);
    await untilBlocked(testDatabase, newer);
    slow.resolve();
    await Promise.all([older, newer]);
    expect(JSON.stringify(chat.shown()[0])).not.toContain('Waiting for');
    expect(summaries(chat.shown()).at(-1)).toMatch(/^Stopped: .*Stopped by Abel\.$/);
  });

  test('closes the link to the one-time page, once', async () => {
    const { core, shop } = await shopOf(one);
    const chat = createRecordingChat();
    const progress = progressOf(core, chat);
    const operation = await grantedOperation(core, shop);
    const { customerId, id: operationId, requester } = operation;
    await sendLink(core, chat, operation);
    await progress.refresh(customerId, shop.threadId);
    const [link, ...early] = chat.calls.filter(({ call }) => call === 'ephemeral');
    const closings = () => chat.calls.filter(({ call }) => call === 'ephemeral').slice(1);
    expect(early).toEqual([]);
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, {
        operationId,
        from: ['awaiting_credentials'],
        to: 'queued',
        entry: { kind: 'credentials.entered', actor: requester.id },
      }),
    );
    await progress.refresh(customerId, shop.threadId);
    await progress.refresh(customerId, shop.threadId);
    expect(closings()).toMatchObject([
      { key: link?.key, card: { summary: 'The sign-in was entered. The one-time page is closed.' } },
    ]);
  });
});

describe('on a platform that replaces nothing that one person was shown, and shows pictures as messages', () => {
  function plain() {
    const chat = createRecordingChat();
    const capabilities = { ...chat.capabilities, ephemeralInPlace: false, picturesInCards: false, upload: true };
    return { ...chat, capabilities };
  }

  test('two links to one page are closed with one message', async () => {
    const { core, shop } = await shopOf(one);
    const chat = plain();
    const progress = progressOf(core, chat);
    const operation = await grantedOperation(core, shop);
    const { customerId, id: operationId, requester } = operation;
    await sendLink(core, chat, operation);
    await sendLink(core, chat, operation);
    const [, newest] = chat.calls;
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, {
        ...{ operationId, from: ['awaiting_credentials'], to: 'queued' },
        entry: { kind: 'credentials.entered', actor: requester.id },
      }),
    );
    for (const _ of [1, 2]) await progress.refresh(customerId, shop.threadId);
    const closings = chat.calls.filter(({ call }) => call === 'ephemeral').slice(2);
    expect(closings).toMatchObject([{ key: newest?.key }]);
  });

  test('a step that a fresh browser goes through again shows no second picture; one that failed does', async () => {
    const { core, shop } = await shopOf(one);
    const chat = plain();
    const progress = progressOf(core, chat);
    const { customerId, id: operationId } = await queuedOperation(core, shop);
    const size = { width: 1, height: 1, mediaType: 'image/png', alt: 'Step 1: Opens the page' } as const;
    const ends = async (state: 'done' | 'failed') => {
      const bytes = Buffer.from('a picture');
      const screenshotId = await createScreenshots(core).put(customerId, { ...size, operationId, step: 1, bytes });
      const where = { customerId_operationId_number: { customerId, operationId, number: 1 } };
      await core.database.withCustomer(customerId, async (tx) => {
        const begun = { startedAt: new Date(), status: 'in_progress' };
        await tx.operationStep.update({ where, data: { state: 'running' } });
        await tx.operation.updateMany({ where: { customerId, id: operationId, startedAt: null }, data: begun });
      });
      await progress.refresh(customerId, shop.threadId);
      await core.database.withCustomer(customerId, (tx) =>
        tx.operationStep.update({ where, data: { state, screenshotId: screenshotId ?? null } }),
      );
      await progress.refresh(customerId, shop.threadId);
      return chat.calls.filter(({ key }) => key?.startsWith('picture:')).length;
    };
    expect(await ends('failed')).toBe(1);
    expect(await ends('done')).toBe(2);
    expect(await ends('done')).toBe(2);
  });
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
    const { core, shop } = await shopOf(one);
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
    const { core, shop } = await shopOf(one);
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
    const { core, shop } = await shopOf(one);
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
    const { core, shop } = await shopOf(one);
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
    const { core, shop } = await shopOf(one);
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
    const { core, shop } = await shopOf(one);
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
  const { core } = await shopOf(one);
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
