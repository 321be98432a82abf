import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createRepairs } from '../../core/connections/repair.ts';
import { REPAIR_PERMISSION, STANDING_DAYS_MAX } from '../../core/consent/standing.ts';
import type { Transaction } from '../../core/database.ts';
import type { CustomerId } from '../../core/ids.ts';
import { keepBeside, takePlace } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { erasePersonRows } from '../../core/rights/person.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import {
  connectedShop,
  fails,
  keptShop,
  keptWorking,
  madeConnection,
  onlyRepair,
  placeOf,
  repairStates,
  repairsAt,
} from '../support/connections.ts';
import {
  type Core,
  cancel,
  click,
  grant,
  installShop,
  kinds,
  look,
  nowhere,
  openCore,
  requestOperation,
  sql,
  trail,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';

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

const secretsOf = ({ id }: Operation) =>
  sql<{ type: string }>(
    testDatabase.adminUrl,
    'SELECT credential_type AS type FROM autonomous_credentials WHERE operation_id = $1 ORDER BY 1',
    [id],
  );

describe('without a standing grant', () => {
  test('a broken key is asked about once, in the thread of its set-up, for whoever set it up', async () => {
    const { shop, operation, place } = await connectedShop(core);
    await core.repairs.consider(place, 'broken');
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(core, place);
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
    const { shop, place } = await connectedShop(core);
    await core.repairs.consider(place, 'expiring');
    await fails(core, await onlyRepair(core, place));
    await core.repairs.consider(place, 'expiring');
    expect(await repairStates(core, place)).toEqual(['failed']);
    await core.repairs.consider(place, 'expired');
    const [expired] = await repairsAt(core, place);
    if (!expired) throw new Error('nothing was asked');
    await core.consents.deny(shop.customerId, click(expired, shop.approver), 'not now');
    await minutesPass(31 * DAY);
    await core.repairs.consider(place, 'expired');
    expect(await repairStates(core, place)).toEqual(['denied', 'failed']);
    await core.repairs.consider(place, 'expiring');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent', 'denied', 'failed']);
  });

  test('several processes that see it at once ask once', async () => {
    const { place } = await connectedShop(core);
    const looks = [core, other, core, other].map(({ repairs }) => repairs.consider(place, 'broken'));
    await Promise.all(looks);
    expect(await repairStates(core, place)).toEqual(['awaiting_consent']);
  });
});

describe('under a standing grant', () => {
  test('a repair is begun: its plan, its job and a copy of the kept sign-in in one transaction', async () => {
    const { shop, operation, place, consentId } = await keptShop(core);
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(core, place);
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
    expect(await repairStates(core, place)).toEqual(['queued']);
  });

  test('several processes that see it at once begin one', async () => {
    const { place } = await keptShop(core);
    const looks = [core, other, core, other].map(({ repairs }) => repairs.consider(place, 'broken'));
    await Promise.all(looks);
    expect(await repairStates(core, place)).toEqual(['queued']);
  });

  test('that has ended, or keeps no sign-in any more, a person is asked instead', async () => {
    const { place, operation, shop } = await keptShop(core);
    await sql(testDatabase.adminUrl, 'DELETE FROM autonomous_credentials WHERE operation_id = $1', [operation.id]);
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent']);
    const late = await keptShop(core);
    await minutesPass((STANDING_DAYS_MAX + 1) * DAY);
    await core.repairs.consider(late.place, 'broken');
    expect(await repairStates(core, late.place)).toEqual(['awaiting_consent']);
    expect(shop.customerId).not.toBe(late.shop.customerId);
  });

  test('nothing is done that it does not cover: another version of the way, or a model that may look now', async () => {
    const { place } = await keptShop(core);
    const { workflows } = core;
    const changed = {
      ...workflows,
      getDefinition: (id: string) => ({ ...workflows.getDefinition(id), version: 99 }),
    };
    const base = { ...core, getService, rotationDays: 90 };
    await createRepairs({ ...base, workflows: changed }).consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent']);
    const seen = await keptShop(core);
    await createRepairs({ ...base, hasPageModel: true }).consider(seen.place, 'broken');
    expect(await repairStates(core, seen.place)).toEqual(['awaiting_consent']);
  });

  test('is taken back with what it kept, and with a repair that is about to run', async () => {
    const { shop, operation, place, consentId } = await keptShop(core);
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(core, place);
    expect(await secretsOf(operation)).toHaveLength(2);
    expect(
      await inside(shop.customerId, (tx) => core.consents.revokeById(tx, shop.customerId, consentId, shop.admin)),
    ).toBe(true);
    expect([await secretsOf(operation), await secretsOf(repair)]).toEqual([[], []]);
    expect(await look(core, repair)).toMatchObject({ state: 'cancelled', errorCode: 'consent' });
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent', 'cancelled']);
  });

  test('that has ended does not hold again when the clock goes back', async () => {
    const { shop, place } = await keptShop(core);
    await minutesPass((STANDING_DAYS_MAX + 1) * DAY);
    await core.repairs.consider(place, 'expiring');
    await core.consents.deny(shop.customerId, click(await onlyRepair(core, place), shop.approver), 'not now');
    await minutesPass(-2 * DAY);
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).not.toContain('queued');
  });

  test('is tried twice a day; then somebody is told once, and nothing more is tried until it is granted anew', async () => {
    const { shop, operation, place } = await keptShop(core);
    for (let tries = 0; tries < 2; tries++) {
      await core.repairs.consider(place, 'broken');
      const [newest] = await repairsAt(core, place);
      if (newest) await fails(core, newest);
      await minutesPass(60);
    }
    for (let looks = 0; looks < 3; looks++) await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['failed', 'failed']);
    const [newest] = await repairsAt(core, place);
    const told = async () => (newest ? await kinds(core, newest) : []).filter((kind) => kind === 'repair.given_up');
    expect(await told()).toHaveLength(1);
    await minutesPass(2 * DAY);
    await core.repairs.consider(place, 'broken');
    expect([await repairStates(core, place), await told()]).toEqual([['failed', 'failed'], ['repair.given_up']]);
    await inside(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.admin));
    await keptWorking(core, shop, operation);
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['queued', 'failed', 'failed']);
  });

  test('that was given up is taken up again once the key was taken again, and its rotation with it', async () => {
    const { shop, place } = await keptShop(core);
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
    expect(await repairStates(core, place)).toEqual(['failed', 'failed']);
    await isNow('healthy');
    const rotating = createRepairs({ ...core, getService, rotationDays: 1 });
    await rotating.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual(['queued', 'failed', 'failed']);
  });

  test('whose countersigner has left, by the platform’s word, makes room for a card that asks the others', async () => {
    const { shop, place } = await keptShop(core);
    await core.repairs.consider(place, 'broken');
    const repair = await onlyRepair(core, place);
    const runner = runnerWithoutBrowser({ ...core, identify: async () => ({ kind: 'unknown' }) }, nowhere);
    await runner.run({ customerId: shop.customerId, operationId: repair.id }, new AbortController().signal);
    expect(await look(core, repair)).toMatchObject({ state: 'cancelled', errorCode: 'not_vouched' });
    for (let looks = 0; looks < 3; looks++) await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent', 'cancelled']);
    const [asked] = await repairsAt(core, place);
    expect(asked && (await grant(core, asked, shop.secondApprover))).toMatchObject({ kind: 'granted' });
  });

  test('takes the place of a key whose time is over, too', async () => {
    const { shop, place } = await keptShop(core);
    const { customerId } = shop;
    const at = { target: place.target };
    const old = await core.vault.find(customerId, place.service, 'api_key', at);
    const fields = { consumer_key: new Secret('ck_new'), consumer_secret: new Secret('cs_new') };
    const expiresAt = inMinutes(DAY);
    const kept = { ...at, value: fields, metadata: old?.metadata ?? {}, expiresAt };
    await core.vault.store(customerId, place.service, 'api_key', kept);
    await minutesPass(2 * DAY);
    await core.repairs.consider(place, 'expired');
    const repair = await onlyRepair(core, place);
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
    const { place } = await keptShop(core);
    await core.repairs.consider(place, 'broken');
    await cancel(core, await onlyRepair(core, place));
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual(['cancelled']);
  });
});

describe('nothing is begun nor asked', () => {
  test('while something else is open at the place, the operator holds work back, or an admin wants guides only', async () => {
    const { shop, place } = await keptShop(core);
    const open = await requestOperation(core, shop);
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual([]);
    await cancel(core, open);
    await core.standstill.pause(shop.customerId, 'a look');
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual([]);
    await core.standstill.resume(shop.customerId);
    await sql(testDatabase.adminUrl, 'UPDATE customers SET is_guide_only = true WHERE customer_id = $1', [
      shop.customerId,
    ]);
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual([]);
  });

  test('beyond what the customer may ask for in an hour', async () => {
    const { shop, place } = await keptShop(core);
    await sql(testDatabase.adminUrl, 'UPDATE customers SET operations_per_hour = 1 WHERE customer_id = $1', [
      shop.customerId,
    ]);
    await cancel(core, await requestOperation(core, shop));
    await core.repairs.consider(place, 'broken');
    expect(await repairStates(core, place)).toEqual([]);
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
    expect(await repairStates(core, place)).toEqual([]);
  });
});
