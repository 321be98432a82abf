import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { credentialValueSchema } from '../../adapters/api/credential-value.ts';
import { createApiTokens } from '../../core/customers/api-tokens.ts';
import { createDatabase } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { newUuid } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { type Answer, bearer, openApi, type TestApi } from '../support/api.ts';
import { type Core, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { recordingLog } from '../support/sinks.ts';

const FIELDS = { consumer_key: `ck_${'0a1b'.repeat(10)}`, consumer_secret: `cs_"\\ü${'9f8e'.repeat(9)}` };
const TARGET = 'https://shop.example.com';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let stored: StoredCredential;
let api: TestApi;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  const value = Object.fromEntries(Object.entries(FIELDS).map(([name, text]) => [name, new Secret(text)]));
  stored = await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { target: TARGET, value });
  api = await openApi(core);
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

async function makeToken(days = 90) {
  const made = await core.apiTokens.create(shop.customerId, { scopes: ['credentials:value'], days });
  return { token: made.token.reveal(), id: made.stored.id };
}

/** What is chained of the customer's entries of this kind, oldest first. */
async function headers(kind: string): Promise<readonly Record<string, unknown>[]> {
  const text = 'SELECT header FROM autonomous_operations_audit WHERE customer_id = $1 AND kind = $2 ORDER BY seq';
  const rows = await sql<{ header: string }>(testDatabase.adminUrl, text, [shop.customerId, kind]);
  return rows.map(({ header }) => JSON.parse(header));
}

function expectProblem(answer: Answer, status: number, code: string): void {
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(JSON.parse(answer.text)).toMatchObject({ type: 'about:blank', title: expect.any(String), status, code });
  expect(answer.status).toBe(status);
}

