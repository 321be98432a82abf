import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import type { ConnectedChat } from '../../../bot/platforms.ts';
import { CountersignError } from '../../../core/errors.ts';
import { type Listening, listenOnLoopback } from '../../../core/http-listen.ts';
import type { ChatListener, Person, ThreadRef } from '../../../core/ports/chat.ts';
import { answerSchema, type ChatCall, type ChatDelivery } from './chat-protocol.ts';

const CALL_MS = 3_000;
const RETRIES = 2; // after as long as the chat asks for, as vendors' SDKs do
const LONGEST_WAIT_S = 10;

export interface HttpChatOptions {
  /** Where the chat answers. */
  readonly chatUrl: string;
  /** Where this side hears what people say and press: the same after a restart. */
  readonly port: number;
}

/** A chat platform on the other side of real HTTP, which can be down, refuse, break and hang. */
export function createHttpChat({ chatUrl, port }: HttpChatOptions): ConnectedChat {
  let listener: ChatListener | undefined;
  let listening: Listening | undefined;
  const server = createServer((request, response) => {
    // Our own test writes these events.
    const heard = json(request).then((event) => listener?.(event as ChatDelivery));
    heard.then(
      () => response.end('{}'),
      () => response.writeHead(500).end(), // it is delivered again
    );
  });
  const messageRef = async (thread: ThreadRef, call: ChatCall) => ({ thread, ref: await send(chatUrl, call) });
  const personOf = (workspaceId: string, userId: string): Person => ({
    ...{ platform: 'web', workspaceId, userId, name: userId },
  });
  return {
    platform: 'web',
    capabilities: {
      ...{ ephemeral: true, directMessage: true, updateInPlace: true, form: true, upload: false, mention: true },
      ...{ ephemeralInPlace: true, groups: false, picturesInCards: true },
    },
    post: (thread, card, { key }) => messageRef(thread, { kind: 'post', thread, card, key }),
    update: async ({ ref }, card) => void (await send(chatUrl, { kind: 'update', ref, card })),
    ephemeral: async (thread, to, card, options) =>
      void (await send(chatUrl, { kind: 'ephemeral', thread, to, card, ...options })),
    directMessage: (to, card) => messageRef({ ...to, ref: `direct:${to.userId}` }, { kind: 'directMessage', to, card }),
    person: async (workspaceId, userId) => personOf(workspaceId, userId),
    standing: async () => ({ kind: 'member', isInGroup: false }),
    openForm: async (trigger, form) => void (await send(chatUrl, { kind: 'openForm', trigger, form })),
    upload: (thread, picture, { key }) =>
      messageRef(thread, { kind: 'post', thread, card: { summary: picture.alt, blocks: [] }, key }),
    listen(heard) {
      listener = heard;
    },
    async start() {
      listening = await listenOnLoopback(server, port);
    },
    async stop() {
      server.closeAllConnections();
      await listening?.close();
    },
  };
}

/** @returns the message's reference. @throws CountersignError `chat_unavailable` */
async function send(chatUrl: string, call: ChatCall): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(new URL(`/api/${call.kind}`, chatUrl), {
      method: 'POST',
      body: JSON.stringify(call),
      signal: AbortSignal.timeout(CALL_MS),
    }).catch((cause: unknown) => {
      throw unavailable('did not answer', cause);
    });
    if (response.ok) return answerSchema.parse(await response.json()).ref;
    await response.body?.cancel();
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    if (response.status !== 429 || attempt === RETRIES || !(seconds <= LONGEST_WAIT_S))
      throw unavailable(`answered ${response.status}`);
    await wait(seconds * 1000);
  }
}

function unavailable(what: string, cause?: unknown): CountersignError {
  const options = { isRetryable: true, ...(cause === undefined ? {} : { cause }) };
  return new CountersignError('chat_unavailable', `The chat ${what}.`, options);
}
