import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import { revokeResult } from '../../bot/commands/revoke.ts';
import type { Context } from '../../bot/context.ts';
import { signInForm, submitSignIn } from '../../bot/credential-flow.ts';
import type { Audit } from '../../core/audit/audit.ts';
import type { Database, Transaction } from '../../core/database.ts';
import { keepResult, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import { lockedOperation } from '../../core/operations/locked.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createOperations } from '../../core/operations/operations.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import { keptWorking, madeConnection, placeOf, repairsAt } from '../support/connections.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  look,
  noSecrets,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let chat: RecordingChat;
let events = 0;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
beforeEach(async () => {
  shop = await installShop(core);
  chat = createRecordingChat();
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const record = { entries: 1, seq: 1n, hash: '', isIntact: true };
const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
const resultOf = ({ id }: Operation) => core.vault.resultOf(shop.customerId, id);

/** What the revocation and the form use of a context, over the real core. */
function contextWith(changes: { database?: Database; audit?: Audit } = {}): Context {
  const progress = { refresh: async () => {} };
  return { ...core, progress, log: silentLog, chat: () => chat, ...changes } as unknown as Context;
}

/** The same database, and how often it ran anything. */
function counting(): { database: Database; tries: () => number } {
  let tries = 0;
  const withCustomer: Database['withCustomer'] = (customerId, work) =>
    core.database.withCustomer(customerId, (tx) => {
      tries++;
      return work(tx);
    });
  return { database: { ...core.database, withCustomer }, tries: () => tries };
}

function revoke(operation: Operation, context = contextWith()): Promise<void> {
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  const event = { kind: 'action', id: `e${events++}`, thread, from: shop.approver.person, action: 'revoke' } as const;
  return revokeResult(context, shop.customerId, shop.approver, { ...event, value: operation.id, trigger: '' });
}

interface Making {
  readonly operation: Operation;
  keep(tx: Transaction): Promise<unknown>;
  fail(): Promise<void>;
}

/** An operation that has made its key and not yet stored it. */
async function making(): Promise<Making> {
  const operation = await queuedOperation(core, shop);
  const job = { customerId: shop.customerId, operationId: operation.id };
  const lease = await takeLease(core, job, new AbortController().signal);
  if (!lease) throw new Error('the lease was not to be had');
  lease.release();
  const { fence } = lease;
  const { label } = operation.plan;
  await inside((tx) => writeIntent(tx, core.audit, operation, 9, label, fence));
  return {
    operation,
    async keep(tx) {
      await lease.holdToKeep(tx);
      return keepResult(tx, core, operation, {
        step: 9,
        fence,
        label,
        fields: { key: new Secret(`ck_${operation.id}`) },
      });
    },
    fail: () => endOperation(core, lease, { kind: 'failed', code: 'internal', words: 'not checked' }, noSecrets),
  };
}

async function replaced(): Promise<readonly [Making, Making]> {
  const [old, fresh] = [await making(), await making()];
  await inside((tx) => old.keep(tx));
  await old.fail();
  return [old, fresh];
}

describe('Revoke of a key whose place another one takes at this moment', () => {
  test('leaves the new one alone, and no card says that the old one is there', async () => {
    const [old, fresh] = await replaced();
    let revocation: Promise<void> | undefined;
    await inside(async (tx) => {
      await fresh.keep(tx);
      revocation ??= revoke(old.operation);
      await untilBlocked(testDatabase, revocation);
    });
    await revocation;
    await fresh.fail();
    expect(await resultOf(fresh.operation)).toMatchObject({ metadata: { operationId: fresh.operation.id } });
    expect(await resultOf(old.operation)).toBeNull();
    expect(chat.calls.map(({ card }) => card?.summary)).toEqual([
      'That key is not in the vault any more. Nothing was changed.',
    ]);
    const cards = [await look(core, old.operation), await look(core, fresh.operation)].map((operation) =>
      JSON.stringify(resultCard(operation, record)),
    );
    expect(cards.map((card) => card.includes('lies in the vault'))).toEqual([false, true]);
    expect(cards.map((card) => card.includes('"action":"revoke"'))).toEqual([false, true]);
  });

  test('is over before the new one is stored, and the new one is', async () => {
    const [old, fresh] = await replaced();
    let kept: Promise<unknown> | undefined;
    const append: Audit['append'] = async (tx, customerId, entry) => {
      if (entry.kind === 'credential.deleted') {
        kept = inside((other) => fresh.keep(other));
        kept.catch(() => {}); // looked at below
        await untilBlocked(testDatabase, kept);
      }
      return core.audit.append(tx, customerId, entry);
    };
    await revoke(old.operation, contextWith({ audit: { ...core.audit, append } }));
    await kept;
    expect((await resultOf(fresh.operation))?.metadata).toMatchObject({ operationId: fresh.operation.id });
    expect((await resultOf(fresh.operation))?.metadata.replaced).toBeUndefined();
    expect((await look(core, old.operation)).result?.data.revokedAt).toBeDefined();
    expect(chat.shown()[0]?.summary).toContain(`revoked the key of ${old.operation.id}`);
  });
});

describe('a key that is deleted from the vault', () => {
  test('while another one is stored in its place, takes nothing with it', async () => {
    const place = { target: 'https://shop.example.com' };
    const store = (value: string) =>
      core.vault.store(shop.customerId, 'woocommerce', 'api_key', { ...place, value: new Secret(value) });
    await store('the old one');
    let stored: ReturnType<typeof store> | undefined;
    await inside(async (tx) => {
      await core.vault.within(tx).delete(shop.customerId, 'woocommerce', 'api_key', place);
      stored ??= store('the new one');
      stored.catch(() => {}); // looked at below
      await untilBlocked(testDatabase, stored);
    });
    await stored;
    const found = await core.vault.get(shop.customerId, 'woocommerce', 'api_key', place);
    expect(found?.value.reveal()).toBe('the new one');
  });

  test('is not said to lie there, whatever its operation says of it', async () => {
    const { operation, keep, fail } = await making();
    await inside(keep);
    await fail();
    await core.vault.delete(shop.customerId, 'woocommerce', 'api_key', { target: operation.plan.base });
    const card = JSON.stringify(resultCard(await look(core, operation), record));
    expect(card).toContain('has been deleted from the vault since');
    expect(card).not.toContain('"action":"revoke"');
  });
});

describe('waiting for an operation that somebody decides on', () => {
  test('Revoke keeps nobody from the trail, and nothing is tried twice', async () => {
    const { operation, keep, fail } = await making();
    await inside(keep);
    await fail();
    const { database, tries } = counting();
    let revocation: Promise<void> | undefined;
    await database.withCustomer(shop.customerId, async (tx) => {
      await lockedOperation(tx, core.operations, shop.customerId, operation.id);
      revocation ??= revoke(operation, contextWith({ database }));
      await untilBlocked(testDatabase, revocation);
      await core.audit.append(tx, shop.customerId, { kind: 'consent.approved', operationId: operation.id });
    });
    await revocation;
    expect(tries()).toBe(3); // one more, before, to see which service ends the key
    expect(await resultOf(operation)).toBeNull();
  });

  test('taking its countersignature back keeps nobody from the trail, and nothing is tried twice', async () => {
    const operation = await grantedOperation(core, shop);
    const { database, tries } = counting();
    let revocation: Promise<boolean> | undefined;
    await database.withCustomer(shop.customerId, async (tx) => {
      await lockedOperation(tx, core.operations, shop.customerId, operation.id);
      revocation ??= database.withCustomer(shop.customerId, (other) =>
        core.consents.revoke(other, operation, shop.approver),
      );
      await untilBlocked(testDatabase, revocation);
      const where = { customerId: shop.customerId, operationId: operation.id };
      await tx.consent.updateMany({ where, data: { revokedAt: new Date(), revokedBy: shop.approver.id } });
      await core.audit.append(tx, shop.customerId, { kind: 'consent.revoked', operationId: operation.id });
    });
    expect(await revocation).toBe(false);
    expect(tries()).toBe(2);
  });

  test('taking a consent for repairs back has its repairs and what they repair wait in one order', async () => {
    for (;;) {
      const made = await madeConnection(core, shop);
      await keptWorking(core, shop, made);
      await core.repairs.consider(placeOf(made), 'broken');
      const [repair] = await repairsAt(core, placeOf(made));
      if (!repair) throw new Error('no repair was begun');
      if (repair.id < made.id) return takesBackInOrder(made, repair);
      shop = await installShop(core); // ids are drawn
    }
  });

  async function takesBackInOrder(made: Operation, repair: Operation): Promise<void> {
    const { database, tries } = counting();
    let revocation: Promise<boolean> | undefined;
    await database.withCustomer(shop.customerId, async (tx) => {
      await lockedOperation(tx, core.operations, shop.customerId, repair.id);
      revocation ??= database.withCustomer(shop.customerId, (other) =>
        core.consents.revoke(other, repair, shop.approver),
      );
      await untilBlocked(testDatabase, revocation);
      await lockedOperation(tx, core.operations, shop.customerId, made.id);
    });
    expect(await revocation).toBe(true);
    expect(tries()).toBe(2);
    expect((await look(core, repair)).state).toBe('cancelled');
  }

  test('plans that are made anew keep nobody from the trail, and nothing is tried twice', async () => {
    const asked = [await requestOperation(core, shop), await requestOperation(core, shop)];
    const [, last] = asked.map(({ id }) => id).toSorted();
    if (!last) throw new Error('two were asked for');
    const operations = createOperations({ ...core, getService, hasPageModel: true });
    const { database, tries } = counting();
    let replanned: Promise<void> | undefined;
    await database.withCustomer(shop.customerId, async (tx) => {
      await lockedOperation(tx, operations, shop.customerId, last);
      replanned ??= database.withCustomer(shop.customerId, (other) =>
        operations.replan(other, shop.customerId, shop.admin),
      );
      await untilBlocked(testDatabase, replanned);
      await core.audit.append(tx, shop.customerId, { kind: 'consent.refused', operationId: last });
    });
    await replanned;
    expect(tries()).toBe(2);
    for (const operation of asked) expect((await look(core, operation)).plan.asksModel).toBe(true);
  });
});

describe('the sign-in form', () => {
  const fields = { admin_username: 'mona', admin_password: 'correct horse battery staple' };
  const linkTo = async ({ id: operationId }: Operation) =>
    (
      await inside((tx) =>
        core.links.issue(tx, shop.customerId, { purpose: 'credentials', operationId, memberId: shop.merchant.id }),
      )
    ).token;
  const signInSecrets = ({ id: operationId }: Operation) =>
    inside((tx) => tx.credential.count({ where: { customerId: shop.customerId, operationId } }));

  test('takes what is entered while the countersignature lives', async () => {
    const operation = await grantedOperation(core, shop);
    expect(await submitSignIn(contextWith(), await linkTo(operation), fields)).toMatchObject({ kind: 'entered' });
    expect(await signInSecrets(operation)).toBe(operation.way.fields.length);
  });

  test('is gone, and takes no password, once the countersignature was taken back', async () => {
    const operation = await grantedOperation(core, shop);
    const token = await linkTo(operation);
    await inside((tx) => core.consents.revoke(tx, operation, shop.approver));
    expect(await signInForm(contextWith(), token)).toBeUndefined();
    expect(await submitSignIn(contextWith(), token, fields)).toEqual({ kind: 'gone' });
    expect(await signInSecrets(operation)).toBe(0);
  });

  test('takes no password when the countersignature is taken back while it is being sent', async () => {
    const operation = await grantedOperation(core, shop);
    const token = await linkTo(operation);
    let submitted: ReturnType<typeof submitSignIn> | undefined;
    await inside(async (tx) => {
      await core.consents.revoke(tx, operation, shop.approver);
      submitted ??= submitSignIn(contextWith(), token, fields);
      await untilBlocked(testDatabase, submitted);
    });
    expect(await submitted).toEqual({ kind: 'gone' });
    expect(await signInSecrets(operation)).toBe(0);
  });

  test('waits for a Stop that is under way, is gone after it, and nothing is tried twice', async () => {
    const operation = await grantedOperation(core, shop);
    const token = await linkTo(operation);
    const { database, tries } = counting();
    let submitted: ReturnType<typeof submitSignIn> | undefined;
    await database.withCustomer(shop.customerId, async (tx) => {
      await lockedOperation(tx, core.operations, shop.customerId, operation.id);
      submitted ??= submitSignIn(contextWith({ database }), token, fields);
      await untilBlocked(testDatabase, submitted);
      const move = { from: ['awaiting_credentials'], to: 'cancelled', entry: { kind: 'operation.cancelled' } } as const;
      await core.mover.move(tx, shop.customerId, { operationId: operation.id, ...move });
    });
    expect(await submitted).toEqual({ kind: 'gone' });
    expect(tries()).toBe(3); // the Stop, the look at the form, what was sent
    expect(await signInSecrets(operation)).toBe(0);
  });
});
