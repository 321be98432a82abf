import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { ConnectionPlace } from '../../core/connections/place.ts';
import { createRepairs } from '../../core/connections/repair.ts';
import { dueForRotation } from '../../core/connections/repair-due.ts';
import { REPAIR_PERMISSION, STANDING_DAYS_MAX } from '../../core/consent/standing.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import type { CustomerId } from '../../core/ids.ts';
import { keepBeside, takePlace, writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createRunner } from '../../core/operations/run.ts';
import { erasePersonRows, takeAccess } from '../../core/rights/person.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import type { RevokeResult, Service, VerifyInput, VerifyResult } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { wordpress } from '../../core/services/wordpress/index.ts';
import { fails, keptWorking, madeConnection, placeOf, repairsAt } from '../support/connections.ts';
import {
  type Core,
  cancel,
  click,
  grant,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

/** No page is opened and no service asked. */
const nothing = {
  open: () => Promise.reject(new Error('a browser was opened')),
  request: () => Promise.reject(new Error('a service was asked')),
  close: async () => {},
};

const DAY = 24 * 60;
const KEPT = 'a kept pass phrase';

let testDatabase: TestDatabase;
let core: Core;
/** A second process. */
let other: Core;
const { inMinutes, minutesPass, putBack } = clockOf(() => testDatabase);

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  other = await openCore(testDatabase);
});

afterEach(putBack);

afterAll(async () => {
  await core?.close();
  await other?.close();
  await testDatabase?.drop();
});

const inside = <T>(customerId: CustomerId, work: (tx: Transaction) => Promise<T>) =>
  core.database.withCustomer(customerId, work);

interface Scene {
  readonly shop: Shop;
  readonly operation: Operation;
  readonly place: ConnectionPlace;
}

async function connection(): Promise<Scene> {
  const shop = await installShop(core);
  const operation = await madeConnection(core, shop);
  return { shop, operation, place: placeOf(operation) };
}

/** With a standing grant that keeps its sign-in. */
async function keptConnection(): Promise<Scene & { readonly consentId: string }> {
  const scene = await connection();
  return { ...scene, consentId: await keptWorking(core, scene.shop, scene.operation) };
}

const statesAt = async (place: ConnectionPlace) => (await repairsAt(core, place)).map(({ state }) => state);

const secretsOf = ({ id }: Operation) =>
  sql<{ type: string }>(
    testDatabase.adminUrl,
    'SELECT credential_type AS type FROM autonomous_credentials WHERE operation_id = $1 ORDER BY 1',
    [id],
  );

async function onlyRepair(place: ConnectionPlace): Promise<Operation> {
  const [repair, ...more] = await repairsAt(core, place);
  if (!repair || more.length > 0) throw new Error(`expected one repair, got ${more.length + (repair ? 1 : 0)}`);
  return repair;
}

describe('without a standing grant', () => {
  test('a broken key is asked about once, in the thread of its set-up, for whoever set it up', async () => {
    const { shop, operation, place } = await connection();
    await core.repairs.consider(place, 'broken');
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(place);
    expect(repair).toMatchObject({ state: 'awaiting_consent', threadId: operation.threadId });
    expect(repair.plan).toMatchObject({ operationType: 'credential_rotation', repair: { cause: 'broken' } });
    expect(repair.plan.key?.operationId).toBe(operation.id);
    expect(repair.requester.id).toBe(shop.merchant.id);
    const [asked] = await trail(core, repair);
    expect(asked).toMatchObject({ kind: 'operation.requested', payload: { repair: 'broken' } });
    expect(asked?.actor).toBeUndefined();
    // Nobody chose its time, so it stays open for days.
    const openMs = (repair.request?.expiresAt.getTime() ?? 0) - (repair.request?.askedAt.getTime() ?? 0);
    expect(openMs).toBe(3 * 24 * 60 * 60_000);
    expect(await grant(core, repair, shop.approver)).toMatchObject({ kind: 'granted', next: 'awaiting_credentials' });
  });

  test('nobody is asked where whoever set it up, and would have to sign in, is erased', async () => {
    const shop = await installShop(core);
    const made = await madeConnection(core, shop);
    await erasePersonRows(core, shop.customerId, shop.merchant.id);
    await core.repairs.consider(placeOf(made), 'broken');
    expect(await repairsAt(core, placeOf(made))).toEqual([]);
  });

  test('it is asked again about something else, or a month later, but not after a No', async () => {
    const { shop, place } = await connection();
    await core.repairs.consider(place, 'expiring');
    await fails(core, await onlyRepair(place));
    await core.repairs.consider(place, 'expiring');
    expect(await statesAt(place)).toEqual(['failed']);
    await core.repairs.consider(place, 'expired');
    const [expired] = await repairsAt(core, place);
    if (!expired) throw new Error('nothing was asked');
    await core.consents.deny(shop.customerId, click(expired, shop.approver), 'not now');
    await minutesPass(31 * DAY);
    await core.repairs.consider(place, 'expired');
    expect(await statesAt(place)).toEqual(['denied', 'failed']);
    await core.repairs.consider(place, 'expiring');
    expect(await statesAt(place)).toEqual(['awaiting_consent', 'denied', 'failed']);
  });

  test('several processes that see it at once ask once', async () => {
    const { place } = await connection();
    const looks = [core, other, core, other].map(({ repairs }) => repairs.consider(place, 'broken'));
    await Promise.all(looks);
    expect(await statesAt(place)).toEqual(['awaiting_consent']);
  });
});

