import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Router } from 'express';
import { type Listening, listenOnLoopback } from '../../core/http-listen.ts';
import { withoutTricks } from '../../core/plain-text.ts';
import type {
  Card,
  Chat,
  ChatEvent,
  ChatListener,
  Form,
  MessageRef,
  Person,
  PictureLink,
  Standing,
  ThreadRef,
} from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { createAssets } from './assets.ts';
import { capabilities, peopleOf, type WebChatOptions, webChatConfig } from './config.ts';
import { createDelivery } from './delivery.ts';
import { listenError, unknownReference } from './errors.ts';
import { ownOrigins } from './guard.ts';
import { createPages } from './page.ts';
import { attachPush } from './push.ts';
import { createReceiver } from './receiver.ts';
import { createReception, noticeTo } from './reception.ts';
import { type Message, type NewEntry, openStore } from './store.ts';
import { directThreadId, directTo, messageRef, NEW_THREAD, newId, threadIdOf, threadRef, userIdOf } from './thread.ts';
import { createViews } from './views.ts';

export type { WebChatOptions } from './config.ts';

/** A chat platform of our own, for the demo: a page on this computer that looks and behaves like a thread in Slack. */
export interface WebChat extends Chat {
  /** Who hears what people say and press; events that came before wait. Called before `start`. */
  listen(listener: ChatListener): void;
  /** Opens the page to this computer alone. @throws CountersignError `port_in_use` */
  start(): Promise<{ readonly url: string }>;
  stop(): Promise<void>;
  readonly people: readonly Person[];
}

export interface WebChatDeps {
  readonly log: Log;
  readonly now?: () => Date;
  /** More routes of the same listener, such as the pictures; they come after the checks of Host and Origin. */
  readonly extraRoutes?: Router;
}

