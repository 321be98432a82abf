// The console over HTTP: who comes in, and who sees and changes what.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CONSOLE_ROUTES } from '../../adapters/console/index.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { asCustomer } from '../support/by-hand.ts';
import { openConsole, type TestConsole, type Visitor } from '../support/console.ts';
import {
  type Core,
  installShop,
  look,
  newcomer,
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
    const guest = await newcomer(core, shop, 'Gus');
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
    const ben = await newcomer(core, shop, 'Ben');
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
    const carl = await newcomer(core, shop, 'Carl');
    const { id } = await requestOperation(core, shop, { requester: carl });
    const visitor = await own.signIn(carl);
    own.platform.says = () => Promise.reject(new Error('away'));
    expect((await visitor.get('/console/operations')).status).toBe(503);
    own.platform.says = () => ({ kind: 'member', isInGroup: false });
    const token = /name="csrf" value="([^"]+)"/.exec((await visitor.get('/console/operations')).text)?.[1];
    expect(token).toBeDefined();
    const dora = await newcomer(core, shop, 'Dora');
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
      stranger: await own.signIn(await newcomer(core, shop, 'Stan')),
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
    const { id } = await requestOperation(core, shop, { requester: await newcomer(core, shop, 'Nora') });
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
