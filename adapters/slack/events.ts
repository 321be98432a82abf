import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ChatEvent, Person, ThreadRef } from '../../core/ports/chat.ts';
import { OPENS, readAction } from './cards.ts';
import { clipAmong, clipFile } from './clips.ts';
import { COMMANDS, SET_UP_SHORTCUT } from './config.ts';
import { readCarried, readFields, viewState } from './forms.ts';
import { readText } from './text.ts';
import { messageRef, placeOf, threadRef, triggerOf } from './thread.ts';

/** Who we are in the workspace. */
export interface Self {
  readonly workspaceId: string;
  readonly botUserId: string;
  /** `workspaceId` is an organisation's: what comes from any of its workspaces is ours. */
  readonly isOrgWide?: boolean;
}

const id = z.string().regex(/^[A-Z0-9]{2,32}$/);
const ts = z.string().regex(/^\d{1,16}\.\d{1,8}$/);

/** Of a message: what is read of it, also where it is quoted in an edit. */
const said = z.looseObject({
  user: id.optional(),
  bot_id: z.string().nullish(),
  text: z.string().default(''),
  ts: ts.optional(),
  thread_ts: ts.optional(),
  edited: z.looseObject({ ts }).optional(),
  subtype: z.string().optional(),
  files: z.array(clipFile).optional().catch(undefined),
});
const messageEvent = said.extend({
  type: z.enum(['message', 'app_mention']),
  channel: id,
  channel_type: z.string().optional(),
  message: said.optional(),
  previous_message: said.optional(),
});
const homeEvent = z.looseObject({ type: z.literal('app_home_opened'), user: id, channel: id, tab: z.string() });
const stopEvent = z.looseObject({
  type: z.literal('agent_session_stopped'),
  channel: id,
  user: id,
  thread_ts: ts,
});
const envelope = z.looseObject({
  type: z.literal('event_callback'),
  team_id: z.string().nullish(),
  context_team_id: z.string().nullish(),
  event_id: z.string(),
  event: z.looseObject({ type: z.string() }),
});
const command = z.looseObject({
  command: z.string(),
  text: z.string().default(''),
  user_id: id,
  user_name: z.string().optional(),
  channel_id: id,
  trigger_id: z.string(),
});
const clicker = z.looseObject({ id, name: z.string().optional(), username: z.string().optional() });
const click = z.looseObject({
  type: z.literal('block_actions'),
  user: clicker,
  trigger_id: z.string(),
  response_url: z.string().optional(),
  container: z
    .looseObject({ type: z.string().optional(), is_ephemeral: z.boolean().optional(), message_ts: ts.optional() })
    .optional(),
  channel: z.looseObject({ id }).optional(),
  message: said.optional(),
  actions: z.array(
    z.looseObject({
      action_id: z.string(),
      block_id: z.string().default(''),
      value: z.string().nullish(),
      action_ts: z.string().default(''),
    }),
  ),
});
const shortcut = z.looseObject({
  type: z.literal('message_action'),
  callback_id: z.literal(SET_UP_SHORTCUT),
  user: clicker,
  channel: z.looseObject({ id }),
  message: said.extend({ ts }),
  action_ts: z.string(),
});
const submission = z.looseObject({
  type: z.literal('view_submission'),
  user: clicker,
  view: z.looseObject({
    id: z.string(),
    callback_id: z.string(),
    private_metadata: z.string(),
    state: z.looseObject({ values: viewState }),
  }),
});

/** What Slack sent, as far as anybody here has an interest in it. */
export type Incoming =
  | {
      readonly kind: 'event';
      readonly userId: string;
      readonly userName?: string;
      readonly make: (from: Person) => ChatEvent;
    }
  | {
      readonly kind: 'form';
      readonly userId: string;
      readonly userName?: string;
      readonly viewId: string;
      readonly values: z.infer<typeof viewState>;
      readonly make: (from: Person) => ChatEvent;
    }
  /** Somebody opened the conversation with us. */
  | { readonly kind: 'opened'; readonly channel: string }
  /** Nothing to answer: another bot, ourselves, another workspace, or something that we did not ask for. */
  | { readonly kind: 'ignored'; readonly why: string };

const ignored = (why: string): Incoming => ({ kind: 'ignored', why });

/** Slack's payloads as events of the port, which says what an event is; nothing is decided here. */
export function readPayload(body: unknown, self: Self): Incoming {
  const sent = z.looseObject({ type: z.string().optional(), command: z.string().optional() }).safeParse(body).data;
  switch (sent?.type) {
    case 'event_callback':
      return readEnvelope(body, self);
    case 'block_actions':
      return readClick(body, self);
    case 'message_action':
      return readShortcut(body, self);
    case 'view_submission':
      return readSubmission(body, self);
    default:
      return sent?.command === undefined ? ignored(sent?.type ?? 'no type') : readCommand(body, self);
  }
}

