import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type OperationId, parseOperationId } from '../../core/ids.ts';
import type { Log } from '../../core/ports/log.ts';
import type { StreamMetrics } from '../../core/ports/metrics.ts';
import type { Feed } from '../../core/stream/feed.ts';
import { unansweredWords } from './errors.ts';
import {
  noCaller,
  protocolsOf,
  STREAM_PROTOCOL,
  type StreamAuthenticator,
  type StreamCaller,
  type StreamRefusal,
} from './stream-caller.ts';
import { createStreamClient, type StreamClient } from './stream-client.ts';

export const STREAM_PATH = '/api/autonomous/stream';

export interface LiveStream {
  /** For the server's event `upgrade`: takes every request for one, and refuses what is not for the stream. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Takes nobody new, and sends everybody away with the word to come back with their cursor. */
  stop(): Promise<void>;
}

export interface StreamOptions {
  readonly feed: Feed;
  /** The first that knows anything in a request decides. */
  readonly authenticators: readonly StreamAuthenticator[];
  readonly log: Log;
  readonly metrics?: StreamMetrics;
  readonly limits?: Partial<StreamLimits>;
}

export interface StreamLimits {
  /** Connections of one caller, of one customer, and of all together, in one process. */
  readonly ofCaller: number;
  readonly ofCustomer: number;
  readonly ofAll: number;
  /** What waits in memory for one client before its reading is waited for, and how long that may take. */
  readonly bufferedBytes: number;
  readonly slowMs: number;
  /** Between two questions whether a client is there; the second silence ends it. */
  readonly pingMs: number;
}

const LIMITS: StreamLimits = {
  ...{ ofCaller: 20, ofCustomer: 250, ofAll: 1_000 },
  ...{ bufferedBytes: 256 * 1024, slowMs: 15_000, pingMs: 20_000 },
};
/** A client has nothing to say. */
const MOST_BYTES_IN = 1_024;
/** A token that was revoked or is over is heard of within this and the one statement that asks: 2 s together at most. */
const CHECK_MS = 750;
const FAREWELL_MS = 1_000;

const silentMetrics: StreamMetrics = { streamClients() {}, streamSent() {}, streamClosed() {} };

/** `GET /api/autonomous/stream` by WebSocket: what the trail says of the caller's operations, as it happens (docs/live.md). */
export function createStream(options: StreamOptions): LiveStream {
  const { feed, authenticators, log, metrics = silentMetrics } = options;
  const limits = { ...LIMITS, ...options.limits };
  const sockets = new WebSocketServer({
    ...{ noServer: true, clientTracking: false, maxPayload: MOST_BYTES_IN, perMessageDeflate: false },
    handleProtocols: (offered) => (offered.has(STREAM_PROTOCOL) ? STREAM_PROTOCOL : false),
  });
  const clients = new Map<StreamClient, StreamAuthenticator>();
  let isStopping = false;
  let isChecking = false;
  let timers: readonly NodeJS.Timeout[] = [];

  const admit = async (
    request: IncomingMessage,
  ): Promise<readonly [StreamAuthenticator, StreamCaller] | StreamRefusal> => {
    for (const authenticator of authenticators) {
      const found = await authenticator.admit(request);
      if (found) return 'status' in found ? found : [authenticator, found];
    }
    return noCaller;
  };

  const lackOfRoom = ({ key, customerId }: StreamCaller): StreamRefusal | undefined => {
    const ofCustomer = [...clients.keys()].filter(({ caller }) => caller.customerId === customerId);
    const ofCaller = ofCustomer.filter(({ caller }) => caller.key === key).length;
    if (isStopping || clients.size >= limits.ofAll)
      return {
        status: 503,
        code: 'unavailable',
        detail: 'This process takes nobody new at the moment. Please try again.',
      };
    const detail =
      ofCaller >= limits.ofCaller
        ? `${limits.ofCaller} connections are open with this token already.`
        : ofCustomer.length >= limits.ofCustomer
          ? `${limits.ofCustomer} connections are open for this customer already.`
          : undefined;
    return detail === undefined ? undefined : { status: 429, code: 'rate_limited', detail };
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const asked = readAddress(request);
    if ('status' in asked) return refuse(socket, asked);
    const admitted = await admit(request);
    if ('status' in admitted) return refuse(socket, admitted);
    const [authenticator, caller] = admitted;
    const lack = lackOfRoom(caller);
    if (lack) return refuse(socket, lack);
    if (socket.destroyed) return;
    sockets.handleUpgrade(request, socket, head, (opened) => {
      begin();
      const client = createStreamClient({ feed, log, metrics, limits }, opened, caller, asked, () =>
        clients.delete(client),
      );
      clients.set(client, authenticator);
      client.start();
    });
  };

  /** Of everybody together, each authenticator is asked once. */
  const check = async (): Promise<void> => {
    for (const client of clients.keys()) client.endIfSlow();
    if (isChecking) return;
    isChecking = true;
    try {
      for (const authenticator of new Set(clients.values())) {
        const theirs = [...clients].filter(([, by]) => by === authenticator).map(([client]) => client);
        const good = await authenticator.stillGood([...new Set(theirs.map(({ caller }) => caller.key))]);
        for (const client of theirs) if (!good.has(client.caller.key)) client.end('revoked');
      }
    } catch (cause) {
      // The database is away: nothing new reaches anybody meanwhile, and the next look finds out.
      log.debug({ code: 'stream', cause }, 'callers of the live stream could not be asked after');
    } finally {
      isChecking = false;
    }
  };
  const begin = () => {
    if (timers.length > 0) return;
    const ping = () => {
      for (const client of clients.keys()) client.ping();
    };
    timers = [setInterval(() => void check(), CHECK_MS).unref(), setInterval(ping, limits.pingMs).unref()];
  };

  return {
    upgrade(request, socket, head) {
      socket.on('error', () => {}); // whoever left gets no answer
      upgrade(request, socket, head).catch((cause: unknown) => {
        log.warn({ code: 'stream', cause }, 'a client of the live stream could not be admitted');
        refuse(socket, { status: 503, code: 'unavailable', detail: unansweredWords(cause) });
      });
    },
    async stop() {
      isStopping = true;
      for (const timer of timers) clearInterval(timer);
      const all = [...clients.keys()];
      for (const client of all) client.end('stopping');
      const late = setTimeout(() => {
        for (const client of all) client.cut();
      }, FAREWELL_MS);
      await Promise.all(all.map(({ gone }) => gone));
      clearTimeout(late);
      sockets.close();
      await feed.stop();
    },
  };
}

