// What a thread answers: words that mean nothing, addresses, and commands by where they are written.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { ThreadRef } from '../../core/ports/chat.ts';
import { cancel, grantedOperation, newcomer, requestOperation } from '../support/core.ts';
import { type Instances, openInstances, presses, type Scene, says } from '../support/instances.ts';

vi.setConfig({ testTimeout: 240_000 }); // twenty at once, on a machine that is shared

let instances: Instances;
beforeAll(async () => {
  instances = await openInstances();
});
afterAll(() => instances?.close());

test('a sentence that means nothing gets a sentence where there is a request, and the help where there is none', async () => {
  const scene = await instances.openScene();
  await scene.deliver(says(scene, scene.shop.merchant, 'ev-8', 'the weather is nice today'), 1);
  expect(scene.chat.shown().at(-1)?.blocks.length).toBeGreaterThan(1);
  const { id } = await requestOperation(scene.core, scene.shop);
  await scene.deliver(says(scene, scene.shop.merchant, 'ev-9', 'the weather is nice today'), 1);
  const answer = scene.chat.shown().at(-1);
  expect(answer?.blocks).toHaveLength(1);
  expect(answer?.summary).toContain(`${id} (waiting for approval)`);
});

test('several addresses, and one that can not be used, are asked about, and the answer goes on', async () => {
  const scene = await instances.openScene();
  const { merchant } = scene.shop;
  await scene.deliver(
    says(scene, merchant, 'ev-10', `set up WooCommerce for http://${instances.target} and ftp://old.example.com`),
  );
  expect(scene.chat.shown().at(-1)?.summary).toBe(
    `I can't use “ftp://old.example.com” as an address. Nothing was done yet: if “http://${instances.target}” is the one, write it here, alone.`,
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
  await scene.deliver(says(scene, merchant, 'ev-13', `http://${instances.target}`), 1);
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
    const scene = await instances.openScene();
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
    const scene = await instances.openScene();
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
    const scene = await instances.openScene();
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
    expect(await instances.entriesOf(live.id, 'consent.revoked')).toHaveLength(1);
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
