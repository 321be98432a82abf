// The routes of the HTTP API from beginning to end: asked for, countersigned, queued, looked at, changed, tried again.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listedView, operationView } from '../../adapters/api/views.ts';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import type { Member } from '../../core/customers/customers.ts';
import { CountersignError, type ErrorCode } from '../../core/errors.ts';
import { type CustomerId, newUuid, type OperationId } from '../../core/ids.ts';
import { countFailedSignIn, MOST_FAILED_SIGN_INS } from '../../core/operations/sign-in-limit.ts';
import { STATES } from '../../core/operations/states.ts';
import type { Chat } from '../../core/ports/chat.ts';
import { type Answer, createChannelChat, openApi, type TestApi, tokenFor } from '../support/api.ts';
import {
  type Core,
  cancel,
  installShop,
  kinds,
  openCore,
  queuedOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { askAbout } from '../support/questions.ts';
import type { RecordingChat } from '../support/recording-chat.ts';

const WOOCOMMERCE = { service: 'woocommerce', metadata: { storeUrl: 'shop.example.com' } };
const SIGN_IN = { admin_username: 'mona', admin_password: 'correct horse battery' };

let testDatabase: TestDatabase;
let core: Core;
let api: TestApi;
const chat: RecordingChat = createChannelChat();

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

/** A customer with a token for each of its people, and one that only reads. */
async function openShop() {
  const shop = await installShop(core);
  const of = async (member: Member) => (await tokenFor(core, shop.customerId, SCOPES, member)).token;
  return {
    shop,
    merchant: await of(shop.merchant),
    approver: await of(shop.approver),
    second: await of(shop.secondApprover),
    admin: await of(shop.admin),
  };
}

async function chooseChannel({ customerId }: Shop, channel: string): Promise<void> {
  const text = 'UPDATE customers SET allowed_channels = ARRAY[$2] WHERE customer_id = $1';
  await sql(testDatabase.adminUrl, text, [customerId, channel]);
}

interface Initiated {
  readonly operationId: OperationId;
  readonly planHash: string;
  readonly permissions: readonly string[];
  readonly consentAskedIn: string;
  readonly statusUrl: string;
}

async function initiate(token: string, body: object = WOOCOMMERCE): Promise<Initiated> {
  const answer = await api.post('/initiate', token, body);
  expect([answer.status, answer.text]).toEqual([202, expect.stringContaining('operationId')]);
  return answer.json<Initiated>();
}

function code(answer: Answer): readonly unknown[] {
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  return [answer.status, answer.json().code];
}

const grant = (token: string, { operationId, planHash }: Initiated, more: object = {}) =>
  api.post('/consent', token, { action: 'grant', operationId, planHash, ...more });

async function statusOf(token: string, id: string) {
  return (await api.get(`/status/${id}`, token)).json<{ status: string; currentStep: number; totalSteps: number }>();
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

describe('consent by the API', () => {
  test('is judged by the rules of the chat: not their own request, not a merchant, not another plan', async () => {
    const { shop, merchant, approver, admin, second } = await openShop();
    const asked = await initiate(merchant);
    expect(code(await grant(merchant, asked))).toEqual([403, 'not_allowed']);
    expect(code(await grant(admin, asked))).toEqual([403, 'not_allowed']);
    expect(code(await grant(approver, { ...asked, planHash: '0'.repeat(64) }))).toEqual([409, 'plan_changed']);
    expect(code(await grant(approver, asked, { service: 'stripe' }))).toEqual([409, 'plan_changed']);
    expect(code(await grant(approver, asked, { permissions: ['create_key'] }))).toEqual([409, 'plan_changed']);
    const own = await initiate(approver);
    const refused = await grant(approver, own);
    expect([...code(refused), refused.json().detail]).toEqual([
      ...[403, 'not_allowed'],
      'You asked for this yourself, so somebody else has to decide. Nothing was changed.',
    ]);
    expect((await statusOf(merchant, own.operationId)).status).toBe('awaiting_consent');
    expect((await grant(second, own)).status).toBe(200);
    expect(await kinds(core, await read(shop, own.operationId))).toContain('consent.refused');
  });

  test('takes as many people as the customer asks for', async () => {
    const { shop, merchant, approver, second } = await openShop();
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.setRules(tx, shop.customerId, {
        ...{ approvalsRequired: 2, adminsApprove: false, approverGroup: null },
      }),
    );
    const asked = await initiate(merchant);
    const first = await grant(approver, asked);
    expect([first.status, first.json()]).toMatchObject([202, { status: 'awaiting_consent', consent: null }]);
    expect(code(await grant(approver, asked))).toEqual([409, 'not_possible_now']);
    expect((await grant(second, asked)).json()).toMatchObject({ consent: { grantedBy: shop.secondApprover.id } });
  });

  test('denies with a reason, which stays in the sealed words', async () => {
    const { merchant, approver } = await openShop();
    const { operationId } = await initiate(merchant);
    const deny = { action: 'deny', operationId, reason: 'Not before the audit' };
    expect((await api.post('/consent', approver, deny)).json()).toMatchObject({ status: 'denied', consent: null });
    const { operation } = (await api.get(`/operations/${operationId}`, merchant)).json<{ operation: object }>();
    expect(operation).toMatchObject({ status: 'denied', error: { message: 'Not before the audit' } });
    expect(code(await api.post('/consent', approver, deny))).toEqual([409, 'not_possible_now']);
  });

  test('is listed, and taken back by whoever may', async () => {
    const { shop, merchant, approver } = await openShop();
    const [one, two] = [await initiate(merchant), await initiate(merchant)];
    for (const asked of [one, two]) expect((await grant(approver, asked)).status).toBe(200);
    const listed = (await api.get('/consent?active=true&limit=1', merchant)).json<{
      consents: { id: string; operationId: string }[];
      nextCursor: string;
    }>();
    expect(listed.consents.map(({ operationId }) => operationId)).toEqual([two.operationId]);
    const rest = await api.get(`/consent?active=true&cursor=${listed.nextCursor}`, merchant);
    expect(rest.json<typeof listed>().consents.map(({ operationId }) => operationId)).toEqual([one.operationId]);
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-else', name: 'Else' }),
    );
    const stranger = (await tokenFor(core, shop.customerId, SCOPES, other)).token;
    const revoke = { action: 'revoke', consentId: listed.consents[0]?.id };
    expect(code(await api.post('/consent', stranger, revoke))).toEqual([403, 'not_allowed']);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.link(tx, shop.customerId, [shop.merchant, other]),
    );
    expect((await api.post('/consent', stranger, revoke)).json()).toMatchObject({ revoked: 1, status: 'cancelled' });
    expect(code(await api.post('/consent', merchant, revoke))).toEqual([409, 'not_possible_now']);
    expect(code(await api.post('/consent', stranger, { action: 'revoke', service: 'woocommerce' }))[0]).toBe(403);
    const all = await api.post('/consent', approver, { action: 'revoke', service: 'woocommerce' });
    expect(all.json()).toMatchObject({ revoked: 1 });
    const again = await api.post('/consent', approver, { action: 'revoke', service: 'woocommerce' });
    expect(code(again)).toEqual([409, 'not_possible_now']);
    expect((await api.get('/consent?active=true', merchant)).json()).toMatchObject({ count: 0 });
    expect(code(await api.post('/consent', approver, { action: 'revoke' }))).toEqual([422, 'request_invalid']);
  });
});

