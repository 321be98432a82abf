// The console over HTTP: who comes in, who sees what, and what a press does.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CONSOLE_ROUTES } from '../../adapters/console/index.ts';
import type { Member } from '../../core/customers/customers.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Secret } from '../../core/secret.ts';
import { tamper } from '../support/audit.ts';
import { madeConnection } from '../support/connections.ts';
import { openConsole, type TestConsole, type Visitor } from '../support/console.ts';
import {
  asCustomer,
  type Core,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { deadJob } from '../support/dead-job.ts';

let testDatabase: TestDatabase;
let core: Core;
let own: TestConsole;
let shop: Shop;
let other: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  own = await openConsole(core);
  shop = await installShop(core);
  other = await installShop(core);
});

afterAll(async () => {
  await own.close();
  await core.close();
  await testDatabase.drop();
});

beforeEach(() => {
  own.platform.says = () => ({ kind: 'member', isInGroup: false });
});

/** Somebody new to the workspace, of whom no platform was asked yet. */
function newcomer(name: string): Promise<Member> {
  const person = { platform: 'web', workspaceId: shop.workspaceId, userId: `U-${name}`, name } as const;
  return core.database.withCustomer(shop.customerId, (tx) => core.customers.member(tx, shop.customerId, person));
}

const post = (url: string, headers: Record<string, string>) =>
  fetch(url, { method: 'POST', headers, redirect: 'manual' });

describe('81 a link to the console', () => {
  test.each(['console', 'open the console please', 'Can you show me the console?'])('comes for “%s”', async (words) => {
    await own.say(shop.merchant, words);
    expect(own.chat.calls.at(-1)).toMatchObject({
      call: 'ephemeral',
      card: { summary: expect.stringContaining('console') },
    });
    expect(JSON.stringify(own.chat.calls.at(-1))).toMatch(/\/console\/sign-in\/[\w-]{43}"/);
  });

  test('is for nobody whom the platform calls a guest, and that is on record', async () => {
    const guest = await newcomer('Gus');
    own.platform.says = () => ({ kind: 'guest' });
    await own.say(guest, 'console');
    expect(own.chat.calls.at(-1)?.card?.summary).toMatch(/full members/);
    const found = await sql(
      testDatabase.adminUrl,
      `SELECT FROM autonomous_operations_audit WHERE kind = 'access.refused' AND header LIKE '%"asked":"console"%' AND header LIKE $1`,
      [`%${guest.id}%`],
    );
    expect(found).toHaveLength(1);
  });

  test('says whom it is for, spends nothing when it is looked at, and signs in once', async () => {
    const link = await own.linkFor(shop.merchant);
    for (let looked = 0; looked < 3; looked++) {
      const page = await fetch(link);
      expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<b>Mona</b>, and nobody else')]);
    }
    const [first, second] = await Promise.all([post(link, { origin: own.origin }), post(link, { origin: own.origin })]);
    expect([first.status, second.status].sort()).toEqual([303, 410]);
    const opened = first.status === 303 ? first : second;
    expect(opened.headers.get('set-cookie')).toMatch(
      /^countersign=[\w-]{43}; Max-Age=28800; Path=\/; .*HttpOnly; SameSite=Strict$/,
    );
    const used = await fetch(link);
    expect([used.status, await used.text()]).toEqual([410, expect.stringContaining('This link was used')]);
    const unknown = await fetch(link.replace(/[\w-]{43}$/, 'x'.repeat(43)));
    expect([unknown.status, await unknown.text()]).toEqual([410, expect.stringContaining('never existed')]);
    const [row] = await sql<{ text: string }>(
      testDatabase.adminUrl,
      'SELECT console_sessions::text AS text FROM console_sessions WHERE session_hash IS NOT NULL ORDER BY opened_at DESC LIMIT 1',
    );
    const token = /^countersign=([\w-]{43})/.exec(opened.headers.get('set-cookie') ?? '')?.[1] ?? '';
    expect(row?.text).not.toContain(token);
  });

  test.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
    ['nobody knows where', {}],
    ['a page of the same site', { origin: 'SAME', 'sec-fetch-site': 'same-site' }],
  ])('is not spent by a form of %s', async (_, headers: Record<string, string>) => {
    const link = await own.linkFor(shop.merchant);
    const sent = headers.origin === 'SAME' ? { ...headers, origin: own.origin } : headers;
    expect((await post(link, sent)).status).toBe(403);
    expect((await fetch(link)).status).toBe(200);
  });

  test('is good for fifteen minutes', async () => {
    const link = await own.linkFor(shop.merchant);
    await shiftClock(testDatabase.adminUrl, '16 minutes');
    expect((await fetch(link)).status).toBe(410);
    expect((await post(link, { origin: own.origin })).status).toBe(410);
  });

  test('ends the session of whoever was signed in there before', async () => {
    const approver = await own.signIn(shop.approver);
    const opened = await post(await own.linkFor(shop.merchant), { origin: own.origin, cookie: approver.cookie });
    expect(opened.status).toBe(303);
    expect((await approver.get('/console/operations')).status).toBe(401);
  });
});

