import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import { CountersignError } from '../../core/errors.ts';
import { lockedOperation } from '../../core/operations/locked.ts';
import type { ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { buttonsOf } from '../support/cards.ts';
import { madeConnection } from '../support/connections.ts';
import {
  type Core,
  cancel,
  grantedOperation,
  installShop,
  newcomer,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { askAbout } from '../support/questions.ts';
import { type ChatCall, createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

/** The same event, delivered many times to two processes at once, has one effect. */
let testDatabase: TestDatabase;
const cores: Core[] = [];
let keeper: Keeper;
const DELIVERIES = 20;
vi.setConfig({ testTimeout: 240_000 }); // twenty at once, on a machine that is shared
/** Of a site that answers. */
let TARGET: string;

let site: LoopbackSite;
beforeAll(async () => {
  site = await serveSite({ '/': 'a shop' });
  TARGET = site.authority;
  testDatabase = await createTestDatabase();
  const first = await openCore(testDatabase);
  cores.push(first, await openCore(testDatabase));
  keeper = keepTrails(first);
});
afterAll(async () => {
  await site?.close();
  for (const core of cores) await core.close();
  await testDatabase.drop();
  keeper.remove();
});

function contextOf(core: Core, chat: RecordingChat): Context {
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const progress = createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl });
  const egress = createEgress({ privateTargets: [TARGET], log: silentLog });
  const publicUrl = () => 'http://localhost:3000';
  const { checkpoints } = keeper;
  return {
    ...core,
    progress,
    egress,
    http: createHttp({ egress }),
    checkpoints,
    services,
    model: undefined,
    log: silentLog,
    publicUrl,
    chat: () => chat,
  };
}

interface Scene {
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

async function openScene(before?: (call: ChatCall) => Promise<void>): Promise<Scene> {
  const [core] = cores;
  if (!core) throw new Error('the database is not open');
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

const says = ({ thread }: Scene, { person }: Member, id: string, text: string): ChatEvent => ({
  ...{ kind: 'message', id, thread, from: person, text },
});
const presses = ({ thread }: Scene, { person }: Member, id: string, action: string, value: string): ChatEvent => ({
  ...{ kind: 'action', id, thread, from: person, action, value, trigger: id },
});
const entriesOf = async (id: string, kind: string) =>
  sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = $2', [
    id,
    kind,
  ]);

describe('60 an event that is delivered twenty times, to two instances', () => {
  test('asks for one operation, with one card', async () => {
    const scene = await openScene();
    await scene.deliver(says(scene, scene.shop.merchant, 'ev-1', `set up WooCommerce for http://${TARGET}`));
    expect(await scene.operations()).toHaveLength(1);
    expect(scene.chat.shown()).toHaveLength(1);
    expect(scene.chat.shown()[0]?.summary).toContain('waiting for approval');
    await scene.deliver(says(scene, scene.shop.merchant, 'ev-2', `set up WooCommerce for http://${TARGET}`));
    expect(await scene.operations()).toHaveLength(2);
  });

  test('countersigns once, sends one link, and tells nobody that it was too late', async () => {
    const scene = await openScene();
    const operation = await requestOperation(scene.core, scene.shop);
    const { id, planHash } = operation;
    await scene.deliver(presses(scene, scene.shop.approver, 'ev-3', 'approve', `${id} ${planHash}`));
    expect(await entriesOf(id, 'consent.granted')).toHaveLength(1);
    const alone = scene.chat.calls.filter(({ call }) => call === 'ephemeral').map(({ card }) => card?.summary);
    expect(alone).toEqual([expect.stringContaining('Enter the WooCommerce sign-in')]);
    await scene.deliver(presses(scene, scene.shop.approver, 'ev-4', 'approve', `${id} ${planHash}`), 1);
    expect(scene.chat.calls.at(-1)?.card?.summary).toContain('This was decided already');
  });

  test('stops once', async () => {
    const scene = await openScene();
    const { id } = await requestOperation(scene.core, scene.shop);
    await scene.deliver(presses(scene, scene.shop.merchant, 'ev-5', 'stop', id));
    expect(await entriesOf(id, 'operation.cancelled')).toHaveLength(1);
    expect(scene.chat.calls.filter(({ call }) => call === 'ephemeral')).toEqual([]);
  });

  test('stops everything that was open at its first time, and says so also at its second', async () => {
    let failures = 1;
    const scene = await openScene(async ({ call }) => {
      if (call === 'ephemeral' && failures-- > 0) throw new Error('nothing goes out');
    });
    const { core, shop } = scene;
    await requestOperation(core, shop);
    const all = presses(scene, shop.admin, 'ev-50', 'stop_all', '');
    await expect(scene.deliver(all, 1)).rejects.toThrow('nothing goes out');
    await requestOperation(core, shop);
    await scene.deliver(all, 1);
    expect((await scene.operations()).map(({ status }) => status).toSorted()).toEqual([
      'awaiting_consent',
      'cancelled',
    ]);
    expect(scene.chat.calls.at(-1)?.card?.summary).toBe(
      'Everything that was open then is stopped. Every thread says so. New requests are possible.',
    );
  });

  test('of the platform’s own Stop ends all that is open in the thread, for those who may stop it', async () => {
    const scene = await openScene();
    const { shop, core, thread } = scene;
    const ask = (ev: string) =>
      scene.deliver(says(scene, shop.merchant, ev, `set up WooCommerce for http://${TARGET}`), 1);
    await ask('ev-51');
    await ask('ev-52');
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-else', name: 'Else' }),
    );
    await scene.deliver({ kind: 'stop', id: 'ev-53', thread, from: other.person }, 1);
    expect((await scene.operations()).map(({ status }) => status)).toEqual(['awaiting_consent', 'awaiting_consent']);
    expect(scene.chat.calls.at(-1)?.card?.summary).toMatch(/^Only whoever asked/);
    await scene.deliver({ kind: 'stop', id: 'ev-54', thread, from: shop.merchant.person });
    for (const { id, status } of await scene.operations()) {
      expect(status).toBe('cancelled');
      expect(await entriesOf(id, 'operation.cancelled')).toHaveLength(1);
    }
  });

  test('rates a result once, on record; a stranger to the request rates nothing', async () => {
    const scene = await openScene();
    const { shop, core } = scene;
    const { id } = await requestOperation(core, shop);
    await scene.deliver(presses(scene, shop.merchant, 'ev-55', 'rate', `good ${id}`));
    expect(await entriesOf(id, 'result.rated')).toHaveLength(1);
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-else', name: 'Else' }),
    );
    await scene.deliver(presses(scene, other, 'ev-56', 'rate', `bad ${id}`), 1);
    await scene.deliver(presses(scene, shop.merchant, 'ev-57', 'rate', `splendid ${id}`), 1);
    expect(await entriesOf(id, 'result.rated')).toHaveLength(1);
    expect(scene.chat.calls.at(-1)?.card?.summary).toMatch(/Nothing was kept/);
  });

  test('of a customer says nothing about the same event of another', async () => {
    const [a, b] = [await openScene(), await openScene()];
    for (const scene of [a, b]) {
      await scene.deliver(says(scene, scene.shop.merchant, 'ev-6', `set up WooCommerce for http://${TARGET}`), 2);
      expect(await scene.operations()).toHaveLength(1);
    }
  });

  test('that failed on the way leaves no trace, and has its effect when it comes again', async () => {
    const { core, shop } = await openScene();
    const event = { platform: 'web', id: 'ev-7' } as const;
    const broken = { ...shop.merchant, id: 'nobody' } as Member; // a member that no row stands for: the insert fails
    await expect(requestOperation(core, shop, { event, requester: broken })).rejects.toThrow();
    await requestOperation(core, shop, { event });
    await expect(requestOperation(core, shop, { event })).rejects.toThrow('taken before');
  });
});

