import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { runCli } from '../../bot/cli.ts';
import { customerId } from '../../core/ids.ts';
import { bearer } from '../support/api.ts';
import { openCore } from '../support/core.ts';
import { asAdmin, startTestDemo, type TestDemo } from '../support/demo.ts';
import { databaseSinks, filesIn, recordingLog } from '../support/sinks.ts';
import { sweep } from '../support/sweep.ts';

const CANARY = 'canary-of-the-whole-program-4e1b77d0';
const log = recordingLog();
let demo: TestDemo;

beforeAll(async () => {
  demo = await startTestDemo({ log: log.log });
}, 60_000);

afterAll(() => demo?.remove());

/** The operator's command line beside the running program, on its database and its root key. */
async function countersign(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const env = { DATABASE_URL: demo.app.databaseUrl };
  const sinks = { say: (line: string) => said.push(line), complain: () => {} };
  expect(await runCli(argv, { env, folder: demo.project.folder, ...sinks })).toBe(0);
  return said.join('\n');
}

/** A stored result, as a run would have left it. */
async function store(value: string): Promise<string> {
  const current = readFileSync(join(demo.project.folder, 'root.key'), 'utf8').trim();
  const rootKeys = createEnvironmentRootKeys({ current, old: [] });
  const core = await openCore({ programUrl: demo.app.databaseUrl }, { rootKeys });
  const customer = customerId((await countersign('vault', 'list')).split(' ')[0] ?? '');
  const { id } = await core.vault.store(customer, 'woocommerce', 'api_key', { target: demo.shop.origin, value });
  await core.close();
  return id;
}

test('a program fetches a stored key with a token that the operator made, until it is revoked, and nothing keeps either', async () => {
  const id = await store(CANARY);
  const token = await countersign('token', 'create', '--customer', 'This computer', '--scope', 'credentials:value');
  const ask = () => fetch(`${demo.app.urls.http}/api/autonomous/credentials/${id}/value`, { headers: bearer(token) });
  const answer = await ask();
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ fields: { value: CANARY } })]);
  const tokenId = (await countersign('token', 'list')).split(' ')[0] ?? '';
  await countersign('token', 'revoke', tokenId);
  expect((await ask()).status).toBe(401);

  const rows = await demo.sql(
    "SELECT kind, header FROM autonomous_operations_audit WHERE kind ~ '^(token|credential.opened)' ORDER BY seq",
  );
  expect(rows.map(({ kind }) => kind)).toEqual(['token.created', 'credential.opened', 'token.revoked']);
  for (const { header } of rows) expect(header).toContain(tokenId);
  const sinks = [...(await databaseSinks(asAdmin(demo.app.databaseUrl))), ...filesIn(demo.project.folder), log.sink()];
  expect(sinks.some(({ name }) => name.endsWith('web-chat.jsonl'))).toBe(true);
  expect(sweep(sinks, { value: CANARY, token, 'token without its prefix': token.slice(4) })).toEqual([]);
});
