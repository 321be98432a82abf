// Every text that a person, a platform or a page can bring in, written as SQL that would enter another customer.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type ChatByHttp, chatByHttp } from '../support/chat-by-http.ts';
import { type Core, click, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startTestDemo, type TestDemo } from '../support/demo.ts';
import { spyOnSql } from '../support/sql-spy.ts';

const VICTIM = randomUUID();

/** Ends a text, a call, an identifier and a comment, and then sets the context; `name` finds it again. */
function hostile(name: string): string {
  return `${name}'; select set_config('app.context', '${VICTIM}', false); -- '") */ \\'; COMMIT; $1 $$ ;--`;
}

/** None of the names stands in a statement. @returns the names that stood among the values. */
function expectValuesAlone(
  sent: { statements: readonly string[]; values: readonly string[] },
  names: readonly string[],
) {
  const inText = names.filter((name) => sent.statements.some((statement) => statement.includes(name)));
  expect(inText).toEqual([]);
  expect(sent.statements.length).toBeGreaterThan(5);
  return names.filter((name) => sent.values.some((value) => value.includes(name)));
}

describe('25 a hostile text that reaches the database', () => {
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

  test('is a value, never a part of a statement, and comes back as it was written', async () => {
    const id = a.customerId;
    const names = ['workspace', 'user', 'person', 'thread', 'slot', 'message', 'shown', 'service', 'target', 'field'];
    names.push('alt', 'reason', 'agent', 'asked', 'origin', 'audit', 'lookup', 'directory', 'install');
    const marks = new Map(names.map((name) => [name, `inj-${name}-${randomUUID()}`]));
    const evil = (name: string) => hostile(marks.get(name) ?? '');
    const sent = await spyOnSql(async () => {
      const operation = await requestOperation(core, a, {
        origin: evil('origin'),
        base: `https://shop.example/?${evil('origin')}`,
      });
      const asked = await requestOperation(core, a);
      await core.consents.grant(id, { ...click(operation, a.approver), userAgent: evil('agent') });
      await core.consents.deny(id, click(asked, a.approver), evil('reason'));
      await core.database.withCustomer(id, async (tx) => {
        const person = {
          platform: 'web',
          workspaceId: evil('workspace'),
          userId: evil('user'),
          name: evil('person'),
        } as const;
        await core.customers.member(tx, id, person);
        const ref = { platform: 'web', workspaceId: evil('workspace'), ref: evil('thread') } as const;
        const thread = await core.threads.open(tx, id, ref);
        expect(thread.ref).toEqual(ref);
        await core.threads.keepMessage(
          tx,
          id,
          thread,
          evil('slot'),
          { thread: ref, ref: evil('message') },
          evil('shown'),
        );
        const awaiting = { memberId: a.merchant.id, service: evil('asked'), wantsWrite: false, askedAt: 'now' };
        await core.threads.setAwaiting(tx, id, thread.id, awaiting);
        expect((await core.threads.open(tx, id, ref)).awaiting).toEqual(awaiting);
        const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 1, height: 1, alt: evil('alt') };
        await tx.screenshot.create({
          data: { customerId: id, operationId: operation.id, step: 1, id: newUuid(), ...picture },
        });
        const secret = { target: evil('target'), value: { [evil('field')]: new Secret('x') } };
        await core.vault.within(tx).store(id, evil('service').slice(0, 50), 'session', secret);
        expect(await core.operations.get(tx, id, evil('lookup'))).toBeUndefined();
        await core.audit.append(tx, id, { kind: 'guide.shown', payload: { note: evil('audit') } });
        expect(await tx.operation.findMany({ where: { customerId: b.customerId } })).toEqual([]);
      });
      expect(await core.directory.customerOfWorkspace('web', evil('directory'))).toBeUndefined();
      await core.customers.install(
        { platform: 'web', workspaceId: evil('install'), name: evil('install') },
        a.admin.person,
      );
    });
    const reached = expectValuesAlone(sent, [...marks.values()]);
    const sealed = ['audit', 'field', 'reason']; // their words are ciphertext before they leave the program
    expect(reached.sort()).toEqual(
      names
        .filter((name) => !sealed.includes(name))
        .map((name) => marks.get(name))
        .sort(),
    );
  });

  test('gains nothing where it does become SQL: the setting that it makes opens no row', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      for (const context of [b.customerId, `${b.customerId}|`, `${b.customerId}|${'0'.repeat(64)}`]) {
        await client.query('SAVEPOINT here');
        const careless = `SELECT name FROM members WHERE name = 'x' OR set_config('app.context', '${context}', false) = ''`;
        expect((await client.query(careless)).rows).toEqual([]);
        expect((await client.query('SELECT FROM members')).rowCount).toBe(0);
        await client.query('ROLLBACK TO here');
      }
      expect((await client.query('SELECT FROM members')).rowCount).toBeGreaterThan(0);
    });
  });
});

