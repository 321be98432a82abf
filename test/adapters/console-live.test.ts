// What pages of the console hear by the live stream: that something happened, and nothing of what. And a page that comes in two parts.
import { request } from 'node:http';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { openConsole, type TestConsole } from '../support/console.ts';
import { type Core, cancel, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

const PATIENCE = { timeout: 20_000, interval: 10 };

let testDatabase: TestDatabase;
let core: Core;
let own: TestConsole;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  own = await openConsole(core, { pingMs: 300, ofCustomer: 12 });
  shop = await installShop(core);
});

afterAll(async () => {
  await own.close();
  await core.close();
  await testDatabase.drop();
});

interface Listening {
  readonly said: { event: string; cursor: string; operationId?: string }[];
  /** The status, where it was refused. */
  readonly begun: Promise<unknown>;
  readonly closed: Promise<number>;
  close(): void;
}

function listen(cookie: string | undefined, origin: string | undefined = own.origin, query = ''): Listening {
  const headers = { ...(cookie ? { cookie } : {}), ...(origin ? { origin } : {}) };
  const url = `${own.origin.replace('http', 'ws')}/api/autonomous/stream${query}`;
  const socket = new WebSocket(url, ['countersign.v1'], { headers });
  const said: Listening['said'] = [];
  const begun = Promise.withResolvers<unknown>();
  const closed = Promise.withResolvers<number>();
  socket.on('message', (text) => {
    said.push(JSON.parse(String(text)));
    begun.resolve('begun');
  });
  socket.on('unexpected-response', (request, { statusCode }) => {
    begun.resolve(statusCode);
    request.destroy();
  });
  socket.on('error', () => begun.resolve('error'));
  socket.on('close', (code) => closed.resolve(code));
  return { said, begun: begun.promise, closed: closed.promise, close: () => socket.close() };
}

describe('a page of the console', () => {
  test('hears that something happened to an operation, without a word of what, and that all is well', async () => {
    const page = listen((await own.signIn(shop.approver)).cookie);
    expect(await page.begun).toBe('begun');
    const { id } = await requestOperation(core, shop);
    await vi.waitUntil(() => page.said.some(({ operationId }) => operationId === id), PATIENCE);
    const told = page.said.find(({ operationId }) => operationId === id);
    expect(told).toEqual({ event: 'changed', operationId: id, cursor: expect.stringMatching(/^\d+$/) });
    const { length } = page.said;
    await vi.waitUntil(() => page.said.length >= length + 2, PATIENCE); // though nothing happens
    expect(page.said.at(-1)?.cursor).toBe(page.said.at(-2)?.cursor);
    page.close();
  });

  test('goes on where it ended', async () => {
    const { cookie } = await own.signIn(shop.admin);
    const page = listen(cookie);
    await page.begun;
    const cursor = page.said[0]?.cursor;
    page.close();
    await page.closed;
    const { id } = await requestOperation(core, shop);
    const again = listen(cookie, own.origin, `?cursor=${cursor}`);
    await vi.waitUntil(() => again.said.some(({ operationId }) => operationId === id), PATIENCE);
    again.close();
  });

  test('of a merchant hears of their own operations alone', async () => {
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, {
        ...{ platform: 'web', workspaceId: shop.workspaceId, userId: 'U-other', name: 'Otto' },
      }),
    );
    const [theirs, mine] = [listen((await own.signIn(other)).cookie), listen((await own.signIn(shop.merchant)).cookie)];
    await Promise.all([theirs.begun, mine.begun]);
    const operation = await requestOperation(core, shop);
    await cancel(core, operation);
    await vi.waitUntil(() => mine.said.filter(({ event }) => event === 'changed').length > 1, PATIENCE);
    const newest = BigInt(mine.said.findLast(({ event }) => event === 'changed')?.cursor ?? 0);
    await vi.waitUntil(() => BigInt(theirs.said.at(-1)?.cursor ?? 0) >= newest, PATIENCE);
    expect(theirs.said.filter(({ event }) => event === 'changed')).toEqual([]);
    theirs.close();
    mine.close();
  });
});

