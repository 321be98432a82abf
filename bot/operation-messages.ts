import { z } from 'zod';
import type { Audit } from '../core/audit/audit.ts';
import type { RepairOffers } from '../core/connections/repair-offer.ts';
import type { Transaction } from '../core/database.ts';
import { type CustomerId, memberId } from '../core/ids.ts';
import { mayControl } from '../core/operations/control.ts';
import { type OperatorPause, pauseOf } from '../core/operations/hold.ts';
import type { Operation } from '../core/operations/operation.ts';
import { type Question, questionsOf } from '../core/operations/questions.ts';
import { isEnd } from '../core/operations/states.ts';
import type { Chat, PictureLink, Platform } from '../core/ports/chat.ts';
import { closedCodeLinkCard, closedKeepLinkCard, closedLinkCard, linkSlot, usedRevealCard } from './cards/link-card.ts';
import { progressCard } from './cards/progress-card.ts';
import { type Asked, questionCard, questionReminderCard } from './cards/question-card.ts';
import { type OnRecord, resultCard } from './cards/result-card.ts';
import { givenUpCard } from './cards/standing-card.ts';
import { connectionMessages } from './connection-messages.ts';
import type { ConsentMessages, ConsentMessagesDeps } from './consent-messages.ts';
import { shownLinks } from './link-flow.ts';
import type { Wanted } from './showing.ts';
import { standingQuestion } from './standing-question.ts';

export interface OperationMessagesDeps extends ConsentMessagesDeps {
  readonly audit: Audit;
  chat(platform: Platform): Chat;
  /** Absent: repairs are not offered. */
  readonly repairOffers?: Pick<RepairOffers, 'state' | 'mayOffer'>;
  /** The address of a picture, bound to it alone. */
  pictureUrl(customerId: CustomerId, pictureId: string): string;
}

/** All that its thread shows of an operation, as things stand. */
export async function operationMessages(
  tx: Transaction,
  deps: OperationMessagesDeps,
  operation: Operation,
  consentMessages: ConsentMessages,
): Promise<Wanted[]> {
  const { id, customerId } = operation;
  const wanted: Wanted[] = [...(await consentMessages(operation))];
  const pause = isEnd(operation.state) ? undefined : await pauseOf(tx, customerId);
  const questions = operation.startedAt ? await questionsOf(tx, customerId, id) : [];
  const { state, hold } = operation;
  // The question shows the page that counts; its picture twice in a row would only push the buttons away.
  const isAsking = state === 'waiting_for_human' || (state === 'paused' && hold === null);
  const all = operation.startedAt ? await pictures(tx, deps, operation) : [];
  const shown = isAsking ? [] : all.map(({ link }) => link);
  const hasBegun = operation.startedAt !== null || state === 'queued' || state === 'paused';
  const card = progressCard(operation, shown, { asked: questions.at(-1), pause });
  // What ended before its first step has a card to change where it was queued or paused before.
  wanted.push({ slot: `progress:${id}`, card, isChangeOnly: !hasBegun });
  wanted.push(...pictureMessages(operation, all));
  for (const question of questions) wanted.push(...(await questionMessages(tx, deps, operation, question, pause)));
  if (isEnd(operation.state)) {
    const mayOffer = (await deps.repairOffers?.mayOffer(tx, operation)) ?? false;
    wanted.push({ slot: `result:${id}`, card: resultCard(operation, await onRecord(tx, deps, operation), mayOffer) });
    wanted.push(...(await repairMessages(tx, deps, operation)));
  }
  const closed = [
    ...(await closedLinks(tx, deps, operation)),
    ...(questions.length > 0 ? await closedCodeLinks(tx, deps, operation) : []),
    ...(await usedReveals(tx, deps, operation)),
  ];
  return [...wanted, ...closed, ...(isEnd(operation.state) ? await connectionMessages(tx, deps, operation) : [])];
}

/** The question for a standing grant, and that repairs under one were given up. */
async function repairMessages(
  tx: Transaction,
  deps: OperationMessagesDeps,
  operation: Operation,
): Promise<readonly Wanted[]> {
  const { customerId, id, plan } = operation;
  const { repairOffers } = deps;
  const asked = repairOffers && (await standingQuestion(tx, { ...deps, repairOffers }, operation));
  const wanted: Wanted[] = asked ? [{ slot: `standing:${asked.state.request.id}`, card: asked.card }] : [];
  if (asked) wanted.push(...(await closedKeepLinks(tx, deps, asked)));
  if (plan.repair?.consent !== undefined) {
    const tries = await givenUp(tx, deps, customerId, id);
    if (tries !== undefined) wanted.push({ slot: `given-up:${id}`, card: givenUpCard(operation, tries) });
  }
  return wanted;
}

