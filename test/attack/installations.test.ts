// Tokens of workspaces that installed the app by OAuth: where they lie, who changes them, and whose they are.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sentence } from '../contracts/chat.ts';
import { asCustomer, vouchByHand } from '../support/by-hand.ts';
import { type Core, openCore, sql, untilBlocked } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { databaseSinks, recordingLog } from '../support/sinks.ts';
import { enveloped, openSlackProcess, type SlackProcess } from '../support/slack/many.ts';
import { CLIENT_SECRET, type InstalledIn } from '../support/slack/oauth.ts';
import { type SlackServer, startSlackServer } from '../support/slack/server.ts';
import { sweep } from '../support/sweep.ts';

const ACME: InstalledIn = { team: { id: 'T0ACME', name: 'Acme' }, userId: 'U0001', botUserId: 'U0BOT1' };
const OTHER: InstalledIn = { team: { id: 'T0OTHER', name: 'Other' }, userId: 'U0002', botUserId: 'U0BOT2' };
const STATE_SECRET = 'the secret of states';

const log = recordingLog();
let testDatabase: TestDatabase;
let core: Core;
let server: SlackServer;
let slack: SlackProcess;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  server = await startSlackServer({ hasRates: false });
  slack = await openSlackProcess(core, server, { log: log.log, stateSecret: STATE_SECRET });
});
afterEach(async () => {
  await slack.close();
  await server.close();
  await core.close();
  await testDatabase.drop();
});

const post = (workspaceId: string, by = slack) =>
  by.chat.post({ platform: 'slack', workspaceId, ref: 'C0001:' }, sentence('hello'), { key: 'k' });
const customerOf = async (workspaceId: string) => {
  const id = await core.directory.customerOfWorkspace('slack', workspaceId);
  if (!id) throw new Error(`nobody installed ${workspaceId}`);
  return id;
};

