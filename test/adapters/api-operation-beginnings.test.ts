// Beginning an operation by the HTTP API: asked for, countersigned, queued; once, however often it is sent.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError, type ErrorCode } from '../../core/errors.ts';
import { newUuid } from '../../core/ids.ts';
import type { Chat } from '../../core/ports/chat.ts';
import { createChannelChat, openApi, type TestApi } from '../support/api.ts';
import { apiShopOn, code, type Initiated, SIGN_IN, WOOCOMMERCE } from '../support/api-shop.ts';
import { type Core, openCore, queuedOperation, type Shop, sql, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import type { RecordingChat } from '../support/recording-chat.ts';

let testDatabase: TestDatabase;
let core: Core;
let api: TestApi;
const chat: RecordingChat = createChannelChat();
const { openShop, initiate, grant, statusOf, read } = apiShopOn(() => ({ core, api }));

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  api = await openApi(core, { chat, publicUrl: 'http://localhost:3000' });
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

async function chooseChannel({ customerId }: Shop, channel: string): Promise<void> {
  const text = 'UPDATE customers SET allowed_channels = ARRAY[$2] WHERE customer_id = $1';
  await sql(testDatabase.adminUrl, text, [customerId, channel]);
}

describe('from initiate to the queue', () => {
  test('without a channel consent is given by the API, the sign-in entered there, and the job sent', async () => {
    const { shop, merchant, approver } = await openShop();
    const before = chat.calls.length;
    const asked = await initiate(merchant);
    expect(asked).toMatchObject({
      ...{ success: true, status: 'awaiting_consent', consentAskedIn: 'api' },
      message: 'Consent required before operation can proceed',
    });
    const { operationId } = asked;
    expect(chat.calls).toHaveLength(before);
    const refused = await api.post('/operations/submit', merchant, { operationId });
    expect([...code(refused), refused.json().operationId]).toEqual([403, 'consent_required', operationId]);

    const detail = (await api.get(`/operations/${operationId}`, approver)).json<{
      operation: { planHash: string; plan: { permissions: readonly string[] }; requestedBy: { name: string } };
    }>();
    const consentExpiresAt = (await read(shop, operationId)).request?.expiresAt.toISOString();
    expect(detail.operation).toMatchObject({
      planHash: asked.planHash,
      requestedBy: { name: 'Mona' },
      consentExpiresAt,
    });
    const permissions = [...detail.operation.plan.permissions].reverse();
    const granted = await grant(approver, asked, { service: 'woocommerce', permissions });
    expect([granted.status, granted.json()]).toEqual([
      200,
      expect.objectContaining({
        ...{ success: true, operationId, status: 'awaiting_credentials' },
        consent: expect.objectContaining({ collectionMethod: 'api', isActive: true, grantedBy: shop.approver.id }),
      }),
    ]);

    const wrong = await api.post('/credentials', merchant, { operationId, fields: { admin_username: 'mona' } });
    expect(wrong.status).toBe(422);
    const entered = await api.post('/credentials', merchant, { operationId, fields: SIGN_IN });
    expect([entered.status, entered.json()]).toMatchObject([202, { operationId, status: 'queued' }]);
    expect(entered.text).not.toContain(SIGN_IN.admin_password);
    expect(entered.headers.get('location')).toBe(`/api/autonomous/status/${operationId}`);

    expect(await statusOf(merchant, operationId)).toMatchObject({ status: 'queued', currentStep: 0, totalSteps: 10 });
    const { jobId } = entered.json<{ jobId: string }>();
    const submitted = await api.post('/operations/submit', merchant, {
      ...{ service: 'woocommerce', operation: 'api_key_generation', config: { storeUrl: 'https://shop.example.com/' } },
      priority: 'high',
    });
    expect([submitted.status, submitted.json()]).toMatchObject([202, { operationId, jobId, status: 'queued' }]);
    const job = (await api.get(`/queue/status/${jobId}`, merchant)).json();
    expect(job).toMatchObject({ jobId, operationId, status: 'waiting', attemptsMade: 0, result: null });
    const { stats, health } = (await api.get('/queue/stats', merchant)).json<{
      stats: object;
      health: { healthy: boolean };
    }>();
    expect(stats).toEqual({ waiting: 1, active: 0, completed: 0, failed: 0, delayed: 0, paused: 0 });
    expect(health).toMatchObject({ healthy: false, queueName: 'operations' }); // no worker is there
    const token = (await core.apiTokens.list(shop.customerId)).find(
      ({ memberId }) => memberId === shop.approver.id,
    )?.id;
    const entries = await trail(core, await read(shop, operationId));
    expect(entries.find(({ kind }) => kind === 'consent.granted')?.payload).toMatchObject({ method: 'api', token });
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true });
  });

  test('with a channel people are asked there, once, by whom and for what, and an approver decides in chat', async () => {
    const { shop, merchant } = await openShop();
    await chooseChannel(shop, 'C7');
    const before = chat.shown().length;
    const key = { 'idempotency-key': newUuid() };
    const answers = [1, 2].map(() => api.post('/initiate', merchant, WOOCOMMERCE, key));
    const ids = (await Promise.all(answers)).map((answer) => answer.json().operationId);
    const { operationId, planHash } = (await api.post('/initiate', merchant, WOOCOMMERCE, key)).json<Initiated>();
    expect(ids.filter((id) => id !== undefined && id !== operationId)).toEqual([]);
    const shown = chat.shown().slice(before);
    expect(shown.map(({ summary }) => summary)).toEqual([
      'Mona asks by the API: Create a WooCommerce API key for shop.example.com',
      expect.stringContaining('shop.example.com'),
    ]);
    expect(chat.calls.findLast(({ key: slot }) => slot === `consent:${operationId}`)?.thread?.ref).toMatch(/^C7:m/);
    const granted = await core.consents.grant(shop.customerId, {
      ...{ operationId, planHash, by: shop.approver, method: 'web' },
    });
    expect(granted.kind).toBe('granted');
    expect(await statusOf(merchant, operationId)).toMatchObject({ status: 'awaiting_credentials' });
  });

  test('says that the chat does not take it, asks for nothing, and may be sent again', async () => {
    const { shop, merchant } = await openShop();
    await chooseChannel(shop, 'C9');
    const refusing = (errorCode: ErrorCode, isRetryable: boolean): Chat => ({
      ...chat,
      post: async () => Promise.reject(new CountersignError(errorCode, 'not in the channel', { isRetryable })),
    });
    const key = { 'idempotency-key': newUuid() };
    for (const [errorCode, isRetryable, words] of [
      ['chat_unavailable', true, 'The chat did not answer. Please try again.'],
      ['chat_unavailable', false, expect.stringContaining('still in the channel')],
      ['database_unavailable', true, 'The database did not answer. Please try again.'],
      ['network', true, 'Something that this takes did not answer. Please try again.'],
    ] as const) {
      const cut = await openApi(core, { chat: refusing(errorCode, isRetryable) });
      const refused = await cut.post('/initiate', merchant, WOOCOMMERCE, key);
      expect([...code(refused), refused.json().detail]).toEqual([503, 'unavailable', words]);
      await cut.close();
    }
    expect((await api.get('/operations', merchant)).json().count).toBe(0);
    expect((await api.post('/initiate', merchant, WOOCOMMERCE, key)).status).toBe(202);
  });

  test('says what is wrong with a request, and asks for nothing', async () => {
    const { shop, merchant } = await openShop();
    const wrong: readonly (readonly [object, number, string])[] = [
      [{ service: 'shopware', metadata: { storeUrl: 'x.example.com' } }, 422, 'service'],
      [{ service: 'woocommerce' }, 422, 'metadata.storeUrl'],
      [{ service: 'woocommerce', metadata: { storeUrl: 'ftp://x' } }, 422, 'metadata.storeUrl'],
      [{ ...WOOCOMMERCE, operation: 'make_coffee' }, 422, 'operation'],
      [{ ...WOOCOMMERCE, permissions: ['rule_the_world'] }, 422, 'permissions'],
      [{ ...WOOCOMMERCE, way: 'by_owl' }, 422, 'way'],
      [{ ...WOOCOMMERCE, storeUrl: 'shop.example.com' }, 400, 'body'],
      [{ ...WOOCOMMERCE, service: 'a\u0000b' }, 400, 'service'],
    ];
    for (const [body, status, at] of wrong) {
      const answer = await api.post('/initiate', merchant, body);
      expect([...code(answer), answer.json<{ errors: { at: string }[] }>().errors[0]?.at]).toEqual([
        ...[status, 'request_invalid', at],
      ]);
    }
    expect(code(await api.post('/initiate', merchant, { ...WOOCOMMERCE, consent: false }))).toEqual([
      ...[403, 'consent_refused'],
    ]);
    const rows = await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_operations WHERE customer_id = $1', [
      shop.customerId,
    ]);
    expect(rows).toHaveLength(0);
  });

  test('keeps to what an admin allows, and to how many an hour', async () => {
    const { shop, merchant } = await openShop();
    const set = (text: string) =>
      sql(testDatabase.adminUrl, `UPDATE customers SET ${text} WHERE customer_id = $1`, [shop.customerId]);
    await set("allowed_targets = '{other.example.com}'");
    expect(code(await api.post('/initiate', merchant, WOOCOMMERCE))).toEqual([403, 'not_offered']);
    await set("allowed_targets = '{}', operations_per_hour = 1");
    await chooseChannel(shop, 'C8');
    await initiate(merchant);
    const before = chat.calls.length;
    const key = { 'idempotency-key': 'again' };
    const over = await api.post('/initiate', merchant, WOOCOMMERCE, key);
    expect(code(over)).toEqual([429, 'operations_limited']);
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(3000);
    expect(chat.calls).toHaveLength(before); // a program that asks in a loop fills no channel
    await set('operations_per_hour = NULL');
    expect((await api.post('/initiate', merchant, WOOCOMMERCE, key)).status).toBe(202);
  });
});

