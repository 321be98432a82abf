// One database for all, and two processes’ worth of everything on it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiRoutes } from '../../adapters/api/api.ts';
import { connectRoutes } from '../../adapters/api/connect.ts';
import { route } from '../../adapters/api/route.ts';
import { type ApiServer, createApiServer } from '../../adapters/api/server.ts';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import { createDatabase } from '../../core/database.ts';
import { createGuesses, MOST_GUESSES } from '../../core/guesses.ts';
import { createSharedLimits, type Limit, take } from '../../core/limits.ts';
import { countFailedSignIn, signInWait } from '../../core/operations/sign-in-limit.ts';
import type { Card } from '../../core/ports/chat.ts';
import type { ConnectPages } from '../../core/ports/connect.ts';
import { services } from '../../core/services/index.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import {
  type Core,
  installShop,
  look,
  openCore,
  patiently,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const PER_HOUR = 10;
/** Of a site that answers. */
let TARGET: string;

let testDatabase: TestDatabase;
/** Two processes' worth of everything: nothing in memory is shared. */
const cores: Core[] = [];
let keeper: Keeper;

let site: LoopbackSite;
beforeAll(async () => {
  site = await serveSite({ '/': 'a shop' });
  TARGET = site.authority;
  testDatabase = await createTestDatabase();
  for (let n = 0; n < 2; n++) cores.push(await openCore(testDatabase, { perHour: PER_HOUR }));
  keeper = keepTrails(core());
});
afterAll(async () => {
  await site?.close();
  for (const each of cores) await each.close();
  keeper.remove();
  await testDatabase.drop();
});

function core(n = 0): Core {
  const found = cores[n % cores.length];
  if (!found) throw new Error('the database is not open');
  return found;
}

const fresh = () => installShop(core());

function contextOf(each: Core, chat: RecordingChat): Context {
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const progress = createProgress({ ...each, log: silentLog, chat: () => chat, pictureUrl });
  const egress = createEgress({ privateTargets: [TARGET], log: silentLog });
  return {
    ...each,
    ...{
      progress,
      egress,
      http: createHttp({ egress }),
      services,
      model: undefined,
      log: silentLog,
      checkpoints: keeper.checkpoints,
    },
    publicUrl: () => 'http://localhost:3000',
    chat: () => chat,
  };
}

let messages = 0;
/** "set up WooCommerce" by the shop's merchant, in a thread of its own. */
function asked(shop: Shop, id = `limits-${++messages}`) {
  return {
    kind: 'message',
    id,
    thread: { platform: 'web', workspaceId: shop.workspaceId, ref: `thread-${id}` },
    from: shop.merchant.person,
    text: `set up WooCommerce for http://${TARGET}`,
  } as const;
}

const wordsOf = (card: Card | undefined) =>
  (card?.blocks ?? [])
    .flatMap((block) => (block.kind === 'text' ? block.text : []))
    .map((span) => ('text' in span ? span.text : span.kind === 'time' ? span.at.toISOString() : ''))
    .join('');

describe('64 a limit', () => {
  const limit = { name: 'attack', quota: 10, windowSeconds: 3_600 };
  const takeFrom = (shop: Shop, which: Limit, n: number) =>
    patiently(() => core(n).database.withCustomer(shop.customerId, (tx) => take(tx, shop.customerId, which)));

  test('of ten lets exactly ten of a thousand through, who come to two processes at once', async () => {
    const shop = await fresh();
    const taken = await Promise.all(Array.from({ length: 1_000 }, (_, n) => takeFrom(shop, limit, n)));
    expect(taken.filter(({ isAllowed }) => isAllowed)).toHaveLength(10);
    for (const { isAllowed, retrySeconds } of taken) expect(isAllowed || retrySeconds > 0).toBe(true);
  }, 120_000);

  test('is not passed by coming at the edge of its window: what was used is back one by one, never all at once', async () => {
    const shop = await fresh();
    const many = () => Promise.all(Array.from({ length: 30 }, (_, n) => takeFrom(shop, limit, n)));
    const allowed = (all: Awaited<ReturnType<typeof many>>) => all.filter(({ isAllowed }) => isAllowed).length;
    expect(allowed(await many())).toBe(10);
    await shiftClock(testDatabase.ownerUrl, '355 seconds');
    expect(allowed(await many())).toBeLessThanOrEqual(1); // on a machine so slow that the last seconds pass meanwhile
    await shiftClock(testDatabase.ownerUrl, '10 seconds');
    expect(allowed(await many())).toBeLessThanOrEqual(1);
    await shiftClock(testDatabase.ownerUrl, '3600 seconds');
    expect(allowed(await many())).toBe(10);
  }, 120_000);

  test('that can not be counted lets nothing through, and says that nothing was done', async () => {
    const shop = await fresh();
    const nowhere = createDatabase({
      url: 'postgresql://countersign@127.0.0.1:9/none',
      rootKeys: testRootKeys,
      poolSize: 1,
    });
    const refused = { code: 'database_unavailable', message: 'The database did not answer. Nothing was changed.' };
    const shared = createSharedLimits(nowhere);
    try {
      await expect(
        nowhere.withCustomer(shop.customerId, (tx) => take(tx, shop.customerId, limit)),
      ).rejects.toMatchObject(refused);
      await expect(shared.take(limit)).rejects.toMatchObject(refused);
      await expect(shared.book(limit)).rejects.toMatchObject(refused);
      await withServer({ shared }, async (ask) => {
        const answer = await ask('/connect/good');
        expect([answer.status, await answer.text()]).toEqual([
          500,
          'Something went wrong on our side. Please try again. If the link is closed now, ask for another one.\n',
        ]);
      });
    } finally {
      await nowhere.close();
    }
  });
});

