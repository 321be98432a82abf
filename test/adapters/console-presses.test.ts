// The console over HTTP: what a press does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../core/secret.ts';
import { madeConnection } from '../support/connections.ts';
import { openConsole, type TestConsole } from '../support/console.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  kinds,
  look,
  newcomer,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let own: TestConsole;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  own = await openConsole(core);
  shop = await installShop(core);
});

afterAll(async () => {
  await own.close();
  await core.close();
  await testDatabase.drop();
});

describe('what is pressed', () => {
  test('Approve countersigns the plan that was shown, collected in the console with the browser that gave it', async () => {
    const operation = await requestOperation(core, shop);
    const visitor = await own.signIn(shop.approver);
    const page = await visitor.get('/console/approvals');
    const at = page.text.indexOf(`id="${operation.id}"`);
    const part = page.text.slice(at, page.text.indexOf('</article>', at));
    expect(part.indexOf('What will be done, and why')).toBeLessThan(part.indexOf('>Approve<'));
    expect(part).toContain(operation.planHash);
    const answer = await visitor.post(
      `/console/approvals/${operation.id}/approve`,
      { plan: operation.planHash },
      { 'user-agent': 'A browser' },
    );
    const to = answer.headers.get('location') ?? '';
    expect([answer.status, to]).toEqual([303, expect.stringMatching(/^\/console\/approvals\?/)]);
    const told = /<p class="panel" role="status" tabindex="-1" autofocus>.*?<\/p>/.exec(
      (await visitor.get(to)).text,
    )?.[0];
    expect(told).toContain(`Your approval is on record: <a href="/console/operations/${operation.id}">`);
    for (const forged of [to.replace('did=approve', 'did=deny'), to.replace(/&seal=.*/, '')])
      expect((await visitor.get(forged)).text).not.toContain('<p class="panel" role="status"');
    expect((await (await own.signIn(shop.secondApprover)).get(to)).text).not.toContain('Your approval is on record');
    const { grant, state } = await look(core, operation);
    expect(grant).toMatchObject({ collectionMethod: 'console', ipAddress: '127.0.0.1', userAgent: 'A browser' });
    expect([state, grant?.approver.id]).toEqual(['awaiting_credentials', shop.approver.id]);
  });

  test('Approve of an earlier plan, or by whoever asked, decides nothing and says why', async () => {
    const operation = await requestOperation(core, shop, { requester: shop.approver });
    const visitor = await own.signIn(shop.approver);
    const path = `/console/approvals/${operation.id}/approve`;
    expect((await visitor.get('/console/approvals')).text).toContain('somebody else has to decide');
    const theirs = await visitor.post(path, { plan: operation.planHash });
    expect(theirs.text).toContain('You asked for this yourself');
    expect(theirs.text).toContain('<a href="/console/approvals" aria-current="page">');
    const again = await visitor.get(path);
    expect([again.status, again.headers.get('location')]).toEqual([303, '/console/approvals']);
    const stop = await visitor.get(`/console/operations/${operation.id}/stop`);
    expect(stop.headers.get('location')).toBe(`/console/operations/${operation.id}`);
    const second = await own.signIn(shop.secondApprover);
    expect((await second.post(path, { plan: 'f'.repeat(64) })).text).toContain('earlier version of the plan');
    expect((await look(core, operation)).state).toBe('awaiting_consent');
    expect(await kinds(core, operation)).toContain('consent.refused');
  });

  test('Deny takes a reason, which goes on record', async () => {
    const operation = await requestOperation(core, shop);
    const visitor = await own.signIn(shop.approver);
    const path = `/console/approvals/${operation.id}/deny`;
    expect((await visitor.post(path, { plan: operation.planHash, reason: ' ' })).text).toContain('Write a reason');
    expect((await visitor.post(path, { plan: operation.planHash, reason: 'Not <now>' })).status).toBe(303);
    expect(await look(core, operation)).toMatchObject({ state: 'denied', errorMessage: 'Not <now>' });
    const page = await visitor.get(`/console/operations/${operation.id}`);
    expect(page.text).toContain('Not &#60;now&#62;');
  });

  test('Repairs to come are approved or denied there, by the terms that were shown', async () => {
    const operation = await madeConnection(core, shop, {
      base: 'https://kept.example.com',
      origin: 'https://kept.example.com',
    });
    const asked = async () => {
      const offered = await core.repairOffers.offer(shop.customerId, operation.id, shop.merchant);
      return offered.kind === 'asked' ? offered.question.planHash : '';
    };
    const visitor = await own.signIn(shop.approver);
    const path = `/console/approvals/${operation.id}`;
    /** All of its pages. */
    const approvals = async () => {
      let text = '';
      for (let at: string | undefined = '/console/approvals'; at !== undefined; ) {
        const page: string = (await visitor.get(at)).text;
        text += page;
        at = /href="(\/console\/approvals\?after=\d+)">\d+ newer/.exec(page)?.[1];
      }
      return text;
    };
    const waiting = async () =>
      Number(/data-count="waiting"[^>]*><span>(\d+)/.exec((await visitor.get('/console/approvals')).text)?.[1]);
    const before = await waiting();
    const denied = await asked();
    expect(await approvals()).toContain(denied);
    expect(await waiting()).toBe(before + 1);
    const reason = 'each time by hand';
    expect((await visitor.post(`${path}/deny-repairs`, { plan: denied, reason })).status).toBe(303);
    expect(await approvals()).not.toContain(denied);
    const planHash = await asked();
    expect(await approvals()).toContain('Keep WooCommerce for kept.example.com working');
    expect((await visitor.post(`${path}/approve-repairs`, { plan: operation.planHash })).text).toContain(
      'decided already',
    );
    expect((await visitor.post(`${path}/approve-repairs`, { plan: planHash })).status).toBe(303);
    const consents = await core.database.withCustomer(shop.customerId, (tx) => core.consents.list(tx, shop.customerId));
    const consent = consents.find(({ standing }) => standing);
    expect(consent).toMatchObject({ collectionMethod: 'console', planHash });

    const told = (await visitor.get(`/console/operations/${operation.id}`)).text;
    for (const words of ['Asked to keep it working', 'Repairs to come denied', 'Repairs to come countersigned'])
      expect(told).toContain(`<b>${words}</b> by`);
    expect(told.match(/<b>Countersigned<\/b>/g)).toHaveLength(1); // of the operation itself

    // Under Connections it says until when, and what is kept; there it is taken back.
    const admin = await own.signIn(shop.admin);
    const connections = async () =>
      /kept\.example\.com.*?<\/tr>/s.exec((await admin.get('/console/connections')).text)?.[0] ?? '';
    expect(await connections()).toContain('waits for the sign-in');
    const signIn = { admin_username: 'mona', admin_password: 'a kept pass phrase' };
    await core.repairOffers.keep(operation, shop.merchant.id, signIn, async () => true);
    expect(await connections()).toMatch(
      /by itself.*until .*by Abel; keeps the sign-in for them, sealed.*End repairs…/s,
    );
    const revoke = { from: 'connections', consent: consent?.id ?? '' };
    const stranger = await own.signIn(await newcomer(core, shop, 'Sid'));
    expect((await stranger.post(`/console/operations/${operation.id}/revoke-repairs`, revoke)).status).toBe(404);
    const revoked = await admin.post(`/console/operations/${operation.id}/revoke-repairs`, revoke);
    expect(revoked.text).toContain('Its key is not repaired by itself any more');
    expect(await connections()).toContain('asked for each time');
  });

  test('Approvals goes on to whatever is newer, repairs to come included', async () => {
    const busy = await installShop(core);
    const operation = await madeConnection(core, busy);
    await core.repairOffers.offer(busy.customerId, operation.id, busy.merchant);
    for (let n = 0; n < 10; n++) await requestOperation(core, busy);
    const visitor = await own.signIn(busy.approver);
    const first = (await visitor.get('/console/approvals')).text;
    expect(first.match(/<article/g)).toHaveLength(10);
    expect(first).not.toContain('Keep WooCommerce');
    const [, next = ''] = /<a class="button" href="(\/console\/approvals\?after=10)">1 newer one</.exec(first) ?? [];
    const last = (await visitor.get(next)).text;
    expect(last.match(/<article/g)).toHaveLength(1);
    expect(last).toContain('Keep WooCommerce');
    expect(last).toContain('data-live="/console/approvals/live?after=10"');
    expect(last).toContain('<a class="button" href="/console/approvals">Oldest</a>');
  });

  test('Stop, Pause and Resume do what the chat does, once however often the form is sent', async () => {
    const operation = await queuedOperation(core, shop);
    const visitor = await own.signIn(shop.merchant);
    const once = '00000000-0000-4000-8000-00000000abcd';
    const press = (what: string, fields = {}) => visitor.post(`/console/operations/${operation.id}/${what}`, fields);
    expect((await press('pause', { once })).status).toBe(303);
    expect((await look(core, operation)).state).toBe('paused');
    expect((await press('resume')).status).toBe(303);
    expect((await look(core, operation)).state).toBe('queued');
    expect((await press('pause', { once })).status).toBe(303);
    expect((await look(core, operation)).state).toBe('queued');
    const stopped = await press('stop');
    expect(stopped.status).toBe(303);
    expect((await visitor.get(stopped.headers.get('location') ?? '')).text).toContain('autofocus><span>Stopped: ');
    const retried = await press('retry');
    const told = (await visitor.get(retried.headers.get('location') ?? '')).text;
    const { retriedAs } = await look(core, operation);
    expect(told).toContain(`<a href="/console/operations/${retriedAs}">A new operation</a>`);
    expect((await look(core, operation)).state).toBe('cancelled');
    expect((await press('stop')).text).toContain('That operation is over already');
  });

  test('Rotate asks for a countersignature in the thread of the operation', async () => {
    const base = 'https://keys.example.com';
    const maker = await grantedOperation(core, shop, { base, origin: base });
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.vault.within(tx).store(shop.customerId, 'woocommerce', 'api_key', {
        target: base,
        value: { consumer_key: new Secret('ck_of the console'), consumer_secret: new Secret('cs_of the console') },
        metadata: { operationId: maker.id, label: maker.plan.label, lastFour: '47a9' },
      }),
    );
    const visitor = await own.signIn(shop.admin);
    const connections = (await visitor.get('/console/connections')).text;
    expect(connections).toMatch(/…47a9/);
    expect(connections).not.toMatch(/ck_of|cs_of/);
    // The address does not exist, so nothing is done: the flow is the chat's own, and says so there as well.
    const answer = await visitor.post(`/console/operations/${maker.id}/rotate`);
    expect(answer.text).toContain('open keys.example.com from here');
    expect(own.chat.shown().at(-1)?.summary).toMatch(/can't open keys\.example\.com/);
  });
});