function readEnvelope(body: unknown, self: Self): Incoming {
  const read = envelope.safeParse(body).data;
  if (!read) return ignored('unreadable event');
  // In a channel that several workspaces share, `team_id` may be the other one's (Slack Connect).
  const workspaceId = read.context_team_id ?? read.team_id;
  if (workspaceId !== self.workspaceId && !self.isOrgWide) return ignored('another workspace');
  switch (read.event.type) {
    case 'message':
    case 'app_mention':
      return readMessage(read.event, self);
    case 'app_home_opened': {
      const home = homeEvent.safeParse(read.event).data;
      return home ? readOpening(home, read.event_id, self) : ignored('unreadable');
    }
    case 'agent_session_stopped': {
      const stopped = stopEvent.safeParse(read.event).data;
      return stopped ? readStop(stopped, read.event_id, self) : ignored('unreadable');
    }
    default:
      return ignored(read.event.type);
  }
}

/** Slack's own Stop, in the thread that the work is in. */
function readStop({ channel, user, thread_ts }: z.infer<typeof stopEvent>, eventId: string, self: Self): Incoming {
  const thread = threadRef({ workspaceId: self.workspaceId, channel, ts: thread_ts });
  return { kind: 'event', userId: user, make: (from) => ({ kind: 'stop', id: `stop/${eventId}`, thread, from }) };
}

function readOpening({ tab, channel, user }: z.infer<typeof homeEvent>, eventId: string, self: Self): Incoming {
  if (tab === 'messages') return { kind: 'opened', channel };
  if (tab !== 'home') return ignored(`tab ${tab}`);
  const thread = threadRef({ workspaceId: self.workspaceId, channel });
  return { kind: 'event', userId: user, make: (from) => ({ kind: 'home', id: `home/${eventId}`, thread, from }) };
}

/** Without a subtype, or with a file: those that somebody typed. */
const TYPED = new Set([undefined, 'file_share', 'thread_broadcast']);

function readMessage(event: unknown, self: Self): Incoming {
  const read = messageEvent.safeParse(event).data;
  if (!read) return ignored('unreadable message');
  if (read.subtype === 'message_changed' || read.subtype === 'message_deleted') return readEdit(read, self);
  if (!TYPED.has(read.subtype)) return ignored(`message ${read.subtype}`);
  const { user, channel } = read;
  if (!isPerson(read, self) || user === undefined || read.ts === undefined) return ignored('a bot');
  const isAddressed =
    read.type === 'app_mention' || read.channel_type === 'im' || read.text.includes(`<@${self.botUserId}>`);
  const thread = threadRef({ workspaceId: self.workspaceId, channel, ts: read.thread_ts ?? read.ts });
  // A mention comes twice, as `message` and as `app_mention`, with the same channel and time: one event.
  const eventId = `${self.workspaceId}/${channel}/${read.ts}`;
  const text = readText(read.text, self.botUserId);
  // What somebody typed beside a clip is what they mean.
  const clip = text === '' ? clipAmong(read.files ?? []) : undefined;
  return {
    kind: 'event',
    userId: user,
    make: (from) => ({
      ...{ kind: 'message', id: eventId, thread, from, text },
      ...(clip === undefined ? {} : { clip }),
      ...(isAddressed ? {} : { isOverheard: true }),
    }),
  };
}

/** A change of words; the previews that Slack adds to a message come as changes, too. */
function readEdit({ channel, message, previous_message: before }: z.infer<typeof messageEvent>, self: Self): Incoming {
  const user = before?.user;
  if (!before?.ts || user === undefined || !isPerson(before, self)) return ignored('an edit by a bot');
  // What had answers stays as an empty stone when it is deleted.
  const isGone = message === undefined || message.subtype === 'tombstone';
  if (!isGone && message.text === before.text) return ignored('an edit of nothing');
  const thread = threadRef({ workspaceId: self.workspaceId, channel, ts: before.thread_ts ?? before.ts });
  const version = isGone ? 'deleted' : (message.edited?.ts ?? digestOf(message.text));
  const after = isGone ? {} : { after: readText(message.text, self.botUserId) };
  return {
    ...{ kind: 'event', userId: user },
    make: (from) => ({
      ...{ kind: 'edit', id: `${self.workspaceId}/${channel}/${before.ts}/${version}`, thread, from },
      ...{ before: readText(before.text, self.botUserId), ...after },
    }),
  };
}

/** Slackbot has a person's id, and no `bot_id`. */
function isPerson({ user, bot_id }: z.infer<typeof said>, { botUserId }: Self): boolean {
  return !bot_id && user !== undefined && user !== botUserId && user !== 'USLACKBOT';
}

