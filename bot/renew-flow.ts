import { z } from 'zod';
import { lackOfApprovers } from '../core/consent/policy.ts';
import { STANDING_DAYS_MAX, type StandingDecision, templateHash } from '../core/consent/standing.ts';
import type { Member } from '../core/customers/customers.ts';
import { databaseNow } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { isRenewed } from '../core/notices/lapsing.ts';
import { isUnread } from '../core/operations/threads.ts';
import type { ChatEvent, MessageRef } from '../core/ports/chat.ts';
import { readConsentValue } from './cards/consent-values.ts';
import { standingCard } from './cards/standing-card.ts';
import { note } from './cards/text.ts';
import { collection, NO_REASON, OLD_CARD, REFUSALS, reasonIn } from './consent-flow.ts';
import type { Context } from './context.ts';
import { isNow, refuse } from './refusal.ts';
import { eventRef, whisperWords } from './speak.ts';

export const DENY_STANDING_FORM = 'deny_standing';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type Errors = Readonly<Record<string, string>> | undefined;

/**
 * Renew: asks for the same consent once more, in its thread and under the name of whoever pressed. It prolongs nothing; who
 * may approve countersigns what the new card shows.
 */
export async function renewConsent(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const found = await context.database.withCustomer(customerId, async (tx) => {
    const known = await context.consents.getById(tx, customerId, event.value);
    const consent = known && (await tx.consent.findUnique({ where: { customerId_id: { customerId, id: known.id } } }));
    const operation = consent && (await context.operations.get(tx, customerId, consent.operationId));
    if (!consent || !operation) return undefined;
    const { service, target } = consent;
    const alike = await tx.consent.findMany({ where: { customerId, service, target, revokedAt: null } });
    const [members, rules] = [await context.customers.members(tx, customerId), await context.customers.rules(tx, customerId)];
    const question = { workspace: operation.workspace, requester: member, widened: [] };
    const thread = await context.threads.get(tx, customerId, operation.threadId);
    return {
      ...{ consent, operation, thread, lack: lackOfApprovers(members, question, rules) },
      isRenewed: isRenewed(consent, alike),
      now: await databaseNow(tx),
    };
  });
  if (!found?.consent.templateHash || found.consent.expiresAt === null) return whisperWords(context, event, GONE);
  const { consent, operation, thread, lack, now } = found;
  const isOwn = member.id === consent.userId || member.personId === operation.requester.personId;
  if (!isOwn && !(await isNow(context, member, ['approver', 'admin'])))
    return refuse(context, customerId, member, event, {
      asked: 'renew',
      words: 'Only whoever asked or countersigned, an approver or an admin can ask for it again. Nothing was asked.',
    });
  if (consent.revokedAt) return whisperWords(context, event, 'It was taken back, so there is nothing to renew.');
  if (found.isRenewed) return whisperWords(context, event, 'It was renewed already. Nothing was asked.');
  if (!saysTheSame(context, operation.plan, consent.templateHash)) return whisperWords(context, event, CHANGED);
  if (lack === 'own' || lack === 'nobody') return whisperWords(context, event, ALONE);
  if (!thread || isUnread(thread.ref)) return whisperWords(context, event, GONE);
  const length = found.consent.expiresAt.getTime() - consent.grantedAt.getTime();
  // A moment less than the most: the database looks at its own clock a little later.
  const until = new Date(now.getTime() + Math.min(length, STANDING_DAYS_MAX * 86_400_000 - 60_000));
  const asked = await context.standingGrants.ask(customerId, operation.id, { by: member, until, keeps: consent.keeps });
  if (!asked) return whisperWords(context, event, 'That question is open already: see its card in the thread.');
  const card = standingCard({ ...asked, operation, askedBy: member });
  await context.chat(thread.ref.platform).post(thread.ref, card, { key: `standing:${asked.planHash}` });
  await whisperWords(context, event, 'Asked again, in its thread. It holds once somebody who may has countersigned it.');
}

const GONE = 'I know no such consent any more. Nothing was asked.';
const CHANGED =
  'The way in which this is done has changed since, so that consent would cover nothing. Ask for repairs anew, at the result. Nothing was asked.';
const ALONE =
  'If you ask, nobody is left who could countersign. Have whoever asked for it first, or another approver, press Renew. Nothing was asked.';

