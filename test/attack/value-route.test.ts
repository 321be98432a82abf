// The third door of the vault, tried by whoever holds no token, the wrong one, or one that is over.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../bot/log.ts';
import { newUuid } from '../../core/ids.ts';
import { redact, redactShown } from '../../core/redaction.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { type Answer, bearer, openApi, type TestApi } from '../support/api.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, installShop, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { databaseSinks, recordingLog } from '../support/sinks.ts';
import { spyOnSql } from '../support/sql-spy.ts';
import { sweep } from '../support/sweep.ts';

const CANARY = 'canary-of-the-value-route-7f3a9c51';
const TARGET = 'https://shop.example.com';

let testDatabase: TestDatabase;
let core: Core;
let [a, b]: Shop[] = [];
let ofA: StoredCredential;
let ofB: StoredCredential;
let api: TestApi;
const log = recordingLog();

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
  const keep = ({ customerId }: Shop, value: string) =>
    core.vault.store(customerId, 'woocommerce', 'api_key', { target: TARGET, value });
  [ofA, ofB] = [await keep(a, CANARY), await keep(b, `of B: ${CANARY}`)];
  api = await openApi(core, { log: log.log });
});

afterEach(() => {
  vi.useRealTimers();
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

async function tokenOf(shop: Shop | undefined, days = 90) {
  if (!shop) throw new Error('there is no shop');
  const { token, stored } = await core.apiTokens.create(shop.customerId, { scopes: ['credentials:value'], days });
  return { token: token.reveal(), id: stored.id, customerId: shop.customerId };
}

/** How many secrets were opened, over all customers. */
async function openings(): Promise<number> {
  const text =
    "SELECT count(*)::int AS n FROM autonomous_operations_audit WHERE kind LIKE 'credential.%ed' AND kind <> 'credential.stored'";
  return (await sql<{ n: number }>(testDatabase.adminUrl, text))[0]?.n ?? -1;
}

/** All that an answer says, but for the moment and what is left of the caller's own limit. */
function said({ status, headers, text }: Answer) {
  const own = ['date', 'ratelimit'];
  return { status, text, headers: Object.fromEntries([...headers].filter(([name]) => !own.includes(name))) };
}

/** The answer, and what the database was asked for it. */
async function measured(ask: () => Promise<Answer>) {
  const { result, runs } = await spyOnSql(ask);
  return { ...said(result), runs };
}

describe('the value route', () => {
  test('18 answers alike for another customer’s credential, a sign-in secret, an expired one and none, at the same cost', async () => {
    const { token, customerId } = await tokenOf(a);
    const operation = a && (await queuedOperation(core, a));
    const [signIn] = await sql<{ id: string }>(
      testDatabase.adminUrl,
      'SELECT id FROM autonomous_credentials WHERE operation_id = $1 LIMIT 1',
      [operation?.id],
    );
    const expiresAt = new Date(Date.now() - 1_000);
    const expired = await core.vault.store(customerId, 'stripe', 'session', { value: CANARY, expiresAt });
    const before = await openings();
    await api.value(newUuid(), token); // whose token it is is looked up once
    const absent = await measured(() => api.value(newUuid(), token));
    expect(absent.status).toBe(404);
    expect(absent.runs.length).toBeGreaterThan(3);
    for (const id of [ofB.id, signIn?.id ?? '', expired.id])
      expect(await measured(() => api.value(id, token))).toEqual(absent);
    expect(await openings()).toBe(before);
  });

  test('18 answers alike for a token that is unknown, expired, revoked, or an erased customer’s, at the same cost', async () => {
    const [expired, revoked, erased] = [await tokenOf(a), await tokenOf(a), await tokenOf(await installShop(core))];
    const change = (text: string, id: string) => sql(testDatabase.adminUrl, text, [id]);
    await change('UPDATE api_tokens SET expires_at = app.now() WHERE id = $1', expired.id);
    await core.apiTokens.revoke(revoked.customerId, revoked.id);
    await change('UPDATE customers SET erased_at = app.now() WHERE customer_id = $1', erased.customerId);
    const unknown = `csk_${'0'.repeat(64)}`;
    const answer = await measured(() => api.value(ofA.id, unknown));
    expect([answer.status, answer.runs.length]).toEqual([401, 1]);
    for (const { token } of [expired, revoked, erased])
      expect(await measured(() => api.value(ofA.id, token))).toEqual(answer);
  });

  test('takes a token from its header alone, whole and as it was made', async () => {
    const { token } = await tokenOf(a);
    const path = `/credentials/${ofA.id}/value`;
    const hash = createHash('sha256').update(token).digest('hex');
    const given: readonly (readonly [string, Record<string, string>])[] = [
      [path, {}],
      [path, { cookie: `token=${token}; authorization=${token}` }],
      [`${path}?access_token=${token}`, {}],
      [path, { 'x-api-key': token }],
      [path, { authorization: token }],
      [path, { authorization: `Basic ${Buffer.from(`${token}:`).toString('base64')}` }],
      [path, bearer(token.slice(0, -1))],
      [path, bearer(`${token}0`)],
      [path, bearer(token.toUpperCase())],
      [path, bearer(`csk_${hash}`)],
      [path, bearer(`${token}' OR true --`)],
    ];
    const before = await openings();
    for (const [at, headers] of given) expect((await api.ask(at, { headers })).status, at).toBe(401);
    expect(await openings()).toBe(before);
    expect((await api.value(ofA.id, token)).status).toBe(200);
  });

  test('reads nothing for a token without the scope, whatever it asks for', async () => {
    const { token, id } = await tokenOf(a);
    await sql(testDatabase.adminUrl, "UPDATE api_tokens SET scopes = '{credentials:list,value,*}' WHERE id = $1", [id]);
    const before = await openings();
    const refused = said(await api.value(ofA.id, token));
    expect(refused.status).toBe(403);
    expect(refused.headers['www-authenticate']).toContain('error="insufficient_scope", scope="credentials:value"');
    for (const other of [ofB.id, newUuid(), 'no id']) expect(said(await api.value(other, token))).toEqual(refused);
    expect(await openings()).toBe(before);
  });

  test('16 lets a token expire by the clock of the database, whatever the program’s says', async () => {
    const { token } = await tokenOf(a, 1);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 86_400_000 });
    expect((await api.value(ofA.id, token)).status).toBe(200);
    vi.useRealTimers();
    await shiftClock(testDatabase.ownerUrl, '25 hours');
    try {
      expect((await api.value(ofA.id, token)).status).toBe(401);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-25 hours');
    }
  });

  test('gives nothing more once a revocation is committed, also to those who are just asking', async () => {
    const { token, id, customerId } = await tokenOf(a);
    let isRevoked = false;
    const late: number[] = [];
    const ask = async (): Promise<void> => {
      while (!late.includes(401)) {
        const wasRevoked = isRevoked;
        const { status } = await api.value(ofA.id, token);
        if (wasRevoked) late.push(status);
        else expect([200, 401, 429]).toContain(status);
      }
    };
    const asking = Array.from({ length: 5 }, ask);
    await vi.waitUntil(async () =>
      (await core.apiTokens.list(customerId)).some((one) => one.id === id && one.lastUsedAt),
    );
    await core.apiTokens.revoke(customerId, id);
    isRevoked = true;
    await Promise.all(asking);
    expect(new Set(late)).toEqual(new Set([401]));
  });

  test('stays shut although somebody has the program’s connection: a token’s end, scopes and owner do not change', async () => {
    const { token, id, customerId } = await tokenOf(a);
    await core.apiTokens.revoke(customerId, id);
    for (const change of [
      'revoked_at = NULL',
      "revoked_at = app.now() + interval '1 day'",
      "expires_at = app.now() + interval '9 years'",
      "scopes = '{credentials:value}'",
      `customer_id = '${b?.customerId}'`,
    ]) {
      const attack = asCustomer(testDatabase.programUrl, customerId, (client) =>
        client.query(`UPDATE api_tokens SET ${change} WHERE id = $1`, [id]),
      );
      await expect(attack, change).rejects.toMatchObject({ code: '42501' });
    }
    expect((await api.value(ofA.id, token)).status).toBe(401);
  });
});