describe('64 operations in an hour', () => {
  test('are exactly as many as are allowed, of sixty who ask at once', async () => {
    const shop = await fresh();
    const chat = createRecordingChat();
    const contexts = cores.map((each) => contextOf(each, chat));
    await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const context = contexts[n % contexts.length];
        if (context) await converse(context, asked(shop));
      }),
    );
    const rows = await sql(testDatabase.adminUrl, 'SELECT id FROM autonomous_operations WHERE customer_id = $1', [
      shop.customerId,
    ]);
    expect(rows).toHaveLength(PER_HOUR);
    const refusals = chat.calls.filter(({ card }) => /which is the limit/.test(wordsOf(card)));
    expect(refusals).toHaveLength(60 - PER_HOUR);
  }, 180_000);

  test('that are used up leave nothing behind; the thread says when to come back, and it is so', async () => {
    const shop = await fresh();
    for (let n = 0; n < PER_HOUR; n++) await requestOperation(core(), shop);
    const chat = createRecordingChat();
    const context = contextOf(core(), chat);
    const event = asked(shop);
    const rows = async () =>
      (
        await sql(testDatabase.adminUrl, 'SELECT seq FROM autonomous_operations_audit WHERE customer_id = $1', [
          shop.customerId,
        ])
      ).length;
    const before = await rows();
    await converse(context, event);
    await converse(context, event); // the platform repeats itself
    expect(await rows()).toBe(before);
    expect(chat.shown()).toHaveLength(1);
    const words = wordsOf(chat.shown()[0]);
    expect(words).toMatch(
      /^10 requests came from here within an hour, which is the limit\. Nothing was done\. Ask again at \S+Z\.$/,
    );
    const at = Date.parse(words.match(/at (\S+Z)/)?.[1] ?? '');
    expect(at - Date.now()).toBeLessThan(8_000_000); // by the database's clock, which earlier tests have put ahead
    await shiftClock(testDatabase.ownerUrl, '361 seconds');
    await converse(context, event);
    const operations = await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations WHERE customer_id = $1', [
      shop.customerId,
    ]);
    expect(operations).toHaveLength(PER_HOUR + 1);
  });
});

/** The one-time pages and the API on a server; one link is good. */
async function withServer(
  options: { shared: ReturnType<typeof createSharedLimits>; isBehindProxy?: boolean },
  work: (ask: (path: string, from?: string, token?: string) => Promise<Response>) => Promise<void>,
): Promise<void> {
  const guesses = createGuesses(options.shared);
  const publicUrl = () => 'https://countersign.example.com';
  const view = {
    ...{ kind: 'reveal', label: 'a key', operationId: 'op-7k3f9q2m', title: '', origin: '', person: 'Mona' },
    expiresAt: new Date(),
  } as const;
  const pages: ConnectPages = {
    look: async (token) => (token === 'good' ? view : undefined),
    submit: async () => ({ kind: 'gone' }),
    granted: async () => false,
  } as ConnectPages; // these are all of it
  const server: ApiServer = createApiServer({
    ...{ port: 0, isLocal: true, log: silentLog, isReady: async () => true },
    ...(options.isBehindProxy ? { isBehindProxy: true } : {}),
    routes: [
      connectRoutes({ pages, guesses, publicUrl }),
      apiRoutes({ ...core(), guesses, publicUrl, log: silentLog }, [
        route({
          ...{ method: 'get', path: '/nothing', id: 'nothing', scope: 'credentials:value' },
          ...{ summary: 'No token gets as far as this.', answers: {}, answer: async () => undefined },
        }),
      ]),
    ],
  });
  const { port } = await server.start();
  try {
    await work((path, from, token) =>
      fetch(`http://127.0.0.1:${port}${path}`, {
        headers: {
          ...(from ? { 'X-Forwarded-For': from } : {}),
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
        },
      }),
    );
  } finally {
    await server.stop();
  }
}