describe('60 a click on Approve that had its effect, but whose program died before it said so, comes again, and', () => {
  /** A scene whose chat takes nothing until it is mended. */
  async function openCutScene() {
    let isCut = true;
    const scene = await openScene(async () => {
      if (isCut) throw new Error('nothing goes out any more');
    });
    const mend = () => {
      isCut = false;
    };
    const alone = () => scene.chat.calls.filter(({ call }) => call === 'ephemeral').map(({ card }) => card?.summary);
    return { scene, mend, alone };
  }

  test('the link for the sign-in is sent, once', async () => {
    const { scene, mend, alone } = await openCutScene();
    const { id, planHash } = await requestOperation(scene.core, scene.shop);
    const click = presses(scene, scene.shop.approver, 'ev-20', 'approve', `${id} ${planHash}`);
    await expect(scene.deliver(click, 1)).rejects.toThrow('nothing goes out');
    mend();
    await scene.deliver(click);
    expect(alone()).toEqual([expect.stringContaining('Enter the WooCommerce sign-in')]);
    expect(await entriesOf(id, 'consent.granted')).toHaveLength(1);
  });

  test('whoever clicked hears that the card is an old one', async () => {
    const { scene, mend, alone } = await openCutScene();
    const { id, planHash } = await requestOperation(scene.core, scene.shop);
    const click = presses(
      scene,
      scene.shop.approver,
      'ev-21',
      'approve',
      `${id} ${planHash.replaceAll(/[0-9]/g, 'a')}`,
    );
    await expect(scene.deliver(click, 1)).rejects.toThrow('nothing goes out');
    mend();
    await scene.deliver(click, 1);
    expect(alone()).toEqual([expect.stringContaining('from an earlier version of the plan')]);
    expect(await entriesOf(id, 'consent.granted')).toEqual([]);
  });
});

