// Slack in many workspaces: the program as npm start runs it, its installation in real Chromium, and a Slack that gives out tokens.
import { createEmulator, type Emulator } from 'emulate';
import pg from 'pg';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../bot/config.ts';
import { type App, start } from '../../bot/main.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { asAdmin, demoEnvironment, throwawayProject } from '../support/demo.ts';
import { freePort } from '../support/free-port.ts';
import { recordingLog } from '../support/sinks.ts';
import { signed } from '../support/slack/delivery.ts';
import { launchChromium } from '../support/web-chat.ts';

const PATIENCE = { timeout: 30_000, interval: 100 };
const SECRET = 'the signing secret of many';
const CLIENT = { client_id: '300.400', client_secret: 'the client secret of many' };
/** Of somebody in that workspace, to write and read with. */
const SOMEBODY = 'xoxp-of-somebody';

const log = recordingLog();
let project: Awaited<ReturnType<typeof throwawayProject>>;
let database: TestDatabase;
let slack: Emulator;
let shop: PracticeShop;
let app: App;
let admin: pg.Pool;
let browser: Browser;
let page: Page;
let url: string;

beforeAll(async () => {
  project = await throwawayProject();
  database = await createEmptyDatabase();
  url = `http://localhost:${await freePort()}`;
  slack = await createEmulator({
    service: 'slack',
    port: await freePort(),
    seed: {
      slack: {
        team: { name: 'Acme', domain: 'acme' },
        users: [{ name: 'ada', real_name: 'Ada' }],
        channels: [{ name: 'shops' }],
        oauth_apps: [
          {
            ...CLIENT,
            app_id: 'A0MANY',
            name: 'Countersign',
            redirect_uris: [`${url}/slack/oauth_redirect`],
            scopes: [],
          },
        ],
        tokens: [
          {
            token: SOMEBODY,
            user: 'ada',
            scopes: [
              'chat:write',
              'channels:read',
              'channels:history',
              'im:write',
              'im:history',
              'im:read',
              'users:read',
            ],
          },
        ],
        strict_scopes: true,
      },
    },
  });
  shop = await startPracticeShop({ port: 0 });
  app = await start(
    readConfig({
      ...demoEnvironment(),
      ...{ DATABASE_URL: database.programUrl, DATABASE_OWNER_URL: database.ownerUrl },
      ALLOW_PRIVATE_TARGETS: new URL(shop.origin).host,
      ...{ PORT: new URL(url).port, PUBLIC_URL: url, SLACK_API_URL: `${slack.url}/api/` },
      ...{ SLACK_CLIENT_ID: CLIENT.client_id, SLACK_CLIENT_SECRET: CLIENT.client_secret },
      ...{ SLACK_STATE_SECRET: 'the state secret of many', SLACK_SIGNING_SECRET: SECRET },
    }),
    { folder: project.folder, log: log.log },
  );
  admin = new pg.Pool({ connectionString: asAdmin(app.databaseUrl), max: 2 });
  admin.on('error', () => {}); // the server ends before the pool does when a test failed
  browser = await launchChromium();
  page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await admin?.end();
  await app?.stop();
  await slack?.close();
  await shop?.close();
  await database?.drop();
  project?.remove();
});

const sql = async (text: string): Promise<readonly Record<string, unknown>[]> => (await admin.query(text)).rows;
const installation = z.tuple([z.looseObject({ workspace_id: z.string(), bot_user_id: z.string() })]);
const installed = async () =>
  installation.parse(await sql('SELECT * FROM slack_installations WHERE sealed IS NOT NULL'))[0];
const answer = z.looseObject({ ok: z.literal(true) });
const message = z.looseObject({ ts: z.string(), user: z.string(), text: z.string(), blocks: z.unknown().optional() });

