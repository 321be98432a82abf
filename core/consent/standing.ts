import { z } from 'zod';
import type { Consent, ConsentRequest } from '../../prisma/generated/client.ts';
import { canonical, sha256Hex } from '../canonical.ts';
import type { Customers, Member } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { hadEffect, takeEvent } from '../operations/events.ts';
import { lockedOperation } from '../operations/locked.ts';
import { CONSENT_REQUEST_MINUTES, isAboutOwnKey, type Plan, readPlan } from '../operations/plan.ts';
import type { Sight } from '../operations/sight.ts';
import { isEnd, parseState } from '../operations/states.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Queue } from '../queue/queue.ts';
import type { Way } from '../services/service.ts';
import type { Vault } from '../vault/vault.ts';
import {
  type Approved,
  type Click,
  collected,
  createDecisions,
  type DecisionDeps,
  type Refused,
  type Repeated,
  type Stale,
  type Subject,
} from './decisions.ts';
import { closeRequest, insertConsent, insertQuestion } from './records.ts';
import {
  type ConsentVerdict,
  isPlanOf,
  liveness,
  type PlannedRow,
  refusal,
  stillApproved,
  verdictOn,
} from './verdict.ts';

/** The permission that a standing grant adds to those of its plan, and that nothing else gives. */
export const REPAIR_PERMISSION = 'repair';

/** The longest that a standing grant lasts: as long as a key is trusted between two rotations. */
export const STANDING_DAYS_MAX = 90;

/** Exactly what is shown for a standing grant: repairs of what, how, until when, and which sign-in secrets stay for them. */
export type StandingTerms = z.infer<typeof standingTerms>;
const standingTerms = z.strictObject({
  v: z.literal(1),
  operationId: z.string(),
  service: z.string(),
  operationType: z.string(),
  target: z.string(),
  workflowId: z.string(),
  workflowVersion: z.int(),
  templateHash: z.string(),
  permissions: z.array(z.string()),
  /** Types of the sign-in secrets. */
  keeps: z.array(z.string()),
  /** ISO 8601 */
  until: z.string(),
});

/**
 * SHA-256, in hex, of the plan without what is another one each time: ids, label, expiry, the key that it is about or
 * replaces, what was amiss with that. Another version of the workflow, another permission or another step makes another template.
 */
export function templateHash(plan: Plan): string {
  // The workflow's id says which way it is, also in plans that name none.
  const {
    operationId: _,
    label,
    expiresAt: __,
    runsUntil: ___,
    replaces: ____,
    way: _____,
    isFirstHere: ______,
    key,
    repair: _______,
    values: { oldLabel: ________, ...values },
    ...rest
  } = plan;
  const bare = (intent: string) =>
    (key ? intent.replaceAll(key.label, '{oldLabel}') : intent).replaceAll(label, '{label}');
  const steps = plan.steps.map((step) => ({ ...step, intent: bare(step.intent) }));
  return sha256Hex(canonical({ ...rest, values, steps }));
}

function termsOf(id: OperationId, plan: Plan, until: Date, keeps: readonly string[]): StandingTerms {
  return {
    v: 1,
    operationId: id,
    service: plan.service,
    operationType: plan.operationType,
    target: plan.base,
    workflowId: plan.workflowId,
    workflowVersion: plan.workflowVersion,
    templateHash: templateHash(plan),
    permissions: [...plan.permissions, REPAIR_PERMISSION].sort(),
    keeps: [...keeps].sort(),
    until: until.toISOString(),
  };
}

/** RFC 8785 text. */
function termsText(terms: StandingTerms): string {
  return canonical(terms);
}

export function termsOfRequest({ terms }: Pick<ConsentRequest, 'terms'>): StandingTerms {
  return standingTerms.parse(JSON.parse(terms ?? ''));
}

function termsHash(terms: StandingTerms): string {
  return sha256Hex(termsText(terms));
}

