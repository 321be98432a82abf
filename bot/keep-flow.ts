import type { Offered } from '../core/connections/repair-offer.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId, MemberId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import { mayRevoke } from '../core/operations/revocation.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { ConnectOutcome, ConnectView } from '../core/ports/connect.ts';
import { isUnencrypted } from '../core/ports/http.ts';
import type { Link } from '../core/vault/links.ts';
import { readConsentValue } from './cards/consent-values.ts';
import { oneTimePageCard } from './cards/link-card.ts';
import { place, text } from './cards/text.ts';
import { collection, NO_REASON, OLD_CARD, REFUSALS, reasonIn } from './consent-flow.ts';
import type { Context } from './context.ts';
import { issueLink, type LinkOnce, showLink } from './link-flow.ts';
import { eventRef, whisperWords } from './speak.ts';

export const DENY_STANDING_FORM = 'deny_standing';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;

const NOT_OFFERED: Readonly<Record<Exclude<Offered['kind'], 'asked' | 'repeated'>, string>> = {
  open: 'That was asked already: the card is in this thread. Nothing was changed.',
  not_possible: 'This key can’t be repaired by itself, or is not the stored one any more. Nothing was changed.',
  not_allowed: 'Only whoever asked, an approver or an admin can ask for that. Nothing was changed.',
  unknown: 'I know no such operation. Nothing was changed.',
};

/** "Keep it working": the question for a standing grant, for approvers, in the thread of the connection. */
export async function keepWorking(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const { kind } = await context.repairOffers.offer(customerId, event.value, member, eventRef(event));
  if (kind !== 'asked' && kind !== 'repeated') return whisperWords(context, event, NOT_OFFERED[kind]);
  await refresh(context, customerId, event.value);
}

/** Approve on that card. Who may is decided at the click, in the transaction that records it. */
export async function approveStanding(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const shown = readConsentValue(event.value);
  if (!shown) return whisperWords(context, event, OLD_CARD);
  const click = { ...shown, by: member, ...collection(event), event: eventRef(event) };
  const decision = await context.standingGrants.grant(customerId, click);
  if (decision.kind === 'refused')
    return whisperWords(context, event, `${REFUSALS[decision.why]} Nothing was changed.`);
  if (decision.kind === 'stale')
    return whisperWords(context, event, 'This was decided already, or has lapsed. Your click changed nothing.');
  if (decision.kind === 'already_approved')
    return whisperWords(context, event, 'You have approved this. It now takes the approval of somebody else.');
  await refresh(context, customerId, shown.operationId);
  // A click that comes again because something failed on the way: what it left undone is done.
  if (decision.kind === 'granted' || decision.kind === 'repeated')
    await sendToWhoAsked(context, customerId, shown.operationId, event);
}

export async function openDenyStandingForm(context: Context, event: Action): Promise<void> {
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: DENY_STANDING_FORM,
    value: event.value,
    title: 'Deny repairs to come?',
    submit: 'Deny',
    intro: 'The key stays as it is, and I ask each time. Your reason goes on record.',
    fields: [{ kind: 'text', name: 'reason', label: 'Reason', isRequired: true, isMultiline: true }],
  });
}

