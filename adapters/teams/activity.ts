import { createHash } from 'node:crypto';
import { z } from 'zod';
import { clip } from '../../core/plain-text.ts';
import type { ChatEvent, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { Seals } from '../../core/vault/seals.ts';
import { CHANNEL } from './config.ts';
import { CLOSE_VERB, readCarried, readFields, SUBMIT_VERB } from './forms.ts';
import { LIMITS } from './limits.ts';
import { readText } from './text.ts';
import { messageRef, type Place, placeOf, type Scope, threadNamed, threadRef, triggerOf } from './thread.ts';
import { VIEW_VERB } from './views.ts';

const account = z.looseObject({
  id: z.string().min(1),
  name: z.string().optional(),
  aadObjectId: z.string().optional(),
});
type Account = z.infer<typeof account>;

/** An activity of the Bot Framework, as far as it is read here (learn.microsoft.com, Activity schema). */
const activity = z.looseObject({
  type: z.string(),
  id: z.string().optional(),
  name: z.string().optional(),
  timestamp: z.union([z.string(), z.date()]).optional(),
  channelId: z.string(),
  serviceUrl: z.string(),
  from: account,
  recipient: account.optional(),
  conversation: z.looseObject({
    id: z.string(),
    conversationType: z.string().optional(),
    isGroup: z.boolean().optional(),
    tenantId: z.string().optional(),
  }),
  channelData: z
    .looseObject({
      tenant: z.looseObject({ id: z.string() }).optional(),
      team: z.looseObject({ id: z.string(), name: z.string().nullish() }).nullish(),
      eventType: z.string().optional(),
    })
    .nullish(),
  text: z.string().nullish(),
  replyToId: z.string().nullish(),
  action: z.string().nullish(),
  value: z.unknown().optional(),
  entities: z.array(z.looseObject({ type: z.string() })).nullish(),
  membersAdded: z.array(account).nullish(),
  membersRemoved: z.array(account).nullish(),
});
type Activity = z.infer<typeof activity>;

/** How a conversation is reached: the newest one that was heard of counts, since its address may change. */
export interface Reference {
  readonly serviceUrl: string;
  readonly conversationId: string;
  readonly scope: Scope;
  readonly tenantId: string;
  readonly botId: string;
  readonly botName: string;
  /** The team that a channel is of: its id is that of its first channel. */
  readonly teamId?: string | undefined;
  readonly teamName?: string | undefined;
  /** With whom, where that is one person alone: what app.erase_person finds it by. */
  readonly userId?: string | undefined;
}

/** What Teams sent, as far as anybody here has an interest in it. */
export type Incoming = { readonly reference?: Reference } & (
  | {
      readonly kind: 'event';
      readonly from: Person;
      /** The Connector's own id of them, `29:…`. */
      readonly accountId: string;
      readonly event: ChatEvent;
    }
  /** A click that waits for its answer: `event` is absent where somebody closes a form. */
  | {
      readonly kind: 'invoke';
      readonly from: Person;
      readonly accountId: string;
      readonly event?: ChatEvent;
      /** The card that was pressed. */
      readonly activityId: string | undefined;
      readonly triggerId: string;
      /** The same click, sent once more. */
      readonly sameness: string;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** A dialog is to be shown, or was filled in; `token` of the one-time page that it stands for, absent for a command. */
  | {
      readonly kind: 'dialog';
      readonly step: 'fetch' | 'submit';
      readonly from: Person;
      readonly accountId: string;
      readonly token: string | undefined;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** Somebody's client asks how a card looks to them now. */
  | {
      readonly kind: 'view';
      readonly from: Person;
      readonly accountId: string;
      readonly activityId: string | undefined;
    }
  | { readonly kind: 'installed'; readonly from: Person; readonly accountId: string }
  /** From that conversation; with `teamId`, from all of that team. */
  | { readonly kind: 'removed'; readonly teamId: string | undefined }
  /** A click that nothing of ours stands behind, and which waits for an answer all the same. */
  | { readonly kind: 'strange' }
  /** Something else that waits for an answer, and gets none of ours. */
  | { readonly kind: 'unknown'; readonly why: string }
  /** Nothing to answer. */
  | { readonly kind: 'ignored'; readonly why: string }
);

/** Whom an installation serves. */
export interface Served {
  /** The only organisation; absent: each one that has the app. */
  readonly tenantId?: string;
  /** Only a client on this computer, which nobody vouches for: nothing is sent anywhere else. */
  readonly isLocal?: boolean;
  /** On the threads that cards of ours name. */
  readonly seals: Seals;
}

export type Read =
  | { readonly kind: 'read'; readonly incoming: Incoming; readonly thread: ThreadRef }
  /** Not for us, or of an organisation that is not served. */
  | { readonly kind: 'refused'; readonly why: string };

const ignored = (why: string): Incoming => ({ kind: 'ignored', why });

/** Activities as events of the port, which says what an event is; nothing is decided here. */
export function readActivity(sent: unknown, served: Served): Read {
  const read = activity.safeParse(sent);
  if (!read.success) return { kind: 'refused', why: 'an unreadable activity' };
  const { channelId, conversation, channelData } = read.data;
  if (channelId !== CHANNEL) return { kind: 'refused', why: `the channel ${channelId.slice(0, 40)}` };
  const tenants = [channelData?.tenant?.id, conversation.tenantId].filter((id) => id !== undefined);
  const [tenantId, ...others] = tenants.map((id) => id.toLowerCase());
  // Two words for one thing, both from the same request: they must not differ.
  if (!tenantId || others.some((id) => id !== tenantId)) return { kind: 'refused', why: 'no organisation' };
  if (served.tenantId !== undefined && tenantId !== served.tenantId.toLowerCase())
    return { kind: 'refused', why: 'another organisation' };
  if (served.isLocal && !isOnThisComputer(read.data.serviceUrl)) return { kind: 'refused', why: 'another computer' };
  const place: Place = { workspaceId: tenantId, scope: scopeOf(conversation), conversationId: conversation.id };
  const thread = threadRef(place);
  try {
    placeOf(thread);
  } catch {
    return { kind: 'refused', why: 'an unreadable conversation' };
  }
  const reference = referenceOf(read.data, place);
  return {
    kind: 'read',
    thread,
    incoming: { ...incomingOf(read.data, thread, served), ...(reference ? { reference } : {}) },
  };
}

function isOnThisComputer(url: string): boolean {
  return URL.canParse(url) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
}

function scopeOf({ conversationType, isGroup, id }: Activity['conversation']): Scope {
  if (conversationType === 'channel' || id.includes(';messageid=')) return 'channel';
  return conversationType === 'groupChat' || isGroup === true ? 'group' : 'personal';
}

function referenceOf(sent: Activity, place: Place): Reference | undefined {
  const { serviceUrl, recipient, type, channelData } = sent;
  if (!recipient || type === 'conversationUpdate') return undefined;
  const { scope, conversationId, workspaceId: tenantId } = place;
  const { id: teamId, name: teamName } = (scope === 'channel' && channelData?.team) || {};
  const userId = scope === 'personal' ? personOf(sent.from, tenantId)?.userId : undefined;
  return {
    ...{ serviceUrl, conversationId, scope, tenantId, botId: recipient.id, botName: recipient.name ?? 'Countersign' },
    ...(teamId ? { teamId, ...(teamName ? { teamName } : {}) } : {}),
    ...(userId ? { userId } : {}),
  };
}

/** Who acts, by the directory's id, which nobody but Microsoft hands out; a name is never an identity. */
function personOf({ aadObjectId, id, name }: Account, workspaceId: string): Person | undefined {
  // Whoever the directory does not know has the Connector's own id, which never looks like one of the directory's.
  if (aadObjectId === undefined && DIRECTORY_ID.test(id)) return undefined;
  const userId = directoryId(aadObjectId ?? id);
  return /^[\w.:@-]{1,200}$/.test(userId)
    ? { platform: 'teams', workspaceId, userId, name: clip(name || userId, LIMITS.name) }
    : undefined;
}

const DIRECTORY_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** In one spelling, so that nobody is two people. */
export function directoryId(userId: string): string {
  return DIRECTORY_ID.test(userId) ? userId.toLowerCase() : userId;
}

function incomingOf(sent: Activity, thread: ThreadRef, served: Served): Incoming {
  const from = personOf(sent.from, thread.workspaceId);
  if (!from) return ignored('nobody');
  switch (sent.type) {
    case 'message':
      return readMessage(sent, thread, from);
    case 'messageUpdate':
    case 'messageDelete':
      return readEdit(sent, thread, from);
    case 'invoke':
      return readInvoke(sent, thread, from, served);
    case 'installationUpdate':
      if (sent.action?.startsWith('remove')) return { kind: 'removed', teamId: sent.channelData?.team?.id };
      return sent.action?.startsWith('add')
        ? { kind: 'installed', from, accountId: sent.from.id }
        : ignored(`installationUpdate ${sent.action ?? ''}`);
    case 'conversationUpdate': {
      const isUs = ({ id }: Account) => id === sent.recipient?.id;
      if (sent.membersRemoved?.some(isUs)) return { kind: 'removed', teamId: sent.channelData?.team?.id };
      return ignored('conversationUpdate');
    }
    default:
      return ignored(sent.type.slice(0, 40));
  }
}

const mention = z.looseObject({
  type: z.literal('mention'),
  text: z.string().default(''),
  mentioned: z.looseObject({ id: z.string(), name: z.string().default('') }),
});

/** So many people of one message are looked at: each is looked for in all of its words. */
const MOST_MENTIONS = 50;

/** What was written, in plain words, and whether it names us. */
function wordsIn({ text, entities, recipient }: Activity): { readonly text: string; readonly namesUs: boolean } {
  const mentions = (entities ?? []).slice(0, MOST_MENTIONS).flatMap((entity) => {
    const named = mention.safeParse(entity).data;
    return named ? [{ text: named.text, id: named.mentioned.id, name: named.mentioned.name }] : [];
  });
  const botId = recipient?.id ?? '';
  return { text: readText(text ?? '', mentions, botId), namesUs: mentions.some(({ id }) => id === botId) };
}

/** Of a message as an event; Teams says of a change only which message it is about, and not what that said. */
const messageId = (thread: ThreadRef, id: string): string => `${thread.ref}/${id}`;

function readEdit(sent: Activity, thread: ThreadRef, from: Person): Incoming {
  const { id, type, timestamp } = sent;
  if (id === undefined) return ignored('a change of nothing');
  const of = messageId(thread, id);
  const base = { kind: 'edit', thread, from, of } as const;
  const accountId = sent.from.id;
  if (type === 'messageDelete') return { kind: 'event', from, accountId, event: { ...base, id: `${of}/deleted` } };
  if (sent.channelData?.eventType === 'undeleteMessage') return ignored('words that are back');
  const { text: after } = wordsIn(sent);
  // Words may be changed to and fro: each time is another one, and what Teams repeats has the same time.
  return { kind: 'event', from, accountId, event: { ...base, id: `${of}/${digestOf([timestamp, after])}`, after } };
}

function readMessage(sent: Activity, thread: ThreadRef, from: Person): Incoming {
  const { id, value } = sent;
  if (id === undefined) return ignored('a message without an id');
  if (!sent.text && value !== undefined && value !== null) return ignored('a submitted card');
  const { text, namesUs } = wordsIn(sent);
  const isAddressed = thread.ref.startsWith('personal:') || namesUs;
  const eventId = messageId(thread, id);
  const base = { id: eventId, thread, from };
  const command = isAddressed ? readCommand(text) : undefined;
  const event: ChatEvent = command
    ? { ...base, kind: 'command', ...command, trigger: triggerOf({ thread, userId: from.userId, id }) }
    : { ...base, kind: 'message', text, ...(isAddressed ? {} : { isOverheard: true as const }) };
  return { kind: 'event', from, accountId: sent.from.id, event };
}

const SLASH = /^\/(countersign|audit)\b\s*([\s\S]*)$/i;
/** Without a slash, which Teams has only here and there: what the list of commands offers, and nothing that is a sentence. */
const BARE =
  /^(?:countersign\s+)?(operations|consents|credentials|notify|settings|accounts|help|link(?:\s+op-[a-z0-9]{8})?)$/i;
const AUDIT = /^(?:countersign\s+)?audit(?:\s+(op-[a-z0-9]{8}))?$/i;

/** `/audit op-…`, `audit op-…`, `settings`. */
export function readCommand(
  text: string,
): { readonly command: 'countersign' | 'audit'; readonly text: string } | undefined {
  const [, name, rest = ''] = SLASH.exec(text) ?? [];
  if (name) return { command: name.toLowerCase() === 'audit' ? 'audit' : 'countersign', text: rest.trim() };
  const audit = AUDIT.exec(text);
  if (audit) return { command: 'audit', text: audit[1] ?? '' };
  const [, words] = BARE.exec(text) ?? [];
  return words === undefined ? undefined : { command: 'countersign', text: words };
}

const pressed = z.looseObject({
  action: z.looseObject({
    verb: z.string().min(1),
    data: z.record(z.string(), z.unknown()).default({}),
  }),
});
/** learn.microsoft.com, dialogs, and message extensions with an action command. */
const DIALOG_STEPS: Readonly<Record<string, 'fetch' | 'submit'>> = {
  'task/fetch': 'fetch',
  'task/submit': 'submit',
  'composeExtension/fetchTask': 'fetch',
  'composeExtension/submitAction': 'submit',
};
const dialogValue = z.looseObject({ data: z.record(z.string(), z.unknown()).nullish() });
const buttonData = z.looseObject({ value: z.string().default(''), thread: z.string().optional() });

function readInvoke(sent: Activity, thread: ThreadRef, from: Person, { seals }: Served): Incoming {
  const read = pressed.safeParse(sent.value).data;
  const step = DIALOG_STEPS[sent.name ?? ''];
  if (step) {
    const data = dialogValue.safeParse(sent.value).data?.data ?? {};
    const token = typeof data.connect === 'string' ? data.connect : undefined;
    return { kind: 'dialog', step, from, accountId: sent.from.id, token, data };
  }
  if (sent.name !== 'adaptiveCard/action') return { kind: 'unknown', why: `invoke ${(sent.name ?? '').slice(0, 60)}` };
  if (!read || isDeep(read.action.data)) return { kind: 'strange' };
  const { verb, data } = read.action;
  const activityId = sent.replyToId ?? undefined;
  if (verb === VIEW_VERB) return { kind: 'view', from, accountId: sent.from.id, activityId };
  const triggerId = sent.id ?? digestOf([sent.timestamp, verb, data, activityId]);
  const sameness = digestOf([thread.ref, activityId, from.userId, verb, data]);
  const base = { kind: 'invoke' as const, from, accountId: sent.from.id, activityId, triggerId, sameness, data };
  if (verb === CLOSE_VERB) return base;
  const carried = verb === SUBMIT_VERB ? readCarried(data) : undefined;
  if (verb === SUBMIT_VERB && !carried) return { kind: 'strange' };
  const button = buttonData.safeParse(data).data;
  const of = threadOfClick(carried?.thread ?? button?.thread, thread, seals);
  // A card that one person was shown by themselves belongs to another thread than the one that it stands in.
  const isElsewhere = of.ref !== thread.ref;
  const shown = isElsewhere && activityId ? { shown: `${thread.ref} ${activityId}` } : {};
  const id = `${carried ? 'form' : 'click'}/${triggerId}`;
  if (carried) {
    const { form, value } = carried;
    const fields = readFields(carried, data);
    return { ...base, event: { kind: 'form', id, thread: of, from, ...shown, form, value, fields } };
  }
  const trigger = triggerOf({ thread: of, userId: from.userId, id: triggerId });
  return {
    ...base,
    event: {
      ...{ kind: 'action', id, thread: of, from, action: verb, value: button?.value ?? '', trigger },
      ...shown,
      ...(activityId && !isElsewhere ? { message: messageRef(thread, activityId) } : {}),
    },
  };
}

/** The thread that the card was made for, which a card in a personal chat may name; else the one that it stands in. */
function threadOfClick(written: string | undefined, thread: ThreadRef, seals: Seals): ThreadRef {
  if (written === undefined || !thread.ref.startsWith('personal:')) return thread;
  return threadNamed(thread.workspaceId, written, seals) ?? thread; // of another version of ours, or made up
}

/** Nested further than anything of ours is, which nobody here has to follow. */
function isDeep(value: unknown, left = 8): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return left === 0 || Object.values(value).some((inner) => isDeep(inner, left - 1));
}

function digestOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
