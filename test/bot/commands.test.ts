// Commands about stored keys, links and trails: bot/commands/credentials.ts, bot/credential-flow.ts, bot/commands/audit.ts.
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { COMMANDS } from '../../bot/cards/help-card.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import { type Listening, listenOnLoopback } from '../../core/http-listen.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { Secret } from '../../core/secret.ts';
import { services } from '../../core/services/index.ts';
import { DEMO_COMMANDS } from '../practice/demo.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { madeConnection } from '../support/connections.ts';
import {
  type Core,
  cancel,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  type Shop,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let shopServer: Listening;
/** A shop that knows one key. */
const server = createServer(({ headers }, response) => {
  const isKnown = headers.authorization?.includes('ck_good') === true;
  const json = { 'Content-Type': 'application/json', 'X-WP-Total': '5' };
  const denied = { code: 'woocommerce_rest_authentication_error', message: 'Consumer key is invalid.' };
  response.writeHead(isKnown ? 200 : 401, json).end(JSON.stringify(isKnown ? [{ id: 1 }] : denied));
});
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
  shopServer = await listenOnLoopback(server, 0);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
  keeper.remove();
  await shopServer.close();
});

async function openScene() {
  const shop = await installShop(core);
  const chat = createRecordingChat();
  const egress = createEgress({ privateTargets: [`127.0.0.1:${shopServer.port}`], log: silentLog });
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
    ...{ egress, http: createHttp({ egress }) },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  let events = 0;
  const hand = async (event: object) => {
    await converse(context, { id: `ev-${++events}`, thread, ...event } as ChatEvent); // each caller says the rest
    return chat.calls.at(-1)?.card;
  };
  return {
    ...{ shop, chat },
    command: ({ person }: Member, text: string) =>
      hand({ kind: 'command', from: person, command: 'countersign', text }),
    say: ({ person }: Member, text: string) => hand({ kind: 'message', from: person, text }),
    press: ({ person }: Member, action: string, value: string) =>
      hand({ kind: 'action', from: person, action, value, trigger: 't' }),
  };
}

async function stored(shop: Shop, key: string) {
  const base = `http://127.0.0.1:${shopServer.port}`;
  const operation = await requestOperation(core, shop, { base, origin: base });
  await core.database.withCustomer(shop.customerId, (tx) =>
    core.vault.within(tx).store(shop.customerId, 'woocommerce', 'api_key', {
      target: base,
      value: { consumer_key: new Secret(key), consumer_secret: new Secret('cs_of the tests') },
      metadata: { operationId: operation.id, label: operation.plan.label },
    }),
  );
  return operation;
}

