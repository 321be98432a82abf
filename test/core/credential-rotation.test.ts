import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ConnectionPlace } from '../../core/connections/place.ts';
import { createRepairs } from '../../core/connections/repair.ts';
import { dueForRotation } from '../../core/connections/repair-due.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import type { CustomerId } from '../../core/ids.ts';
import { keepBeside, writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { takeAccess } from '../../core/rights/person.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import type { RevokeResult, Service, VerifyInput, VerifyResult } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { wordpress } from '../../core/services/wordpress/index.ts';
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
  grant,
  installShop,
  look,
  nowhere,
  openCore,
  queuedOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';

const DAY = 24 * 60;

let testDatabase: TestDatabase;
let core: Core;
const { minutesPass, putBack } = clockOf(() => testDatabase);

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});

afterEach(putBack);

afterAll(async () => {
  await core?.close();
  await testDatabase?.drop();
});

const inside = <T>(customerId: CustomerId, work: (tx: Transaction) => Promise<T>) =>
  core.database.withCustomer(customerId, work);

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
    expect(await Promise.all(made.map((operation) => repairStates(core, placeOf(operation))))).toEqual([
      [],
      ['queued'],
    ]);
  });

  test('are looked at after a try that failed, before they are tried again', async () => {
    const { place, shop } = await keptShop(core);
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
    await fails(core, await onlyRepair(core, place));
    await minutesPass(60);
    await rotating.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual(['failed']);
    expect(await health('reason = reason')).toEqual([{ due: true }]);
    await health("state = 'broken', since = app.now(), checked_at = app.now()");
    await rotating.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual(['failed']);
    await health("state = 'healthy', since = app.now(), checked_at = app.now()");
    await rotating.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual(['queued', 'failed']);
  });

  test('wait while their service is away or in trouble', async () => {
    const { place, shop } = await connectedShop(core);
    const { customerId } = shop;
    const found = (state: string) =>
      sql(testDatabase.adminUrl, 'UPDATE connection_health SET state = $2, since = app.now() WHERE customer_id = $1', [
        ...[customerId, state],
      ]);
    await minutesPass(91 * DAY);
    await found('degraded');
    await core.repairs.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual([]);
    await found('healthy');
    await core.repairs.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual(['awaiting_consent']);
  });

  test('and no younger ones, whoever says that it is time', async () => {
    const { place } = await keptShop(core);
    await core.repairs.consider(place, 'rotation_due');
    expect(await repairStates(core, place)).toEqual([]);
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
    await runnerWithoutBrowser(blog, nowhere).run({ customerId: shop.customerId, operationId: operation.id }, never);
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
