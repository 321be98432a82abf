import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { Context } from '../../bot/context.ts';
import { sendSignInLink } from '../../bot/credential-flow.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Database, Transaction } from '../../core/database.ts';
import { endOperation } from '../../core/operations/ending.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Card, Chat } from '../../core/ports/chat.ts';
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
import { progressOf } from '../support/progress.ts';
import { createRecordingChat } from '../support/recording-chat.ts';

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
