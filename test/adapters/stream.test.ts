import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CLOSED } from '../../adapters/api/stream-client.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createPictureLinks } from '../../core/vault/picture-links.ts';
import {
  type Core,
  cancel,
  connected,
  installShop,
  openCore,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { finishStep, openStream, type StreamReader, streamToken, type TestStream } from '../support/stream.ts';

const PATIENCE = { timeout: 20_000, interval: 10 };

let testDatabase: TestDatabase;
let relay: PostgresRelay;
let core: Core;
const opened: TestStream[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  relay = await openPostgresRelay(testDatabase.programUrl);
  core = await openCore(testDatabase);
});
afterEach(async () => {
  relay.mend();
  for (const each of opened.splice(0)) await each.close();
});
afterAll(async () => {
  await core.close();
  await relay.close();
  await testDatabase.drop();
});

async function open(options: Parameters<typeof openStream>[1] = {}): Promise<TestStream> {
  const stream = await openStream(core, options);
  opened.push(stream);
  return stream;
}

/** A customer with an operation that waits, and a token that reads about it. */
async function customer(): Promise<{ shop: Shop; operation: Operation; token: string }> {
  const shop = await installShop(core);
  return { shop, operation: await requestOperation(core, shop), token: (await streamToken(core, shop)).token };
}

const heard = (reader: StreamReader, events: number) =>
  vi.waitUntil(() => reader.events.length >= events, PATIENCE).then(() => reader.events);

/** The numbers of all entries that the stream tells of, in order. */
async function onRecord({ customerId }: Shop): Promise<string[]> {
  const text = `SELECT seq::text FROM autonomous_operations_audit WHERE customer_id = $1 AND operation_id IS NOT NULL
    AND kind ~ '^(operation|consent|credentials|question|plan|step|guide)[.]' ORDER BY autonomous_operations_audit.seq`;
  return (await sql<{ seq: string }>(testDatabase.adminUrl, text, [customerId])).map(({ seq }) => seq);
}