describe('82 a session', () => {
  test('is one answer for whoever has none, a made-up one, or another kind of token', async () => {
    const link = (await own.linkFor(shop.admin)).split('/').at(-1) ?? '';
    for (const cookie of [
      '',
      'countersign=',
      `countersign=${'x'.repeat(43)}`,
      `countersign=${link}`,
      'countersign=a; countersign=b',
    ])
      for (const path of [
        '/console/operations',
        '/console/nothing',
        '/console/queue',
        '/console/operations/op-aaaaaaaa',
      ]) {
        const page = await fetch(`${own.origin}${path}`, { headers: { cookie } });
        expect([path, page.status, await page.text()]).toEqual([path, 401, expect.stringContaining('Please sign in')]);
      }
  });

  test('is opened by no statement that somebody smuggles in, for themselves or for another customer', async () => {
    const insert = `INSERT INTO console_sessions (customer_id, id, member_id, link_hash, link_expires_at)
      VALUES ($1, gen_random_uuid(), $2, sha256(random()::text::bytea), app.now() + interval '1 hour')`;
    const open = `UPDATE console_sessions SET session_hash = sha256('known'), roles = '{merchant,admin}', opened_at = app.now(),
      expires_at = app.now() + interval '1 hour', last_used_at = app.now() WHERE session_hash IS NULL AND customer_id = $1`;
    await own.linkFor(shop.admin);
    const smuggle = (statement: string, values: string[]) =>
      asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement, values));
    await expect(smuggle(insert, [shop.customerId, shop.admin.id])).rejects.toThrow(/vouch/);
    await expect(smuggle(open, [shop.customerId])).rejects.toThrow(/vouch/);
    await expect(smuggle(insert, [other.customerId, other.admin.id])).rejects.toThrow();
    expect((await smuggle(open, [other.customerId])).rowCount).toBe(0);
  });

  test('ends when its person leaves, which is on record', async () => {
    const visitor = await own.signIn(shop.admin);
    expect((await visitor.post('/console/sign-out')).status).toBe(200);
    expect((await visitor.get('/console/operations')).status).toBe(401);
    const entries = await sql<{ kind: string }>(
      testDatabase.adminUrl,
      `SELECT kind FROM autonomous_operations_audit WHERE customer_id = $1 AND kind LIKE 'console.%' ORDER BY seq DESC LIMIT 2`,
      [shop.customerId],
    );
    expect(entries.map(({ kind }) => kind)).toEqual(['console.left', 'console.opened']);
  });

  test('ends after an hour without use, and after eight hours at most', async () => {
    const idle = await own.signIn(shop.admin);
    await shiftClock(testDatabase.adminUrl, '59 minutes');
    expect((await idle.get('/console/health')).status).toBe(200);
    await shiftClock(testDatabase.adminUrl, '59 minutes');
    expect((await idle.get('/console/operations')).status).toBe(200);
    await shiftClock(testDatabase.adminUrl, '61 minutes');
    const late = await idle.post('/console/queue/redrive');
    expect([late.status, late.text]).toEqual([401, expect.stringContaining('what you pressed was not done')]);
    const used = await own.signIn(shop.admin);
    for (let hours = 0; hours < 10; hours++) {
      await shiftClock(testDatabase.adminUrl, '50 minutes');
      if (hours < 9) expect((await used.get('/console/operations')).status).toBe(200);
    }
    expect((await used.get('/console/operations')).status).toBe(401);
  });

  test('is not kept alive by what a page asks for by itself', async () => {
    const { id } = await requestOperation(core, shop);
    const visitor = await own.signIn(shop.merchant);
    for (let looks = 0; looks < 2; looks++) {
      await shiftClock(testDatabase.adminUrl, '29 minutes');
      expect((await visitor.get(`/console/operations/${id}/live`)).status).toBe(200);
    }
    await shiftClock(testDatabase.adminUrl, '5 minutes');
    expect((await visitor.get(`/console/operations/${id}/live`)).status).toBe(401);
  });

  test('ends when its person loses a role, for good', async () => {
    const ben = await newcomer('Ben');
    const approvers = [shop.approver.person, shop.secondApprover.person];
    const appoint = (people: readonly Member['person'][]) =>
      core.database.withCustomer(shop.customerId, (tx) =>
        core.customers.setApprovers(tx, shop.customerId, people, false),
      );
    await appoint([...approvers, ben.person]);
    const visitor = await own.signIn(ben);
    expect((await visitor.get('/console/approvals')).status).toBe(200);
    await appoint(approvers);
    expect((await visitor.get('/console/operations')).status).toBe(401);
    await appoint([...approvers, ben.person]);
    expect((await visitor.get('/console/operations')).status).toBe(401);
    await appoint(approvers);
  });

  test('ends when the platform does not know its person any more, and waits while it does not answer', async () => {
    const carl = await newcomer('Carl');
    const { id } = await requestOperation(core, shop, { requester: carl });
    const visitor = await own.signIn(carl);
    own.platform.says = () => Promise.reject(new Error('away'));
    expect((await visitor.get('/console/operations')).status).toBe(503);
    own.platform.says = () => ({ kind: 'member', isInGroup: false });
    const token = /name="csrf" value="([^"]+)"/.exec((await visitor.get('/console/operations')).text)?.[1];
    expect(token).toBeDefined();
    const dora = await newcomer('Dora');
    const hers = await own.signIn(dora);
    own.platform.says = () => ({ kind: 'guest' });
    expect((await hers.get('/console/operations')).status).toBe(401);
    own.platform.says = () => ({ kind: 'member', isInGroup: false });
    expect((await hers.get('/console/operations')).status).toBe(401);
    expect((await visitor.post(`/console/operations/${id}/stop`)).status).toBe(303);
  });
});