describe('an operation that is there', () => {
  test('is paused, resumed and cancelled by whoever may do it in chat', async () => {
    const { shop, merchant, approver } = await openShop();
    const { id } = await queuedOperation(core, shop);
    const change = (verb: string, token = merchant) => api.post(`/operations/${id}/${verb}`, token);
    const paused = await change('pause');
    expect([paused.status, paused.json()]).toMatchObject([202, { operation: { id, status: 'paused' } }]);
    expect((await api.get('/queue/stats', merchant)).json()).toMatchObject({ stats: { paused: 1 } });
    expect(code(await change('pause'))).toEqual([409, 'not_possible_now']);
    expect((await change('resume', approver)).json()).toMatchObject({ operation: { status: 'queued' } });
    const cancelled = await change('cancel');
    expect([cancelled.status, cancelled.json()]).toMatchObject([200, { operation: { status: 'cancelled' } }]);
    for (const verb of ['cancel', 'pause', 'resume'])
      expect(code(await change(verb))).toEqual([409, 'not_possible_now']);
    expect(code(await api.post('/operations/op-zzzzzzzz/cancel', merchant))).toEqual([404, 'not_found']);
  });

  test('is left alone by whoever may not', async () => {
    const { shop } = await openShop();
    const { id } = await queuedOperation(core, shop);
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, { ...shop.merchant.person, userId: 'U-else', name: 'Else' }),
    );
    const { token } = await tokenFor(core, shop.customerId, SCOPES, other);
    for (const verb of ['cancel', 'pause', 'resume', 'retry'])
      expect([verb, ...code(await api.post(`/operations/${id}/${verb}`, token))]).toEqual([verb, 403, 'not_allowed']);
    const fields = { operationId: id, fields: SIGN_IN };
    expect(code(await api.post('/credentials', token, fields))).toEqual([403, 'not_allowed']);
  });

  test('is tried again as another one, which names the old one and waits for consent', async () => {
    const { shop, merchant } = await openShop();
    const operation = await queuedOperation(core, shop);
    expect(code(await api.post(`/operations/${operation.id}/retry`, merchant))).toEqual([409, 'not_possible_now']);
    await cancel(core, operation);
    const again = await api.post(`/operations/${operation.id}/retry`, merchant);
    expect([again.status, again.json()]).toMatchObject([202, { retryOf: operation.id, status: 'awaiting_consent' }]);
    const { operationId } = again.json<Initiated>();
    const old = (await api.get(`/operations/${operation.id}`, merchant)).json();
    expect(old).toMatchObject({ operation: { retriedAs: operationId, retryOf: null } });
    const repeated = await api.post(`/operations/${operation.id}/retry`, merchant);
    expect([...code(repeated), repeated.json().operationId]).toEqual([409, 'not_possible_now', operationId]);
  });

  test('is not tried again where sign-ins failed too often, and says that it is their limit', async () => {
    const { shop, merchant } = await openShop();
    const operation = await queuedOperation(core, shop);
    await cancel(core, operation);
    const at = { service: operation.service.id, base: operation.plan.base };
    for (let count = 0; count < MOST_FAILED_SIGN_INS; count++)
      await core.database.withCustomer(shop.customerId, (tx) => countFailedSignIn(tx, shop.customerId, at));
    const refused = await api.post(`/operations/${operation.id}/retry`, merchant);
    expect(code(refused)).toEqual([429, 'operations_limited']);
    expect(refused.json().detail).toMatch(/^3 sign-ins at shop\.example\.com failed .* Make sure of the password\.$/);
  });

  test('shows its newest pictures, by addresses that name them alone', async () => {
    const { shop, merchant } = await openShop();
    const { customerId, id: operationId } = await queuedOperation(core, shop);
    for (const step of [1, 2, 3, 4])
      await core.database.withCustomer(customerId, async (tx) => {
        const id = newUuid();
        const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 1, height: 1, alt: '' };
        await tx.screenshot.create({ data: { customerId, id, operationId, step, ...picture } });
        const where = { customerId_operationId_number: { customerId, operationId, number: step } };
        await tx.operationStep.update({ where, data: { screenshotId: id, state: 'done' } });
      });
    const status = (await api.get(`/status/${operationId}`, merchant)).json<{ recentScreenshots: string[] }>();
    expect(status).toMatchObject({ progressPercent: 40 });
    expect(status.recentScreenshots).toHaveLength(3);
    for (const url of status.recentScreenshots) expect(url).toMatch(/^http:\/\/localhost:3000\/pictures\//);
  });
});

