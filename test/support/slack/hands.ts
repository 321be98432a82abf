import { z } from 'zod';
import type { MessageRef, Person, ThreadRef } from '../../../core/ports/chat.ts';
import type { OpenedChat, ShownMessage } from '../../contracts/chat.ts';
import type { Answer } from './delivery.ts';
import { type KeptMessage, shownAs } from './reading.ts';
import { BOT, CHANNEL, type SlackServer, TEAM } from './server.ts';

/** What people do in the stand-in for Slack; the app is told as Slack tells it. */
export interface Hands extends Omit<OpenedChat, 'chat' | 'listen' | 'close'> {
  /** All that the stand-in knows, ourselves included. */
  readonly people: readonly Person[];
  event(event: object, more?: object): Promise<Answer>;
  click(person: Person, thread: ThreadRef, message: MessageRef | undefined, action: string): Promise<Answer>;
  /** A command with its text as Slack sends it, markup and all. */
  command(person: Person, name: string, text: string): Promise<Answer>;
  /** The first button with that action on the person's Home page. */
  clickHome(person: Person, action: string): Promise<Answer>;
}

const PERSON: Omit<Person, 'userId' | 'name'> = { platform: 'slack', workspaceId: TEAM };

export function handsOn(server: SlackServer): Hands {
  let last: { kind: Parameters<SlackServer['deliver']>[0]; payloads: readonly object[] } | undefined;

  async function send(kind: Parameters<SlackServer['deliver']>[0], ...payloads: readonly object[]): Promise<Answer[]> {
    last = { kind, payloads };
    return Promise.all(payloads.map((payload) => server.deliver(kind, payload)));
  }

  const enveloped = (event: object, more: object = {}) => ({
    ...{ type: 'event_callback', team_id: TEAM, api_app_id: 'A0001', event_id: `Ev${crypto.randomUUID()}` },
    ...{ event, ...more },
  });

  function visible(channel: string, person: Person): readonly KeptMessage[] {
    return server.messages(channel).filter(({ to }) => to === undefined || to === person.userId);
  }

  const names = new Map([...server.users.values()].map(({ id, real_name }) => [id, String(real_name)]));

  async function click(
    person: Person,
    thread: ThreadRef,
    message: MessageRef | undefined,
    action: string,
  ): Promise<Answer> {
    const channel = thread.ref.split(':')[0] ?? '';
    const found = message
      ? server.messages(channel).find(({ ts }) => ts === message.ref)
      : server.messages(channel).findLast(({ to }) => to === person.userId);
    const pressed = buttons
      .parse(found?.blocks ?? [])
      // Of two thumbs, the first.
      .flatMap(({ block_id, elements = [] }) =>
        elements.map(({ positive_button, ...element }) => ({
          ...element,
          ...(positive_button ? { value: positive_button.value } : {}),
          block_id,
        })),
      )
      .find(({ action_id }) => action_id?.startsWith(`${action}#`));
    if (!found || !pressed) throw new Error(`there is no button ${action}`);
    const isEphemeral = found.to !== undefined;
    const [taken] = await send('interactive', {
      ...{ type: 'block_actions', team: { id: TEAM }, api_app_id: 'A0001', user: userOf(person) },
      container: { type: 'message', message_ts: found.ts, channel_id: channel, is_ephemeral: isEphemeral },
      ...{ channel: { id: channel }, trigger_id: server.trigger(person.userId) },
      response_url: server.responseUrl(channel, found.ts),
      // Slack sends no message along with a click on an ephemeral one.
      ...(isEphemeral ? {} : { message: { ts: found.ts, thread_ts: found.thread_ts, text: found.text } }),
      actions: [{ ...pressed, type: 'button', action_ts: String(performance.now()) }],
    });
    return taken ?? { isTaken: false, body: undefined, ms: 0 };
  }

  async function clickHome(person: Person, action: string): Promise<Answer> {
    const pressed = buttons
      .parse(server.homes.get(person.userId) ?? [])
      .flatMap(({ block_id, elements = [] }) => elements.map((element) => ({ ...element, block_id })))
      .find(({ action_id }) => action_id?.startsWith(`${action}#`));
    if (!pressed) throw new Error(`there is no button ${action} on the Home page`);
    return server.deliver('interactive', {
      ...{ type: 'block_actions', team: { id: TEAM }, api_app_id: 'A0001', user: userOf(person) },
      ...{ container: { type: 'view', view_id: 'VHOME' }, view: { id: 'VHOME', type: 'home' } },
      trigger_id: server.trigger(person.userId),
      actions: [{ ...pressed, type: 'button', action_ts: String(performance.now()) }],
    });
  }

  const command = (person: Person, name: string, text: string): Promise<Answer> =>
    server.deliver('slash_commands', {
      ...{ command: name, text, team_id: TEAM, channel_id: CHANNEL, user_id: person.userId },
      ...{ user_name: person.name.toLowerCase(), trigger_id: server.trigger(person.userId), api_app_id: 'A0001' },
    });

  const users = [...server.users.values()].map(({ id, real_name }) => ({
    ...PERSON,
    ...{ userId: id, name: String(real_name) },
  }));
  const [merchant, approver] = users as [Person, Person]; // the stand-in begins with these two

  return {
    ...{ merchant, approver, people: users, click, clickHome, command },
    event: async (event, more) => server.deliver('events_api', enveloped(event, more)),
    async say(person, text, thread) {
      const [channel = CHANNEL, threadTs] = thread?.ref.split(':') ?? [];
      const slash = /^\/(\w+) ?(.*)$/s.exec(text);
      if (slash) {
        const [, name, rest] = slash;
        await send('slash_commands', {
          ...{ command: `/${name}`, text: rest, team_id: TEAM, channel_id: channel, user_id: person.userId },
          ...{ user_name: person.name.toLowerCase(), trigger_id: server.trigger(person.userId), api_app_id: 'A0001' },
        });
        return;
      }
      const written = `<@${BOT}> ${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}`;
      const { ts } = server.write(channel, person.userId, written, threadTs || undefined);
      const event = { channel, user: person.userId, text: written, ts, event_ts: ts };
      const inThread = threadTs ? { thread_ts: threadTs } : {};
      await send(
        'events_api',
        enveloped({ ...event, ...inThread, type: 'message', channel_type: 'channel' }),
        enveloped({ ...event, ...inThread, type: 'app_mention' }),
      );
    },
    async repeatLast() {
      for (const payload of last?.payloads ?? []) await server.deliver(last?.kind ?? 'events_api', payload);
    },
    press: async (...where) => void (await click(...where)),
    async submit(person, _thread, fields) {
      const open = server.view(person.userId);
      if (!open) throw new Error('no form is open');
      const { callback_id, private_metadata, blocks } = shape.parse(open.view);
      const values = Object.fromEntries(
        blocks.flatMap(({ block_id, element }) =>
          block_id === undefined || !element ? [] : [[block_id, { value: filled(element, fields[block_id] ?? []) }]],
        ),
      );
      const view = { id: open.id, callback_id, private_metadata, state: { values } };
      const user = userOf(person);
      const [taken] = await send('interactive', { type: 'view_submission', team: { id: TEAM }, user, view });
      const back = z.looseObject({ errors: z.record(z.string(), z.string()) }).safeParse(taken?.body);
      if (!back.success) server.closeView(person.userId);
      return back.data?.errors;
    },
    async transcriptFor(person, thread): Promise<readonly ShownMessage[]> {
      const [channel = '', root] = thread.ref.split(':');
      return visible(channel, person)
        .filter(({ ts, thread_ts }) => root === '' || ts === root || thread_ts === root)
        .map((message) => shownAs(message, names));
    },
    directMessagesOf: async (person) => server.messages(`D${person.userId}`).map((message) => shownAs(message, names)),
  };
}

