import { apiRoutes } from '../../adapters/api/api.ts';
import type { ApiRoute } from '../../adapters/api/route.ts';
import { allRoutes } from '../../adapters/api/routes.ts';
import { createApiServer } from '../../adapters/api/server.ts';
import { createEgress } from '../../adapters/browser/index.ts';
import { createApiDesk } from '../../bot/api.ts';
import type { Context } from '../../bot/context.ts';
import { createCallerStanding } from '../../bot/membership.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Scope } from '../../core/customers/api-tokens.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Chat } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { services } from '../../core/services/index.ts';
import { keepTrails } from './audit.ts';
import type { Core } from './core.ts';
import { createRecordingChat, type RecordingChat } from './recording-chat.ts';
import { silentLog } from './silent-log.ts';

/** The API as the program serves it, on a free port of this computer. */
export interface TestApi {
  readonly origin: string;
  readonly routes: readonly ApiRoute[];
  /** `GET …/credentials/:id/value` */
  value(id: string, token?: string, init?: RequestInit): Promise<Answer>;
  /** Any request below `/api/autonomous`. */
  ask(path: string, init?: RequestInit): Promise<Answer>;
  /** A GET with a token. */
  get(path: string, token: string): Promise<Answer>;
  post(path: string, token: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  delete(path: string, token: string): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of JSON; throws for anything else. */
  json<T = Record<string, unknown>>(): T;
}

export interface ApiOptions {
  readonly log?: Log;
  readonly publicUrl?: string;
  readonly chat?: Chat;
}

/** Every name that no test can reach answers, and is allowed. */
export async function openApi(
  core: Core,
  { log = silentLog, publicUrl = 'https://countersign.example.com', chat = createRecordingChat() }: ApiOptions = {},
): Promise<TestApi> {
  const keeper = keepTrails(core);
  const pictureUrl = (_: CustomerId, id: string) => `/pictures/${id}`;
  const egress = {
    ...createEgress({ privateTargets: [], log: silentLog }),
    check: async () => ({ isAllowed: true }) as const,
  };
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log, chat: () => chat, pictureUrl }),
    ...{ egress, http: { request: async () => ({ status: 200, headers: {}, body: '' }) } },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log },
    publicUrl: () => publicUrl,
    chat: () => chat,
  };
  const routes = allRoutes({ ...context, redact: (text) => text, desk: createApiDesk(context, pictureUrl) });
  const deps = { ...core, publicUrl: () => publicUrl, log, standing: createCallerStanding(context) };
  const server = createApiServer({
    ...{ port: 0, isLocal: true, routes: [apiRoutes(deps, routes)], log, isReady: async () => true },
  });
  const origin = `http://127.0.0.1:${(await server.start()).port}`;
  const ask: TestApi['ask'] = async (path, init) => {
    const answer = await fetch(`${origin}/api/autonomous${path}`, init);
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: <T>() => JSON.parse(text) as T };
  };
  return {
    ...{ origin, routes, ask },
    value: (id, token, init) =>
      ask(`/credentials/${id}/value`, { ...init, headers: { ...bearer(token), ...init?.headers } }),
    get: (path, token) => ask(path, { headers: bearer(token) }),
    delete: (path, token) => ask(path, { method: 'DELETE', headers: bearer(token) }),
    post: (path, token, body, headers) =>
      ask(path, {
        method: 'POST',
        headers: {
          ...bearer(token),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    close: async () => {
      await server.stop();
      keeper.remove();
    },
  };
}

export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** A token of the API for this member, or for nobody. */
export async function tokenFor(
  core: Pick<Core, 'apiTokens'>,
  customerId: CustomerId,
  scopes: readonly Scope[],
  member?: Member,
): Promise<{ readonly token: string; readonly id: string }> {
  const acting = member ? { member: member.id } : {};
  const { token, stored } = await core.apiTokens.create(customerId, { scopes, days: 1, ...acting });
  return { token: token.reveal(), id: stored.id };
}

/** A platform in memory with channels, in which a message begins a thread: `C1:` is the channel, `C1:m0` its first thread. */
export function createChannelChat(): RecordingChat {
  const recording = createRecordingChat();
  const begun = new Map<string, string>();
  return {
    ...recording,
    channelOf: ({ ref }) => ref.split(':')[0] ?? '',
    begin: (workspaceId, channel) =>
      channel === undefined ? undefined : { platform: 'web', workspaceId, ref: `${channel}:` },
    async post(thread, card, options) {
      const message = await recording.post(thread, card, options);
      if (!thread.ref.endsWith(':')) return message;
      const ref = begun.get(options.key) ?? message.ref;
      begun.set(options.key, ref);
      return { ...message, thread: { ...thread, ref: `${thread.ref}${ref}` } };
    },
  };
}