describe('83 a form', () => {
  test.each([
    ['without the token of the session', { fields: { csrf: '' }, headers: {} }],
    ['with a made-up token', { fields: { csrf: 'x'.repeat(43) }, headers: {} }],
    ['of another site', { fields: {}, headers: { origin: 'https://evil.example' } }],
    ['of a page of the same site', { fields: {}, headers: { 'sec-fetch-site': 'same-site' } }],
  ])(
    '%s changes nothing',
    async (_, { fields, headers }: { fields: Record<string, string>; headers: Record<string, string> }) => {
      const operation = await requestOperation(core, shop);
      const visitor = await own.signIn(shop.merchant);
      const page = await visitor.post(`/console/operations/${operation.id}/stop`, fields, headers);
      expect([page.status, page.text]).toEqual([403, expect.stringContaining('Nothing was changed')]);
      expect((await look(core, operation)).state).toBe('awaiting_consent');
    },
  );

  test('with the token of somebody else’s session changes nothing', async () => {
    const operation = await requestOperation(core, shop);
    const approver = await own.signIn(shop.approver);
    const token = /name="csrf" value="([^"]+)"/.exec((await approver.get('/console/operations')).text)?.[1] ?? '';
    const merchant = await own.signIn(shop.merchant);
    expect((await merchant.post(`/console/operations/${operation.id}/stop`, { csrf: token })).status).toBe(403);
    expect((await look(core, operation)).state).toBe('awaiting_consent');
  });
});

