import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createInstallations } from '../../core/customers/installations.ts';
import { clearSlack } from '../../core/customers/removal.ts';
import { type CustomerId, customerId } from '../../core/ids.ts';
import type { ThreadRef } from '../../core/ports/chat.ts';
import { sentence } from '../contracts/chat.ts';
import { type Core, openCore, requestOperation, sql, trail, untilBlocked } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { enveloped, openSlackProcess, type SlackProcess } from '../support/slack/many.ts';
import type { InstalledIn } from '../support/slack/oauth.ts';
import { type SlackServer, startSlackServer } from '../support/slack/server.ts';

let testDatabase: TestDatabase;
let core: Core;
let server: SlackServer;
let slack: SlackProcess;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  server = await startSlackServer({ hasRates: false });
  slack = await openSlackProcess(core, server);
});
afterEach(async () => {
  await slack.close();
  await server.close();
  await core.close();
  await testDatabase.drop();
});

const PATIENCE = { timeout: 10_000, interval: 20 };
const ACME: InstalledIn = { team: { id: 'T0ACME', name: 'Acme' }, userId: 'U0001', botUserId: 'U0BOT1' };
const OTHER: InstalledIn = { team: { id: 'T0OTHER', name: 'Other' }, userId: 'U0002', botUserId: 'U0BOT2' };
const ORG: InstalledIn = { enterprise: { id: 'E0ORG', name: 'Org' }, userId: 'U0001', botUserId: 'U0BOT3' };

const message = (more: object = {}) => ({
  ...{
    type: 'message',
    channel: 'C0001',
    channel_type: 'channel',
    user: 'U0001',
    text: 'hello',
    ts: '1700000000.0001',
  },
  ...more,
});
const uninstalled = (teamId: string, more: object = {}) => enveloped(teamId, { type: 'app_uninstalled' }, more);
const revoked = (teamId: string) =>
  enveloped(teamId, { type: 'tokens_revoked', tokens: { oauth: [], bot: ['U0BOT1'] } });
const thread = (workspaceId: string): ThreadRef => ({ platform: 'slack', workspaceId, ref: 'C0001:' });
const post = (workspaceId: string) => slack.chat.post(thread(workspaceId), sentence('hello'), { key: 'k' });
const rows = (text: string) => sql<Record<string, unknown>>(testDatabase.adminUrl, text);

async function customerOf(workspaceId: string) {
  const [row] = await sql<{ id: string }>(
    testDatabase.adminUrl,
    'SELECT customer_id AS id FROM workspaces WHERE workspace_id = $1',
    [workspaceId],
  );
  return customerId(row?.id ?? '');
}
const kindsOf = async (workspaceId: string) => {
  const id = await customerOf(workspaceId);
  const found = await sql<{ kind: string }>(
    testDatabase.adminUrl,
    'SELECT kind FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq',
    [id],
  );
  return found.map(({ kind }) => kind);
};