describe('under a standing grant', () => {
  test('a repair is begun: its plan, its job and a copy of the kept sign-in in one transaction', async () => {
    const { shop, operation, place, consentId } = await keptConnection();
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(place);
    expect(repair).toMatchObject({ state: 'queued', threadId: operation.threadId, request: null });
    expect(repair.plan.repair).toEqual({ cause: 'broken', consent: consentId });
    expect(repair.grant).toMatchObject({ id: consentId, approver: { id: shop.approver.id } });
    expect(repair.requester.id).toBe(shop.approver.id);
    expect(await secretsOf(repair)).toEqual([{ type: 'admin_password' }, { type: 'admin_username' }]);
    const opened = await core.vault.get(shop.customerId, place.service, 'admin_password', {
      ...{ target: place.target, operationId: repair.id },
    });
    expect(opened?.value.reveal()).toBe(KEPT);
    expect(await kinds(core, repair)).toEqual([
      ...['operation.requested', 'plan.made', 'operation.queued', 'credential.copied', 'credential.copied'],
    ]);
    const [job] = await sql<{ priority: number }>(
      testDatabase.adminUrl,
      "SELECT priority FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1",
      [repair.id],
    );
    expect(job?.priority).toBeLessThanOrEqual(0); // a person's job goes first
    const verify = (permission?: string) =>
      inside(shop.customerId, (tx) => core.consents.verify(tx, shop.customerId, repair.id, permission));
    expect(await verify('end_old_key')).toMatchObject({ hasConsent: true });
    expect(await verify('write_shop')).toMatchObject({ hasConsent: false });
    expect(repair.grant?.permissions).toContain(REPAIR_PERMISSION);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['queued']);
  });

  test('several processes that see it at once begin one', async () => {
    const { place } = await keptConnection();
    const looks = [core, other, core, other].map(({ repairs }) => repairs.consider(place, 'broken'));
    await Promise.all(looks);
    expect(await statesAt(place)).toEqual(['queued']);
  });

  test('that has ended, or keeps no sign-in any more, a person is asked instead', async () => {
    const { place, operation, shop } = await keptConnection();
    await sql(testDatabase.adminUrl, 'DELETE FROM autonomous_credentials WHERE operation_id = $1', [operation.id]);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['awaiting_consent']);
    const late = await keptConnection();
    await minutesPass((STANDING_DAYS_MAX + 1) * DAY);
    await core.repairs.consider(late.place, 'broken');
    expect(await statesAt(late.place)).toEqual(['awaiting_consent']);
    expect(shop.customerId).not.toBe(late.shop.customerId);
  });

  test('nothing is done that it does not cover: another version of the way, or a model that may look now', async () => {
    const { place } = await keptConnection();
    const { workflows } = core;
    const changed = {
      ...workflows,
      getDefinition: (id: string) => ({ ...workflows.getDefinition(id), version: 99 }),
    };
    const base = { ...core, getService, rotationDays: 90 };
    await createRepairs({ ...base, workflows: changed }).consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['awaiting_consent']);
    const seen = await keptConnection();
    await createRepairs({ ...base, hasPageModel: true }).consider(seen.place, 'broken');
    expect(await statesAt(seen.place)).toEqual(['awaiting_consent']);
  });

  test('is taken back with what it kept, and with a repair that is about to run', async () => {
    const { shop, operation, place, consentId } = await keptConnection();
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(place);
    expect(await secretsOf(operation)).toHaveLength(2);
    expect(
      await inside(shop.customerId, (tx) => core.consents.revokeById(tx, shop.customerId, consentId, shop.admin)),
    ).toBe(true);
    expect([await secretsOf(operation), await secretsOf(repair)]).toEqual([[], []]);
    expect(await look(core, repair)).toMatchObject({ state: 'cancelled', errorCode: 'consent' });
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['awaiting_consent', 'cancelled']);
  });

  test('that has ended does not hold again when the clock goes back', async () => {
    const { shop, place } = await keptConnection();
    await minutesPass((STANDING_DAYS_MAX + 1) * DAY);
    await core.repairs.consider(place, 'expiring');
    await core.consents.deny(shop.customerId, click(await onlyRepair(place), shop.approver), 'not now');
    await minutesPass(-2 * DAY);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).not.toContain('queued');
  });

  test('is tried twice a day; then somebody is told once, and nothing more is tried until it is granted anew', async () => {
    const { shop, operation, place } = await keptConnection();
    for (let tries = 0; tries < 2; tries++) {
      await core.repairs.consider(place, 'broken');
      const [newest] = await repairsAt(core, place);
      if (newest) await fails(core, newest);
      await minutesPass(60);
    }
    for (let looks = 0; looks < 3; looks++) await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['failed', 'failed']);
    const [newest] = await repairsAt(core, place);
    const told = async () => (newest ? await kinds(core, newest) : []).filter((kind) => kind === 'repair.given_up');
    expect(await told()).toHaveLength(1);
    await minutesPass(2 * DAY);
    await core.repairs.consider(place, 'broken');
    expect([await statesAt(place), await told()]).toEqual([['failed', 'failed'], ['repair.given_up']]);
    await inside(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.admin));
    await keptWorking(core, shop, operation);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['queued', 'failed', 'failed']);
  });

  test('that was given up is taken up again once the key was taken again, and its rotation with it', async () => {
    const { shop, place } = await keptConnection();
    const isNow = (state: string) =>
      sql(
        testDatabase.adminUrl,
        'UPDATE connection_health SET state = $2, since = app.now(), checked_at = app.now() WHERE customer_id = $1',
        [shop.customerId, state],
      );
    await isNow('broken');
    for (let tries = 0; tries < 2; tries++) {
      await core.repairs.consider(place, 'broken');
      const [newest] = await repairsAt(core, place);
      if (newest) await fails(core, newest);
      await minutesPass(60);
    }
    await core.repairs.consider(place, 'broken');
    await minutesPass(2 * DAY);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['failed', 'failed']);
    await isNow('healthy');
    const rotating = createRepairs({ ...core, getService, rotationDays: 1 });
    await rotating.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual(['queued', 'failed', 'failed']);
  });

  test('whose countersigner has left, by the platform’s word, makes room for a card that asks the others', async () => {
    const { shop, place } = await keptConnection();
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(place);
    const runner = createRunner({
      ...core,
      ...{ browser: nothing, http: nothing, screenshots: createScreenshots(core), log: silentLog },
      secrets: { add() {}, remove() {} },
      identify: async () => ({ kind: 'unknown' }),
    });
    await runner.run({ customerId: shop.customerId, operationId: repair.id }, new AbortController().signal);
    expect(await look(core, repair)).toMatchObject({ state: 'cancelled', errorCode: 'not_vouched' });
    for (let looks = 0; looks < 3; looks++) await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['awaiting_consent', 'cancelled']);
    const [asked] = await repairsAt(core, place);
    expect(asked && (await grant(core, asked, shop.secondApprover))).toMatchObject({ kind: 'granted' });
  });

  test('takes the place of a key whose time is over, too', async () => {
    const { shop, place } = await keptConnection();
    const { customerId } = shop;
    const at = { target: place.target };
    const old = await core.vault.find(customerId, place.service, 'api_key', at);
    const fields = { consumer_key: new Secret('ck_new'), consumer_secret: new Secret('cs_new') };
    const expiresAt = inMinutes(DAY);
    const kept = { ...at, value: fields, metadata: old?.metadata ?? {}, expiresAt };
    await core.vault.store(customerId, place.service, 'api_key', kept);
    await minutesPass(2 * DAY);
    await core.repairs.consider(place, 'expired');
    const repair = await onlyRepair(place);
    const job = { customerId, operationId: repair.id };
    const lease = await takeLease(core, job, new AbortController().signal);
    const { key, label } = repair.plan;
    if (!lease || !key) throw new Error('the repair could not be taken');
    const problem = await inside(customerId, async (tx) => {
      await keepBeside(tx, core, repair, { step: 9, fence: lease.fence, label, fields });
      return takePlace(tx, core, repair, key, lease.fence);
    });
    lease.release();
    expect(problem).toBeUndefined();
    const now = await core.vault.find(customerId, place.service, 'api_key', at);
    expect(now?.metadata).toMatchObject({ operationId: repair.id, replaced: key.label });
  });

  test('is not begun again once a person has stopped it', async () => {
    const { place } = await keptConnection();
    await core.repairs.consider(place, 'broken');
    await cancel(core, await onlyRepair(place));
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual(['cancelled']);
  });
});

