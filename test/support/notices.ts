import { expect } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { renderBlocks } from '../../adapters/slack/cards.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createNotices, type NoticesDeps } from '../../bot/notices.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import { setDigest } from '../../core/customers/settings.ts';
import type { Transaction } from '../../core/database.ts';
import type { Directory } from '../../core/directory.ts';
import { gatherNotices } from '../../core/notices/gather.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { ChatEvent, Standing } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import type { Keeper } from './audit.ts';
import { madeConnection } from './connections.ts';
import { type Core, installShop, type Shop, sql } from './core.ts';
import { shiftClock, type TestDatabase } from './database.ts';
import { createRecordingChat, type RecordingChat } from './recording-chat.ts';
import { silentLog } from './silent-log.ts';
import { problemsOfBlocks } from './slack/blocks.ts';

export const DAY = 86_400_000;

/** What a file of notices has open, once it has begun. */
interface Opened {
  readonly testDatabase: TestDatabase;
  readonly core: Core;
  readonly keeper: Keeper;
}

export interface Scene {
  readonly shop: Shop;
  readonly chat: RecordingChat;
  readonly told: NoticesDeps;
  /** An hour's look, and then both processes at once. */
  look(identify?: () => Promise<Standing>): Promise<void>;
  hand(event: object): ReturnType<typeof converse>;
  press(by: Member, action: string, value: string, changes?: object): Promise<unknown>;
}

/** Scenes on the database of a test file, and its clock. */
export function noticesOn(opened: () => Opened) {
  let aheadMs = 0;

  async function pass(ms: number): Promise<void> {
    aheadMs += ms;
    await shiftClock(opened().testDatabase.ownerUrl, `${ms} milliseconds`);
  }

  const inMs = (ms: number) => new Date(Date.now() + aheadMs + ms);
  const inside = <T>(shop: Shop, work: (tx: Transaction) => Promise<T>) =>
    opened().core.database.withCustomer(shop.customerId, work);

  async function openScene(): Promise<Scene> {
    const { core, keeper } = opened();
    const shop = await installShop(core);
    // Whatever day it is here: those tests that are about it switch it on.
    await inside(shop, (tx) => setDigest(tx, shop.customerId, { hasDigest: false, timeZone: null }));
    const chat = createRecordingChat();
    const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
    const egress = createEgress({ privateTargets: [], log: silentLog });
    const context: Context = {
      ...core,
      progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
      ...{ egress, http: createHttp({ egress }) },
      ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
      publicUrl: () => 'http://localhost:3000',
      chat: () => chat,
    };
    // Other customers of this database are looked after by other scenes.
    const directory: Directory = {
      ...core.directory,
      customers: async () => [shop.customerId],
      customersToNotify: async () =>
        (await core.directory.customersToNotify()).filter((customerId) => customerId === shop.customerId),
    };
    const told = { ...core, directory, services, log: silentLog, chat: () => chat, pictureUrl };
    const notices = [createNotices(told), createNotices(told)] as const;
    const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
    let events = 0;
    const hand = (event: object) => converse(context, { id: `ev-${++events}`, thread, ...event } as ChatEvent); // each caller says the rest
    return {
      ...{ shop, chat, told, hand },
      async look(identify) {
        const deps = { ...core, directory, log: silentLog, ...(identify ? { identify } : {}) };
        await Promise.all([gatherNotices(deps), gatherNotices(deps)]);
        await Promise.all(notices.map((each) => each.deliver()));
        for (const card of [...chat.shown(), ...chat.direct().map((each) => each.card)])
          expect(problemsOfBlocks(renderBlocks(card.blocks, ''))).toEqual([]);
      },
      press: (by, action, value, changes = {}) =>
        hand({ kind: 'action', from: by.person, action, value, trigger: 't', ...changes }),
    };
  }

  /** Repairs by an operation's plan, countersigned by Abel, for so many days. */
  async function standingConsent({ shop }: Scene, days: number): Promise<{ operation: Operation; id: string }> {
    const { core } = opened();
    const operation = await madeConnection(core, shop);
    const { customerId } = shop;
    const asked = { by: shop.merchant, until: inMs(days * DAY), keeps: ['admin_password'] };
    const question = await core.standingGrants.ask(customerId, operation.id, asked);
    const click = {
      operationId: operation.id,
      planHash: question?.planHash ?? '',
      by: shop.approver,
      method: 'web',
    } as const;
    const decision = await core.standingGrants.grant(customerId, click);
    if (decision.kind !== 'granted') throw new Error(`not granted: ${decision.kind}`);
    return { operation, id: decision.consentId };
  }

  const consentsOf = (shop: Shop) =>
    sql<{ id: string; user_id: string; expires_at: Date }>(
      opened().testDatabase.adminUrl,
      'SELECT id, user_id, expires_at FROM autonomous_consent WHERE customer_id = $1 AND template_hash IS NOT NULL ORDER BY granted_at',
      [shop.customerId],
    );

  return { pass, putBack: () => pass(-aheadMs), inMs, inside, openScene, standingConsent, consentsOf };
}
