import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asSent, type MessagesBody } from './body.ts';
import { invalid, type Refusal } from './refusal.ts';
import { type Broken, betasOf, checkBody, checkHeaders } from './rules.ts';
import { signed } from './signature.ts';

/** What the server does with the next request that the rules accept. */
export type Turn =
  | MessageTurn
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly type: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly message?: string;
    }
  /** Any body with status 200. */
  | { readonly kind: 'raw'; readonly body: string }
  | { readonly kind: 'reset' }
  /** The connection dies in the middle of the body. */
  | { readonly kind: 'cut' }
  /** The body stops in the middle, and the connection stays. */
  | { readonly kind: 'stall' }
  /** No answer at all, until the client goes away. */
  | { readonly kind: 'hang' };

/** A model's message; `tool_use` is the stop reason when there is a tool call in it, `end_turn` otherwise. */
export interface MessageTurn {
  readonly kind: 'message';
  readonly content: readonly Block[];
  readonly stopReason?: string;
  /** Of a refusal. */
  readonly category?: string;
  /** How long the model thinks, in milliseconds. */
  readonly delayMs?: number;
  readonly usage?: Readonly<Record<string, number>>;
}

export type Block =
  | { readonly type: 'text'; readonly text: string }
  /** Signed by the server. */
  | { readonly type: 'thinking'; readonly thinking: string }
  | {
      readonly type: 'tool_use';
      readonly name: string;
      readonly input: unknown;
      readonly toolset_name?: string;
      readonly id?: string;
    };

export interface RecordedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: MessagesBody;
  /** As it came over the wire, to look for secrets in. */
  readonly text: string;
  readonly at: number;
  /** The message that it was answered with, if it was one. */
  readonly reply?: MessageReply;
}

export interface MessageReply {
  readonly content: readonly unknown[];
  readonly stop_reason: string;
}

/** A loopback stand-in for the Messages API that keeps its rules and says what it is told to. */
export interface AnthropicServer {
  readonly url: string;
  readonly apiKey: string;
  /** Accepted requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** What broke a rule: a test that expects none looks here. */
  readonly refusals: readonly Broken[];
  /** Adds turns to those that are still to come. */
  script(...turns: readonly Turn[]): void;
  /** Answers whatever comes when the script has no turn left, such as a model that obeys the page. */
  improvise(respond: (body: MessagesBody) => Turn): void;
  /** Turns that no request has used up. */
  remaining(): number;
  close(): Promise<void>;
}

export const answers = (input: unknown): Turn => ({
  kind: 'message',
  content: [{ type: 'tool_use', name: 'answer', input }],
});

/** One reply that asks for members of a toolset, in order. */
export function asks(
  toolset: 'browser' | 'computer',
  calls: readonly (readonly [name: string, input: unknown])[],
  more: Partial<MessageTurn> = {},
): MessageTurn {
  return {
    kind: 'message',
    content: calls.map(([name, input]) => ({ type: 'tool_use', name, input, toolset_name: toolset })),
    ...more,
  };
}

export function says(text: string, more: Partial<MessageTurn> = {}): MessageTurn {
  return { kind: 'message', content: [{ type: 'text', text }], ...more };
}

/** @returns what a server that kept the rules would have refused of these requests, in their order. */
export function replayAgainstRules(requests: readonly RecordedRequest[]): readonly Broken[] {
  const paused = new Set<string>();
  return requests.flatMap(({ headers, text, reply }) => {
    const apiKey = String(headers.authorization ?? '').replace(/^Bearer /, '');
    const checked = checkHeaders(headers, apiKey) ?? checkBody(text, { betas: betasOf(headers), paused });
    if (reply?.stop_reason === 'pause_turn') paused.add(asSent(reply.content));
    return 'refusal' in checked ? [checked] : [];
  });
}

