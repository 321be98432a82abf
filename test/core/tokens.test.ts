import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { deleteCredential } from '../../core/operations/revocation.ts';
import { Secret } from '../../core/secret.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { type PracticeApp, type PracticeShopify, startPracticeShopify } from '../practice/shopify/server.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let practice: PracticeShopify;
let api: TestApi;
let bearer: string;
let app: PracticeApp;
let stored: StoredCredential;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  practice = await startPracticeShopify();
  const privateTargets = [new URL(practice.origin).host];
  const http = createHttp({ egress: createEgress({ privateTargets, log: silentLog }) });
  core = await openCore(testDatabase, { http });
  shop = await installShop(core);
  api = await openApi(core);
  bearer = (await core.apiTokens.create(shop.customerId, { scopes: ['credentials:value'], days: 90 })).token.reveal();
});
afterAll(async () => {
  await api.close();
  await practice.close();
  await core.close();
  await testDatabase.drop();
});
beforeEach(async () => {
  app = practice.makeApp({ scopes: ['read_products'], isInstalled: true });
  const { id: operationId } = await requestOperation(core, shop);
  stored = await core.vault.store(shop.customerId, 'shopify', 'api_key', {
    target: practice.origin,
    value: { client_id: new Secret(app.clientId), client_secret: new Secret(app.clientSecret) },
    metadata: { operationId },
  });
});

async function read() {
  const answer = await api.value(stored.id, bearer);
  return { status: answer.status, ...JSON.parse(answer.text) };
}

describe('a credential that is used by a short-lived token', () => {
  test('is read together with one that holds for a day, the same until then', async () => {
    const before = practice.counts.tokens;
    const first = await read();
    expect(first).toMatchObject({ status: 200, id: stored.id, version: stored.version });
    expect(first.fields).toEqual({
      client_id: app.clientId,
      client_secret: app.clientSecret,
      access_token: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const [clock] = await sql<{ now: Date }>(testDatabase.adminUrl, 'SELECT app.now() AS now');
    const leftMs = Date.parse(first.expiresAt) - (clock?.now.getTime() ?? 0);
    expect(leftMs).toBeGreaterThan(23.9 * 3_600_000);
    expect(leftMs).toBeLessThan(24.1 * 3_600_000);
    expect((await read()).fields).toEqual(first.fields);
    expect(practice.counts.tokens).toBe(before + 1);
  });

  test('gets another token once the old one holds for less than a minute', async () => {
    const first = await read();
    await shiftClock(testDatabase.adminUrl, '23 hours 58 minutes');
    expect((await read()).fields.access_token).toBe(first.fields.access_token);
    await shiftClock(testDatabase.adminUrl, '1 minute');
    const second = await read();
    expect(second.fields.access_token).not.toBe(first.fields.access_token);
    expect(Date.parse(second.expiresAt)).toBeGreaterThan(Date.parse(first.expiresAt));
  });

  test('asks for one token when many read at once', async () => {
    const before = practice.counts.tokens;
    const answers = await Promise.all(Array.from({ length: 8 }, read));
    expect(new Set(answers.map(({ fields }) => fields.access_token)).size).toBe(1);
    expect(practice.counts.tokens).toBe(before + 1);
  });

  test('keeps the token sealed, on record, and on no list', async () => {
    const { fields } = await read();
    const rows = await sql<{ text: string }>(
      testDatabase.adminUrl,
      'SELECT c::text AS text FROM autonomous_credentials c UNION ALL SELECT header FROM autonomous_operations_audit',
    );
    const hex = Buffer.from(fields.access_token).toString('hex');
    for (const { text } of rows) expect(text).not.toMatch(new RegExp(`${fields.access_token}|${hex}`));
    expect((await core.vault.list(shop.customerId)).map(({ credentialType }) => credentialType)).not.toContain(
      'oauth_token',
    );
    const entries = await sql<{ header: string }>(
      testDatabase.adminUrl,
      "SELECT header FROM autonomous_operations_audit WHERE kind = 'credential.stored' ORDER BY seq DESC LIMIT 1",
    );
    expect(JSON.parse(entries[0]?.header ?? '')).toMatchObject({
      ...{ credentialType: 'oauth_token', operationId: stored.metadata.operationId },
      why: expect.stringContaining('value route'),
    });
  });

  test('says why when there is no token to be had, and gives nothing out', async () => {
    app.installed = undefined;
    expect(await read()).toMatchObject({
      status: 502,
      code: 'vendor_refused',
      detail: expect.stringContaining('not installed'),
    });
    expect(JSON.stringify(await read())).not.toContain(app.clientSecret);
  });

  test('leaves the vault together with its token', async () => {
    await read();
    const inVault = () =>
      sql<{ type: string }>(
        testDatabase.adminUrl,
        'SELECT credential_type AS type FROM autonomous_credentials WHERE target = $1 AND (id = $2 OR operation_id = $3) ORDER BY 1',
        [practice.origin, stored.id, stored.metadata.operationId],
      );
    expect(await inVault()).toEqual([{ type: 'api_key' }, { type: 'oauth_token' }]);
    const { customerId } = shop;
    const deleted = await core.database.withCustomer(customerId, (tx) =>
      deleteCredential(tx, core, customerId, stored.id, shop.admin),
    );
    expect(deleted).toBe('deleted');
    expect(await inVault()).toEqual([]);
  });

  test('does not hand one app the token of the app before it', async () => {
    const { fields } = await read();
    const other = practice.makeApp({ scopes: ['read_products'], isInstalled: true });
    const { id: operationId } = await requestOperation(core, shop);
    stored = await core.vault.store(shop.customerId, 'shopify', 'api_key', {
      target: practice.origin,
      value: { client_id: new Secret(other.clientId), client_secret: new Secret(other.clientSecret) },
      metadata: { operationId },
    });
    const next = await read();
    expect(next.fields.client_id).toBe(other.clientId);
    expect(next.fields.access_token).not.toBe(fields.access_token);
  });
});
