import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Router } from 'express';
import { CountersignError } from '../../core/errors.ts';
import type { SharedLimits } from '../../core/limits.ts';
import type {
  Card,
  Chat,
  ChatEvent,
  ChatListener,
  Form,
  MessageRef,
  Person,
  ThreadRef,
} from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { type Incoming, readActivity, type Served } from './activity.ts';
import { createApi } from './api.ts';
import { renderCard } from './cards.ts';
import { capabilities, type TeamsOptions } from './config.ts';
import { openConnector } from './connector.ts';
import { createDialogs, type DialogDeps, tokenIn } from './dialogs.ts';
import type { AdaptiveCard } from './elements.ts';
import { unknownReference } from './errors.ts';
import { type FieldErrors, readCarried, readFields, renderForm } from './forms.ts';
import { createPeople } from './people.ts';
import { httpRoutes, type Outcome } from './receiver.ts';
import { createReferences, type ReferenceStore } from './references.ts';
import { type Answer, cardName, createReplies } from './replies.ts';
import { wordsOf } from './text.ts';
import { messageOf, messageRef, type Place, placeOf, readTrigger, threadRef, threadUnder } from './thread.ts';

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
  /** Takes events from then on. `installed` hears of whoever adds the app; before that nothing of that organisation is kept. */
  start(hooks?: { installed?(by: Person): Promise<void> }): Promise<void>;
  /** Takes nothing new, and waits for what is being taken. */
  stop(): Promise<void>;
}

export interface TeamsDeps {
  readonly log: Log;
  /** What every process of ours draws from, so that together they stay below Teams' rates. */
  readonly line: Pick<SharedLimits, 'book'>;
  readonly references: ReferenceStore;
  /** Where people's browsers reach us: pictures have addresses there. */
  publicUrl(): string;
  /** One-time pages as dialogs; absent: they are opened in a browser alone. */
  readonly dialogs?: Omit<DialogDeps, 'publicUrl'>;
}

/** A click is answered with what it led to within this time, else with the card as it is: Teams waits 10 s and people don't. */
const QUIET_MS = 1_500;
/** Whatever happens meanwhile. */
const LONGEST_MS = 2_500;
/** A click that Teams or an impatient person repeats within this time is the same click. */
const SAME_MS = 10_000;
const FORMS = 500;

const TAKEN = 'Taken. The card changes as soon as it is done.';
const LATE = 'I am at it: the card changes as soon as it is done.';
const SENT = 'I have written to you in our own chat.';
const FAILED = 'I could not take that just now, and nothing was changed. Please press it again.';
const CLOSED: Card = { summary: 'This form is closed.', blocks: [] };

