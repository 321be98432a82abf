import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { Person } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { announcementOf } from './cards.ts';
import { renderForm } from './forms.ts';
import { refusalFor } from './guard.ts';
import type { Page, Pages } from './page.ts';
import type { Entry, Message, Store } from './store.ts';
import { NEW_THREAD } from './thread.ts';
import { statusOf, type Views } from './views.ts';

/** How often a connection is asked whether it is still there; the second silence ends it. */
const HEARTBEAT_MS = 30_000;

const query = z.object({ as: z.string(), thread: z.string(), after: z.coerce.number().int().nonnegative() });
const fromPage = z.object({ seen: z.number().int().nonnegative() });

export interface PushDeps {
  readonly store: Store;
  readonly views: Views;
  readonly pages: Pages;
  readonly people: readonly Person[];
  readonly port: () => number;
  readonly log: Log;
  readonly markSeen: (threadId: string, userId: string) => void;
}

interface Connection {
  readonly socket: WebSocket;
  readonly page: Page;
  isAlive: boolean;
}

/** Keeps open pages up to date over a WebSocket: each says up to which entry it is, and gets what changed since. */
export function attachPush(server: Server, deps: PushDeps): { close(): void } {
  const { store, views, pages } = deps;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 4_096 });
  const connections = new Set<Connection>();

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const refusal = refusalFor(request, deps.port());
    const page = refusal ? undefined : pageOf(request);
    if (refusal) return refuse(stream, refusal.status, refusal.message);
    if (!page) return refuse(stream, 404, 'There is no such thread.');
    sockets.handleUpgrade(request, stream, head, (socket) => open(socket, page.page, page.after));
  });

  function pageOf(request: IncomingMessage): { page: Page; after: number } | undefined {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const asked = query.safeParse(Object.fromEntries(url.searchParams)).data;
    const me = deps.people.find(({ userId }) => userId === asked?.as);
    if (url.pathname !== '/live' || !asked || !me) return undefined;
    const isKnown = ['', NEW_THREAD].includes(asked.thread) || views.hasThread(asked.thread, me.userId);
    const page = { me, threadId: asked.thread || NEW_THREAD, isWaiting: asked.thread === '' };
    return isKnown ? { page, after: asked.after } : undefined;
  }

  // Catching up and joining happen in one turn of the event loop: nothing can be appended in between.
  function open(socket: WebSocket, page: Page, after: number): void {
    const connection: Connection = { socket, page, isAlive: true };
    socket.on('error', (cause) => deps.log.debug({ err: cause }, 'web chat: a page left'));
    socket.on('close', () => connections.delete(connection));
    socket.on('pong', () => (connection.isAlive = true));
    socket.on('message', (data) => hear(connection, String(data)));
    if (after > store.last() || (page.isWaiting && views.threads(page.me.userId).length > 0)) {
      send(connection, { type: 'reload' });
      return;
    }
    connections.add(connection);
    for (const message of store.messages())
      if (message.changed > after) show(connection, message, store.last(), undefined);
    sendForms(connection);
    sendAround(connection);
    send(connection, { type: 'ready', n: store.last() });
  }

  function hear({ page }: Connection, data: string): void {
    const said = z.string().transform(parseJson).pipe(fromPage).safeParse(data);
    if (said.success) deps.markSeen(page.threadId, page.me.userId);
  }

  function show(connection: Connection, message: Message, n: number, announce: string | undefined): void {
    const { threadId, me } = connection.page;
    if (!views.isOnPage(message, threadId, me.userId)) return;
    const isGone = message.isDismissed;
    const content = isGone ? { type: 'gone' } : { type: 'message', html: pages.message(message, me.userId).markup };
    const isOwn = message.from === me.userId;
    send(connection, { ...content, n, id: message.id, isOwn, announce: isOwn ? undefined : announce });
  }

  function sendForms(connection: Connection): void {
    const forms = views.forms(connection.page.me.userId, connection.page.threadId);
    const drawn = forms.map((form) => ({ id: form.id, html: renderForm(form, { people: deps.people }).markup }));
    send(connection, { type: 'forms', forms: drawn });
  }

  function sendAround(connection: Connection): void {
    const { page } = connection;
    send(connection, { type: 'around', menu: pages.menu(page).markup, people: pages.people(page).markup });
  }

  store.subscribe((entry, before) => {
    for (const connection of connections) tell(connection, entry, before);
  });

  function tell(connection: Connection, entry: Entry, before: Message | undefined): void {
    switch (entry.kind) {
      case 'message':
      case 'edit':
      case 'dismissed':
        tellOfMessage(connection, entry, before);
        break;
      case 'seen':
        sendAround(connection);
        break;
      case 'form':
      case 'form_closed':
        sendForms(connection);
        break;
      case 'event':
      case 'settled':
        break;
      default:
        entry satisfies never;
    }
  }

  function tellOfMessage(
    connection: Connection,
    { id, n, kind }: Entry & { id: string },
    before: Message | undefined,
  ): void {
    const message = store.message(id);
    if (!message) return;
    if (connection.page.isWaiting && views.hasThread(message.threadId, connection.page.me.userId)) {
      send(connection, { type: 'reload' });
      return;
    }
    show(connection, message, n, announcement(message, before));
    if (kind !== 'edit' || statusOf(message)?.words !== (before && statusOf(before)?.words)) sendAround(connection);
  }

  const heartbeat = setInterval(() => {
    for (const connection of connections) {
      if (!connection.isAlive) connection.socket.terminate();
      connection.isAlive = false;
      connection.socket.ping();
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();

  function close(): void {
    clearInterval(heartbeat);
    for (const { socket } of connections) socket.terminate();
    connections.clear();
    sockets.close();
  }

  return { close };
}

function announcement({ body, from }: Message, before: Message | undefined): string | undefined {
  if (body.kind === 'words') return `${from ?? 'Countersign'}: ${body.text}`;
  if (!before) return `Countersign: ${body.card.summary}`;
  return announcementOf(before.body.kind === 'card' ? before.body.card : undefined, body.card);
}

function send({ socket }: Connection, message: object): void {
  socket.send(JSON.stringify(message), () => undefined); // a page that is gone catches up when it returns
}

function refuse(stream: Duplex, status: number, words: string): void {
  stream.on('error', () => stream.destroy()); // who is refused may be gone already
  const head = `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close`;
  stream.end(`${head}\r\nContent-Length: ${Buffer.byteLength(words)}\r\n\r\n${words}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
