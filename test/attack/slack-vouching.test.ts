// Whoever approved in Slack and may not any more: also where the work is done by a process of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../../bot/config.ts';
import { type App, start } from '../../bot/main.ts';
import type { CustomerId } from '../../core/ids.ts';
import { type Core, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { demoEnvironment } from '../support/demo.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';
import { SIGNING_SECRET } from '../support/slack/delivery.ts';
import { openSlackProcess } from '../support/slack/many.ts';
import { CLIENT_ID, CLIENT_SECRET } from '../support/slack/oauth.ts';
import { BOT_TOKEN, type SlackServer, startSlackServer, TEAM } from '../support/slack/server.ts';

let testDatabase: TestDatabase;
let core: Core;
let server: SlackServer;
let folder: string;
let worker: App | undefined;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  server = await startSlackServer({ hasRates: false });
  for (const id of ['U7MONA', 'U7ABEL']) server.join(id, id);
  folder = mkdtempSync(join(tmpdir(), 'countersign-vouching-'));
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await server.close();
  await core.close();
  await testDatabase.drop();
  rmSync(folder, { recursive: true, force: true });
});

const person = (userId: string) => ({ platform: 'slack', workspaceId: TEAM, userId, name: userId }) as const;

/** Mona asks in that workspace, and Abel approves. */
const shopOf = (customerId: CustomerId): Promise<Shop> =>
  core.database.withCustomer(customerId, async (tx) => {
    await core.customers.setApprovers(tx, customerId, [person('U7ABEL')], false);
    const { id: threadId } = await core.threads.open(tx, customerId, { ...person(''), ref: 'C0001:1.1' });
    const member = (userId: string) => core.customers.member(tx, customerId, person(userId));
    const [merchant, approver] = [await member('U7MONA'), await member('U7ABEL')];
    return { customerId, workspaceId: TEAM, threadId, admin: merchant, merchant, approver, secondApprover: approver };
  });

const startWorker = async (slack: Record<string, string>) => {
  const config = readConfig({
    ...demoEnvironment(),
    ...{ ROLE: 'worker', PORT: '0', AGENT_MODE: 'replay', CHECKPOINT_DIR: join(folder, 'checkpoints') },
    ...{ DATABASE_URL: testDatabase.programUrl, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY },
    ...{ SLACK_API_URL: server.apiUrl, SLACK_SIGNING_SECRET: SIGNING_SECRET, ...slack },
  });
  worker = await start(config, { folder, log: silentLog });
};

const ended = async () => {
  const rows = async () =>
    (
      await sql<{ status: string; error_message: string }>(testDatabase.adminUrl, 'SELECT * FROM autonomous_operations')
    )[0];
  await vi.waitUntil(async () => !['queued', 'in_progress'].includes((await rows())?.status ?? ''), {
    timeout: 30_000,
  });
  return rows();
};

describe('76 an approver who was deactivated after the click', () => {
  test('has approved nothing, for a worker of its own either, in one workspace', async () => {
    const id = await core.customers.install({ platform: 'slack', workspaceId: TEAM, name: 'Acme' }, person('U7ADA'));
    await queuedOperation(core, await shopOf(id));
    server.users.set('U7ABEL', { id: 'U7ABEL', name: 'U7ABEL', team_id: TEAM, deleted: true });
    await startWorker({ SLACK_BOT_TOKEN: BOT_TOKEN });
    expect(await ended()).toMatchObject({ error_message: expect.stringMatching(/may not approve any more/) });
    expect(server.calls.filter(({ method }) => method.startsWith('chat.'))).toEqual([]);
  });

  test('has approved nothing, for a worker of its own either, where people installed us', async () => {
    const bot = await openSlackProcess(core, server);
    await bot.install({ team: { id: TEAM, name: 'Acme' }, userId: 'U7ADA', botUserId: 'U0BOT1' });
    await bot.close();
    const id = await core.directory.customerOfWorkspace('slack', TEAM);
    if (!id) throw new Error('nobody installed it');
    await queuedOperation(core, await shopOf(id));
    server.users.set('U7ABEL', { id: 'U7ABEL', name: 'U7ABEL', team_id: TEAM, deleted: true });
    const app = { SLACK_CLIENT_ID: CLIENT_ID, SLACK_CLIENT_SECRET: CLIENT_SECRET, SLACK_STATE_SECRET: 'state' };
    await startWorker(app);
    expect(await ended()).toMatchObject({ error_message: expect.stringMatching(/may not approve any more/) });
  });
});
