// A key that its owner makes by the guide and enters: countersigned like any other, run without a browser, kept only when it
// is what was approved. One practice Stripe and one runner for all.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { revokeResult } from '../../bot/commands/revoke.ts';
import { chooseWay } from '../../bot/consent-flow.ts';
import type { Context } from '../../bot/context.ts';
import type { Member } from '../../core/customers/customers.ts';
import { newUuid } from '../../core/ids.ts';
import { effectState } from '../../core/operations/effect.ts';
import { besidePlace, hasEntered, storeEntered } from '../../core/operations/entered.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { planText, readPlan } from '../../core/operations/plan.ts';
import { createRunner, type Runner } from '../../core/operations/run.ts';
import type { Browser } from '../../core/ports/browser.ts';
import { getService } from '../../core/services/index.ts';
import type { OperationTypeDefinition, RevokeResult, Service, Way } from '../../core/services/service.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { defaultPermissions, permissionsInstead, wayOf } from '../../core/services/ways.ts';
import { asSecrets } from '../../core/vault/vault.ts';
import { type PracticeStripe, startPracticeStripe } from '../practice/stripe/server.ts';
import {
  type Core,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  newcomer,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

const only = stripe.operationTypes.api_key_generation;
const [byHand, forThem] = only.ways;
if (!forThem) throw new Error('Stripe has two ways');
let revocation: NonNullable<OperationTypeDefinition['revoke']>;
/** Whether each credential that was to be ended was the right one. */
const ended: boolean[] = [];
/** Stripe, as if its API could end keys. */
const type: OperationTypeDefinition = { ...only, revoke: (input) => revocation(input) };
const service: Service = { ...stripe, operationTypes: { ...stripe.operationTypes, api_key_generation: type } };
const permissions = defaultPermissions(type);

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let practice: PracticeStripe;
let runner: Runner;
/** What somebody does while a key is being checked. */
let whileChecked: () => Promise<unknown> = async () => {};

/** Nothing of this may open a page. */
const noBrowser: Browser = {
  open: () => Promise.reject(new Error('a browser was opened')),
  close: async () => {},
};

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase, { serviceOf: (id) => (id === 'stripe' ? service : getService(id)) });
  practice = await startPracticeStripe();
  const egress = createEgress({ privateTargets: [new URL(practice.origin).host], log: silentLog });
  const http = createHttp({ egress });
  runner = createRunner({
    ...core,
    browser: noBrowser,
    http: {
      async request(asking) {
        const answer = await http.request(asking);
        if (asking.url.endsWith('/v1/account')) await whileChecked(); // the last that is asked
        return answer;
      },
    },
    screenshots: createScreenshots(core),
    log: silentLog,
    secrets: { add() {}, remove() {} },
  });
});

beforeEach(async () => {
  whileChecked = async () => {};
  shop = await installShop(core); // its vault is empty
});

afterAll(async () => {
  await practice?.close();
  await core?.close();
  await testDatabase?.drop();
});

const asked = () => ({ service, type, origin: practice.origin, base: practice.origin, permissions });
const run = ({ customerId, id }: Operation) =>
  runner.run({ customerId, operationId: id }, new AbortController().signal);
const made = (name: string, more: readonly string[] = []) =>
  practice.makeKey({ name, mode: 'test', raks: [...(type.values(permissions).raks ?? '').split(','), ...more] });
const stored = () =>
  core.vault.get(shop.customerId, 'stripe', 'api_key', { target: practice.origin }).then((found) => found?.fields);
const enteredRows = ({ id }: Operation) =>
  sql(testDatabase.adminUrl, 'SELECT credential_type FROM autonomous_credentials WHERE operation_id = $1', [id]);

/** What the revocation and the button of another way use of a context, over the real core. */
function contextWith(chat: RecordingChat): Context {
  const progress = { refresh: async () => {} };
  const publicUrl = () => 'http://localhost:3000';
  return { ...core, progress, publicUrl, log: silentLog, chat: () => chat } as unknown as Context;
}

