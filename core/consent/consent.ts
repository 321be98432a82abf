import type { Prisma } from '../../prisma/generated/client.ts';
import type { Member } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { hasEntered } from '../operations/entered.ts';
import { lock } from '../operations/locked.ts';
import type { Mover } from '../operations/move.ts';
import type { Operation } from '../operations/operation.ts';
import { CONSENT_GRANT_MINUTES, planHash } from '../operations/plan.ts';
import { sightOf } from '../operations/sight.ts';
import { END_STATES, isEnd, type OperationState } from '../operations/states.ts';
import type { Page, PageRequest } from '../page.ts';
import type { Queue } from '../queue/queue.ts';
import type { Vault } from '../vault/vault.ts';
import {
  type Approved,
  type Click,
  type ClickOnSeveral,
  collected,
  createDecisions,
  type DecisionDeps,
  type Decisions,
  type Ready,
  type Refused,
  type Repeated,
  type Shown,
  type Stale,
  type Subject,
  type Together,
} from './decisions.ts';
import {
  type ConsentRecord,
  type ConsentStats,
  closeRequest,
  consentById,
  consentStats,
  insertConsent,
  listConsents,
  pageConsents,
} from './records.ts';
import { deleteUnkept, grantOfRepair, verdictOnSight } from './standing.ts';
import { type ConsentVerdict, stillApproved } from './verdict.ts';

export type { Click, Shown, Together } from './decisions.ts';
export type { ConsentVerdict } from './verdict.ts';

export type Decision = Granted | Denied | Approved | Refused | Repeated | Stale;
export type Granted = {
  readonly kind: 'granted';
  readonly operation: Operation;
  /** Where the operation went. */
  readonly next: 'queued' | 'awaiting_credentials';
};
export type Denied = { readonly kind: 'denied'; readonly operation: Operation };

export type Extension =
  | { readonly kind: 'extended'; readonly expiresAt: Date }
  /** Longer than the plan said that it may run: that takes a new request. */
  | { readonly kind: 'beyond_plan'; readonly latest: Date }
  /** One person's word doesn't prolong what takes several: that takes a new request. */
  | { readonly kind: 'several_required' }
  | Refused
  | Repeated
  | Stale;

/** Countersignatures. A decision is one transaction { events, consent, audit entry, state }. */
export interface Consents extends Pick<Decisions, 'mayDecide'> {
  /** One approval; the one that makes them enough is the countersignature. @throws TypeError for a plan without permissions. */
  grant(customerId: CustomerId, click: Click): Promise<Decision>;
  /** Ends the question, whoever has approved it so far. The reason lies in the sealed words of the trail alone. */
  deny(customerId: CustomerId, click: Omit<Click, 'planHash'>, reason: string): Promise<Decision>;
  /**
   * `grant` for each of several plans that one card showed, in one transaction: each its own countersignature and its own
   * entries; where one can't be approved, none is.
   */
  grantTogether(
    customerId: CustomerId,
    shown: readonly Shown[],
    click: ClickOnSeveral,
  ): Promise<Together<Granted | Approved>>;
  /** `deny`, likewise. */
  denyTogether(
    customerId: CustomerId,
    shown: readonly Shown[],
    click: ClickOnSeveral,
    reason: string,
  ): Promise<Together<Denied>>;
  /** Lets an operation run longer, as far as its plan said that it may. */
  extend(customerId: CustomerId, click: Omit<Click, 'planHash'>, until: Date): Promise<Extension>;
  /**
   * Takes back every countersignature of the operation, standing ones and the one that it repaired under included; a running
   * one stops before its next action.
   */
  revoke(tx: Transaction, operation: Operation, by: Member): Promise<boolean>;
  /**
   * The same of an operation whose key was deleted, with all consents to repairs of the key in that place and the questions for
   * them, whichever operation of the connection they were asked for.
   */
  revokeWithKey(tx: Transaction, operation: Operation, by: Member): Promise<void>;
  /** Together with what it prolongs and what prolongs it: they are one countersignature, of one question. */
  revokeById(tx: Transaction, customerId: CustomerId, id: string, by: Member): Promise<boolean>;
  /** Of those that have not run out. @returns how many were taken back. */
  revokeAllForService(tx: Transaction, customerId: CustomerId, service: string, by: Member): Promise<number>;
  /** Whether the operation may act right now: the grant fits this very plan, lives, and holds the permission. */
  verify(
    tx: Transaction,
    customerId: CustomerId,
    operationId: OperationId,
    permission?: string,
  ): Promise<ConsentVerdict>;
  /** Before it begins, also: whether those who countersigned still may, and whether they are enough by today's rules. */
  verifyToBegin(tx: Transaction, operation: Operation): Promise<ConsentVerdict>;
  hasPermission(
    tx: Transaction,
    customerId: CustomerId,
    operationId: OperationId,
    permission: string,
  ): Promise<boolean>;
  list(
    tx: Transaction,
    customerId: CustomerId,
    filter?: { readonly activeOnly?: boolean; readonly service?: string },
  ): Promise<readonly ConsentRecord[]>;
  /** Newest first. */
  page(
    tx: Transaction,
    customerId: CustomerId,
    filter: PageRequest & { readonly activeOnly?: boolean; readonly service?: string },
  ): Promise<Page<ConsentRecord>>;
  getById(tx: Transaction, customerId: CustomerId, id: string): Promise<ConsentRecord | undefined>;
  getStats(tx: Transaction, customerId: CustomerId): Promise<ConsentStats>;
}

