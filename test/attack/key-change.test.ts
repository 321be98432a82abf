// What is done with a key that is stored: whatever instant a worker dies at, one live key is the stored one, and only the key that
// was named is ended.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { parseOperationId } from '../../core/ids.ts';
import { keepResult, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { planHash } from '../../core/operations/plan.ts';
import { deleteKeyOf } from '../../core/operations/revocation.ts';
import type { Action, BrowserSession } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import {
  cancel,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  noSecrets,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 120_000;
const {
  credential_rotation: rotation,
  credential_revocation: revocation,
  integration_test: trial,
} = woocommerce.operationTypes;

let database: TestDatabase;
let site: PracticeShop;
let first: Worker;
let second: Worker;
let customer: Shop;
/** Done to the first worker's next sessions. */
let wrap: ((session: BrowserSession) => BrowserSession) | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  site = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  const target = new URL(site.origin).host;
  first = await openWorker(database, { target, wrap: (session) => wrap?.(session) ?? session });
  second = await openWorker(database, { target });
  customer = await installShop(second.core);
});

afterEach(() => {
  wrap = undefined;
});

afterAll(async () => {
  await first?.close();
  await second?.close();
  await site?.close();
  await database?.drop();
});

const at = () => ({ origin: site.origin, base: site.origin });
const signIn = () => ({ admin_username: site.username, admin_password: site.password });
const asked = (type: typeof rotation) => ({ ...at(), type, permissions: defaultPermissions(type) });
const alive = () =>
  site
    .keys()
    .filter(({ isRevoked }) => !isRevoked)
    .map(({ description }) => description);
/** The stored key, by its name and by what it is, as it is read. */
const stored = async () => {
  const { customerId } = customer;
  const found = await second.core.vault.get(customerId, 'woocommerce', 'api_key', { target: site.origin });
  return found && { label: found.metadata.label, ending: found.fields.consumer_key?.reveal().slice(-7) };
};
const endingOf = (label: string | undefined) =>
  site.keys().find(({ description }) => description === label)?.consumerKeyEnding;
const sealedOf = ({ id }: Operation) =>
  sql(database.adminUrl, 'SELECT 1 FROM autonomous_credentials WHERE operation_id = $1', [id]);

/** A key of ours in the shop and in the vault, as a set-up leaves it. */
async function madeKey(): Promise<Operation> {
  const { core } = second;
  const operation = await queuedOperation(core, customer, at(), signIn());
  const lease = await takeLease(core, { customerId: customer.customerId, operationId: operation.id }, never);
  if (!lease) throw new Error('the lease was not to be had');
  const { label } = operation.plan;
  const made = site.addKey({ description: label, permissions: 'read' });
  const fields = { consumer_key: new Secret(made.consumerKey), consumer_secret: new Secret(made.consumerSecret) };
  await inside(async (tx) => {
    await writeIntent(tx, core.audit, operation, 9, label, lease.fence);
    await keepResult(tx, core, operation, { step: 9, fence: lease.fence, label, fields });
  });
  const verified = { kind: 'works', checked: 'answered 200', method: 'rest' } as const;
  await endOperation(core, lease, { kind: 'completed', verified }, noSecrets);
  lease.release();
  return look(core, operation);
}

const never = new AbortController().signal;
const inside = <T>(work: (tx: Transaction) => Promise<T>) =>
  second.core.database.withCustomer(customer.customerId, work);

const queued = (type: typeof rotation) => queuedOperation(second.core, customer, asked(type), signIn());

type Doing = { readonly url: string } | { readonly action: Action; readonly name: string | undefined };

/** Once, just before or after this is done in a browser of the first worker, that worker is as good as dead. */
function diesAt(isIt: (doing: Doing) => boolean, when: 'before' | 'after' = 'before'): AbortSignal {
  const death = new AbortController();
  const die = (doing: Doing, now: typeof when) => {
    if (now === when && isIt(doing)) death.abort(new Error('the worker died'));
  };
  wrap = (session) => ({
    ...session,
    async navigate(url, timeoutMs) {
      die({ url }, 'before');
      return session.navigate(url, timeoutMs);
    },
    async act(element, action, timeoutMs) {
      const doing = { action, name: element.identity.name };
      die(doing, 'before');
      await session.act(element, action, timeoutMs);
      die(doing, 'after');
    },
    shoot(options) {
      if (options.isRevealing) die({ url: 'kept' }, 'before');
      return session.shoot(options);
    },
  });
  return death.signal;
}

const opens = (part: string) => (doing: Doing) => 'url' in doing && doing.url.includes(part);
const clicks = (name: string) => (doing: Doing) =>
  'name' in doing && doing.name === name && doing.action.kind === 'click';

