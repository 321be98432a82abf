// The live stream, asked by whoever has no right to it, or has it no more.
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { fromOwnPages, type StreamAuthenticator } from '../../adapters/api/stream-caller.ts';
import { CLOSED } from '../../adapters/api/stream-client.ts';
import { type Core, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { finishStep, openStream, streamToken, type TestStream } from '../support/stream.ts';

/** For the whole of a test that waits for an end: without its guard there is none. */
const SOON_MS = 20_000;
const PATIENCE = { timeout: 20_000, interval: 10 };

let testDatabase: TestDatabase;
let core: Core;
let [a, b]: Shop[] = [];
const opened: TestStream[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

async function open(authenticators: readonly StreamAuthenticator[] = []): Promise<TestStream> {
  const stream = await openStream(core, { authenticators });
  opened.push(stream);
  return stream;
}

function shops(): readonly [Shop, Shop] {
  if (!a || !b) throw new Error('there are two shops');
  return [a, b];
}

describe('78 the live stream', () => {
  test(
    '78 ends within two seconds of the revocation of its token, and no other one',
    async () => {
      const [shop] = shops();
      const stream = await open();
      const [one, other] = [await streamToken(core, shop), await streamToken(core, shop)];
      const [reader, beside] = [stream.connect({ token: one.token }), stream.connect({ token: other.token })];
      await Promise.all([reader.begun, beside.begun]);
      await core.apiTokens.revoke(shop.customerId, one.id);
      const revokedAt = performance.now();
      const closed = await reader.closed;
      expect(performance.now() - revokedAt).toBeLessThan(2_000);
      expect(closed).toEqual({ code: CLOSED.revoked.code, reason: CLOSED.revoked.words });
      await finishStep(core, await requestOperation(core, shop));
      await vi.waitUntil(() => beside.events.some(({ event }) => event === 'autonomous_progress'), PATIENCE);
      expect(reader.events).toEqual([]);
      await expect(stream.connect({ token: one.token }).begun).rejects.toThrow('HTTP 401');
    },
    SOON_MS,
  );

  test('78 tells nobody of another customer’s operations, whatever it asks for', async () => {
    const [mine, theirs] = shops();
    const stream = await open();
    const [ofMine, ofTheirs] = [await requestOperation(core, mine), await requestOperation(core, theirs)];
    await requestOperation(core, mine); // mine is further than theirs now, and theirs will be further then
    const [me, them] = [(await streamToken(core, mine)).token, (await streamToken(core, theirs)).token];
    // Theirs is read first, so that it lies where readings are kept.
    const other = stream.connect({ token: them, cursor: '0' });
    await other.begun;
    const [all, one] = [
      stream.connect({ token: me, cursor: '0' }),
      stream.connect({ token: me, cursor: '0', operation: ofTheirs.id }),
    ];
    await Promise.all([all.begun, one.begun]);
    await finishStep(core, ofTheirs, { intent: 'of theirs alone' }, 100);
    await vi.waitUntil(
      () => other.events.filter(({ event }) => event === 'autonomous_progress').length >= 100,
      PATIENCE,
    );
    await finishStep(core, ofMine, {}, 3);
    const mineHeard = () => all.events.filter(({ operationId }) => operationId === ofMine.id);
    await vi.waitUntil(() => mineHeard().filter(({ event }) => event === 'autonomous_progress').length >= 3, PATIENCE);
    expect(JSON.stringify([all.events, one.events])).not.toMatch(new RegExp(`${ofTheirs.id}|of theirs alone`));
    expect(one.events).toEqual([]);
    expect(JSON.stringify(other.events)).not.toContain(ofMine.id);
  });

  test('78 is for tokens that are good and have its scope, never in an address', async () => {
    const [shop] = shops();
    const stream = await open();
    const { token } = await streamToken(core, shop);
    const scopeless = await core.apiTokens.create(shop.customerId, { scopes: ['credentials:value'], days: 1 });
    const unknown = `csk_${'0'.repeat(64)}`;
    const refused = async (asking: Parameters<TestStream['connect']>[0]) =>
      stream.connect(asking).begun.then(
        () => 'open',
        (error: Error) => error.message,
      );
    expect(await refused({})).toBe('HTTP 401');
    expect(await refused({ token: unknown })).toBe('HTTP 401');
    expect(await refused({ protocolToken: unknown })).toBe('HTTP 401');
    expect(await refused({ token: scopeless.token.reveal() })).toBe('HTTP 403');
    for (const name of ['token', 'access_token', 'authorization', 'api_key'])
      expect(await refused({ token, query: `${name}=${token}` })).toBe('HTTP 400');
    expect(await refused({ headers: { cookie: `token=${token}` } })).toBe('HTTP 401');
    expect(await refused({ token, operation: 'nothing' })).toBe('HTTP 400');
  });

  test('78 takes a cookie from our own pages alone', async () => {
    const [{ customerId }] = shops();
    const own = 'https://countersign.example.com';
    const session: StreamAuthenticator = {
      admit: async ({ headers }) => (headers.cookie === 'session=good' ? { customerId, key: 'session 1' } : undefined),
      stillGood: async (keys) => new Set(keys),
    };
    const stream = await open([fromOwnPages(session, () => own)]);
    const from = (origin?: string) =>
      stream.connect({ headers: { cookie: 'session=good', ...(origin ? { origin } : {}) } });
    await from(own).begun;
    for (const origin of [
      undefined,
      'null',
      'https://evil.example.com',
      `${own}.evil.example.com`,
      'http://countersign.example.com',
    ])
      await expect(from(origin).begun).rejects.toThrow('HTTP 401');
  });

  test('78 holds no connection of whoever was refused, though they never let go of theirs', async () => {
    const stream = await open();
    const { hostname: host, port, pathname } = new URL(stream.url);
    const asking = [
      ...[`GET ${pathname} HTTP/1.1`, `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket'],
      ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''],
    ].join('\r\n');
    const heard = Array.from({ length: 5 }, () => {
      // Whoever says nothing more and does not hang up either: half of the connection is open still.
      const socket: Socket = connect({ host, port: Number(port), allowHalfOpen: true });
      const words: string[] = [];
      socket.setEncoding('utf8').on('data', (text: string) => words.push(text));
      socket.on('error', () => {}).write(asking);
      return words;
    });
    await vi.waitUntil(() => heard.every((words) => words.join('').includes('"token_missing"')), PATIENCE);
    await vi.waitUntil(async () => (await stream.connections()) === 0, { timeout: 5_000, interval: 10 });
  });

  test(
    '78 ends with its token’s time',
    async () => {
      const [, shop] = shops();
      const stream = await open();
      const reader = stream.connect({ token: (await streamToken(core, shop, 1)).token });
      await reader.begun;
      await shiftClock(testDatabase.ownerUrl, '25 hours');
      expect((await reader.closed).code).toBe(CLOSED.revoked.code);
    },
    SOON_MS,
  );
});
