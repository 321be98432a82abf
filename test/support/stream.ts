import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { createStream, type LiveStream, STREAM_PATH, type StreamLimits } from '../../adapters/api/stream.ts';
import { type StreamAuthenticator, streamTokens } from '../../adapters/api/stream-caller.ts';
import { type Listening, listenOnLoopback } from '../../core/http-listen.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { StreamMetrics } from '../../core/ports/metrics.ts';
import { type StreamEvent, streamEventSchema } from '../../core/stream/events.ts';
import { createFeed } from '../../core/stream/feed.ts';
import { createPictureLinks } from '../../core/vault/picture-links.ts';
import type { Core, Shop } from './core.ts';
import { testRootKeys } from './root-keys.ts';
import { silentLog } from './silent-log.ts';

/** The live stream as the program serves it, on a free port of this computer. */
export interface TestStream {
  readonly url: string;
  readonly stream: LiveStream;
  connect(options?: Asking): StreamReader;
  /** How many the server holds, of whatever kind. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

export interface Asking {
  readonly token?: string;
  /** Beside the protocol, as a browser gives it. */
  readonly protocolToken?: string;
  readonly cursor?: string;
  readonly operation?: string;
  /** After the path, in place of the two above. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly autoPong?: boolean;
}

/** What one client heard. */
export interface StreamReader {
  readonly socket: WebSocket;
  readonly events: StreamEvent[];
  /** Of `hello` and `cursor`. */
  readonly cursors: string[];
  /** The newest of all. */
  cursor(): string | undefined;
  /** Once `hello` came. @throws Error with the status, where it was refused. */
  readonly begun: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

const control = z.object({ event: z.enum(['hello', 'cursor']), cursor: z.string() });

/** What of core the stream is made of. */
export type StreamCore = Pick<Core, 'database' | 'audit' | 'directory' | 'apiTokens'>;

export async function openStream(
  core: StreamCore,
  options: {
    readonly limits?: Partial<StreamLimits>;
    readonly authenticators?: readonly StreamAuthenticator[];
    readonly metrics?: StreamMetrics;
    readonly pollMs?: number;
  } = {},
): Promise<TestStream> {
  const links = createPictureLinks(testRootKeys);
  const feed = createFeed({
    ...{ database: core.database, audit: core.audit, log: silentLog },
    pictureUrl: (customerId, id) =>
      `https://countersign.example.com/pictures/${links.token(customerId, id, new Date(Date.now() + 60_000))}`,
    ...(options.pollMs === undefined ? {} : { pollMs: options.pollMs }),
  });
  const tokens = streamTokens({ tokens: core.apiTokens, directory: core.directory, isBehindProxy: false });
  const { limits, metrics } = options;
  const stream = createStream({
    ...{ feed, log: silentLog, authenticators: [...(options.authenticators ?? []), tokens] },
    ...(limits ? { limits } : {}),
    ...(metrics ? { metrics } : {}),
  });
  const server = createServer((_request, response) => response.writeHead(404).end());
  server.on('upgrade', stream.upgrade);
  const listening: Listening = await listenOnLoopback(server, 0);
  const url = `ws://127.0.0.1:${listening.port}${STREAM_PATH}`;
  return {
    ...{ url, stream },
    connect: (asking) => connectTo(url, asking),
    connections: () => promisify(server.getConnections.bind(server))(),
    async close() {
      await stream.stop();
      server.closeAllConnections();
      await listening.close();
    },
  };
}

export function connectTo(url: string, asking: Asking = {}): StreamReader {
  const { token, protocolToken, cursor, operation, headers = {}, autoPong = true } = asking;
  const query = new URLSearchParams({
    ...(cursor === undefined ? {} : { cursor }),
    ...(operation ? { operation } : {}),
  });
  const socket = new WebSocket(
    `${url}?${asking.query ?? query}`,
    protocolToken === undefined ? [] : ['countersign.v1', `bearer.${protocolToken}`],
    { autoPong, headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } },
  );
  const events: StreamEvent[] = [];
  const cursors: string[] = [];
  let newest = cursor;
  const begun = Promise.withResolvers<void>();
  begun.promise.catch(() => {}); // whoever waits for it hears of it
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  socket.on('message', (data) => {
    const said: unknown = JSON.parse(String(data));
    const about = control.safeParse(said);
    if (about.success) cursors.push(about.data.cursor);
    else events.push(streamEventSchema.parse(said));
    newest = cursors.length > 0 && events.length === 0 ? cursors.at(-1) : (events.at(-1)?.cursor ?? newest);
    begun.resolve();
  });
  socket.on('unexpected-response', (request, response) => {
    begun.reject(new Error(`HTTP ${response.statusCode}`));
    response.resume();
    request.destroy();
  });
  socket.on('error', (error) => begun.reject(error));
  socket.on('close', (code, reason) => {
    begun.reject(new Error(`closed with ${code}`));
    closed.resolve({ code, reason: String(reason) });
  });
  return { socket, events, cursors, cursor: () => newest, begun: begun.promise, closed: closed.promise };
}

/** A token for the stream. */
export async function streamToken(core: Pick<Core, 'apiTokens'>, { customerId }: Pick<Shop, 'customerId'>, days = 1) {
  const { token, stored } = await core.apiTokens.create(customerId, { scopes: ['operations:read'], days });
  return { token: token.reveal(), id: stored.id };
}

let attempt = 0n;

/** A finished step on record. */
export function finishStep(
  core: Pick<Core, 'database' | 'audit'>,
  { customerId, id: operationId }: Pick<Operation, 'customerId' | 'id'>,
  words: { readonly intent?: string; readonly screenshotId?: string } = {},
  times = 1,
): Promise<void> {
  return core.database.withCustomer(customerId, async (tx) => {
    for (let n = 0; n < times; n++)
      await core.audit.append(tx, customerId, {
        ...{ kind: 'step.finished', operationId, stepNumber: 1, attempt: ++attempt },
        ...{ success: true, durationMs: 1200, rung: 'replayed' },
        payload: { intent: 'Open the page of keys', ...words },
      });
  });
}