const givenUpSchema = z.object({ tries: z.int() });

/** How often it was tried before it was given up, with this one as the last; `undefined`: it was not. */
async function givenUp(
  tx: Transaction,
  { audit }: OperationMessagesDeps,
  customerId: CustomerId,
  operationId: string,
): Promise<number | undefined> {
  const entry = await audit.entryOf(tx, customerId, operationId, 'repair.given_up');
  return entry && (givenUpSchema.safeParse(entry.payload).data?.tries ?? 2);
}

/**
 * A step's picture as a message of its own. Work that goes on in a fresh browser goes through steps again that were done:
 * they have new pictures, and nothing new to show.
 */
function pictureMessages({ id: operationId, steps }: Operation, all: readonly KeptPicture[]): readonly Wanted[] {
  const states = new Map(steps.map(({ screenshotId, state, number }) => [screenshotId, { state, number }]));
  return all.flatMap(({ id: pictureId, link }): Wanted[] => {
    const { state, number } = states.get(pictureId) ?? {};
    const message = { card: { summary: link.alt, blocks: [] }, picture: link };
    if (state === 'done') return [{ ...message, slot: `picture:${operationId}:${number}`, isOnce: true }];
    // Of a step that runs again it is the last one’s.
    return state === 'failed' ? [{ ...message, slot: `picture:${pictureId}` }] : [];
  });
}

/** The question, a message of its own since an edit calls nobody; and the reminder of it. */
async function questionMessages(
  tx: Transaction,
  deps: OperationMessagesDeps,
  operation: Operation,
  question: Question,
  pause: OperatorPause | undefined,
): Promise<readonly Wanted[]> {
  const { customerId } = operation;
  const { id, screenshotId, answeredBy } = question;
  const members = await deps.customers.members(tx, customerId);
  const asked: Asked = {
    operation,
    question,
    answeredBy: answeredBy ? await deps.customers.memberById(tx, customerId, answeredBy) : undefined,
    mayAnswer: members.filter((member) => mayControl(operation, member)),
    pause,
    picture: screenshotId ? (await pictureLinks(tx, deps, operation, [screenshotId]))[0]?.link : undefined,
  };
  return [
    { slot: `question:${id}`, card: questionCard(asked) },
    ...(question.remindedAt ? [{ slot: `question-reminder:${id}`, card: questionReminderCard(asked) }] : []),
  ];
}

/** The links to the page for a code, once they lead nowhere: one was used, or nobody needs them any more. */
async function closedCodeLinks(
  tx: Transaction,
  deps: OperationMessagesDeps,
  operation: Operation,
): Promise<readonly Wanted[]> {
  const { customerId, id: operationId } = operation;
  const links = await tx.connectLink.findMany({
    where: { customerId, operationId, purpose: 'answer', spentAt: { not: null } },
    ...{ select: { id: true, memberId: true }, orderBy: { createdAt: 'asc' } },
  });
  const wanted: Wanted[] = [];
  for (const { id, memberId: by } of toSay(deps, operation, await shownLinks(tx, operation, links)))
    wanted.push({
      ...{ slot: linkSlot(id), card: closedCodeLinkCard() },
      to: (await deps.customers.memberById(tx, customerId, memberId(by))).person,
    });
  return wanted;
}

/** The links to the one-time page, once nobody needs them any more: their buttons must not look as if they led anywhere. */
async function closedLinks(
  tx: Transaction,
  deps: OperationMessagesDeps,
  operation: Operation,
): Promise<readonly Wanted[]> {
  const { customerId, id: operationId, requester, state } = operation;
  if (!operation.grant || state === 'awaiting_credentials') return [];
  const where = { customerId, operationId, purpose: 'credentials' };
  const select = { id: true, memberId: true };
  const links = await tx.connectLink.findMany({ where, select, orderBy: { createdAt: 'asc' } });
  return toSay(deps, operation, await shownLinks(tx, operation, links)).map(({ id }) => ({
    ...{ slot: linkSlot(id), card: closedLinkCard(operation), to: requester.person },
  }));
}

