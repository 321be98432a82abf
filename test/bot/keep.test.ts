// "Keep it working": bot/keep-flow.ts, its card, its one-time page, and where it is listed and taken back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createConnectPages } from '../../bot/connect.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Card, ChatEvent } from '../../core/ports/chat.ts';
import { erasePersonRows } from '../../core/rights/person.ts';
import { services } from '../../core/services/index.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { fails, madeConnection, placeOf, repairsAt } from '../support/connections.ts';
import { type Core, installShop, newcomer, openCore, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type ChatCall, createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});
afterAll(async () => {
  await core?.close();
  await testDatabase?.drop();
  keeper?.remove();
});

const wordsOf = (card: Card | undefined) => JSON.stringify(card ?? {});
const SIGN_IN = { admin_username: 'mona', admin_password: 'a kept pass phrase' };

async function openScene(before?: (call: ChatCall) => Promise<void>) {
  const shop = await installShop(core);
  const chat = createRecordingChat(before);
  const egress = createEgress({ privateTargets: [], log: silentLog });
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl }),
    ...{ egress, http: createHttp({ egress }) },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
  const operation = await madeConnection(core, shop);
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  let events = 0;
  const hand = async ({ person: from }: Member, event: object) => {
    const id = `ev-${++events}`;
    return converse(context, { id, thread, from, ...event } as ChatEvent); // each caller says the rest
  };
  const refresh = () => context.progress.refresh(shop.customerId, operation.threadId);
  await refresh();
  const shown = (summary: RegExp) => chat.shown().find((card) => summary.test(card.summary));
  const buttons = (card: Card | undefined) =>
    (card?.blocks ?? []).flatMap((block) => (block.kind === 'actions' ? block.buttons : []));
  const press = (who: Member, action: string, value: string) =>
    hand(who, { kind: 'action', action, value, trigger: 't' });
  const valueIn = (card: Card | undefined, action: string) =>
    buttons(card).find((button) => button.action === action)?.value ?? '';
  return {
    ...{ shop, chat, context, operation, hand, press, refresh, shown, buttons },
    standing: () => shown(/^Keep WooCommerce for shop\.example\.com working/),
    approve: (who: Member) => press(who, 'approve_standing', valueIn(shown(/^Keep WooCommerce/), 'approve_standing')),
    whispered: () => chat.calls.findLast(({ call }) => call === 'ephemeral')?.card,
    kept: () =>
      sql(testDatabase.adminUrl, 'SELECT credential_type FROM autonomous_credentials WHERE operation_id = $1', [
        operation.id,
      ]),
    pages: createConnectPages(context, (words) => words),
  };
}

function tokenIn(card: Card | undefined): string {
  return /connect\/([\w-]+)/.exec(wordsOf(card))?.[1] ?? '';
}

