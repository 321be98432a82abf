// Stored keys, looked at by the clock: at a practice shop over real HTTP, in test time.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Health } from '../../core/connections/health.ts';
import type { HealthCause } from '../../core/connections/place.ts';
import { connectionsOf } from '../../core/connections/records.ts';
import type { Runner } from '../../core/operations/run.ts';
import type { Http } from '../../core/ports/http.ts';
import { Secret } from '../../core/secret.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { repairsAt } from '../support/connections.ts';
import { type Core, installShop, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { type Connected, connect, healthOf, httpTo } from '../support/health.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';

let testDatabase: TestDatabase;
let core: Core;
let practice: PracticeShop;
let http: Http;
let runner: Runner;
let health: Health;
const repairs: HealthCause[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  practice = await startPracticeShop();
  http = httpTo(practice);
  core = await openCore(testDatabase, { http });
  runner = runnerWithoutBrowser(core, http);
  health = healthOf(core, http, {
    async repair(_, cause) {
      repairs.push(cause);
    },
  });
});
afterEach(() => {
  practice.setOutage();
  repairs.splice(0);
});
afterAll(async () => {
  await core.close();
  await practice.close();
  await testDatabase.drop();
});

const later = (interval: string) => shiftClock(testDatabase.ownerUrl, interval);
/** Passes as they come while test time goes on: every ten minutes. */
async function during(hours: number): Promise<void> {
  for (let minutes = 0; minutes < hours * 60; minutes += 10) {
    await later('10 minutes');
    await health.checkDue();
  }
}

interface Entry {
  readonly kind: string;
  readonly operation_id: string | null;
  readonly why: string | null;
}

async function entries({ customerId: id }: Shop, kind: string): Promise<readonly Entry[]> {
  return sql<Entry & { [name: string]: unknown }>(
    testDatabase.adminUrl,
    `SELECT kind, operation_id, header::jsonb ->> 'why' AS why FROM autonomous_operations_audit
     WHERE customer_id = $1 AND kind LIKE $2 ORDER BY seq`,
    [id, kind],
  );
}

const toldOf = async (shop: Shop) => (await entries(shop, 'connection.%')).map(({ kind }) => kind.slice(11));
const lookedAt = async (shop: Shop) =>
  (await entries(shop, 'credential.opened')).filter(({ why }) => why === 'health check').length;

async function connection({ customerId: id }: Shop) {
  const [found] = await core.database.withCustomer(id, (tx) => connectionsOf(tx, id));
  if (!found) throw new Error('no key is stored');
  return found;
}

async function connected(): Promise<{ readonly shop: Shop } & Connected> {
  const shop = await installShop(core);
  return { shop, ...(await connect(core, runner, shop, practice)) };
}

/** Each test has its own customer; what the others have stored is looked at along with it. */
async function alone(): Promise<{ readonly shop: Shop } & Connected> {
  await sql(testDatabase.adminUrl, 'UPDATE connection_health SET next_check_at = NULL');
  return connected();
}

