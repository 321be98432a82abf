import type { Click, Decision } from '../core/consent/consent.ts';
import type { Refusal } from '../core/consent/policy.ts';
import { isSamePerson, type Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ChatEvent, Form } from '../core/ports/chat.ts';
import { redact } from '../core/redaction.ts';
import { permissionProblem, permissionsIn, permissionsInstead, waysAt } from '../core/services/ways.ts';
import { readConsentValue, readWayValue } from './cards/consent-values.ts';
import { guideCard } from './cards/guide-card.ts';
import type { Context } from './context.ts';
import { sendSignInLink } from './credential-flow.ts';
import { eventRef, reply, whisperWords } from './speak.ts';

export const DENY_FORM = 'deny';
export const PERMISSIONS_FORM = 'permissions';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type Errors = Readonly<Record<string, string>> | undefined;

export const OLD_CARD =
  'This card is from an earlier version of the plan. Nothing was decided: look at the newest card of this request.';

/** Approve. Who may is decided at the click, in the transaction that records it. */
export async function approve(context: Context, customerId: CustomerId, member: Member, event: Action): Promise<void> {
  const shown = readConsentValue(event.value);
  if (!shown) return whisperWords(context, event, OLD_CARD);
  const decision = await context.consents.grant(customerId, {
    ...shown,
    by: member,
    ...collection(event),
    event: eventRef(event),
  });
  const isOpen = decision.kind === 'stale' || decision.kind === 'repeated';
  if (isOpen && (await renewed(context, customerId, member, decision.operation)))
    return whisperWords(context, event, OUTDATED);
  await afterDecision(context, customerId, event, decision);
  if (decision.kind === 'granted' && decision.next === 'awaiting_credentials')
    await sendSignInLink(context, decision.operation, { unlessSent: true });
  if (decision.kind === 'repeated') await takeUp(context, event, shown.planHash, decision.operation);
}

/** A click that comes again because this program, or its way to the database, died on the way: what it left undone is done. */
async function takeUp(
  context: Context,
  event: Action,
  planHash: string,
  operation: Operation | undefined,
): Promise<void> {
  if (operation?.state === 'awaiting_credentials') await sendSignInLink(context, operation, { unlessSent: true });
  if (operation?.state === 'awaiting_consent' && operation.planHash !== planHash)
    await whisperWords(context, event, OLD_CARD);
}

/** Deny asks for the reason first. */
export async function openDenyForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const operation = await openQuestion(context, customerId, member, event, 'deny');
  if (!operation) return;
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: DENY_FORM,
    value: event.value,
    title: 'Deny this request?',
    submit: 'Deny',
    intro: 'Nothing will be done. Your reason goes into the thread and on record.',
    fields: [{ kind: 'text', name: 'reason', label: 'Reason', isRequired: true, isMultiline: true }],
  });
}

export async function submitDenial(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  const shown = readConsentValue(event.value);
  const reason = reasonIn(event);
  if (!reason) return { reason: NO_REASON };
  if (!shown) return { reason: OLD_CARD };
  const decision = await context.consents.deny(
    customerId,
    { operationId: shown.operationId, by: member, ...collection(event), event: eventRef(event) },
    reason,
  );
  await afterDecision(context, customerId, event, decision);
  return undefined;
}

export const NO_REASON = 'Write a reason: whoever asked will want to know.';

/** What somebody writes goes on record: a password in it does not. */
export function reasonIn(event: Submitted): string {
  return asReason(event.fields.reason?.[0] ?? '');
}

export function asReason(words: string): string {
  const written = redact(words.replaceAll('\0', '').toWellFormed(), []);
  return [...written.trim()].slice(0, 500).join('');
}