/** A state as @slack/oauth makes it: a JSON Web Token (RFC 7519, HS256) under our secret. */
function stateOf(at: Date): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ installOptions: { scopes: [] }, now: at.toJSON() })}`;
  return `${text}.${createHmac('sha256', 'state secret').update(text).digest('base64url')}`;
}

describe('the way to an installation', () => {
  test('begins on our page, which leads to Slack with our scopes, a state and where to come back to', async () => {
    const { status, text, authorize, state, headers } = await slack.begin();
    expect(status).toBe(200);
    expect(text).toContain('<h1>Add Countersign to Slack</h1>');
    expect(authorize.origin).toBe(new URL(server.apiUrl).origin);
    expect(Object.fromEntries(authorize.searchParams)).toEqual({
      scope: 'chat:write,users:read',
      state,
      client_id: '100.200',
      redirect_uri: `${slack.url}/slack/oauth_redirect`,
    });
    expect(headers.get('set-cookie')).toMatch(/^countersign-install=\S+; Secure; HttpOnly; Path=\/; Max-Age=600$/);
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('cache-control')).toBe('no-store');
  });

  test('is not begun by whoever only looks whether the page is there', async () => {
    const response = await fetch(`${slack.url}/slack/install`, { method: 'HEAD' });
    expect([response.status, response.headers.get('set-cookie')]).toEqual([200, null]);
  });

  test('ends with a customer whose first admin is whoever installed it, and says so', async () => {
    const page = await slack.install(ACME);
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('It is in Acme now.')]);
    expect(page.text).toContain('You are an admin of it');
    expect(page.headers.get('set-cookie')).toContain('Expires=Thu, 01 Jan 1970');
    expect(slack.installed).toMatchObject([
      { kind: 'installed', installer: { person: { userId: 'U0001', name: 'Merchant' }, roles: ['merchant', 'admin'] } },
    ]);
    expect(await kindsOf('T0ACME')).toEqual(['workspace.installed']);
    await post('T0ACME');
    expect(server.calls.at(-1)).toMatchObject({ method: 'chat.postMessage', of: 'T0ACME' });
  });

  test.each([
    {
      what: 'somebody who said no',
      come: async () => slack.comeBack({ error: 'access_denied' }, ''),
      says: 'Slack says that it was cancelled, or not allowed. Nothing was changed.',
      status: 403,
    },
    {
      what: 'another browser, which has no cookie',
      come: async () => slack.comeBack({ code: server.oauth.allow(ACME), state: (await slack.begin()).state }, ''),
      says: 'You began in another browser, or more than ten minutes ago. Nothing was installed.',
      status: 400,
    },
    {
      what: 'another browser, which began an installation of its own',
      come: async () => {
        const [mine, theirs] = [await slack.begin(), await slack.begin()];
        return slack.comeBack({ code: server.oauth.allow(ACME), state: theirs.state }, mine.cookie);
      },
      says: 'This is not the installation that you began last in this browser. Nothing was installed.',
      status: 400,
    },
    {
      what: 'a state that we did not make',
      come: () => slack.comeBack({ code: server.oauth.allow(ACME), state: 'made.up' }, 'countersign-install=made.up'),
      says: 'This is not the installation that you began last in this browser. Nothing was installed.',
      status: 400,
    },
    {
      what: 'no state at all',
      come: async () => slack.comeBack({ code: server.oauth.allow(ACME) }, (await slack.begin()).cookie),
      says: 'Nothing was installed.',
      status: 400,
    },
    {
      what: 'a code that was used before',
      come: async () => {
        const code = server.oauth.allow(OTHER);
        const first = await slack.begin();
        await slack.comeBack({ code, state: first.state }, first.cookie);
        const second = await slack.begin();
        return slack.comeBack({ code, state: second.state }, second.cookie);
      },
      says: 'This answer of Slack’s was used already, or is too old.',
      status: 400,
    },
    {
      what: 'Slack that is down',
      come: async () => {
        server.fail('oauth.v2.access', { status: 503 });
        return slack.install(ACME);
      },
      says: 'Slack did not answer as it should. Nothing was installed here. Please begin again in some minutes.',
      status: 502,
    },
    {
      what: 'an app whose secret is a wrong one',
      come: async () => {
        server.fail('oauth.v2.access', { error: 'bad_client_secret' });
        return slack.install(ACME);
      },
      says: 'Slack refused to finish it (bad_client_secret). Nothing was installed here.',
      status: 502,
    },
  ])('installs nothing for $what, in plain words', async ({ come, says, status }) => {
    const page = await come();
    expect([page.status, page.text]).toEqual([status, expect.stringContaining(says)]);
    expect(page.text).toContain('<h1>Countersign was not installed</h1>');
    expect(page.text).not.toContain('oauth.v2');
    expect(page.text).toContain(`<a class="primary" href="${slack.url}/slack/install">Begin again</a>`);
    expect(await rows("SELECT FROM slack_installations WHERE workspace_id = 'T0ACME'")).toEqual([]);
  });

  test('says that too much time has gone by, where the cookie is still there', async () => {
    const old = stateOf(new Date(Date.now() - 601_000));
    const page = await slack.comeBack({ code: server.oauth.allow(ACME), state: old }, `countersign-install=${old}`);
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('More than ten minutes have gone by')]);
  });

  test('renews the tokens where it is installed already, and makes nobody an admin', async () => {
    await slack.install(ACME);
    const page = await slack.install({ ...ACME, userId: 'U0002' });
    expect(page.text).toContain('It was there already');
    expect(slack.installed.map(({ kind }) => kind)).toEqual(['installed', 'renewed']);
    expect(slack.installed[1]?.installer.roles).toEqual(['merchant']);
    expect(await rows('SELECT workspace_id FROM slack_installations')).toEqual([{ workspace_id: 'T0ACME' }]);
  });
});

describe('an event', () => {
  test('is heard in the workspace that installed us, and refused from one that did not', async () => {
    await slack.install(ACME);
    expect((await slack.deliver(enveloped('T0ACME', message()))).isTaken).toBe(true);
    expect(slack.events).toMatchObject([
      { kind: 'message', thread: { workspaceId: 'T0ACME' }, from: { userId: 'U0001' } },
    ]);
    expect((await slack.deliver(enveloped('T0OTHER', message()))).isTaken).toBe(false);
    expect(slack.events).toHaveLength(1);
  });

  test('of a channel that workspaces share goes to the one that it reached us through', async () => {
    await slack.install(ACME);
    await slack.install(OTHER);
    await slack.deliver(enveloped('T0ACME', message(), { team_id: 'T0OTHER', context_team_id: 'T0ACME' }));
    expect(slack.events.map((event) => event.thread.workspaceId)).toEqual(['T0ACME']);
  });

  test('of any workspace of an organisation goes to its installation, also without a team', async () => {
    await slack.install(ORG);
    const authorizations = [{ team_id: null, enterprise_id: 'E0ORG', is_enterprise_install: true }];
    const org = { enterprise_id: 'E0ORG', context_enterprise_id: 'E0ORG', authorizations };
    await slack.deliver(enveloped('T0ANY', message(), org));
    await slack.deliver(enveloped(null, message({ ts: '1700000000.0002' }), org));
    expect(slack.events.map((event) => event.thread.workspaceId)).toEqual(['E0ORG', 'E0ORG']);
    expect((await slack.deliver(enveloped('T0ANY', message()))).isTaken).toBe(false); // a workspace of its own
    server.users.set('U0009', {
      ...{ id: 'U0009', name: 'colleague', team_id: 'T0ANY' },
      enterprise_user: { enterprise_id: 'E0ORG', teams: ['T0ANY'] },
    });
    const person = (userId: string) => ({ platform: 'slack', workspaceId: 'E0ORG', userId, name: '' }) as const;
    expect(await slack.chat.standing(person('U0009'))).toMatchObject({ kind: 'member' });
    expect(await slack.chat.standing(person('U0002'))).toEqual({ kind: 'guest' });
    server.groups.set('S0001', ['U0009']);
    expect(await slack.chat.standing(person('U0009'), 'S0001')).toEqual({ kind: 'member', isInGroup: true });
  });

  test.each([
    { what: 'a command', kind: 'slash_commands', payload: { team_id: 'T0ACME', is_enterprise_install: 'false' } },
    {
      what: 'an organisation’s command',
      kind: 'slash_commands',
      payload: { team_id: 'T0ANY', enterprise_id: 'E0ORG', is_enterprise_install: 'true' },
    },
  ] as const)('may be $what', async ({ kind, payload }) => {
    await slack.install(ACME);
    await slack.install(ORG);
    server.sendTo(`${slack.url}/slack/events`);
    const command = { command: '/countersign', text: 'help', channel_id: 'C0001', user_id: 'U0001', trigger_id: '1' };
    expect((await server.deliver(kind, { ...command, ...payload })).isTaken).toBe(true);
    const expected = payload.is_enterprise_install === 'true' ? 'E0ORG' : 'T0ACME';
    expect(slack.events).toMatchObject([{ kind: 'command', thread: { workspaceId: expected } }]);
  });

  test('is answered with the token of its own workspace, never another’s', async () => {
    await slack.install(ACME);
    await slack.install(OTHER);
    await Promise.all(['T0ACME', 'T0OTHER', 'T0ACME', 'T0OTHER'].map((id) => post(id)));
    const sent = server.calls.filter(({ method }) => method === 'chat.postMessage').map(({ of }) => of);
    expect(sent.toSorted()).toEqual(['T0ACME', 'T0ACME', 'T0OTHER', 'T0OTHER']);
    await expect(post('T0NOBODY')).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable: false });
  });
});

describe('a token', () => {
  test('is exchanged two hours before its end, by the database’s clock, and not before', async () => {
    await slack.install(ACME);
    await shiftClock(testDatabase.ownerUrl, '9 hours 59 minutes');
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([]);
    await shiftClock(testDatabase.ownerUrl, '2 minutes');
    await post('T0ACME');
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([true]);
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([true, true]);
  });

  test('is exchanged once, when two processes need it at the same moment and each several times', async () => {
    await slack.install(ACME);
    const other = await openCore(testDatabase);
    const second = await openSlackProcess(other, server);
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    const release = server.oauth.hold();
    const say = (process: SlackProcess) => process.chat.post(thread('T0ACME'), sentence('hello'), { key: 'k' });
    const first = Promise.all([say(slack), say(slack)]);
    const both = Promise.all([say(second), say(second)]);
    await untilBlocked(testDatabase, both);
    release();
    await Promise.all([first, both]);
    expect(server.oauth.exchanges).toEqual([true]);
    await second.close();
    await other.close();
  });

  test('that was exchanged is kept, when the database goes away before it is on record', async () => {
    await slack.install(ACME);
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    const release = server.oauth.hold();
    const posted = post('T0ACME');
    await vi.waitUntil(() => server.oauth.exchanges.length === 1);
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND state = 'idle in transaction'`;
    expect(await rows(cut)).toHaveLength(1);
    release();
    await posted;
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([true]);
    const [newest] = [...server.oauth.tokens.keys()].slice(-1);
    expect((await core.installations.open('T0ACME'))?.access.reveal()).toBe(newest);
  });

  test('goes on to its end when Slack gives no new one, and is tried again', async () => {
    await slack.install(ACME);
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    server.fail('oauth.v2.access', { status: 503 });
    await post('T0ACME'); // with what it has
    await post('T0ACME'); // and not asking at once again
    expect(server.calls.filter(({ method }) => method === 'oauth.v2.access')).toHaveLength(2); // the first made the installation
    await shiftClock(testDatabase.ownerUrl, '2 hours');
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([true]);
  });

  test('that is over, and can’t be exchanged, is an outage that says what to do', async () => {
    await slack.install(ACME);
    server.oauth.revoke('T0ACME');
    await shiftClock(testDatabase.ownerUrl, '13 hours');
    await expect(post('T0ACME')).rejects.toMatchObject({
      message: 'My token has expired: an admin has to install me again.',
      isRetryable: false,
    });
  });

  test('moves to a new key of its customer with the other secrets, and the old key goes', async () => {
    await slack.install(ACME);
    const rotated = await core.keyRotation.rotateCustomerKeys(await customerOf('T0ACME'));
    expect(rotated).toMatchObject({ kind: 'rotated', rewrapped: 1, unreadable: 0 });
    expect(await rows('SELECT substring(sealed FROM 3 FOR 4) = int4send(2) AS moved FROM slack_installations')).toEqual(
      [{ moved: true }],
    );
    await post('T0ACME');
    await shiftClock(testDatabase.ownerUrl, '11 hours');
    await post('T0ACME');
    expect(server.oauth.exchanges).toEqual([true]);
  });

  test('goes when its customer is erased, who does not come back by an installation', async () => {
    await slack.install(ACME);
    await core.keyRotation.eraseCustomer(await customerOf('T0ACME'));
    expect(await rows('SELECT sealed FROM slack_installations')).toEqual([{ sealed: null }]);
    await expect(post('T0ACME')).rejects.toMatchObject({ code: 'chat_unavailable' });
    const page = await slack.install(ACME);
    expect([page.status, page.text]).toEqual([409, expect.stringContaining('was erased for good')]);
  });

  test('lacks a permission: the error says to install again', async () => {
    await slack.install(ACME);
    server.fail('chat.postMessage', { error: 'missing_scope' });
    await expect(post('T0ACME')).rejects.toMatchObject({ message: expect.stringContaining('A permission is missing') });
  });
});