describe('a connection', () => {
  test('that works is looked at several times a day, each time on record, and nobody is told', async () => {
    const { shop, operation } = await alone();
    expect(await connection(shop)).toMatchObject({ state: 'unknown', checkedAt: null });
    await during(24);
    expect(await connection(shop)).toMatchObject({ state: 'healthy', reason: expect.stringContaining('answered 200') });
    expect(await lookedAt(shop)).toBeGreaterThanOrEqual(4);
    expect(await lookedAt(shop)).toBeLessThanOrEqual(6);
    expect(await toldOf(shop)).toEqual([]);
    const openings = await entries(shop, 'credential.opened');
    expect(openings.filter(({ why }) => why === 'health check').every((each) => each.operation_id === null)).toBe(true);
    expect(operation.state).toBe('completed');
  });

  test('whose key was ended is broken within the interval, told once, and handed to repair with each look', async () => {
    const { shop, label, operation } = await alone();
    await during(2);
    practice.endKey(label);
    await during(6);
    expect(await connection(shop)).toMatchObject({ state: 'broken', reason: expect.stringContaining('401') });
    await during(24);
    expect(await toldOf(shop)).toEqual(['broken']);
    expect((await entries(shop, 'connection.broken'))[0]).toMatchObject({ operation_id: operation.id });
    expect(repairs.length).toBeGreaterThan(3);
    expect(new Set(repairs)).toEqual(new Set(['broken']));
  });

  test('is not broken by a shop that answers 401 once', async () => {
    const { shop } = await alone();
    await during(2);
    practice.setOutage('unauthorised');
    await later('6 hours');
    await health.checkDue();
    expect(await connection(shop)).toMatchObject({ state: 'degraded' });
    practice.setOutage();
    await during(1);
    expect(await connection(shop)).toMatchObject({ state: 'healthy' });
    expect(await toldOf(shop)).toEqual([]);
    expect(repairs).toEqual([]);
  });

  test.each(['unavailable', 'hang-up'] as const)(
    'at a shop that is away (%s) is asked ever more seldom, told of after an hour, and again when it answers',
    async (outage) => {
      const { shop } = await alone();
      await during(2);
      const before = await lookedAt(shop);
      practice.setOutage(outage);
      await during(6.5);
      expect(await connection(shop)).toMatchObject({ state: 'degraded' });
      await during(18);
      const looks = (await lookedAt(shop)) - before;
      expect(await toldOf(shop)).toEqual(['degraded']);
      expect(looks).toBeLessThan(14);
      practice.setOutage();
      await during(6);
      expect(await toldOf(shop)).toEqual(['degraded', 'healthy']);
      expect(repairs).toEqual([]);
    },
  );

  test('is whole again once a key that works lies in its place, and said so where the trouble was told', async () => {
    const { shop, label, operation, place } = await alone();
    await during(2);
    practice.endKey(label);
    await during(6);
    const fresh = practice.addKey({ description: `${label} anew`, permissions: 'read' });
    await core.vault.rotate(place.customerId, 'woocommerce', 'api_key', {
      target: place.target,
      value: { consumer_key: new Secret(fresh.consumerKey), consumer_secret: new Secret(fresh.consumerSecret) },
    });
    await health.checkDue(); // without a wait: what was in trouble is looked at with the next pass
    expect(await toldOf(shop)).toEqual(['broken', 'healthy']);
    expect((await entries(shop, 'connection.healthy'))[0]).toMatchObject({ operation_id: operation.id });
  });

  test('is said to be whole at the operation of its new key, where that of the trouble is not kept any more', async () => {
    const { shop, operation } = await alone();
    await during(2);
    practice.setOutage('unauthorised');
    await during(6);
    expect(await toldOf(shop)).toEqual(['broken']);
    practice.setOutage();
    await sql(testDatabase.adminUrl, "UPDATE connection_health SET told_of = 'op-zzzzzzzz' WHERE customer_id = $1", [
      shop.customerId,
    ]);
    await during(6);
    expect(await toldOf(shop)).toEqual(['broken', 'healthy']);
    expect((await entries(shop, 'connection.healthy'))[0]).toMatchObject({ operation_id: operation.id });
  });

  test('is left alone while an operation works at that place', async () => {
    const { shop, place } = await alone();
    const running = await queuedOperation(core, shop, { origin: practice.origin, base: place.target });
    await during(7);
    expect(await lookedAt(shop)).toBe(0);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.mover.move(tx, shop.customerId, {
        ...{ operationId: running.id, from: ['queued'], to: 'cancelled' },
        entry: { kind: 'operation.cancelled' },
      }),
    );
    await health.checkDue();
    expect(await lookedAt(shop)).toBe(1);
  });

  test('is not handed to repair while its shop is away', async () => {
    const { label } = await alone();
    await during(2);
    practice.endKey(label);
    await during(7.5);
    expect(repairs.splice(0)).not.toEqual([]);
    practice.setOutage('unavailable');
    await during(12);
    expect(repairs).toEqual([]);
    practice.setOutage();
    await during(6);
    expect(repairs).not.toEqual([]);
  });

  test('at a shop that refuses everybody for most of an hour is handed to repair by none of the looks', async () => {
    const { shop } = await alone();
    await during(2);
    practice.setOutage('unauthorised');
    const before = await lookedAt(shop);
    await sql(testDatabase.adminUrl, 'UPDATE connection_health SET next_check_at = app.now() WHERE customer_id = $1', [
      shop.customerId,
    ]);
    await during(5 / 6);
    expect((await lookedAt(shop)) - before).toBeGreaterThanOrEqual(3);
    expect(await connection(shop)).toMatchObject({ state: 'broken' });
    expect(repairs).toEqual([]);
    practice.setOutage();
    await during(0.5);
    expect(await connection(shop)).toMatchObject({ state: 'healthy' });
  });

  test('that people were asked to repair asks them no more once it works, and asks anew when it breaks again', async () => {
    const { shop, place } = await alone();
    const asking = healthOf(core, http, { repair: core.repairs.consider });
    const looks = async (...intervals: readonly string[]) => {
      for (const interval of intervals) {
        await later(interval);
        await asking.checkDue();
      }
    };
    const states = async () => (await repairsAt(core, place)).map(({ state, errorCode }) => [state, errorCode]);
    practice.setOutage('unauthorised');
    await looks('2 hours', '6 minutes');
    expect(await states()).toEqual([]);
    await looks('1 hour', '1 hour');
    expect(await states()).toEqual([['awaiting_consent', null]]);
    practice.setOutage();
    await looks('6 hours');
    expect(await states()).toEqual([['cancelled', 'recovered']]);
    expect(await toldOf(shop)).toEqual(['broken', 'healthy']);
    practice.setOutage('unauthorised');
    await looks('6 hours', '6 minutes', '1 hour');
    expect(await states()).toEqual([
      ['awaiting_consent', null],
      ['cancelled', 'recovered'],
    ]);
  });

  test('is looked at although a clock that was ahead has written when', async () => {
    const { shop } = await alone();
    const stuck = await connected();
    await later('5 days');
    await health.checkDue();
    await sql(
      testDatabase.adminUrl,
      "UPDATE connection_health SET claim = gen_random_uuid(), claimed_until = app.now() + interval '15 minutes' WHERE customer_id = $1",
      [stuck.shop.customerId],
    );
    await later('-5 days');
    const before = await lookedAt(shop);
    practice.setOutage('unauthorised');
    for (const interval of ['2 minutes', '6 minutes']) {
      await later(interval);
      await health.checkDue();
    }
    expect((await lookedAt(shop)) - before).toBe(2);
    expect(await connection(shop)).toMatchObject({ state: 'broken' });
    expect(await connection(stuck.shop)).toMatchObject({ state: 'broken' });
    const [row] = await sql<{ ahead: boolean }>(
      testDatabase.adminUrl,
      'SELECT bool_or(greatest(since, checked_at, refused_since) > app.now()) AS ahead FROM connection_health WHERE customer_id = $1',
      [shop.customerId],
    );
    expect(row).toEqual({ ahead: false });
  });

  test('has its turn although more than a page of others can’t be looked at just now', async () => {
    const { shop } = await alone();
    const { customerId: id } = shop;
    const busy = 'https://busy.example.com';
    const running = await queuedOperation(core, shop, { origin: busy, base: busy });
    await sql(
      testDatabase.adminUrl,
      `INSERT INTO connection_health (customer_id, service, target, credential_type, state, reason, since, told_state, next_check_at)
       SELECT $1, 'woocommerce', $2, 'key ' || n, 'healthy', '', app.now(), 'healthy', app.now() - interval '1 day' FROM generate_series(1, 60) n`,
      [id, busy],
    );
    await later('2 hours');
    await health.checkDue();
    expect(await lookedAt(shop)).toBe(1);
    await core.database.withCustomer(id, (tx) =>
      core.mover.move(tx, id, {
        ...{ operationId: running.id, from: ['queued'], to: 'cancelled' },
        entry: { kind: 'operation.cancelled' },
      }),
    );
  });

  test('at a shop that lets one wait keeps nobody else’s waiting', async () => {
    await sql(testDatabase.adminUrl, 'UPDATE connection_health SET next_check_at = NULL');
    const slow: Connected[] = [];
    for (let made = 0; made < 4; made++) slow.push(await connected());
    const other = await startPracticeShop();
    const shop = await installShop(core);
    const http = httpTo(practice, other);
    const quick = await connect(core, runnerWithoutBrowser(core, http), shop, other);
    const answers = Promise.withResolvers<void>();
    const late: Http = {
      async request(request) {
        if (new URL(request.url).origin === practice.origin) await answers.promise;
        return http.request(request);
      },
    };
    const due = [...slow, quick].map(({ place }) => place.customerId);
    const directory = { ...core.directory, customersToCheck: async () => due };
    await later('2 hours');
    const pass = healthOf({ ...core, directory }, late).checkDue();
    try {
      await vi.waitFor(async () => expect(await connection(shop)).toMatchObject({ state: 'healthy' }), 10_000);
    } finally {
      answers.resolve();
      await pass;
      await other.close();
    }
  });

  test('that a pass has no time for any more is the next one’s', async () => {
    const { shop } = await alone();
    await later('2 hours');
    expect(await healthOf(core, http, { passMs: 0 }).checkDue()).toBe(0);
    expect(await lookedAt(shop)).toBe(0);
    await health.checkDue();
    expect(await lookedAt(shop)).toBe(1);
  });

  test('is left alone while the operator holds everything back, or this customer', async () => {
    const { shop } = await alone();
    const { directory } = core;
    await directory.setStandstill('something is wrong');
    await during(7);
    await directory.setStandstill(null);
    const set = (values: string) =>
      sql(testDatabase.adminUrl, `UPDATE customers SET ${values} WHERE customer_id = $1`, [shop.customerId]);
    await set("paused_at = app.now(), pause_reason = ''");
    await during(2);
    expect(await lookedAt(shop)).toBe(0);
    await set('paused_at = NULL, pause_reason = NULL');
    await health.checkDue();
    expect(await lookedAt(shop)).toBe(1);
  });

  test('that was brought along is not tried, and its known end is told of 14, 7 and 1 days ahead, once each', async () => {
    const { shop } = await alone();
    const [row] = await sql<{ at: Date }>(testDatabase.adminUrl, "SELECT app.now() + interval '20 days' AS at");
    const { id } = await core.vault.store(shop.customerId, 'stripe', 'api_key', {
      ...{ target: 'https://dashboard.stripe.com', value: 'rk_test_brought', expiresAt: row?.at ?? null },
      metadata: { label: 'ours' },
    });
    for (let hours = 0; hours < 22 * 24; hours += 6) {
      await later('6 hours');
      await health.checkDue();
    }
    expect(await toldOf(shop)).toEqual(['unknown', 'expiring', 'expiring', 'expiring', 'expired']);
    expect(new Set(repairs)).toEqual(new Set(['expiring', 'expired']));
    const openings =
      "SELECT FROM autonomous_operations_audit WHERE kind = 'credential.opened' AND header LIKE '%' || $1 || '%'";
    expect(await sql(testDatabase.adminUrl, openings, [id])).toEqual([]);
  });

  test('that is deleted is looked at no more, and begins anew with the next key', async () => {
    const { shop, label, place } = await alone();
    await during(2);
    practice.endKey(label);
    await during(6);
    await core.vault.delete(place.customerId, 'woocommerce', 'api_key', { target: place.target });
    const before = await lookedAt(shop);
    await during(12);
    expect(await lookedAt(shop)).toBe(before);
    expect(await core.database.withCustomer(shop.customerId, (tx) => connectionsOf(tx, shop.customerId))).toEqual([]);
  });
});