const buttons = z.array(
  z.looseObject({
    block_id: z.string().optional(),
    elements: z
      .array(
        z.looseObject({
          ...{ action_id: z.string().optional(), value: z.string().optional() },
          positive_button: z.looseObject({ value: z.string() }).optional(),
        }),
      )
      .optional(),
  }),
);
const shape = z.looseObject({
  ...{ callback_id: z.string(), private_metadata: z.string() },
  blocks: z.array(
    z.looseObject({ block_id: z.string().optional(), element: z.looseObject({ type: z.string() }).optional() }),
  ),
});

function userOf({ userId, name }: Person): object {
  return { id: userId, name: name.toLowerCase(), username: name.toLowerCase(), team_id: TEAM };
}

/** What Slack says of an element of a modal that was filled in so. */
function filled({ type }: { type: string }, values: readonly string[]): object {
  switch (type) {
    case 'checkboxes':
      return { type, selected_options: values.map((value) => ({ value, text: { type: 'plain_text', text: value } })) };
    case 'multi_conversations_select':
      return { type, selected_conversations: values };
    case 'static_select':
      return { type, selected_option: values[0] === undefined ? null : { value: values[0] } };
    case 'multi_users_select':
      return { type, selected_users: values };
    default:
      return { type, value: values[0] ?? null };
  }
}