/** Where the client was, and what alone it wants to hear of. */
export interface StreamAsked {
  /** As it came; absent: from now on. */
  readonly cursor?: string;
  readonly operationId?: OperationId;
}

const WORDS: readonly string[] = ['cursor', 'operation'];
const wrong = (detail: string): StreamRefusal => ({ status: 400, code: 'request_invalid', detail });

function readAddress({ url = '', headers }: IncomingMessage): StreamAsked | StreamRefusal {
  const address = URL.canParse(url, 'http://localhost') ? new URL(url, 'http://localhost') : undefined;
  if (address?.pathname !== STREAM_PATH) return { status: 404, code: 'not_found', detail: 'There is nothing here.' };
  const given = [...address.searchParams.keys()];
  // Whoever writes a token into an address has it in the logs of every proxy on the way.
  if (given.some((name) => !WORDS.includes(name)) || new Set(given).size < given.length)
    return wrong('The address takes cursor and operation, each once, and never a token.');
  const protocols = protocolsOf(headers['sec-websocket-protocol']);
  if (headers['sec-websocket-protocol'] !== undefined && !protocols.includes(STREAM_PROTOCOL))
    return wrong(`Offer the protocol ${STREAM_PROTOCOL}, and beside it the token.`);
  const named = address.searchParams.get('operation');
  const operationId = named === null ? undefined : parseOperationId(named);
  if (named !== null && !operationId) return wrong('An operation is named by its id, such as op-abcd2345.');
  const cursor = address.searchParams.get('cursor');
  return { ...(cursor === null ? {} : { cursor }), ...(operationId ? { operationId } : {}) };
}

/**
 * As problem details, before there is a WebSocket. The server has let go of this connection, with all of its time limits: unless
 * it ends here, whoever never closes their half would hold it for good, without a token, and `stop` would wait for them.
 */
function refuse(socket: Duplex, { status, headers = {}, ...problem }: StreamRefusal): void {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...problem });
  const lines = {
    ...{ 'Content-Type': 'application/problem+json', 'Content-Length': Buffer.byteLength(body) },
    ...{ Connection: 'close', 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' },
    ...headers,
  };
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  const late = setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
  socket.once('close', () => clearTimeout(late));
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
}
