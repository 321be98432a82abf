import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { runCli } from '../../bot/cli.ts';
import { customerId } from '../../core/ids.ts';
import { bearer } from '../support/api.ts';
import { chatByHttp } from '../support/chat-by-http.ts';
import { openCore } from '../support/core.ts';
import { startTestDemo, type TestDemo } from '../support/demo.ts';

let demo: TestDemo;

beforeAll(async () => {
  demo = await startTestDemo();
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

/** Somebody who may approve, and everybody whom the chat has. */
async function chooseApprover(): Promise<void> {
  const current = readFileSync(join(demo.project.folder, 'root.key'), 'utf8').trim();
  const rootKeys = createEnvironmentRootKeys({ current, old: [] });
  const core = await openCore({ programUrl: demo.app.databaseUrl }, { rootKeys });
  const customer = customerId(await countersign('vault', 'list'));
  await core.database.withCustomer(customer, async (tx) => {
    const [admin] = await core.customers.members(tx, customer);
    if (!admin) throw new Error('nobody installed it');
    const person = (userId: string, name: string) => ({ ...admin.person, userId, name });
    await core.customers.member(tx, customer, person('merchant', 'Merchant'));
    await core.customers.setApprovers(tx, customer, [person('approver', 'Approver')], false);
  });
  await core.close();
}

test('what a program asks for stands in the chat, where people see it countersigned by the API', async () => {
  await chooseApprover();
  const [asking, deciding] = [
    await countersign(
      'token',
      'create',
      '--customer',
      'This computer',
      '--member',
      'merchant',
      '--scope',
      'operations:write,operations:read',
    ),
    await countersign(
      'token',
      'create',
      '--customer',
      'This computer',
      '--member',
      'approver',
      '--scope',
      'consent:decide',
    ),
  ];
  const ask = async (path: string, token: string, body: object) => {
    const headers = { ...bearer(token), 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(`${demo.app.urls.http}/api/autonomous${path}`, init);
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const storeUrl = demo.shop.origin;
  const asked = await ask('/initiate', asking, { service: 'woocommerce', metadata: { storeUrl } });
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