export interface ConsentDeps extends DecisionDeps {
  readonly mover: Mover;
  readonly queue: Queue;
  readonly vault: Vault;
}

/** The question about the operation's own plan. */
const plan: Subject = {
  find: async (_tx, { state, request, planHash: hash, plan }) =>
    state === 'awaiting_consent' && request?.decision === null && hash === planHash(plan) ? request : undefined,
  permissions: ({ plan }) => plan.permissions,
};

/** The same, decided and granted. */
const grantedPlan: Subject = {
  ...plan,
  find: async (_tx, { request, grant }) => (grant && request?.id === grant.requestId ? request : undefined),
};

export function createConsents(deps: ConsentDeps): Consents {
  const { database, audit, operations, mover, vault } = deps;
  const decisions = createDecisions(deps);
  /** The question about a plan that still says what it does. */
  const currentPlan: Subject = {
    ...plan,
    find: async (tx, operation) =>
      (await operations.saysWhatItReplaces(tx, operation)) ? plan.find(tx, operation) : undefined,
  };

  const verify: Consents['verify'] = async (tx, customerId, operationId, permission) =>
    verdictOnSight(await sightOf(tx, customerId, operationId), permission);

  /**
   * What was taken back goes on record, one entry an operation, and sign-in secrets that it kept go with it. A run notices
   * by itself; an operation that waits for a person has none, so it ends here, and so does a repair that is about to run.
   */
  const revokeWhere = async (tx: Transaction, customerId: CustomerId, by: Member, which: Prisma.ConsentWhereInput) => {
    const live = { customerId, revokedAt: null, ...which };
    const found = await tx.consent.findMany({ where: live, select: { id: true, operationId: true } });
    const openNow = () => openRepairs(tx, customerId, new Set(found.map(({ id }) => id)));
    // The operations' rows first, as every decision takes them, and all in one order, so that nobody waits in a circle.
    for (const operationId of idsOf([...found, ...(await openNow())])) await lock(tx, customerId, operationId);
    const repairs = await openNow(); // also what was begun before its grant's operation was locked
    const rows = await tx.consent.updateManyAndReturn({
      where: live,
      data: { revokedAt: await databaseNow(tx), revokedBy: by.id },
      select: { operationId: true, templateHash: true },
    });
    for (const operationId of idsOf(rows)) {
      const isStanding = rows.some((row) => row.operationId === operationId && row.templateHash !== null);
      if (isStanding) await deleteUnkept(tx, vault, customerId, operationId);
      await audit.append(tx, customerId, { kind: 'consent.revoked', operationId, actor: by.id });
      if (rows.some((row) => row.operationId === operationId && row.templateHash === null))
        await endWaiting(tx, customerId, operationId, by);
    }
    for (const { operationId } of repairs) await endWaiting(tx, customerId, operationId, by, ['queued']);
    return rows.length;
  };

  const endWaiting = async (
    tx: Transaction,
    customerId: CustomerId,
    operationId: OperationId,
    by: Member,
    also: readonly OperationState[] = [],
  ) => {
    const why = 'Consent was revoked';
    await mover.move(tx, customerId, {
      ...{ operationId, from: ['awaiting_credentials', 'waiting_for_human', 'paused', ...also], to: 'cancelled' },
      set: { errorCode: 'consent', errorMessage: why },
      entry: { kind: 'operation.cancelled', actor: by.id, success: false, payload: { why } },
    });
  };

  const complete =
    (click: ClickOnSeveral) =>
    async (tx: Transaction, ready: Ready): Promise<Granted> => {
      const expiresAt = new Date(ready.now.getTime() + CONSENT_GRANT_MINUTES * 60_000);
      await insertConsent(tx, database, ready, click, { permissions: ready.operation.plan.permissions, expiresAt });
      const next = await moveOn(tx, deps, ready, click, expiresAt);
      return { kind: 'granted', operation: ready.operation, next };
    };

  const end =
    (click: ClickOnSeveral, reason: string) =>
    async (tx: Transaction, { operation, request, by, now }: Ready): Promise<Denied> => {
      const { customerId, id: operationId } = operation;
      await closeRequest(tx, request, { decision: 'denied', by: by.id, method: click.method, now });
      const entry = { kind: 'operation.denied', actor: by.id, payload: { reason, ...collected(click) } } as const;
      await mover.move(tx, customerId, {
        operationId,
        from: ['awaiting_consent'],
        to: 'denied',
        entry,
      });
      const after = await operations.get(tx, customerId, operationId);
      return { kind: 'denied', operation: after ?? operation };
    };

  /** Read after the commit: a worker begins while the click is still being answered. */
  const asItIsNow = async (granted: Granted): Promise<Granted> => {
    const { customerId, id } = granted.operation;
    const after = await database.withCustomer(customerId, (tx) => operations.get(tx, customerId, id));
    return { ...granted, operation: after ?? granted.operation };
  };

  return {
    mayDecide: decisions.mayDecide,
    async grant(customerId, click) {
      const decision = await decisions.approve(customerId, click, currentPlan, complete(click));
      return decision.kind === 'granted' ? asItIsNow(decision) : decision;
    },
    deny: (customerId, click, reason) => decisions.decide(customerId, click, 'deny', plan, end(click, reason)),
    async grantTogether(customerId, shown, click) {
      const outcome = await decisions.approveTogether(customerId, shown, click, currentPlan, complete(click));
      if (outcome.kind === 'none') return outcome;
      const each = outcome.each.map((decision) => (decision.kind === 'granted' ? asItIsNow(decision) : decision));
      return { kind: 'decided', each: await Promise.all(each) };
    },
    denyTogether: (customerId, shown, click, reason) =>
      decisions.decideTogether(customerId, shown, click, 'deny', plan, end(click, reason)),
    extend: (customerId, click, until) =>
      decisions.decide(customerId, click, 'approve', grantedPlan, async (tx, ready): Promise<Extension> => {
        const { operation, rules, by } = ready;
        const { grant, plan: shown } = operation;
        const verdict = await verify(tx, customerId, operation.id);
        const isLonger = grant?.expiresAt != null && until > grant.expiresAt;
        if (!grant || !verdict.hasConsent || isEnd(operation.state) || !isLonger) return { kind: 'stale', operation };
        if (rules.approvalsRequired > 1) return { kind: 'several_required' };
        const latest = new Date(shown.runsUntil);
        if (until > latest) return { kind: 'beyond_plan', latest };
        const prolonged = { permissions: shown.permissions, expiresAt: until, extends: grant.id };
        await insertConsent(tx, database, ready, click, prolonged);
        const where = { customerId_id: { customerId, id: operation.id } };
        await tx.operation.update({ where, data: { consentExpiresAt: until } });
        await deps.queue.sendDeadline(tx, { customerId, operationId: operation.id }, until);
        await audit.append(tx, customerId, {
          kind: 'consent.extended',
          operationId: operation.id,
          actor: by.id,
          planHash: operation.planHash,
          payload: { until: until.toISOString(), ...collected(click) },
        });
        return { kind: 'extended', expiresAt: until };
      }),
    async revoke(tx, { customerId, id, plan }, by) {
      const standing = plan.repair?.consent;
      const which = standing === undefined ? { operationId: id } : { OR: [{ operationId: id }, { id: standing }] };
      return (await revokeWhere(tx, customerId, by, which)) > 0;
    },
    async revokeWithKey(tx, { customerId, id: operationId, service, plan }, by) {
      const place = { service: service.id, target: plan.base };
      const open = { customerId, terms: { not: null }, decision: null, operationRow: place };
      const asked = await tx.consentRequest.findMany({ where: open });
      // Whoever grants it holds its operation: that is done, and taken back below, or finds no question any more.
      for (const id of idsOf(asked)) await lock(tx, customerId, id);
      const now = await databaseNow(tx);
      for (const request of asked) await closeRequest(tx, request, { decision: 'cancelled', by: by.id, now });
      await revokeWhere(tx, customerId, by, { OR: [{ operationId }, { ...place, templateHash: { not: null } }] });
    },
    async revokeById(tx, customerId, id, by) {
      const found = await consentById(tx, customerId, id);
      return found !== undefined && (await revokeWhere(tx, customerId, by, { requestId: found.requestId })) > 0;
    },
    async revokeAllForService(tx, customerId, service, by) {
      const isLive = [{ expiresAt: null }, { expiresAt: { gt: await databaseNow(tx) } }];
      return revokeWhere(tx, customerId, by, { service, OR: isLive });
    },
    verify,
    async verifyToBegin(tx, { customerId, id, grant }) {
      const verdict = await verify(tx, customerId, id);
      return grant && verdict.hasConsent ? stillApproved(tx, deps.customers, grant, verdict) : verdict;
    },
    hasPermission: async (tx, customerId, operationId, permission) =>
      (await verify(tx, customerId, operationId, permission)).hasConsent,
    list: (tx, customerId, filter = {}) => listConsents(tx, customerId, filter),
    page: pageConsents,
    getById: consentById,
    getStats: consentStats,
  };
}

