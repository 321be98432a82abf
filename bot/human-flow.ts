import { recordRefusal } from '../core/audit/refusal.ts';
import type { Member } from '../core/customers/customers.ts';
import type { Transaction } from '../core/database.ts';
import { type CustomerId, parseOperationId } from '../core/ids.ts';
import { mayControl } from '../core/operations/control.ts';
import { takeEvent } from '../core/operations/events.ts';
import { lock } from '../core/operations/locked.ts';
import type { Operation } from '../core/operations/operation.ts';
import { answerQuestion, latestQuestion, type Question, readCode } from '../core/operations/questions.ts';
import { Stopped } from '../core/operations/stopped.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { ConnectOutcome } from '../core/ports/connect.ts';
import { Secret } from '../core/secret.ts';
import type { Link } from '../core/vault/links.ts';
import { codeLinkCard, readQuestionValue } from './cards/question-card.ts';
import type { Context } from './context.ts';
import { issueLink, showLink } from './link-flow.ts';
import { refuse } from './refusal.ts';
import { eventRef, whisperWords } from './speak.ts';

type Action = Extract<ChatEvent, { kind: 'action' }>;

const MINE = 'Only whoever asked, an approver or an admin can answer this. Nothing was changed.';
const OLD_CARD = 'This card is from another version. Nothing was changed.';
const NO_CONSENT = 'The countersignature does not hold any more, so the work can’t go on. Nothing was changed.';

/** “Enter the code”: a one-time page for whoever pressed it, and nobody else. */
export async function sendCodeLink(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const found = await findAsked(context, tx, customerId, member, event);
    if (typeof found === 'string') return found;
    const { operation, question } = found;
    if (!isOpenCode(operation, question)) return found;
    const link = { purpose: 'answer', operation, to: member } as const;
    return (await issueLink(context, tx, link, { event: eventRef(event) })) ?? 'repeated';
  });
  if (typeof outcome === 'string') return refused(context, customerId, member, event, outcome);
  if ('question' in outcome) return tellSettled(context, customerId, event, outcome.question);
  await showLink(context, outcome, codeLinkCard(outcome.operation, outcome.url));
}

/** “I did it, go on”, and “Go on” with what was paused since nobody answered. The first one counts. */
export async function goOn(context: Context, customerId: CustomerId, member: Member, event: Action): Promise<void> {
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const found = await findAsked(context, tx, customerId, member, event);
    if (typeof found === 'string') return found;
    if (!(await takeEvent(tx, customerId, eventRef(event)))) return 'repeated';
    const { operation, question } = found;
    await lock(tx, customerId, operation.id); // so that a countersignature that is being taken back is seen as that
    if (!(await context.consents.verify(tx, customerId, operation.id)).hasConsent) return 'no_consent';
    const isTaken = await answerQuestion(tx, context, operation, question.id, { kind: 'go_on' }, member.id);
    return isTaken ? 'taken' : { question: await latestQuestion(tx, customerId, operation.id) };
  });
  if (outcome === 'taken') return;
  if (typeof outcome === 'string') return refused(context, customerId, member, event, outcome);
  await tellSettled(context, customerId, event, outcome.question);
}

/** The operation and the question that the button is about; a word when it leads to nothing. */
async function findAsked(
  context: Context,
  tx: Transaction,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<{ operation: Operation; question: Question } | 'unknown' | 'not_allowed'> {
  const shown = readQuestionValue(event.value);
  const operation = shown && (await context.operations.get(tx, customerId, shown.operationId));
  const question = operation && (await latestQuestion(tx, customerId, operation.id));
  if (!operation || !question) return 'unknown';
  if (!mayControl(operation, member)) return 'not_allowed';
  // An older question of the operation was answered: there is a newer one.
  return { operation, question: question.id === shown.questionId ? question : { ...question, closed: 'answered' } };
}

async function refused(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
  why: 'unknown' | 'not_allowed' | 'repeated' | 'no_consent',
): Promise<void> {
  switch (why) {
    case 'repeated':
      return; // it had its effect already
    case 'unknown':
      return whisperWords(context, event, OLD_CARD);
    case 'no_consent':
      return whisperWords(context, event, NO_CONSENT);
    case 'not_allowed': {
      const about = parseOperationId(event.value.split(' ')[0] ?? '');
      return refuse(context, customerId, member, event, {
        ...{ asked: 'answer', words: MINE },
        ...(about ? { about } : {}),
      });
    }
    default:
      return why satisfies never;
  }
}

/** What became of the question that somebody was too late for. */
async function tellSettled(
  context: Context,
  customerId: CustomerId,
  event: Action,
  question: Question | null,
): Promise<void> {
  const by = question?.answeredBy;
  const answerer =
    by && (await context.database.withCustomer(customerId, (tx) => context.customers.memberById(tx, customerId, by)));
  const words =
    question?.closed === 'answered'
      ? `${answerer ? answerer.person.name : 'Somebody'} was faster: this is answered already.`
      : question?.closed === 'lapsed'
        ? 'Nobody answered in time, and the work is paused: “Go on” takes it up again.'
        : 'This does not wait for an answer any more.';
  await whisperWords(context, event, `${words} Nothing was changed.`);
}

function isOpenCode({ state }: Operation, { kind, closed }: Question): boolean {
  return state === 'waiting_for_human' && kind === 'code' && closed === null;
}

/** Whether the page still has something to ask its person. */
export function isCodeWanted(context: Context, link: Link): Promise<boolean> {
  return context.database.withCustomer(
    link.customerId,
    async (tx) => typeof (await openCode(context, tx, link)) === 'object',
  );
}

/** Takes the code: spent link, sealed code, audit entry, move to the queue and its job are one transaction. */
export async function submitCode(
  context: Context,
  link: Link,
  fields: Readonly<Record<string, string>>,
): Promise<ConnectOutcome> {
  const entered = readCode(fields.code ?? '');
  if ('problem' in entered) return { kind: 'invalid', errors: { code: entered.problem } };
  const { customerId, operationId, memberId } = link;
  const isTaken = await context.database
    .withCustomer(customerId, async (tx) => {
      // The operation's row before its link's, as whoever ends the operation takes them.
      await lock(tx, customerId, operationId);
      const found = await openCode(context, tx, link);
      if (found === 'not_allowed')
        await recordRefusal(tx, context.audit, customerId, { by: memberId, asked: 'answer', about: operationId });
      if (typeof found !== 'object' || !(await context.links.spend(tx, link))) return false;
      const answer = { kind: 'code', code: new Secret(entered.code) } as const;
      if (await answerQuestion(tx, context, found.operation, found.question.id, answer, memberId)) return true;
      throw new Stopped('moved', 'the question was settled while its code was entered'); // rolls everything back
    })
    .catch((error: unknown) => {
      if (error instanceof Stopped) return false;
      throw error;
    });
  return { kind: isTaken ? 'answered' : 'gone' };
}

async function openCode(context: Context, tx: Transaction, { customerId, operationId, memberId }: Link) {
  const operation = await context.operations.get(tx, customerId, operationId);
  const question = operation && (await latestQuestion(tx, customerId, operationId));
  if (!operation || !question || !isOpenCode(operation, question)) return undefined;
  if (!mayControl(operation, await context.customers.memberById(tx, customerId, memberId))) return 'not_allowed';
  const { hasConsent } = await context.consents.verify(tx, customerId, operationId);
  return hasConsent ? { operation, question } : undefined;
}