describe('a link to a one-time page that the platform did not take, after', () => {
  interface Pressing {
    readonly by: Member;
    readonly action: string;
    readonly id: string;
    readonly value?: string;
  }
  const pressings: readonly [string, (core: Core, shop: Shop) => Promise<Pressing>][] = [
    [
      'Approve',
      async (core, shop) => {
        const { id, planHash } = await requestOperation(core, shop);
        return { by: shop.approver, action: 'approve', id, value: `${id} ${planHash}` };
      },
    ],
    [
      'Enter the sign-in',
      async (core, shop) => ({
        ...{ by: shop.merchant, action: 'enter_sign_in' },
        id: (await grantedOperation(core, shop)).id,
      }),
    ],
    [
      'Enter the code',
      async (core, shop) => {
        const operation = await queuedOperation(core, shop);
        const question = await askAbout(core, operation, 'code');
        return { by: shop.merchant, action: 'enter_code', id: operation.id, value: `${operation.id} ${question.id}` };
      },
    ],
    ['Reveal', async (core, shop) => ({ by: shop.admin, action: 'reveal', id: (await madeConnection(core, shop)).id })],
  ];

  test.each(pressings)(
    '%s, is sent when the press comes again, once, and no other one leads anywhere',
    async (_, make) => {
      let failures = 1;
      const scene = await openScene(async ({ key }) => {
        if (key?.startsWith('link:') && failures-- > 0)
          throw new CountersignError('chat_unavailable', 'Too many messages.', { isRetryable: true });
      });
      const { by, action, id, value = id } = await make(scene.core, scene.shop);
      const press = presses(scene, by, 'ev-30', action, value);
      await expect(scene.deliver(press, 1)).rejects.toThrow('Too many messages.');
      await scene.deliver(press, 4);
      await scene.deliver(press, 1);
      await scene.show(); // that the first one was closed is nothing to be told
      const links = scene.chat.calls.filter(({ key }) => key?.startsWith('link:'));
      expect(links).toMatchObject([{ call: 'ephemeral', card: { summary: expect.stringContaining('one-time page') } }]);
      const live = 'SELECT FROM connect_links WHERE operation_id = $1 AND spent_at IS NULL';
      expect(await sql(testDatabase.adminUrl, live, [id])).toHaveLength(1);
    },
  );
});

describe('a request whose words are changed', () => {
  const edits = (scene: Scene, id: string, after: string): ChatEvent => ({
    ...{ kind: 'edit', id, thread: scene.thread, from: scene.shop.merchant.person, after },
    before: 'set up WooCommerce for shop.example.com',
  });
  const states = async (scene: Scene) => (await scene.operations()).map(({ status }) => status);
  const alone = (scene: Scene) => scene.chat.calls.findLast(({ call }) => call === 'ephemeral')?.card;

  test('is withdrawn, and answered anew although the first try came no further than that', async () => {
    let failures = 1;
    const scene = await openScene(async ({ call }) => {
      if (call === 'post' && failures-- > 0) throw new Error('nothing goes out');
    });
    await requestOperation(scene.core, scene.shop);
    const edit = edits(scene, 'ev-40', 'set up WooCommerce');
    await expect(scene.deliver(edit, 1)).rejects.toThrow('nothing goes out');
    expect(await states(scene)).toEqual(['cancelled']);
    await scene.deliver(edit, 1);
    expect(scene.chat.shown().at(-1)?.summary).toContain('What is the address');
  });

  test('is not stopped once it has begun: that is offered', async () => {
    const scene = await openScene();
    const { id } = await queuedOperation(scene.core, scene.shop);
    await scene.deliver(edits(scene, 'ev-41', 'set up WooCommerce for other.example.com'), 1);
    expect(await states(scene)).toEqual(['queued']);
    const card = alone(scene);
    expect(card?.summary).toBe(
      `You changed your request to set up WooCommerce for shop.example.com, and it is countersigned and goes on as it was: ${id}`,
    );
    expect(card && buttonsOf(card)).toMatchObject([{ label: 'Stop', action: 'stop', value: id }]);
  });

  test('is not withdrawn when it is approved at that moment', async () => {
    const scene = await openScene();
    const { core, shop } = scene;
    const { id, customerId } = await requestOperation(core, shop);
    let edited: Promise<void> | undefined;
    await core.database.withCustomer(customerId, async (tx) => {
      await lockedOperation(tx, core.operations, customerId, id);
      edited ??= scene.deliver(edits(scene, 'ev-42', 'set up WooCommerce for other.example.com'), 1);
      await untilBlocked(testDatabase, edited);
      const approval = { from: ['awaiting_consent'], to: 'awaiting_credentials' } as const;
      await core.mover.move(tx, customerId, { operationId: id, ...approval, entry: { kind: 'consent.granted' } });
    });
    await edited;
    expect(await states(scene)).toEqual(['awaiting_credentials']);
    expect(alone(scene)?.summary).toContain(`and it is countersigned as it was: ${id}`);
  });
});