/** Operations that are not over and run under one of these standing grants. */
async function openRepairs(tx: Transaction, customerId: CustomerId, consents: ReadonlySet<string>) {
  const where = { customerId, status: { notIn: [...END_STATES] }, plan: { contains: '"repair":' } };
  const rows = await tx.operation.findMany({ where, select: { id: true, plan: true }, orderBy: { id: 'asc' } });
  return rows.flatMap(({ id, plan }) => {
    const standing = grantOfRepair(plan);
    return standing !== undefined && consents.has(standing) ? [{ operationId: id as OperationId }] : []; // its own id
  });
}

/** Each once, in order. */
function idsOf(rows: readonly { readonly operationId: string }[]): readonly OperationId[] {
  // Ids of operations, by foreign key.
  return [...new Set(rows.map((row) => row.operationId as OperationId))].sort();
}

/** To the queue when what is to be entered lies in the vault already, else to the question for it. */
async function moveOn(
  tx: Transaction,
  deps: ConsentDeps,
  { operation, by, now }: Ready,
  click: ClickOnSeveral,
  expires: Date,
): Promise<'queued' | 'awaiting_credentials'> {
  const { customerId, id: operationId } = operation;
  const set = { consentGiven: true, consentTimestamp: now, consentExpiresAt: expires };
  const isReady = await hasEntered(tx, deps.vault, operation);
  const jobId = isReady ? await deps.queue.sendOperation(tx, { customerId, operationId }) : null;
  if (!isReady) await deps.queue.sendDeadline(tx, { customerId, operationId }, expires);
  const to = isReady ? 'queued' : 'awaiting_credentials';
  const entry = {
    kind: 'consent.granted',
    actor: by.id,
    planHash: operation.planHash,
    payload: { permissions: operation.plan.permissions, next: to, ...collected(click) },
  } as const;
  const fence = await deps.mover.move(tx, customerId, {
    operationId,
    from: ['awaiting_consent'],
    to,
    entry,
    set: { ...set, jobId },
  });
  if (fence === undefined) throw new Error('an operation moved although its row was locked'); // rolls the grant back
  return to;
}
