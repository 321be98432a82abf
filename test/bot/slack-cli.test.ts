import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { type Core, openCore, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';
import { openSlackProcess, type SlackProcess } from '../support/slack/many.ts';
import { type SlackServer, startSlackServer } from '../support/slack/server.ts';

let testDatabase: TestDatabase;
let core: Core;
let server: SlackServer;
let slack: SlackProcess;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  server = await startSlackServer();
  slack = await openSlackProcess(core, server);
  await slack.install({ team: { id: 'T0ACME', name: 'Acme' }, userId: 'U0001', botUserId: 'U0BOT1' });
});
afterAll(async () => {
  await slack.close();
  await server.close();
  await core.close();
  await testDatabase.drop();
});

async function disconnect(workspaceId: string) {
  const [said, complained]: [string[], string[]] = [[], []];
  const env = {
    ...{ ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, DATABASE_URL: testDatabase.programUrl, SLACK_API_URL: server.apiUrl },
    ...{ SLACK_CLIENT_ID: 'c', SLACK_CLIENT_SECRET: 's', SLACK_STATE_SECRET: 't', SLACK_SIGNING_SECRET: 'u' },
  };
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['slack', 'disconnect', workspaceId], { env, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

const there = () => sql(testDatabase.adminUrl, 'SELECT FROM slack_installations WHERE sealed IS NOT NULL');

describe('countersign slack disconnect', () => {
  test('leaves everything as it is when Slack can’t be told', async () => {
    server.fail('auth.revoke', { status: 503 });
    expect(await disconnect('T0ACME')).toMatchObject({ code: 1, complained: expect.stringContaining('HTTP 503') });
    expect(await there()).toHaveLength(1);
  });

  test('has Slack forget the token, and does what an uninstall does', async () => {
    expect(await disconnect('T0ACME')).toMatchObject({
      code: 0,
      said: expect.stringContaining('T0ACME is disconnected'),
    });
    expect(server.calls.at(-1)).toMatchObject({ method: 'auth.revoke', of: 'T0ACME' });
    expect(server.oauth.revoked.size).toBe(1);
    expect(await there()).toEqual([]);
    expect(await core.directory.customersToClear()).toEqual([]);
  });

  test('knows no workspace that is not installed', async () => {
    expect(await disconnect('T0ACME')).toMatchObject({ code: 1, complained: expect.stringContaining('no such') });
  });
});