/** Fewer or more permissions make another plan: the card changes, and only the new one can be approved. */
export async function openPermissionsForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const operation = await openQuestion(context, customerId, member, event, 'change');
  if (!operation) return;
  const asker = operation.requester.person.name;
  const widening = isSamePerson(member, operation.requester)
    ? ''
    : ` If you add to what ${asker} asked for, somebody other than you has to approve that; taking away needs nobody else.`;
  const form: Form = {
    form: PERMISSIONS_FORM,
    value: event.value,
    title: 'Choose permissions',
    submit: 'Make the new plan',
    intro: `The card then shows the new plan, and an approver decides on that one.${widening}`,
    fields: [
      {
        kind: 'checkboxes',
        name: 'permissions',
        label: 'It may',
        options: permissionsIn(operation.type, operation.way).map((p) => ({
          value: p.id,
          label: p.words,
          help: p.reason,
          isChecked: p.isRequired || operation.plan.permissions.includes(p.id),
          ...(p.isRequired ? { isLocked: true } : {}),
        })),
      },
    ],
  };
  await context.chat(event.thread.platform).openForm(event.trigger, form);
}

export async function submitPermissions(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  const shown = readConsentValue(event.value);
  const seen = await context.database.withCustomer(
    customerId,
    async (tx) => shown && context.operations.get(tx, customerId, shown.operationId),
  );
  const mayChange = seen && (await mayChangePlan(context, seen, member));
  const changed = await context.database.withCustomer(customerId, async (tx): Promise<Operation | string> => {
    const operation = shown && (await context.operations.get(tx, customerId, shown.operationId));
    if (operation?.state !== 'awaiting_consent' || operation.planHash !== shown?.planHash) return OLD_CARD;
    if (!mayChange) return 'Only an approver or whoever asked can change the plan.';
    const known = permissionsIn(operation.type, operation.way);
    const chosen = known.filter((p) => p.isRequired || event.fields.permissions?.includes(p.id)).map((p) => p.id);
    const problem = permissionProblem(operation.type, operation.way, chosen);
    if (problem) return problem;
    const isChanged = await context.operations.choosePermissions(tx, operation, chosen, member);
    return isChanged ? operation : OLD_CARD;
  });
  if (typeof changed === 'string') return { permissions: changed };
  await context.progress.refresh(customerId, changed.threadId);
  return undefined;
}

/** "I make the key myself": another way makes another plan, with the same choice of permissions as far as it knows them. */
export async function chooseWay(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const value = readWayValue(event.value);
  if (!value) return whisperWords(context, event, OLD_CARD);
  const seen = await openQuestion(context, customerId, member, { ...event, value: value.shown }, 'change');
  if (!seen) return;
  const way = waysAt(seen.type, context.publicUrl()).find(({ id }) => id === value.way);
  if (!way) return whisperWords(context, event, OLD_CARD);
  const permissions = permissionsInstead(seen.type, way, seen.plan.permissions);
  const problem = permissionProblem(seen.type, way, permissions);
  if (problem) return whisperWords(context, event, `${problem} Nothing was changed.`);
  const isChanged = await context.database.withCustomer(customerId, (tx) =>
    context.operations.choosePermissions(tx, seen, permissions, member, way),
  );
  if (!isChanged) return whisperWords(context, event, OLD_CARD);
  await context.progress.refresh(customerId, seen.threadId);
}

/** "How to do it by hand" */
export async function showGuide(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const operation = await context.database.withCustomer(customerId, async (tx) => {
    const found = await context.operations.get(tx, customerId, event.value);
    // Once for each person: whoever presses on adds nothing to the trail.
    const seen = { platform: event.thread.platform, id: `guide/${event.value}/${member.id}` };
    if (found && (await takeEvent(tx, customerId, seen)))
      await context.audit.append(tx, customerId, { kind: 'guide.shown', operationId: found.id, actor: member.id });
    return found;
  });
  if (!operation) return whisperWords(context, event, 'I know no such operation.');
  await reply(context, event, guideCard(operation), 'guide');
}

export const OUTDATED =
  'Another key was stored for this shop since this was shown, and yours would take its place. Nothing was decided: the card says so now, please look at it again.';

