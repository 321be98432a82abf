import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { createInbox, type Inbox } from '../../core/inbox.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { type Core, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let inbox: Inbox;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  inbox = createInbox({ database: core.database, sealer: createSealer(testRootKeys) });
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const said = (text = 'set up WooCommerce'): ChatEvent => ({
  kind: 'message',
  id: newUuid(),
  thread: { platform: 'slack', workspaceId: shop.workspaceId, ref: 'C1:1.1' },
  from: shop.merchant.person,
  text,
});
const later = (interval: string) => shiftClock(testDatabase.ownerUrl, interval);

describe('the inbox', () => {
  test('gives an event to whoever keeps it first, of however many at once', async () => {
    const event = said();
    const kept = await Promise.all([1, 2, 3, 4].map(() => inbox.keep(shop.customerId, event)));
    expect(kept.toSorted()).toEqual(['kept', 'known', 'known', 'known']);
    await inbox.settle(shop.customerId, event);
    expect(await inbox.keep(shop.customerId, event)).toBe('known');
  });

  test('hands on what its process left behind, once, as it was, and nothing that was answered', async () => {
    const [left, answered] = [said('left behind'), said('answered')];
    for (const event of [left, answered]) await inbox.keep(shop.customerId, event);
    await inbox.settle(shop.customerId, answered);
    expect(await inbox.overdue(shop.customerId)).toEqual([]);
    await later('2 minutes');
    const taken = await Promise.all([1, 2, 3].map(() => inbox.overdue(shop.customerId)));
    expect(taken.flat()).toEqual([left]);
    await inbox.settle(shop.customerId, left);
    await later('2 minutes');
    expect(await inbox.overdue(shop.customerId)).toEqual([]);
  });

  test('lets go of what is older than an hour', async () => {
    await inbox.keep(shop.customerId, said());
    await later('61 minutes');
    expect(await inbox.overdue(shop.customerId)).toEqual([]);
    const waiting = await sql(testDatabase.adminUrl, 'SELECT FROM chat_events WHERE sealed IS NOT NULL');
    expect(waiting).toHaveLength(0);
  });

  test('holds no word that a look into the database could read, and after the answer none at all', async () => {
    const event = said('my password is hunter2-of-the-inbox');
    await inbox.keep(shop.customerId, event);
    const row = () =>
      sql(
        testDatabase.adminUrl,
        `SELECT event_id, sealed, c::text AS all FROM chat_events c WHERE event_id LIKE '%${event.id}'`,
      );
    const [before] = await row();
    expect(Buffer.from(before?.sealed as Uint8Array).toString('latin1')).not.toContain('hunter2');
    expect(String(before?.all)).not.toContain(Buffer.from('hunter2').toString('hex'));
    await inbox.settle(shop.customerId, event);
    expect((await row())[0]).toMatchObject({ sealed: null });
  });

  test('keeps nothing of what people say to each other where no request of theirs is', async () => {
    const overheard = { ...said(), isOverheard: true } as ChatEvent; // a message's
    expect(await inbox.keep(shop.customerId, overheard)).toBe('elsewhere');
    const edit = { ...said(), kind: 'edit', before: 'a', after: 'b' } as ChatEvent; // with what an edit has
    expect(await inbox.keep(shop.customerId, edit)).toBe('elsewhere');
    await core.database.withCustomer(shop.customerId, (tx) => core.threads.open(tx, shop.customerId, overheard.thread));
    expect(await inbox.keep(shop.customerId, overheard)).toBe('kept');
    expect(await inbox.keep(shop.customerId, edit)).toBe('kept');
    for (const event of [overheard, edit]) await inbox.settle(shop.customerId, event);
  });

  test('gives what is to be answered later to whoever asks next, oldest first and no more than they take', async () => {
    const waiting = [said('first'), said('second'), said('third')];
    for (const event of waiting) {
      await inbox.keep(shop.customerId, event, { isLater: true });
      await later('1 second');
    }
    expect(await inbox.overdue(shop.customerId, 2)).toEqual(waiting.slice(0, 2));
    expect(await inbox.overdue(shop.customerId, 2)).toEqual(waiting.slice(2));
    for (const event of waiting) await inbox.settle(shop.customerId, event);
  });

  test('takes no more than 500 of one customer’s words that wait, every button, and all that others say', async () => {
    const { customerId, workspaceId, merchant } = await installShop(core);
    const of = (event: ChatEvent): ChatEvent => ({ ...event, thread: { ...event.thread, workspaceId } });
    await inbox.keep(customerId, of(said()));
    await sql(
      testDatabase.adminUrl,
      `INSERT INTO chat_events (customer_id, platform, event_id, sealed, due_at)
       SELECT customer_id, platform, event_id || n, sealed, due_at FROM chat_events, generate_series(1, 499) n WHERE customer_id = $1`,
      [customerId],
    );
    expect(await inbox.keep(customerId, of(said()))).toBe('full');
    const { thread } = of(said());
    const click = {
      kind: 'action',
      id: newUuid(),
      thread,
      from: merchant.person,
      action: 'stop',
      value: '',
      trigger: 't',
    };
    expect(await inbox.keep(customerId, click as ChatEvent)).toBe('kept'); // its literals are those of the union
    const other = said();
    expect(await inbox.keep(shop.customerId, other)).toBe('kept');
    await inbox.settle(shop.customerId, other);
  });

  test('forgets what was answered when its platform repeats it no more, and nothing else', async () => {
    const { customerId } = await installShop(core);
    const [answered, waiting] = [said(), said()];
    for (const event of [answered, waiting]) await inbox.keep(customerId, event);
    await inbox.settle(customerId, answered);
    await core.database.withCustomer(customerId, (tx) =>
      takeEvent(tx, customerId, { platform: 'slack', id: answered.id }),
    );
    const ids = async () => {
      const rows = await sql<{ event_id: string }>(
        testDatabase.adminUrl,
        'SELECT event_id FROM chat_events WHERE customer_id = $1',
        [customerId],
      );
      return rows.map(({ event_id }) => event_id).toSorted();
    };
    const all = [answered.id, `inbox/${answered.id}`, `inbox/${waiting.id}`].toSorted();
    await later('119 minutes');
    await inbox.forget(customerId);
    expect(await ids()).toEqual(all);
    await later('2 minutes');
    await inbox.forget(shop.customerId);
    expect(await ids()).toEqual(all);
    await inbox.forget(customerId);
    expect(await ids()).toEqual([answered.id, `inbox/${waiting.id}`].toSorted());
  });

  test('of one customer shows nothing to another', async () => {
    const other = await installShop(core);
    await inbox.keep(shop.customerId, said());
    await later('2 minutes');
    expect(await inbox.overdue(other.customerId)).toEqual([]);
    expect(await inbox.overdue(shop.customerId)).toHaveLength(1);
  });
});