describe('64 guessing', () => {
  test('at links ends after a few for its source, good ones included, and for nobody else; a made-up source does not help', async () => {
    const shared = createSharedLimits(core().database);
    await withServer({ shared, isBehindProxy: true }, async (ask) => {
      const wrong = await Promise.all(
        Array.from({ length: MOST_GUESSES * 2 }, (_, n) => ask(`/connect/wrong-${n}`, `198.51.100.${n}, 203.0.113.7`)),
      );
      expect(wrong.every(({ status }) => status === 410 || status === 429)).toBe(true);
      const blocked = await ask('/connect/good', '203.0.113.7');
      expect([blocked.status, Number(blocked.headers.get('retry-after'))]).toEqual([429, expect.any(Number)]);
      expect(Number(blocked.headers.get('retry-after'))).toBeLessThanOrEqual(3600 / MOST_GUESSES);
      expect(await blocked.text()).toMatch(/Too many links that lead nowhere.*Nothing was done.*in 2 minutes/);
      expect((await ask('/connect/good', '203.0.113.8')).status).toBe(200);
      // A token is guessed at from the same source; and a household's other IPv6 addresses are the same one.
      expect((await ask('/api/autonomous/nothing', '203.0.113.7', 'csk_x')).status).toBe(429);
    });
  });

  test('at tokens ends, too, also from many addresses of one network', async () => {
    const shared = createSharedLimits(core(1).database);
    await withServer({ shared, isBehindProxy: true }, async (ask) => {
      const statuses: number[] = [];
      for (let n = 0; n <= MOST_GUESSES; n++)
        statuses.push((await ask('/api/autonomous/nothing', `2001:db8:0:1::${n.toString(16)}`, 'csk_x')).status);
      expect(statuses).toEqual([...Array.from({ length: MOST_GUESSES }, () => 401), 429]);
      expect((await ask('/api/autonomous/nothing', '2001:db8:0:2::1', 'csk_x')).status).toBe(401);
    });
  });

  test('is not attributed to whom a header names, where no proxy stands before the server', async () => {
    const shared = createSharedLimits(core().database);
    await withServer({ shared }, async (ask) => {
      for (let n = 0; n <= MOST_GUESSES; n++) await ask(`/connect/wrong-${n}`, `192.0.2.${n}`);
      expect((await ask('/connect/good', '192.0.2.200')).status).toBe(429);
    });
  });
});