export async function submitDenialOfStanding(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Readonly<Record<string, string>> | undefined> {
  const shown = readConsentValue(event.value);
  const reason = reasonIn(event);
  if (!reason) return { reason: NO_REASON };
  if (!shown) return { reason: OLD_CARD };
  const { operationId } = shown;
  const click = { operationId, by: member, ...collection(event), event: eventRef(event) };
  const decision = await context.standingGrants.deny(customerId, click, reason);
  if (decision.kind === 'refused') await whisperWords(context, event, `${REFUSALS[decision.why]} Nothing was changed.`);
  else if (decision.kind === 'stale')
    await whisperWords(context, event, 'This was decided already, or has lapsed. Nothing was changed.');
  else await refresh(context, customerId, operationId);
  return undefined;
}

/** "Enter the sign-in to keep": a link of their own for whoever presses, if the key is theirs to look after. */
export async function keepSignIn(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const operation = await operationOf(context, customerId, event.value);
  if (!operation) return whisperWords(context, event, NOT_OFFERED.unknown);
  if (!mayRevoke(operation, member)) return whisperWords(context, event, NOT_OFFERED.not_allowed);
  if (!(await sendLink(context, operation, member, { event: eventRef(event) })))
    await whisperWords(context, event, 'Nothing keeps a sign-in here any more. Nothing was changed.');
}

/** A link to enter what the grant keeps, where it keeps anything; once for each click that grants. */
async function sendToWhoAsked(
  context: Context,
  customerId: CustomerId,
  operationId: string,
  { thread: { platform }, id }: Action,
): Promise<void> {
  const operation = await operationOf(context, customerId, operationId);
  if (!operation) return;
  const state = await context.database.withCustomer(customerId, (tx) => context.repairOffers.state(tx, operation));
  const once = { event: { platform, id: `${id}/link` } };
  if (state?.grant && state.askedBy && !state.isKept) await sendLink(context, operation, state.askedBy, once);
}

/** @returns whether there is anything to enter. */
async function sendLink(context: Context, operation: Operation, to: Member, once: LinkOnce): Promise<boolean> {
  const { customerId, id: operationId, service, plan } = operation;
  const issued = await context.database.withCustomer(customerId, async (tx) => {
    if ((await context.repairOffers.fieldsToKeep(tx, operation)).length === 0) return 'nothing';
    const link = await issueLink(context, tx, { purpose: 'keep', operation, to }, once);
    if (!link) return 'sent';
    const entry = { kind: 'credentials.asked', operationId, payload: { from: to.id } } as const;
    await context.audit.append(tx, customerId, entry);
    return link;
  });
  if (typeof issued === 'string') return issued === 'sent';
  const words = `Enter the ${service.name} sign-in for ${place(plan.base)} that is kept for repairs.`;
  const use = [text('It is used for nothing but repairs of this key, and deleted when that consent ends.')];
  await showLink(context, issued, oneTimePageCard(operation, issued.url, words, use));
  return true;
}

/** What the one-time page shows for such a link; `undefined`: nothing keeps a sign-in any more. */
export async function keepView(context: Context, { customerId, operationId }: Link) {
  return context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, operationId);
    const fields = operation ? await context.repairOffers.fieldsToKeep(tx, operation) : [];
    const state = operation && (await context.repairOffers.state(tx, operation));
    if (!operation || !state?.grant?.expiresAt || fields.length === 0) return undefined;
    return {
      kind: 'sign_in',
      title: `Keep ${operation.service.name} working`,
      fields: fields.map(({ name, label, help, isSecret, autocomplete }) => ({
        ...{ name, label, isSecret, autocomplete },
        // Its own words say that it is deleted when one operation ends.
        help: isSecret
          ? 'It is typed into your own sign-in page, when this key is repaired and for nothing else.'
          : help,
      })),
      isUnencrypted: isUnencrypted(operation.plan.origin),
      keptUntil: state.grant.expiresAt,
    } as const satisfies Partial<ConnectView>;
  });
}

export async function submitKept(
  context: Context,
  link: Link,
  fields: Readonly<Record<string, string>>,
): Promise<ConnectOutcome> {
  const { customerId, operationId, memberId } = link;
  const operation = await operationOf(context, customerId, operationId);
  if (!operation) return { kind: 'gone' };
  const may = await isStillTheirs(context, operation, memberId);
  if (!may) return { kind: 'gone' };
  const kept = await context.repairOffers.keep(operation, memberId, fields, (tx) => context.links.spend(tx, link));
  return kept.kind === 'kept' ? { kind: 'entered', what: 'kept' } : kept;
}

function isStillTheirs(context: Context, operation: Operation, id: MemberId): Promise<boolean> {
  return context.database.withCustomer(operation.customerId, async (tx) =>
    mayRevoke(operation, await context.customers.memberById(tx, operation.customerId, id)),
  );
}

function operationOf(context: Context, customerId: CustomerId, id: string): Promise<Operation | undefined> {
  return context.database.withCustomer(customerId, (tx) => context.operations.get(tx, customerId, id));
}

async function refresh(context: Context, customerId: CustomerId, operationId: string): Promise<void> {
  const operation = await operationOf(context, customerId, operationId);
  if (operation) await context.progress.refresh(customerId, operation.threadId);
}
