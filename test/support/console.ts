import type { Duplex } from 'node:stream';
import { createApiServer } from '../../adapters/api/server.ts';
import { sourceOf } from '../../adapters/api/source.ts';
import { createStream, type StreamLimits } from '../../adapters/api/stream.ts';
import { fromOwnPages } from '../../adapters/api/stream-caller.ts';
import { createEgress } from '../../adapters/browser/index.ts';
import { consoleCallers, consoleRoutes } from '../../adapters/console/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { createConsoleDesk } from '../../bot/console.ts';
import type { Context } from '../../bot/context.ts';
import { converse } from '../../bot/conversation.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { ChatEvent, Person, Standing } from '../../core/ports/chat.ts';
import type { Screenshots } from '../../core/ports/screenshots.ts';
import type { Redact } from '../../core/redacted-ports.ts';
import { services } from '../../core/services/index.ts';
import { createFeed } from '../../core/stream/feed.ts';
import { type Keeper, keepTrails } from './audit.ts';
import type { Core } from './core.ts';
import { createRecordingChat, type RecordingChat } from './recording-chat.ts';
import { silentLog } from './silent-log.ts';

/** The console as the program serves it, with a chat in memory beside it. */
export interface TestConsole {
  readonly origin: string;
  readonly chat: RecordingChat;
  readonly context: Context;
  readonly screenshots: Screenshots;
  readonly keeper: Keeper;
  /** What the chat platform says of people from now on: members, unless a test says otherwise. */
  platform: { says(person: Person): Standing | Promise<Standing> };
  /** What somebody writes in their thread. */
  say(member: Member, text: string): Promise<void>;
  /** The address of a link of theirs, as the chat shows it. */
  linkFor(member: Member): Promise<string>;
  signIn(member: Member): Promise<Visitor>;
  /** Cuts off whoever follows the live stream, and refuses them until `mend`. */
  readonly stream: { cut(): void; mend(): void };
  close(): Promise<void>;
}

/** Somebody who has signed in, as their browser is. */
export interface Visitor {
  readonly cookie: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Page>;
  /** Sends a form as the page would: with this session's token, from its own origin. `changes` replaces what it holds. */
  post(
    path: string,
    fields?: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Page>;
}

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function openConsole(
  core: Core,
  limits: Partial<StreamLimits> = {},
  redact: Redact = (text) => text,
): Promise<TestConsole> {
  const keeper = keepTrails(core);
  const platform: TestConsole['platform'] = { says: () => ({ kind: 'member', isInGroup: false }) };
  const recording = createRecordingChat();
  const chat: RecordingChat = { ...recording, standing: async (person) => platform.says(person) };
  const egress = createEgress({ privateTargets: [], log: silentLog });
  const screenshots = createScreenshots(core);
  const address = { origin: '' };
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: (_, id) => `/pictures/${id}` }),
    ...{ egress, http: createHttp({ egress }) },
    ...{ checkpoints: keeper.checkpoints, services, model: undefined, log: silentLog },
    publicUrl: () => address.origin,
    chat: () => chat,
  };
  const desk = createConsoleDesk(context, redact);
  const routes = consoleRoutes({ ...context, screenshots, workflows: core.workflows, desk, sourceOf, redact });
  const pages = consoleCallers({ ...core, desk, publicUrl: context.publicUrl });
  const live = createStream({
    feed: createFeed({ ...core, log: silentLog, pictureUrl: (_, id) => `/pictures/${id}` }),
    ...{ authenticators: [fromOwnPages(pages, context.publicUrl)], log: silentLog, limits },
  });
  const sockets = new Set<Duplex>();
  const stream = {
    isCut: false,
    cut() {
      stream.isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      stream.isCut = false;
    },
  };
  const server = createApiServer({
    port: 0,
    isLocal: true,
    routes: [routes],
    upgrade(request, socket, head) {
      if (stream.isCut) return void socket.destroy();
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      live.upgrade(request, socket, head);
    },
    log: silentLog,
    isReady: async () => true,
  });
  address.origin = `http://127.0.0.1:${(await server.start()).port}`;
  const { origin } = address;
  let events = 0;

  const ask = async (path: string, init: RequestInit = {}): Promise<Page> => {
    const url = path.startsWith('http') ? path : `${origin}${path}`;
    const answer = await fetch(url, { redirect: 'manual', ...init });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const say: TestConsole['say'] = async ({ person }, text) => {
    const thread = { platform: 'web', workspaceId: person.workspaceId, ref: `of ${person.userId}` } as const;
    const event: ChatEvent = { kind: 'message', id: `said-${++events}`, from: person, thread, text };
    await converse(context, event);
  };
  const linkFor: TestConsole['linkFor'] = async (member) => {
    await say(member, 'open the console');
    const url = /"url":"([^"]+)"/.exec(JSON.stringify(chat.calls.at(-1)))?.[1];
    if (!url) throw new Error(`no link was shown: ${JSON.stringify(chat.calls.at(-1))}`);
    return url;
  };
  return {
    ...{ origin, chat, context, screenshots, keeper, platform, say, linkFor, stream },
    async signIn(member) {
      const opened = await ask(await linkFor(member), { method: 'POST', headers: { origin } });
      const cookie = opened.headers.get('set-cookie')?.split(';')[0];
      if (opened.status !== 303 || !cookie) throw new Error(`nobody was signed in: ${opened.status} ${opened.text}`);
      let token: string | undefined;
      const get: Visitor['get'] = (path, headers = {}) => ask(path, { headers: { cookie, ...headers } });
      return {
        ...{ cookie, get },
        async post(path, fields = {}, headers = {}) {
          token ??= /name="csrf" value="([^"]+)"/.exec((await get('/console/operations')).text)?.[1];
          const body = new URLSearchParams({ csrf: token ?? '', ...fields });
          return ask(path, { method: 'POST', body, headers: { cookie, origin, ...headers } });
        },
      };
    },
    async close() {
      await live.stop();
      await server.stop();
      keeper.remove();
    },
  };
}
