import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { listenOnLoopback } from '../../../core/http-listen.ts';
import type { Button, Card, ChatEvent, Person, ThreadRef } from '../../../core/ports/chat.ts';
import type { ChatCall } from './chat-protocol.ts';

/** A message as the thread shows it now, and all that it said before. */
export interface ShownMessage {
  readonly ref: string;
  readonly thread: string;
  readonly key: string | undefined;
  /** Whom alone it is shown to. */
  readonly to: string | undefined;
  /** Oldest first; the last one shows. */
  readonly cards: Card[];
}

/** How the chat fails. `broken_after`: it does what it was asked, and says 500 all the same. */
export type ChatFault = 'none' | 'down' | 'limited' | 'broken' | 'broken_after' | 'hanging';

/** A chat of our own on loopback: what the program posts is kept with every edit, and people's words reach it by HTTP. */
export interface ChatServer {
  readonly url: string;
  fault: ChatFault;
  /** How many calls were refused, broken or left hanging. */
  readonly troubles: number;
  messages(thread: string): readonly ShownMessage[];
  /** The newest button of that action that this person sees in the thread. */
  button(thread: string, action: string, who: string): Pressable | undefined;
  /** Delivers until the program has taken it. */
  deliver(event: ChatEvent): Promise<void>;
  close(): Promise<void>;
}

export interface Pressable {
  readonly message: ShownMessage;
  readonly button: Button;
}

const AGAIN_MS = 500;
const DELIVERY_MS = 120_000; // one that is cut off by a kill is told at once, and delivered again
const RETRY_AFTER_SECONDS = '2';

export async function openChatServer(programUrl: string): Promise<ChatServer> {
  const messages: ShownMessage[] = [];
  const closing = new AbortController();
  let troubles = 0;

  function take(call: ChatCall): string {
    switch (call.kind) {
      case 'post':
        return keep(call.thread.ref, call.card, call.key, undefined);
      case 'ephemeral':
        return keep(call.thread.ref, call.card, call.key, call.to.userId);
      case 'directMessage':
        return keep(`direct:${call.to.userId}`, call.card, undefined, call.to.userId);
      case 'update':
        messages.find(({ ref }) => ref === call.ref)?.cards.push(call.card);
        return call.ref;
      case 'openForm':
        return '';
      default:
        return call satisfies never;
    }
  }

  function keep(thread: string, card: Card, key: string | undefined, to: string | undefined): string {
    const earlier = messages.find(
      (one) => key !== undefined && one.key === key && one.thread === thread && one.to === to,
    );
    if (earlier) {
      if (to !== undefined) earlier.cards.push(card); // a post of the same key changes nothing
      return earlier.ref;
    }
    const ref = `m${messages.length}`;
    messages.push({ ref, thread, key, to, cards: [card] });
    return ref;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { fault } = chat;
    if (fault !== 'none') troubles += 1;
    if (fault === 'down') return void request.socket.destroy();
    // Our own adapter writes these calls.
    const call = (await json(request)) as ChatCall;
    if (fault === 'hanging') return; // until the caller gives up
    if (fault === 'limited') return void response.writeHead(429, { 'Retry-After': RETRY_AFTER_SECONDS }).end();
    if (fault === 'broken') return void response.writeHead(500).end();
    const ref = take(call);
    if (fault === 'broken_after') return void response.writeHead(500).end();
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ ref }));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy()); // a caller that was killed in the middle of its words
  });
  const { port, close } = await listenOnLoopback(server, 0);
  const chat: ChatServer = {
    url: `http://127.0.0.1:${port}`,
    fault: 'none',
    get troubles() {
      return troubles;
    },
    messages: (thread) => messages.filter((one) => one.thread === thread),
    button(thread, action, who) {
      for (const message of messages.toReversed()) {
        const isSeen = message.thread === thread && (message.to === undefined || message.to === who);
        const card = isSeen ? message.cards.at(-1) : undefined;
        const button = card?.blocks
          .flatMap((b) => (b.kind === 'actions' ? b.buttons : []))
          .find((b) => b.action === action);
        if (button) return { message, button };
      }
      return undefined;
    },
    async deliver(event) {
      const body = JSON.stringify(event);
      while (!closing.signal.aborted) {
        const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(DELIVERY_MS)]);
        const response = await fetch(programUrl, { method: 'POST', body, signal }).catch(() => undefined);
        await response?.body?.cancel();
        if (response?.ok) return;
        await wait(AGAIN_MS);
      }
    },
    async close() {
      closing.abort();
      server.closeAllConnections();
      await close();
    },
  };
  return chat;
}

export function personOf(workspaceId: string, userId: string): Person {
  return { platform: 'web', workspaceId, userId, name: userId };
}

export function threadOf(workspaceId: string, ref: string): ThreadRef {
  return { platform: 'web', workspaceId, ref };
}
