// Messages and edits in the platform's line, which all processes stand in together: bot/places.ts, bot/showing.ts.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createProgress, type Progress } from '../../bot/progress.ts';
import { createSharedLimits, type SharedLimits } from '../../core/limits.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Activity, Chat } from '../../core/ports/chat.ts';
import {
  type Core,
  cancel,
  click,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
const cores: Core[] = [];
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  cores.push(await openCore(testDatabase), await openCore(testDatabase));
});
afterAll(async () => {
  for (const core of cores) await core.close();
  await testDatabase.drop();
});

const EDITS = { quota: 1, windowSeconds: 0.7 };
const PATIENCE = { timeout: 90_000, interval: 50 };
const TEST_MS = 200_000; // on a busy machine; it waits for the rate, and for little else

interface Scene {
  readonly core: Core;
  readonly shop: Shop;
  readonly chat: RecordingChat;
  /** When each edit was made, by this process's clock. */
  readonly edits: number[];
  readonly activities: Activity[];
  /** One a process. */
  readonly progresses: readonly Progress[];
}

/** Two processes in front of one platform that counts edits. */
async function openScene(name: string): Promise<Scene> {
  const [core] = cores;
  if (!core) throw new Error('the database is not open');
  const shop = await installShop(core);
  const edits: number[] = [];
  const activities: Activity[] = [];
  const recording = createRecordingChat(async ({ call }) => {
    if (call === 'update') edits.push(performance.now());
  });
  const chatOf = (line: SharedLimits): Chat => ({
    ...recording,
    place: async (_, what) => (what === 'edit' ? line.book({ name: `edits of ${name}`, ...EDITS }) : 0),
    showActivity: async (_, activity) => void activities.push(activity),
  });
  const progresses = cores.map((each) => {
    const chat = chatOf(createSharedLimits(each.database));
    const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
    return createProgress({ ...each, log: silentLog, chat: () => chat, pictureUrl });
  });
  return { core, shop, chat: recording, edits, activities, progresses };
}

const choose = (core: Core, shop: Shop, operation: Operation, permissions: readonly string[]) =>
  core.database.withCustomer(shop.customerId, async (tx) => {
    const now = await core.operations.get(tx, shop.customerId, operation.id);
    if (now) await core.operations.choosePermissions(tx, now, permissions, shop.merchant);
  });
const deny = (core: Core, shop: Shop, operation: Operation) =>
  core.consents.deny(shop.customerId, click(operation, shop.approver), 'not now');

/** Never more in any stretch of time than the platform takes. */
function expectWithinRate(at: readonly number[]): void {
  for (const [first, from] of at.entries())
    for (const [offset, to] of at.slice(first).entries()) {
      const seconds = (to - from) / 1000;
      // A place is kept for 2 s, and a busy machine gets to an edit within as long; all of them at once would be far more.
      expect(offset + 1).toBeLessThanOrEqual(EDITS.quota + ((seconds + 4) * EDITS.quota) / EDITS.windowSeconds);
    }
}

describe('edits of two processes together', { timeout: TEST_MS }, () => {
  test('keep to the platform’s rate; what is shown in the end is how it ended, of every request', async () => {
    const { core, shop, chat, edits, progresses } = await openScene('many');
    const operations: Operation[] = [];
    for (let n = 0; n < 10; n++) operations.push(await requestOperation(core, shop));
    for (const progress of progresses) progress.start();
    try {
      await vi.waitUntil(() => chat.shown().length === 10, PATIENCE);
      await Promise.all(operations.map((operation) => deny(core, shop, operation)));
      const told = () => chat.shown().filter(({ summary }) => /denied/i.test(summary)).length;
      await vi.waitUntil(() => told() === 20, PATIENCE); // its card, and the message that says how it ended
    } finally {
      for (const progress of progresses) await progress.stop();
    }
    expect(edits).toHaveLength(10);
    expectWithinRate(edits);
  });

  test('of one message show the newest state only, and the last one always', async () => {
    const { core, shop, chat, edits, progresses } = await openScene('one');
    const operation = await requestOperation(core, shop);
    const [some, more] = [operation.plan.permissions, operation.type.permissions.map(({ id }) => id)];
    for (const progress of progresses) progress.start();
    try {
      await vi.waitUntil(() => chat.shown().length === 1, PATIENCE);
      for (let n = 0; n < 12; n++) await choose(core, shop, operation, n % 2 === 0 ? more : some);
      await choose(core, shop, operation, more);
      const { planHash } = await look(core, operation);
      await vi.waitUntil(() => JSON.stringify(chat.shown()).includes(planHash), PATIENCE);
    } finally {
      for (const progress of progresses) await progress.stop();
    }
    expect(edits.length).toBeLessThanOrEqual(13);
    expectWithinRate(edits);
  });

  test('that waited in a process that is gone are made by the next one', async () => {
    const { core, shop, chat, progresses } = await openScene('gone');
    const [first, second] = progresses;
    const operations: Operation[] = [];
    for (let n = 0; n < 5; n++) operations.push(await requestOperation(core, shop));
    await first?.refresh(shop.customerId, shop.threadId);
    for (const operation of operations) await deny(core, shop, operation);
    await first?.refresh(shop.customerId, shop.threadId);
    await first?.stop();
    const waiting = () => chat.shown().filter(({ summary }) => /waiting for approval/i.test(summary)).length;
    expect(waiting()).toBeGreaterThan(0);
    second?.start();
    try {
      await vi.waitUntil(() => waiting() === 0, PATIENCE);
    } finally {
      await second?.stop();
    }
  });
});

test('what is done in a thread is shown beside it as it changes: waiting, working, over', async () => {
  const { core, shop, activities, progresses } = await openScene('activity');
  const [progress] = progresses;
  const show = () => progress?.refresh(shop.customerId, shop.threadId);
  const denied = await requestOperation(core, shop);
  await show();
  await deny(core, shop, denied);
  await show();
  expect(activities).toEqual(['waiting', 'over']);
  const operation = await queuedOperation(core, shop);
  await show();
  await show();
  await requestOperation(core, shop);
  await show();
  expect(activities).toEqual(['waiting', 'over', 'working']);
  await cancel(core, operation);
  await show();
  expect(activities).toEqual(['waiting', 'over', 'working', 'waiting']);
});
