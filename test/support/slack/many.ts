import { createServer } from 'node:http';
import express from 'express';
import { plainPage } from '../../../adapters/api/connect-page.ts';
import { installationTries } from '../../../adapters/api/source.ts';
import { createSlackForMany, type SlackForMany } from '../../../adapters/slack/index.ts';
import type { Installed } from '../../../core/customers/installations.ts';
import { listenOnLoopback } from '../../../core/http-listen.ts';
import { createSharedLimits } from '../../../core/limits.ts';
import type { ChatEvent } from '../../../core/ports/chat.ts';
import type { Log } from '../../../core/ports/log.ts';
import { Secret } from '../../../core/secret.ts';
import type { Core } from '../core.ts';
import { silentLog } from '../silent-log.ts';
import { type Answer, SIGNING_SECRET } from './delivery.ts';
import { CLIENT_ID, CLIENT_SECRET, type InstalledIn } from './oauth.ts';
import type { SlackServer } from './server.ts';

/** One process of many that serve the same app: the adapter over HTTP, on a database. */
export interface SlackProcess {
  readonly chat: SlackForMany;
  readonly url: string;
  readonly events: readonly ChatEvent[];
  readonly installed: readonly Installed[];
  /** Opens the page where an installation begins. */
  begin(): Promise<Begun>;
  /** Comes back from Slack. */
  comeBack(query: Readonly<Record<string, string>>, cookie: string): Promise<Page>;
  /** All of it: somebody installs the app there. */
  install(where: InstalledIn): Promise<Page>;
  /** Slack sends this event of that workspace. */
  deliver(payload: object): Promise<Answer>;
  close(): Promise<void>;
}

export interface Begun extends Page {
  /** Where the page leads to, at Slack. */
  readonly authorize: URL;
  readonly state: string;
  readonly cookie: string;
}

export interface Page {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export async function openSlackProcess(
  core: Core,
  server: SlackServer,
  { log = silentLog, stateSecret = 'state secret' }: { log?: Log; stateSecret?: string } = {},
): Promise<SlackProcess> {
  const tries = createSharedLimits(core.database);
  const app = express();
  const http = createServer(app);
  const { port, close } = await listenOnLoopback(http, 0);
  const url = `http://localhost:${port}`;
  const events: ChatEvent[] = [];
  const installed: Installed[] = [];
  const chat = createSlackForMany(
    {
      ...{ apiUrl: server.apiUrl, publicUrl: url, clientId: CLIENT_ID, scopes: ['chat:write', 'users:read'] },
      ...{ signingSecret: new Secret(SIGNING_SECRET), clientSecret: new Secret(CLIENT_SECRET) },
      stateSecret: new Secret(stateSecret),
    },
    {
      ...{ log, installations: core.installations, page: plainPage, picture: async () => undefined },
      line: { book: async () => 0 },
      onInstalled: async (one) => void installed.push(one),
      mayTry: (request) => tries.take(installationTries(request)),
    },
  );
  app.use(chat.routes);
  chat.listen(async (event) => {
    events.push(event);
    return undefined;
  });
  await chat.start();

  const read = async (response: Response): Promise<Page> => ({
    ...{ status: response.status, text: await response.text(), headers: response.headers },
  });

  async function begin(): Promise<Begun> {
    const page = await read(await fetch(`${url}/slack/install`));
    const link = /href="([^"]*oauth\/v2\/authorize[^"]*)"/.exec(page.text)?.[1]?.replaceAll('&#38;', '&') ?? '';
    const authorize = new URL(link);
    const cookie = (page.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    return { ...page, authorize, state: authorize.searchParams.get('state') ?? '', cookie };
  }

  const comeBack = async (query: Readonly<Record<string, string>>, cookie: string) =>
    read(await fetch(`${url}/slack/oauth_redirect?${new URLSearchParams(query)}`, { headers: { Cookie: cookie } }));

  return {
    ...{ chat, url, events, installed, begin, comeBack },
    async install(where) {
      const { state, cookie } = await begin();
      return comeBack({ code: server.oauth.allow(where), state }, cookie);
    },
    deliver: (payload) => {
      server.sendTo(`${url}/slack/events`);
      return server.deliver('events_api', payload);
    },
    async close() {
      await chat.stop();
      const closed = close();
      http.closeAllConnections();
      await closed;
    },
  };
}

/** An event of a workspace, in the envelope that Slack sends; `more` replaces parts of it. */
export function enveloped(teamId: string | null, event: object, more: object = {}): object {
  return {
    ...{ type: 'event_callback', api_app_id: 'A0001', event_id: `Ev${crypto.randomUUID()}` },
    ...{ team_id: teamId, context_team_id: teamId, event, event_time: Math.floor(Date.now() / 1000) },
    authorizations: [{ team_id: teamId, enterprise_id: null, is_enterprise_install: false }],
    ...more,
  };
}
