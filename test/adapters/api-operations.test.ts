// What is there over the HTTP API: decided, looked at, changed, tried again, listed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listedView, operationView } from '../../adapters/api/views.ts';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { countFailedSignIn, MOST_FAILED_SIGN_INS } from '../../core/operations/sign-in-limit.ts';
import { STATES } from '../../core/operations/states.ts';
import { createChannelChat, openApi, type TestApi, tokenFor } from '../support/api.ts';
import { apiShopOn, code, type Initiated, SIGN_IN } from '../support/api-shop.ts';
import { type Core, cancel, kinds, openCore, queuedOperation, sql, trail } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { askAbout } from '../support/questions.ts';

let testDatabase: TestDatabase;
let core: Core;
let api: TestApi;
const { openShop, initiate, grant, statusOf, read } = apiShopOn(() => ({ core, api }));

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  api = await openApi(core, { chat: createChannelChat(), publicUrl: 'http://localhost:3000' });
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
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