describe('lists', () => {
  test('give each operation once, newest first, a page at a time, and no more than a hundred', async () => {
    const { shop, merchant } = await openShop();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await initiate(merchant)).operationId);
    // All at once: the id decides.
    const same = 'UPDATE autonomous_operations SET created_at = date_trunc($2, created_at) WHERE customer_id = $1';
    await sql(testDatabase.adminUrl, same, [shop.customerId, 'day']);
    const seen: string[] = [];
    let cursor = '';
    for (let pages = 0; pages < 3; pages++) {
      const page = (await api.get(`/operations?limit=2${cursor && `&cursor=${cursor}`}`, merchant)).json<{
        operations: { id: string }[];
        nextCursor?: string;
      }>();
      seen.push(...page.operations.map(({ id }) => id));
      cursor = page.nextCursor ?? '';
    }
    expect([seen, cursor]).toEqual([ids.toSorted().reverse(), '']);
    for (const query of [
      'limit=0',
      'limit=101',
      'limit=x',
      'cursor=zzz',
      'cursor=WzEsIm9wIl0',
      'offset=3',
      'status=done',
    ])
      expect([query, ...code(await api.get(`/operations?${query}`, merchant))]).toEqual([
        ...[query, 400, 'request_invalid'],
      ]);
    const wrong = (await api.get('/operations?cursor=zzz', merchant)).json<{ errors: unknown }>();
    expect(wrong.errors).toEqual([{ at: 'cursor', detail: 'invalid_format' }]);
    const cancelled = await api.post(`/operations/${ids[0]}/cancel`, merchant);
    expect(cancelled.headers.get('ratelimit-policy')).toBe('"token";q=600;w=60');
    const open = (await api.get('/operations?status=awaiting_consent&service=woocommerce', merchant)).json();
    expect(open.count).toBe(4);
    const { history } = (await api.get('/history?from=2020-01-01T00:00:00Z', merchant)).json<{
      history: { id: string; status: string }[];
    }>();
    expect(history).toMatchObject([{ id: ids[0], status: 'cancelled' }]);
    expect((await api.get('/history?to=2020-01-01T00:00:00Z', merchant)).json().count).toBe(0);
  });
});

