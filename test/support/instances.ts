import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { keepTrails } from './audit.ts';
import { type Core, installShop, openCore, type Shop, sql } from './core.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { serveSite } from './loopback-site.ts';
import { type ChatCall, createRecordingChat, type RecordingChat } from './recording-chat.ts';
import { silentLog } from './silent-log.ts';

/** Two instances of the bot on one database, and a chat a scene. */
export interface Instances {
  readonly testDatabase: TestDatabase;
  /** Of a site that answers. */
  readonly target: string;
  /** `before` is awaited in each call of the chat before anything changes. */
  openScene(before?: (call: ChatCall) => Promise<void>): Promise<Scene>;
  /** Rows of the trail of this operation, of one kind. */
  entriesOf(operationId: string, kind: string): Promise<readonly object[]>;
  close(): Promise<void>;
}

const DELIVERIES = 20;

export interface Scene {
  readonly shop: Shop;
  readonly core: Core;
  readonly chat: RecordingChat;
  readonly thread: ThreadRef;
  /** Delivers the event to both instances by turns, all at once. */
  deliver(event: ChatEvent, times?: number): Promise<void>;
  /** Shows the thread as things stand. */
  show(): Promise<void>;
  operations(): Promise<readonly { id: string; status: string; plan_hash: string }[]>;
}

export async function openInstances(): Promise<Instances> {
  const site = await serveSite({ '/': 'a shop' });
  const testDatabase = await createTestDatabase();
  const core = await openCore(testDatabase);
  const cores = [core, await openCore(testDatabase)];
  const keeper = keepTrails(core);

  function contextOf(own: Core, chat: RecordingChat): Context {
    const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
    const progress = createProgress({ ...own, log: silentLog, chat: () => chat, pictureUrl });
    const egress = createEgress({ privateTargets: [site.authority], log: silentLog });
    const publicUrl = () => 'http://localhost:3000';
    return {
      ...own,
      progress,
      egress,
      http: createHttp({ egress }),
      checkpoints: keeper.checkpoints,
      services,
      model: undefined,
      log: silentLog,
      publicUrl,
      chat: () => chat,
    };
  }

  async function openScene(before?: (call: ChatCall) => Promise<void>): Promise<Scene> {
    const shop = await installShop(core);
    const chat = createRecordingChat(before);
    const contexts = cores.map((each) => contextOf(each, chat));
    const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
    return {
      ...{ shop, core, chat, thread },
      async deliver(event, times = DELIVERIES) {
        const at = (n: number) => contexts[n % contexts.length] ?? contexts[0];
        await Promise.all(
          Array.from({ length: times }, async (_, n) => {
            const context = at(n);
            if (context) await converse(context, event);
          }),
        );
      },
      show: async () => contexts[0]?.progress.refresh(shop.customerId, shop.threadId),
      operations: () =>
        sql(testDatabase.adminUrl, 'SELECT id, status, plan_hash FROM autonomous_operations WHERE customer_id = $1', [
          shop.customerId,
        ]),
    };
  }

  return {
    ...{ testDatabase, target: site.authority, openScene },
    entriesOf: (operationId, kind) =>
      sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = $2', [
        operationId,
        kind,
      ]),
    async close() {
      await site.close();
      for (const each of cores) await each.close();
      await testDatabase.drop();
      keeper.remove();
    },
  };
}

export const says = ({ thread }: Scene, { person }: Member, id: string, text: string): ChatEvent => ({
  ...{ kind: 'message', id, thread, from: person, text },
});
export const presses = (
  { thread }: Scene,
  { person }: Member,
  id: string,
  action: string,
  value: string,
): ChatEvent => ({
  ...{ kind: 'action', id, thread, from: person, action, value, trigger: id },
});