/** Of another version, or another way, the same consent would let nothing run. */
function saysTheSame(
  { workflows }: Context,
  plan: Parameters<typeof templateHash>[0],
  consented: string,
): boolean {
  return workflows.get(plan.workflowId)?.version === plan.workflowVersion && templateHash(plan) === consented;
}

/** Approve on the card of a standing consent. */
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
  await afterDecision(context, customerId, member, { event, message: event.message, shown }, decision);
}

export async function openDenyStandingForm(context: Context, event: Action): Promise<void> {
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: DENY_STANDING_FORM,
    value: JSON.stringify({ shown: event.value, message: event.message }),
    title: 'Deny these repairs?',
    submit: 'Deny',
    intro: 'Nothing will be repaired by itself. Your reason goes on record.',
    fields: [{ kind: 'text', name: 'reason', label: 'Reason', isRequired: true, isMultiline: true }],
  });
}

export async function submitStandingDenial(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  const reason = reasonIn(event);
  if (!reason) return { reason: NO_REASON };
  const carried = readCarried(event.value);
  const shown = carried && readConsentValue(carried.shown);
  if (!shown) return { reason: OLD_CARD };
  const { operationId, planHash } = shown;
  const click = { operationId, by: member, ...collection(event), event: eventRef(event) };
  const decision = await context.standingGrants.deny(customerId, click, reason);
  const { message } = carried;
  await afterDecision(context, customerId, member, { event, message, shown: { operationId, planHash } }, decision);
  return undefined;
}

/** What the form carries: the question, and the message that asks it. */
const carriedSchema = z.object({
  shown: z.string(),
  message: z
    .object({
      ref: z.string(),
      thread: z.object({ platform: z.enum(['slack', 'teams', 'web']), workspaceId: z.string(), ref: z.string() }),
    })
    .optional(),
});

function readCarried(value: string): z.infer<typeof carriedSchema> | undefined {
  try {
    return carriedSchema.parse(JSON.parse(value));
  } catch {
    return undefined;
  }
}

interface Answered {
  readonly event: Action | Submitted;
  /** The card with the question, where it is known. */
  readonly message: MessageRef | undefined;
  readonly shown: { readonly operationId: string; readonly planHash: string };
}

/** Says what came of it: the card, which from then on has no buttons; whoever pressed, where it came to nothing. */
async function afterDecision(
  context: Context,
  customerId: CustomerId,
  by: Member,
  { event, message, shown }: Answered,
  decision: StandingDecision,
): Promise<void> {
  switch (decision.kind) {
    case 'repeated':
      return;
    case 'refused':
      return whisperWords(context, event, `${REFUSALS[decision.why]} Nothing was changed.`);
    case 'stale':
      return whisperWords(context, event, 'This was decided already, or its time is over. Your click changed nothing.');
    case 'already_approved':
      return whisperWords(context, event, 'You have approved this. It now takes the approval of somebody else.');
    case 'approved': {
      const { approvals, required } = decision;
      return whisperWords(context, event, `You have approved it: ${approvals} of ${required}. It holds once it is enough.`);
    }
    case 'denied':
    case 'granted': {
      const words = decision.kind === 'granted' ? await grantedCard(context, customerId, by, shown, decision) : undefined;
      const card = words ?? note(`${by.person.name} denied the repairs of ${shown.operationId}. Nothing is repaired by itself.`);
      const chat = context.chat(event.thread.platform);
      if (message) await chat.update(message, card);
      else await chat.post(event.thread, card, { key: `standing-decided:${shown.planHash}` });
      return;
    }
    default:
      return decision satisfies never;
  }
}

async function grantedCard(
  context: Context,
  customerId: CustomerId,
  by: Member,
  { operationId, planHash }: Answered['shown'],
  { terms }: Extract<StandingDecision, { kind: 'granted' }>,
) {
  return context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, operationId);
    const asked = await tx.consentRequest.findFirst({ where: { customerId, operationId, planHash, decision: 'granted' } });
    if (!operation || !asked?.askedBy) return undefined;
    const askedBy = await context.customers.memberById(tx, customerId, asked.askedBy);
    const { expiresAt } = asked;
    return standingCard({ operation, terms, planHash, expiresAt, askedBy, decided: { kind: 'granted', by } });
  });
}