/** The new key alone is known in the shop, and it is what is stored. */
async function expectRotated(operation: Operation, old: Operation): Promise<void> {
  const after = await look(second.core, operation);
  expect(after).toMatchObject({ state: 'completed', isKeyStored: true });
  expect(after.result?.data).toMatchObject({
    label: `Countersign ${operation.id}`,
    replaced: `Countersign ${old.id}`,
    ended: 'The shop no longer takes it: 401',
  });
  expect(alive().filter((name) => name.startsWith('Countersign'))).toEqual([`Countersign ${operation.id}`]);
  const label = `Countersign ${operation.id}`;
  expect(await stored()).toEqual({ label, ending: endingOf(label) });
  expect(await sealedOf(operation)).toEqual([]);
  const earlier = await look(second.core, old);
  expect(earlier).toMatchObject({ isKeyStored: false, result: { data: { replacedBy: operation.id } } });
}

/** Nothing is stored and nothing lives: as it was before. */
afterEach(async () => {
  const rows = await second.core.vault.list(customer.customerId);
  for (const { metadata } of rows) {
    const id = parseOperationId(metadata.operationId ?? '');
    if (id) await inside((tx) => deleteKeyOf(tx, second.core, { ...customer, id }, customer.admin));
  }
  for (const name of alive()) site.endKey(name);
});

describe('105 a rotation', () => {
  const KILLS = [
    { what: 'the new key was stored, and before it took the place', isIt: opens('kept'), isOldStored: true },
    { what: 'the new key took the place, and before the old one was ended', isIt: opens('&s='), isOldStored: false },
    {
      what: 'the old one was ended, and before that was seen',
      isIt: clicks('Revoke key'),
      isOldStored: false,
      when: 'after',
    },
  ] as const;
  test.each(IS_WHOLE ? KILLS : KILLS.slice(0, 1))(
    'whose worker dies after $what comes to one live key',
    async ({ isIt, isOldStored, ...more }) => {
      const old = await madeKey();
      const operation = await queued(rotation);
      await expect(first.run(operation, diesAt(isIt, 'when' in more ? more.when : 'before'))).rejects.toThrow();
      // In between the state is true: one key is the stored one, it is live, and the operation is not over.
      const label = `Countersign ${isOldStored ? old.id : operation.id}`;
      expect(await stored()).toEqual({ label, ending: endingOf(label) });
      expect(alive()).toContain(label);
      expect((await look(second.core, operation)).state).toBe('in_progress');
      await second.run(operation);
      await expectRotated(operation, old);
      expect(site.keys().filter(({ description }) => description.includes(operation.id))).toHaveLength(1);
      const all = await kinds(second.core, operation);
      expect(all.filter((kind) => kind === 'intent.written')).toHaveLength(1);
    },
    RUN_MS,
  );

  test(
    'whose new key does not work leaves the old one as it was',
    async () => {
      const old = await madeKey();
      const operation = await queued(rotation);
      // Somebody revokes the new key before it was proven.
      wrap = (session) => ({
        ...session,
        shoot(options) {
          if (options.isRevealing) site.endKey(`Countersign ${operation.id}`);
          return session.shoot(options);
        },
      });
      await first.run(operation);
      const after = await look(second.core, operation);
      expect(after).toMatchObject({ state: 'failed', errorCode: 'verification_failed', isKeyStored: false });
      const label = `Countersign ${old.id}`;
      expect(await stored()).toEqual({ label, ending: endingOf(label) });
      expect(alive()).toContain(label);
      expect(await sealedOf(operation)).toEqual([]);
    },
    RUN_MS,
  );

  test(
    'that is stopped while its new key is read leaves the old one as it was, and nothing beside it',
    async () => {
      const old = await madeKey();
      const operation = await queued(rotation);
      let reads = 0;
      wrap = (session) => ({
        ...session,
        async read(element) {
          const value = await session.read(element);
          if (++reads === Object.keys(operation.type.result).length) await cancel(second.core, operation);
          return value;
        },
      });
      await first.run(operation);
      const { state, intent } = await look(second.core, operation);
      expect(state).toBe('cancelled');
      // Kept as far as the shop is concerned, unless the stop was felt in the instant between: then nobody saw what came of it.
      expect(['done', 'started']).toContain(intent?.state);
      const label = `Countersign ${old.id}`;
      expect(await stored()).toEqual({ label, ending: endingOf(label) });
      expect(alive()).toContain(label);
      expect(await sealedOf(operation)).toEqual([]);
    },
    RUN_MS,
  );

  test(
    'that nobody countersigned ends nothing and makes nothing',
    async () => {
      const old = await madeKey();
      const before = alive();
      const operation = await requestOperation(second.core, customer, asked(rotation));
      await second.run(operation);
      expect((await look(second.core, operation)).state).toBe('awaiting_consent');
      expect(alive()).toEqual(before);
      expect(await stored()).toMatchObject({ label: `Countersign ${old.id}` });
    },
    RUN_MS,
  );

  test(
    'of a key that is no longer the stored one makes and ends nothing',
    async () => {
      await madeKey();
      const operation = await queued(rotation);
      await madeKey();
      const before = alive();
      const now = await stored();
      await second.run(operation);
      expect(await look(second.core, operation)).toMatchObject({ state: 'failed', errorCode: 'key_changed' });
      expect(alive()).toEqual(before);
      expect(await stored()).toEqual(now);
    },
    RUN_MS,
  );
});

