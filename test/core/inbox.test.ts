import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { createInbox, type Inbox } from '../../core/inbox.ts';
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
    expect(kept.filter(Boolean)).toHaveLength(1);
    await inbox.settle(shop.customerId, event);
    expect(await inbox.keep(shop.customerId, event)).toBe(false);
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

  test('of one customer shows nothing to another', async () => {
    const other = await installShop(core);
    await inbox.keep(shop.customerId, said());
    await later('2 minutes');
    expect(await inbox.overdue(other.customerId)).toEqual([]);
    expect(await inbox.overdue(shop.customerId)).toHaveLength(1);
  });
});