describe('90 a key that was entered', () => {
  test('is proven, kept once and on record, without any browser', async () => {
    const asking = await requestOperation(core, shop, asked());
    expect(asking.plan).toMatchObject({ way: 'entered', workflowId: 'stripe_restricted_key_entered' });
    expect(await grant(core, asking, shop.approver)).toMatchObject({ kind: 'granted', next: 'awaiting_credentials' });
    const key = made(asking.plan.label);
    await core.database.withCustomer(shop.customerId, async (tx) => {
      await storeEntered(tx, core.vault, asking, { restricted_key: key.value });
      expect(await hasEntered(tx, core.vault, asking)).toBe(true);
      const jobId = await core.queue.sendOperation(tx, { customerId: shop.customerId, operationId: asking.id });
      const entry = { kind: 'credentials.entered', actor: shop.merchant.id } as const;
      const from = ['awaiting_credentials'] as const;
      await core.mover.move(tx, shop.customerId, { operationId: asking.id, from, to: 'queued', set: { jobId }, entry });
    });
    expect(await core.vault.list(shop.customerId)).toEqual([]); // sealed, and no stored key yet
    await run(asking);
    const after = await look(core, asking);
    expect(after).toMatchObject({
      state: 'completed',
      isKeyStored: true,
      intent: { label: asking.plan.label, state: 'done' },
      result: { success: true, data: { label: asking.plan.label, lastFour: key.value.slice(-4), steps: 2 } },
    });
    expect((await stored())?.restricted_key?.reveal()).toBe(key.value);
    expect(await enteredRows(asking)).toEqual([]);
    expect(await kinds(core, asking)).toEqual(
      expect.arrayContaining(['intent.written', 'credential.stored', 'operation.completed']),
    );
    expect(
      JSON.stringify(await trail(core, asking), (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    ).not.toContain(key.value);
    expect(practice.keys().filter(({ name }) => name === asking.plan.label)).toHaveLength(1);
  });

  test('takes the place of the one that it is rotated for, and says that only a person can end that one there', async () => {
    const first = await queuedOperation(core, shop, asked(), { restricted_key: made('first').value });
    await run(first);
    const rotation = stripe.operationTypes.credential_rotation;
    const wanted = { ...asked(), type: rotation, permissions: defaultPermissions(rotation) };
    const key = made('second');
    const operation = await queuedOperation(core, shop, wanted, { restricted_key: key.value });
    expect(operation.plan).toMatchObject({ replaces: first.plan.label, key: { label: first.plan.label } });
    await run(operation);
    const after = await look(core, operation);
    expect(after).toMatchObject({
      state: 'completed',
      isKeyStored: true,
      result: { data: { replaced: first.plan.label } },
    });
    expect(after.result?.data.ended).toBeUndefined();
    expect((await stored())?.restricted_key?.reveal()).toBe(key.value);
    expect(await enteredRows(operation)).toEqual([]);
    expect(await look(core, first)).toMatchObject({ result: { data: { replacedBy: operation.id } } });
  });

  test('that is stored already stays as it was: nobody is told to end the key that is in use', async () => {
    const key = made('only');
    const first = await queuedOperation(core, shop, asked(), { restricted_key: key.value });
    await run(first);
    const rotation = stripe.operationTypes.credential_rotation;
    for (const changes of [{}, { type: rotation, permissions: defaultPermissions(rotation) }]) {
      const again = await queuedOperation(core, shop, { ...asked(), ...changes }, { restricted_key: key.value });
      await run(again);
      const after = await look(core, again);
      expect(after).toMatchObject({ state: 'failed', isKeyStored: false, intent: null });
      expect(after.errorMessage).toContain('is the key that is in the vault already. It stays there as it was');
      expect(await enteredRows(again)).toEqual([]);
    }
    expect(await look(core, first)).toMatchObject({ isKeyStored: true });
    expect((await look(core, first)).result?.data.replacedBy).toBeUndefined();
    expect((await stored())?.restricted_key?.reveal()).toBe(key.value);
  });

  test.each([
    { what: 'more power than was approved', more: ['rak_payout_write'], words: 'more than was approved' },
    { what: 'an end', more: [], expired: true, words: 'has expired' },
  ])('with $what is refused in words, and not kept', async ({ more, expired = false, words }) => {
    const key = made('refused', more);
    key.isExpired = expired;
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: key.value });
    await run(operation);
    const after = await look(core, operation);
    expect(after).toMatchObject({
      state: 'failed',
      errorCode: 'verification_failed',
      isKeyStored: false,
      intent: null,
    });
    expect(after.errorMessage).toContain(words);
    expect(after.errorMessage).toContain('It was not kept.');
    expect(await stored()).toBeUndefined();
    expect(await enteredRows(operation)).toEqual([]);
  });

  test('of no right format is not even tried', async () => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: 'sk_test_1234567890123456' });
    await run(operation);
    expect(await look(core, operation)).toMatchObject({ state: 'failed', errorCode: 'format_mismatch' });
    expect(await stored()).toBeUndefined();
  });

  test('is not kept once the countersignature was taken back', async () => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: made('revoked').value });
    await core.database.withCustomer(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.approver));
    await run(operation);
    expect(await look(core, operation)).toMatchObject({ state: 'cancelled', isKeyStored: false });
    expect(await enteredRows(operation)).toEqual([]);
  });

  test('is not kept when the countersignature is taken back while it is checked', async () => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: made('late').value });
    whileChecked = () =>
      core.database.withCustomer(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.approver));
    await run(operation);
    expect(await look(core, operation)).toMatchObject({ state: 'cancelled', isKeyStored: false, intent: null });
    expect(await stored()).toBeUndefined();
    expect(await enteredRows(operation)).toEqual([]);
  });

  test('waits an outage of the vendor out', async () => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: made('patient').value });
    practice.failNext('outage');
    await run(operation);
    expect(await look(core, operation)).toMatchObject({ state: 'completed' });
  });

  test('that a dead worker had kept already is checked, and not kept twice', async () => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: made('crashed').value });
    const { customerId, id } = operation;
    await run(operation);
    // The worker died after the transaction that kept the key.
    await sql(
      testDatabase.adminUrl,
      "UPDATE operation_steps SET state = 'running' WHERE operation_id = $1 AND number = 1",
      [id],
    );
    expect(await core.database.withCustomer(customerId, (tx) => effectState(tx, operation))).toEqual({
      kind: 'done',
      label: operation.plan.label,
    });
    expect((await kinds(core, operation)).filter((kind) => kind === 'credential.stored')).toHaveLength(1);
  });
});