describe('what a press began', () => {
  test('Revoke on Connections leads back there, with a link to the new operation', async () => {
    const base = 'https://8.8.8.8'; // an address that is never asked: a plan is all that is made here
    const maker = await grantedOperation(core, shop, { base, origin: base });
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.vault.within(tx).store(shop.customerId, 'woocommerce', 'api_key', {
        target: base,
        value: { consumer_key: new Secret('ck_of a press'), consumer_secret: new Secret('cs_of a press') },
        metadata: { operationId: maker.id, label: maker.plan.label, lastFour: '58b0' },
      }),
    );
    const visitor = await own.signIn(shop.admin);
    const answer = await visitor.post(`/console/operations/${maker.id}/revoke`, { from: 'connections' });
    expect(answer.status, answer.text).toBe(303);
    expect(answer.headers.get('location')).toMatch(/^\/console\/connections\?/);
    const { text } = await visitor.get(answer.headers.get('location') ?? '');
    const led =
      /To be revoked: .*<a href="\/console\/operations\/(op-\w{8})">A new operation<\/a>/.exec(text)?.[1] ?? '';
    const begun = await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.get(tx, shop.customerId, led),
    );
    expect(begun).toMatchObject({ state: 'awaiting_consent', type: { type: 'credential_revocation' } });
    expect(text).toContain('waits for a countersignature');
  });
});
