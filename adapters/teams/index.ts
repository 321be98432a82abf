import { setTimeout as wait } from 'node:timers/promises';
import type { Router } from 'express';
import { CountersignError } from '../../core/errors.ts';
import type { SharedLimits } from '../../core/limits.ts';
import type { Card, Chat, ChatEvent, ChatListener, MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Seals } from '../../core/vault/seals.ts';
import { type Incoming, readActivity, type Served } from './activity.ts';
import { createApi } from './api.ts';
import { type CardPlace, renderCard } from './cards.ts';
import { CLOSED, createClicks, personNamed } from './clicks.ts';
import { capabilities, type TeamsOptions } from './config.ts';
import { openConnector } from './connector.ts';
import { createDialogs, type DialogDeps, tokenIn } from './dialogs.ts';
import type { AdaptiveCard } from './elements.ts';
import { unknownReference } from './errors.ts';
import type { Channel } from './forms.ts';
import { LIMITS } from './limits.ts';
import { createPeople } from './people.ts';
import { httpRoutes, type Outcome } from './receiver.ts';
import { createReferences, type ReferenceStore } from './references.ts';
import { cardName, createReplies, type Drawing } from './replies.ts';
import { wordsOf } from './text.ts';
import {
  messageOf,
  messageRef,
  nameOfThread,
  type Place,
  placeNamed,
  placeOf,
  threadRef,
  threadUnder,
  withoutThread,
} from './thread.ts';
import { audienceOf } from './views.ts';

export type { MicrosoftAddresses, TeamsBot, TeamsOptions } from './config.ts';
export { MESSAGES_PATH } from './config.ts';
export { type LocalListener, openLocalListener } from './local.ts';
export type { ReferenceStore } from './references.ts';

/** Microsoft Teams, by an Azure Bot; or a client on this computer that shows no credentials. */
export interface Teams extends Chat {
  /** Who hears what people say and press; an event is acknowledged when the listener has taken it. Called before `start`. */
  listen(listener: ChatListener): void;
  /** For the one HTTP server, or for the demo's own. Before `start` and after `stop` it takes nothing. */
  readonly routes: Router;
  /**
   * Takes events from then on. `installed` hears of whoever adds the app; before that nothing of that organisation is kept.
   * `removed` hears of an organisation that has the app nowhere any more.
   */
  start(hooks?: { installed?(by: Person): Promise<void>; removed?(workspaceId: string): Promise<void> }): Promise<void>;
  /** Takes nothing new, and waits for what is being taken. */
  stop(): Promise<void>;
}

export interface TeamsDeps {
  readonly log: Log;
  /** What every process of ours draws from, so that together they stay below Teams' rates. */
  readonly line: Pick<SharedLimits, 'book'>;
  readonly references: ReferenceStore;
  /** On the threads that cards in people's own chats name. */
  readonly seals: Seals;
  /** Where people's browsers reach us: pictures have addresses there. */
  publicUrl(): string;
  /** What a message shows, by what is on record, whichever process showed it; `undefined`: that can't be told. */
  cardOf?(message: MessageRef): Promise<Card | undefined>;
  /** One-time pages as dialogs; absent: they are opened in a browser alone. */
  readonly dialogs?: Omit<DialogDeps, 'publicUrl'>;
}

const SENT = 'I have written to you in our own chat.';
const STRANGE = 'This button is from another version. Nothing was changed.';
/** Nobody waits longer for whose clients may ask for a view of their own: that is an extra. */
const AUDIENCE_MS = 1_000;
/** Teams whose channels a form lists. */
const MOST_TEAMS = 20;