describe('another way', () => {
  const choose = (operation: Operation, way: Way, by = shop.merchant) =>
    core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(
        tx,
        operation,
        permissionsInstead(type, way, operation.plan.permissions),
        by,
        way,
      ),
    );

  test('makes the plan anew, with its workflow, steps and permissions, and back again', async () => {
    const first = await requestOperation(core, shop, asked());
    expect(await choose(first, forThem)).toBe(true);
    const second = await look(core, first);
    expect(second.way).toBe(forThem);
    expect(second.plan).toMatchObject({ way: 'browser', workflowId: forThem.workflowId });
    expect(second.plan.permissions).toContain('sign_in');
    expect(second.plan.permissions).not.toContain('keep_key');
    expect(second.steps.map(({ intent }) => intent)).toEqual(second.plan.steps.map(({ intent }) => intent));
    const row = async () =>
      (
        await sql(
          testDatabase.adminUrl,
          'SELECT workflow_id, workflow_version, total_steps FROM autonomous_operations WHERE id = $1',
          [first.id],
        )
      )[0];
    const rowOf = ({ plan }: Operation) => ({
      workflow_id: plan.workflowId,
      workflow_version: plan.workflowVersion,
      total_steps: plan.steps.length,
    });
    expect(await row()).toEqual(rowOf(second));
    expect(await grant(core, first, shop.approver)).toMatchObject({ kind: 'stale' }); // what was shown is no more
    expect(await choose(first, forThem)).toBe(false); // nor does an old card change anything
    expect(await choose(second, byHand)).toBe(true);
    const third = await look(core, first);
    expect(third.plan.permissions).toEqual(first.plan.permissions);
    expect(third.steps).toHaveLength(2);
    expect(await row()).toEqual(rowOf(third));
    expect(await grant(core, third, shop.approver)).toMatchObject({ kind: 'granted' });
  });

  test('that somebody else chooses asks for more than was asked for, so another person approves', async () => {
    const first = await requestOperation(core, shop, asked());
    expect(await choose(first, forThem, shop.approver)).toBe(true);
    const second = await look(core, first);
    const added = second.widened.map(({ permission }) => permission).toSorted();
    expect(added).toEqual(['create_api_key', 'say_own_integration', 'sign_in']);
    expect(await grant(core, second, shop.approver)).toMatchObject({ kind: 'refused', why: 'own_widening' });
    expect(await grant(core, second, shop.secondApprover)).toMatchObject({ kind: 'granted' });
  });

  test('is for whoever asked and for those who may decide: nobody else changes the plan by its button', async () => {
    const press = async (by: Member, value: string) => {
      const chat = createRecordingChat();
      const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
      const event = { kind: 'action', id: newUuid(), thread, from: by.person, action: 'choose_way' } as const;
      await chooseWay(contextWith(chat), shop.customerId, by, { ...event, value, trigger: '' });
      return chat.calls.map(({ card }) => card?.summary ?? '').join();
    };
    const first = await requestOperation(core, shop, asked());
    const value = `${first.id} ${first.planHash} browser`;
    expect(await press(shop.admin, value)).toContain('You may not decide on this request.');
    expect(await press(shop.merchant, `${value}x`)).toContain('earlier version');
    expect(await press(shop.merchant, first.id)).toContain('earlier version');
    expect((await look(core, first)).planHash).toBe(first.planHash);
    expect(await press(shop.merchant, value)).toBe('');
    const second = await look(core, first);
    expect(second.way.id).toBe('browser');
    expect(await press(shop.approver, value)).toContain('earlier version');
    expect(await press(shop.approver, `${second.id} ${second.planHash} entered`)).toBe('');
    expect((await look(core, first)).way.id).toBe('entered');
  });

  test('is what a plan from before there were several means by naming none: the first', async () => {
    const { plan } = await requestOperation(core, shop, asked());
    const { way: _, ...before } = plan;
    expect(wayOf(type, readPlan(planText(before)).way)).toBe(byHand);
    expect(wayOf(type, 'none')).toBeUndefined();
  });
});