describe('25 a hostile text in the chat and on the pages', () => {
  let demo: TestDemo;
  let other: string;
  let marks: string[];
  let chat: ChatByHttp;

  beforeAll(async () => {
    demo = await startTestDemo({ env: { ROLE: 'bot' } });
    other = newUuid();
    await demo.sql(`INSERT INTO customers (customer_id, name) VALUES ($1, 'Other')`, [other]);
    await demo.sql(
      `INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles)
       VALUES ($1, gen_random_uuid(), 'web', 'other', 'other', 'Other', '{}')`,
      [other],
    );
    marks = [];
    chat = chatByHttp(demo.chatUrl, headers);
  }, 60_000);
  afterAll(() => demo?.remove());

  function evil(name: string): string {
    const mark = `inj-${name}-${randomUUID()}`;
    marks.push(mark);
    return hostile(mark);
  }

  /** Hostile headers, too. */
  const headers = () => ({ 'user-agent': evil('agent'), 'x-forwarded-for': evil('forwarded') });

  test('enters nobody: statements stay as they are written, and the other customer as it was', async () => {
    const before = await demo.sql('SELECT * FROM members WHERE customer_id = $1', [other]);
    let thread = '';
    const sent = await spyOnSql(async () => {
      for (const text of [
        evil('message'),
        `set up ${evil('service')}`,
        `set up WooCommerce for ${evil('target')}`,
        `set up WooCommerce for https://${evil('host')}.example.com/`,
        `/audit ${evil('audit')}`,
        `/countersign stop ${evil('stop')}`,
        `/countersign ${evil('command')}`,
      ])
        for (const person of ['merchant', 'admin']) await chat.say(person, text);
      expect((await chat.post('/messages', 'merchant', { thread: evil('thread'), text: 'x' })).status).toBe(404);
      expect((await chat.post('/messages', evil('as'), { thread: 'new', text: 'x' })).status).toBe(400);
      for (const path of ['/t/', '/pictures/']) await chat.pageOf(path + encodeURIComponent(evil('path')), 'merchant');
      const { http } = demo.app.urls;
      const link = `${http}/connect/${encodeURIComponent(evil('link'))}`;
      expect((await fetch(link)).status).toBe(410);
      const fields = new URLSearchParams({ admin_username: evil('field'), admin_password: evil('password') });
      expect((await fetch(link, { method: 'POST', body: fields, headers: { origin: http ?? '' } })).status).toBe(410);

      const path = await chat.say('merchant', `set up WooCommerce for ${demo.shop.origin}`);
      thread = path;
      await chat.press(path, 'admin', 'choose_approvers');
      const people = await chat.form(path, 'admin');
      await chat.post(people, 'admin', { 'field-approvers': ['approver', evil('approver')], 'field-required': '1' });
      await chat.press(path, 'approver', 'deny');
      // A button with another value than its card's is none of this message's.
      const tampered = await chat.button(path, 'approver', 'deny');
      expect((await chat.post(tampered.address, 'approver', { action: 'deny', value: evil('value') })).status).toBe(
        409,
      );
      const denial = await chat.form(path, 'approver');
      await chat.post(denial, 'approver', { 'field-reason': evil('reason') });
      await vi.waitUntil(
        async () => (await demo.sql("SELECT FROM autonomous_operations WHERE status = 'denied'")).length > 0,
        {
          timeout: 15_000,
        },
      );
    });
    // The reason alone is kept, sealed before it leaves the program.
    expect(expectValuesAlone(sent, marks)).toEqual([]);
    expect(await demo.sql('SELECT * FROM members WHERE customer_id = $1', [other])).toEqual(before);
    // Whoever was entered was the demo's own customer.
    const owners = await demo.sql('SELECT customer_id FROM workspaces');
    const entered = sent.values.filter((value) => /^[0-9a-f-]{36}$/.test(value));
    expect(entered).toContain(owners[0]?.customer_id);
    expect(sent.values.filter((value) => value === VICTIM)).toEqual([]);
    const reason = marks.find((mark) => mark.startsWith('inj-reason')) ?? '';
    await vi.waitUntil(async () => (await chat.pageOf(thread, 'approver')).includes(reason), { timeout: 15_000 });
  }, 90_000);
});