describe('nothing is begun nor asked', () => {
  test('while something else is open at the place, the operator holds work back, or an admin wants guides only', async () => {
    const { shop, place } = await keptConnection();
    const open = await requestOperation(core, shop);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual([]);
    await cancel(core, open);
    await core.standstill.pause(shop.customerId, 'a look');
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual([]);
    await core.standstill.resume(shop.customerId);
    await sql(testDatabase.adminUrl, 'UPDATE customers SET is_guide_only = true WHERE customer_id = $1', [
      shop.customerId,
    ]);
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual([]);
  });

  test('beyond what the customer may ask for in an hour', async () => {
    const { shop, place } = await keptConnection();
    await sql(testDatabase.adminUrl, 'UPDATE customers SET operations_per_hour = 1 WHERE customer_id = $1', [
      shop.customerId,
    ]);
    await cancel(core, await requestOperation(core, shop));
    await core.repairs.consider(place, 'broken');
    expect(await statesAt(place)).toEqual([]);
  });

  test('where no key of ours lies', async () => {
    const shop = await installShop(core);
    const place = {
      customerId: shop.customerId,
      service: 'woocommerce',
      target: 'https://a.example.com',
      credentialType: 'api_key',
    };
    await core.repairs.consider(place, 'broken');
    await core.repairs.consider({ ...place, service: 'nothing' }, 'broken');
    await core.repairs.consider({ ...place, credentialType: 'password' }, 'broken');
    expect(await statesAt(place)).toEqual([]);
  });
});