test('a sentence that means nothing gets a sentence where there is a request, and the help where there is none', async () => {
  const scene = await openScene();
  await scene.deliver(says(scene, scene.shop.merchant, 'ev-8', 'the weather is nice today'), 1);
  expect(scene.chat.shown().at(-1)?.blocks.length).toBeGreaterThan(1);
  const { id } = await requestOperation(scene.core, scene.shop);
  await scene.deliver(says(scene, scene.shop.merchant, 'ev-9', 'the weather is nice today'), 1);
  const answer = scene.chat.shown().at(-1);
  expect(answer?.blocks).toHaveLength(1);
  expect(answer?.summary).toContain(`${id} (waiting for approval)`);
});

test('several addresses, and one that can not be used, are asked about, and the answer goes on', async () => {
  const scene = await openScene();
  const { merchant } = scene.shop;
  await scene.deliver(
    says(scene, merchant, 'ev-10', `set up WooCommerce for http://${TARGET} and ftp://old.example.com`),
  );
  expect(scene.chat.shown().at(-1)?.summary).toBe(
    `I can't use “ftp://old.example.com” as an address. Nothing was done yet: if “http://${TARGET}” is the one, write it here, alone.`,
  );
  await scene.deliver(says(scene, merchant, 'ev-11', 'set up WooCommerce for a.example.com and b.example.com'), 1);
  expect(scene.chat.shown().at(-1)?.summary).toMatch(
    /^You named “a\.example\.com” and “b\.example\.com”, and I set up one/,
  );
  await scene.deliver(
    says(scene, merchant, 'ev-12', `set up WooCommerce for https://${'s'.repeat(63)}.${'t.'.repeat(100)}com`),
    1,
  );
  expect(scene.chat.shown().at(-1)?.summary).toMatch(/^That name is too long for a site: .* Nothing was done\./);
  expect(await scene.operations()).toEqual([]);
  await scene.deliver(says(scene, merchant, 'ev-13', `http://${TARGET}`), 1);
  expect(await scene.operations()).toHaveLength(1);
});