describe('the live stream', () => {
  test('tells of each step with its picture’s address, and of each change of state', async () => {
    const { operation, token } = await customer();
    const reader = (await open()).connect({ token });
    await reader.begun;
    const screenshotId = newUuid();
    await finishStep(core, operation, { screenshotId });
    await cancel(core, operation);
    const [step, change] = await heard(reader, 2);
    const { id: operationId, customerId, steps } = operation;
    expect(step).toMatchObject({
      ...{ event: 'autonomous_progress', operationId, step: 1, totalSteps: steps.length, outcome: 'done' },
      ...{ intent: 'Open the page of keys', rung: 'replayed', durationMs: 1200 },
    });
    expect(change).toMatchObject({
      event: 'operation_changed',
      operationId,
      kind: 'operation.cancelled',
      state: 'cancelled',
    });
    const link = step?.event === 'autonomous_progress' ? (step.screenshot ?? '') : '';
    const read = createPictureLinks(testRootKeys).read;
    expect(read(link.split('/').at(-1) ?? '')).toEqual({ customerId, pictureId: screenshotId });
  });

  test('begins where it is told to: now, at the beginning, or after a cursor; and with one operation alone', async () => {
    const { shop, operation, token } = await customer();
    const stream = await open();
    const all = await onRecord(shop);
    expect(all.length).toBeGreaterThan(2);
    const cursors = async (asking: object, events: number) =>
      (await heard(stream.connect({ token, ...asking }), events)).map(({ cursor }) => cursor);
    expect(await cursors({ cursor: '0' }, all.length)).toEqual(all);
    expect(await cursors({ cursor: all[0] }, all.length - 1)).toEqual(all.slice(1));
    const now = stream.connect({ token });
    await now.begun;
    expect(now.cursors).toEqual([String(BigInt(all.at(-1) ?? 0) + 1n)]); // the token’s own entry
    await finishStep(core, { ...shop, id: (await requestOperation(core, shop)).id });
    const one = stream.connect({ token, cursor: '0', operation: operation.id.toUpperCase() });
    await finishStep(core, operation);
    const ids = (await heard(one, all.length + 1)).map(({ operationId }) => operationId);
    expect(new Set(ids)).toEqual(new Set([operation.id]));
    expect((await heard(now, 2)).length).toBeGreaterThan(1);
  });

  test('loses nothing and says nothing twice to a client that is cut off again and again while many append', async () => {
    const { shop, operation, token } = await customer();
    const stream = await open();
    const before = (await onRecord(shop)).at(-1) ?? '0';
    const lanes = Promise.all(
      Array.from({ length: 5 }, async () => {
        for (let n = 0; n < 24; n++) await finishStep(core, operation);
      }),
    );
    const told: string[] = [];
    let cursor: string | undefined = before;
    let cuts = 0;
    while (told.length < 120) {
      const reader: StreamReader = stream.connect({ token, ...(cursor === undefined ? {} : { cursor }) });
      await heard(reader, Math.min(7, 120 - told.length));
      reader.socket.terminate();
      await reader.closed;
      // Of however many came at once, the client had seen these when it was cut off.
      const seen = reader.events.slice(0, 7).map((event) => event.cursor);
      told.push(...seen);
      cursor = seen.at(-1);
      cuts += 1;
    }
    await lanes;
    expect(cuts).toBeGreaterThan(2);
    expect(told).toEqual((await onRecord(shop)).filter((seq) => BigInt(seq) > BigInt(before)));
  });

  test('goes on by itself after the database was away', async () => {
    const { shop, operation, token } = await customer();
    const through = await openCore({ programUrl: relay.url });
    const stream = await openStream(through);
    try {
      const reader = stream.connect({ token });
      await reader.begun;
      await finishStep(core, operation);
      await heard(reader, 1);
      relay.cut();
      await finishStep(core, operation, {}, 2); // what it can't hear of
      relay.mend();
      await heard(reader, 3);
      expect(reader.events.map(({ cursor }) => cursor)).toEqual((await onRecord(shop)).slice(-3));
    } finally {
      await stream.close();
      await through.close();
    }
  });

  test('has one listening connection for two hundred clients, and each hears all', async () => {
    const { shop, operation } = await customer();
    const stream = await open({ limits: { ofCaller: 40 } });
    const tokens: string[] = [];
    for (let n = 0; n < 5; n++) tokens.push((await streamToken(core, shop)).token);
    const readers = tokens.flatMap((token) => Array.from({ length: 40 }, () => stream.connect({ token })));
    await Promise.all(readers.map(({ begun }) => begun));
    await finishStep(core, operation, {}, 3);
    await Promise.all(readers.map((reader) => heard(reader, 3)));
    const listening =
      "SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'countersign countersign_audit'";
    expect(await sql(testDatabase.adminUrl, listening, [testDatabase.name])).toHaveLength(1);
    for (const { events } of readers)
      expect(events.map(({ cursor }) => cursor)).toEqual(readers[0]?.events.map(({ cursor }) => cursor));
  });
});

describe('a cursor', () => {
  test.each(['', 'x', '-1', '01', '1e3', '0x1', '1.0', '99999999', '9'.repeat(30)])(
    'that is none, such as “%s”, is refused with a code of its own',
    async (cursor) => {
      const { token } = await customer();
      const { closed, events } = (await open()).connect({ token, query: `cursor=${cursor}` });
      expect(await closed).toEqual({ code: CLOSED.cursor_invalid.code, reason: CLOSED.cursor_invalid.words });
      expect(events).toEqual([]);
    },
  );

  test('that lies before what is kept is refused, so that nobody takes a gap for silence', async () => {
    const { shop, token } = await customer();
    const all = await onRecord(shop);
    await connected(testDatabase.adminUrl, async (admin) => {
      await admin.query('SET session_replication_role = replica'); // as retention does, which is trusted with it
      await admin.query('DELETE FROM autonomous_operations_audit WHERE customer_id = $1 AND seq < $2', [
        shop.customerId,
        all.at(-1),
      ]);
    });
    const stream = await open();
    expect((await stream.connect({ token, cursor: '1' }).closed).code).toBe(CLOSED.cursor_gone.code);
    const rest = await heard(stream.connect({ token, cursor: '0' }), 1);
    expect(rest.map(({ cursor }) => cursor)).toEqual(all.slice(-1));
    const next = stream.connect({ token, cursor: String(Number(all.at(-1)) - 1) });
    expect((await heard(next, 1))[0]?.cursor).toBe(all.at(-1));
  });

  test('moves on with entries that are not told of, and the client is told so', async () => {
    const { shop, token } = await customer();
    const reader = (await open({ limits: { pingMs: 50 } })).connect({ token });
    await reader.begun;
    const { seq } = await core.database.withCustomer(shop.customerId, (tx) =>
      core.audit.append(tx, shop.customerId, { kind: 'trail.read', actor: shop.admin.id }),
    );
    await vi.waitUntil(() => reader.cursors.includes(String(seq)), PATIENCE);
    expect(reader.events).toEqual([]);
  });
});

