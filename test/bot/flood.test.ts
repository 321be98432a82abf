import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Model } from '../../core/ports/model.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

/** One customer's people write without end, in the one process that hears everybody. */
const MESSAGES = 100;

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let context: Context;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
  const chat = createRecordingChat();
  const progress = createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: (_, id) => `/${id}` });
  const egress = createEgress({ privateTargets: [], log: silentLog });
  context = {
    ...core,
    ...{
      progress,
      egress,
      http: createHttp({ egress }),
      services,
      model: undefined,
      log: silentLog,
      checkpoints: keeper.checkpoints,
    },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
});
afterAll(async () => {
  await core.close();
  keeper.remove();
  await testDatabase.drop();
});

function write(shop: Shop, n: number, to = context, from = shop.merchant): Promise<unknown> {
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: `thread-${n}` } as const;
  const id = `${shop.workspaceId} ${from.id} ${n}`;
  return converse(to, { kind: 'message', id, thread, from: from.person, text: 'what about it, then?' });
}

test('a customer whose people write hundreds of messages at once delays no other one’s message', async () => {
  const [loud, quiet] = [await installShop(core), await installShop(core)];
  let answered = 0;
  const flood = Array.from({ length: MESSAGES }, (_, n) => write(loud, n).then(() => answered++));
  await write(quiet, 0);
  expect(answered).toBeLessThan(MESSAGES / 4); // far ahead of those that came before it
  await Promise.all(flood);
  expect(answered).toBe(MESSAGES); // and each of them was answered
});

test('a member who writes without end asks the model 60 times in an hour; the grammar answers the rest', async () => {
  const shop = await installShop(core);
  let asked = 0;
  const model: Model = {
    async answer() {
      asked++;
      return undefined;
    },
  };
  const chat = createRecordingChat();
  const withModel = { ...context, model, chat: () => chat };
  await Promise.all(Array.from({ length: 70 }, (_, n) => write(shop, n, withModel)));
  expect(asked).toBe(60);
  expect(chat.shown()).toHaveLength(70);
  await write(shop, 70, withModel, shop.approver);
  expect(asked).toBe(61); // each member has a count of their own
});