describe('in a thread', () => {
  const elsewhere = (scene: Scene): ThreadRef => ({ ...scene.thread, ref: 'elsewhere' });
  const commands = (
    scene: Scene,
    { person }: Member,
    command: 'audit' | 'countersign',
    text: string,
    thread = scene.thread,
  ) => scene.deliver({ kind: 'command', id: `ev-${++count}`, thread, from: person, command, text, trigger: 't' }, 1);
  const answered = (scene: Scene) => scene.chat.calls.findLast(({ call }) => call === 'ephemeral')?.card;
  const saidIn = (scene: Scene) => JSON.stringify(answered(scene));
  let count = 100;

  test('/audit alone is about its own operation, and elsewhere asks which one', async () => {
    const scene = await openScene();
    await commands(scene, scene.shop.admin, 'audit', '');
    expect(answered(scene)?.summary).toContain('There is no operation yet.');
    const { id } = await requestOperation(scene.core, scene.shop);
    const other = await scene.core.database.withCustomer(scene.shop.customerId, (tx) =>
      scene.core.threads.open(tx, scene.shop.customerId, { ...scene.thread, ref: 'another' }),
    );
    const newer = await requestOperation(scene.core, scene.shop, { threadId: other.id });
    await commands(scene, scene.shop.admin, 'audit', ' ');
    expect(answered(scene)?.summary).toContain(`Audit trail of ${id},`);
    expect(saidIn(scene)).toContain('No step was run.');
    expect(saidIn(scene)).not.toMatch(/0 of 0|0 %/);
    await commands(scene, scene.shop.admin, 'audit', '', elsewhere(scene));
    expect(answered(scene)?.summary).toContain(`Name one, such as /audit ${newer.id}`);
    for (const operation of [id, newer.id]) expect(saidIn(scene)).toContain(operation);
    await commands(scene, scene.shop.merchant, 'audit', '', elsewhere(scene));
    expect(saidIn(scene)).not.toContain(id);
  });

  test('what one account of a person asked for another one of theirs changes and withdraws', async () => {
    const scene = await openScene();
    const { core, shop, thread } = scene;
    const [{ id, planHash }, other] = [await requestOperation(core, shop), await newcomer(core, shop, 'Mona at home')];
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.link(tx, shop.customerId, [shop.merchant, other]),
    );
    const value = `${id} ${planHash}`;
    const from = other.person;
    await scene.deliver(presses(scene, other, 'ev-90', 'choose_permissions', value), 1);
    expect(scene.chat.forms).toHaveLength(1);
    const fields = { permissions: ['write_shop'] };
    await scene.deliver({ kind: 'form', id: 'ev-91', thread, from, form: 'permissions', value, fields }, 1);
    expect((await scene.operations()).map(({ plan_hash: hash }) => hash === planHash)).toEqual([false]);
    const before = 'set up WooCommerce for https://shop.example.com';
    await scene.deliver({ kind: 'edit', id: 'ev-92', thread, from, before }, 1);
    expect(answered(scene)?.summary).toContain('You deleted your request');
    expect(saidIn(scene)).toContain(id);
  });

  test('/countersign consents lists what may still run, and taking it back is said in its own thread', async () => {
    const scene = await openScene();
    const { core, shop } = scene;
    const [ended, live] = [await grantedOperation(core, shop), await grantedOperation(core, shop)];
    await cancel(core, ended);
    await commands(scene, shop.approver, 'countersign', 'consents', elsewhere(scene));
    expect(answered(scene)?.summary).toBe('1 live countersignature');
    expect(saidIn(scene)).toContain('waiting for the sign-in');
    expect(saidIn(scene)).not.toContain(ended.id);
    const other = await newcomer(core, shop, 'Mona at home');
    const buttons = async () => {
      await commands(scene, other, 'countersign', 'consents', elsewhere(scene));
      return answered(scene)?.blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : [])) ?? [];
    };
    expect(await buttons()).toEqual([]);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.link(tx, shop.customerId, [shop.merchant, other]),
    );
    const [button] = await buttons();
    // But the link is of the account that asked, which is shown it here.
    await scene.deliver(presses(scene, other, 'ev-98', 'enter_sign_in', live.id), 1);
    expect(answered(scene)?.summary).toBe('Only Mona, who asked, gets the link. Nothing was changed.');
    const event = presses(scene, other, 'ev-99', 'revoke_consent', button?.value ?? '');
    await scene.deliver({ ...event, thread: elsewhere(scene) });
    expect(await entriesOf(live.id, 'consent.revoked')).toHaveLength(1);
    const said = `Mona at home took back the countersignature of ${live.id}.`;
    const posted = scene.chat.calls.filter(({ call, card }) => call === 'post' && card?.summary.startsWith(said));
    expect(new Set(posted.map(({ thread }) => thread?.ref))).toEqual(new Set(['thread']));
    expect(scene.chat.shown().filter(({ summary }) => summary.startsWith(said))).toHaveLength(1);
    const stopped = /^Stopped: .* Consent was revoked$/;
    expect(scene.chat.shown().filter(({ summary }) => stopped.test(summary))).toHaveLength(1);
    expect(JSON.stringify(scene.chat.shown())).not.toContain('enter_sign_in');
    const alone = scene.chat.calls.filter(({ call, thread }) => call === 'ephemeral' && thread?.ref === 'elsewhere');
    expect(alone.map(({ card }) => card?.summary)).toEqual([
      ...['1 live countersignature', '1 live countersignature', '1 live countersignature'],
      `Taken back: ${live.id}. What ran under it stops, and its own thread says so.`,
    ]);
    await commands(scene, shop.merchant, 'countersign', 'consents');
    expect(answered(scene)?.summary).toContain('Nothing is countersigned at the moment');
  });
});
