import type { WebSocket } from 'ws';
import type { Log } from '../../core/ports/log.ts';
import type { StreamMetrics } from '../../core/ports/metrics.ts';
import type { Feed, FeedEvent } from '../../core/stream/feed.ts';
import type { StreamAsked, StreamLimits } from './stream.ts';
import type { StreamCaller } from './stream-caller.ts';

/** Why a connection ends from our side: the code (RFC 6455, section 7.4: from 4000 on they are ours) and its words. */
export const CLOSED = {
  stopping: { code: 1001, words: 'this process stops: come back with your cursor' },
  said_something: { code: 1003, words: 'this stream takes no messages' },
  failed: { code: 1011, words: 'something went wrong on our side: come back with your cursor' },
  cursor_invalid: { code: 4400, words: 'no such cursor: begin without one' },
  revoked: { code: 4401, words: 'the token has expired or was revoked' },
  slow: { code: 4408, words: 'too slow: come back with your cursor' },
  cursor_gone: { code: 4410, words: 'what came after that cursor is no longer kept: begin without one' },
} as const satisfies Readonly<Record<string, { readonly code: number; readonly words: string }>>;
export type ClosedBy = keyof typeof CLOSED;

/** One connection. */
export interface StreamClient {
  readonly caller: StreamCaller;
  readonly gone: Promise<void>;
  start(): void;
  /** Asks whether it is there, and tells it how far it is; whoever did not answer since the last time is cut off. */
  ping(): void;
  endIfSlow(): void;
  end(why: ClosedBy): void;
  /** Without a farewell. */
  cut(): void;
}

export interface StreamClientDeps {
  readonly feed: Feed;
  readonly log: Log;
  readonly metrics: StreamMetrics;
  readonly limits: StreamLimits;
}

const CURSOR = /^(?:0|[1-9]\d{0,17})$/;
const FAREWELL_MS = 1_000;

export function createStreamClient(
  { feed, log, metrics, limits }: StreamClientDeps,
  socket: WebSocket,
  caller: StreamCaller,
  asked: StreamAsked,
  onGone: () => void,
): StreamClient {
  const { customerId } = caller;
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  /** Everything up to here was sent, or is not for this client. */
  let cursor = 0n;
  let said = 0n;
  let isPumping = false;
  let again = false;
  let isThere = true;
  let heldSince: number | undefined;
  let onRoom: (() => void) | undefined;
  let endedBy: ClosedBy | 'silent' | undefined;
  let unsubscribe = () => {};

  const isOpen = () => socket.readyState === socket.OPEN && endedBy === undefined;
  const end = (why: ClosedBy) => {
    if (endedBy !== undefined) return;
    endedBy = why;
    onRoom?.();
    socket.close(CLOSED[why].code, CLOSED[why].words);
    // A farewell stands behind all that was not read yet.
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref();
  };
  const send = (text: string) =>
    socket.send(text, () => {
      if (socket.bufferedAmount <= limits.bufferedBytes) onRoom?.();
    });

  /** Waits until the client has read enough. */
  const room = async (): Promise<void> => {
    if (socket.bufferedAmount <= limits.bufferedBytes || !isOpen()) return;
    heldSince ??= performance.now();
    await new Promise<void>((resolve) => {
      onRoom = resolve;
    });
    onRoom = undefined;
    heldSince = undefined;
  };

  /** Sends what follows, a page at a time; one at work, so that nothing comes twice or out of order. */
  const pump = async (): Promise<void> => {
    again = true;
    if (isPumping) return;
    isPumping = true;
    try {
      while (again && isOpen()) {
        again = false;
        for (let isMore = true; isMore && isOpen(); ) isMore = await sendPage();
      }
    } catch (cause) {
      log.debug({ code: 'stream', customerId, cause }, 'a client of the live stream waits for the database');
    } finally {
      isPumping = false;
    }
  };
  const sendPage = async (): Promise<boolean> => {
    const page = await feed.after(customerId, cursor);
    if (page.isGone) end('cursor_gone');
    for (const event of page.events) {
      if (!isOpen()) return false;
      if (!isFor(event)) continue;
      send(textFor(event));
      cursor = event.seq;
      said = event.seq;
      metrics.streamSent(1);
      await room();
    }
    if (!isOpen()) return false;
    const isMore = page.upTo > cursor || page.events.length > 0;
    if (page.upTo > cursor) cursor = page.upTo;
    if (isToldOfAll && cursor > said) sendCursor();
    return isMore;
  };
  const isFor = ({ operationId, requester }: FeedEvent): boolean =>
    (asked.operationId === undefined || operationId === asked.operationId) &&
    (caller.requester === undefined || requester === caller.requester);
  const textFor = ({ seq, operationId, text }: FeedEvent): string =>
    caller.isPage ? JSON.stringify({ event: 'changed', cursor: String(seq), operationId }) : text;
  /** Also of what belongs to no operation, such as a new member, and of that at once. */
  const isToldOfAll = caller.isPage && caller.requester === undefined && asked.operationId === undefined;
  const sendCursor = () => {
    send(JSON.stringify({ event: 'cursor', cursor: String(cursor) }));
    said = cursor;
  };

  const start = async (): Promise<void> => {
    const { cursor: given } = asked;
    const { oldest, newest } = await feed.bounds(customerId);
    cursor = given === undefined ? newest : CURSOR.test(given) ? BigInt(given) : -1n;
    if (cursor < 0n || cursor > newest) return end('cursor_invalid');
    if (cursor > 0n && cursor < oldest - 1n) return end('cursor_gone');
    said = cursor;
    send(JSON.stringify({ event: 'hello', cursor: String(cursor) }));
    unsubscribe = feed.subscribe(customerId, () => void pump());
    if (!isOpen()) unsubscribe(); // it left meanwhile
    await pump();
  };

  metrics.streamClients(1);
  socket.on('error', () => {}); // `close` follows, with 1009 for what is too long
  socket.on('message', () => end('said_something'));
  socket.on('pong', () => {
    isThere = true;
  });
  socket.on('close', (code) => {
    unsubscribe();
    onRoom?.();
    metrics.streamClients(-1);
    metrics.streamClosed(endedBy ?? (code === 1009 ? 'said_something' : 'client'));
    onGone();
    leave();
  });
  return {
    ...{ caller, gone, end },
    start: () =>
      void start().catch((cause: unknown) => {
        log.warn({ code: 'stream', customerId, cause }, 'the live stream could not begin');
        end('failed');
      }),
    ping() {
      if (!isThere) {
        endedBy ??= 'silent';
        return socket.terminate();
      }
      isThere = false;
      socket.ping();
      if ((cursor > said || caller.isPage) && isOpen()) sendCursor();
    },
    endIfSlow() {
      if (heldSince !== undefined && performance.now() - heldSince > limits.slowMs) end('slow');
    },
    cut: () => socket.terminate(),
  };
}
