import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { MessageRef, Person, ThreadRef } from '../../../core/ports/chat.ts';
import type { OpenedChat, ShownMessage } from '../../contracts/chat.ts';
import { type Part, partsOf, shownAs } from './reading.ts';
import { type Answer, BOT, CHANNEL, type KeptMessage, TEAM, TENANT, type TeamsServer } from './server.ts';

/** What people do in the stand-in for Teams; the bot is told as the Connector tells it. */
export interface Hands extends Omit<OpenedChat, 'chat' | 'listen' | 'close'> {
  readonly people: readonly Person[];
  /** An activity of that person in that conversation, with all that the Connector says of both. */
  activity(person: Person, conversationId: string, more: object): object;
  /** The click as the Connector sends it, which may be sent again. */
  click(person: Person, thread: ThreadRef, message: MessageRef | undefined, action: string): Click;
  /** What a click was answered with is what that person sees from then on. */
  answered(click: Click, answer: Answer): void;
  say(person: Person, text: string, thread?: ThreadRef | string): Promise<void>;
  /** Changes what was said last, or takes it away. */
  change(text: string | undefined): Promise<Answer>;
  /** What that person's client does when it shows a card that it may ask about; that answer is what they see from then on. */
  look(person: Person, thread: ThreadRef, message: MessageRef): Promise<Answer | undefined>;
}

export interface Click {
  readonly activity: object;
  readonly message: KeptMessage;
  readonly person: Person;
}

const cardAnswer = z.looseObject({
  statusCode: z.literal(200),
  type: z.literal('application/vnd.microsoft.card.adaptive'),
  value: z.looseObject({ type: z.literal('AdaptiveCard') }),
});
const refreshing = z.looseObject({
  refresh: z.looseObject({ action: z.looseObject({ verb: z.string() }), userIds: z.array(z.string()) }),
});
const submitData = z.looseObject({ fields: z.array(z.looseObject({ name: z.string(), values: z.array(z.string()) })) });

