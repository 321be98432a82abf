// What the OpenAPI document says of the API, against the routes and against what they answer to whatever is sent.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PROBLEM_CODES } from '../../adapters/api/problem.ts';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import { writeCursor } from '../../core/page.ts';
import { type Answer, bearer, openApi, type TestApi, tokenFor } from '../support/api.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { valuesOf } from '../support/json-schema.ts';
import { IS_WHOLE } from '../support/whole.ts';

const content = z.record(z.string(), z.looseObject({ schema: z.record(z.string(), z.unknown()) }));
const operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  'x-scope': z.string(),
  parameters: z.array(
    z.looseObject({
      name: z.string(),
      in: z.enum(['path', 'query', 'header']),
      required: z.boolean(),
      schema: z.record(z.string(), z.unknown()),
    }),
  ),
  requestBody: z.looseObject({ content }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content })),
});
const documentSchema = z.looseObject({
  openapi: z.literal('3.1.1'),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.record(z.enum(['get', 'post', 'delete']), operation.optional())),
  components: z.looseObject({
    schemas: z.record(z.string(), z.record(z.string(), z.unknown())),
    securitySchemes: z.record(z.string(), z.looseObject({ type: z.literal('http') })),
  }),
});
type Document = z.infer<typeof documentSchema>;
type Described = z.infer<typeof operation> & { readonly method: string; readonly path: string };

const RUNS = IS_WHOLE ? 300 : 12;

let testDatabase: TestDatabase;
let core: Core;
let api: TestApi;
let document: Document;
let scene: Awaited<ReturnType<typeof openScene>>;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  api = await openApi(core);
  scene = await openScene();
  document = documentSchema.parse(await (await fetch(`${api.origin}/api/openapi.json`)).json());
});

afterAll(async () => {
  await api.close();
  await core.close();
  await testDatabase.drop();
});

function described(): readonly Described[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, each]) => (each ? [{ ...each, method, path }] : [])),
  );
}

/** Everything in the document that is a `$ref`. */
function refsIn(node: unknown): readonly string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([name, value]) => (name === '$ref' ? [String(value)] : refsIn(value)));
}

/** Compiles a schema of the document, by the draft that OpenAPI 3.1 takes. */
function validator() {
  const ajv = new Ajv2020({ strict: false, formats: { uuid: true, uri: true, 'date-time': true } });
  ajv.addSchema({ $id: 'document', components: document.components });
  return (schema: Record<string, unknown>) =>
    ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')));
}

describe('the OpenAPI document', () => {
  test('has every route, its scope and its parameters, and nothing else', () => {
    const routes = api.routes.map(({ method, path, id, scope }) => [
      `${method} /api/autonomous${path.replace(/:(\w+)/g, '{$1}')}`,
      ...[id, scope],
    ]);
    const found = described().map((each) => [`${each.method} ${each.path}`, each.operationId, each['x-scope']]);
    expect(found.toSorted()).toEqual(routes.toSorted());
    expect(new Set(found.map(([, id]) => id)).size).toBe(found.length);
    for (const { path, parameters } of described()) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every(({ required }) => required)).toBe(true);
    }
  });

  test('refers to nothing that is not there, and each of its schemas is one', () => {
    const refs = refsIn(document);
    expect(refs.length).toBeGreaterThan(100);
    const names = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...new Set(refs)].toSorted()).toEqual(names.toSorted()); // none is left over
    const compile = validator();
    for (const name of names) expect(() => compile({ $ref: name }), name).not.toThrow();
  });

  test('says of every answer what it holds, and of every POST what it takes', () => {
    for (const { operationId, method, responses, requestBody, parameters } of described()) {
      const statuses = Object.keys(responses);
      expect(statuses.some((status) => status.startsWith('2'))).toBe(true);
      for (const status of ['400', '401', '403', '429', '500']) expect(statuses).toContain(status);
      for (const [status, { content: media }] of Object.entries(responses)) {
        const [type] = Object.keys(media);
        expect([operationId, status, type]).toEqual([
          ...[operationId, status, status < '400' ? 'application/json' : 'application/problem+json'],
        ]);
      }
      const names = parameters.map(({ name }) => name);
      expect([operationId, names.includes('Idempotency-Key')]).toEqual([operationId, method === 'post']);
      if (requestBody) expect(Object.keys(requestBody.content)).toEqual(['application/json']);
    }
  });

  test('is there for whoever asks, without a token, and says where the API is', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'));
    expect(document.info.version).toBe(version);
    expect(document.servers).toEqual([{ url: 'https://countersign.example.com' }]);
    const answer = await fetch(`${api.origin}/api/openapi.json`);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('strict-transport-security')).toBe('max-age=31536000');
  });

  test('and docs/api.md name every route, scope and problem', () => {
    const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'api.md'), 'utf8');
    const routes = api.routes.map(({ method, path }) => `${method.toUpperCase()} /api/autonomous${path}`);
    expect([...routes, ...SCOPES, ...PROBLEM_CODES].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

/** Without which nothing would be asked for. */
const WORDS = [
  'woocommerce',
  'stripe',
  'shop.example.com',
  'https://shop.example.com',
  'api_key_generation',
  'browser',
];

/** Two customers, with what the requests may be about; everything that is sent comes from a member of the first. */
async function openScene() {
  const [mine, theirs] = [await installShop(core), await installShop(core)];
  const [own, other] = [await queuedOperation(core, mine), await queuedOperation(core, theirs)];
  const more = [await requestOperation(core, mine), await grantedOperation(core, mine)];
  const keep = (customerId: typeof mine.customerId) =>
    core.vault.store(customerId, 'stripe', 'api_key', { target: 'https://api.stripe.com', value: 'a key' });
  const [ownKey, otherKey] = [await keep(mine.customerId), await keep(theirs.customerId)];
  const jobs = await sql<{ id: string; job: string }>(
    testDatabase.adminUrl,
    'SELECT id, job_id AS job FROM autonomous_operations WHERE id = ANY ($1)',
    [[own.id, other.id]],
  );
  const known = [own.id, other.id, ...more.map((operation) => operation.id), ownKey.id, otherKey.id]
    .concat(more.map(({ planHash }) => planHash))
    .concat(jobs.map(({ job }) => job))
    .concat(WORDS, writeCursor({ at: new Date(), id: own.id }), writeCursor({ at: new Date(), id: ownKey.id }));
  const foreign = [theirs.customerId, other.id, otherKey.id, theirs.merchant.id, theirs.approver.id];
  const { token } = await tokenFor(core, mine.customerId, SCOPES, mine.approver);
  return { known, foreign, token };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What may be sent for one operation of the document: mostly as it says, else almost so, or nothing of the kind. */
function requestsTo(each: Described, known: readonly string[]) {
  const { schemas: components } = document.components;
  const requests = (isWild: boolean) => {
    const values = (schema: Record<string, unknown>) => valuesOf(schema, { components, known, isWild });
    const of = (place: string) => each.parameters.filter((parameter) => parameter.in === place);
    const record = (place: string, requiredKeys: readonly string[]) =>
      fc.record(Object.fromEntries(of(place).map(({ name, schema }) => [name, values(schema).map(asText)])), {
        requiredKeys: [...requiredKeys],
      });
    const schema = each.requestBody?.content['application/json']?.schema;
    return fc.record({
      params: record(
        'path',
        of('path').map(({ name }) => name),
      ),
      query: record('query', []),
      body: schema ? values(schema) : isWild ? fc.jsonValue() : fc.constant({}),
      key: fc.option(fc.stringMatching(/^[!-~]{1,20}$/), { nil: undefined, freq: 2 }),
      isCut: isWild ? fc.boolean() : fc.constant(false),
    });
  };
  return fc.oneof({ weight: 3, arbitrary: requests(false) }, { weight: 1, arbitrary: requests(true) });
}

function addressOf({ path }: Described, params: Record<string, string>, query: Record<string, string>): string {
  const filled = Object.entries(params).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, () => encodeURIComponent(value.toWellFormed()) || '%20'),
    path,
  );
  const search = new URLSearchParams(query).toString();
  return search === '' ? filled : `${filled}?${search}`;
}

