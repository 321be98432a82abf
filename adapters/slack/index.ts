import type { Router } from 'express';
import { CountersignError } from '../../core/errors.ts';
import type { SharedLimits } from '../../core/limits.ts';
import type {
  Card,
  Chat,
  ChatEvent,
  ChatListener,
  ChatReply,
  Form,
  MessageRef,
  Person,
  PictureLink,
  ThreadRef,
} from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { Secret } from '../../core/secret.ts';
import { createActivity } from './activity.ts';
import { type Api, type CallOptions, createApi, SLACK_API } from './api.ts';
import { type Level, renderBlocks, renderCard, type SlackMessage } from './cards.ts';
import { transcriptOf } from './clips.ts';
import { capabilities, type InstalledOptions, PROMPTS, type SlackOptions } from './config.ts';
import { codeOf, slackError, unknownReference } from './errors.ts';
import { readPayload, type Self } from './events.ts';
import { errorsAt, renderForm } from './forms.ts';
import { createOpened } from './opened.ts';
import { createPeople, ownUserId } from './people.ts';
import { httpRoutes, type Intake, openSocket } from './receiver.ts';
import { replaceShown } from './response.ts';
import { channelNamed, messageOf, messageRef, type Place, placeOf, readTrigger, threadRef } from './thread.ts';

export type { OAuthOptions, SlackOptions } from './config.ts';
export { createSlackForMany, type SlackForMany } from './many.ts';
export type { OAuthDeps } from './oauth.ts';
export { revokeToken } from './tokens.ts';

/** Slack, one workspace by its bot token. */
export interface Slack extends Chat {
  /** Who hears what people say and press; an event is acknowledged when the listener has taken it. Called before `start`. */
  listen(listener: ChatListener): void;
  /** For the one HTTP server; absent in Socket Mode. Before `start` and after `stop` it takes nothing. */
  readonly routes: Router | undefined;
  /** Asks Slack who we are, lets that workspace be prepared, and takes events from then on. @throws CountersignError `chat_unavailable`. */
  start(prepare?: (workspace: SlackWorkspace) => Promise<void>): Promise<SlackWorkspace>;
  /** Takes nothing new, and waits for what is being taken. */
  stop(): Promise<void>;
  /** What Slack sent to this workspace, taken elsewhere. */
  readonly take: Intake;
  /** Whoever owns the workspace; `undefined`: Slack names nobody. @throws CountersignError `chat_unavailable`. */
  primaryOwner(): Promise<Person | undefined>;
}

export interface SlackWorkspace {
  readonly workspaceId: string;
  readonly name: string;
}

export interface SlackDeps {
  readonly log: Log;
  /** What every process of ours draws from, so that together they stay below Slack's rates. */
  readonly line: Pick<SharedLimits, 'book'>;
  /** The bytes behind a picture's address; `undefined`: there is no such picture. */
  picture(link: PictureLink): Promise<{ readonly bytes: Buffer; readonly mediaType: string } | undefined>;
  readonly now?: () => number;
}