export async function createAnthropicServer(apiKey = 'test-key'): Promise<AnthropicServer> {
  const turns: Turn[] = [];
  let improvised: ((body: MessagesBody) => Turn) | undefined;
  const requests: (RecordedRequest & { reply?: MessageReply })[] = [];
  const refusals: Broken[] = [];
  const paused = new Set<string>();
  const server = createServer(async (request, response) => {
    const text = await bodyOf(request).catch(() => undefined); // a client that went away while it spoke
    if (text === undefined) return;
    const checked = check(request, text, apiKey, paused);
    if ('refusal' in checked) {
      refusals.push(checked);
      return sendRefusal(response, checked.refusal);
    }
    const { body } = checked;
    const recorded: (typeof requests)[number] = { headers: request.headers, body, text, at: performance.now() };
    requests.push(recorded);
    const turn = turns.shift() ?? improvised?.(body);
    if (turn?.kind !== 'message') return take(turn, response);
    const reply = message(turn, body, requests.length);
    recorded.reply = reply;
    if (reply.stop_reason === 'pause_turn') paused.add(asSent(reply.content));
    setTimeout(() => send(response, 200, reply), turn.delayMs ?? 0);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  // A TCP server's address is an AddressInfo, never a string.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    apiKey,
    requests,
    refusals,
    script: (...more) => void turns.push(...more),
    improvise: (respond) => {
      improvised = respond;
    },
    remaining: () => turns.length,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function check(
  request: IncomingMessage,
  text: string,
  apiKey: string,
  paused: ReadonlySet<string>,
): Broken | { readonly body: MessagesBody } {
  // The SDK's beta resource adds the query; neither toolset needs a beta header.
  if (request.method !== 'POST' || !/^\/v1\/messages(?:\?beta=true)?$/.test(request.url ?? ''))
    return { rule: 'headers', refusal: invalid(`no such endpoint: ${request.method} ${request.url}`) };
  return checkHeaders(request.headers, apiKey) ?? checkBody(text, { betas: betasOf(request.headers), paused });
}

function take(turn: Exclude<Turn, MessageTurn> | undefined, response: ServerResponse): void {
  switch (turn?.kind) {
    case 'error': {
      const { status, type, message: text = `scripted ${type}`, headers } = turn;
      sendError(response, status, { type, message: text }, headers);
      return;
    }
    case 'raw':
      response.writeHead(200, { 'content-type': 'application/json' }).end(turn.body);
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'cut':
      beginBody(response);
      response.socket?.destroySoon();
      return;
    case 'stall':
      beginBody(response);
      return;
    case 'hang':
      return;
    case undefined:
      sendError(response, 400, { type: 'invalid_request_error', message: 'the script has no turn left' });
      return;
    default:
      turn satisfies never;
  }
}

function beginBody(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{"id":"msg_1",');
}

function message(turn: MessageTurn, body: MessagesBody, number: number): MessageReply {
  const { model, system, tools, messages } = body;
  const content = turn.content.map((block, index) => {
    switch (block.type) {
      case 'tool_use':
        return { id: `toolu_${number}_${index}`, ...block, caller: { type: 'direct' } };
      case 'thinking':
        return { ...block, signature: signed(block.thinking, { system, tools, messages }) };
      case 'text':
        return { ...block, citations: null };
      default:
        return block satisfies never;
    }
  });
  const { category } = turn;
  const reply = {
    id: `msg_${number}`,
    type: 'message',
    role: 'assistant',
    model,
    container: null,
    diagnostics: null,
    stop_details: category === undefined ? null : { type: 'refusal', category, explanation: null },
    content,
    stop_reason: turn.stopReason ?? (turn.content.some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: {
      ...{ input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
      ...turn.usage,
    },
  };
  return reply;
}

function sendRefusal(response: ServerResponse, { status, type, message: text, details }: Refusal): void {
  sendError(response, status, { type, message: text, ...(details && { details }) });
}

function sendError(
  response: ServerResponse,
  status: number,
  error: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const requestId = 'req_test';
  send(response, status, { type: 'error', error, request_id: requestId }, { 'request-id': requestId, ...headers });
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString('utf8');
}