function readCommand(body: unknown, self: Self): Incoming {
  const read = command.safeParse(body).data;
  const name = COMMANDS.find((known) => `/${known}` === read?.command);
  if (!read || name === undefined) return ignored('an unknown command');
  const thread = threadRef({ workspaceId: self.workspaceId, channel: read.channel_id });
  return {
    ...{ kind: 'event', userId: read.user_id },
    ...named(read.user_name),
    make: (from) => ({
      ...{ kind: 'command', id: `command/${read.trigger_id}`, thread, from, command: name, isOutsideThreads: true },
      text: readText(read.text, self.botUserId),
      trigger: triggerOf(placeOf(thread), read.trigger_id),
    }),
  };
}

function readClick(body: unknown, self: Self): Incoming {
  const read = click.safeParse(body).data;
  const [pressed] = read?.actions ?? [];
  if (!read || !pressed) return ignored('an unreadable click');
  if (pressed.action_id.startsWith(OPENS)) return ignored('a link');
  const { action, thread: written } = readAction(pressed.action_id, pressed.block_id);
  const shown = read.message?.ts ?? read.container?.message_ts;
  const channel = read.channel?.id;
  const thread = threadOfClick(written, channel, read.message?.thread_ts ?? shown, self);
  if (!thread) return ignored('a click outside of conversations');
  const place = placeOf(thread);
  const isOwn = read.container?.is_ephemeral !== true && shown !== undefined && channel === place.channel;
  const eventId = ['click', channel, shown, pressed.action_id, pressed.action_ts, read.user.id].join('/');
  return {
    ...{ kind: 'event', userId: read.user.id },
    ...named(read.user.name ?? read.user.username),
    make: (from) => ({
      ...{ kind: 'action', id: eventId, thread, from, action, value: pressed.value ?? '' },
      ...(read.container?.type === 'view' ? { isFromHome: true } : {}),
      ...(isOwn ? { message: messageRef(thread, shown) } : {}),
      ...(read.container?.is_ephemeral === true && read.response_url ? { shown: read.response_url } : {}),
      trigger: triggerOf(place, read.trigger_id),
    }),
  };
}

/** The thread that the card was made for, which a card in a direct message may name; else the one that it stands in. */
function threadOfClick(
  written: string,
  channel: string | undefined,
  at: string | undefined,
  { workspaceId }: Self,
): ThreadRef | undefined {
  if (written !== '') {
    const thread: ThreadRef = { platform: 'slack', workspaceId, ref: written };
    try {
      placeOf(thread);
      return thread;
    } catch {
      // a block that another version of ours, or somebody else, named
    }
  }
  if (channel === undefined) return undefined;
  return threadRef({ workspaceId, channel, ...(at === undefined ? {} : { ts: at }) });
}

/** "Set this up" on somebody's message asks for what that message says, in its thread, in the name of who pressed it. */
function readShortcut(body: unknown, self: Self): Incoming {
  const read = shortcut.safeParse(body).data;
  if (!read) return ignored('an unknown shortcut');
  const { message, channel, user } = read;
  const thread = threadRef({ workspaceId: self.workspaceId, channel: channel.id, ts: message.thread_ts ?? message.ts });
  const words = readText(message.text, self.botUserId);
  const text = /^(?:set ?up|connect)\b/i.test(words) ? words : `set up ${words}`;
  return {
    ...{ kind: 'event', userId: user.id },
    ...named(user.name ?? user.username),
    make: (from) => ({
      ...{ kind: 'message', id: `shortcut/${channel.id}/${message.ts}/${read.action_ts}`, thread, from, text },
    }),
  };
}

function readSubmission(body: unknown, self: Self): Incoming {
  const read = submission.safeParse(body).data;
  const carried = read && readCarried(read.view.private_metadata);
  if (!read || !carried) return ignored('an unknown form');
  const { view, user } = read;
  const { channel, ts: at, value } = carried;
  const fields = readFields(carried, view.state.values);
  const thread = threadRef({ workspaceId: self.workspaceId, channel, ...(at === undefined ? {} : { ts: at }) });
  // The same modal may be sent several times, with other answers after it came back: these are others, a repetition is not.
  const digest = digestOf(JSON.stringify(fields));
  return {
    ...{ kind: 'form', userId: user.id, viewId: view.id, values: view.state.values },
    ...named(user.name ?? user.username),
    make: (from) => ({
      ...{ kind: 'form', id: `form/${view.id}/${digest}`, thread, from, form: view.callback_id, value, fields },
    }),
  };
}

function named(userName: string | undefined): { readonly userName?: string } {
  return userName === undefined ? {} : { userName };
}

/** Words as a part of an event's id, however many. */
function digestOf(words: string): string {
  return createHash('sha256').update(words).digest('hex').slice(0, 32);
}