test('a request that offers another protocol than WebSocket is answered as if it had not', async () => {
  for (const offered of ['h2c', 'TLS/1.0', 'HTTP/2.0']) {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: offered, 'http2-settings': 'AAMAAABkAAQAAP__' };
    const asked = request(`${own.origin}/healthz`, { headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.on('error', reject).end();
    expect([offered, await promise]).toEqual([offered, 200]);
  }
});

describe('150 the live stream of a session', () => {
  test('150 is for pages of our own with the cookie of a good session', async () => {
    const { cookie } = await own.signIn(shop.admin);
    for (const [given, origin] of [
      [undefined, own.origin],
      [`countersign=${'x'.repeat(43)}`, own.origin],
      [cookie, 'https://evil.example.com'],
      [cookie, 'null'],
      [cookie, ''],
    ] as const)
      expect(await listen(given, origin).begun, `${given} ${origin}`).toBe(401);
  });

  test.each(['leaves', 'loses a role', 'has looked at nothing for an hour'])(
    '150 ends within two seconds when its person %s',
    async (how) => {
      const visitor = await own.signIn(shop.approver);
      const page = listen(visitor.cookie);
      await page.begun;
      const began = performance.now();
      if (how === 'leaves') await visitor.post('/console/sign-out');
      else if (how === 'loses a role')
        await core.database.withCustomer(shop.customerId, (tx) =>
          core.customers.setApprovers(tx, shop.customerId, [shop.admin.person], false),
        );
      else await shiftClock(testDatabase.adminUrl, '61 minutes');
      expect(await page.closed).toBe(4401);
      expect(performance.now() - began).toBeLessThan(2_000);
      if (how === 'loses a role')
        await core.database.withCustomer(shop.customerId, (tx) =>
          core.customers.setApprovers(tx, shop.customerId, [shop.approver.person], false),
        );
    },
  );

  test('150 ends within two seconds when it turns out who its person is', async () => {
    const link = (...accounts: Shop['admin'][]) =>
      core.database.withCustomer(shop.customerId, (tx) => core.customers.link(tx, shop.customerId, accounts));
    await link(shop.merchant, shop.secondApprover);
    const page = listen((await own.signIn(shop.merchant)).cookie);
    expect(await page.begun).toBe('begun');
    const began = performance.now();
    await link(shop.merchant);
    expect(await page.closed).toBe(4401);
    expect(performance.now() - began).toBeLessThan(2_000);
    await link(shop.secondApprover);
  });

  test('150 of one customer’s people and programs takes no more than its share', async () => {
    const cookies = [await own.signIn(shop.admin), await own.signIn(shop.merchant)].map(({ cookie }) => cookie);
    const pages: Listening[] = [];
    for (let n = 0; n < 12; n++) pages.push(listen(cookies[n % 2]));
    const begun = await Promise.all(pages.map((page) => page.begun));
    expect(begun.filter((each) => each === 'begun')).toHaveLength(12);
    expect(await listen(cookies[0]).begun).toBe(429);
    const foreign = await installShop(core);
    const theirs = listen((await own.signIn(foreign.admin)).cookie);
    expect(await theirs.begun).toBe('begun');
    for (const page of [...pages, theirs]) page.close();
  });
});

describe('the page Health, whose plots take longer', () => {
  test('shows how things stand meanwhile, and says so where they could not be made', async () => {
    const { cookie } = await own.signIn(shop.admin);
    const busy = new pg.Client({ connectionString: testDatabase.adminUrl });
    await busy.connect();
    const open = async () => {
      const answer = await fetch(`${own.origin}/console/health`, { headers: { cookie } });
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      if (!reader) throw new Error('the page has no body');
      return { status: answer.status, reader };
    };
    const rest = async (reader: Awaited<ReturnType<typeof open>>['reader']) => {
      let text = '';
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += piece.value;
      return text;
    };
    try {
      await busy.query('BEGIN');
      await busy.query('LOCK TABLE operation_steps IN ACCESS EXCLUSIVE MODE');
      for (const end of [
        'SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = $1',
        'COMMIT',
      ]) {
        const { status, reader } = await open();
        const first = await reader.read();
        expect([status, first.value]).toEqual([200, expect.stringContaining('<h2>Now</h2>')]);
        expect(first.value).not.toContain('<h2>Success</h2>');
        if (end === 'COMMIT') await busy.query(end);
        else await vi.waitUntil(async () => (await busy.query(end, ['Lock'])).rowCount, PATIENCE);
        const text = await rest(reader);
        expect(text).toContain(end === 'COMMIT' ? '<h2>Success</h2>' : 'The rest of this page could not be made.');
        expect(text).toMatch(/<\/html>\n$/);
      }
    } finally {
      await busy.end();
    }
  });
});
