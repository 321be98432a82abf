// Every route of the HTTP API, tried by whoever may not use it. The rows come from the table of routes: one without a row fails.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiRoute } from '../../adapters/api/route.ts';
import { SCOPES, type Scope } from '../../core/customers/api-tokens.ts';
import type { Member } from '../../core/customers/customers.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Answer, bearer, openApi, type TestApi, tokenFor } from '../support/api.ts';
import {
  type Core,
  cancel,
  grantedOperation,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { askAbout } from '../support/questions.ts';

const NOWHERE = 'op-zzzzzzzz';
const WOOCOMMERCE = { service: 'woocommerce', metadata: { storeUrl: 'shop.example.com' } };

let testDatabase: TestDatabase;
let core: Core;
let [a, b]: Shop[] = [];
let api: TestApi;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
  api = await openApi(core);
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

/** A request that is right, of A's member; `named` is what it is about, which for B is not there. */
interface Request {
  readonly path: string;
  readonly body?: object;
  readonly by?: 'merchant' | 'approver';
  readonly named?: string;
}

const key = async (shop: Shop) =>
  core.vault.store(shop.customerId, 'stripe', 'api_key', {
    target: `https://${newUuid()}.example.com`,
    value: 'a key',
  });
const jobOf = async ({ id }: Operation) =>
  (
    await sql<{ id: string }>(testDatabase.adminUrl, 'SELECT job_id AS id FROM autonomous_operations WHERE id = $1', [
      id,
    ])
  )[0]?.id ?? '';
const paused = async (shop: Shop) => {
  const operation = await queuedOperation(core, shop);
  await core.control.pause(shop.customerId, { operationId: operation.id, by: shop.merchant });
  return operation;
};
const ended = async (shop: Shop) => {
  const operation = await requestOperation(core, shop);
  await cancel(core, operation);
  return operation;
};
const about = async (operation: Promise<Operation>, path: (id: string) => string): Promise<Request> => {
  const { id } = await operation;
  return { path: path(id), named: id };
};

const ROWS: Readonly<Record<string, (shop: Shop) => Promise<Request>>> = {
  initiate: async () => ({ path: '/initiate', body: WOOCOMMERCE }),
  submitOperation: async (shop) => {
    const { id } = await queuedOperation(core, shop);
    return { path: '/operations/submit', body: { operationId: id }, named: id };
  },
  listOperations: async () => ({ path: '/operations' }),
  getOperation: (shop) => about(requestOperation(core, shop), (id) => `/operations/${id}`),
  getStatus: (shop) => about(requestOperation(core, shop), (id) => `/status/${id}`),
  getHistory: async () => ({ path: '/history' }),
  cancelOperation: (shop) => about(requestOperation(core, shop), (id) => `/operations/${id}/cancel`),
  pauseOperation: (shop) => about(queuedOperation(core, shop), (id) => `/operations/${id}/pause`),
  resumeOperation: (shop) => about(paused(shop), (id) => `/operations/${id}/resume`),
  answerQuestion: async (shop) => {
    const operation = await queuedOperation(core, shop);
    const { id: questionId } = await askAbout(core, operation, 'help');
    return { path: `/operations/${operation.id}/answer`, body: { questionId, goOn: true }, named: operation.id };
  },
  retryOperation: (shop) => about(ended(shop), (id) => `/operations/${id}/retry`),
  getAuditTrail: (shop) => about(requestOperation(core, shop), (id) => `/operations/${id}/audit`),
  listConsents: async () => ({ path: '/consent' }),
  decideConsent: async (shop) => {
    const { id, planHash } = await requestOperation(core, shop);
    return { path: '/consent', body: { action: 'grant', operationId: id, planHash }, by: 'approver', named: id };
  },
  listCredentials: async () => ({ path: '/credentials' }),
  storeCredential: async (shop) => {
    const { id } = await grantedOperation(core, shop);
    const fields = { admin_username: 'mona', admin_password: 'correct horse' };
    return { path: '/credentials', body: { operationId: id, fields }, named: id };
  },
  deleteCredential: async (shop) => {
    const { id } = await key(shop);
    return { path: `/credentials/${id}`, by: 'approver', named: id };
  },
  getCredentialValue: async (shop) => {
    const { id } = await key(shop);
    return { path: `/credentials/${id}/value`, named: id };
  },
  getQueueStats: async () => ({ path: '/queue/stats' }),
  getJob: async (shop) => {
    const id = await jobOf(await queuedOperation(core, shop));
    return { path: `/queue/status/${id}`, named: id };
  },
};

function shopOf(which: Shop | undefined): Shop {
  if (!which) throw new Error('there is no shop');
  return which;
}

function ask({ method }: ApiRoute, { path, body }: Request, token: string | undefined): Promise<Answer> {
  const json = body && {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...bearer(token) },
  };
  return api.ask(path, { method: method.toUpperCase(), headers: bearer(token), ...json });
}

