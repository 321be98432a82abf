import type { Together } from '../core/consent/consent.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import { askedTogether, split } from '../core/operations/together.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import { consentValue, readTogetherValue } from './cards/consent-values.ts';
import {
  collection,
  NO_REASON,
  OLD_CARD,
  OUTDATED,
  openQuestion,
  REFUSALS,
  reasonIn,
  renewed,
  staleWords,
} from './consent-flow.ts';
import type { Context } from './context.ts';
import { sendSignInLink } from './credential-flow.ts';
import { eventRef, whisperWords } from './speak.ts';

export const DENY_TOGETHER_FORM = 'deny_together';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type None = Extract<Together<never>, { kind: 'none' }>;

/** "Approve both": each plan is countersigned as the card showed it, or none is. */
export async function approveTogether(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const shown = readTogetherValue(event.value);
  if (!shown) return whisperWords(context, event, OLD_CARD);
  const click = { by: member, ...collection(event), event: eventRef(event) };
  const outcome = await context.consents.grantTogether(customerId, shown, click);
  if (outcome.kind === 'none') return sayWhyNot(context, customerId, member, event, outcome);
  await showAnew(context, customerId, outcome.each);
  if (outcome.each.every(({ kind }) => kind === 'already_approved'))
    return whisperWords(context, event, 'You have approved these. They now take the approval of somebody else.');
  for (const decision of outcome.each)
    if (decision.kind === 'granted' && decision.next === 'awaiting_credentials')
      await sendSignInLink(context, decision.operation, { unlessSent: true });
}

/** "Deny both" asks for the one reason first. */
export async function openDenyTogetherForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const shown = readTogetherValue(event.value);
  if (!shown) return whisperWords(context, event, OLD_CARD);
  for (const { operationId, planHash } of shown) {
    const one = { ...event, value: consentValue(operationId, planHash) };
    if (!(await openQuestion(context, customerId, member, one, 'deny'))) return;
  }
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: DENY_TOGETHER_FORM,
    value: event.value,
    title: `Deny ${shown.length === 2 ? 'both' : 'all'} requests?`,
    submit: `Deny ${shown.length === 2 ? 'both' : 'all'}`,
    intro: `Nothing will be done for ${shown.length === 2 ? 'either' : 'any'} of them. Your reason goes into the thread and on record.`,
    fields: [{ kind: 'text', name: 'reason', label: 'Reason', isRequired: true, isMultiline: true }],
  });
}

export async function submitDenialTogether(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Readonly<Record<string, string>> | undefined> {
  const shown = readTogetherValue(event.value);
  const reason = reasonIn(event);
  if (!reason) return { reason: NO_REASON };
  if (!shown) return { reason: OLD_CARD };
  const click = { by: member, ...collection(event), event: eventRef(event) };
  const outcome = await context.consents.denyTogether(customerId, shown, click, reason);
  if (outcome.kind === 'none') await sayWhyNot(context, customerId, member, event, outcome);
  else await showAnew(context, customerId, outcome.each);
  return undefined;
}

/** "One at a time": each request gets a card of its own, with all its choices. Nothing is decided by that. */
export async function splitTogether(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const shown = readTogetherValue(event.value);
  const [first] = shown ?? [];
  if (!first) return whisperWords(context, event, OLD_CARD);
  const one = { ...event, value: consentValue(first.operationId, first.planHash) };
  const operation = await openQuestion(context, customerId, member, one, 'change');
  if (!operation) return;
  await context.database.withCustomer(customerId, async (tx) => {
    const groups = await askedTogether(tx, customerId, operation.threadId);
    const group = groups.find(({ ids }) => ids.includes(operation.id));
    if (group) await split(tx, customerId, operation.threadId, group);
  });
  await context.progress.refresh(customerId, operation.threadId);
}

/** What stood in the way of all of them, and that none was decided. */
async function sayWhyNot(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action | Submitted,
  { why }: None,
): Promise<void> {
  const operations = why.flatMap((each) => ('operation' in each && each.operation ? [each.operation] : []));
  const refused = why.find((each) => each.kind === 'refused');
  if (refused)
    return whisperWords(context, event, `${REFUSALS[refused.why]} None of these requests was decided by your click.`);
  if (why.some(({ kind }) => kind === 'repeated')) return takeUp(context, customerId, operations);
  let isRenewed = false;
  for (const operation of operations) isRenewed = (await renewed(context, customerId, member, operation)) || isRenewed;
  if (isRenewed) return whisperWords(context, event, OUTDATED);
  await showAnew(
    context,
    customerId,
    operations.map((operation) => ({ operation })),
  );
  const words = operations.map((operation) => `${operation.service.name}: ${staleWords(operation)}`);
  const lead = 'They are decided together or not at all, so nothing was decided now.';
  await whisperWords(context, event, [...(words.length > 0 ? words : [staleWords(undefined)]), lead].join(' '));
}

/** A click that comes again because this program died on the way: what it left undone is done. */
async function takeUp(context: Context, customerId: CustomerId, operations: readonly Operation[]): Promise<void> {
  await showAnew(
    context,
    customerId,
    operations.map((operation) => ({ operation })),
  );
  for (const operation of operations)
    if (operation.state === 'awaiting_credentials') await sendSignInLink(context, operation, { unlessSent: true });
}

/** They stand in one thread. */
async function showAnew(
  { progress }: Context,
  customerId: CustomerId,
  all: readonly { readonly operation: Operation }[],
): Promise<void> {
  for (const threadId of new Set(all.map(({ operation }) => operation.threadId)))
    await progress.refresh(customerId, threadId);
}