describe('66 what goes through the value route', () => {
  test('stays in its one answer: no log line, no other answer and no row holds the value or the token', async () => {
    const { token } = await tokenOf(a);
    const answers: Answer[] = [];
    expect((await api.value(ofA.id, token)).text).toContain(CANARY);
    answers.push(
      await api.value(newUuid(), token),
      await api.value(token, token),
      await api.value(`${token}%zz`, token),
      await api.ask(`/${token}`, { headers: bearer(token) }),
      await api.value(ofA.id, token, { method: 'POST', body: CANARY }),
      await api.ask(`/credentials/${ofA.id}/value?${token}=${CANARY}`, { headers: bearer(token) }),
      await api.value(ofA.id, undefined, { headers: { authorization: `Digest ${token}` } }),
    );
    // What is worst: something fails while the token, or the value, is in hand.
    for (const [breaking, mending] of [
      ['ALTER TABLE limits RENAME TO limits_away', 'ALTER TABLE limits_away RENAME TO limits'],
      [
        "UPDATE autonomous_credentials SET secret_version = secret_version + 1 WHERE service = 'woocommerce'",
        "UPDATE autonomous_credentials SET secret_version = secret_version - 1 WHERE service = 'woocommerce'",
      ],
    ] as const) {
      await sql(testDatabase.adminUrl, breaking);
      const failed = await api.value(ofA.id, token);
      await sql(testDatabase.adminUrl, mending);
      expect(failed.status).toBe(500);
      answers.push(failed);
    }
    const words = answers.map(({ text, headers }) => `${JSON.stringify([...headers])}\n${text}`).join('\n');
    const sinks = [
      ...(await databaseSinks(testDatabase.adminUrl)),
      log.sink(),
      { name: 'other answers', bytes: Buffer.from(words) },
    ];
    expect(log.sink().bytes.toString()).toContain('a request failed');
    expect(sweep(sinks, { value: CANARY, token, 'token without its prefix': token.slice(4) })).toEqual([]);
  });

  test('is a token that is known by its shape, should somebody paste it into a chat or a line of a log', async () => {
    const { token } = await tokenOf(a);
    const lines: string[] = [];
    const sink = { write: (line: string) => lines.push(line) };
    const line = createLog({ isVerbose: true, redact: (text) => redact(text, []), sink });
    line.warn({ cause: new Error(`GET /x with ${token}`), seen: [`at ${token}.`] }, `somebody sent ${token}`);
    const shown = redactShown(`we use ${token} for it`, []);
    expect(shown).toContain('[secret]');
    expect(lines.join('') + shown).not.toContain(token.slice(0, 24));
  });
});