describe('"Keep it working"', () => {
  test('is a button on the result until it is asked, and then a card that says exactly what is granted', async () => {
    const { shop, operation, press, shown, standing, buttons } = await openScene();
    const result = () => shown(/WooCommerce is connected/);
    expect(buttons(result()).map(({ action }) => action)).toContain('keep_working');
    await press(shop.merchant, 'keep_working', operation.id);
    expect(buttons(result()).map(({ action }) => action)).not.toContain('keep_working');
    const card = wordsOf(standing());
    for (const words of [
      'Mona',
      'Revoke “Countersign ',
      'Name it “Countersign op-…”',
      'this thread shows each time',
      'At most twice a day',
      'sealed in the vault',
    ])
      expect(card).toContain(words);
    expect(buttons(standing()).map(({ action }) => action)).toEqual(['approve_standing', 'deny_standing']);
    expect(standing()?.status?.words).toBe('Waiting for approval');
  });

  test('is asked once, by whoever may look after the key, and approved by somebody else', async () => {
    const { shop, operation, press, approve, whispered, standing } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await press(shop.merchant, 'keep_working', operation.id);
    expect(whispered()?.summary).toMatch(/^That was asked already/);
    await approve(shop.merchant);
    expect(whispered()?.summary).toMatch(/Nothing was changed\.$/);
    await approve(shop.approver);
    expect(wordsOf(standing())).toContain('Countersigned');
    expect(wordsOf(standing())).toContain('Until then nothing is repaired by itself');
  });

  test('is asked once, and its link sent once, by presses whose answer goes out at their second delivery', async () => {
    let isAway = false;
    const { shop, operation, hand, whispered, standing, buttons, chat } = await openScene(async () => {
      if (isAway) throw new Error('away');
    });
    /** Delivered until it is answered, and once more. */
    const press = async (who: Member, id: string, action: string, value: string) => {
      const event = { kind: 'action', id, action, value, trigger: 't' };
      isAway = true;
      await expect(hand(who, event)).rejects.toThrow('away');
      isAway = false;
      for (const _ of [1, 2]) await hand(who, event);
    };
    await press(shop.merchant, 'keep', 'keep_working', operation.id);
    expect(whispered()).toBeUndefined();
    const value = buttons(standing()).find(({ action }) => action === 'approve_standing')?.value ?? '';
    await press(shop.approver, 'approve', 'approve_standing', value);
    expect(wordsOf(standing())).toContain('Countersigned');
    const links = () => chat.calls.filter(({ key }) => key?.startsWith('link:'));
    expect(links()).toHaveLength(1);
    expect(tokenIn(whispered())).not.toBe('');
    await press(shop.merchant, 'enter', 'keep_sign_in', operation.id);
    expect(links()).toHaveLength(2);
  });

  test('takes the sign-in on a one-time page that says how long it is kept, and keeps it sealed', async () => {
    const { shop, operation, press, approve, whispered, standing, kept, pages, refresh } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await approve(shop.approver);
    const token = tokenIn(whispered());
    const view = await pages.look(token);
    expect(view).toMatchObject({ kind: 'sign_in', title: 'Keep WooCommerce working', person: 'Mona' });
    expect(view?.kind === 'sign_in' && view.keptUntil).toBeInstanceOf(Date);
    expect(await pages.submit(token, { admin_username: 'mona', admin_password: '' })).toMatchObject({
      kind: 'invalid',
    });
    expect(await kept()).toEqual([]);
    expect(await pages.submit(token, SIGN_IN)).toEqual({ kind: 'entered', what: 'kept' });
    expect(await pages.submit(token, SIGN_IN)).toEqual({ kind: 'gone' });
    expect(await kept()).toHaveLength(2);
    await refresh();
    expect(wordsOf(whispered())).toMatch(/Sign-in entered at .*The one-time page is closed/);
    expect(wordsOf(standing())).toContain('It is ready');
    expect(wordsOf(standing())).not.toContain(SIGN_IN.admin_password);
  });

  test('is denied with a reason, on record, and the button does not come back', async () => {
    const { shop, operation, press, hand, standing, shown, buttons } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    const value = buttons(standing()).find(({ action }) => action === 'deny_standing')?.value ?? '';
    const deny = (reason: string) =>
      hand(shop.approver, { kind: 'form', form: 'deny_standing', value, fields: { reason: [reason] } });
    expect(await deny(' ')).toMatchObject({ fieldErrors: { reason: expect.any(String) } });
    await deny('each time by hand, please');
    expect(wordsOf(standing())).toContain('Denied');
    expect(buttons(shown(/WooCommerce is connected/)).map(({ action }) => action)).not.toContain('keep_working');
  });

  test('is listed with what it keeps, and revoked with that in one go', async () => {
    const { shop, operation, press, hand, approve, whispered, kept, pages, standing, refresh } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await approve(shop.approver);
    const token = tokenIn(whispered());
    await pages.submit(token, SIGN_IN);
    await hand(shop.admin, { kind: 'command', command: 'countersign', text: 'consents' });
    const list = whispered();
    expect(wordsOf(list)).toContain('for repairs to come, keeps the sign-in');
    const id = /"action":"revoke_consent","value":"([\w-]+)"/.exec(wordsOf(list))?.[1] ?? '';
    await press(shop.admin, 'revoke_consent', id);
    expect(await kept()).toEqual([]);
    await refresh();
    expect(wordsOf(standing())).toContain('It was revoked');
    // A page that was left open keeps nothing any more.
    await press(shop.merchant, 'keep_sign_in', operation.id);
    expect(whispered()?.summary).toMatch(/^Nothing keeps a sign-in here any more/);
  });

  test('is revoked, too, where the thread went with who was erased: nothing is said there', async () => {
    const { shop, operation, press, hand, approve, whispered, chat } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await approve(shop.approver);
    await erasePersonRows(core, shop.customerId, shop.merchant.id);
    await hand(shop.admin, { kind: 'command', command: 'countersign', text: 'consents' });
    const id = /"action":"revoke_consent","value":"([\w-]+)"/.exec(wordsOf(whispered()))?.[1] ?? '';
    await press(shop.admin, 'revoke_consent', id);
    expect(whispered()?.summary).toMatch(/^Taken back/);
    expect(chat.calls.filter(({ thread }) => thread?.ref.startsWith('erased '))).toEqual([]);
  });
});

describe('157 repairs of somebody else’s connection', () => {
  test('157 are asked for by nobody who may not look after its key', async () => {
    const { shop, operation, press, whispered, standing } = await openScene();
    const eve = await newcomer(core, shop, 'Eve');
    await press(eve, 'keep_working', operation.id);
    expect(whispered()?.summary).toMatch(/^Only whoever asked/);
    expect(standing()).toBeUndefined();
  });

  test('157 take no sign-in by the page of somebody who may look after it no more', async () => {
    const { shop, operation, press, approve, whispered, kept, pages } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await approve(shop.approver);
    await press(shop.secondApprover, 'keep_sign_in', operation.id);
    const token = tokenIn(whispered());
    expect(await pages.look(token)).toMatchObject({ person: 'Anna' });
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.setApprovers(tx, shop.customerId, [shop.approver.person], false),
    );
    expect(await pages.submit(token, SIGN_IN)).toEqual({ kind: 'gone' });
    expect(await kept()).toEqual([]);
  });
});

describe('a repair', () => {
  test('says in the thread why it was begun and by whose word, and that it was given up, once', async () => {
    const { shop, operation, press, approve, whispered, pages, shown, refresh, chat } = await openScene();
    await press(shop.merchant, 'keep_working', operation.id);
    await approve(shop.approver);
    await pages.submit(tokenIn(whispered()), SIGN_IN);
    const place = placeOf(operation);
    for (let tries = 0; tries < 2; tries++) {
      await core.repairs.consider(place, 'broken');
      await refresh();
      const [repair] = await repairsAt(core, place);
      if (repair) await fails(core, repair);
      await refresh();
    }
    expect(wordsOf(shown(/was not rotated/))).toContain('Repair under the standing consent of Abel. ');
    expect(wordsOf(shown(/was not rotated/))).toContain('its key did not work any more');
    for (let looks = 0; looks < 2; looks++) {
      await core.repairs.consider(place, 'broken');
      await refresh();
    }
    const told = chat.shown().filter(({ summary }) => summary.includes('needs you: I stopped repairing it'));
    expect(told).toHaveLength(1);
    expect(wordsOf(told[0])).toContain('Twice within a day I tried to replace its key');
    expect(wordsOf(told[0])).toContain('rotate the WooCommerce key for shop.example.com');
  });
});