describe('an Idempotency-Key', () => {
  test('gives the same answer again, refuses another request, and belongs to its token', async () => {
    const { merchant, admin } = await openShop();
    const key = { 'idempotency-key': 'order-4711' };
    const [first, again] = [
      await api.post('/initiate', merchant, WOOCOMMERCE, key),
      await api.post('/initiate', merchant, WOOCOMMERCE, key),
    ];
    expect([again.status, again.text, again.headers.get('location')]).toEqual([
      ...[first.status, first.text, first.headers.get('location')],
    ]);
    expect([first.headers.get('idempotency-replayed'), again.headers.get('idempotency-replayed')]).toEqual([
      null,
      'true',
    ]);
    const other = await api.post('/initiate', merchant, { ...WOOCOMMERCE, consent: true }, key);
    expect(code(other)).toEqual([422, 'idempotency_key_reused']);
    const elsewhere = await api.post(`/operations/${first.json().operationId}/cancel`, merchant, undefined, key);
    expect(code(elsewhere)).toEqual([422, 'idempotency_key_reused']);
    const others = await api.post('/initiate', admin, WOOCOMMERCE, key);
    expect(others.json().operationId).not.toBe(first.json().operationId);
    expect((await api.get('/operations', merchant)).json().count).toBe(2);
    for (const bad of ['', 'a b', 'x'.repeat(256)])
      expect((await api.post('/initiate', merchant, WOOCOMMERCE, { 'idempotency-key': bad })).status).toBe(400);
  });

  test('keeps a refusal, too, and after a day does nothing a second time', async () => {
    const { shop, merchant } = await openShop();
    const key = { 'idempotency-key': newUuid() };
    const { id } = await queuedOperation(core, shop);
    const cancelled = await api.post(`/operations/${id}/cancel`, merchant, undefined, key);
    expect(cancelled.status).toBe(200);
    expect((await api.post(`/operations/${id}/cancel`, merchant, undefined, key)).text).toBe(cancelled.text);
    const over = { 'idempotency-key': newUuid() };
    const refusals = [1, 2].map(() => api.post(`/operations/${id}/cancel`, merchant, undefined, over));
    for (const refused of await Promise.all(refusals)) expect(refused.status).toBe(409);
    const forget = () =>
      core.database.withCustomer(shop.customerId, (tx) => tx.$queryRaw`SELECT app.forget_answered()`);
    await forget();
    expect((await api.post(`/operations/${id}/cancel`, merchant, undefined, key)).text).toBe(cancelled.text);
    await sql(
      testDatabase.adminUrl,
      "UPDATE api_answers SET created_at = created_at - interval '25 hours' WHERE customer_id = $1",
      [shop.customerId],
    );
    await forget();
    expect(code(await api.post(`/operations/${id}/cancel`, merchant, undefined, key))).toEqual([409, 'answer_lost']);
  });

  test('is taken up by the next one when whoever was at it is gone, and had no effect or a whole one', async () => {
    const { shop, merchant } = await openShop();
    const key = { 'idempotency-key': newUuid() };
    await api.post('/initiate', merchant, WOOCOMMERCE, key);
    const lose = 'UPDATE api_answers SET status = NULL, sealed = NULL, taken_at = app.now() WHERE customer_id = $1';
    await sql(testDatabase.adminUrl, lose, [shop.customerId]);
    const busy = await api.post('/initiate', merchant, WOOCOMMERCE, key);
    expect(code(busy)).toEqual([409, 'idempotency_key_in_use']);
    await shiftClock(testDatabase.ownerUrl, '3 minutes');
    try {
      expect(code(await api.post('/initiate', merchant, WOOCOMMERCE, key))).toEqual([409, 'answer_lost']);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-3 minutes');
    }
    expect((await api.get('/operations', merchant)).json().count).toBe(1);
  });
});

describe('a body', () => {
  test('is JSON, whole, and no longer than it may be', async () => {
    const { merchant } = await openShop();
    const send = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
      api.ask('/initiate', {
        method: 'POST',
        body,
        headers: { authorization: `Bearer ${merchant}`, 'content-type': 'application/json', ...headers },
      });
    expect(code(await send('{"service":'))).toEqual([400, 'request_invalid']);
    expect(code(await send('[]'))).toEqual([400, 'request_invalid']);
    expect(code(await send(Uint8Array.from([0x22, 0xff, 0x22])))).toEqual([400, 'request_invalid']);
    expect(code(await send('{}', { 'content-type': 'text/plain' }))).toEqual([415, 'media_type_unsupported']);
    expect(code(await send('{}', { 'content-encoding': 'gzip' }))).toEqual([415, 'media_type_unsupported']);
    expect(code(await send(JSON.stringify({ service: 'x'.repeat(70_000) })))).toEqual([413, 'body_too_large']);
    expect((await api.ask('/operations', { method: 'PUT' })).headers.get('allow')).toBe('GET');
    expect((await api.ask('/credentials', { method: 'PUT' })).headers.get('allow')).toBe('GET, POST');
  });
});