/** Says nothing to Teams before `start`, unless it is asked about somebody's standing. */
export function createTeams(options: TeamsOptions, deps: TeamsDeps): Teams {
  const { log, line, references: store, publicUrl } = deps;
  const references = createReferences(store);
  const microsoft = openConnector(options);
  const api = createApi({ connector: microsoft.connector, references, line, log });
  const people = createPeople(api);
  const replies = createReplies();
  // The local client opens no dialog from a card: it says so, and sends nothing.
  const dialogs = deps.dialogs && createDialogs({ ...deps.dialogs, publicUrl });
  const served = servedBy(options);
  let listener: ChatListener | undefined;
  let installed: (by: Person) => Promise<void> = async () => {};
  let isOpen = false;
  const underWay = new Set<Promise<unknown>>();
  const recent = new Map<string, { readonly answer: Promise<Answer>; readonly until: number }>();
  /** By id: forms that are open, to be shown again with words at their fields. */
  const forms = new Map<string, Form>();

  const render = (card: Card, thread?: ThreadRef, entered?: ReadonlyMap<string, string>): AdaptiveCard =>
    renderCard(card, {
      publicUrl: publicUrl(),
      ...(thread ? { thread } : {}),
      ...(entered ? { dialogs: entered } : {}),
    });
  const nameOf = ({ workspaceId, conversationId }: Place, activityId: string) =>
    cardName(workspaceId, conversationId, activityId);

  const hand = (event: ChatEvent) => {
    if (!listener) throw new Error('nobody listens to Teams yet');
    return listener(event);
  };

  async function take(sent: unknown): Promise<Outcome> {
    const read = readActivity(sent, served);
    if (read.kind === 'refused') {
      log.warn({ why: read.why }, 'teams: refused');
      return { kind: 'refused' };
    }
    const { incoming, thread } = read;
    if (incoming.kind === 'removed') {
      await references.gone(placeOf(thread));
      log.info({ workspaceId: thread.workspaceId }, 'teams: the app was removed from a conversation');
      return { kind: 'taken' };
    }
    if (incoming.reference) await references.heard(thread, incoming.reference);
    switch (incoming.kind) {
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
        return { kind: 'answered', answer: await pressedOnce(incoming, placeOf(thread)) };
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

  type Invoke = Extract<Incoming, { kind: 'invoke' }>;

  /** However often the same click comes within a short time, it is one click with one answer. */
  function pressedOnce(incoming: Invoke, place: Place): Promise<Answer> {
    const now = performance.now();
    for (const [name, { until }] of recent) {
      if (until > now) break; // in the order in which they came
      recent.delete(name);
    }
    const known = recent.get(incoming.sameness);
    if (known) return known.answer;
    const answer = pressed(incoming, place);
    recent.set(incoming.sameness, { answer, until: now + SAME_MS });
    answer.then(({ kind }) => kind === 'words' && recent.delete(incoming.sameness)).catch(() => {});
    return answer;
  }

  async function pressed(incoming: Invoke, place: Place): Promise<Answer> {
    const { event, activityId, triggerId, from } = incoming;
    const name = activityId === undefined ? undefined : nameOf(place, activityId);
    const asShown = (otherwise: Answer): Answer => {
      const card = name === undefined ? undefined : replies.card(name);
      return card ? { kind: 'card', card } : otherwise;
    };
    if (!event) return asShown({ kind: 'card', card: render(CLOSED) });
    const { answer, end } = replies.begin({ triggerId, userId: from.userId, thread: event.thread.ref, card: name });
    const late = wait(LONGEST_MS, { kind: 'words', words: LATE } satisfies Answer, { ref: false });
    const done = hand(event).then(
      async (reply): Promise<Answer> => {
        if (event.kind !== 'form') {
          await wait(QUIET_MS, undefined, { ref: false });
          return asShown({ kind: 'words', words: TAKEN });
        }
        if (reply && 'fieldErrors' in reply) return againWith(incoming, place, reply.fieldErrors);
        return asShown({ kind: 'card', card: render({ summary: 'Done.', blocks: [] }) });
      },
      (error: unknown): Answer => {
        log.error({ err: error }, 'teams: a click was not taken');
        return { kind: 'words', words: FAILED };
      },
    );
    try {
      // What a form changes is said by its own answer; a click's may be a form, words, or the card as it is then.
      return await Promise.race(event.kind === 'form' ? [done, late] : [answer, done, late]);
    } finally {
      end();
    }
  }

  /** The form once more, as it was filled in, with words at its fields. */
  async function againWith({ data, from }: Invoke, place: Place, errors: FieldErrors): Promise<Answer> {
    const carried = readCarried(data);
    const form = carried && forms.get(carried.id);
    // Another process opened it: then it stays as it is, and what is wrong is said beside it.
    if (!carried || !form) return { kind: 'words', words: Object.values(errors).join(' ') };
    const thread = carried.thread === undefined ? {} : { thread: { ...threadRef(place), ref: carried.thread } };
    const view = { ...(await listed(form, place, from)), ...thread, fields: readFields(carried, data), errors };
    return { kind: 'card', card: renderForm(carried.id, form, view) };
  }

  /** Whom a form lets choose: who is there, and whoever was chosen before. */
  async function listed(form: Form, place: Place, from: Person | undefined) {
    const field = form.fields.find(({ kind }) => kind === 'people');
    if (field?.kind !== 'people') return { people: [], hasMorePeople: false };
    const { people: found, hasMore } = await people
      .roster(place)
      .catch(() => ({ people: from ? [from] : [], hasMore: true }));
    const missing = field.initial.filter((id) => found.every(({ userId }) => userId !== id));
    const others = await Promise.all(
      missing.map((id) => people.person(place.workspaceId, id).catch(() => personNamed(place.workspaceId, id))),
    );
    return { people: [...found, ...others], hasMorePeople: hasMore };
  }

  async function openForm(trigger: string, form: Form): Promise<void> {
    const { thread, userId, id: triggerId } = readTrigger(trigger);
    const place = placeOf(thread);
    const id = randomUUID();
    if (forms.size >= FORMS) forms.clear();
    forms.set(id, form);
    const card = renderForm(id, form, { ...(await listed(form, place, undefined)), thread });
    if (replies.form(triggerId, card)) return;
    // Typed, or pressed so long ago that Teams waits no more: it comes as a message of its own, to that person alone.
    const person = personNamed(thread.workspaceId, userId);
    const chat = place.scope === 'personal' ? place : await people.directChat(person);
    const activityId = await api.send(chat, card, form.title);
    replies.shown(nameOf(chat, activityId), render(CLOSED));
  }

  async function post(thread: ThreadRef, card: Card, how: { hasPlace?: true }): Promise<MessageRef> {
    const place = placeOf(thread);
    const rendered = render(card);
    const activityId = await api.send(place, rendered, card.summary, how);
    const under = threadUnder(place, activityId);
    replies.shown(nameOf(under, activityId), rendered);
    return messageRef(threadRef(under), activityId);
  }

  async function update(message: MessageRef, card: Card, how: { hasPlace?: true } = {}): Promise<void> {
    const { place, activityId } = messageOf(message);
    const rendered = render(card);
    await api.update(place, activityId, rendered, card.summary, how);
    replies.shown(nameOf(place, activityId), rendered);
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
  async function sendDirectly(person: Person, card: Card, thread?: ThreadRef): Promise<void> {
    await sendTo(await people.directChat(person), card, thread);
  }

  async function sendTo(chat: Place, card: Card, thread?: ThreadRef): Promise<void> {
    const rendered = render(card, thread, await enterable(card));
    replies.shown(nameOf(chat, await api.send(chat, rendered, card.summary)), rendered);
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
      const rendered = render(card, thread);
      await api.update(place, activityId, rendered, card.summary);
      replies.shown(nameOf(place, activityId), rendered);
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
    openForm,
    async upload() {
      throw unknownReference('picture'); // cards carry pictures themselves
    },
    listen: (given) => {
      listener = given;
    },
    async start(hooks) {
      if (hooks?.installed) installed = hooks.installed;
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
function servedBy(options: TeamsOptions): Served {
  if (options.kind === 'local') return { isLocal: true };
  const { type, tenantId } = options.bot;
  return type === 'MultiTenant' || tenantId === undefined ? {} : { tenantId };
}

function personNamed(workspaceId: string, userId: string): Person {
  return { platform: 'teams', workspaceId, userId, name: userId };
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