/** Every address of the route table, for one operation. */
function addressOf(path: string, { id }: Operation): string {
  return `/console${path.replace(':id', id).replace(':picture', '00000000-0000-4000-8000-000000000000')}`;
}

describe('84 who sees what', () => {
  const GETS = CONSOLE_ROUTES.filter(({ method }) => method === 'get');
  const POSTS = CONSOLE_ROUTES.filter(({ method }) => method === 'post');
  const RANK = { merchant: 0, approver: 1, admin: 2 } as const;
  let ofShop: Operation;
  let visitors: Readonly<Record<'merchant' | 'stranger' | 'approver' | 'admin', Visitor>>;
  let foreign: readonly Visitor[];

  beforeAll(async () => {
    ofShop = await requestOperation(core, shop);
    visitors = {
      merchant: await own.signIn(shop.merchant),
      stranger: await own.signIn(await newcomer('Stan')),
      approver: await own.signIn(shop.approver),
      admin: await own.signIn(shop.admin),
    };
    foreign = [await own.signIn(other.merchant), await own.signIn(other.approver), await own.signIn(other.admin)];
  });

  test.each(GETS.map((route) => [route.path, route] as const))('GET %s by role', async (path, route) => {
    const isPicture = path.includes(':picture'); // there is none of that id
    for (const role of ['merchant', 'approver', 'admin'] as const) {
      const page = await visitors[role].get(addressOf(path, ofShop));
      const isTheirs = RANK[role] >= RANK[route.role] && !isPicture;
      expect([role, page.status], page.text).toEqual([role, isTheirs ? 200 : 404]);
      if (!isTheirs) expect(page.text).toContain('There is nothing here');
    }
    const page = await visitors.stranger.get(addressOf(path, ofShop));
    expect(page.status).toBe(RANK.merchant >= RANK[route.role] && !path.includes(':id') ? 200 : 404);
    expect(page.text).not.toContain(ofShop.id);
  });

  test.each(GETS.map(({ path }) => path))('GET %s tells another customer nothing', async (path) => {
    for (const visitor of foreign) {
      const page = await visitor.get(addressOf(path, ofShop));
      expect(page.text).not.toContain(shop.workspaceId);
      expect(page.text).not.toContain(ofShop.planHash);
      if (path.includes(':id')) {
        const absent = await visitor.get(addressOf(path, { ...ofShop, id: 'op-zzzzzzzz' as Operation['id'] }));
        const plain = (text: string) => text.replace(/name="once" value="[^"]+"/g, '');
        expect([page.status, plain(page.text)]).toEqual([absent.status, plain(absent.text)]);
        expect(page.status).toBe(404);
      }
    }
  });

  test.each(POSTS.map((route) => [route.path, route] as const))(
    'POST %s changes nothing for whoever may not',
    async (path, route) => {
      const before = await look(core, ofShop);
      const fields = { plan: ofShop.planHash, reason: 'no', job: ofShop.id };
      const others = [
        ...foreign,
        visitors.stranger,
        ...(route.role === 'admin' ? [visitors.merchant, visitors.approver] : []),
      ];
      for (const visitor of others) {
        const page = await visitor.post(addressOf(path, ofShop), fields);
        const isNothing = page.status === 404 || path === '/queue/redrive' || path === '/audit/export';
        expect(isNothing, `${page.status} ${page.text}`).toBe(true);
        expect(page.text).not.toContain(ofShop.planHash);
      }
      const after = await look(core, ofShop);
      expect([after.state, after.request?.decision]).toEqual([before.state, before.request?.decision]);
    },
  );

  test('a merchant is listed their own operations alone, an approver everybody’s', async () => {
    const { id } = await requestOperation(core, shop, { requester: await newcomer('Nora') });
    const list = async (visitor: Visitor) => (await visitor.get('/console/operations')).text;
    expect(await list(visitors.merchant)).toContain(ofShop.id);
    expect(await list(visitors.merchant)).not.toContain(id);
    expect(await list(visitors.approver)).toContain(id);
    expect(await list(foreign[2] as Visitor)).not.toContain(id); // three were signed in
  });

  test('a picture is shown with its own operation, to whoever may see that', async () => {
    const another = await requestOperation(core, shop);
    const picture = { operationId: ofShop.id, step: 1, alt: '', bytes: Buffer.from('a picture'), width: 1, height: 1 };
    const id = await own.screenshots.put(shop.customerId, { ...picture, mediaType: 'image/png' });
    const pathOf = (operation: Operation) => `/console/operations/${operation.id}/pictures/${id}`;
    const page = await visitors.merchant.get(pathOf(ofShop));
    expect([page.status, page.text, page.headers.get('content-type')]).toEqual([200, 'a picture', 'image/png']);
    expect((await visitors.merchant.get(pathOf(another))).status).toBe(404);
    for (const visitor of [visitors.stranger, ...foreign]) expect((await visitor.get(pathOf(ofShop))).status).toBe(404);
  });

  test('a dead job is shown to its customer’s admin and done for them alone', async () => {
    const operation = await queuedOperation(core, shop);
    await deadJob(testDatabase, operation);
    const theirs = await own.signIn(other.admin);
    expect((await theirs.get('/console/queue')).text).not.toContain(operation.id);
    expect((await theirs.post('/console/queue/redrive', { job: operation.id })).text).toContain(
      'no such dead job here',
    );
    expect((await visitors.admin.get('/console/queue')).text).toContain(operation.id);
    const done = await visitors.admin.post('/console/queue/redrive', { job: operation.id });
    expect([done.status, done.headers.get('location')]).toEqual([303, `/console/operations/${operation.id}`]);
    expect((await visitors.admin.get('/console/queue')).text).not.toContain(operation.id);
  });

  test('every page keeps scripts, styles and frames of others out, and nobody keeps a copy', async () => {
    for (const { path } of GETS) {
      const { headers, status, text } = await visitors.admin.get(addressOf(path, ofShop));
      if (status !== 200) continue;
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; style-src 'self'; script-src 'self';/,
      );
      expect(headers.get('content-security-policy')).not.toMatch(/unsafe|https?:/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toMatch(
        /<script(?! type="module" src="\/console\/assets\/)|\son\w+="|style="|https?:\/\/[^"]*\.(?:js|css)/,
      );
    }
  });
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
    const stranger = await own.signIn(await newcomer('Sid'));
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

describe('what stays as it is on the server', () => {
  const source = (page: string) => /data-live="([^"]+)"/.exec(page)?.[1]?.replaceAll('&#38;', '&') ?? '';

  test('the list of operations asks for itself with its filters, and is told the counts', async () => {
    const visitor = await own.signIn(shop.admin);
    const page = await visitor.get('/console/operations?state=awaiting_consent&service=woocommerce');
    expect(source(page.text)).toBe('/console/operations/live?state=awaiting_consent&service=woocommerce');
    const operation = await requestOperation(core, shop);
    const open = await visitor.get(source(page.text));
    expect(open.text).toContain(operation.id);
    expect(open.text).not.toMatch(/<html|<nav aria-label="Console"/);
    await visitor.post(`/console/operations/${operation.id}/stop`);
    const over = await visitor.get(source(page.text));
    expect(over.text).not.toContain(operation.id);
    for (const name of ['countersign-open', 'countersign-waiting'])
      expect(Number(over.headers.get(name))).toBe(Number(open.headers.get(name)) - 1);
  });

  test('a question is not replaced beneath whoever reads it: its page is told that what waits has changed', async () => {
    const visitor = await own.signIn(shop.approver);
    const mark = (text: string) => /data-mark="(\w+)"/.exec(text)?.[1];
    const page = await visitor.get('/console/approvals');
    expect(source(page.text)).toBe('/console/approvals/live');
    const before = await visitor.get('/console/approvals/live');
    expect([mark(before.text), before.text.length < 200]).toEqual([mark(page.text), true]);
    await requestOperation(core, shop);
    expect(mark((await visitor.get('/console/approvals/live')).text)).not.toBe(mark(page.text));
  });
});

