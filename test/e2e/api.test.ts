import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { createVisitor } from '../practice/woocommerce/visitor.ts';
import { bearer } from '../support/api.ts';
import { chatByHttp } from '../support/chat-by-http.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';

let demo: TestDemo;

beforeAll(async () => {
  demo = await startTestDemo({ shop: { obstacles: { adminEmailCheck: false } } });
  await appoint(demo, ['merchant', 'approver']); // neither approves what they asked for themselves
}, 60_000);

afterAll(() => demo?.remove());

/** The operator's command line beside the running program. */
async function countersign(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const env = { DATABASE_URL: demo.app.databaseUrl };
  const sinks = { say: (line: string) => said.push(line), complain: () => {} };
  expect(await runCli(argv, { env, folder: demo.project.folder, ...sinks })).toBe(0);
  return said.join('\n');
}

async function tokenOf(member: string, scope: string): Promise<string> {
  return countersign('token', 'create', '--customer', 'This computer', '--member', member, '--scope', scope);
}

/** A POST with a body, or a GET without one. */
async function ask(path: string, token: string, body?: object) {
  const json = body && { method: 'POST', body: JSON.stringify(body) };
  const headers = { ...bearer(token), ...(body ? { 'content-type': 'application/json' } : {}) };
  const answer = await fetch(`${demo.app.urls.http}/api/autonomous${path}`, { ...json, headers });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

const initiation = (more: object = {}) => ({
  ...{ service: 'woocommerce', metadata: { storeUrl: demo.shop.origin } },
  ...more,
});

test('what a program asks for stands in the chat, where people see it countersigned by the API', async () => {
  const asking = await tokenOf('merchant', 'operations:write,operations:read');
  const deciding = await tokenOf('approver', 'consent:decide');
  const asked = await ask('/initiate', asking, initiation());
  expect(asked).toMatchObject({ status: 202, body: { status: 'awaiting_consent', consentAskedIn: 'chat' } });
  const { operationId, planHash } = asked.body;

  const [row] = await demo.sql('SELECT t.ref FROM threads t JOIN autonomous_operations o ON o.thread_id = t.id');
  const path = `/t/${row?.ref}`;
  const chat = chatByHttp(demo.app.urls.webChat ?? '');
  await chat.button(path, 'approver', 'approve');
  expect(await chat.pageOf(path, 'approver')).toContain('asks by the API: Create a WooCommerce API key for');

  const granted = await ask('/consent', deciding, { action: 'grant', operationId, planHash });
  expect(granted).toMatchObject({ status: 200, body: { status: 'awaiting_credentials' } });
  await vi.waitFor(async () => expect(await chat.pageOf(path, 'merchant')).toContain('Open the one-time page'), 15_000);
  expect(await ask(`/operations/${operationId}/cancel`, asking, {})).toMatchObject({ status: 200 });

  const document = await fetch(`${demo.app.urls.http}/api/openapi.json`);
  expect(await document.json()).toMatchObject({ paths: { '/api/autonomous/queue/stats': { get: expect.anything() } } });
});

test('by the API alone a key comes into the vault, proven, and out of it again', async () => {
  const all = 'operations:write,operations:read,credentials:write,credentials:value,queue:read';
  const merchant = await tokenOf('merchant', all);
  const approver = await tokenOf('approver', 'consent:decide');
  const asked = await ask('/initiate', merchant, initiation({ way: 'entered' }));
  const { operationId, planHash } = asked.body;
  expect((await ask('/consent', approver, { action: 'grant', operationId, planHash })).status).toBe(200);
  const visitor = createVisitor(demo.shop);
  await visitor.signIn();
  const made = await visitor.makeKey(`Countersign ${operationId}`, 'read');
  const fields = { consumer_key: made.consumerKey, consumer_secret: made.consumerSecret };
  const entered = await ask('/credentials', merchant, { operationId, fields });
  expect(entered.status).toBe(202);
  const status = await vi.waitUntil(
    async () => {
      const { body } = await ask(`/status/${operationId}`, merchant);
      return body.completedAt === null ? false : body;
    },
    { timeout: 60_000, interval: 100 },
  );
  expect(status).toMatchObject({ status: 'completed', progressPercent: 100, result: { success: true } });
  expect((await ask(`/credentials/${status.result.data.credentialId}/value`, merchant)).body.fields).toEqual(fields);
  const job = await ask(`/queue/status/${entered.body.jobId}`, merchant);
  expect(job.body).toMatchObject({ status: 'completed', progress: 100, attemptsMade: 1 });
  const { stats, health } = (await ask('/queue/stats', merchant)).body;
  expect([stats.completed, health.healthy]).toEqual([1, true]);
}, 90_000);