describe('keys that are 90 days old', () => {
  const due = ({ customerId }: Shop) => inside(customerId, (tx) => dueForRotation(tx, customerId, 90));

  test('are replaced a few at a time, each on a day of its own in the week before', async () => {
    const shop = await installShop(core);
    const places: ConnectionPlace[] = [];
    for (let index = 0; index < 5; index++) {
      const base = `https://shop-${index}.example.com`;
      places.push(placeOf(await madeConnection(core, shop, { base, origin: base })));
    }
    await minutesPass(83 * DAY - 60);
    expect(await due(shop)).toEqual([]);
    await minutesPass(180); // two hours of a week: not all of them
    const some = (await due(shop)).length;
    await minutesPass(7 * DAY);
    expect(await due(shop)).toHaveLength(5);
    expect(some).toBeLessThan(5);
    const begun = async () => {
      const all = await Promise.all(places.map((place) => repairsAt(core, place)));
      return all.filter(({ length }) => length > 0).length;
    };
    await core.repairs.rotateDue();
    expect(await begun()).toBe(3);
    for (let looks = 0; looks < 2; looks++) await core.repairs.rotateDue();
    expect(await begun()).toBe(5);
    const [first] = places;
    const [repair] = first ? await repairsAt(core, first) : [];
    expect(repair?.plan.repair).toEqual({ cause: 'rotation_due' });
  });

  test('are replaced although something is wrong with an older one', async () => {
    const shop = await installShop(core);
    const made: Operation[] = [];
    for (const base of ['https://older.example.com', 'https://younger.example.com']) {
      const operation = await madeConnection(core, shop, { base, origin: base });
      await keptWorking(core, shop, operation);
      made.push(operation);
    }
    const [older] = made;
    const spoil = "UPDATE autonomous_credentials SET encrypted_credential = '\\x00' WHERE operation_id = $1";
    await sql(testDatabase.adminUrl, spoil, [older?.id]);
    await minutesPass(2 * DAY);
    const directory = { ...core.directory, customers: async () => [shop.customerId] };
    const { failed } = await createRepairs({ ...core, directory, getService, rotationDays: 1 }).rotateDue();
    expect(failed).toHaveLength(1);
    expect(await Promise.all(made.map((operation) => statesAt(placeOf(operation))))).toEqual([[], ['queued']]);
  });

  test('are looked at after a try that failed, before they are tried again', async () => {
    const { place, shop } = await keptConnection();
    const rotating = createRepairs({ ...core, getService, rotationDays: 1 });
    const health = (values: string) =>
      sql<{ due: boolean }>(
        testDatabase.adminUrl,
        `UPDATE connection_health SET ${values} WHERE customer_id = $1 RETURNING next_check_at <= app.now() AS due`,
        [shop.customerId],
      );
    await health("state = 'healthy', checked_at = app.now()");
    await minutesPass(2 * DAY);
    await health("next_check_at = app.now() + interval '6 hours'");
    await rotating.consider(place, 'rotation_due');
    await fails(core, await onlyRepair(place));
    await minutesPass(60);
    await rotating.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual(['failed']);
    expect(await health('reason = reason')).toEqual([{ due: true }]);
    await health("state = 'broken', since = app.now(), checked_at = app.now()");
    await rotating.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual(['failed']);
    await health("state = 'healthy', since = app.now(), checked_at = app.now()");
    await rotating.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual(['queued', 'failed']);
  });

  test('wait while their service is away or in trouble', async () => {
    const { place, shop } = await connection();
    const { customerId } = shop;
    const found = (state: string) =>
      sql(testDatabase.adminUrl, 'UPDATE connection_health SET state = $2, since = app.now() WHERE customer_id = $1', [
        ...[customerId, state],
      ]);
    await minutesPass(91 * DAY);
    await found('degraded');
    await core.repairs.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual([]);
    await found('healthy');
    await core.repairs.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual(['awaiting_consent']);
  });

  test('and no younger ones, whoever says that it is time', async () => {
    const { place } = await keptConnection();
    await core.repairs.consider(place, 'rotation_due');
    expect(await statesAt(place)).toEqual([]);
  });
});

