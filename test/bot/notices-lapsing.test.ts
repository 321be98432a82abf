// What is told of consents that lapse or hold no longer, and how they are renewed: core/notices/lapsing.ts, bot/renew-flow.ts.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createNotices } from '../../bot/notices.ts';
import { CountersignError } from '../../core/errors.ts';
import { choose } from '../../core/notices/choices.ts';
import { gatherNotices } from '../../core/notices/gather.ts';
import type { Person, Standing } from '../../core/ports/chat.ts';
import { createWebhooks } from '../../core/webhooks/webhooks.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { buttonsOf } from '../support/cards.ts';
import { madeConnection } from '../support/connections.ts';
import { type Core, kinds, openCore } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { DAY, noticesOn, type Scene } from '../support/notices.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
const { pass, putBack, inMs, inside, openScene, standingConsent, consentsOf } = noticesOn(() => ({
  testDatabase,
  core,
  keeper,
}));

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});
afterEach(putBack);
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
  keeper.remove();
});

const whispered = ({ chat }: Scene) => chat.calls.findLast(({ call }) => call === 'ephemeral')?.card?.summary;

describe('a consent that is about to lapse', () => {
  test('is asked about 14 and 3 days ahead, once each, in its thread, by two processes at once', async () => {
    const scene = await openScene();
    const other = await openScene();
    const { id } = await standingConsent(scene, 80);
    await pass(65 * DAY);
    await scene.look();
    expect(scene.chat.shown()).toEqual([]);
    await pass(2 * DAY);
    await scene.look();
    await scene.look();
    const [card, ...more] = scene.chat.shown();
    expect(more).toEqual([]);
    expect(card?.summary).toBe('The consent to repairs for WooCommerce at shop.example.com is about to lapse');
    expect(buttonsOf(card)).toMatchObject([{ label: 'Renew', action: 'renew_consent', value: id }]);
    expect(JSON.stringify(card)).toContain('"name":"Abel"');
    await pass(10 * DAY);
    await scene.look();
    await scene.look();
    expect(scene.chat.shown()).toHaveLength(2);
    expect(scene.chat.direct()).toEqual([]);
    expect([...other.chat.shown(), ...other.chat.direct()]).toEqual([]);
  });

  test('of a few days, or of an operation, is not announced', async () => {
    const scene = await openScene();
    await standingConsent(scene, 3);
    await scene.look();
    expect(scene.chat.shown()).toEqual([]);
  });

  test('is asked for again by Renew, and holds when somebody else has countersigned that', async () => {
    const scene = await openScene();
    const { shop, chat, press } = scene;
    const { id } = await standingConsent(scene, 20);
    await pass(7 * DAY);
    await scene.look();
    await press(shop.approver, 'renew_consent', id);
    const question = () =>
      chat.shown().find(({ summary }) => summary.startsWith('Keep WooCommerce for shop.example.com'));
    expect(buttonsOf(question()).map(({ action }) => action)).toEqual(['approve_standing', 'deny_standing']);
    expect(await consentsOf(shop)).toHaveLength(1);
    const value = buttonsOf(question())[0]?.value ?? '';
    await press(shop.approver, 'approve_standing', value);
    await press(shop.merchant, 'approve_standing', value);
    expect(await consentsOf(shop)).toHaveLength(1);
    await press(shop.secondApprover, 'approve_standing', value);
    const [old, fresh] = await consentsOf(shop);
    expect(fresh?.user_id).toBe(shop.secondApprover.id);
    expect(Number(fresh?.expires_at) - Number(old?.expires_at)).toBeGreaterThan(60 * DAY);
    expect(buttonsOf(question()).map(({ action }) => action)).not.toContain('approve_standing');
    await press(shop.approver, 'renew_consent', id);
    expect(whispered(scene)).toBe('It was renewed already. Nothing was asked.');
    await pass(5 * DAY);
    const lapsing = () => chat.shown().filter(({ summary }) => summary.includes('about to lapse')).length;
    await scene.look();
    expect(lapsing()).toBe(1); // the old one lapses, and nobody has to do anything
  });

  test('is not asked for by somebody who would leave nobody to countersign, nor after it was taken back', async () => {
    const scene = await openScene();
    const { shop, press } = scene;
    const { id } = await standingConsent(scene, 20);
    await inside(shop, (tx) => core.customers.setApprovers(tx, shop.customerId, [shop.approver.person], false));
    await press(shop.approver, 'renew_consent', id);
    expect(whispered(scene)).toContain('nobody is left who could countersign');
    await press(
      { ...shop.merchant, person: { ...shop.merchant.person, userId: 'U-Otto', name: 'Otto' } },
      'renew_consent',
      id,
    );
    expect(whispered(scene)).toContain('Only whoever asked for the key');
    await inside(shop, (tx) => core.consents.revokeById(tx, shop.customerId, id, shop.admin));
    await press(shop.merchant, 'renew_consent', id);
    expect(whispered(scene)).toContain('taken back');
    await press(shop.merchant, 'renew_consent', 'not an id');
    expect(whispered(scene)).toContain('I know no such consent');
  });

  test('that nobody supports any more is told to admins, once each: the countersigner lost the role, or has left', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    await standingConsent(scene, 60);
    await inside(shop, (tx) => core.customers.setApprovers(tx, shop.customerId, [shop.secondApprover.person], false));
    await scene.look();
    await scene.look();
    expect(chat.direct().map(({ to, card }) => [to.name, card.summary])).toEqual([
      ['Ada', 'The consent to repairs for WooCommerce at shop.example.com has lost its countersigner'],
    ]);
    const gone = await openScene();
    await standingConsent(gone, 60);
    const isMember = async () => ({ kind: 'member', isInGroup: false }) as const;
    await gone.look(isMember);
    await gone.look(() => Promise.reject(new Error('away')));
    expect(gone.chat.direct()).toEqual([]);
    await gone.look(async () => ({ kind: 'unknown' }));
    await gone.look(async () => ({ kind: 'unknown' }));
    expect(gone.chat.direct()).toHaveLength(1);
  });

  test('is looked at while the platform of another customer takes its time', async () => {
    const [slow, quick] = [await openScene(), await openScene()];
    for (const scene of [slow, quick]) await standingConsent(scene, 60);
    const isQuickAsked = Promise.withResolvers<Standing>();
    const identify = async ({ workspaceId }: Person): Promise<Standing> => {
      if (workspaceId === slow.shop.workspaceId) return isQuickAsked.promise;
      const member = { kind: 'member', isInGroup: false } as const;
      isQuickAsked.resolve(member);
      return member;
    };
    const customers = async () => [slow.shop.customerId, quick.shop.customerId];
    await gatherNotices({ ...core, directory: { ...core.directory, customers }, log: silentLog, identify });
    expect(slow.chat.direct()).toEqual([]);
  });

  test('that the group of approvers stood for is told to admins once whoever countersigned has left that group', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const operation = await madeConnection(core, shop);
    const { customerId } = shop;
    await inside(shop, async (tx) => {
      await core.customers.setApprovers(tx, customerId, [], false);
      await core.customers.setRules(tx, customerId, {
        approvalsRequired: 1,
        adminsApprove: false,
        approverGroup: 'S1',
      });
    });
    const inGroup = await openCore(testDatabase, { platform: () => ({ kind: 'member', isInGroup: true }) });
    const asked = { by: shop.merchant, until: inMs(60 * DAY), keeps: [] };
    const question = await core.standingGrants.ask(customerId, operation.id, asked);
    const click = { operationId: operation.id, planHash: question?.planHash ?? '', by: shop.approver } as const;
    expect(await inGroup.standingGrants.grant(customerId, { ...click, method: 'web' })).toMatchObject({
      kind: 'granted',
    });
    await inGroup.close();
    await scene.look(async () => ({ kind: 'member', isInGroup: true }));
    expect(chat.direct()).toEqual([]);
    await scene.look(async () => ({ kind: 'member', isInGroup: false }));
    expect(chat.direct().map(({ to, card }) => [to.name, card.summary])).toEqual([
      ['Ada', 'The consent to repairs for WooCommerce at shop.example.com has lost its countersigner'],
    ]);
  });

  test('is asked about directly where its thread takes nothing any more, and later where nothing is taken just now', async () => {
    const scene = await openScene();
    const { shop, chat, told } = scene;
    await standingConsent(scene, 20);
    await pass(7 * DAY);
    await gatherNotices({ ...core, directory: told.directory, log: silentLog });
    const failing = (isRetryable: boolean) => ({
      ...chat,
      post: () => Promise.reject(new CountersignError('chat_unavailable', 'no', { isRetryable })),
    });
    await createNotices({ ...told, chat: () => failing(true) }).deliver();
    expect(chat.direct()).toEqual([]);
    await createNotices({ ...told, chat: () => failing(false) }).deliver();
    await scene.look();
    expect(chat.direct().map(({ to }) => to.userId)).toEqual([shop.approver.person.userId]);
    expect(chat.shown()).toEqual([]);
  });

  test('goes to the webhook of whoever wants that, as an event, and to nobody’s chat', async () => {
    const scene = await openScene();
    const { shop, chat } = scene;
    const { operation } = await standingConsent(scene, 20);
    await createWebhooks(core).add(shop.customerId, { url: 'https://hooks.example.com/', kinds: ['operation'] });
    const choice = { place: 'webhook', timeZone: 'UTC', quiet: undefined } as const;
    await inside(shop, (tx) => choose(tx, shop.customerId, shop.approver.id, choice));
    await pass(7 * DAY);
    await scene.look();
    expect([...chat.shown(), ...chat.direct()]).toEqual([]);
    expect((await kinds(core, operation)).filter((kind) => kind === 'operation.consent_lapsing')).toHaveLength(1);
  });
});