describe('106 a key that is to be ended', () => {
  test(
    'is the one of exactly that name: a longer and a foreign name live on',
    async () => {
      const old = await madeKey();
      const label = `Countersign ${old.id}`;
      for (const description of [`${label} 2`, `${label} copy`, 'Till', `Not ${label}`])
        site.addKey({ description, permissions: 'read' });
      const others = alive().filter((name) => name !== label);
      const operation = await queued(revocation);
      await second.run(operation);
      const after = await look(second.core, operation);
      expect(after.state).toBe('completed');
      expect(after.result?.data.checked).toBe('The shop no longer takes it: 401');
      expect(alive()).toEqual(others);
      expect(await stored()).toBeNull();
    },
    RUN_MS,
  );

  test(
    'under another name than was countersigned is not touched',
    async () => {
      const old = await madeKey();
      const label = `Countersign ${old.id}`;
      // On the way to the key's own page somebody gives it another key's name.
      wrap = (session) => ({
        ...session,
        async act(element, action, timeoutMs) {
          if (element.identity.name === label) site.renameKey(label, 'Till of the shop');
          return session.act(element, action, timeoutMs);
        },
      });
      const operation = await queued(revocation);
      await first.run(operation);
      expect(alive()).toContain('Till of the shop');
      expect((await look(second.core, operation)).state).not.toBe('completed');
      expect(await stored()).toMatchObject({ label });
    },
    RUN_MS,
  );

  test(
    'can’t be named at another address, by another customer, or once it was replaced',
    async () => {
      const old = await madeKey();
      const request = (changes: object, of = customer) =>
        second.core.operations.request(of.customerId, {
          ...asked(revocation),
          ...{ threadId: of.threadId, requester: of.merchant, service: woocommerce, type: revocation },
          ...changes,
        });
      const none = { closed: 'no_key' };
      const elsewhere = { origin: 'https://other.example.com', base: 'https://other.example.com' };
      expect(await request({ ...elsewhere, keyOf: old.id })).toEqual(none);
      expect(await request(elsewhere)).toEqual(none);
      const stranger = await installShop(second.core);
      expect(await request({ keyOf: old.id }, stranger)).toEqual(none);
      expect(await request({}, stranger)).toEqual(none);
      const next = await madeKey();
      expect(await request({ keyOf: old.id })).toEqual(none);
      expect(await request({ keyOf: next.id })).toMatchObject({ plan: { key: { label: `Countersign ${next.id}` } } });
    },
    RUN_MS,
  );

  test(
    'is another one after a new one was stored: what was shown can’t be approved any more',
    async () => {
      await madeKey();
      const operation = await requestOperation(second.core, customer, asked(revocation));
      expect(planHash(operation.plan)).toBe(operation.planHash);
      await madeKey();
      expect(await grant(second.core, operation, customer.approver)).toMatchObject({ kind: 'stale' });
    },
    RUN_MS,
  );

  test(
    'is tried without any change, and without anything entered or opened',
    async () => {
      const old = await madeKey();
      const before = site.requests.length;
      const operation = await grantedOperation(second.core, customer, asked(trial));
      expect(operation.state).toBe('queued');
      await second.run(operation);
      const after = await look(second.core, operation);
      expect(after).toMatchObject({ state: 'completed', result: { data: { label: `Countersign ${old.id}` } } });
      expect(after.result?.data.checked).toMatch(/answered 200, 5 products/);
      const sent = site.requests.slice(before).filter(({ method }) => method !== 'GET');
      expect(sent.map(({ path }) => path)).toEqual(['/wp-json/wc/v3/countersign-nowhere']);
      expect(await stored()).toMatchObject({ label: `Countersign ${old.id}` });
    },
    RUN_MS,
  );
});
