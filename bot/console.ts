import type { Card, Chat, ChatEvent, Person } from '../core/ports/chat.ts';
import type { ConsoleDesk, Press, Pressed } from '../core/ports/console.ts';
import { type Redact, redactAll } from '../core/redacted-ports.ts';
import { consentCard } from './cards/consent-card.ts';
import { consentValue } from './cards/consent-values.ts';
import { note } from './cards/text.ts';
import { DENY_FORM, REFUSALS } from './consent-flow.ts';
import { decidersOf } from './consent-messages.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import type { Foundation } from './foundation.ts';
import { DENY_STANDING_FORM } from './keep-flow.ts';
import { createStanding } from './membership.ts';
import { standingQuestion } from './standing-question.ts';

/** The console's way into the conversation: a press there is an action in the operation's own thread, with its rules and records. */
export function createConsoleDesk(context: Context, redact: Redact): ConsoleDesk {
  const mayDecide: ConsoleDesk['mayDecide'] = async (member, operation) => {
    const permitted = await context.consents.mayDecide(operation.customerId, member, operation, 'approve');
    return permitted.isPermitted ? { may: true } : { may: false, why: REFUSALS[permitted.why] };
  };
  return {
    async question(operation) {
      const people = await context.database.withCustomer(operation.customerId, (tx) =>
        decidersOf(tx, context, operation),
      );
      const { blocks, ...card } = consentCard(operation, people);
      return redactAll({ ...card, blocks: blocks.filter(({ kind }) => kind !== 'actions') }, redact);
    },
    async repairsQuestion(member, operation) {
      const asked = await context.database.withCustomer(operation.customerId, (tx) =>
        standingQuestion(tx, context, operation),
      );
      if (asked?.state.request.decision !== null) return undefined;
      const { blocks, ...card } = asked.card;
      const bare = redactAll({ ...card, blocks: blocks.filter(({ kind }) => kind !== 'actions') }, redact);
      return { card: bare, planHash: asked.state.request.planHash, ...(await mayDecide(member, asked.operation)) };
    },
    mayDecide,
    async press(pressed) {
      const { customerId, by, operation } = pressed;
      const thread = await context.database.withCustomer(customerId, (tx) =>
        context.threads.get(tx, customerId, operation.threadId),
      );
      if (!thread) return [note('The thread of this operation is gone. Nothing was changed.')];
      const heard: Card[] = [];
      const event = eventOf(pressed, thread.ref);
      const chat: Context['chat'] = (platform) => listening(context.chat(platform), by.person, event.id, heard);
      const answer = await converse({ ...context, chat }, event);
      const problems = answer && 'fieldErrors' in answer ? Object.values(answer.fieldErrors) : [];
      return redactAll([...heard, ...problems.map((words) => note(words, 'warning'))], redact);
    },
    standing: createStanding(context),
  };
}

/** What the pages of the console are made of, but for what only the wiring has. */
export function consoleParts(context: Context, foundation: Foundation) {
  return { ...foundation, desk: createConsoleDesk(context, foundation.redact), publicUrl: context.publicUrl };
}

type Decided = 'approve' | 'deny' | 'approve_standing' | 'deny_standing';

const ACTIONS: { readonly [Kind in Exclude<Press['kind'], Decided | 'revoke_repairs'>]: string } = {
  stop: 'stop',
  pause: 'pause',
  resume: 'resume',
  retry: 'retry',
  rotate: 'rotate',
  revoke: 'revoke_there',
};

function eventOf({ operation, press, by, once, browser }: Pressed, thread: ChatEvent['thread']): ChatEvent {
  const event = { id: `console/${once}`, thread, from: by.person, browser };
  switch (press.kind) {
    case 'deny':
    case 'deny_standing':
      return {
        ...{ ...event, kind: 'form', form: press.kind === 'deny' ? DENY_FORM : DENY_STANDING_FORM },
        value: consentValue(operation.id, press.planHash),
        fields: { reason: [press.reason] },
      };
    case 'approve':
    case 'approve_standing':
      return {
        ...{ ...event, kind: 'action', action: press.kind, value: consentValue(operation.id, press.planHash) },
        trigger: '',
      };
    case 'revoke_repairs':
      return { ...event, kind: 'action', action: 'revoke_consent', value: press.consentId, trigger: '' };
    default:
      return { ...event, kind: 'action', action: ACTIONS[press.kind], value: operation.id, trigger: '' };
  }
}

/**
 * What the flow answers to this press is heard on the page, too: what is for whoever pressed alone on the page only. Links that it
 * sends people, and what else a thread is told, go their way.
 */
function listening(chat: Chat, person: Person, eventId: string, heard: Card[]): Chat {
  return {
    ...chat,
    async post(thread, card, options) {
      if (options.key.endsWith(eventId)) heard.push(card);
      return chat.post(thread, card, options);
    },
    async ephemeral(thread, to, card, options) {
      if (options?.key !== undefined || to.userId !== person.userId) return chat.ephemeral(thread, to, card, options);
      heard.push(card);
    },
  };
}
