import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { problemsOfBlocks, problemsOfView } from './blocks.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createSlackOAuth, type InstalledIn, type SlackOAuth } from './oauth.ts';
import { createRates, type Rates } from './rates.ts';
import type { KeptMessage } from './reading.ts';

export const TEAM = 'T0001';
export const BOT = 'U0BOT';
export const CHANNEL = 'C0001';
export const BOT_TOKEN = 'xoxb-of-the-tests';
export const APP_TOKEN = 'xapp-of-the-tests';
const TRIGGER_MS = 3_000;

export interface SlackUser {
  readonly id: string;
  readonly name: string;
  readonly [more: string]: unknown;
}

/** How the next call of a method is refused: once. */
export type Failure =
  | { readonly error: string }
  | { readonly status: number }
  | { readonly retryAfter: number }
  | { readonly hangs: true };

export interface Call {
  readonly method: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The workspace or organisation whose token it came with. */
  readonly of?: string;
}

/** A stand-in for Slack on this computer that refuses what Slack refuses; unknown methods and blocks, too. */
export interface SlackServer extends Omit<Delivery, 'close'> {
  readonly apiUrl: string;
  readonly calls: readonly Call[];
  readonly users: Map<string, SlackUser>;
  readonly groups: Map<string, readonly string[]>;
  /** What `files.info` says of a file. */
  readonly files: Map<string, object>;
  /** What was uploaded, by the id of its file. */
  readonly uploaded: ReadonlyMap<string, Buffer>;
  /** A file of subtitles. */
  readonly vttUrl: string;
  /** Types of blocks that this workspace does not take. */
  readonly refusedBlocks: Set<string>;
  readonly homes: Map<string, readonly unknown[]>;
  /** What Slack counts, and refuses beyond it. */
  readonly rates: Rates;
  /** What `agents.sessions.setStatus` was told, in order. */
  readonly statuses: readonly string[];
  /** From now on this workspace has no agents' sessions. */
  withoutAgents(): void;
  /** Workspaces beside the one of `BOT_TOKEN`, where people install the app. */
  readonly oauth: SlackOAuth;
  fail(method: string, failure: Failure): void;
  /** The same for a call that names this channel; `text`: of a message whose text has these words alone. */
  failIn(channel: string, method: string, failure: Failure, text?: string): void;
  messages(channel: string): readonly KeptMessage[];
  /** The modal that is open for somebody. */
  view(userId: string): { readonly id: string; readonly view: Record<string, unknown> } | undefined;
  closeView(userId: string): void;
  /** Adds somebody's message, without telling the app. */
  write(channel: string, user: string, text: string, threadTs?: string): KeptMessage;
  trigger(userId: string): string;
  /** Where the message that a button was pressed of can be replaced. */
  responseUrl(channel: string, ts: string): string;
  /** Adds somebody to the workspace. */
  join(id: string, name: string): void;
  close(): Promise<void>;
}

/** Subtitles as Slack makes them of a clip. */
const WHOLE = `WEBVTT

1
00:00:00.000 --> 00:00:02.000
- set up WooCommerce for

2
00:00:02.000 --> 00:00:03.200
shop dot example dot com
`;

type Args = Record<string, unknown>;
type Result = Record<string, unknown>;
const refused = (error: string): Result => ({ ok: false, error });

