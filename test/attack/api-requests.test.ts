// Requests to the HTTP API that try to have more effect than one, or to leave more behind than they may.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import { newUuid } from '../../core/ids.ts';
import type { Standing } from '../../core/ports/chat.ts';
import { openApi, type TestApi, tokenFor } from '../support/api.ts';
import { asCustomer, vouchByHand } from '../support/by-hand.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { databaseSinks, recordingLog } from '../support/sinks.ts';
import { sweep } from '../support/sweep.ts';

const WOOCOMMERCE = { service: 'woocommerce', metadata: { storeUrl: 'shop.example.com' } };

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let api: TestApi;
const log = recordingLog();

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  api = await openApi(core, { log: log.log });
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

const operations = async (customerId = shop.customerId) =>
  (await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations WHERE customer_id = $1', [customerId])).length;

describe('131 an Idempotency-Key', () => {
  test('asks for one operation, however many requests come with it at once', async () => {
    const { token } = await tokenFor(core, shop.customerId, SCOPES, shop.merchant);
    const key = { 'idempotency-key': newUuid() };
    const before = await operations();
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.post('/initiate', token, WOOCOMMERCE, key)));
    const statuses = answers.map(({ status }) => status);
    expect([statuses.includes(202), statuses.every((status) => status === 202 || status === 409)]).toEqual([
      true,
      true,
    ]);
    expect(await operations()).toBe(before + 1);
    const ids = answers.flatMap((answer) => answer.json<{ operationId?: string }>().operationId ?? []);
    expect(new Set(ids).size).toBe(1);
  });

  test('gives nobody the answer to another request, in whatever it differs', async () => {
    const { token } = await tokenFor(core, shop.customerId, SCOPES, shop.approver);
    const asked = await requestOperation(core, shop);
    const key = { 'idempotency-key': newUuid() };
    const deny = { action: 'deny', operationId: asked.id, reason: 'No' };
    const first = await api.post('/consent', token, deny, key);
    expect(first.status).toBe(200);
    for (const [path, body] of [
      ['/consent', { ...deny, reason: 'No!' }],
      ['/consent', { ...deny, operationId: (await requestOperation(core, shop)).id }],
      ['/initiate', WOOCOMMERCE],
      [`/operations/${asked.id}/cancel`, {}],
    ] as const)
      expect([path, (await api.post(path, token, body, key)).status]).toEqual([path, 422]);
    // Of another token, and of another customer, it is another key.
    const again = await tokenFor(core, shop.customerId, SCOPES, shop.approver);
    expect((await api.post('/consent', again.token, deny, key)).status).toBe(409);
    const other = await installShop(core);
    const theirs = await tokenFor(core, other.customerId, SCOPES, other.approver);
    expect((await api.post('/consent', theirs.token, deny, key)).status).toBe(404);
  });

  test('leaves behind neither itself, nor what was sent, nor the token, in clear or as a hash that can be guessed', async () => {
    const { token } = await tokenFor(core, shop.customerId, SCOPES, shop.merchant);
    const [canary, key] = ['canary-of-a-body-8b1f3d27', 'canary-of-a-key-4c9e0a55'];
    const { id } = await grantedOperation(core, shop);
    const fields = { admin_username: 'mona', admin_password: canary };
    const entered = { operationId: id, fields };
    expect((await api.post('/credentials', token, entered, { 'idempotency-key': key })).status).toBe(202);
    expect((await api.post('/credentials', token, { ...entered, [canary]: canary })).status).toBe(400);
    const sinks = [...(await databaseSinks(testDatabase.adminUrl)), log.sink()];
    expect(sweep(sinks, { canary, key, token, 'token without its prefix': token.slice(4) })).toEqual([]);
  });
});