/** Says nothing to Teams before `start`, unless it is asked about somebody's standing. */
export function createTeams(options: TeamsOptions, deps: TeamsDeps): Teams {
  const { log, line, references: store, seals, publicUrl, cardOf } = deps;
  const references = createReferences(store);
  const microsoft = openConnector(options, log);
  const api = createApi({ connector: microsoft.connector, references, line, log });
  const people = createPeople(api);
  const replies = createReplies();
  // The local client opens no dialog from a card: it says so, and sends nothing.
  const dialogs = deps.dialogs && createDialogs({ ...deps.dialogs, publicUrl });
  const served = { ...servedBy(options), seals };
  const written = (thread: ThreadRef) => nameOfThread(thread, seals);
  let listener: ChatListener | undefined;
  let installed: (by: Person) => Promise<void> = async () => {};
  let removed: (workspaceId: string) => Promise<void> = async () => {};
  let isOpen = false;
  const underWay = new Set<Promise<unknown>>();

  const render = (card: Card, how: Omit<CardPlace, 'publicUrl' | 'written'> = {}): AdaptiveCard =>
    renderCard(card, { ...how, written, publicUrl: publicUrl() });
  /** As everybody sees it, and as one of those does whose view is another one. */
  const drawing =
    (card: Card, how: Omit<CardPlace, 'publicUrl' | 'written' | 'viewer'> = {}): Drawing =>
    (viewer) =>
      render(card, viewer === undefined ? how : { ...how, viewer });
  const nameOf = ({ workspaceId, conversationId }: Place, activityId: string) =>
    cardName(workspaceId, conversationId, activityId);

  const hand = (event: ChatEvent) => {
    if (!listener) throw new Error('nobody listens to Teams yet');
    return listener(event);
  };

  async function take(sent: unknown): Promise<Outcome> {
    const cameAt = performance.now();
    const read = readActivity(sent, served);
    if (read.kind === 'refused') {
      log.warn({ why: read.why }, 'teams: refused');
      return { kind: 'refused' };
    }
    const { incoming, thread } = read;
    if (incoming.kind === 'removed') {
      const isLast = await references.removed(placeOf(thread), incoming.teamId);
      log.info({ workspaceId: thread.workspaceId, isLast }, 'teams: the app was removed from a conversation');
      if (isLast) await removed(thread.workspaceId);
      return { kind: 'taken' };
    }
    const isElsewhere = incoming.kind === 'ignored' || (incoming.kind === 'event' && isSaidToOthers(incoming.event));
    if (incoming.reference) await references.heard(thread, incoming.reference, { isKnown: isElsewhere });
    switch (incoming.kind) {
      case 'strange':
        return { kind: 'answered', answer: { kind: 'words', words: STRANGE } };
      case 'unknown':
        log.debug({ what: incoming.why }, 'teams: nothing that is answered here');
        return { kind: 'unknown' };
      case 'view': {
        people.seen(incoming.from, incoming.accountId, placeOf(thread));
        const card = await asIs(placeOf(thread), incoming.activityId, incoming.from.userId);
        return { kind: 'answered', answer: card ? { kind: 'card', card } : { kind: 'none' } };
      }
      case 'ignored':
        log.debug({ what: incoming.why }, 'teams: nothing to answer');
        return { kind: 'taken' };
      case 'installed':
        people.seen(incoming.from, incoming.accountId, placeOf(thread));
        await installed(incoming.from);
        // Before that nobody was there to keep it for.
        if (incoming.reference) await references.heard(thread, incoming.reference);
        return { kind: 'taken' };
      case 'event':
        people.seen(incoming.from, incoming.accountId, placeOf(thread));
        if (incoming.event.kind === 'message' && !incoming.event.isOverheard) showTyping(placeOf(thread));
        await hand(incoming.event);
        return { kind: 'taken' };
      case 'dialog':
        people.seen(incoming.from, incoming.accountId, placeOf(thread));
        return { kind: 'dialog', body: await dialogBody(incoming) };
      case 'invoke':
        people.seen(incoming.from, incoming.accountId, placeOf(thread));
        return { kind: 'answered', answer: await clicks.press(incoming, placeOf(thread), cameAt) };
      default:
        return incoming satisfies never;
    }
  }

  /** An extra: who waits for an answer is not kept waiting by it. */
  function showTyping(place: Place): void {
    const showing = api.typing(place).catch((error: unknown) => log.debug({ err: error }, 'teams: no typing'));
    underWay.add(showing);
    void showing.finally(() => underWay.delete(showing));
  }

  async function dialogBody({ step, token, from, data }: Extract<Incoming, { kind: 'dialog' }>): Promise<object> {
    if (!dialogs) return { task: { type: 'message', value: 'There is nothing to enter here.' } };
    if (step === 'submit') return dialogs.submit(token, data);
    return dialogs.fetch(token ?? (await dialogs.tokenFor(from)));
  }

  /** Whose view of it is their own: as far as Teams says at once what it calls them. In a chat with one person everybody is one. */
  async function askedBy(place: Place, card: Card): Promise<readonly string[]> {
    const audience = place.scope === 'personal' ? [] : audienceOf(card, place.workspaceId);
    if (audience.length === 0) return [];
    const found = people.accountIds(place, audience).catch((error: unknown) => {
      log.debug({ err: error }, 'teams: nobody is given a view of their own');
      return [];
    });
    return (await Promise.race([found, wait(AUDIENCE_MS, undefined, { ref: false })])) ?? [];
  }

  /** By what is on record, which another process may have shown; else as this process showed it last. */
  async function asIs(place: Place, activityId: string | undefined, viewer: string): Promise<AdaptiveCard | undefined> {
    if (activityId === undefined) return undefined;
    const card = await cardOf?.(messageRef(threadRef(place), activityId)).catch((error: unknown) => {
      log.warn({ err: error }, 'teams: what a card shows could not be looked up');
      return undefined;
    });
    if (card) return render(card, { viewer, askedBy: await askedBy(place, card) });
    return replies.drawing(nameOf(place, activityId))?.(viewer);
  }

  async function sendForm(place: Place, userId: string, card: AdaptiveCard, title: string): Promise<void> {
    const chat = place.scope === 'personal' ? place : await people.directChat(personNamed(place.workspaceId, userId));
    const activityId = await api.send(chat, card, title);
    replies.shown(nameOf(chat, activityId), drawing(CLOSED));
  }

  async function channels(workspaceId: string): Promise<readonly Channel[]> {
    const teams = (await references.teams(workspaceId)).slice(0, MOST_TEAMS);
    const found = await Promise.all(
      teams.map(async ({ id: teamId, name: team, by }) => {
        const all = await api.channels(by, teamId).catch((error: unknown) => {
          log.warn({ err: error }, 'teams: the channels of a team could not be listed');
          return [];
        });
        return all.map(({ id, name }) => ({ id, name: team === '' ? name : `${team}: ${name}` }));
      }),
    );
    return found.flat().slice(0, LIMITS.channels);
  }

  const clicks = createClicks({ log, people, replies, hand, asIs, render, written, nameOf, sendForm, channels });

  async function post(thread: ThreadRef, card: Card, how: { hasPlace?: true }): Promise<MessageRef> {
    const place = placeOf(thread);
    const draw = drawing(card, { askedBy: await askedBy(place, card) });
    const activityId = await api.send(place, draw(), card.summary, how);
    const under = threadUnder(place, activityId);
    replies.shown(nameOf(under, activityId), draw);
    return messageRef(threadRef(under), activityId);
  }

  async function update(message: MessageRef, card: Card, how: { hasPlace?: true } = {}): Promise<void> {
    const { place, activityId } = messageOf(message);
    const draw = drawing(card, { askedBy: await askedBy(place, card) });
    await api.update(place, activityId, draw(), card.summary, how);
    replies.shown(nameOf(place, activityId), draw);
  }

  /** One-time pages that a card leads to, as far as they take something: a dialog takes it as well. */
  async function enterable({ blocks }: Card): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    if (!dialogs || options.kind === 'local') return found;
    for (const { url } of blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : []))) {
      const token = url === undefined ? undefined : tokenIn(url, publicUrl());
      if (url !== undefined && token !== undefined && (await dialogs.takes(url))) found.set(url, token);
    }
    return found;
  }

  /** In the chat with that person; a click there belongs to the thread that it is about. */
  async function sendDirectly(person: Person, card: Card, thread?: ThreadRef): Promise<MessageRef> {
    return sendTo(await people.directChat(person), card, thread);
  }

  async function sendTo(chat: Place, card: Card, thread?: ThreadRef): Promise<MessageRef> {
    const draw = drawing(card, { ...(thread ? { thread } : {}), dialogs: await enterable(card) });
    const activityId = await api.send(chat, draw(), card.summary);
    replies.shown(nameOf(chat, activityId), draw);
    return messageRef(threadRef(chat), activityId);
  }

  /** Words go beside the card that was pressed; what has buttons goes into the chat with that person, which no other reads. */
  async function ephemeral(
    thread: ThreadRef,
    person: Person,
    card: Card,
    { replaces }: { replaces?: string } = {},
  ): Promise<void> {
    const isOwnChat = placeOf(thread).scope === 'personal';
    if (replaces !== undefined && (await replaceShown(replaces, card, thread))) return;
    const words = plainWords(card);
    if (words !== undefined && replies.words(person.userId, thread.ref, words)) return;
    if (isOwnChat) await sendTo(placeOf(thread), card);
    else {
      await sendDirectly(person, card, thread);
      replies.words(person.userId, thread.ref, SENT);
    }
  }

  /** `shown` of an event: the thread and the message of a card that one person has alone. */
  async function replaceShown(shown: string, card: Card, thread: ThreadRef): Promise<boolean> {
    const [ref = '', activityId = ''] = shown.split(' ');
    try {
      const { place } = messageOf({ thread: { ...thread, ref }, ref: activityId });
      if (place.scope !== 'personal') return false;
      const draw = drawing(card, { thread });
      await api.update(place, activityId, draw(), card.summary);
      replies.shown(nameOf(place, activityId), draw);
      return true;
    } catch (error) {
      if (error instanceof CountersignError) return false; // it is gone: then it is said anew
      throw error;
    }
  }

  const intake = async (sent: unknown): Promise<Outcome> => {
    if (!isOpen)
      throw new CountersignError('chat_unavailable', 'Teams is not started, or was stopped.', { isRetryable: true });
    const taking = take(sent);
    const settled = taking.catch(() => {}).finally(() => underWay.delete(settled));
    underWay.add(settled);
    return taking;
  };

  return {
    platform: 'teams',
    capabilities,
    routes: httpRoutes({ microsoft, intake, log, isLocal: options.kind === 'local' }),
    post,
    update,
    place: (thread, what) => api.place(placeOf(thread), what === 'edit'),
    ephemeral,
    directMessage: (person, card) => sendDirectly(person, card),
    person: (workspaceId, userId) => people.person(workspaceId, userId),
    standing: (person) => people.standing(person),
    linkTo,
    channelOf: (thread) => withoutThread(placeOf(thread).conversationId),
    begin(workspaceId, channel) {
      const place = channel === undefined ? undefined : placeNamed(workspaceId, channel);
      return place && threadRef(place);
    },
    openForm: clicks.openForm,
    async upload() {
      throw unknownReference('picture'); // cards carry pictures themselves
    },
    listen: (given) => {
      listener = given;
    },
    async start(hooks) {
      if (hooks?.installed) installed = hooks.installed;
      if (hooks?.removed) removed = hooks.removed;
      await microsoft.open();
      isOpen = true;
    },
    async stop() {
      isOpen = false;
      await Promise.allSettled([...underWay]);
    },
  };
}