describe('the audit trail', () => {
  test('is a bundle or a table without formulas, and that it was read is on record', async () => {
    const { shop, merchant } = await openShop();
    const named = '=HYPERLINK("http://evil")';
    await sql(testDatabase.adminUrl, 'UPDATE members SET name = $2 WHERE id = $1', [shop.merchant.id, named]);
    const { operationId } = await initiate(merchant);
    const csv = await api.get(`/operations/${operationId}/audit?format=csv`, merchant);
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
    expect(csv.headers.get('content-disposition')).toBe(`attachment; filename="${operationId}.csv"`);
    const lines = csv.text.trimEnd().split('\r\n');
    expect(lines).toHaveLength(5); // the last of them says who took it
    expect(lines[0]).toMatch(/^seq,at,kind,operation,/);
    expect(lines[1]).toContain(`"'=HYPERLINK(""http://evil"")"`);
    const json = await api.get(`/operations/${operationId}/audit`, merchant);
    expect(json.json()).toMatchObject({ operationId, people: { [shop.merchant.id]: named } });
    expect(await kinds(core, await read(shop, operationId))).toEqual([
      ...['operation.requested', 'plan.made', 'consent.requested', 'trail.read', 'trail.read'],
    ]);
  });
});

describe('stored keys', () => {
  test('are kept by an approver, listed without their values, never replaced, and deleted', async () => {
    const { shop, merchant, approver, admin } = await openShop();
    const canary = 'rk_test_canary_0123456789';
    const body = { service: 'stripe', type: 'api_key', fields: { value: canary }, label: 'Old one' };
    expect(code(await api.post('/credentials', merchant, body))).toEqual([403, 'not_allowed']);
    const stored = await api.post('/credentials', approver, body);
    expect([stored.status, stored.json()]).toMatchObject([
      201,
      { credential: { service: 'stripe', label: 'Old one' } },
    ]);
    const { id } = stored.json<{ credential: { id: string } }>().credential;
    expect(code(await api.post('/credentials', admin, body))).toEqual([409, 'not_possible_now']);
    const listed = await api.get('/credentials?service=stripe', merchant);
    expect(listed.json()).toMatchObject({ count: 1, credentials: [{ id, version: 1, operationId: null }] });
    for (const { text } of [stored, listed]) expect(text).not.toContain(canary);
    expect((await api.value(id, merchant)).json()).toMatchObject({ fields: { value: canary } });
    expect(code(await api.delete(`/credentials/${id}`, merchant))).toEqual([403, 'not_allowed']);
    expect((await api.delete(`/credentials/${id}`, admin)).json()).toMatchObject({
      success: true,
      endedAtService: false,
    });
    expect(code(await api.delete(`/credentials/${id}`, admin))).toEqual([404, 'not_found']);
    const deleted = await sql<{ header: string }>(
      testDatabase.adminUrl,
      "SELECT header FROM autonomous_operations_audit WHERE customer_id = $1 AND kind ~ '^credential.(stored|deleted)' ORDER BY seq",
      [shop.customerId],
    );
    expect(deleted.map(({ header }) => JSON.parse(header).actor)).toEqual([shop.approver.id, shop.admin.id]);
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

describe('what a run asks a person', () => {
  const questionOf = async (token: string, id: string) =>
    (await api.get(`/status/${id}`, token)).json<{ question: Record<string, unknown> | null }>().question;

  test('stands in the status, and a code is taken once and said nowhere', async () => {
    const { shop, merchant, approver } = await openShop();
    const operation = await queuedOperation(core, shop);
    expect(await questionOf(merchant, operation.id)).toBe(null);
    const { id: questionId, step } = await askAbout(core, operation, 'code');
    expect(await questionOf(merchant, operation.id)).toEqual({
      ...{ id: questionId, kind: 'code', step, words: 'The page asks for something.', screenshot: null },
      ...{ askedAt: expect.any(String), expiresAt: expect.any(String) },
    });
    const path = `/operations/${operation.id}/answer`;
    const wrong = await api.post(path, merchant, { questionId, goOn: true });
    expect([...code(wrong), wrong.json().errors]).toEqual([
      422,
      'request_invalid',
      [{ at: 'code', detail: 'unusable' }],
    ]);
    const other = await api.post(path, merchant, { questionId: newUuid(), code: '918273' });
    expect(code(other)).toEqual([409, 'not_possible_now']);
    const headers = { 'idempotency-key': 'the-code' };
    const both = await Promise.all([
      api.post(path, merchant, { questionId, code: '918 273' }, headers),
      api.post(path, approver, { questionId, code: '918273' }),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    for (const { text } of both) expect(text).not.toMatch(/918 ?273/);
    expect(await statusOf(merchant, operation.id)).toMatchObject({ status: 'queued', question: null });
    const taken = await read(shop, operation.id);
    expect((await kinds(core, taken)).at(-1)).toBe('question.answered');
    for (const { payload } of await trail(core, taken)) expect(JSON.stringify(payload ?? null)).not.toMatch(/918 ?273/);
  });

  test('is answered by nobody who could not answer it in chat', async () => {
    const { shop, approver } = await openShop();
    const operation = await queuedOperation(core, shop);
    const { id: questionId } = await askAbout(core, operation, 'help');
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.member(tx, shop.customerId, {
        ...{ platform: 'web', workspaceId: shop.workspaceId, userId: 'U-other', name: 'Otto' },
      }),
    );
    const { token } = await tokenFor(core, shop.customerId, ['questions:answer'], other);
    const path = `/operations/${operation.id}/answer`;
    expect(code(await api.post(path, token, { questionId, goOn: true }))).toEqual([403, 'not_allowed']);
    expect((await api.post(path, approver, { questionId, goOn: true })).status).toBe(202);
    await expect(tokenFor(core, shop.customerId, ['questions:answer'])).rejects.toThrow(TypeError);
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

function read({ customerId }: Shop, id: string) {
  return core.database.withCustomer(customerId, async (tx) => {
    const operation = await core.operations.get(tx, customerId, id);
    if (!operation) throw new Error(`${id} is not there`);
    return operation;
  });
}

describe('lists, in whatever state operations are', () => {
  test('say of each what it says itself', async () => {
    const { shop, merchant, approver } = await openShop();
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.setRules(tx, shop.customerId, {
        ...{ approvalsRequired: 2, adminsApprove: false, approverGroup: null },
      }),
    );
    expect((await grant(approver, await initiate(merchant))).status).toBe(202);
    const { operationId } = await initiate(merchant);
    await sql(testDatabase.adminUrl, 'UPDATE autonomous_operations SET current_step = 3 WHERE id = $1', [operationId]);
    await sql(
      testDatabase.adminUrl,
      "UPDATE operation_steps SET state = 'done' WHERE operation_id = $1 AND number < 3",
      [operationId],
    );
    // And what the tests above have left.
    const owners = await sql<{ customer_id: CustomerId }>(
      testDatabase.adminUrl,
      'SELECT DISTINCT customer_id FROM autonomous_operations',
    );
    const seen = new Set<string>();
    for (const { customer_id: customerId } of owners) {
      const { items } = await core.operations.page(customerId, { limit: 1_000 });
      const filtered = await core.operations.page(customerId, { limit: 1_000, states: STATES });
      expect(filtered.items).toEqual(items);
      for (const item of items) {
        const operation = await core.operations.look(customerId, item.id);
        if (!operation) throw new Error(`${item.id} is gone`);
        expect(listedView(item)).toEqual(operationView(operation));
        seen.add(`${item.state}, ${item.approvedBy.length} approved, ${item.stepsDone > 0 ? 'some' : 'none'} done`);
        if (item.retryOf) seen.add('tries another one again');
      }
    }
    const meant = [
      ...['awaiting_consent, 0 approved, some done', 'awaiting_consent, 1 approved, none done'],
      ...[
        'awaiting_credentials, 2 approved, none done',
        'cancelled, 1 approved, none done',
        'denied, 0 approved, none done',
      ],
      ...['queued, 1 approved, none done', 'queued, 1 approved, some done', 'tries another one again'],
    ];
    expect([...seen]).toEqual(expect.arrayContaining(meant));
  });
});