/** @param options `hasRates`: false takes as much as comes, for tests of something else that send everything at once. */
export async function startSlackServer({ hasRates = true } = {}): Promise<SlackServer> {
  const calls: Call[] = [];
  const users = new Map<string, SlackUser>(
    [
      { id: 'U0001', name: 'merchant', real_name: 'Merchant' },
      { id: 'U0002', name: 'approver', real_name: 'Approver' },
      { id: 'U0003', name: 'owner', real_name: 'Owner', is_primary_owner: true },
      { id: BOT, name: 'countersign', real_name: 'Countersign', is_bot: true },
    ].map((user) => [user.id, { team_id: TEAM, deleted: false, ...user }]),
  );
  const groups = new Map<string, readonly string[]>();
  const files = new Map<string, object>();
  const refusedBlocks = new Set<string>();
  const statuses: string[] = [];
  const rates = createRates();
  let isAgent = true;
  const homes = new Map<string, readonly unknown[]>();
  const oauth = createSlackOAuth();
  const failures = new Map<string, { failure: Failure; text: string }[]>();
  const channels = new Map<string, KeptMessage[]>([[CHANNEL, []]]);
  const triggers = new Map<string, { readonly userId: string; readonly until: number }>();
  const views = new Map<string, { readonly id: string; readonly view: Record<string, unknown> }>();
  const responses = new Map<string, { readonly channel: string; readonly ts: string; left: number }>();
  const uploads = new Map<string, { readonly alt: string; size: number }>();
  const uploaded = new Map<string, Buffer>();
  let clock = Date.now() * 1000;
  let apiUrl = '';

  const fail = (name: string, failure: Failure, text = '') =>
    void failures.set(name, [...(failures.get(name) ?? []), { failure, text }]);
  const takeFailure = (name: string, said: string) => {
    const left = failures.get(name) ?? [];
    const at = left.findIndex(({ text }) => said.includes(text));
    return at < 0 ? undefined : left.splice(at, 1)[0]?.failure;
  };

  const newTs = (): string => {
    const micros = String(++clock);
    return `${micros.slice(0, -6)}.${micros.slice(-6)}`;
  };

  function keep(channel: string, message: Omit<KeptMessage, 'ts'>): KeptMessage {
    const kept = { ...message, ts: newTs() };
    channels.get(channel)?.push(kept);
    return kept;
  }

  function post(args: Args, to?: string): Result {
    const channel = String(args.channel);
    if (!channels.has(channel)) return refused('channel_not_found');
    const problem = problemOf(args, 40_000);
    if (problem) return problem;
    const { ts, ...message } = keep(channel, {
      user: BOT,
      text: String(args.text),
      blocks: (args.blocks as unknown[] | undefined) ?? [], // looked through by problemOf
      ...(args.thread_ts === undefined ? {} : { thread_ts: String(args.thread_ts) }),
      ...(to === undefined ? {} : { to }),
    });
    return to === undefined ? { ok: true, channel, ts, message: { ...message, ts } } : { ok: true, message_ts: ts };
  }

  function problemOf(args: Args, most: number): Result | undefined {
    if (typeof args.text !== 'string' || args.text === '') return refused('no_text');
    if (args.text.length > most) return refused('msg_too_long');
    const problems = problemsOfBlocks(args.blocks ?? [], refusedBlocks);
    return problems.length > 0
      ? { ...refused('invalid_blocks'), response_metadata: { messages: problems } }
      : undefined;
  }

  const methods: Readonly<Record<string, (args: Args, caller?: InstalledIn) => Result>> = {
    'auth.test': () => ({
      ok: true,
      team_id: TEAM,
      team: 'Test',
      user_id: BOT,
      bot_id: 'B0BOT',
      url: 'https://test.slack.com/',
    }),
    'auth.teams.list': () => ({ ok: true, teams: [{ id: 'T0FIRST' }, { id: 'T0ANY' }] }),
    'users.info': ({ user }) => {
      const found = users.get(String(user));
      return found ? { ok: true, user: found } : refused('user_not_found');
    },
    'users.list': () => ({ ok: true, members: [...users.values()], response_metadata: { next_cursor: '' } }),
    'files.info': ({ file }) => {
      const found = files.get(String(file));
      return found ? { ok: true, file: { id: file, ...found } } : refused('file_not_found');
    },
    'usergroups.list': () => ({
      ok: true,
      usergroups: [...groups.keys()].map((id) => ({
        id,
        name: `Group ${id}`,
        handle: id.toLowerCase(),
        date_delete: 0,
      })),
    }),
    'usergroups.users.list': ({ usergroup, team_id }, caller) => {
      if (caller && !caller.team && team_id === undefined) return refused('missing_argument');
      if (team_id !== undefined && team_id !== 'T0ANY') return refused('no_such_subteam'); // its groups are others
      const found = groups.get(String(usergroup));
      return found ? { ok: true, users: found } : refused('no_such_subteam');
    },
    'conversations.open': ({ users: whom }) => {
      const id = `D${String(whom)}`;
      if (!users.has(String(whom))) return refused('user_not_found');
      if (!channels.has(id)) channels.set(id, []);
      return { ok: true, channel: { id } };
    },
    'chat.postMessage': (args) => post(args),
    'chat.postEphemeral': (args) => post(args, String(args.user)),
    'chat.update': (args) => {
      const found = channels.get(String(args.channel))?.find(({ ts, user }) => ts === args.ts && user === BOT);
      if (!found) return refused('message_not_found');
      const problem = problemOf(args, 4_000);
      if (problem) return problem;
      found.text = String(args.text);
      found.blocks = (args.blocks as unknown[] | undefined) ?? []; // looked through by problemOf
      return { ok: true, channel: args.channel, ts: found.ts };
    },
    'views.open': ({ trigger_id, view }) => {
      const trigger = triggers.get(String(trigger_id));
      if (!trigger) return refused('invalid_trigger_id');
      triggers.delete(String(trigger_id));
      if (performance.now() > trigger.until) return refused('expired_trigger_id');
      const problems = problemsOfView(view);
      if (problems.length > 0) return { ...refused('invalid_arguments'), response_metadata: { messages: problems } };
      const id = `V${randomUUID().slice(0, 8).toUpperCase()}`;
      views.set(trigger.userId, { id, view: view as Record<string, unknown> }); // looked through above
      return { ok: true, view: { id } };
    },
    'views.publish': ({ user_id, view }) => {
      const problems = problemsOfView(view);
      if (problems.length > 0) return { ...refused('invalid_arguments'), response_metadata: { messages: problems } };
      homes.set(String(user_id), (view as { blocks: unknown[] }).blocks); // looked through above
      return { ok: true };
    },
    'assistant.threads.setSuggestedPrompts': ({ prompts }) =>
      Array.isArray(prompts) && prompts.length <= 4 ? { ok: true } : refused('invalid_arguments'),
    'agents.sessions.setStatus': ({ channel_id, thread_ts, status }) => {
      if (!isAgent) return refused('not_authorized');
      if (!channels.has(String(channel_id)) || thread_ts === undefined) return refused('channel_not_found');
      if (!['active', 'processing', 'suspended', 'closed'].includes(String(status)))
        return refused('invalid_arguments');
      statuses.push(String(status));
      return { ok: true };
    },
    'files.getUploadURLExternal': ({ alt_text = '', length }) => {
      const id = `F${randomUUID().slice(0, 8).toUpperCase()}`;
      uploads.set(id, { alt: String(alt_text), size: Number(length) });
      return { ok: true, file_id: id, upload_url: new URL(`/upload/${id}`, apiUrl).href };
    },
    'files.completeUploadExternal': ({ files: given, channel_id, thread_ts }) => {
      const named = z.array(z.looseObject({ id: z.string() })).parse(given);
      const kept = named.map(({ id }) => ({ id, alt: uploads.get(id)?.alt ?? '' }));
      if (!channels.has(String(channel_id))) return refused('channel_not_found');
      keep(String(channel_id), {
        ...{ user: BOT, text: '', blocks: [], files: kept },
        ...(thread_ts === undefined ? {} : { thread_ts: String(thread_ts) }),
      });
      return { ok: true, files: named };
    },
    'apps.connections.open': () => ({ ok: true, url: new URL('/link', apiUrl.replace('http', 'ws')).href }),
  };

  /** docs.slack.dev, handling user interaction: five times. */
  function respond(name: string, args: Args): boolean {
    const known = responses.get(name);
    if (!known || known.left === 0) return false;
    known.left--;
    const found = channels.get(known.channel)?.find(({ ts }) => ts === known.ts);
    if (!found || args.replace_original !== true || problemOf(args, 40_000)) return false;
    found.text = String(args.text);
    found.blocks = (args.blocks as unknown[] | undefined) ?? []; // looked through by problemOf
    return true;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await bodyOf(request);
    const body = bytes.toString();
    const path = new URL(request.url ?? '/', 'http://slack.invalid').pathname;
    if (path === '/files/whole.vtt') {
      const isOurs = request.headers.authorization === `Bearer ${BOT_TOKEN}`;
      response.writeHead(isOurs ? 200 : 403).end(WHOLE);
      return;
    }
    if (path.startsWith('/respond/')) {
      const isTaken = respond(
        path.slice('/respond/'.length),
        z.record(z.string(), z.unknown()).parse(JSON.parse(body)),
      );
      response.writeHead(isTaken ? 200 : 404).end(isTaken ? 'ok' : 'expired_url');
      return;
    }
    if (path.startsWith('/upload/')) {
      const sent = await new Response(new Uint8Array(bytes), {
        headers: { 'Content-Type': request.headers['content-type'] ?? '' },
      }).formData();
      for (const [, part] of sent)
        if (part instanceof File) uploaded.set(path.slice('/upload/'.length), Buffer.from(await part.arrayBuffer()));
      response.end('OK');
      return;
    }
    const method = path.replace('/api/', '');
    const args = argumentsOf(body, request.headers['content-type'] ?? '');
    const bearer = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const installed = oauth.tokens.get(bearer);
    const of = (installed?.team ?? installed?.enterprise)?.id;
    calls.push({ method, arguments: args, ...(of === undefined ? {} : { of }) });
    const seconds = hasRates ? rates.refuse(method, String(args.channel), of) : undefined;
    if (seconds !== undefined) {
      response.writeHead(429, { 'Content-Type': 'application/json', 'Retry-After': String(seconds) });
      response.end('{"ok":false,"error":"ratelimited"}');
      return;
    }
    const said = String(args.text ?? '');
    const failure = takeFailure(`${method} ${String(args.channel)}`, said) ?? takeFailure(method, said);
    if (failure && 'hangs' in failure) return;
    const json = { 'Content-Type': 'application/json' };
    if (failure && 'retryAfter' in failure) {
      response.writeHead(429, { ...json, 'Retry-After': String(failure.retryAfter) }).end('{"ok":false}');
      return;
    }
    if (failure && 'status' in failure) {
      response.writeHead(failure.status).end('down');
      return;
    }
    const token = method === 'apps.connections.open' ? APP_TOKEN : BOT_TOKEN;
    const isKnown = bearer === token || installed !== undefined;
    const isRevoked = oauth.revoked.has(bearer);
    const run = methods[method];
    const ask = async (): Promise<Result> => {
      if (method === 'oauth.v2.access') return oauth.access(args);
      if (isRevoked) return refused('token_revoked');
      if (!isKnown) return refused('invalid_auth');
      if (method === 'auth.revoke' && of !== undefined) return oauth.revoke(of);
      return run?.(args, installed) ?? refused('unknown_method');
    };
    const result = failure ?? (await ask());
    response.writeHead(200, json).end(JSON.stringify('ok' in result ? result : { ok: false, ...result }));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  const delivery = createDelivery(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens at an address has one.
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`;

  return {
    ...{ apiUrl, calls, users, groups, files, uploaded, refusedBlocks, homes, oauth },
    ...{ statuses, rates },
    ...delivery,
    vttUrl: new URL('/files/whole.vtt', apiUrl).href,
    withoutAgents: () => {
      isAgent = false;
    },
    fail,
    failIn: (channel, method, failure, text) => fail(`${method} ${channel}`, failure, text),
    messages: (channel) => channels.get(channel) ?? [],
    view: (userId) => views.get(userId),
    closeView: (userId) => void views.delete(userId),
    write(channel, user, text, threadTs) {
      if (!channels.has(channel)) channels.set(channel, []);
      return keep(channel, { user, text, blocks: [], ...(threadTs === undefined ? {} : { thread_ts: threadTs }) });
    },
    responseUrl(channel, ts) {
      const name = randomUUID();
      responses.set(name, { channel, ts, left: 5 });
      return new URL(`/respond/${name}`, apiUrl).href;
    },
    trigger(userId) {
      const id = `${randomUUID()}.trigger`;
      triggers.set(id, { userId, until: performance.now() + TRIGGER_MS });
      return id;
    },
    join: (id, name) => void users.set(id, { id, name, real_name: name, team_id: TEAM, deleted: false }),
    async close() {
      delivery.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer); // no encoding was set
  return Buffer.concat(parts);
}

/** Slack takes JSON and forms; in a form, what is no text is JSON. */
function argumentsOf(body: string, type: string): Args {
  if (type.includes('json')) return z.record(z.string(), z.unknown()).parse(JSON.parse(body));
  return Object.fromEntries(
    [...new URLSearchParams(body)].map(([name, value]) => [name, /^[[{]/.test(value) ? JSON.parse(value) : value]),
  );
}