describe('70 a token of a workspace', () => {
  test('lies nowhere in plain: no table, log line, page, error or address holds one, nor a secret of the app', async () => {
    const pages = [await slack.install(ACME), await slack.install(OTHER), await slack.install(ACME)];
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    await post('T0ACME');
    const errors: unknown[] = [];
    for (const failure of [
      { error: 'internal_error' },
      { status: 500 },
      { retryAfter: 1 },
      { error: 'missing_scope' },
    ]) {
      server.fail('chat.postMessage', failure);
      await post('T0ACME').catch((error: unknown) => errors.push(error));
    }
    server.fail('oauth.v2.access', { status: 500 });
    pages.push(await slack.install(OTHER), await slack.comeBack({ code: 'x', state: 'y' }, 'countersign-install=y'));
    server.fail('oauth.v2.access', { error: 'invalid_refresh_token' });
    await shiftClock(testDatabase.ownerUrl, '13 hours');
    await post('T0OTHER').catch((error: unknown) => errors.push(error));
    await slack.deliver(enveloped('T0ACME', { type: 'app_uninstalled' }));
    expect(server.oauth.secrets.length).toBeGreaterThanOrEqual(8);
    expect(errors.length).toBeGreaterThanOrEqual(3);
    log.log.error({ errors }, 'as an operator sees them');
    const secrets = Object.fromEntries(server.oauth.secrets.map((secret, at) => [`token ${at}`, secret]));
    const sinks = [
      ...(await databaseSinks(testDatabase.adminUrl)),
      log.sink(),
      ...pages.map(({ text, headers }, at) => ({
        name: `page ${at}`,
        bytes: Buffer.from(text + JSON.stringify([...headers])),
      })),
    ];
    expect(sweep(sinks, { ...secrets, 'client secret': CLIENT_SECRET, 'state secret': STATE_SECRET })).toEqual([]);
    const canary = server.oauth.secrets[0] ?? '';
    expect(sweep([{ name: 'canary', bytes: Buffer.from(`a ${canary} b`) }], secrets)).not.toEqual([]);
  });

  test('is changed and taken away by the program’s own word alone', async () => {
    await slack.install(ACME);
    const smuggled = async (statement: string) =>
      asCustomer(testDatabase.programUrl, await customerOf('T0ACME'), (client) => client.query(statement));
    const refused = { code: '42501' };
    for (const statement of [
      "UPDATE slack_installations SET sealed = '\\x00'",
      'UPDATE slack_installations SET sealed = NULL, expires_at = NULL, removed_at = app.now()',
      "UPDATE slack_installations SET expires_at = expires_at + interval '1 year'",
      'DELETE FROM slack_installations',
      `INSERT INTO slack_installations SELECT customer_id, 'T9', app_id, 'T9', NULL, bot_user_id, scopes, installed_by, sealed
        FROM slack_installations`,
      "UPDATE slack_installations SET workspace_id = 'T9', team_id = 'T9'",
    ])
      await expect(smuggled(statement), statement).rejects.toMatchObject(refused);
    await post('T0ACME');
  });

  test('opens in its own row alone, and under its own date', async () => {
    await slack.install(ACME);
    await slack.install(OTHER);
    const [found] = await sql<{ sealed: Buffer }>(
      testDatabase.adminUrl,
      "SELECT sealed FROM slack_installations WHERE workspace_id = 'T0ACME'",
    );
    const [own, others] = [await customerOf('T0ACME'), await customerOf('T0OTHER')];
    const hex = found?.sealed.toString('hex') ?? '';
    const put = (customer: string, workspaceId: string, change: string) =>
      asCustomer(testDatabase.programUrl, customer, async (client) => {
        await vouchByHand(client, 'installation', customer, `${workspaceId}|${hex}`);
        await client.query(`UPDATE slack_installations SET sealed = '\\x${hex}'${change}`);
      });
    const shut = { code: 'vault_authentication_failed' };
    await put(others, 'T0OTHER', '');
    await expect(post('T0OTHER')).rejects.toMatchObject(shut);
    await put(own, 'T0ACME', ", expires_at = expires_at + interval '1 year'");
    await expect(post('T0ACME')).rejects.toMatchObject(shut);
  });

  test('is exchanged by one of two processes, so that no refresh token is used twice', async () => {
    await slack.install(ACME);
    const core2 = await openCore(testDatabase);
    const second = await openSlackProcess(core2, server);
    try {
      await shiftClock(testDatabase.ownerUrl, '11 hours');
      const release = server.oauth.hold();
      const [one, other] = [post('T0ACME'), post('T0ACME', second)];
      const both = Promise.allSettled([one, other]);
      // Without the lock both ask Slack, and neither waits for the other.
      await untilBlocked(testDatabase, bothAsked());
      release();
      await both;
      expect(server.oauth.exchanges).toEqual([true]);
    } finally {
      await second.close();
      await core2.close();
    }
  });

  test('is used for its own workspace: what another one sends, or says of it, reaches it not', async () => {
    await slack.install(ACME);
    await slack.install(OTHER);
    const shared = { team_id: 'T0OTHER', context_team_id: 'T0ACME' };
    const message = { type: 'message', channel: 'C0001', user: 'U0001', text: 'hello', ts: '1700000000.0001' };
    await slack.deliver(enveloped('T0ACME', message, shared));
    expect(slack.events.map(({ thread }) => thread.workspaceId)).toEqual(['T0ACME']);
    await post('T0ACME');
    expect(new Set(server.calls.filter(({ method }) => method === 'chat.postMessage').map(({ of }) => of))).toEqual(
      new Set(['T0ACME']),
    );
    await slack.deliver(enveloped('T0OTHER', { type: 'app_uninstalled' }));
    await post('T0ACME');
    await expect(post('T0OTHER')).rejects.toMatchObject({ code: 'chat_unavailable' });
  });

  test('comes to no installation that somebody else began: a link with a stranger’s answer installs nothing', async () => {
    const strangers = await slack.begin();
    const page = await slack.comeBack({ code: server.oauth.allow(OTHER), state: strangers.state }, '');
    expect(page.status).toBe(400);
    expect(await sql(testDatabase.adminUrl, 'SELECT FROM slack_installations')).toEqual([]);
  });

  test('is exchanged also while somebody tries made-up codes: after some of them Slack is not asked any more', async () => {
    const { state, cookie } = await slack.begin();
    const tries = Array.from({ length: 60 }, (_, n) => slack.comeBack({ code: `made-up-${n}`, state }, cookie));
    const pages = await Promise.all(tries);
    expect(pages.filter(({ status }) => status === 429)).toHaveLength(30);
    expect(pages.find(({ status }) => status === 429)?.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(server.calls.filter(({ method }) => method === 'oauth.v2.access').length).toBeLessThanOrEqual(30);
    expect((await slack.begin()).status).toBe(200);
  });
});

/** Settles when Slack was asked twice, or has answered. */
async function bothAsked(): Promise<void> {
  await vi.waitUntil(() => server.oauth.exchanges.length === 2 || !server.oauth.isHeld(), { timeout: 10_000 });
}