/** Replays the store and stands ready; nobody can reach it before `start`. @throws ZodError when the options are wrong. */
export function createWebChat(
  options: WebChatOptions,
  { log, now = () => new Date(), extraRoutes }: WebChatDeps,
): WebChat {
  const config = webChatConfig.parse(options);
  const { workspaceId } = config;
  const people = peopleOf(config);
  const store = openStore(config.storeFile, { log, now });
  const views = createViews(store);
  let port = config.port;
  let listening: Listening | undefined;
  let isStopped = false;

  const assets = createAssets();
  const pages = createPages({
    config,
    people,
    views,
    assetsPath: assets.path,
    ownOrigins: () => ownOrigins(port),
    nonce: randomUUID,
  });
  const delivery = createDelivery({ store, log, now, onLost });
  const reception = createReception(workspaceId, store, delivery);
  const around = { config, people, store, views, pages, log, port: () => port, markSeen };
  const server = createServer(createReceiver({ ...around, reception, assets: assets.routes, extraRoutes }));
  const push = attachPush(server, around);

  function onLost({ kind, from, thread }: ChatEvent): void {
    if (kind !== 'message' && kind !== 'command') return; // who pressed a button has the answer on the page
    const words = 'Countersign could not take that just now. Please look at the thread, then send it again.';
    store.append(noticeTo(from.userId, thread.ref, words));
  }

  function markSeen(threadId: string, userId: string): void {
    const upTo = views.messages(threadId, userId).findLast(({ from }) => from !== userId)?.n ?? 0;
    if (upTo > store.seen(userId, threadId)) store.append({ kind: 'seen', userId, threadId, upTo });
  }

  function knownThread(thread: ThreadRef): string {
    const id = threadIdOf(thread, workspaceId);
    const isDirect = people.some(({ userId }) => directThreadId(userId) === id);
    if (!isDirect && !store.messages().some(({ threadId }) => threadId === id)) throw unknownReference('thread');
    return id;
  }

  /** The thread that a message under this key begins: the same one however often it is posted. */
  function threadFor(key: string): string {
    return `t-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
  }

  /** A message from Countersign; in a direct thread it is visible to that person, who sees it where they are now as well. */
  function fromUs(threadId: string, card: Card, key?: string): NewEntry & { kind: 'message' } {
    const direct = directTo(threadId);
    const shownIn = direct === undefined ? undefined : views.liveliest(direct);
    return {
      kind: 'message',
      id: newId('m'),
      threadId,
      how: direct === undefined ? 'thread' : 'direct',
      ...(direct !== undefined && { visibleTo: direct }),
      ...(shownIn !== undefined && { shownIn }),
      ...(key !== undefined && { key }),
      body: { kind: 'card', card: withoutTricks(card) },
    };
  }

  async function post(thread: ThreadRef, card: Card, options: { key: string }): Promise<MessageRef> {
    const threadId = thread.ref === NEW_THREAD ? threadFor(options.key) : knownThread(thread);
    const key = `post:${options.key}`;
    const first = store.byKey(threadId, key);
    if (first) return messageRef(workspaceId, threadId, first.id);
    const message = fromUs(threadId, card, key);
    store.append(message);
    return messageRef(workspaceId, threadId, message.id);
  }

  async function update({ thread, ref }: MessageRef, given: Card): Promise<void> {
    const card = withoutTricks(given);
    const message = store.message(ref);
    const isOurs = message?.threadId === threadIdOf(thread, workspaceId) && message.from === undefined;
    if (!isOurs || message.body.kind !== 'card') throw unknownReference('message');
    edit(message, card);
  }

  async function ephemeral(
    thread: ThreadRef,
    person: Person,
    card: Card,
    options: { key?: string; replaces?: string } = {},
  ): Promise<void> {
    const visibleTo = userIdOf(person, workspaceId, people);
    const threadId = knownThread(thread);
    const key = options.key === undefined ? undefined : `to:${visibleTo}:${options.key}`;
    const pressed = store.message(options.replaces ?? '');
    const isTheirs = pressed?.how === 'ephemeral' && pressed.visibleTo === visibleTo && !pressed.isDismissed;
    const earlier = isTheirs ? pressed : key === undefined ? undefined : store.byKey(threadId, key);
    if (earlier) edit(earlier, card);
    else store.append({ ...fromUs(threadId, card, key), how: 'ephemeral', visibleTo });
  }

  function edit({ id, body }: Message, card: Card): void {
    const isSame = body.kind === 'card' && JSON.stringify(body.card) === JSON.stringify(card);
    if (!isSame) store.append({ kind: 'edit', id, card });
  }

  async function directMessage(person: Person, card: Card, options: { key?: string } = {}): Promise<MessageRef> {
    const threadId = directThreadId(userIdOf(person, workspaceId, people));
    const key = options.key === undefined ? undefined : `post:${options.key}`;
    const first = key === undefined ? undefined : store.byKey(threadId, key);
    if (first) return messageRef(workspaceId, threadId, first.id);
    const message = fromUs(threadId, card, key);
    store.append(message);
    return messageRef(workspaceId, threadId, message.id);
  }

  async function person(workspace: string, userId: string): Promise<Person> {
    const known = people.find((each) => each.workspaceId === workspace && each.userId === userId);
    if (!known) throw unknownReference('person');
    return known;
  }

  /** Web chat has no groups and no guests: whoever the page offers is a member. */
  async function standing({ platform, workspaceId: workspace, userId }: Person): Promise<Standing> {
    const isKnown = platform === 'web' && people.some((p) => p.workspaceId === workspace && p.userId === userId);
    return isKnown ? { kind: 'member', isInGroup: false } : { kind: 'unknown' };
  }

  async function openForm(trigger: string, given: Form): Promise<void> {
    const form = withoutTricks(given);
    const event = store.event(trigger)?.event;
    if (event?.kind !== 'action' && event?.kind !== 'command') throw unknownReference('trigger');
    const { userId } = event.from;
    const pressed = event.kind === 'action' ? event : undefined;
    const message = store.message(pressed?.message?.ref ?? '');
    const closed = store.forms(userId).map(({ id }) => ({ kind: 'form_closed', id }) as const);
    const threadId = message?.shownIn ?? event.thread.ref;
    const eventThreadId = event.thread.ref;
    const shown = pressed?.shown === undefined ? {} : { shown: pressed.shown };
    store.append(...closed, { kind: 'form', id: newId('f'), userId, threadId, eventThreadId, ...shown, form });
  }

  function upload(thread: ThreadRef, picture: PictureLink, options: { key: string }): Promise<MessageRef> {
    return post(thread, { summary: picture.alt, blocks: [{ kind: 'pictures', items: [picture] }] }, options);
  }

  async function start(): Promise<{ url: string }> {
    try {
      listening = await listenOnLoopback(server, config.port);
    } catch (cause) {
      throw listenError(cause, config.port);
    }
    port = listening.port;
    delivery.resume();
    return { url: `http://localhost:${port}` };
  }

  async function stop(): Promise<void> {
    if (isStopped) return;
    isStopped = true;
    delivery.stop();
    push.close();
    const closed = listening?.close();
    server.closeAllConnections();
    await closed;
    store.close();
  }

  return {
    platform: 'web',
    capabilities,
    people,
    post,
    update,
    ephemeral,
    directMessage,
    person,
    standing,
    openForm,
    upload,
    begin: () => threadRef(workspaceId, NEW_THREAD),
    // Read from these pages alone, at whichever of their addresses they were opened.
    linkTo: (thread) => `/t/${encodeURIComponent(threadIdOf(thread, workspaceId))}`,
    listen: delivery.listen,
    start,
    stop,
  };
}