describe('when it is uninstalled', () => {
  const gone = async () => (await rows('SELECT sealed, removed_at IS NOT NULL AS gone FROM slack_installations'))[0];

  /** Acme, with an operation that waits and a stored key. */
  async function atWork() {
    await slack.install(ACME);
    const id = await customerOf('T0ACME');
    const shop = await shopOf(id);
    const operation = await requestOperation(core, shop);
    await core.vault.store(id, 'woocommerce', 'api_key', { target: 'https://shop.example.com', value: 'ck_secret' });
    await core.apiTokens.create(id, { scopes: ['credentials:value'], days: 1 });
    return { id, operation, approver: shop.approver };
  }

  /** Its people, and a thread. */
  const shopOf = (id: CustomerId) =>
    core.database.withCustomer(id, async (tx) => {
      const person = (userId: string) => ({ platform: 'slack', workspaceId: 'T0ACME', userId, name: userId }) as const;
      await core.customers.setApprovers(tx, id, [person('U0002')], false);
      const member = (userId: string) => core.customers.member(tx, id, person(userId));
      const { id: threadId } = await core.threads.open(tx, id, { ...thread('T0ACME'), ref: 'C0001:1.1' });
      const [admin, merchant, approver] = [await member('U0001'), await member('U0003'), await member('U0002')];
      return { customerId: id, workspaceId: 'T0ACME', admin, merchant, approver, secondApprover: approver, threadId };
    });

  test.each([
    { order: 'uninstalled first', events: [uninstalled('T0ACME'), revoked('T0ACME')] },
    { order: 'revoked first', events: [revoked('T0ACME'), uninstalled('T0ACME')] },
    {
      order: 'each twice',
      events: [uninstalled('T0ACME'), revoked('T0ACME'), uninstalled('T0ACME'), revoked('T0ACME')],
    },
  ])('tokens and credentials are gone, operations end, the trail stays: $order', async ({ events }) => {
    const { id, operation } = await atWork();
    server.oauth.revoke('T0ACME');
    for (const event of events) expect((await slack.deliver(event)).isTaken).toBe(true);
    await vi.waitFor(async () => expect(await core.directory.customersToClear()).toEqual([]), PATIENCE);
    expect(await gone()).toEqual({ sealed: null, gone: true });
    expect(await rows('SELECT id FROM autonomous_credentials')).toEqual([]);
    expect(await rows('SELECT id FROM api_tokens WHERE revoked_at IS NULL')).toEqual([]);
    expect(await rows('SELECT status FROM autonomous_operations')).toEqual([{ status: 'cancelled' }]);
    expect((await trail(core, operation)).at(-1)).toMatchObject({
      kind: 'operation.cancelled',
      payload: { why: 'Countersign was removed from Slack. This thread could not be told.' },
    });
    const all = await kindsOf('T0ACME');
    expect(all.filter((kind) => /^(?:workspace|credential|token)/.test(kind))).toEqual([
      ...['workspace.installed', 'credential.stored', 'token.created'],
      ...['workspace.removed', 'credential.deleted', 'token.revoked'],
    ]);
    expect(await core.audit.verify(id)).toMatchObject({ isIntact: true });
    expect(await core.directory.customersBehind()).toEqual([]); // nobody tries to tell the thread
    expect((await slack.deliver(enveloped('T0ACME', message()))).isTaken).toBe(false);
    await expect(post('T0ACME')).rejects.toMatchObject({ code: 'chat_unavailable' });
  });

  test('a revoked token that is not ours changes nothing', async () => {
    await slack.install(ACME);
    expect((await slack.deliver(revoked('T0ACME'))).isTaken).toBe(true);
    expect(await gone()).toMatchObject({ gone: false });
  });

  test('a word that can’t be made sure of now is refused, so that Slack repeats it', async () => {
    await slack.install(ACME);
    server.oauth.revoke('T0ACME');
    server.fail('auth.test', { status: 503 });
    expect((await slack.deliver(revoked('T0ACME'))).isTaken).toBe(false);
    expect((await slack.deliver(revoked('T0ACME'))).isTaken).toBe(true);
    expect(await gone()).toMatchObject({ gone: true });
  });

  test('it may be installed again: it begins afresh, with the earlier trail, and late words change nothing', async () => {
    const { id, approver } = await atWork();
    server.oauth.revoke('T0ACME');
    const before = Math.floor(Date.now() / 1000) - 60;
    await slack.deliver(uninstalled('T0ACME'));
    const page = await slack.install({ ...ACME, userId: 'U0003', botUserId: 'U0BOT9' });
    expect(page.text).toContain('You are an admin of it');
    expect(slack.installed.at(-1)).toMatchObject({
      kind: 'again',
      customerId: id,
      installer: { roles: ['merchant', 'admin'] },
    });
    const members = await core.database.withCustomer(id, (tx) => core.customers.members(tx, id));
    expect(members.filter(({ roles }) => roles.length > 1).map(({ person }) => person.userId)).toEqual(['U0003']);
    expect(members.find((member) => member.id === approver.id)?.roles).toEqual(['merchant']);
    expect(await kindsOf('T0ACME')).toEqual(expect.arrayContaining(['operation.requested', 'workspace.removed']));
    for (const late of [uninstalled('T0ACME', { event_time: before }), revoked('T0ACME')])
      expect((await slack.deliver(late)).isTaken).toBe(true);
    expect(await gone()).toMatchObject({ gone: false });
    await slack.deliver(enveloped('T0ACME', message({ text: '<@U0BOT9> hello' })));
    expect(slack.events.at(-1)).toMatchObject({ kind: 'message', text: 'hello' });
  });

  test('what a dead process left of it is done by the next one', async () => {
    const { id, operation } = await atWork();
    const dying = { ...core.mover, move: () => Promise.reject(new Error('killed')) };
    const { database, directory, sealer, customers, audit, operations } = core;
    const installations = createInstallations({
      database,
      directory,
      sealer,
      customers,
      audit,
      operations,
      mover: dying,
    });
    expect(await installations.remove('T0ACME', 'uninstalled')).toBe(true);
    await expect(installations.finishRemovals()).rejects.toThrow('killed');
    expect(await gone()).toEqual({ sealed: null, gone: true }); // tokens first
    expect(await core.directory.customersToClear()).toEqual([id]);
    await core.installations.finishRemovals();
    expect((await trail(core, operation)).at(-1)?.kind).toBe('operation.cancelled');
    expect(await core.directory.customersToClear()).toEqual([]);
    expect(await rows('SELECT id FROM autonomous_credentials')).toEqual([]);
  });

  test('ends nothing that was asked for after it was installed again, however late another process is', async () => {
    const { id, operation } = await atWork();
    await core.installations.remove('T0ACME', 'uninstalled');
    await slack.install(ACME);
    expect((await trail(core, operation)).at(-1)?.kind).toBe('operation.cancelled');
    const again = await requestOperation(core, { ...(await shopOf(id)), threadId: operation.threadId });
    await clearSlack(core, id, 'T0ACME');
    expect((await trail(core, again)).at(-1)?.kind).not.toBe('operation.cancelled');
    await post('T0ACME');
  });

  test('of two workspaces the other one stays', async () => {
    await slack.install(ACME);
    await slack.install(OTHER);
    server.oauth.revoke('T0ACME');
    await slack.deliver(uninstalled('T0ACME'));
    await post('T0OTHER');
    expect((await slack.deliver(enveloped('T0OTHER', message()))).isTaken).toBe(true);
  });
});