const token = (shop: Shop, scopes: readonly Scope[], member: Member) => tokenFor(core, shop.customerId, scopes, member);

/** How much is on record, over all customers: whoever is refused leaves nothing. */
async function entries(): Promise<number> {
  const rows = await sql<{ n: number }>(
    testDatabase.adminUrl,
    'SELECT count(*)::int AS n FROM autonomous_operations_audit',
  );
  return rows[0]?.n ?? -1;
}

function problem({ status, text }: Answer): readonly unknown[] {
  return [status, JSON.parse(text).code];
}

test('130 every route has a row here, and no row is left over', () => {
  expect(api.routes.map(({ id }) => id).toSorted()).toEqual(Object.keys(ROWS).toSorted());
});

describe('130 whoever may not', () => {
  test.each(Object.keys(ROWS))('%s', async (id) => {
    const route = api.routes.find((each) => each.id === id);
    if (!route) throw new Error('there is no such route');
    const [mine, theirs] = [shopOf(a), shopOf(b)];
    const request = await ROWS[id]?.(mine);
    if (!request) throw new Error('there is no request');
    const { by = 'merchant' } = request;
    const member = mine[by];
    const [good, expired, revoked] = [
      await token(mine, [route.scope], member),
      await token(mine, SCOPES, member),
      await token(mine, SCOPES, member),
    ];
    await sql(testDatabase.adminUrl, 'UPDATE api_tokens SET expires_at = app.now() WHERE id = $1', [expired.id]);
    await core.apiTokens.revoke(mine.customerId, revoked.id);
    const others = SCOPES.filter((scope) => scope !== route.scope);
    const wrong = await token(mine, others, member);
    const foreign = await token(theirs, SCOPES, theirs[by]);
    const before = await entries();

    expect(problem(await ask(route, request, undefined))).toEqual([401, 'token_missing']);
    expect(problem(await ask(route, request, `csk_${'0'.repeat(64)}`))).toEqual([401, 'token_invalid']);
    expect(problem(await ask(route, request, expired.token))).toEqual([401, 'token_invalid']);
    expect(problem(await ask(route, request, revoked.token))).toEqual([401, 'token_invalid']);
    expect(problem(await ask(route, request, wrong.token))).toEqual([403, 'scope_missing']);
    expect(await entries()).toBe(before);

    const other = await ask(route, request, foreign.token);
    for (const secret of [mine.customerId, mine.merchant.id, mine.approver.id, ...(await idsOf(mine))])
      expect(other.text).not.toContain(secret);
    if (request.named !== undefined) {
      const absent = request.named.startsWith('op-') ? NOWHERE : newUuid();
      const body = request.body && JSON.parse(JSON.stringify(request.body).replace(request.named, absent));
      const nothing = await ask(route, { path: request.path.replace(request.named, absent), body }, foreign.token);
      expect([other.status, other.text]).toEqual([404, nothing.text]);
      expect(nothing.status).toBe(404);
      expect(await entries()).toBe(before);
    }

    const right = await ask(route, request, good.token);
    expect([id, right.status, right.text]).toEqual([id, expect.toSatisfy((status) => status < 300), expect.anything()]);
  });
});

/** Everything of the customer that an answer could name. */
async function idsOf({ customerId }: Shop): Promise<readonly string[]> {
  const rows = await sql<{ id: string }>(
    testDatabase.adminUrl,
    `SELECT id::text FROM autonomous_operations WHERE customer_id = $1 UNION ALL SELECT id::text FROM autonomous_credentials WHERE customer_id = $1
     UNION ALL SELECT id::text FROM autonomous_consent WHERE customer_id = $1 UNION ALL SELECT job_id::text FROM autonomous_operations WHERE customer_id = $1 AND job_id IS NOT NULL`,
    [customerId],
  );
  return rows.map(({ id }) => id);
}