/** The bot's own organisation, or each one that has the app; a client on this computer has no other address than this computer's. */
function servedBy(options: TeamsOptions): Omit<Served, 'seals'> {
  if (options.kind === 'local') return { isLocal: true };
  const { type, tenantId } = options.bot;
  return type === 'MultiTenant' || tenantId === undefined ? {} : { tenantId };
}

/** To nobody or to others, or about that: it is our business where we are in that conversation already. */
function isSaidToOthers(event: ChatEvent): boolean {
  return event.kind === 'edit' || (event.kind === 'message' && event.isOverheard === true);
}

/** A card of sentences alone, in plain words. */
function plainWords({ blocks, summary }: Card): string | undefined {
  if (blocks.some(({ kind }) => kind !== 'text')) return undefined;
  const words = blocks.flatMap((block) => (block.kind === 'text' ? [wordsOf(block.text)] : [])).join('\n');
  return words || summary;
}

/** learn.microsoft.com, deep links to a message in a channel, and to a chat. */
function linkTo(thread: ThreadRef): string | undefined {
  const { workspaceId, scope, conversationId } = placeOf(thread);
  const [channel = '', root] = conversationId.split(';messageid=');
  const tenant = `tenantId=${encodeURIComponent(workspaceId)}`;
  if (scope === 'personal') return undefined;
  if (scope === 'group') return `https://teams.microsoft.com/l/chat/${encodeURIComponent(channel)}/0?${tenant}`;
  const message = encodeURIComponent(root ?? '');
  return root === undefined
    ? undefined
    : `https://teams.microsoft.com/l/message/${encodeURIComponent(channel)}/${message}?${tenant}&parentMessageId=${message}`;
}