/** Makes the plan anew where it no longer says which key it replaces. */
export async function renewed(
  context: Context,
  customerId: CustomerId,
  member: Member,
  operation: Operation | undefined,
): Promise<boolean> {
  if (operation?.state !== 'awaiting_consent') return false;
  const isRenewed = await context.database.withCustomer(customerId, async (tx) => {
    if (await context.operations.saysWhatItReplaces(tx, operation)) return false;
    return context.operations.choosePermissions(tx, operation, operation.plan.permissions, member);
  });
  if (isRenewed) await context.progress.refresh(customerId, operation.threadId);
  return isRenewed;
}

async function afterDecision(
  context: Context,
  customerId: CustomerId,
  event: ChatEvent,
  decision: Decision,
): Promise<void> {
  if (decision.kind === 'refused')
    return whisperWords(context, event, `${REFUSALS[decision.why]} Nothing was changed.`);
  if (decision.kind === 'stale') return whisperWords(context, event, staleWords(decision.operation));
  if (decision.kind === 'already_approved')
    return whisperWords(context, event, 'You have approved this. It now takes the approval of somebody else.');
  if (!decision.operation) return;
  await context.progress.refresh(customerId, decision.operation.threadId);
}

export const REFUSALS: Readonly<Record<Refusal, string>> = {
  own_request: 'You asked for this yourself, so somebody else has to decide.',
  own_widening:
    'You added permissions that were not asked for, so somebody else has to approve this plan. With “Choose permissions” you can take them away again.',
  not_an_approver: 'You may not decide on this request. An admin chooses who may, with /countersign settings.',
  not_verified: 'I could not make sure who you are just now, so this does not count. Please try again in a moment.',
};

export function staleWords(operation: Operation | undefined): string {
  if (!operation) return 'I know no such operation.';
  const { request, decidedBy } = operation;
  if (operation.state === 'awaiting_consent') return OLD_CARD;
  const who = decidedBy ? ` by ${decidedBy.person.name}` : '';
  return `This was decided already: ${request?.decision ?? operation.state}${who}. Your click changed nothing.`;
}

/** The operation behind a card's button, when it still waits and this member may act on it; says why otherwise. */
export async function openQuestion(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
  what: 'deny' | 'change',
): Promise<Operation | undefined> {
  const shown = readConsentValue(event.value);
  const seen = await context.database.withCustomer(customerId, async (tx) => {
    const operation = shown && (await context.operations.get(tx, customerId, shown.operationId));
    if (!operation) return undefined;
    return operation;
  });
  if (seen?.state !== 'awaiting_consent') {
    await whisperWords(context, event, staleWords(seen));
    return undefined;
  }
  const mayChange = what === 'change' && isSamePerson(member, seen.requester);
  const permitted = await context.consents.mayDecide(customerId, member, seen, 'deny');
  if (!permitted.isPermitted && !mayChange) {
    await afterDecision(context, customerId, event, { kind: 'refused', why: permitted.why });
    return undefined;
  }
  if (seen.planHash !== shown?.planHash) {
    await whisperWords(context, event, OLD_CARD);
    return undefined;
  }
  return seen;
}

/** Whoever asked, and whoever could decide. */
async function mayChangePlan(context: Context, operation: Operation, member: Member): Promise<boolean> {
  if (isSamePerson(member, operation.requester)) return true;
  return (await context.consents.mayDecide(operation.customerId, member, operation, 'deny')).isPermitted;
}

/** How a decision was given, and by which browser where that said so itself. */
export function collection(event: ChatEvent): Pick<Click, 'method' | 'ipAddress' | 'userAgent'> {
  const browser = event.kind === 'action' || event.kind === 'form' ? event.browser : undefined;
  if (browser) return { method: 'console', ...browser };
  const { platform } = event.from;
  return { method: platform === 'slack' ? 'slack_button' : platform === 'teams' ? 'teams_card' : 'web' };
}