describe('64 failed sign-ins', () => {
  let practice: PracticeShop;
  let worker: Worker;

  beforeAll(async () => {
    practice = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
    worker = await openWorker(testDatabase, { target: new URL(practice.origin).host });
  });
  afterAll(async () => {
    await worker.close();
    await practice.close();
  });

  const queued = (shop: Shop, password: string) =>
    queuedOperation(
      worker.core,
      shop,
      { origin: practice.origin, base: practice.origin },
      { admin_username: practice.username, admin_password: password },
    );

  test('at one shop are three in an hour at most: a fourth is not even tried, and the thread says so', async () => {
    const shop = await fresh();
    const waiting = await queued(shop, practice.password); // asked for and approved before the others failed
    const at = { service: waiting.service.id, base: practice.origin };
    for (let n = 0; n < 2; n++)
      await core().database.withCustomer(shop.customerId, (tx) => countFailedSignIn(tx, shop.customerId, at));
    const third = await queued(shop, 'not the password');
    await worker.run(third);
    expect((await look(core(), third)).errorCode).toBe('sign_in_refused');
    await worker.run(waiting);
    const ended = await look(core(), waiting);
    expect(ended).toMatchObject({
      ...{ state: 'failed', errorCode: 'sign_in_refused' },
      errorMessage: expect.stringMatching(/^3 sign-ins at \S+ failed within an hour\. .* no other was tried/),
    });
    expect((await trail(core(), waiting)).filter(({ kind }) => kind === 'step.finished')).toEqual([]);
    expect([practice.keys(), practice.failedSignIns()]).toEqual([[], 1]);
    const again = await core().operations.request(shop.customerId, {
      threadId: shop.threadId,
      requester: shop.merchant,
      service: waiting.service,
      type: waiting.type,
      origin: practice.origin,
      base: practice.origin,
      permissions: waiting.plan.permissions,
    });
    expect(again).toMatchObject({ tooSoon: 'sign_ins', most: 3 });
    await shiftClock(testDatabase.ownerUrl, '3601 seconds');
    const last = await queued(shop, practice.password);
    await worker.run(last);
    expect((await look(core(), last)).state).toBe('completed');
  }, 240_000);

  test('are counted for each shop by itself, and no more than three are in any hour', async () => {
    const shop = await fresh();
    const at = (base: string) => ({ service: 'woocommerce', base });
    const fail = (base: string) =>
      core().database.withCustomer(shop.customerId, (tx) => countFailedSignIn(tx, shop.customerId, at(base)));
    const wait = (base: string) =>
      core().database.withCustomer(shop.customerId, (tx) => signInWait(tx, shop.customerId, at(base)));
    const [one, two] = ['https://one.example.com', 'https://two.example.com'];
    await Promise.all([fail(one), fail(one), fail(one), fail(one)]);
    expect(await wait(one)).toBeGreaterThan(3_500);
    expect(await wait(two)).toBe(0);
    await shiftClock(testDatabase.ownerUrl, '3601 seconds');
    expect(await wait(one)).toBe(0);
    await fail(one);
    expect(await wait(one)).toBeGreaterThan(3_500); // the one of this hour, not three more
  });
});

describe('64 a platform’s rate', () => {
  test('is kept by two processes together: each message has a time of its own, in line', async () => {
    const shared = [createSharedLimits(core(0).database), createSharedLimits(core(1).database)];
    const book = (limit: Limit, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) => (shared[n % 2] ?? createSharedLimits(core().database)).book(limit)),
      );
    const began = performance.now();
    const posts = await book({ name: 'slack post C1', quota: 1, windowSeconds: 1 }, 20);
    const tookMs = performance.now() - began;
    const waits = posts.toSorted((a, b) => a - b);
    // The last one goes 19 s after the first, but for what passed while they were booked.
    expect(waits.at(-1)).toBeGreaterThan(19_000 - tookMs);
    expect(waits.at(-1)).toBeLessThanOrEqual(19_000);
    expect(new Set(posts.map((ms) => Math.ceil(ms))).size).toBeGreaterThanOrEqual(19);
    const updates = await book({ name: 'slack update T1', quota: 50, windowSeconds: 60 }, 60);
    expect(updates.filter((ms) => ms === 0).length).toBeGreaterThanOrEqual(50);
    expect(Math.max(...updates)).toBeLessThanOrEqual(10 * 1_200);
  });

  test('leaves nothing behind once it has long been full again', async () => {
    const shared = createSharedLimits(core().database);
    await shared.book({ name: 'old', quota: 1, windowSeconds: 1 });
    await shiftClock(testDatabase.ownerUrl, '25 hours');
    await shared.book({ name: 'new', quota: 1, windowSeconds: 1 });
    await shared.prune();
    expect(await sql(testDatabase.adminUrl, 'SELECT FROM app.shared_limits')).toHaveLength(1);
  });
});

describe('64 pictures', () => {
  test('are kept up to the customer’s room for them, exactly, of however many at once', async () => {
    const shop = await fresh();
    const operation = await requestOperation(core(), shop);
    const picture = {
      mediaType: 'image/png',
      width: 1,
      height: 1,
      alt: '',
      operationId: operation.id,
      step: 1,
    } as const;
    const bytes = Buffer.alloc(100_000);
    const put = (n: number) =>
      createScreenshots({ ...core(n), mbPerMonth: 1 }).put(shop.customerId, { ...picture, bytes });
    const kept = await Promise.all(Array.from({ length: 20 }, (_, n) => patiently(() => put(n))));
    expect(kept.filter((id) => id !== undefined)).toHaveLength(10);
    const rows = await sql(testDatabase.adminUrl, 'SELECT FROM screenshots WHERE customer_id = $1', [shop.customerId]);
    expect(rows).toHaveLength(10);
  });
});