/** Consents for repairs to come. */
export interface StandingGrants {
  /**
   * Asks for one: repairs by this operation's plan until then; its sign-in secrets of the types in `keeps` outlive it for
   * that. @returns `undefined` while another such question is open, the event has asked before, or there is no such operation.
   * @throws RangeError for a time that is past or more than 90 days away, or a type that is no sign-in field.
   */
  ask(customerId: CustomerId, operationId: string, asked: AskedRepairs): Promise<StandingQuestion | undefined>;
  /** `planHash`: that of the terms. One approval; the one that makes them enough is the countersignature. */
  grant(customerId: CustomerId, click: Click): Promise<StandingDecision>;
  deny(customerId: CustomerId, click: Omit<Click, 'planHash'>, reason: string): Promise<StandingDecision>;
  /** Whether one lets this very plan, as made today, run as a repair right now. */
  verify(tx: Transaction, customerId: CustomerId, plan: Plan): Promise<ConsentVerdict>;
}

export interface AskedRepairs {
  readonly by: Member;
  readonly until: Date;
  readonly keeps: readonly string[];
  readonly event?: EventRef;
  /** A repair as it would be planned today, and its way; absent: what the operation did, once more. */
  readonly as?: { readonly plan: Plan; readonly way: Way };
}

export interface StandingQuestion {
  readonly terms: StandingTerms;
  readonly planHash: string;
  readonly expiresAt: Date;
}

export type StandingDecision =
  | { readonly kind: 'granted'; readonly consentId: string; readonly terms: StandingTerms }
  | { readonly kind: 'denied' }
  | Approved
  | Refused
  | Repeated
  | Stale;

export interface StandingDeps extends DecisionDeps {
  readonly queue: Queue;
}

/** The question for a standing grant: who asked for that is its requester. */
function repairs(customers: Customers): Subject {
  return {
    find: async (tx, { customerId, id }) =>
      (await tx.consentRequest.findFirst({
        where: { customerId, operationId: id, terms: { not: null }, decision: null },
      })) ?? undefined,
    permissions: (_operation, request) => termsOfRequest(request).permissions,
    question: async (tx, { customerId, workspace, requester }, { askedBy }) => ({
      workspace,
      requester: askedBy ? await customers.memberById(tx, customerId, askedBy) : requester,
      widened: [],
    }),
  };
}

export function createStandingGrants(deps: StandingDeps): StandingGrants {
  const { database, audit, customers, operations, queue } = deps;
  const decisions = createDecisions(deps);
  const subject = repairs(customers);
  return {
    ask: (customerId, operationId, { by, until, keeps, event, as }) =>
      database.withCustomer(customerId, async (tx) => {
        const operation = await lockedOperation(tx, operations, customerId, operationId);
        if (event && (await hadEffect(tx, customerId, event))) return undefined;
        if (!operation || (await subject.find(tx, operation))) return undefined;
        const now = await databaseNow(tx);
        const latest = now.getTime() + STANDING_DAYS_MAX * 86_400_000;
        const { plan, way } = as ?? operation;
        const isKnown = (type: string) => way.kind === 'browser' && way.fields.some(({ name }) => name === type);
        if (until <= now || until.getTime() > latest || !keeps.every(isKnown))
          throw new RangeError('A standing grant lasts 90 days at most, and keeps sign-in secrets of its service.');
        const terms = termsOf(operation.id, plan, until, keeps);
        const expiresAt = new Date(now.getTime() + CONSENT_REQUEST_MINUTES * 60_000);
        const asked = { planHash: termsHash(terms), terms: termsText(terms), askedAt: now, expiresAt, askedBy: by.id };
        await takeEvent(tx, customerId, event);
        await insertQuestion(tx, database, customerId, { operationId: operation.id, ...asked });
        await queue.sendDeadline(tx, { customerId, operationId: operation.id }, expiresAt);
        await audit.append(tx, customerId, {
          kind: 'consent.requested',
          operationId: operation.id,
          actor: by.id,
          planHash: asked.planHash,
          payload: { terms },
        });
        return { terms, planHash: asked.planHash, expiresAt };
      }),
    grant: (customerId, click) =>
      decisions.approve(customerId, click, subject, async (tx, ready) => {
        const { operation, request, by } = ready;
        const terms = termsOfRequest(request);
        const { permissions, keeps } = terms;
        const expiresAt = new Date(terms.until);
        const consentId = await insertConsent(tx, database, ready, click, {
          ...{ permissions, keeps, expiresAt },
          templateHash: terms.templateHash,
        });
        await queue.sendDeadline(tx, { customerId, operationId: operation.id }, expiresAt);
        await audit.append(tx, customerId, {
          kind: 'consent.granted',
          operationId: operation.id,
          actor: by.id,
          planHash: request.planHash,
          payload: { terms, ...collected(click) },
        });
        return { kind: 'granted', consentId, terms } as const;
      }),
    deny: (customerId, click, reason) =>
      decisions.decide(customerId, click, 'deny', subject, async (tx, { operation, request, by, now }) => {
        await closeRequest(tx, request, { decision: 'denied', by: by.id, method: click.method, now });
        await audit.append(tx, customerId, {
          kind: 'consent.denied',
          operationId: operation.id,
          actor: by.id,
          planHash: request.planHash,
          payload: { reason, ...collected(click) },
        });
        return { kind: 'denied' } as const;
      }),
    async verify(tx, customerId, plan) {
      if (plan.key && !isAboutOwnKey(plan)) return refusal('The key has a name that no operation gave it');
      const grant = await tx.consent.findFirst({
        where: { customerId, service: plan.service, target: plan.base, templateHash: templateHash(plan) },
        orderBy: { grantedAt: 'desc' },
      });
      if (!grant) return refusal('No consent granted for repairs by this plan');
      // It lasts for months, and may be the oldest that is on record: the newest says when the clock went back since.
      const newest = await tx.auditEntry.findFirst({
        where: { customerId },
        orderBy: { seq: 'desc' },
        select: { at: true },
      });
      const verdict = liveness(grant, newest?.at ?? grant.grantedAt, await databaseNow(tx), REPAIR_PERMISSION);
      return verdict.hasConsent ? stillApproved(tx, customers, grant, verdict) : verdict;
    },
  };
}

