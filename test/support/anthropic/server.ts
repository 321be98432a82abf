import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkBody, checkHeaders, type MessagesBody, type Refusal } from './rules.ts';

/** What the server does with the next request that the rules accept. */
export type Turn =
  /** A model's message; `tool_use` is the stop reason when there is a tool call in it, `end_turn` otherwise. */
  | { readonly kind: 'message'; readonly content: readonly Block[]; readonly stopReason?: string }
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly type: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Any body with status 200. */
  | { readonly kind: 'raw'; readonly body: string }
  | { readonly kind: 'reset' }
  /** The connection dies in the middle of the body. */
  | { readonly kind: 'cut' }
  /** No answer at all, until the client goes away. */
  | { readonly kind: 'hang' };

export type Block =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly name: string; readonly input: unknown };

export interface RecordedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: MessagesBody;
  /** As it came over the wire, to look for secrets in. */
  readonly text: string;
  readonly at: number;
}

/** A loopback stand-in for the Messages API that keeps its rules and says what it is told to. */
export interface AnthropicServer {
  readonly url: string;
  readonly apiKey: string;
  /** Accepted requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** What broke a rule: a test that expects none looks here. */
  readonly refusals: readonly Refusal[];
  /** Adds turns to those that are still to come. */
  script(...turns: readonly Turn[]): void;
  /** Turns that no request has used up. */
  remaining(): number;
  close(): Promise<void>;
}

export const answers = (input: unknown): Turn => ({
  kind: 'message',
  content: [{ type: 'tool_use', name: 'answer', input }],
});

export async function createAnthropicServer(apiKey = 'test-key'): Promise<AnthropicServer> {
  const turns: Turn[] = [];
  const requests: RecordedRequest[] = [];
  const refusals: Refusal[] = [];
  const server = createServer(async (request, response) => {
    const text = await bodyOf(request);
    const checked = check(request, text, apiKey);
    if ('refusal' in checked) {
      refusals.push(checked.refusal);
      return sendError(response, checked.refusal.status, checked.refusal.type, checked.refusal.message);
    }
    requests.push({ headers: request.headers, body: checked.body, text, at: performance.now() });
    take(turns.shift(), checked.body, response, requests.length);
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
): { readonly refusal: Refusal } | { readonly body: MessagesBody } {
  const refusal = checkHeaders(request.headers, apiKey);
  if (request.method !== 'POST' || request.url !== '/v1/messages') {
    return {
      refusal: {
        status: 400,
        type: 'invalid_request_error',
        message: `no such endpoint: ${request.method} ${request.url}`,
      },
    };
  }
  return refusal ? { refusal } : checkBody(text);
}

function take(turn: Turn | undefined, body: MessagesBody, response: ServerResponse, number: number): void {
  switch (turn?.kind) {
    case 'message':
      send(response, 200, message(turn, body.model, number));
      return;
    case 'error':
      sendError(response, turn.status, turn.type, `scripted ${turn.type}`, turn.headers);
      return;
    case 'raw':
      response.writeHead(200, { 'content-type': 'application/json' }).end(turn.body);
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'cut':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{"id":"msg_1",');
      response.socket?.destroySoon();
      return;
    case 'hang':
      return;
    case undefined:
      sendError(response, 400, 'invalid_request_error', 'the script has no turn left');
      return;
    default:
      turn satisfies never;
  }
}

function message(turn: Extract<Turn, { kind: 'message' }>, model: string, number: number): object {
  const content = turn.content.map((block, index) =>
    block.type === 'tool_use'
      ? { ...block, id: `toolu_${number}_${index}`, caller: { type: 'direct' } }
      : { ...block, citations: null },
  );
  return {
    id: `msg_${number}`,
    type: 'message',
    role: 'assistant',
    model,
    container: null,
    diagnostics: null,
    stop_details: null,
    content,
    stop_reason: turn.stopReason ?? (turn.content.some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
  };
}

function sendError(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const requestId = 'req_test';
  send(
    response,
    status,
    { type: 'error', error: { type, message: text }, request_id: requestId },
    { 'request-id': requestId, ...headers },
  );
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