describe('what pages say', () => {
  test('a plan made anew because another key was stored is not said to be asked for by whoever pressed', async () => {
    const base = 'https://anew.example.com';
    const operation = await requestOperation(core, shop, { origin: base, base });
    const metadata = { label: 'Countersign op-00000001', operationId: 'op-00000001' };
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { target: base, value: 'ck_x', metadata });
    const visitor = await own.signIn(shop.approver);
    const path = `/console/approvals/${operation.id}/approve`;
    expect((await visitor.post(path, { plan: operation.planHash })).text).toContain('Another key was stored');
    const { text } = await visitor.get(`/console/operations/${operation.id}`);
    const said = text.slice(text.indexOf('<h2>Countersignatures'));
    expect(said).toContain('<b>New plan</b>, because what is stored had changed');
    expect(said).toContain('<b>Asked again</b>, because what is stored had changed');
    expect(said).not.toMatch(/(?:new plan|Asked)<\/b> by Abel/);
    expect(said).toContain(`<b>Asked</b> by ${shop.merchant.person.name}`);
  });

  test('a new plan of whoever chose other permissions is said to be theirs', async () => {
    const operation = await requestOperation(core, shop);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(tx, operation, ['read'], shop.merchant),
    );
    const { text } = await (await own.signIn(shop.approver)).get(`/console/operations/${operation.id}`);
    expect(text).toContain(`<b>Replaced by a new plan</b> by ${shop.merchant.person.name}`);
    expect(text).not.toContain('because what is stored had changed');
  });

  test('a step is “now” once at most, only while its operation runs, and one that is never reached does not wait', async () => {
    const operation = await queuedOperation(core, shop);
    const visitor = await own.signIn(shop.admin);
    const change = (statement: string) => sql(testDatabase.adminUrl, `${statement} = $1`, [operation.id]);
    const words = async () => {
      const { text } = await visitor.get(`/console/operations/${operation.id}`);
      const said = [...text.matchAll(/<span class="unseen"> \(([^)]+)\)<\/span>/g)].map(([, word]) => word);
      return { text, said: said.slice(0, 4) };
    };
    await change(`UPDATE operation_steps SET state = CASE WHEN number = 1 THEN 'done' ELSE 'running' END
      WHERE number <= 3 AND operation_id`);
    await change(`UPDATE autonomous_operations SET current_step = 3 WHERE id`);
    const set = (state: string) => change(`UPDATE autonomous_operations SET status = '${state}' WHERE id`);
    await set('in_progress');
    expect((await words()).said).toEqual(['done', 'begun, not finished', 'now', 'waiting']);
    await set('paused');
    const paused = await words();
    expect(paused.said).toEqual(['done', 'begun, not finished', 'begun, not finished', 'waiting']);
    expect(paused.text).not.toMatch(/<tr class="running"|>…<\/td>/);
    const of = /Steps<\/dt><dd>(\d+ of \d+)/.exec(paused.text)?.[1];
    const list = (await visitor.get(`/console/operations?text=${operation.id}`)).text;
    expect([of, list]).toEqual([expect.stringMatching(/^1 of/), expect.stringContaining(`>${of}</td>`)]);
    await set('failed');
    const failed = await words();
    expect(failed.said).toEqual(['done', 'begun, not finished', 'begun, not finished', 'not done']);
    expect(failed.text).not.toContain('has not begun');
    await change(`UPDATE operation_steps SET state = 'waiting' WHERE operation_id`);
    const untouched = await words();
    expect(new Set(untouched.said)).toEqual(new Set(['not done']));
    expect(untouched.text).toContain('This step was not done.');
  });

  test('words of people and sites are escaped wherever they stand', async () => {
    const evil = await newcomer('<img src=x onerror=alert(1)>');
    await requestOperation(core, shop, { requester: evil });
    const visitor = await own.signIn(shop.admin);
    for (const path of ['/console/operations', '/console/people', '/console/audit', '/console/approvals'])
      expect((await visitor.get(path)).text).not.toContain('<img src=x');
    const page = await visitor.get('/console/operations?text=%22%3E%3Cscript%3E&state=%3Cb%3E&after=%3Cb%3E');
    expect(page.text).not.toMatch(/"><script>|<b>&/);
  });

  test('a legal hold stands beside the policy, since when and why, until it is released', async () => {
    const visitor = await own.signIn(shop.admin);
    const people = async () => (await visitor.get('/console/people')).text;
    expect(await people()).not.toContain('Legal hold');
    await own.keeper.retention.placeHold(shop.customerId, { why: 'a <court> asked for it' });
    expect(await people()).toMatch(
      /Legal hold<\/dt><dd>all records are kept since [\s\S]*: a &#60;court&#62; asked for it/,
    );
    await own.keeper.retention.releaseHold(shop.customerId, { why: 'it is over' });
    expect(await people()).not.toContain('Legal hold');
  });

  test('a list is filtered by state, service and words, and goes on where the page before ended', async () => {
    const visitor = await own.signIn(shop.admin);
    const ids = (text: string) => [...text.matchAll(/href="\/console\/operations\/(op-\w{8})"/g)].map(([, id]) => id);
    const all = await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.latest(tx, shop.customerId, 200),
    );
    const page = await visitor.get('/console/operations?state=awaiting_consent&service=woocommerce');
    expect(new Set(ids(page.text))).toEqual(
      new Set(all.filter(({ state }) => state === 'awaiting_consent').map(({ id }) => id)),
    );
    const [one] = all;
    expect(ids((await visitor.get(`/console/operations?text=${one?.id.toUpperCase()}`)).text)).toEqual([one?.id]);
    for (const word of ['woo', 'COMMERCE', 'shop.exam'])
      expect(ids((await visitor.get(`/console/operations?text=${word}`)).text)).toContain(one?.id);
    expect((await visitor.get('/console/operations?text=mona')).text).toContain('Mona');
    expect((await visitor.get('/console/operations?text=nothing+like+that')).text).toContain('Nothing fits');
    expect((await visitor.get('/console/operations?text=100%25')).text).toContain('Nothing fits');
    expect((await visitor.get('/console/operations?service=stripe')).text).toContain('Nothing fits');
  });

  test('what no database takes as words or as a day is no failure of ours, and no trail is taken away by it', async () => {
    const admin = await own.signIn(shop.admin);
    for (const path of ['operations?text=a%00b', 'audit?from=0000-01-01&to=1969-12-31', 'audit?kind=%00'])
      expect((await admin.get(`/console/${path}`)).status, path).toBe(200);
    expect((await admin.post('/console/queue/redrive', { job: '\0' })).text).toContain('no such dead job');
    const trail = await admin.post('/console/audit/export', { from: '0000-01-01', format: 'csv' });
    expect([trail.status, trail.headers.get('location')]).toEqual([303, expect.stringContaining('/console/audit')]);
  });

  test('the trail is found by operation, person and kind, and is taken away as it is by the chat', async () => {
    const operation = await grantedOperation(core, shop);
    const visitor = await own.signIn(shop.admin);
    const found = await visitor.get(`/console/audit?operation=${operation.id}&person=${shop.approver.id}&kind=consent`);
    expect(found.text).toContain('consent.granted');
    expect(found.text).not.toContain('operation.requested</b>');
    const export_ = (format: string) => visitor.post('/console/audit/export', { operation: operation.id, format });
    const json = await export_('json');
    expect(JSON.parse(json.text)).toMatchObject({ format: 'countersign-audit/1', operationId: operation.id });
    expect((await export_('csv')).text).toMatch(/^seq,at,kind,/);
    const lines = (await export_('jsonl')).text.trim().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(await kinds(core, operation)).toContain('trail.read');
  });

  test('an entry whose words nobody can open stands there without them, and says why', async () => {
    const there = await installShop(core);
    const operation = await grantedOperation(core, there);
    const visitor = await own.signIn(there.admin);
    const entry = `customer_id = '${there.customerId}' AND operation_id = '${operation.id}' AND kind`;
    const words = 'UPDATE autonomous_operations_audit SET payload';
    await tamper(testDatabase, there, `${words} = NULL WHERE ${entry} = 'consent.granted'`);
    await tamper(
      testDatabase,
      there,
      `${words} = set_byte(payload, 40, 255 - get_byte(payload, 40)) WHERE ${entry} = 'plan.made'`,
    );
    const pages = ['audit', `audit?operation=${operation.id}`, `operations/${operation.id}`, 'people'];
    const look = async () => {
      const seen = await Promise.all(pages.map((path) => visitor.get(`/console/${path}`)));
      expect(seen.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      return seen.map(({ text }) => text);
    };
    for (const text of (await look()).slice(0, 3)) {
      expect(text).toMatch(/consent\.granted.*?words erased/s);
      expect(text).toMatch(/plan\.made.*?words can’t be opened: they are damaged/s);
    }
    const { text } = await visitor.post('/console/audit/export', { operation: operation.id, format: 'jsonl' });
    expect(text).toContain('"payload":"damaged"');
    await own.say(there.admin, `/audit ${operation.id}`);
    expect(JSON.stringify(own.chat.calls.at(-1))).toMatch(
      /#\d+: words erased.*#\d+: words can’t be opened: they are damaged/,
    );
    await tamper(testDatabase, there, "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE ME");
    for (const text of (await look()).slice(0, 3)) expect(text).toContain('their key was destroyed');
  });

  test.each(['operation=nonsense', 'person=nobody', 'kind=%3F', 'from=yesterday'])(
    'a search of the trail for %s finds nothing, and exports nothing',
    async (asked) => {
      const visitor = await own.signIn(shop.admin);
      const { text } = await visitor.get(`/console/audit?${asked}`);
      expect(text).toContain('Nothing fits');
      expect(text).not.toContain('Export the trail');
      if (asked === 'operation=nonsense') expect(text).toContain('value="nonsense"');
      const fields = Object.fromEntries(new URLSearchParams(asked));
      expect((await visitor.post('/console/audit/export', { ...fields, format: 'jsonl' })).status).toBe(303);
    },
  );

  test('a workflow names what a plan fills in by words', async () => {
    const { text } = await (await own.signIn(shop.admin)).get('/console/workflows');
    const said = [...text.matchAll(/<td class="right">\d+<\/td><td>([^<]*)<\/td>/g)].map(([, intent]) => intent ?? '');
    expect(said).toContain('Name it as the plan says');
    expect(said.join('\n')).not.toMatch(/[{}]|“\w+”|\b(?:label|oldLabel|scopeWords|scopes|base|baseHost|\w+_level)\b/);
  });

  test('a step that fails more often is shown to admins, with a picture of then and one of now', async () => {
    const operation = await requestOperation(core, shop);
    const { workflowId, workflowVersion } = operation.plan;
    const { customerId } = shop;
    const [then, now] = [newUuid(), newUuid()];
    await core.database.withCustomer(customerId, async (tx) => {
      const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 640, height: 400, alt: '' };
      for (const id of [then, now])
        await tx.screenshot.create({ data: { customerId, id, operationId: operation.id, step: 4, ...picture } });
      const rates = { beforeDone: 11, beforeAll: 12, recentDone: 6, recentAll: 10 };
      const step = { customerId, id: newUuid(), workflowId, workflowVersion, step: 4, ...rates };
      await tx.stepEpisode.create({ data: { ...step, oldPicture: then, newPicture: now } });
    });
    const { text } = await (await own.signIn(shop.admin)).get('/console/workflows');
    expect(text).toContain('60 % of 10 tries in 7 days, 92 % of 12 in the 30 days before');
    const at = (id: string) => text.indexOf(`/console/operations/${operation.id}/pictures/${id}`);
    expect(at(then)).toBeGreaterThan(0);
    expect(at(now)).toBeGreaterThan(at(then));
  });

  test('an empty list says what to do', async () => {
    const visitor = await own.signIn(await newcomer('Emma'));
    expect((await visitor.get('/console/operations')).text).toContain('set up WooCommerce for shop.example.com');
  });
});