describe('131 somebody with the program’s connection', () => {
  const INSERT = `INSERT INTO api_tokens (customer_id, id, token_hash, scopes, member_id, expires_at)
    VALUES ($1, $2, decode($3, 'hex'), $4, $5, $6)`;
  const attempt = (values: unknown[], vouch?: (client: pg.Client) => Promise<void>) =>
    asCustomer(testDatabase.programUrl, shop.customerId, async (client) => {
      await vouch?.(client);
      await client.query(INSERT, values);
    });

  test('makes no token that acts for somebody, nor has the word for one member make one for another', async () => {
    const [id, hash, scopes, expires] = [
      newUuid(),
      '07'.repeat(32),
      ['consent:decide'],
      new Date(Date.now() + 86_400_000),
    ];
    const values = (member: string | null) => [shop.customerId, id, hash, scopes, member, expires];
    const wordFor =
      (...member: readonly string[]) =>
      (client: pg.Client) =>
        vouchByHand(
          client,
          'token',
          shop.customerId,
          [id, hash, expires.getTime(), scopes.join(), ...member].join('|'),
        );
    const { merchant, approver } = shop;
    for (const word of [undefined, wordFor(), wordFor(''), wordFor(merchant.id)])
      await expect(attempt(values(approver.id), word)).rejects.toMatchObject({ code: '42501' });
    await expect(attempt(values(null), wordFor(''))).rejects.toMatchObject({ code: '23514' });
    await attempt(values(merchant.id), wordFor(merchant.id));
    const change = asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query('UPDATE api_tokens SET member_id = $1 WHERE id = $2', [approver.id, id]),
    );
    await expect(change).rejects.toMatchObject({ code: '42501' });
  });
});

describe('131 what a member may not in chat', () => {
  test('no token of theirs may: neither approve their own, nor enter what was asked of somebody else', async () => {
    const own = await requestOperation(core, shop, { requester: shop.approver });
    const approver = await tokenFor(core, shop.customerId, SCOPES, shop.approver);
    const decision = { action: 'grant', operationId: own.id, planHash: own.planHash };
    expect((await api.post('/consent', approver.token, decision)).status).toBe(403);
    const granted = await grantedOperation(core, shop);
    const fields = { admin_username: 'eve', admin_password: 'of another shop' };
    const entered = await api.post('/credentials', approver.token, { operationId: granted.id, fields });
    expect(entered.status).toBe(403);
    const states = await sql<{ status: string }>(
      testDatabase.adminUrl,
      'SELECT status FROM autonomous_operations WHERE id = ANY ($1) ORDER BY status',
      [[own.id, granted.id]],
    );
    expect(states.map(({ status }) => status)).toEqual(['awaiting_consent', 'awaiting_credentials']);
  });

  test('whoever has left the workspace does nothing by a token either, but for what stops work', async () => {
    let says = async (): Promise<Standing> => ({ kind: 'member', isInGroup: false });
    const theirs = await openApi(core, { chat: { ...createRecordingChat(), standing: () => says() } });
    try {
      const leavers = await installShop(core);
      const operation = await requestOperation(core, leavers);
      // Nobody was asked about this one before, whose answer holds for a minute.
      const { token } = await tokenFor(core, leavers.customerId, SCOPES, leavers.approver);
      const key = { service: 'stripe', type: 'api_key', fields: { value: 'sk_test_ofsomebodyelse' } };
      const asks = async () => [
        (await theirs.post('/initiate', token, WOOCOMMERCE)).status,
        (await theirs.post('/credentials', token, key)).status,
        (await theirs.delete(`/credentials/${newUuid()}`, token)).status,
        (await theirs.post(`/operations/${operation.id}/retry`, token)).status,
        (await theirs.post(`/operations/${operation.id}/resume`, token)).status,
      ];
      const before = await operations(leavers.customerId);
      says = async () => {
        throw new Error('the platform is away');
      };
      expect(await asks()).toEqual([503, 503, 503, 503, 503]);
      says = async () => ({ kind: 'unknown' });
      expect(await asks()).toEqual([403, 403, 403, 403, 403]);
      expect(await operations(leavers.customerId)).toBe(before);
      expect(await core.vault.list(leavers.customerId)).toEqual([]);
      expect((await theirs.post(`/operations/${operation.id}/cancel`, token)).status).toBe(200);
    } finally {
      await theirs.close();
    }
  });
});