/** A call in the name of whoever works there. */
async function asSomebody(method: string, args: Record<string, string>) {
  const headers = { Authorization: `Bearer ${SOMEBODY}`, 'Content-Type': 'application/x-www-form-urlencoded' };
  const response = await fetch(`${slack.url}/api/${method}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(args),
  });
  return answer.parse(await response.json());
}

async function deliver(event: object, more: object = {}, seconds = Math.floor(Date.now() / 1000)): Promise<number> {
  const { workspace_id: team } = known;
  const body = JSON.stringify({
    ...{ type: 'event_callback', api_app_id: 'A0MANY', event_id: `Ev${crypto.randomUUID()}`, team_id: team },
    ...{ context_team_id: team, event_time: Math.floor(Date.now() / 1000), event, ...more },
    authorizations: [{ team_id: team, enterprise_id: null, is_enterprise_install: false }],
  });
  return (await post(body, signed(body, seconds, SECRET))).status;
}

function post(body: string, headers: Record<string, string>): Promise<Response> {
  const json = { 'Content-Type': 'application/json' };
  return fetch(`${url}/slack/events`, { method: 'POST', headers: { ...json, ...headers }, body });
}

let known = { workspace_id: 'T000000001', bot_user_id: '' };
let channel = '';

/** Somebody writes to us in the channel, and Slack tells us so. */
async function mention(words: string) {
  const text = `<@${known.bot_user_id}> ${words}`;
  const { ts } = z.looseObject({ ts: z.string() }).parse(await asSomebody('chat.postMessage', { channel, text }));
  const { user } = message.parse((await messagesOf(channel)).find((said) => said.ts === ts));
  return { type: 'app_mention', channel, user, text, ts };
}

async function messagesOf(id: string, thread?: string) {
  const method = thread === undefined ? 'conversations.history' : 'conversations.replies';
  const { messages } = await asSomebody(method, { channel: id, ...(thread === undefined ? {} : { ts: thread }) });
  return z.array(message).parse(messages);
}

const shows = async (id: string, words: string, thread?: string) =>
  vi.waitFor(async () => expect(JSON.stringify(await messagesOf(id, thread))).toContain(words), PATIENCE);

async function install(scopes = (given: string) => given): Promise<void> {
  await page.goto(`${url}/slack/install`);
  const link = new URL((await page.getByRole('link', { name: 'Go on to Slack' }).getAttribute('href')) ?? '');
  link.searchParams.set('scope', scopes(link.searchParams.get('scope') ?? ''));
  await page.goto(link.href);
  await page.getByRole('button', { name: /ada/i }).click();
  await page.getByRole('heading', { name: 'Countersign is installed' }).waitFor();
  known = await installed();
}

describe('Slack in many workspaces', () => {
  it('is installed through Slack’s own page, in one browser, and writes to whoever did it', async () => {
    await install();
    await page.getByText('It is in Acme now.').waitFor();
    const { scopes } = await installed();
    expect(scopes).toEqual(expect.arrayContaining(['chat:write', 'users:read', 'usergroups:read']));
    const { channel: direct } = await asSomebody('conversations.open', { users: known.bot_user_id });
    await shows(z.looseObject({ id: z.string() }).parse(direct).id, 'somebody has to be allowed to approve it');
  });

  it('answers an event of the workspace, once, however often Slack repeats it', async () => {
    const { channels } = await asSomebody('conversations.list', {});
    channel =
      z
        .array(z.looseObject({ id: z.string(), name: z.string() }))
        .parse(channels)
        .find(({ name }) => name === 'shops')?.id ?? '';
    const asked = await mention('what can you do?');
    const seconds = Math.floor(Date.now() / 1000);
    for (const again of [0, 1, 2]) expect(await deliver(asked, { event_id: 'Ev1' }, seconds - again)).toBe(200);
    await shows(channel, 'Nothing runs that nobody countersigned.', asked.ts);
    const later = await mention('hello');
    expect(await deliver(later)).toBe(200);
    await shows(channel, 'Hello', later.ts);
    const answers = (await messagesOf(channel, asked.ts)).filter(({ user }) => user === known.bot_user_id);
    expect(answers).toHaveLength(1);
  });

  it('refuses what is not signed, old, from the future, replayed, or from elsewhere', async () => {
    const now = Math.floor(Date.now() / 1000);
    const { workspace_id: team_id } = known;
    const body = JSON.stringify({ type: 'event_callback', team_id, event_id: 'Ev2', event: { type: 'team_join' } });
    const status = async (headers: Record<string, string>, sent = body) => (await post(sent, headers)).status;
    expect(await status({})).toBe(401);
    expect(await status(signed(body, now, 'another secret'))).toBe(401);
    expect(await status(signed(body, now - 301, SECRET))).toBe(401);
    expect(await status(signed(body, now + 120, SECRET))).toBe(401);
    expect(await status(signed(body, now, SECRET))).toBe(200);
    expect(await status(signed(body, now, SECRET))).toBe(401);
    const elsewhere = body.replace(team_id, 'T0ELSEWHERE');
    expect(await status(signed(elsewhere, now, SECRET), elsewhere)).toBe(401);
  });

  it('says what is missing where a permission was not granted, and goes on once it is', async () => {
    await install((scopes) => scopes.replace('chat:write,', ''));
    const asked = await mention('what can you do?');
    expect(await deliver(asked)).toBe(200);
    await vi.waitFor(() => expect(log.sink().bytes.toString()).toContain('A permission is missing'), PATIENCE);
    expect((await messagesOf(channel, asked.ts)).filter(({ user }) => user === known.bot_user_id)).toEqual([]);
    await install();
    const again = await mention('what can you do?');
    expect(await deliver(again)).toBe(200);
    await shows(channel, 'Nothing runs that nobody countersigned.', again.ts);
  });

  it('shows a page in plain words to whoever comes back with another browser', async () => {
    const other = await browser.newContext();
    const tab = await other.newPage();
    await tab.goto(`${url}/slack/install`);
    const link = (await tab.getByRole('link', { name: 'Go on to Slack' }).getAttribute('href')) ?? '';
    await page.context().clearCookies();
    await page.goto(link);
    await page.getByRole('button', { name: /ada/i }).click();
    await page
      .getByText('You began in another browser, or more than ten minutes ago. Nothing was installed.')
      .waitFor();
    await page.getByRole('link', { name: 'Begin again' }).click();
    await page.getByRole('heading', { name: 'Add Countersign to Slack' }).waitFor();
    await other.close();
  });

  it('is gone after an uninstall, with its tokens; the next event is refused, and it may come back', async () => {
    const request = await mention(`set up WooCommerce for ${shop.origin}`);
    expect(await deliver(request)).toBe(200);
    await vi.waitFor(async () => expect(await sql('SELECT FROM autonomous_operations')).toHaveLength(1), PATIENCE);
    // Slack repeats what was not taken within three seconds.
    await vi.waitFor(async () => expect(await deliver({ type: 'app_uninstalled' })).toBe(200), PATIENCE);
    expect(await deliver({ type: 'tokens_revoked', tokens: { oauth: [], bot: [known.bot_user_id] } })).toBe(200);
    expect(await sql('SELECT sealed FROM slack_installations')).toEqual([{ sealed: null }]);
    const states = async () => sql('SELECT status FROM autonomous_operations');
    await vi.waitFor(async () => expect(await states()).toEqual([{ status: 'cancelled' }]), PATIENCE);
    expect(await deliver(await mention('hello'))).toBe(401);
    await install();
    const asked = await mention('what can you do?');
    expect(await deliver(asked)).toBe(200);
    await shows(channel, 'Nothing runs that nobody countersigned.', asked.ts);
    expect(
      await sql("SELECT count(*)::int AS n FROM autonomous_operations_audit WHERE kind = 'workspace.removed'"),
    ).toEqual([{ n: 1 }]);
  });

  it('says at the start which way Slack runs', () => {
    expect(log.sink().bytes.toString()).toContain('many workspaces by OAuth');
  });
});