/** Says nothing to Slack before `start`, unless it is asked about somebody's standing. */
export function createSlack(options: SlackOptions | InstalledOptions, { log, line, picture, now }: SlackDeps): Slack {
  const apiUrl = withSlash(options.apiUrl ?? SLACK_API);
  let listener: ChatListener | undefined;
  let me: Self | undefined = options.kind === 'installed' ? options.self : undefined;
  const workspaceId = () => me?.workspaceId ?? '';
  const token = options.kind === 'installed' ? options.token : options.botToken;
  const api = createApi({ token, apiUrl, log, line, workspaceId });
  /** Where the workspace is read. */
  let address: string | undefined;
  const activities = createActivity(api, log);
  const self = (): Self => {
    if (!me) throw new CountersignError('chat_unavailable', 'Slack was not started yet.', { isRetryable: true });
    return me;
  };
  async function introduce(): Promise<SlackWorkspace> {
    const { team_id, team, user_id, url } = await api.call('auth.test', (client) => client.auth.test());
    if (!team_id || !user_id) throw new CountersignError('chat_unavailable', 'Slack did not say who we are.');
    me = { workspaceId: team_id, botUserId: user_id };
    address = url && URL.canParse(url) ? new URL(url).origin : undefined;
    return { workspaceId: team_id, name: team ?? team_id };
  }
  const people = createPeople(api, self);
  /** By person; they stay what they are. */
  const directChannels = new Map<string, string>();
  const opened = createOpened();
  const underWay = new Set<Promise<void>>();
  const taken = new Map<string, { readonly reply: Promise<ChatReply>; readonly until: number }>();
  let isOpen = options.kind === 'installed';

  const take: Intake = async (body, ack) => {
    const incoming = readPayload(body, self());
    if (incoming.kind === 'ignored') {
      log.debug({ what: incoming.why }, 'slack: nothing to answer');
      return ack();
    }
    if (incoming.kind === 'opened') {
      await ack();
      return suggest(incoming.channel);
    }
    const made = incoming.make(await people.actor(incoming.userId, incoming.userName));
    const event = incoming.kind === 'form' ? opened.sent(made, incoming.viewId) : made;
    opened.pressed(event);
    const reply = await once(event);
    if (incoming.kind === 'form' && reply && 'fieldErrors' in reply)
      return ack({ response_action: 'errors', errors: errorsAt(reply.fieldErrors, incoming.values) });
    return ack();
  };
  /** What this process has taken in the last minutes it does not hand on again; what failed it does. */
  const once = (event: ChatEvent): Promise<ChatReply> => {
    const known = taken.get(event.id);
    if (known) return known.reply;
    if (!listener) throw new Error('nobody listens to Slack yet');
    for (const [id, { until }] of taken) {
      if (until > performance.now()) break; // in the order in which they were taken
      taken.delete(id);
    }
    const reply = listener(event);
    taken.set(event.id, { reply, until: performance.now() + TAKEN_MS });
    reply.catch(() => taken.delete(event.id));
    return reply;
  };
  const intake: Intake = async (body, ack) => {
    if (!isOpen) throw new Error('Slack is not started, or was stopped');
    const taking = take(body, ack);
    const settled = taking.catch(() => {}).finally(() => underWay.delete(settled));
    underWay.add(settled);
    return taking;
  };
  const routes =
    options.kind === 'http'
      ? httpRoutes({ signingSecret: options.signingSecret, log, intake, ...(now ? { now } : {}) })
      : undefined;
  const socket =
    options.kind === 'socket' ? openSocket({ appToken: options.appToken, apiUrl, log, intake }) : undefined;

  /** What somebody could ask, where the conversation with us begins; a workspace without that simply shows nothing. */
  async function suggest(channel_id: string): Promise<void> {
    await api
      .raw('assistant.threads.setSuggestedPrompts', (client) =>
        client.assistant.threads.setSuggestedPrompts({ channel_id, prompts: [...PROMPTS] }),
      )
      .catch((error: unknown) => log.debug({ code: codeOf(error) }, 'slack: nothing was suggested'));
  }

  /** Our own workspace's place. @throws CountersignError for another workspace's. */
  function own(thread: ThreadRef): Place {
    const place = placeOf(thread);
    if (place.workspaceId !== self().workspaceId) throw unknownReference('thread');
    return place;
  }

  async function post(thread: ThreadRef, card: Card, { hasPlace }: { hasPlace?: true }): Promise<MessageRef> {
    const place = own(thread);
    const { channel } = place;
    const how = { thread: thread.ref, channel, hasPlace };
    const { ts } = await send('chat.postMessage', api, card, how, (client, message) =>
      client.chat.postMessage({ ...inThread(place), ...message, ...QUIET }),
    );
    if (!ts) throw new CountersignError('chat_unavailable', 'Slack did not say where the message stands.');
    return messageRef(place.ts === undefined ? threadRef({ ...place, ts }) : thread, ts);
  }

  async function update(message: MessageRef, card: Card, { hasPlace }: { hasPlace?: true } = {}): Promise<void> {
    const { ts } = messageOf(message);
    const { channel } = own(message.thread);
    await send('chat.update', api, card, { thread: message.thread.ref, hasPlace }, (client, changed) =>
      client.chat.update({ channel, ts, ...changed }),
    );
  }

  async function ephemeral(
    thread: ThreadRef,
    person: Person,
    card: Card,
    { replaces }: { replaces?: string } = {},
  ): Promise<void> {
    const place = own(thread);
    const user = ownUserId(person, self());
    if (replaces !== undefined && (await replaceShown(replaces, renderCard(card, thread.ref), { apiUrl, log }))) return;
    try {
      await sendRaw('chat.postEphemeral', api, card, { thread: thread.ref }, (client, message) =>
        client.chat.postEphemeral({ ...inThread(place), user, ...message }),
      );
    } catch (error) {
      // Where we, or they, can't see the channel, it comes to them directly; its buttons still belong to the thread.
      if (!OUT_OF_SIGHT.has(codeOf(error) ?? '')) throw slackError(error, 'chat.postEphemeral');
      await sendDirectly(user, card, thread.ref);
    }
  }

  async function sendDirectly(user: string, card: Card, thread: string): Promise<MessageRef> {
    const channel = await directChannel(user);
    const { ts } = await send('chat.postMessage', api, card, { thread, channel }, (client, message) =>
      client.chat.postMessage({ channel, ...message, ...QUIET }),
    );
    if (!ts) throw new CountersignError('chat_unavailable', 'Slack did not say where the message stands.');
    return messageRef(threadRef({ workspaceId: self().workspaceId, channel, ts }), ts);
  }

  async function directChannel(user: string): Promise<string> {
    const known = directChannels.get(user);
    if (known !== undefined) return known;
    const { channel } = await api.call('conversations.open', (client) => client.conversations.open({ users: user }));
    if (channel?.id === undefined) throw new CountersignError('chat_unavailable', 'Slack opened no conversation.');
    if (directChannels.size >= DIRECT_CHANNELS) directChannels.clear();
    directChannels.set(user, channel.id);
    return channel.id;
  }

  async function openForm(trigger: string, form: Form): Promise<void> {
    const { place, triggerId } = readTrigger(trigger);
    if (place.workspaceId !== self().workspaceId) throw unknownReference('trigger');
    const view = renderForm(form, place);
    const { view: shown } = await api.call(
      'views.open',
      (client) => client.views.open({ trigger_id: triggerId, view }),
      { isQuick: true },
    );
    if (shown?.id) opened.opened(trigger, shown.id);
  }

  async function upload(thread: ThreadRef, link: PictureLink, how: { hasPlace?: true }): Promise<MessageRef> {
    const place = own(thread);
    const found = await picture(link);
    if (!found) throw unknownReference('picture');
    const file = {
      file: found.bytes,
      filename: `picture.${found.mediaType.split('/')[1] ?? 'png'}`,
      title: link.alt,
      alt_text: link.alt,
    };
    const destination =
      place.ts === undefined ? { channel_id: place.channel } : { channel_id: place.channel, thread_ts: place.ts };
    const done = await api.call(
      'files.completeUploadExternal',
      (client) => client.filesUploadV2({ ...destination, ...file }),
      how,
    );
    return messageRef(thread, done.files?.[0]?.files?.[0]?.id ?? '');
  }

  return {
    platform: 'slack',
    capabilities,
    routes,
    take: intake,
    post,
    update,
    async place(thread, what) {
      const { channel, workspaceId } = own(thread);
      if (what === 'activity' && activities.isAway(workspaceId)) return 0;
      return api.place(PLACES[what], channel);
    },
    showActivity: (thread, activity, how) => activities.show(own(thread), activity, how?.hasPlace),
    ephemeral,
    directMessage: (person, card) => sendDirectly(ownUserId(person, self()), card, ''),
    async person(workspaceId, userId) {
      if (workspaceId !== self().workspaceId) throw unknownReference('person');
      return people.person(userId);
    },
    async standing(person, group) {
      if (!me) await introduce();
      return people.standing(person, group);
    },
    timeZone: people.timeZone,
    groups: people.groups,
    async transcript(thread, clip) {
      own(thread);
      const now = token instanceof Secret ? token : await token();
      return transcriptOf(clip, { api, token: now, apiUrl, log });
    },
    linkTo(thread) {
      const { channel, ts } = own(thread);
      if (address === undefined) return undefined;
      // As chat.getPermalink answers, which would be a question for each.
      return `${address}/archives/${channel}${ts === undefined ? '' : `/p${ts.replace('.', '')}`}`;
    },
    channelOf: (thread) => own(thread).channel,
    begin: channelNamed,
    openForm,
    upload,
    async showHome(person, card) {
      const user_id = ownUserId(person, self());
      const view = { type: 'home' as const, blocks: renderBlocks(card.blocks, '') };
      await api.call('views.publish', (client) => client.views.publish({ user_id, view }));
    },
    primaryOwner: people.primaryOwner,
    listen: (given) => {
      listener = given;
    },
    async start(prepare) {
      const workspace = await introduce();
      await prepare?.(workspace);
      isOpen = true;
      await socket?.start().catch((error: unknown) => {
        throw slackError(error, 'apps.connections.open');
      });
      return workspace;
    },
    async stop() {
      isOpen = false;
      await socket?.stop().catch(() => {}); // it was not open
      await Promise.allSettled([...underWay]);
    },
  };
}

