import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { listenOnLoopback } from '../../../core/http-listen.ts';
import { createRates, type Rates } from './rates.ts';
import { createIssuer, type Issuer } from './tokens.ts';

export const APP_ID = '11111111-2222-4333-8444-555555555555';
export const APP_PASSWORD = 'the password of the Azure Bot';
export const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001';
export const BOT = { id: `28:${APP_ID}`, name: 'Countersign' } as const;
/** A team, by its first channel, and a channel of it. */
export const TEAM = { id: '19:general@thread.tacv2', name: 'Shops' } as const;
export const CHANNEL = '19:shops@thread.tacv2';
export const GROUP = '19:group@thread.v2';

/** learn.microsoft.com: a message of a bot, without the bytes of its pictures. */
const MOST_BYTES = 100 * 1024;

export interface TeamsUser {
  readonly aadObjectId: string;
  readonly name: string;
  readonly userRole?: string;
  readonly tenantId?: string;
}

/** A message as the Connector keeps it. */
export interface KeptMessage {
  readonly id: string;
  /** `BOT.id`, or whose it is. */
  readonly from: string;
  text: string;
  card: unknown;
  summary: string;
  edits: number;
  /** What somebody alone sees in its place, since they pressed something in it: until it is edited. */
  readonly views: Map<string, unknown>;
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly conversationId: string;
  readonly status: number;
  readonly at: number;
  readonly type: string | undefined;
}

/** A stand-in for the Bot Framework's Connector and its keys, at the level of HTTP, that refuses what Teams refuses. */
export interface TeamsServer {
  readonly origin: string;
  readonly serviceUrl: string;
  readonly issuer: Issuer;
  readonly users: Map<string, TeamsUser>;
  readonly rates: Rates;
  readonly calls: readonly Call[];
  /** Where it sends what people do. */
  sendTo(url: string): void;
  /** Sends an activity as the Connector does. */
  deliver(activity: object, authorization?: string, to?: string): Promise<Answer>;
  messages(conversationId: string): readonly KeptMessage[];
  everything(): readonly KeptMessage[];
  write(conversationId: string, from: string, text: string): KeptMessage;
  /** The chat of somebody with the bot. */
  personalChat(aadObjectId: string): string;
  /** The next so many calls are answered like this. */
  failNext(status: number, times: number, more?: { readonly code?: string; readonly retryAfter?: number }): void;
  /** Nobody of ours may write there any more. */
  leave(conversationId: string): void;
  join(conversationId: string): void;
  /** The endpoint of the keys hangs up, or says nothing at all. */
  setKeysAway(isAway: boolean | 'silent'): void;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly ms: number;
}

const activityBody = z.looseObject({
  type: z.string(),
  text: z.string().default(''),
  summary: z.string().default(''),
  attachments: z.array(z.looseObject({ contentType: z.string(), content: z.unknown().optional() })).default([]),
});
const newConversation = z.looseObject({
  bot: z.looseObject({ id: z.string() }),
  members: z.tuple([z.looseObject({ id: z.string() })]),
  tenantId: z.string(),
});

export interface TeamsServerOptions {
  readonly hasRates?: boolean;
  /** Calls without a token are taken, as the local client takes them. */
  readonly isAnonymous?: boolean;
  readonly endorsements?: readonly string[];
  readonly areKeysAway?: boolean;
}