/** Of an operation that its plan says runs under a standing grant: that grant's id. */
export function grantOfRepair(plan: string): string | undefined {
  // Read at every step of every operation: most plans say nothing of it.
  return plan.includes('"repair":') ? readPlan(plan).repair?.consent : undefined;
}

/** Whether an operation may act by what was seen of it, and holds the permission. */
export function verdictOnSight(sight: Sight | undefined, permission?: string): ConsentVerdict {
  if (!sight) return refusal('No consent granted for this operation');
  const verdict = grantOfRepair(sight.plan) === undefined ? verdictOn : verdictOnRepair;
  return verdict(sight, sight.consent, sight.now, permission);
}

/** Whether a repair may act right now under the grant that its plan names: what `verdictOn` says of other operations. */
function verdictOnRepair(
  operation: PlannedRow & { readonly id: string },
  grant: Consent | null,
  now: Date,
  permission?: string,
): ConsentVerdict {
  if (!grant) return refusal('No consent granted for repairs by this plan');
  const plan = readPlan(operation.plan);
  const isCovered =
    isPlanOf(operation) &&
    isAboutOwnKey(plan) &&
    plan.operationId === operation.id &&
    plan.repair?.consent === grant.id &&
    plan.service === grant.service &&
    plan.base === grant.target &&
    templateHash(plan) === grant.templateHash;
  if (!isCovered) return refusal('The plan is not one that the standing grant covers');
  if (new Date(plan.runsUntil) <= now) return refusal('Consent has expired');
  const verdict = liveness(grant, operation.updatedAt, now, REPAIR_PERMISSION);
  return verdict.hasConsent && permission !== undefined
    ? liveness(grant, operation.updatedAt, now, permission)
    : verdict;
}

/** Deletes the sign-in secrets of an operation that is over, except those that a live standing grant still keeps. */
export async function deleteUnkept(
  tx: Transaction,
  vault: Vault,
  customerId: CustomerId,
  operationId: OperationId,
): Promise<number> {
  const row = await tx.operation.findUnique({
    where: { customerId_id: { customerId, id: operationId } },
    select: { status: true },
  });
  return row && isEnd(parseState(row.status)) ? vault.within(tx).deleteSignIn(customerId, operationId) : 0;
}