describe('whatever is sent to', () => {
  const IDS = [
    ...['initiate', 'submitOperation', 'listOperations', 'getOperation', 'getStatus', 'getHistory', 'cancelOperation'],
    ...['pauseOperation', 'resumeOperation', 'retryOperation', 'getAuditTrail', 'listConsents', 'decideConsent'],
    'answerQuestion',
    ...['listCredentials', 'storeCredential', 'deleteCredential', 'getCredentialValue', 'getQueueStats', 'getJob'],
  ];

  test('the routes below are all that there are', () => {
    expect(
      described()
        .map((each) => each.operationId)
        .toSorted(),
    ).toEqual(IDS.toSorted());
  });

  test.each(IDS)(
    '%s is answered as the document says, without a word of another customer',
    async (id) => {
      const each = described().find(({ operationId }) => operationId === id);
      if (!each) throw new Error('there is no such operation');
      const { known, foreign, token } = scene;
      await sql(testDatabase.adminUrl, 'UPDATE limits SET remaining = 600, at = app.now()');
      const compile = validator();
      const checks = Object.fromEntries(
        Object.entries(each.responses).map(([status, { content: media }]) => [
          status,
          compile(Object.values(media)[0]?.schema ?? {}),
        ]),
      );
      const isAnswered = (answer: Answer, sent: string) => {
        const type = answer.headers.get('content-type') ?? '';
        expect(answer.status).toBeLessThan(500);
        expect(answer.text).not.toMatch(/\n\s+at |node_modules|\.ts:\d/);
        for (const secret of foreign) if (!sent.includes(secret)) expect(answer.text).not.toContain(secret);
        if (type.startsWith('text/csv')) return;
        const check = checks[String(answer.status)];
        expect(
          check?.(JSON.parse(answer.text)),
          `${answer.status} ${answer.text} ${JSON.stringify(check?.errors)}`,
        ).toBe(true);
      };
      await fc.assert(
        fc.asyncProperty(requestsTo(each, known), async ({ params, query, body, key, isCut }) => {
          const address = addressOf(each, params, query);
          const text = isCut ? JSON.stringify(body).slice(0, -1) : JSON.stringify(body);
          const headers = {
            ...{ ...bearer(token), 'content-type': 'application/json' },
            ...(key === undefined ? {} : { 'idempotency-key': key }),
          };
          const answer = await api.ask(address.replace('/api/autonomous', ''), {
            ...{ method: each.method.toUpperCase(), headers },
            ...(each.method === 'post' ? { body: text } : {}),
          });
          isAnswered(answer, `${address} ${text}`);
        }),
        { numRuns: RUNS },
      );
    },
    Math.max(60_000, RUNS * 2_000),
  );
});