export function handsOn(server: TeamsServer): Hands {
  let last: object | undefined;
  let lastSaid: { readonly person: Person; readonly place: string; readonly id: string } | undefined;
  const people: readonly Person[] = [...server.users.values()].map(({ aadObjectId, name }) => ({
    ...{ platform: 'teams', workspaceId: TENANT, userId: aadObjectId, name },
  }));
  const [merchant, approver] = people as [Person, Person]; // the stand-in begins with these

  function conversation(id: string): object {
    const tenant = { tenantId: TENANT };
    if (id.startsWith('a:')) return { id, conversationType: 'personal', ...tenant };
    if (id.startsWith(CHANNEL)) return { id, conversationType: 'channel', isGroup: true, ...tenant };
    return { id, conversationType: 'groupChat', isGroup: true, ...tenant };
  }

  function activity(person: Person, conversationId: string, more: object): object {
    return {
      ...{ id: randomUUID(), channelId: 'msteams', serviceUrl: server.serviceUrl, timestamp: new Date().toISOString() },
      from: { id: `29:${person.userId}`, name: person.name, aadObjectId: person.userId },
      recipient: BOT,
      conversation: conversation(conversationId),
      channelData: { tenant: { id: TENANT }, ...(conversationId.startsWith(CHANNEL) ? { team: TEAM } : {}) },
      locale: 'en-GB',
      ...more,
    };
  }

  const conversationOf = (thread: ThreadRef) => thread.ref.replace(/^(?:personal|group|channel):/, '');
  const viewOf = ({ views, card }: KeptMessage, { userId }: Person) => views.get(userId) ?? card;
  const executes = (card: unknown): readonly Part[] => partsOf(card).filter(({ type }) => type === 'Action.Execute');

  function invoke(person: Person, conversationId: string, message: KeptMessage, action: Part, inputs: object): object {
    return activity(person, conversationId, {
      ...{ type: 'invoke', name: 'adaptiveCard/action', replyToId: message.id },
      value: {
        action: {
          type: 'Action.Execute',
          verb: action.verb,
          data: { ...z.object({}).loose().parse(action.data), ...inputs },
        },
        trigger: 'manual',
      },
    });
  }

  function click(person: Person, thread: ThreadRef, message: MessageRef | undefined, action: string): Click {
    const places = message ? [conversationOf(thread)] : [server.personalChat(person.userId), conversationOf(thread)];
    for (const place of places) {
      const found = message
        ? server.messages(place).find(({ id }) => id === message.ref)
        : server.messages(place).findLast((each) => executes(viewOf(each, person)).some(({ verb }) => verb === action));
      const pressed = executes(found && viewOf(found, person)).find(({ verb }) => verb === action);
      if (found && pressed) return { activity: invoke(person, place, found, pressed, {}), message: found, person };
    }
    throw new Error(`there is no button ${action}`);
  }

  function answered({ message, person }: Click, { body }: Answer): void {
    const card = cardAnswer.safeParse(body).data;
    if (card) message.views.set(person.userId, card.value);
  }

  const shown = (message: KeptMessage, person: Person): ShownMessage => {
    const card = viewOf(message, person);
    return card === undefined ? { text: message.text, buttons: [], pictures: [], mentions: [] } : shownAs(card);
  };

  return {
    ...{ merchant, approver, people, activity, click, answered },
    async say(person, text, thread) {
      const given = typeof thread === 'string' ? thread : thread && conversationOf(thread);
      const written = server.write(given ?? CHANNEL, person.userId, text);
      const place = given ?? `${CHANNEL};messageid=${written.id}`;
      const isAlone = place.startsWith('a:');
      lastSaid = { person, place, id: written.id };
      const mention = { type: 'mention', text: `<at>${BOT.name}</at>`, mentioned: BOT };
      last = activity(person, place, {
        ...{ type: 'message', id: written.id, textFormat: 'plain' },
        text: isAlone
          ? text
          : `${mention.text}&nbsp;${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}`,
        entities: isAlone ? [] : [mention],
      });
      const { status, body } = await server.deliver(last);
      if (status !== 200) throw new Error(`the bot answered ${status} ${String(body)}`);
    },
    async change(text) {
      if (!lastSaid) throw new Error('nothing was said');
      const { person, place, id } = lastSaid;
      const isAlone = place.startsWith('a:');
      const mention = { type: 'mention', text: `<at>${BOT.name}</at>`, mentioned: BOT };
      const said = text === undefined ? {} : { text: isAlone ? text : `${mention.text} ${text}`, entities: [mention] };
      last = activity(person, place, {
        ...{ id, type: text === undefined ? 'messageDelete' : 'messageUpdate', ...said },
        channelData: {
          ...{ tenant: { id: TENANT }, eventType: text === undefined ? 'softDeleteMessage' : 'editMessage' },
        },
      });
      return server.deliver(last);
    },
    async look(person, thread, message) {
      const place = conversationOf(thread);
      const found = server.messages(place).find(({ id }) => id === message.ref);
      const asks = refreshing.safeParse(found?.card).data?.refresh;
      if (!found || !asks?.userIds.includes(`29:${person.userId}`)) return undefined;
      const action = { type: 'Action.Execute', verb: asks.action.verb, data: {} };
      const sent = {
        type: 'invoke',
        name: 'adaptiveCard/action',
        replyToId: found.id,
        value: { action, trigger: 'automatic' },
      };
      const answer = await server.deliver(activity(person, place, sent));
      answered({ activity: {}, message: found, person }, answer);
      return answer;
    },
    async repeatLast() {
      if (last) await server.deliver(last);
    },
    async press(...where) {
      const pressed = click(...where);
      answered(pressed, await server.deliver(pressed.activity));
    },
    async submit(person, thread, fields) {
      const form = click(person, thread, undefined, 'countersign.submit');
      const action = executes(viewOf(form.message, person)).find(({ verb }) => verb === 'countersign.submit');
      const carried = submitData.parse(action?.data).fields;
      const inputs = Object.fromEntries(
        carried.map(({ name, values }, index) => {
          const filled = fields[name] ?? [];
          // Of options by their number, as they are in the card; else as they are.
          const sent = values.length > 0 ? filled.map((value) => String(values.indexOf(value))) : filled;
          return [`field-${index}`, sent.join(',')];
        }),
      );
      const place = [server.personalChat(person.userId), conversationOf(thread)].find((each) =>
        server.messages(each).includes(form.message),
      );
      const answer = await server.deliver(invoke(person, place ?? '', form.message, action ?? {}, inputs));
      answered(form, answer);
      const errors = partsOf(cardAnswer.safeParse(answer.body).data?.value).flatMap((each) => {
        const [, index] = /^field-(\d+)-error$/.exec(String(each.id ?? '')) ?? [];
        const name = carried[Number(index ?? Number.NaN)]?.name;
        return name === undefined ? [] : [[name, shownAs(each).text] as const];
      });
      return errors.length > 0 ? Object.fromEntries(errors) : undefined;
    },
    transcriptFor: async (person, thread) => server.messages(conversationOf(thread)).map((each) => shown(each, person)),
    directMessagesOf: async (person) =>
      server.messages(server.personalChat(person.userId)).map((each) => shown(each, person)),
  };
}