describe('the value route', () => {
  test('answers with every field of the credential, as the schema says', async () => {
    const { token } = await makeToken();
    const answer = await api.value(stored.id, token);
    expect(answer.status).toBe(200);
    expect(credentialValueSchema.parse(JSON.parse(answer.text))).toEqual({
      ...{ id: stored.id, service: 'woocommerce', target: TARGET, type: 'api_key', version: 1, expiresAt: null },
      fields: FIELDS,
    });
  });

  test('counts the versions, says when it expires, and that a service knows no targets', async () => {
    const { token } = await makeToken();
    const expiresAt = new Date(Date.now() + 3_600_000);
    const keep = (value: string) => core.vault.store(shop.customerId, 'stripe', 'oauth_token', { value, expiresAt });
    const { id } = await keep('first');
    await keep('second');
    expect(JSON.parse((await api.value(id.toUpperCase(), token)).text)).toEqual({
      ...{ id, service: 'stripe', target: null, type: 'oauth_token', version: 2, expiresAt: expiresAt.toISOString() },
      fields: { value: 'second' },
    });
  });

  test('puts each reading on record, naming the door and the token, and when the token was last used', async () => {
    const { token, id } = await makeToken();
    const before = await headers('credential.opened');
    for (let n = 0; n < 2; n++) await api.value(stored.id, token);
    const entry = { credentialId: stored.id, credentialType: 'api_key', why: `value route, token ${id}` };
    expect((await headers('credential.opened')).slice(before.length)).toMatchObject([entry, entry]);
    const listed = (await core.apiTokens.list(shop.customerId)).find((one) => one.id === id);
    expect(listed?.lastUsedAt?.getTime()).toBeGreaterThanOrEqual(listed?.createdAt.getTime() ?? Infinity);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('is kept by nobody on the way, framed by nobody, and open to no other site', async () => {
    const { token } = await makeToken();
    const { headers: said } = await api.value(stored.id, token, { headers: { origin: 'https://evil.example.net' } });
    expect(said.get('cache-control')).toBe('no-store');
    expect(said.get('strict-transport-security')).toBe('max-age=31536000');
    expect(said.get('content-security-policy')).toContain("default-src 'none'");
    expect(said.get('x-content-type-options')).toBe('nosniff');
    expect(said.get('etag')).toBeNull();
    expect([...said.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    const preflight = await api.ask(`/credentials/${stored.id}/value`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example.net', 'access-control-request-headers': 'authorization' },
    });
    expectProblem(preflight, 405, 'method_not_allowed');
  });

  test('speaks of transport security only where its address has any', async () => {
    const local = await openApi(core, { publicUrl: 'http://localhost:3000' });
    const { headers: said } = await local.value(stored.id, (await makeToken()).token);
    expect(said.get('strict-transport-security')).toBeNull();
    await local.close();
  });

  test('refuses with a problem, each of its kind', async () => {
    const { token } = await makeToken();
    expectProblem(await api.value(stored.id), 401, 'token_missing');
    expectProblem(await api.value(stored.id, 'csk_0'), 401, 'token_invalid');
    expectProblem(await api.value(newUuid(), token), 404, 'not_found');
    expectProblem(await api.value('first', token), 400, 'request_invalid');
    expectProblem(await api.value(`${stored.id}%zz`, token), 400, 'request_invalid');
    expectProblem(await api.ask('/nothing', { headers: bearer(token) }), 404, 'not_found');
    const query = await api.ask(`/credentials/${stored.id}/value?fields=all`, { headers: bearer(token) });
    expectProblem(query, 400, 'request_invalid');
    expect(JSON.parse(query.text).errors).toEqual([{ at: 'query', detail: 'unrecognized_keys' }]);
    expect((await api.value(stored.id)).headers.get('www-authenticate')).toBe('Bearer realm="countersign"');
    expect((await api.value(stored.id, 'x')).headers.get('www-authenticate')).toMatch(/error="invalid_token"$/);
  });

  test.each(['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'])('reads nothing for a %s', async (method) => {
    const { token } = await makeToken();
    const before = await headers('credential.opened');
    const answer = await api.value(stored.id, token, { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET']);
    expect(await headers('credential.opened')).toEqual(before);
  });

  test('answers sixty times a minute for one token, says what is left, and then when to come again', async () => {
    const { token } = await makeToken();
    const first = await api.value(stored.id, token);
    expect(first.headers.get('ratelimit-policy')).toBe('"token";q=60;w=60');
    expect(first.headers.get('ratelimit')).toBe('"token";r=59;t=1');
    const used = await headers('credential.opened');
    await sql(testDatabase.adminUrl, 'UPDATE limits SET remaining = 0, at = app.now() WHERE customer_id = $1', [
      shop.customerId,
    ]);
    const over = await api.value(stored.id, token);
    expectProblem(over, 429, 'rate_limited');
    expect(over.headers.get('retry-after')).toBe('1');
    expect(over.headers.get('ratelimit')).toMatch(/^"token";r=0;t=(?:59|60)$/);
    expect(await headers('credential.opened')).toHaveLength(used.length);
    await shiftClock(testDatabase.ownerUrl, '30 seconds');
    expect((await api.value(stored.id, token)).headers.get('ratelimit')).toMatch(/^"token";r=(?:29|3\d);/);
    expect((await api.value(stored.id, (await makeToken()).token)).status).toBe(200);
  });

  test('is on record although the caller hangs up, and goes on for the next one', async () => {
    const { token } = await makeToken();
    const before = (await headers('credential.opened')).length;
    await new Promise<void>((resolve) => {
      const gone = request(`${api.origin}/api/autonomous/credentials/${stored.id}/value`, { headers: bearer(token) });
      gone.on('error', () => resolve());
      gone.on('response', (answer) => {
        answer.on('error', () => {});
        gone.destroy();
        resolve();
      });
      gone.end();
    });
    expect(await headers('credential.opened')).toHaveLength(before + 1);
    expect((await api.value(stored.id, token)).status).toBe(200);
  });

  test('says that the database does not answer, and that it may later', async () => {
    const { token } = await makeToken();
    const database = createDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', rootKeys: testRootKeys, poolSize: 1 });
    const apiTokens = createApiTokens({ database, directory: createDirectory(database), audit: core.audit });
    const cut = await openApi({ ...core, apiTokens });
    expectProblem(await cut.value(stored.id, token), 503, 'unavailable');
    await cut.close();
    await database.close();
  });

  test('tells the operator what is wrong on our side, and the caller nothing of it', async () => {
    const { token } = await makeToken();
    const log = recordingLog();
    const cut = await openApi(core, { log: log.log });
    await sql(testDatabase.adminUrl, 'ALTER TABLE api_tokens RENAME TO api_tokens_away');
    const broken = await cut.value(stored.id, token);
    await sql(testDatabase.adminUrl, 'ALTER TABLE api_tokens_away RENAME TO api_tokens');
    expectProblem(broken, 500, 'internal');
    expect(broken.text).not.toContain('api_tokens');
    expect(log.sink().bytes.toString()).toContain('a request failed');
    await cut.close();
  });
});
