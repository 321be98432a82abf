import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook as Receiver } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { databaseNow, type Transaction } from '../../core/database.ts';
import { newUuid } from '../../core/ids.ts';
import { digestOf } from '../../core/notices/digest.ts';
import { queueStats } from '../../core/operations/dead-letters.ts';
import { keepBeside, takePlace, writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import { deleteKeyOf } from '../../core/operations/revocation.ts';
import { Secret } from '../../core/secret.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { createDelivery, type Delivery, replayWebhook } from '../../core/webhooks/delivery.ts';
import { createWebhooks, type WebhookKind, type Webhooks } from '../../core/webhooks/webhooks.ts';
import { madeConnection } from '../support/connections.ts';
import {
  type Core,
  cancel,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

const PATIENCE = { timeout: 20_000, interval: 20 };
const CANARY = 'ck_canary7f3a9c51';

interface Got {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

let testDatabase: TestDatabase;
let core: Core;
let webhooks: Webhooks;
let delivery: Delivery;
let server: Server;
let origin: string;
const got: Got[] = [];
/** By path: what it is answered with; 204 where nothing stands here. */
const answers = new Map<string, number>();

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { url: path = '', headers } = request;
      got.push({ path, headers: headers as Record<string, string>, body: Buffer.concat(parts).toString() });
      response.writeHead(answers.get(path) ?? 204).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo; // of a TCP server that listens
  origin = `http://127.0.0.1:${port}`;
  webhooks = createWebhooks(core);
  const egress = createEgress({ privateTargets: [`127.0.0.1:${port}`], log: silentLog });
  delivery = createDelivery({ ...core, webhooks, http: createHttp({ egress }), log: silentLog });
  await core.queue.workWebhooks(delivery.deliver);
});
afterEach(() => {
  got.splice(0);
  answers.clear();
});
afterAll(async () => {
  await core.close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await testDatabase.drop();
});

async function hook(shop: Shop, path: string, kinds: readonly WebhookKind[] = ['operation']) {
  const added = await webhooks.add(shop.customerId, { url: `${origin}${path}`, kinds });
  if (added.kind !== 'added') throw new Error('there is room for it');
  return { id: added.webhook.id, secret: added.secret.reveal() };
}

const at = (path: string) => got.filter((each) => each.path === path);
const typesAt = (path: string) => at(path).map(({ body }) => JSON.parse(body).type as string);
const arrived = (path: string, count: number) => vi.waitUntil(() => at(path).length >= count, PATIENCE);
const idOf = (each: Got | undefined) => each?.headers['webhook-id'];

describe('a webhook', () => {
  test('is told of its customer’s operations with a signature that a receiver’s own library takes', async () => {
    const [shop, other] = [await installShop(core), await installShop(core)];
    const [mine, theirs] = [await hook(shop, '/mine'), await hook(other, '/theirs')];
    const operation = await requestOperation(core, shop);
    await cancel(core, operation);
    await cancel(core, await requestOperation(core, other));
    await Promise.all([delivery.handOver(), delivery.handOver()]); // two processes look at once
    await Promise.all([arrived('/mine', 2), arrived('/theirs', 2)]);
    expect(typesAt('/mine').toSorted()).toEqual(['operation.cancelled', 'operation.requested']);
    for (const { headers, body } of at('/mine')) {
      expect(new Receiver(mine.secret).verify(body, headers)).toMatchObject({
        timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        data: {
          operationId: operation.id,
          service: 'woocommerce',
          operation: 'api_key_generation',
          state: 'cancelled',
        },
      });
      expect(() => new Receiver(mine.secret).verify(`${body} `, headers)).toThrow();
      expect(() => new Receiver(theirs.secret).verify(body, headers)).toThrow();
    }
    expect(
      at('/theirs')
        .map(({ body }) => body)
        .join(),
    ).not.toContain(operation.id);
    await delivery.handOver();
    expect(at('/mine')).toHaveLength(2);
  });

  test('is told of keys and connections where it wants to be, by their ids and never by their values', async () => {
    const shop = await installShop(core);
    await hook(shop, '/keys', ['credential', 'connection']);
    await hook(shop, '/connections', ['connection']);
    const where = { target: 'https://shop.example.com' };
    const stored = await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { ...where, value: CANARY });
    await core.vault.store(shop.customerId, 'woocommerce', 'admin_password', { ...where, value: CANARY });
    await core.vault.delete(shop.customerId, 'woocommerce', 'api_key', where);
    await cancel(core, await requestOperation(core, shop));
    await delivery.handOver();
    await Promise.all([arrived('/keys', 5), arrived('/connections', 2)]);
    expect(typesAt('/connections').toSorted()).toEqual(['connection.ended', 'connection.ready']);
    const stays = ['credential.deleted', 'credential.stored', 'credential.stored'];
    expect(typesAt('/keys').toSorted()).toEqual(['connection.ended', 'connection.ready', ...stays]);
    const ready = at('/connections').find(({ body }) => body.includes('ready'));
    expect(JSON.parse(ready?.body ?? '').data).toMatchObject({ credentialId: stored.id, credentialType: 'api_key' });
    expect(JSON.stringify(got)).not.toContain(CANARY);
    const jobs = await sql(testDatabase.adminUrl, "SELECT data, output FROM pgboss.job WHERE name LIKE 'webhooks%'");
    expect(JSON.stringify(jobs)).not.toMatch(new RegExp(`${CANARY}|whsec_|127\\.0\\.0\\.1`));
  });

  test('is told of a key that operations make, rotate and revoke as of a connection, as the week’s summary counts it', async () => {
    const shop = await installShop(core);
    const { customerId } = shop;
    await hook(shop, '/connections', ['connection']);
    const made = await madeConnection(core, shop);
    const { credential_rotation: type } = woocommerce.operationTypes;
    const operation = await queuedOperation(core, shop, { type, permissions: defaultPermissions(type) });
    const { key, label } = operation.plan;
    const lease = await takeLease(core, { customerId, operationId: operation.id }, new AbortController().signal);
    if (!key || !lease) throw new Error('the rotation is about the key that was made');
    const fields = { consumer_key: new Secret(CANARY), consumer_secret: new Secret(CANARY) };
    const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(customerId, work);
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, label, lease.fence));
    await inside((tx) => keepBeside(tx, core, operation, { step: 9, fence: lease.fence, label, fields }));
    expect(await inside((tx) => takePlace(tx, core, operation, key, lease.fence))).toBeUndefined();
    lease.release();
    const week = () => inside(async (tx) => digestOf(tx, customerId, await databaseNow(tx)));
    expect(await week()).toMatchObject({ completed: 1, keysMade: 1, keysRotated: 1 });
    expect(await inside((tx) => deleteKeyOf(tx, core, operation, shop.admin))).toBe(true);
    await delivery.handOver();
    await arrived('/connections', 3);
    const told = at('/connections').map(({ body }) => JSON.parse(body));
    expect(told.map(({ type: event, data }) => [event, data.operationId, data.credentialType]).toSorted()).toEqual([
      ['connection.ended', operation.id, 'api_key'],
      ['connection.ready', made.id, 'api_key'],
      ['connection.renewed', operation.id, 'api_key'],
    ]);
    expect(JSON.stringify(told)).not.toContain(CANARY);
  });

  test('is told of no connection when a token is got by a key that is stored', async () => {
    const shop = await installShop(core);
    await hook(shop, '/tokens', ['credential', 'connection']);
    const entry = { kind: 'credential.stored', credentialId: newUuid(), credentialType: 'oauth_token' } as const;
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.audit.append(tx, shop.customerId, { ...entry, why: 'value route' }),
    );
    await delivery.handOver();
    await arrived('/tokens', 1);
    expect(typesAt('/tokens')).toEqual(['credential.stored']);
  });

  test('is tried again when it did not take a message, with the same id', async () => {
    const shop = await installShop(core);
    await hook(shop, '/busy');
    answers.set('/busy', 503);
    await requestOperation(core, shop);
    await delivery.handOver();
    await arrived('/busy', 1);
    answers.delete('/busy');
    await shiftClock(testDatabase.ownerUrl, '1 minute');
    await arrived('/busy', 2);
    expect(idOf(at('/busy')[1])).toBe(idOf(at('/busy')[0]));
    expect(idOf(at('/busy')[0])).toMatch(/^msg_[0-9a-f]{32}$/);
  });

  test('whose messages could not be delivered keeps them as dead ones, and is sent them again when it is replayed', async () => {
    const shop = await installShop(core);
    const { id } = await hook(shop, '/down');
    answers.set('/down', 500);
    await sql(testDatabase.adminUrl, "UPDATE pgboss.queue SET retry_limit = 1 WHERE name = 'webhooks'");
    const dead = async () =>
      (await queueStats(core.database)).find(({ queue }) => queue === 'webhooks_undelivered')?.dead;
    try {
      await requestOperation(core, shop);
      await delivery.handOver();
      await arrived('/down', 1);
      await shiftClock(testDatabase.ownerUrl, '1 minute');
      await vi.waitUntil(async () => (await dead()) === 1, PATIENCE);
    } finally {
      await sql(testDatabase.adminUrl, "UPDATE pgboss.queue SET retry_limit = 16 WHERE name = 'webhooks'");
    }
    answers.delete('/down');
    const before = at('/down').length;
    expect(await replayWebhook(core, shop.customerId, id)).toBe(1);
    await arrived('/down', before + 1);
    expect(await dead()).toBe(0);
    expect(new Set(at('/down').map(idOf)).size).toBe(1);
    expect(await replayWebhook(core, shop.customerId, id)).toBe(0);
    expect(await replayWebhook(core, shop.customerId, id, 1n)).toBe(1); // delivered or not
    await arrived('/down', before + 2);
    expect(await replayWebhook(core, (await installShop(core)).customerId, id)).toBeUndefined();
  });

  test('at a private address is sent nothing', async () => {
    const shop = await installShop(core);
    const inside = createServer((_, response) => response.end());
    const reached = vi.fn();
    inside.on('connection', reached);
    await new Promise<void>((done) => inside.listen(0, '127.0.0.1', done));
    const { port } = inside.address() as AddressInfo; // of a TCP server that listens
    const added = await webhooks.add(shop.customerId, { url: `http://127.0.0.1:${port}/`, kinds: ['operation'] });
    const webhookId = added.kind === 'added' ? added.webhook.id : '';
    await requestOperation(core, shop);
    await delivery.handOver();
    const text =
      "SELECT output->>'message' AS why FROM pgboss.job WHERE name = 'webhooks' AND state = 'retry' AND data->>'webhookId' = $1";
    const tried = async () => (await sql<{ why: string }>(testDatabase.adminUrl, text, [webhookId]))[0]?.why;
    expect(await vi.waitUntil(tried, PATIENCE)).toBe('egress_refused');
    expect(reached).not.toHaveBeenCalled();
    await new Promise((done) => inside.close(done));
  });

  test('that was removed is sent nothing more, what waited included', async () => {
    const shop = await installShop(core);
    const { id } = await hook(shop, '/gone');
    answers.set('/gone', 500);
    await requestOperation(core, shop);
    await delivery.handOver();
    await arrived('/gone', 1);
    expect([await webhooks.remove(shop.customerId, id), await webhooks.remove(shop.customerId, id)]).toEqual([
      true,
      false,
    ]);
    await requestOperation(core, shop);
    await delivery.handOver();
    await shiftClock(testDatabase.ownerUrl, '1 minute');
    const open = "SELECT FROM pgboss.job WHERE name = 'webhooks' AND state < 'completed' AND data->>'webhookId' = $1";
    await vi.waitUntil(async () => (await sql(testDatabase.adminUrl, open, [id])).length === 0, PATIENCE);
    expect(at('/gone')).toHaveLength(1);
    expect(await webhooks.list(shop.customerId)).toEqual([]);
  });

  test('is one of ten at most', async () => {
    const shop = await installShop(core);
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        webhooks.add(shop.customerId, { url: `${origin}/${n}`, kinds: ['operation'] }),
      ),
    );
    expect(all.filter(({ kind }) => kind === 'full')).toHaveLength(2);
    expect(await webhooks.list(shop.customerId)).toHaveLength(10);
  });
});