describe('a rotation at a service whose API ends keys', () => {
  /** Keys that it takes, and whether it ends any. */
  const alive = new Set<string>();
  let isOutOfOrder = false;
  let blog: Core;
  let shop: Shop;
  const origin = 'https://blog.example.com';
  const keyOf = ({ credential }: VerifyInput) => credential.consumer_key?.reveal() ?? '';
  const does = {
    async verify(input: VerifyInput): Promise<VerifyResult> {
      if (alive.has(keyOf(input))) return { kind: 'works', checked: 'it works', method: 'GET' };
      return { kind: 'fails', reason: 'It is not taken.', isRetryable: false, refusedWith: '401' };
    },
    async revoke(input: VerifyInput): Promise<RevokeResult> {
      if (isOutOfOrder) return { kind: 'fails', reason: 'The site is out of order.', isRetryable: false };
      // As WordPress 6.1 answers: it may be the key, or something on the way.
      if (!alive.delete(keyOf(input)))
        return { kind: 'fails', reason: 'It is not taken.', isRetryable: false, isNotTaken: true };
      return { kind: 'revoked' };
    },
  };
  const types = Object.entries(wordpress.operationTypes).map(([name, type]) => [name, { ...type, ...does }] as const);
  const service: Service = { ...wordpress, operationTypes: Object.fromEntries(types) };
  const never = new AbortController().signal;

  beforeAll(async () => {
    blog = await openCore(testDatabase, { serviceOf: (id) => (id === 'wordpress' ? service : getService(id)) });
  });
  beforeEach(async () => {
    alive.clear();
    isOutOfOrder = false;
    shop = await installShop(blog);
  });
  afterAll(() => blog?.close());

  const about = (name: 'api_key_generation' | 'credential_rotation' | 'credential_revocation') => {
    const type = service.operationTypes[name];
    if (!type) throw new Error('WordPress makes, rotates and revokes passwords');
    return { service, type, origin, base: origin, permissions: defaultPermissions(type) };
  };
  const keyNamed = (label: string) => {
    alive.add(label);
    return { consumerKey: label, consumerSecret: 'secret' };
  };
  const made = () => madeConnection(blog, shop, about('api_key_generation'), keyNamed);

  async function ran(operation: Operation): Promise<Operation> {
    const runner = createRunner({
      ...blog,
      ...{ browser: nothing, http: nothing, screenshots: createScreenshots(blog), log: silentLog },
      secrets: { add() {}, remove() {} },
    });
    await runner.run({ customerId: shop.customerId, operationId: operation.id }, never);
    return look(blog, operation);
  }

  /** From the moment on at which its page has made the new key. */
  async function rotated(): Promise<Operation> {
    const { customerId } = shop;
    const rotating = await queuedOperation(blog, shop, about('credential_rotation'));
    const lease = await takeLease(blog, { customerId, operationId: rotating.id }, never);
    if (!lease) throw new Error('the lease was not to be had');
    const { label } = rotating.plan;
    const { consumerKey, consumerSecret } = keyNamed(label);
    const fields = { consumer_key: new Secret(consumerKey), consumer_secret: new Secret(consumerSecret) };
    await inside(customerId, async (tx) => {
      await writeIntent(tx, blog.audit, rotating, 7, label, lease.fence);
      await keepBeside(tx, blog, rotating, { step: 7, fence: lease.fence, label, fields });
    });
    lease.release();
    return ran(rotating);
  }

  const beside = () =>
    sql(
      testDatabase.adminUrl,
      `SELECT credential_type AS type, credential_metadata ->> 'label' AS label FROM autonomous_credentials
       WHERE customer_id = $1 AND operation_id IS NOT NULL`,
      [shop.customerId],
    );

  /** “Try again” of one that could not end the old key. */
  async function endsOld(rotating: Operation, old: Operation, by: Member): Promise<void> {
    const { customerId, threadId } = shop;
    const retried = await blog.control.retry(customerId, { operationId: rotating.id, by, threadId });
    if (retried.kind !== 'requested') throw new Error(`expected a request, got ${retried.kind}`);
    const { operation: ending } = retried;
    expect(ending).toMatchObject({ type: { type: 'credential_revocation' }, plan: { key: { label: old.plan.label } } });
    isOutOfOrder = false;
    expect(await grant(blog, ending, shop.secondApprover)).toMatchObject({ kind: 'granted', next: 'queued' });
    expect(await ran(ending)).toMatchObject({ state: 'completed' });
    expect([await beside(), [...alive]]).toEqual([[], [rotating.plan.label]]);
    const stored = await blog.vault.find(customerId, 'wordpress', 'password', { target: origin });
    expect(stored?.metadata.operationId).toBe(rotating.id);
  }

  test('that could not end the old key keeps that sealed, and trying again ends it once somebody approves', async () => {
    const first = await made();
    isOutOfOrder = true;
    const failed = await rotated();
    expect(failed).toMatchObject({ state: 'failed', isKeyStored: true });
    expect(failed.errorMessage).toContain('The site is out of order. The key may still live there.');
    expect(await beside()).toEqual([{ type: 'password', label: first.plan.label }]);
    await endsOld(failed, first, shop.merchant);
  });

  test('155 that could not end the old key keeps that for the customer when whoever asked for it is erased', async () => {
    const first = await made();
    isOutOfOrder = true;
    const failed = await rotated();
    await takeAccess(blog, shop.customerId, shop.merchant.id);
    expect(await beside()).toEqual([{ type: 'password', label: first.plan.label }]);
    await endsOld(failed, first, shop.approver);
  });

  test('156 takes an old key that is not taken for ended where the new one is taken at that moment, and else never', async () => {
    const first = await made();
    alive.delete(first.plan.label);
    const rotation = await rotated();
    expect(rotation).toMatchObject({ state: 'completed', isKeyStored: true });
    expect(await beside()).toEqual([]);
    alive.delete(rotation.plan.label);
    const revocation = await ran(await queuedOperation(blog, shop, about('credential_revocation')));
    expect(revocation).toMatchObject({
      state: 'failed',
      errorMessage: expect.stringContaining('may still live there'),
    });
    const stored = await blog.vault.find(shop.customerId, 'wordpress', 'password', { target: origin });
    expect(stored?.metadata.operationId).toBe(rotation.id);
  });
});
