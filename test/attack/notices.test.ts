// What people are told, and what of runs is gathered: nothing of another customer, nothing by who may not, no secret.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNotices } from '../../bot/notices.ts';
import { renewConsent } from '../../bot/renew-flow.ts';
import type { CustomerId } from '../../core/ids.ts';
import { newUuid } from '../../core/ids.ts';
import { tell } from '../../core/notices/notices.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { services } from '../../core/services/index.ts';
import { decideProposal } from '../../core/workflow/found-anew.ts';
import { gatherProposals } from '../../core/workflow/promotion.ts';
import { discardedFor, holdProposal, keepProposal, proposalsFor } from '../../core/workflow/proposals.ts';
import { madeConnection } from '../support/connections.ts';
import { type Core, click, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

const CANARY = 'ck_canary7f3a9c51';

let testDatabase: TestDatabase;
let core: Core;
let a: Shop;
let b: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(customerId: CustomerId, work: Parameters<typeof core.database.withCustomer<T>>[1]) =>
  core.database.withCustomer(customerId, work);

async function propose({ customerId }: Shop, operation: Operation, target: string, name: string): Promise<void> {
  const { workflowId, workflowVersion } = operation.plan;
  const element = {
    fingerprint: { tag: 'a', name },
    identity: { tag: 'a', role: 'link', name },
    locators: [{ by: 'role', role: 'link', name }],
  };
  const row = { customerId, workflowId, workflowVersion, target, step: 4, digest: name.slice(0, 64), element };
  await inside(customerId, (tx) =>
    tx.workflowProposal.create({ data: { ...row, id: newUuid(), operationId: operation.id, score: 1, margin: 1 } }),
  );
}

describe('147 what runs found again at one customer’s shop', () => {
  test('is no other customer’s to see, and what is gathered of all of them names no shop, no run and nobody', async () => {
    const [ofA, ofB] = [await requestOperation(core, a), await requestOperation(core, b)];
    const target = 'https://tea-and-more.example.com';
    await propose(a, ofA, target, 'Sign in');
    await propose(a, ofA, target, 'Sign in to tea-and-more.example.com');
    await propose(a, ofA, target, `Countersign ${ofA.id}`);
    const site = 'https://www.tee-und-mehr.example.com/store/kaffeehaus';
    for (const name of [
      ...['Open TEE-UND-MEHR.example.com', 'Tee und\u200b mehr', 'The Kaffeehaus', 'Signed in: me@mail.example.org'],
      ...[`${a.admin.person.name}’s keys`, 'Add {label}'],
    ])
      await propose(a, ofA, site, name);
    await propose(a, ofA, 'https://xn--caf-dma.example.com', 'Open café.example.com');
    await propose(b, ofB, 'https://coffee.example.com', 'Sign in');
    const place = { workflowId: ofA.plan.workflowId, workflowVersion: ofA.plan.workflowVersion, target };
    expect(await inside(b.customerId, (tx) => proposalsFor(tx, b.customerId, place))).toEqual([]);
    expect(await inside(b.customerId, (tx) => proposalsFor(tx, a.customerId, place))).toEqual([]);
    const found = await gatherProposals(core);
    expect(found).toMatchObject([{ targets: 2, customers: 2, identity: { name: 'Sign in' } }]);
    const words = JSON.stringify(found);
    for (const word of ['tea-and-more', 'coffee', ofA.id, a.customerId, b.customerId])
      expect(words).not.toContain(word);
  });
});

describe('158 what an admin has discarded of what was found again', () => {
  test('stays discarded, also once it is found again, and is counted by no promotion; another customer’s stays', async () => {
    const own = await requestOperation(core, a);
    const target = 'https://cocoa.example.com';
    const { workflowId, workflowVersion } = own.plan;
    for (const shop of [a, b]) await propose(shop, await requestOperation(core, shop), target, 'Log on');
    const { customerId } = a;
    const row = await inside(customerId, (tx) =>
      tx.workflowProposal.findFirstOrThrow({ where: { customerId, target } }),
    );
    const of = { id: row.id, decision: 'discard', by: a.admin.id } as const;
    expect(await inside(b.customerId, (tx) => decideProposal(tx, core.audit, b.customerId, of))).toBe('unknown');
    const known = async (shop: Shop) => {
      const place = { workflowId, workflowVersion, target };
      const tried = await inside(shop.customerId, (tx) => proposalsFor(tx, shop.customerId, place));
      const discarded = await inside(shop.customerId, (tx) => discardedFor(tx, shop.customerId, place, 4));
      expect(await inside(shop.customerId, (tx) => discardedFor(tx, shop.customerId, place, 5))).toEqual([]);
      return [tried.length, discarded.length];
    };
    expect([await known(a), await known(b)]).toEqual([
      [1, 0],
      [1, 0],
    ]);
    expect(await inside(customerId, (tx) => decideProposal(tx, core.audit, customerId, of))).toBe('done');
    await inside(customerId, (tx) => holdProposal(tx, customerId, row.id));
    expect([await known(a), await known(b)]).toEqual([
      [0, 1],
      [1, 0],
    ]);
    const found = (await gatherProposals(core)).filter(({ identity }) => identity.name === 'Log on');
    expect(found).toMatchObject([{ targets: 1, customers: 1, marked: 0, held: 1 }]);
  });

  test('is of two admins decided by one, also while a run finds it again, and each decision stands with who made it', async () => {
    const { customerId } = a;
    const operation = await requestOperation(core, a);
    const { workflowId, workflowVersion } = operation.plan;
    const target = 'https://latte.example.com';
    await propose(a, operation, target, 'Log on');
    const { id } = await inside(customerId, (tx) => tx.workflowProposal.findFirstOrThrow({ where: { target } }));
    const other = await inside(customerId, (tx) => core.customers.member(tx, customerId, a.secondApprover.person));
    const place = { workflowId, workflowVersion, target };
    const element = {
      fingerprint: { tag: 'a', name: 'Log on' },
      identity: { tag: 'a', role: 'link', name: 'Log on' },
      locators: [{ by: 'role', role: 'link', name: 'Log on' } as const],
    };
    const around = {
      href: '/wp-admin/?_wpnonce=9f8e7d6c5b',
      neighbours: ['Ada Lovelace'],
      path: ['row 12 High Street'],
    };
    const heal = { ...element, fingerprint: { ...element.fingerprint, ...around }, score: 1, margin: 1 };
    const of = { operationId: operation.id, step: 4, heal, hide: <T>(value: T) => value };
    const came: string[] = [];
    for (const decision of ['discard', 'restore', 'mark', 'discard', 'restore'] as const) {
      const pressed = [a.admin, other].map((by) =>
        inside(customerId, (tx) => decideProposal(tx, core.audit, customerId, { id, decision, by: by.id })),
      );
      const found = [1, 2].map(() => inside(customerId, (tx) => keepProposal(tx, customerId, place, of)));
      const held = inside(customerId, (tx) => holdProposal(tx, customerId, id));
      const [said] = await Promise.all([Promise.all(pressed), ...found, held]);
      came.push(said.toSorted().join(' '));
    }
    await inside(customerId, (tx) => keepProposal(tx, customerId, place, { ...of, step: 5 }));
    const kept = await inside(customerId, (tx) => tx.workflowProposal.findFirstOrThrow({ where: { target, step: 5 } }));
    expect(kept.element).toEqual(element);
    expect(came).toEqual(['discarded done', 'already done', 'already done', 'discarded done', 'already done']);
    const { length } = await sql(
      testDatabase.adminUrl,
      `SELECT FROM autonomous_operations_audit WHERE customer_id = $1 AND kind LIKE 'proposal.%' AND payload IS NOT NULL`,
      [customerId],
    );
    expect(length).toBe(6); // with the one of the test before
  });
});

describe('148 the summary of a week', () => {
  test('is for who is an admin when it is sent, and names no secret and no other customer', async () => {
    const chat = createRecordingChat();
    const store = (shop: Shop, target: string) =>
      inside(shop.customerId, (tx) => {
        const expiresAt = new Date(Date.now() + 10 * 86_400_000);
        return core.vault
          .within(tx)
          .store(shop.customerId, 'woocommerce', 'api_key', { target, value: CANARY, expiresAt });
      });
    await store(a, 'https://tea.example.com');
    await store(b, 'https://coffee.example.com');
    const about = new Date().toISOString();
    await inside(a.customerId, (tx) =>
      tell(tx, a.customerId, [a.admin.id, a.merchant.id], { kind: 'digest', about, key: 'digest:now' }),
    );
    await createNotices({ ...core, services, log: silentLog, chat: () => chat, pictureUrl: () => '' }).deliver();
    expect(chat.direct().map(({ to }) => to.name)).toEqual([a.admin.person.name]);
    const words = JSON.stringify(chat.direct());
    expect(words).toContain('tea.example.com');
    for (const word of [CANARY, 'coffee', b.workspaceId]) expect(words).not.toContain(word);
  });

  test('is for nobody whom the platform calls a guest by now', async () => {
    const chat = createRecordingChat();
    const about = new Date().toISOString();
    await inside(a.customerId, (tx) =>
      tell(tx, a.customerId, [a.admin.id], { kind: 'digest', about, key: 'digest:guest' }),
    );
    const guests = { ...chat, standing: async () => ({ kind: 'guest' }) as const };
    await createNotices({ ...core, services, log: silentLog, chat: () => guests, pictureUrl: () => '' }).deliver();
    await createNotices({ ...core, services, log: silentLog, chat: () => chat, pictureUrl: () => '' }).deliver();
    expect(chat.direct()).toEqual([]);
  });

  test('is no member’s of another customer', async () => {
    const theirs = { kind: 'digest', about: new Date().toISOString(), key: 'digest:theirs' } as const;
    await expect(inside(a.customerId, (tx) => tell(tx, b.customerId, [b.admin.id], theirs))).rejects.toThrow();
    await expect(inside(a.customerId, (tx) => tell(tx, a.customerId, [b.admin.id], theirs))).rejects.toThrow();
  });
});

describe('149 Renew', () => {
  test('prolongs nothing, and who pressed it does not countersign it', async () => {
    const operation = await madeConnection(core, a);
    const until = new Date(Date.now() + 20 * 86_400_000);
    const question = await core.standingGrants.ask(a.customerId, operation.id, { by: a.merchant, until, keeps: [] });
    const shown = (planHash = '') => ({ ...click(operation, a.approver), planHash });
    const first = await core.standingGrants.grant(a.customerId, shown(question?.planHash));
    if (first.kind !== 'granted') throw new Error('it was to be granted');
    const chat = createRecordingChat();
    const progress = { refresh: async () => {} };
    // What is used of it is here.
    const context = { ...core, progress, log: silentLog, chat: () => chat } as unknown as Parameters<
      typeof renewConsent
    >[0];
    const thread = { platform: 'web', workspaceId: a.workspaceId, ref: 'thread' } as const;
    const press = {
      kind: 'action',
      id: newUuid(),
      trigger: '',
      action: 'renew_consent',
      value: first.consentId,
    } as const;
    await renewConsent(context, a.customerId, a.approver, { ...press, thread, from: a.approver.person });
    const rows = await sql<{ plan_hash: string }>(
      testDatabase.adminUrl,
      'SELECT plan_hash FROM consent_requests WHERE operation_id = $1 AND terms IS NOT NULL ORDER BY asked_at DESC',
      [operation.id],
    );
    const consents = () =>
      sql(
        testDatabase.adminUrl,
        'SELECT FROM autonomous_consent WHERE operation_id = $1 AND template_hash IS NOT NULL',
        [operation.id],
      );
    expect(rows).toHaveLength(2);
    expect(await consents()).toHaveLength(1);
    const again = shown(rows[0]?.plan_hash);
    expect(await core.standingGrants.grant(a.customerId, again)).toEqual({ kind: 'refused', why: 'own_request' });
    expect(await consents()).toHaveLength(1);
    expect(await core.standingGrants.grant(a.customerId, { ...again, by: a.secondApprover })).toMatchObject({
      kind: 'granted',
    });
  });
});