export async function startTeamsServer(options: TeamsServerOptions = {}): Promise<TeamsServer> {
  const { hasRates = true, isAnonymous = false } = options;
  const conversations = new Map<string, KeptMessage[]>();
  const users = new Map<string, TeamsUser>(
    [
      { aadObjectId: 'bbbbbbbb-0000-4000-8000-000000000001', name: 'Ana Merchant' },
      { aadObjectId: 'bbbbbbbb-0000-4000-8000-000000000002', name: 'Ben Approver' },
      { aadObjectId: 'bbbbbbbb-0000-4000-8000-000000000003', name: 'Cem Admin' },
      { aadObjectId: 'bbbbbbbb-0000-4000-8000-000000000004', name: 'Dora Outsider' },
    ].map((user) => [user.aadObjectId, user]),
  );
  const rates = createRates();
  const calls: Call[] = [];
  const left = new Set<string>();
  const failures: { status: number; code: string; retryAfter: number | undefined }[] = [];
  const ours = new Set<string>();
  let target = '';
  let areKeysAway: boolean | 'silent' = options.areKeysAway ?? false;
  let origin = '';
  let counter = 1_700_000_000_000;
  const serviceUrl = () => `${origin}/teams/`;
  const issuer = createIssuer({
    ...{ appId: APP_ID, serviceUrl },
    ...(options.endorsements ? { endorsements: options.endorsements } : {}),
  });
  const threadOf = (id: string): KeptMessage[] => {
    const found = conversations.get(id) ?? [];
    conversations.set(id, found);
    return found;
  };
  const keep = (conversationId: string, from: string, said: Partial<KeptMessage>): KeptMessage => {
    const message: KeptMessage = {
      ...{ id: String(counter++), from, text: '', card: undefined, summary: '', edits: 0, views: new Map() },
      ...said,
    };
    const [base, root] = conversationId.split(';messageid=');
    // A message to a channel begins a thread of its own.
    const place = base === CHANNEL && root === undefined ? `${CHANNEL};messageid=${message.id}` : conversationId;
    threadOf(place).push(message);
    return message;
  };
  const account = ({ aadObjectId, name, userRole = 'user', tenantId = TENANT }: TeamsUser) => ({
    ...{ id: `29:${aadObjectId}`, aadObjectId, name, userRole, tenantId },
    userPrincipalName: `${name.toLowerCase().replaceAll(' ', '.')}@shops.example.com`,
  });
  const userBy = (id: string) => users.get(id.replace(/^29:/, ''));

  function answerCall(request: IncomingMessage, path: string, body: string): { status: number; body: unknown } {
    const refused = (status: number, code: string) => ({ status, body: { error: { code, message: code } } });
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (!isAnonymous && (bearer === undefined || !ours.has(bearer))) return refused(401, 'Unauthorized');
    if (path === `/teams/v3/teams/${encodeURIComponent(TEAM.id)}/conversations`)
      return { status: 200, body: { conversations: [{ id: TEAM.id }, { id: CHANNEL, name: 'Orders' }] } };
    const [, conversationId = '', what = '', rest = ''] =
      /^\/teams\/v3\/conversations(?:\/([^/?]+))?(?:\/(activities|members|pagedmembers))?(?:\/([^/?]+))?/
        .exec(path)
        ?.map((part) => part && decodeURIComponent(part)) ?? [];
    const failure = body.includes('"type":"typing"') ? undefined : failures.shift();
    if (failure) return refused(failure.status, failure.code);
    if (left.has(conversationId)) return refused(403, 'BotNotInConversationRoster');
    if (conversationId === '' && request.method === 'POST') {
      const { members, tenantId } = newConversation.parse(JSON.parse(body));
      // By its own id alone, which nobody but it hands out.
      const user = members[0].id.startsWith('29:') ? userBy(members[0].id) : undefined;
      if (!user || tenantId !== TENANT) return refused(403, 'ForbiddenOperationException');
      const id = `a:${user.aadObjectId}`;
      if (left.has(id)) return refused(403, 'ForbiddenOperationException');
      return { status: 201, body: { id } };
    }
    if (what === 'pagedmembers') return { status: 200, body: { members: [...users.values()].map(account) } };
    if (what === 'members') {
      const user = userBy(rest);
      return user ? { status: 200, body: account(user) } : refused(404, 'MemberNotFoundInConversation');
    }
    const seconds = hasRates ? rates.refuse(conversationId) : undefined;
    if (seconds !== undefined) return refused(429, 'TooManyRequests');
    if (Buffer.byteLength(body, 'utf16le') > MOST_BYTES) return refused(413, 'MessageSizeTooBig');
    const said = activityBody.parse(JSON.parse(body));
    const content = { text: said.text, summary: said.summary, card: said.attachments[0]?.content };
    if (request.method === 'PUT') {
      const message = [...conversations.values()].flat().find(({ id, from }) => id === rest && from === BOT.id);
      if (!message) return refused(404, 'ActivityNotFoundInConversation');
      Object.assign(message, content, { edits: message.edits + 1 });
      message.views.clear();
      return { status: 200, body: { id: message.id } };
    }
    if (said.type === 'typing') return { status: 201, body: { id: randomUUID() } };
    return { status: 201, body: { id: keep(conversationId, BOT.id, content).id } };
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // a request's parts are buffers
    const body = Buffer.concat(chunks).toString('utf8');
    const path = request.url ?? '/';
    const send = (status: number, sent: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
      response.end(JSON.stringify(sent));
    };
    const document = issuer.document(path, origin);
    if (document) {
      if (areKeysAway === 'silent') return;
      if (areKeysAway) return void request.socket.destroy();
      return send(200, document);
    }
    if (path === `/${TENANT}/oauth2/v2.0/token`) {
      const form = new URLSearchParams(body);
      const isRight =
        form.get('client_id') === APP_ID &&
        form.get('client_secret') === APP_PASSWORD &&
        form.get('grant_type') === 'client_credentials' &&
        form.get('scope') === 'https://api.botframework.com/.default';
      if (!isRight) return send(401, { error: 'invalid_client' });
      const token = randomUUID();
      ours.add(token);
      return send(200, { token_type: 'Bearer', expires_in: 3_599, access_token: token });
    }
    const { retryAfter } = failures[0] ?? {};
    const answered = answerCall(request, path, body);
    const [, conversationId = ''] = /conversations\/([^/?]+)/.exec(path) ?? [];
    const type = body.startsWith('{')
      ? z.looseObject({ type: z.string() }).safeParse(JSON.parse(body)).data?.type
      : undefined;
    calls.push({
      ...{ method: request.method ?? '', path, conversationId: decodeURIComponent(conversationId), type },
      ...{ status: answered.status, at: performance.now() },
    });
    const headers = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
    send(answered.status, answered.body, answered.status >= 400 ? headers : {});
  }

  const http = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  const listening = await listenOnLoopback(http, 0);
  origin = `http://127.0.0.1:${listening.port}`;

  return {
    origin,
    ...{ issuer, users, rates, calls },
    serviceUrl: serviceUrl(),
    sendTo: (url) => {
      target = url;
    },
    async deliver(activity, authorization = isAnonymous ? '' : `Bearer ${issuer.token()}`, to = target) {
      const began = performance.now();
      const response = await fetch(to, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(authorization ? { Authorization: authorization } : {}) },
        body: JSON.stringify(activity),
      });
      const text = await response.text();
      let body: unknown = text;
      try {
        body = JSON.parse(text);
      } catch {
        // words, or nothing
      }
      return { status: response.status, body, ms: performance.now() - began };
    },
    messages: threadOf,
    everything: () => [...conversations.values()].flat(),
    write: (conversationId, from, text) => keep(conversationId, from, { text }),
    personalChat: (aadObjectId) => `a:${aadObjectId}`,
    failNext(status, times, { code = '', retryAfter } = {}) {
      for (let index = 0; index < times; index++) failures.push({ status, code, retryAfter });
    },
    leave: (id) => void left.add(id),
    join: (id) => void left.delete(id),
    setKeysAway: (isAway) => {
      areKeysAway = isAway;
    },
    async close() {
      const closed = listening.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