describe('a client', () => {
  test('that reads too slowly is held and then let go, while others hear all, and misses nothing when it is back', async () => {
    const { shop, operation, token } = await customer();
    const closedBy: string[] = [];
    const metrics = { streamClients() {}, streamSent() {}, streamClosed: (why: string) => void closedBy.push(why) };
    const stream = await open({ metrics, limits: { bufferedBytes: 16_384, slowMs: 400 } });
    const [slow, quick] = [stream.connect({ token }), stream.connect({ token })];
    await Promise.all([slow.begun, quick.begun]);
    slow.socket.pause();
    const intent = 'a sentence of sixty thousand characters '.repeat(1_500);
    await finishStep(core, operation, { intent }, 150);
    await heard(quick, 150);
    await vi.waitUntil(() => closedBy.includes('slow'), PATIENCE);
    slow.socket.resume();
    await slow.closed;
    const got = slow.events.map(({ cursor }) => cursor);
    expect(got.length).toBeLessThan(150); // what is not read is not held in memory
    const again = stream.connect({ token, cursor: slow.cursor() ?? '' });
    await heard(again, 150 - got.length);
    expect([...got, ...again.events.map(({ cursor }) => cursor)]).toEqual((await onRecord(shop)).slice(-150));
  });

  test('that does not answer is cut off, and one that does is not', async () => {
    const { token } = await customer();
    const stream = await open({ limits: { pingMs: 100 } });
    const [dead, alive] = [stream.connect({ token, autoPong: false }), stream.connect({ token })];
    await alive.begun;
    expect((await dead.closed).code).toBe(1006);
    expect(alive.socket.readyState).toBe(alive.socket.OPEN);
  });

  test('says nothing: a message ends the connection, and a long one before it is read', async () => {
    const { token } = await customer();
    const stream = await open();
    const [one, other] = [stream.connect({ token }), stream.connect({ token })];
    await Promise.all([one.begun, other.begun]);
    one.socket.send('{"subscribe":"*"}');
    other.socket.send('x'.repeat(2_000));
    expect([(await one.closed).code, (await other.closed).code]).toEqual([CLOSED.said_something.code, 1009]);
  });

  test('has a few connections with one token', async () => {
    const { token } = await customer();
    const stream = await open({ limits: { ofCaller: 2 } });
    const [one, two] = [stream.connect({ token }), stream.connect({ token })];
    await Promise.all([one.begun, two.begun]);
    await expect(stream.connect({ token }).begun).rejects.toThrow('HTTP 429');
    one.socket.close();
    await one.closed;
    await vi.waitUntil(
      () =>
        stream.connect({ token }).begun.then(
          () => true,
          () => false,
        ),
      PATIENCE,
    );
  });

  test('is sent away with its cursor when the process stops, and nobody new is taken', async () => {
    const { token } = await customer();
    const stream = await open();
    const reader = stream.connect({ token });
    await reader.begun;
    await stream.stream.stop();
    expect(await reader.closed).toEqual({ code: CLOSED.stopping.code, reason: CLOSED.stopping.words });
    await expect(stream.connect({ token }).begun).rejects.toThrow('HTTP 503');
  });

  test('in a browser gives its token beside the protocol, which is not said back', async () => {
    const { token } = await customer();
    const reader = (await open()).connect({ protocolToken: token });
    await reader.begun;
    expect(reader.socket.protocol).toBe('countersign.v1');
  });
});