describe('Revoke of a key that an API can end', () => {
  /** @param isAway its chat does not take the answer at first, so that the press comes again. */
  const ask = async (answer: RevokeResult, { by = shop.approver, isAway = false } = {}) => {
    const operation = await queuedOperation(core, shop, asked(), { restricted_key: made('ended').value });
    await run(operation);
    const value = (await stored())?.restricted_key?.reveal();
    revocation = async ({ credential }) => {
      ended.push(credential.restricted_key?.reveal() === value);
      return answer;
    };
    let failures = isAway ? 1 : 0;
    const chat = createRecordingChat(async () => {
      if (failures-- > 0) throw new Error('away');
    });
    const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
    const event = { kind: 'action', id: operation.id, thread, from: by.person, action: 'revoke' } as const;
    ended.splice(0);
    const press = () =>
      revokeResult(contextWith(chat), shop.customerId, by, { ...event, value: operation.id, trigger: '' });
    if (isAway) await expect(press()).rejects.toThrow('away');
    await press();
    return { said: JSON.stringify(chat.calls), isKept: (await stored()) !== undefined };
  };

  test.each([false, true])('ends it there before it leaves the vault; its chat was away: %s', async (isAway) => {
    const { said, isKept } = await ask({ kind: 'revoked' }, { isAway });
    expect(ended).toEqual([true]);
    expect(said).toContain('It is deleted from the vault. Stripe no longer takes it.');
    expect(said).not.toContain('To end it there, too');
    expect(isKept).toBe(false);
  });

  test.each([false, true])('that failed, is out of the vault, with what is left to do; away: %s', async (isAway) => {
    const answer = { kind: 'fails', reason: 'Stripe did not answer.', isRetryable: true } as const;
    const { said, isKept } = await ask(answer, { isAway });
    expect(said).toContain('Stripe did not answer. Stripe still knows it.');
    expect(said).toContain('Expire key');
    expect(isKept).toBe(false);
  });

  test('does neither for somebody who may not revoke it', async () => {
    const stranger = await newcomer(core, shop, 'Sam');
    const { isKept } = await ask({ kind: 'revoked' }, { by: stranger });
    expect(ended).toEqual([]);
    expect(isKept).toBe(true);
  });
});

describe('the vault', () => {
  test('holds what was entered apart from the key that is stored there', async () => {
    const first = await queuedOperation(core, shop, asked(), { restricted_key: made('first').value });
    await run(first);
    const kept = (await stored())?.restricted_key?.reveal();
    const second = await grantedOperation(core, shop, asked());
    await core.database.withCustomer(shop.customerId, (tx) =>
      storeEntered(tx, core.vault, second, { restricted_key: made('second').value }),
    );
    expect((await stored())?.restricted_key?.reveal()).toBe(kept);
    const ref = { ...besidePlace(second), customerId: shop.customerId, why: 'test' };
    expect((await core.vault.open(ref, asSecrets))?.restricted_key?.reveal()).not.toBe(kept);
  });
});