describe('stored keys', () => {
  test('are listed to admins, without what they say', async () => {
    const { shop, command } = await openScene();
    expect((await command(shop.admin, 'credentials'))?.summary).toBe('No key is stored.');
    const { id } = await stored(shop, 'ck_good');
    const card = await command(shop.admin, 'credentials');
    expect(card?.summary).toBe('1 stored key');
    expect(JSON.stringify(card)).toContain(id);
    expect(JSON.stringify(card)).not.toMatch(/ck_good|cs_of/);
    for (const other of [shop.merchant, shop.approver])
      expect((await command(other, 'credentials'))?.summary).toMatch(/^Only an admin/);
  });

  test.each([
    { key: 'ck_good', says: 'The WooCommerce key works', detail: /answered 200, 5 products/ },
    { key: 'ck_other', says: 'The WooCommerce key does not work', detail: /"state":"failed"/ },
  ])('are tried with one call to the shop, on record: $key', async ({ key, says, detail }) => {
    const { shop, command } = await openScene();
    await stored(shop, key);
    const card = await command(shop.approver, 'test WooCommerce');
    expect(card?.summary).toBe(says);
    expect(JSON.stringify(card)).toMatch(detail);
    expect(JSON.stringify(card)).not.toContain(key);
    const opened = await core.database.withCustomer(shop.customerId, (tx) =>
      tx.auditEntry.count({ where: { customerId: shop.customerId, kind: 'credential.opened' } }),
    );
    expect(opened).toBe(1);
  });

  test('or an address without any key: what is wrong there is said in words to an approver, and to nobody else', async () => {
    const { shop, say } = await openScene();
    const words = `test WordPress for http://127.0.0.1:${shopServer.port}`;
    const card = await say(shop.approver, words);
    expect(card?.summary).toMatch(/^\d of \d things are wrong there$/);
    expect(JSON.stringify(card)).toMatch(/REST API is closed to strangers \(401\)[^"]* A password may still work/);
    const refused = await say(shop.merchant, words);
    expect(refused?.summary).toMatch(/^Only an approver or an admin/);
    expect(JSON.stringify(refused)).not.toContain('closed');
  });

  test('are tried for nobody else, and for no service that is not known', async () => {
    const { shop, command } = await openScene();
    await stored(shop, 'ck_good');
    expect((await command(shop.merchant, 'test woocommerce'))?.summary).toMatch(/^Only an approver or an admin/);
    expect((await command(shop.admin, 'test nothing'))?.summary).toMatch(/^Say which service/);
  });
});

test('the demo offers whatever the help names', () => {
  const offered = DEMO_COMMANDS.map(({ command }) => command);
  for (const words of Object.values(COMMANDS).flat())
    expect(offered).toContain(`countersign ${words.replace(/ (?:op-…|woocommerce)$/, '')}`);
});

describe('words', () => {
  test.each(['stop', 'pause', 'resume', 'retry'])(
    '%s says of an operation that there is not, that nothing was changed',
    async (verb) => {
      const { shop, command } = await openScene();
      const card = await command(shop.admin, `${verb} op-00000000`);
      expect(card?.summary).toBe('There is no operation “op-00000000” here. Nothing was changed.');
    },
  );

  test('help offers each person what is theirs, and to everybody at once only what is everybody’s', async () => {
    const { shop, command, say } = await openScene();
    const offered = async (card: ReturnType<typeof command>) =>
      [...JSON.stringify(await card).matchAll(/\/(?:countersign|audit) [\w-]+(?: all)?/g)].map(([words]) => words);
    const all = ['operations', 'consents', 'console', 'stop', 'pause', 'resume', 'retry', 'notify', 'link'].map(
      (word) => `/countersign ${word}`,
    );
    expect(await offered(command(shop.merchant, 'help'))).toEqual(all);
    expect(await offered(command(shop.approver, 'help'))).toEqual([...all, '/countersign test']);
    expect(await offered(command(shop.admin, 'help'))).toEqual([
      ...[...all, '/countersign test', '/audit op-', '/countersign credentials', '/countersign stop all'],
      ...['/countersign settings', '/countersign accounts'],
    ]);
    expect(await offered(say(shop.admin, 'help'))).toEqual(all);
  });

  test('a command that there is not is said to be none, and nothing was done', async () => {
    const { shop, command } = await openScene();
    expect((await command(shop.merchant, 'setings'))?.summary).toMatch(
      /^I do not know that command\. Nothing was done\./,
    );
    for (const asked of ['', 'help'])
      expect((await command(shop.merchant, asked))?.summary).toMatch(/^I set up store integrations/);
  });

  test('thanks are answered with a sentence', async () => {
    const { shop, say } = await openScene();
    expect((await say(shop.merchant, 'Thanks a lot 🙂'))?.summary).toBe(
      `You are welcome, ${shop.merchant.person.name}.`,
    );
    expect((await say(shop.merchant, 'hello'))?.summary).toMatch(/^Hello /);
  });

  test('“yes” is pointed to a card that asks, and is not understood where none does', async () => {
    const { shop, say } = await openScene();
    expect((await say(shop.approver, 'yes'))?.summary).toMatch(/^I am not sure what you mean/);
    const operation = await requestOperation(core, shop);
    expect((await say(shop.approver, 'approve'))?.summary).toMatch(/^Words decide nothing here\. Press Approve/);
    await cancel(core, operation);
    expect((await say(shop.approver, 'yes'))?.summary).toContain(`latest request of this thread is ${operation.id}`);
    // The question for repairs to come is one, too.
    const { id } = await madeConnection(core, shop);
    expect((await say(shop.approver, 'yes'))?.summary).toContain(`latest request of this thread is ${id}`);
    await core.repairOffers.offer(shop.customerId, id, shop.merchant);
    expect((await say(shop.approver, 'yes'))?.summary).toMatch(/^Words decide nothing here/);
  });

  test('a password in a request leaves the whole of it undone, and that is said', async () => {
    const { shop, say } = await openScene();
    const card = await say(shop.merchant, 'set up WooCommerce for shop.example.com, my password is hunter2');
    expect(card?.summary).toContain('nor did I do anything else that the message may ask for');
    const count = await core.database.withCustomer(shop.customerId, (tx) => tx.operation.count());
    expect(count).toBe(0);
  });
});

describe('/countersign link', () => {
  test('gives the one-time page again to whoever asked, and to nobody else', async () => {
    const { shop, command, chat } = await openScene();
    expect((await command(shop.merchant, 'link'))?.summary).toMatch(/^No request of yours/);
    const { id } = await grantedOperation(core, shop);
    expect((await command(shop.approver, 'link'))?.summary).toMatch(/^No request of yours/);
    expect((await command(shop.approver, `link ${id}`))?.summary).toMatch(/^No request of yours/);
    expect(JSON.stringify(await command(shop.merchant, 'link'))).toContain('http://localhost:3000/connect/');
    expect(chat.calls.at(-1)).toMatchObject({ call: 'ephemeral' });
    const second = await grantedOperation(core, shop);
    expect((await command(shop.merchant, 'link'))?.summary).toContain(`/countersign link ${second.id}`);
    expect(JSON.stringify(await command(shop.merchant, `link ${id.toUpperCase()}`))).toContain('/connect/');
  });
});

describe('a trail', () => {
  test('is shared in the thread by an admin alone, without the links for the reader', async () => {
    const { shop, press, chat } = await openScene();
    const operation = await requestOperation(core, shop);
    expect((await press(shop.merchant, 'share_audit', operation.id))?.summary).toMatch(/^Only an admin/);
    await press(shop.admin, 'share_audit', operation.id);
    expect(chat.calls.at(-1)).toMatchObject({ call: 'post' });
    expect(JSON.stringify(chat.calls.at(-1)?.card)).not.toContain('/connect/');
    expect((await trail(core, operation)).map(({ kind }) => kind)).toContain('trail.read');
    expect((await press(shop.admin, 'share_audit', 'op-00000000'))?.summary).toMatch(/^There is no such operation/);
  });

  test('turns to the page whose button was pressed', async () => {
    const { shop, press } = await openScene();
    const { id } = await requestOperation(core, shop);
    const card = await press(shop.admin, 'audit_page', `${id} page 2`);
    expect(card?.summary).toContain(`Audit trail of ${id}`);
  });
});
