// The same event, delivered many times to two instances at once, has one effect.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import { CountersignError } from '../../core/errors.ts';
import { lockedOperation } from '../../core/operations/locked.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { buttonsOf } from '../support/cards.ts';
import { madeConnection } from '../support/connections.ts';
import {
  type Core,
  grantedOperation,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
import { type Instances, openInstances, presses, type Scene, says } from '../support/instances.ts';
import { askAbout } from '../support/questions.ts';

vi.setConfig({ testTimeout: 240_000 }); // twenty at once, on a machine that is shared

let instances: Instances;
beforeAll(async () => {
  instances = await openInstances();
});
afterAll(() => instances?.close());

describe('60 an event that is delivered twenty times, to two instances', () => {
  test('asks for one operation, with one card', async () => {
    const scene = await instances.openScene();
    await scene.deliver(says(scene, scene.shop.merchant, 'ev-1', `set up WooCommerce for http://${instances.target}`));
    expect(await scene.operations()).toHaveLength(1);
    expect(scene.chat.shown()).toHaveLength(1);
    expect(scene.chat.shown()[0]?.summary).toContain('waiting for approval');
    await scene.deliver(says(scene, scene.shop.merchant, 'ev-2', `set up WooCommerce for http://${instances.target}`));
    expect(await scene.operations()).toHaveLength(2);
  });

  test('countersigns once, sends one link, and tells nobody that it was too late', async () => {
    const scene = await instances.openScene();
    const operation = await requestOperation(scene.core, scene.shop);
    const { id, planHash } = operation;
    await scene.deliver(presses(scene, scene.shop.approver, 'ev-3', 'approve', `${id} ${planHash}`));
    expect(await instances.entriesOf(id, 'consent.granted')).toHaveLength(1);
    const alone = scene.chat.calls.filter(({ call }) => call === 'ephemeral').map(({ card }) => card?.summary);
    expect(alone).toEqual([expect.stringContaining('Enter the WooCommerce sign-in')]);
    await scene.deliver(presses(scene, scene.shop.approver, 'ev-4', 'approve', `${id} ${planHash}`), 1);
    expect(scene.chat.calls.at(-1)?.card?.summary).toContain('This was decided already');
  });

  test('stops once', async () => {
    const scene = await instances.openScene();
    const { id } = await requestOperation(scene.core, scene.shop);
    await scene.deliver(presses(scene, scene.shop.merchant, 'ev-5', 'stop', id));
    expect(await instances.entriesOf(id, 'operation.cancelled')).toHaveLength(1);
    expect(scene.chat.calls.filter(({ call }) => call === 'ephemeral')).toEqual([]);
  });

  test('stops everything that was open at its first time, and says so also at its second', async () => {
    let failures = 1;
    const scene = await instances.openScene(async ({ call }) => {
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
    const scene = await instances.openScene();
    const { shop, core, thread } = scene;
    const ask = (ev: string) =>
      scene.deliver(says(scene, shop.merchant, ev, `set up WooCommerce for http://${instances.target}`), 1);
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
      expect(await instances.entriesOf(id, 'operation.cancelled')).toHaveLength(1);
    }
  });

  test('rates a result once, on record; a stranger to the request rates nothing', async () => {
    const scene = await instances.openScene();
    const { shop, core } = scene;
    const { id } = await requestOperation(core, shop);
    await scene.deliver(presses(scene, shop.merchant, 'ev-55', 'rate', `good ${id}`));
    expect(await instances.entriesOf(id, 'result.rated')).toHaveLength(1);
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-else', name: 'Else' }),
    );
    await scene.deliver(presses(scene, other, 'ev-56', 'rate', `bad ${id}`), 1);
    await scene.deliver(presses(scene, shop.merchant, 'ev-57', 'rate', `splendid ${id}`), 1);
    expect(await instances.entriesOf(id, 'result.rated')).toHaveLength(1);
    expect(scene.chat.calls.at(-1)?.card?.summary).toMatch(/Nothing was kept/);
  });

  test('of a customer says nothing about the same event of another', async () => {
    const [a, b] = [await instances.openScene(), await instances.openScene()];
    for (const scene of [a, b]) {
      await scene.deliver(
        says(scene, scene.shop.merchant, 'ev-6', `set up WooCommerce for http://${instances.target}`),
        2,
      );
      expect(await scene.operations()).toHaveLength(1);
    }
  });

  test('that failed on the way leaves no trace, and has its effect when it comes again', async () => {
    const { core, shop } = await instances.openScene();
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
    const scene = await instances.openScene(async () => {
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
    expect(await instances.entriesOf(id, 'consent.granted')).toHaveLength(1);
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
    expect(await instances.entriesOf(id, 'consent.granted')).toEqual([]);
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
      const scene = await instances.openScene(async ({ key }) => {
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
      expect(await sql(instances.testDatabase.adminUrl, live, [id])).toHaveLength(1);
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
    const scene = await instances.openScene(async ({ call }) => {
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
    const scene = await instances.openScene();
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
    const scene = await instances.openScene();
    const { core, shop } = scene;
    const { id, customerId } = await requestOperation(core, shop);
    let edited: Promise<void> | undefined;
    await core.database.withCustomer(customerId, async (tx) => {
      await lockedOperation(tx, core.operations, customerId, id);
      edited ??= scene.deliver(edits(scene, 'ev-42', 'set up WooCommerce for other.example.com'), 1);
      await untilBlocked(instances.testDatabase, edited);
      const approval = { from: ['awaiting_consent'], to: 'awaiting_credentials' } as const;
      await core.mover.move(tx, customerId, { operationId: id, ...approval, entry: { kind: 'consent.granted' } });
    });
    await edited;
    expect(await states(scene)).toEqual(['awaiting_credentials']);
    expect(alone(scene)?.summary).toContain(`and it is countersigned as it was: ${id}`);
  });
});
