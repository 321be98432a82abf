import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { asCustomer, wordFor } from '../support/by-hand.ts';
import { type Core, cancel, installShop, openCore, queuedOperation, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

async function customer() {
  const shop = await installShop(core);
  const operation = await queuedOperation(core, shop);
  const { customerId } = shop;
  /** One picture and one event of now. */
  const happen = async () => {
    const size = { width: 1, height: 1, mediaType: 'image/png', alt: '' } as const;
    const picture = { ...size, operationId: operation.id, step: 1, bytes: Buffer.from('a picture') };
    const pictureId = (await createScreenshots(core).put(customerId, picture)) ?? '';
    const event = { platform: 'web', id: newUuid() } as const;
    await core.database.withCustomer(customerId, (tx) => takeEvent(tx, customerId, event));
    return pictureId;
  };
  return { shop, customerId, operation, happen };
}

/** A customer with two pictures and events that are past their time, and one of each that is not. */
async function aged() {
  const { happen, ...owner } = await customer();
  const old = [await happen(), await happen()];
  await shiftClock(testDatabase.ownerUrl, '91 days');
  return { ...owner, old, young: await happen() };
}

async function left(customerId: CustomerId) {
  const [row] = await sql<{ pictures: string; events: string }>(
    testDatabase.adminUrl,
    `SELECT (SELECT count(*) FROM screenshots WHERE customer_id = $1) AS pictures,
       (SELECT count(*) FROM chat_events WHERE customer_id = $1) AS events`,
    [customerId],
  );
  return [Number(row?.pictures), Number(row?.events)];
}

const sweeps = (customerId: CustomerId) =>
  sql<{ header: string }>(
    testDatabase.adminUrl,
    "SELECT header FROM autonomous_operations_audit WHERE customer_id = $1 AND kind = 'retention.swept'",
    [customerId],
  );

describe('50 pictures and chat events', () => {
  test('50 go when their time is over, on record with their counts, and younger ones stay', async () => {
    const { customerId, old, young } = await aged();
    expect(await keeper.retention.sweep(customerId, 90)).toEqual({ screenshots: 2, chatEvents: 2 });
    expect(await left(customerId)).toEqual([1, 1]);
    const screenshots = createScreenshots(core);
    for (const id of old) expect(await screenshots.get(customerId, id)).toBeUndefined();
    expect(await screenshots.get(customerId, young)).toBeDefined();
    const [entry, ...more] = await sweeps(customerId);
    expect([JSON.parse(entry?.header ?? ''), more]).toEqual([
      expect.objectContaining({ kind: 'retention.swept', days: 90, screenshots: 2, chatEvents: 2 }),
      [],
    ]);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
    expect(await keeper.retention.sweep(customerId, 90)).toEqual({ screenshots: 0, chatEvents: 0 });
    expect(await sweeps(customerId)).toHaveLength(1);
  });

  test('50 go each day with what else is too old, and the key that only they needed with them', async () => {
    const { customerId, operation, happen } = await customer();
    await happen();
    await cancel(core, operation); // with it its sign-in secrets
    await core.keyRotation.rotateCustomerKeys(customerId);
    await shiftClock(testDatabase.ownerUrl, '91 days');
    await happen();
    await keeper.retention.drop(customerId, 90);
    expect((await core.keyRotation.resume(customerId)).kept).toEqual([1]); // a picture is sealed under it
    await keeper.retention.dropAll(90);
    expect(await left(customerId)).toEqual([1, 1]);
    expect((await core.keyRotation.upkeep(3_650)).failed).toEqual([]);
    expect((await core.keyRotation.versions(customerId)).map(({ state }) => state)).toEqual(['destroyed', 'active']);
  });

  test('50 stay under a legal hold until that is released', async () => {
    const { shop, customerId } = await aged();
    await keeper.retention.placeHold(customerId, { by: shop.admin.id, why: 'a court asked for it' });
    expect(await keeper.retention.sweep(customerId, 90)).toEqual({ screenshots: 0, chatEvents: 0 });
    const byHand = sweepByHand(customerId, {});
    await expect(byHand).rejects.toMatchObject({ code: '23514', constraint: 'legal_hold' });
    expect(await left(customerId)).toEqual([3, 3]);
    await keeper.retention.releaseHold(customerId, { why: 'it is over' });
    expect(await keeper.retention.sweep(customerId, 90)).toEqual({ screenshots: 2, chatEvents: 2 });
  });

  test('50 are kept as long as an admin chose, longer or shorter, and no shorter than the owner allows', async () => {
    const choose = (customerId: CustomerId, days: number | null) =>
      core.database.withCustomer(customerId, (tx) => core.customers.setRetention(tx, customerId, days));
    const [longer, shorter, tooShort, none] = [await customer(), await customer(), await customer(), await customer()];
    for (const { customerId, happen } of [longer, shorter, tooShort, none]) {
      await happen();
      await keeper.checkpoints.make(customerId);
    }
    const allow = (days: number) => sql(testDatabase.adminUrl, 'UPDATE sec.retention SET audit_days = $1', [days]);
    await allow(30);
    onTestFinished(async () => void (await allow(90)));
    await choose(longer.customerId, 365);
    await choose(shorter.customerId, 31);
    await choose(tooShort.customerId, 1);
    const leftAfter = async (interval: string) => {
      await shiftClock(testDatabase.ownerUrl, interval);
      await keeper.retention.dropAll(90);
      return Promise.all([longer, shorter, tooShort, none].map(({ customerId }) => left(customerId)));
    };
    const [there, gone] = [
      [1, 1],
      [0, 0],
    ];
    expect(await leftAfter('29 days')).toEqual([there, there, there, there]);
    expect(await leftAfter('36 hours')).toEqual([there, there, gone, there]);
    expect(JSON.parse((await sweeps(tooShort.customerId))[0]?.header ?? '')).toMatchObject({ days: 30 });
    expect(await leftAfter('1 day')).toEqual([there, gone, gone, there]);
    expect(await leftAfter('59 days')).toEqual([there, gone, gone, gone]);
    // Not even where the program itself asks for it.
    expect(await keeper.retention.drop(longer.customerId, 90)).toBe(0);
    const one = { days: 90, screenshots: 1, chatEvents: 1 };
    await expect(sweepByHand(longer.customerId, one)).rejects.toMatchObject({ message: /says what it takes/ });
    expect(await leftAfter('275 days')).toEqual([gone, gone, gone, gone]);
    for (const { customerId } of [longer, shorter, tooShort, none])
      expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
  });

  test('50 are kept as long as an admin chose, whatever a smuggled statement says', async () => {
    const { customerId } = await customer();
    await core.database.withCustomer(customerId, (tx) => core.customers.setRetention(tx, customerId, 365));
    for (const days of ['NULL', '90']) {
      const smuggled = asCustomer(testDatabase.programUrl, customerId, (client) =>
        client.query(`UPDATE customers SET retention_days = ${days}`),
      );
      await expect(smuggled).rejects.toMatchObject({ message: /does not vouch for this/ });
    }
  });

  /** The function with a header of one's own, with the program's word for it unless told otherwise. */
  async function sweepByHand(customerId: CustomerId, changes: Record<string, unknown>, word?: string) {
    const header = JSON.stringify({ kind: 'retention.swept', days: 1, screenshots: 2, chatEvents: 2, ...changes });
    return asCustomer(testDatabase.programUrl, customerId, async (client) => {
      await client.query("SELECT set_config('app.vouched', $1, true)", [word ?? wordFor('audit', customerId, header)]);
      await client.query('SELECT app.sweep($1)', [header]);
    });
  }

  test('50 are taken by no smuggled statement', async () => {
    const { customerId } = await aged();
    await expect(sweepByHand(customerId, {}, '')).rejects.toMatchObject({ message: /does not vouch for this/ });
    for (const table of ['screenshots', 'chat_events']) {
      const smuggled = asCustomer(testDatabase.programUrl, customerId, (client) =>
        client.query(`DELETE FROM ${table}`),
      );
      await expect(smuggled, table).rejects.toMatchObject({ code: '42501' });
    }
    expect(await left(customerId)).toEqual([3, 3]);
  });

  test('50 go by nothing but an entry that tells how many', async () => {
    const { customerId } = await aged();
    for (const changes of [{ screenshots: 1 }, { chatEvents: 3 }, { screenshots: null }, { kind: 'rules.changed' }])
      await expect(sweepByHand(customerId, changes)).rejects.toMatchObject({ message: /says what it takes/ });
    expect(await left(customerId)).toEqual([3, 3]);
  });

  test("50 never go sooner than the owner of the database allows, and never another customer's", async () => {
    const { customerId, happen } = await customer();
    await happen();
    await shiftClock(testDatabase.ownerUrl, '80 days');
    expect(await keeper.retention.sweep(customerId, 1)).toEqual({ screenshots: 0, chatEvents: 0 });
    const one = { screenshots: 1, chatEvents: 1 };
    await expect(sweepByHand(customerId, one)).rejects.toMatchObject({ message: /says what it takes/ });
    const other = await aged();
    await keeper.retention.sweep(other.customerId, 90);
    expect(await left(customerId)).toEqual([1, 1]);
  });
});