/** The same for the sign-in that repairs keep: it was entered, or nothing keeps it any more. */
async function closedKeepLinks(
  tx: Transaction,
  deps: OperationMessagesDeps,
  { operation, state }: NonNullable<Awaited<ReturnType<typeof standingQuestion>>>,
): Promise<readonly Wanted[]> {
  const { customerId, id: operationId } = operation;
  if (state.grant && !state.isKept) return [];
  const where = { customerId, operationId, purpose: 'keep' };
  const select = { id: true, memberId: true, spentAt: true };
  const issued = await tx.connectLink.findMany({ where, select, orderBy: { createdAt: 'asc' } });
  const links = await shownLinks(tx, operation, issued);
  const enteredAt = links.findLast(({ spentAt }) => spentAt)?.spentAt ?? undefined;
  const wanted: Wanted[] = [];
  for (const { id, memberId: by } of toSay(deps, operation, links))
    wanted.push({
      ...{ slot: linkSlot(id), card: closedKeepLinkCard(enteredAt) },
      to: (await deps.customers.memberById(tx, customerId, memberId(by))).person,
    });
  return wanted;
}

/** Where a message can't be replaced each would be one more: then a person is told of their newest link alone. */
function toSay<L extends { readonly memberId: string }>(
  { chat }: OperationMessagesDeps,
  { workspace }: Operation,
  links: readonly L[],
): readonly L[] {
  if (chat(workspace.platform).capabilities.ephemeralInPlace) return links;
  return [...new Map(links.map((link) => [link.memberId, link])).values()];
}

async function usedReveals(
  tx: Transaction,
  { customers }: OperationMessagesDeps,
  operation: Operation,
): Promise<readonly Wanted[]> {
  const { customerId, id: operationId } = operation;
  if (!isEnd(operation.state)) return []; // there is no key before
  const where = { customerId, operationId, purpose: 'reveal', spentAt: { not: null } };
  const links = await tx.connectLink.findMany({
    ...{ where, orderBy: { createdAt: 'asc' } },
    select: { id: true, memberId: true, spentAt: true },
  });
  const wanted: Wanted[] = [];
  for (const { id, memberId: by, spentAt } of await shownLinks(tx, operation, links)) {
    const { person } = await customers.memberById(tx, customerId, memberId(by));
    if (spentAt) wanted.push({ slot: linkSlot(id), card: usedRevealCard(person, spentAt), to: person });
  }
  return wanted;
}

interface KeptPicture {
  readonly id: string;
  readonly link: PictureLink;
}

function pictures(tx: Transaction, deps: OperationMessagesDeps, operation: Operation): Promise<readonly KeptPicture[]> {
  const ids = operation.steps.flatMap((step) => (step.screenshotId ? [step.screenshotId] : []));
  return pictureLinks(tx, deps, operation, ids);
}

async function pictureLinks(
  tx: Transaction,
  deps: OperationMessagesDeps,
  { customerId, id: operationId }: Operation,
  ids: readonly string[],
): Promise<readonly KeptPicture[]> {
  const rows = await tx.screenshot.findMany({
    where: { customerId, operationId, id: { in: [...ids] } },
    select: { id: true, step: true, alt: true, width: true, height: true },
    orderBy: { step: 'asc' },
  });
  return rows.map(({ id, alt, width, height }) => ({
    id,
    link: { url: deps.pictureUrl(customerId, id), alt, width, height },
  }));
}

/** The entry that ended the operation: a place in the chain that the thread itself now witnesses. */
async function onRecord(tx: Transaction, deps: OperationMessagesDeps, operation: Operation): Promise<OnRecord> {
  const { customerId, id: operationId } = operation;
  const ends = ['completed', 'failed', 'denied', 'expired', 'cancelled'].map((state) => `operation.${state}`);
  const last = await tx.auditEntry.findFirst({
    where: { customerId, operationId, kind: { in: ends } },
    orderBy: { seq: 'desc' },
  });
  const entries = await tx.auditEntry.count({ where: { customerId, operationId, seq: { lte: last?.seq ?? 0n } } });
  const isIntact = await deps.audit.isIntactUpTo(tx, customerId, last?.seq ?? 0n);
  return { entries, seq: last?.seq ?? 0n, hash: Buffer.from(last?.hash ?? []).toString('hex'), isIntact };
}