/** A mention's two events come within a second; Slack repeats one after a minute and after five (docs.slack.dev, Events API). */
const TAKEN_MS = 10 * 60_000;
/** No previews of pages that a message links to. */
const QUIET = { unfurl_links: false, unfurl_media: false } as const;
/** The channel is closed to us or to that person (docs.slack.dev, errors of chat.postEphemeral). */
const OUT_OF_SIGHT = new Set(['not_in_channel', 'user_not_in_channel', 'channel_not_found', 'is_archived']);
/** Slack's words for a message whose form it does not take. */
const ILL_FORMED =
  /^(?:invalid_blocks|invalid_block_type|invalid_arguments|invalid_attachments|msg_blocks_too_long|msg_too_long)/;

/** The method that a place in line is for. */
const PLACES = {
  post: 'chat.postMessage',
  edit: 'chat.update',
  picture: 'files.completeUploadExternal',
  activity: 'agents.sessions.setStatus',
} as const;
const DIRECT_CHANNELS = 10_000;

type Client = Parameters<Parameters<Api['raw']>[1]>[0];
type Send<T> = (client: Client, message: SlackMessage) => Promise<T>;

interface How extends CallOptions {
  /** The thread that a click comes back with. */
  readonly thread: string;
}

/** Sends the card as well as this workspace can show it: with everything, then plainly, and its sentence alone if need be. */
async function sendRaw<T>(method: string, api: Api, card: Card, how: How, run: Send<T>): Promise<T> {
  const { thread, channel = '' } = how;
  let options: CallOptions = how;
  for (const level of ['full', 'plain'] satisfies Level[]) {
    try {
      return await api.raw(method, (client) => run(client, renderCard(card, thread, level)), options);
    } catch (error) {
      if (!ILL_FORMED.test(codeOf(error) ?? '')) throw error;
      options = { channel }; // that place is used up
    }
  }
  const { text } = renderCard(card, thread, 'plain');
  return api.raw(method, (client) => run(client, { text, blocks: [] }), options);
}

function send<T>(method: string, api: Api, card: Card, how: How, run: Send<T>): Promise<T> {
  return sendRaw(method, api, card, how, run).catch((error: unknown) => {
    throw slackError(error, method);
  });
}

function inThread({ channel, ts }: Place): { channel: string; thread_ts?: string } {
  return ts === undefined ? { channel } : { channel, thread_ts: ts };
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}
