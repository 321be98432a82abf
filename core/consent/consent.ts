import type { Audit } from '../audit/audit.ts';
import { sha256Hex } from '../canonical.ts';
import type { Customers, Member } from '../customers/customers.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import { takeEvent } from '../operations/events.ts';
import type { Mover } from '../operations/move.ts';
import type { Operation } from '../operations/operation.ts';
import type { Operations } from '../operations/operations.ts';
import { CONSENT_GRANT_MINUTES, planHash } from '../operations/plan.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Queue } from '../queue/queue.ts';
import type { CredentialType, Vault } from '../vault/vault.ts';
import { mayDecide } from './policy.ts';

/** The version of the words that a person agreed to. */
export const CONSENT_VERSION = '1.0';

export type Decision =
  /** `next` is where the operation went. */
  | { readonly kind: 'granted'; readonly operation: Operation; readonly next: 'queued' | 'awaiting_credentials' }
  | { readonly kind: 'denied'; readonly operation: Operation }
  | { readonly kind: 'refused'; readonly why: 'not_an_approver' | 'own_request' }
  /** This very click was delivered before, and what came of it stands. */
  | { readonly kind: 'repeated'; readonly operation: Operation | undefined }
  /** Somebody was faster, or it lapsed, or the plan is another one by now. */
  | { readonly kind: 'stale'; readonly operation: Operation | undefined };

export interface Click {
  readonly operationId: string;
  /** The hash of the plan that the card showed. */
  readonly planHash: string;
  readonly by: Member;
  /** How the countersignature was given, truthfully. */
  readonly method: 'web' | 'slack_button' | 'teams_card';
  readonly ipAddress?: string;
  readonly userAgent?: string;
  readonly event?: EventRef;
}

/** Countersignatures. Each call is one transaction { consent, audit entry, state }. */
export interface Consents {
  grant(customerId: CustomerId, click: Click): Promise<Decision>;
  deny(customerId: CustomerId, click: Omit<Click, 'planHash'>, reason: string): Promise<Decision>;
  /** Takes the countersignature back; a running operation stops before its next action. */
  revoke(tx: Transaction, operation: Operation, by: Member): Promise<boolean>;
  /** Whether the operation may act right now: the grant fits this very plan, lives, and holds the permission. */
  verify(
    tx: Transaction,
    customerId: CustomerId,
    operationId: OperationId,
    permission?: string,
  ): Promise<ConsentVerdict>;
}

export type ConsentVerdict =
  | { readonly hasConsent: true; readonly consentId: string }
  | { readonly hasConsent: false; readonly reason: string };

export interface ConsentDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly customers: Customers;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly queue: Queue;
  readonly vault: Vault;
}

export function createConsents(deps: ConsentDeps): Consents {
  const { database, audit, customers, operations, mover } = deps;
  const refuse = async (
    tx: Transaction,
    operation: Operation,
    by: Member,
    why: 'not_an_approver' | 'own_request',
  ): Promise<Decision> => {
    await audit.append(tx, operation.customerId, {
      kind: 'consent.refused',
      operationId: operation.id,
      actor: by.id,
      payload: { why },
    });
    return { kind: 'refused', why };
  };

  return {
    grant: (customerId, click) =>
      database.withCustomer(customerId, async (tx): Promise<Decision> => {
        const isFirst = await takeEvent(tx, customerId, click.event);
        const operation = await lockedOperation(tx, operations, customerId, click.operationId);
        if (!isFirst) return { kind: 'repeated', operation };
        if (!operation) return { kind: 'stale', operation: undefined };
        const by = await asOfNow(tx, customers, customerId, click.by);
        const permitted = mayDecide(by, operation.requester, await customers.rules(tx, customerId));
        if (!permitted.isPermitted) return refuse(tx, operation, by, permitted.why);
        const now = await databaseNow(tx);
        const { request } = operation;
        if (
          operation.state !== 'awaiting_consent' ||
          !request ||
          request.decision !== null ||
          request.expiresAt <= now ||
          click.planHash !== operation.planHash ||
          click.planHash !== planHash(operation.plan)
        )
          return { kind: 'stale', operation };
        await insertGrant(tx, operation, request.id, click, now);
        await tx.consentRequest.update({
          where: { customerId_id: { customerId, id: request.id } },
          data: { decision: 'granted', decidedAt: now, decidedBy: click.by.id },
        });
        const next = await moveOn(tx, deps, operation, click.by, now);
        const after = await operations.get(tx, customerId, operation.id);
        return { kind: 'granted', operation: after ?? operation, next };
      }),
    deny: (customerId, click, reason) =>
      database.withCustomer(customerId, async (tx): Promise<Decision> => {
        const isFirst = await takeEvent(tx, customerId, click.event);
        const operation = await lockedOperation(tx, operations, customerId, click.operationId);
        if (!isFirst) return { kind: 'repeated', operation };
        if (!operation) return { kind: 'stale', operation: undefined };
        const by = await asOfNow(tx, customers, customerId, click.by);
        const permitted = mayDecide(by, operation.requester, await customers.rules(tx, customerId));
        if (!permitted.isPermitted) return refuse(tx, operation, by, permitted.why);
        if (operation.state !== 'awaiting_consent' || !operation.request || operation.request.decision !== null)
          return { kind: 'stale', operation };
        const now = await databaseNow(tx);
        await tx.consentRequest.update({
          where: { customerId_id: { customerId, id: operation.request.id } },
          data: { decision: 'denied', decidedAt: now, decidedBy: click.by.id, reason },
        });
        const entry = { kind: 'operation.denied', actor: click.by.id, payload: { reason } } as const;
        await mover.move(tx, customerId, {
          operationId: operation.id,
          from: ['awaiting_consent'],
          to: 'denied',
          entry,
          set: { errorMessage: reason || null },
        });
        return { kind: 'denied', operation: (await operations.get(tx, customerId, operation.id)) ?? operation };
      }),
    async revoke(tx, operation, by) {
      const { customerId, id: operationId } = operation;
      const count = await tx.$executeRaw`
        UPDATE autonomous_consent SET revoked_at = app.now(), revoked_by = ${by.id}::uuid
        WHERE customer_id = ${customerId}::uuid AND operation_id = ${operationId} AND revoked_at IS NULL`;
      if (count > 0) await audit.append(tx, customerId, { kind: 'consent.revoked', operationId, actor: by.id });
      return count > 0;
    },
    async verify(tx, customerId, operationId, permission) {
      const operation = await tx.operation.findUnique({
        where: { customerId_id: { customerId, id: operationId } },
        select: { plan: true, planHash: true },
      });
      const grants = await tx.consent.findMany({
        where: { customerId, operationId },
        orderBy: { grantedAt: 'desc' },
        take: 1,
      });
      return judge(operation ?? undefined, grants[0], await databaseNow(tx), permission);
    },
  };
}

function judge(
  operation: { plan: string; planHash: string } | undefined,
  grant:
    | { id: string; planHash: string; revokedAt: Date | null; expiresAt: Date | null; permissions: unknown }
    | undefined,
  now: Date,
  permission: string | undefined,
): ConsentVerdict {
  if (!grant || !operation) return { hasConsent: false, reason: 'No consent granted for this operation' };
  // The text itself is what is carried out, so its own hash counts beside the one in the row.
  if (grant.planHash !== operation.planHash || grant.planHash !== sha256Hex(operation.plan))
    return { hasConsent: false, reason: 'The plan is not the one that was countersigned' };
  if (grant.revokedAt) return { hasConsent: false, reason: 'Consent was revoked' };
  if (grant.expiresAt && grant.expiresAt <= now) return { hasConsent: false, reason: 'Consent has expired' };
  if (permission !== undefined && !(Array.isArray(grant.permissions) && grant.permissions.includes(permission)))
    return { hasConsent: false, reason: `Permission ${permission} was not granted` };
  return { hasConsent: true, consentId: grant.id };
}

/** What a card or a form knew of a person may be old: whoever is no approver any more comes back without the role. */
async function asOfNow(tx: Transaction, customers: Customers, customerId: CustomerId, by: Member): Promise<Member> {
  const approvers = await customers.members(tx, customerId, 'approver');
  return approvers.find(({ id }) => id === by.id) ?? { ...by, roles: by.roles.filter((role) => role !== 'approver') };
}

/**
 * Locks the operation's row, so that two clicks at once are one after the other. Not FOR UPDATE: an append holds the
 * chain's head while its foreign key looks at this row, and whoever locked the row waits for that head next.
 */
async function lockedOperation(
  tx: Transaction,
  operations: Operations,
  customerId: CustomerId,
  id: string,
): Promise<Operation | undefined> {
  await tx.$executeRaw`SELECT 1 FROM autonomous_operations WHERE customer_id = ${customerId}::uuid AND id = ${id} FOR NO KEY UPDATE`;
  return operations.get(tx, customerId, id);
}

async function insertGrant(
  tx: Transaction,
  operation: Operation,
  requestId: string,
  click: Click,
  now: Date,
): Promise<void> {
  const { customerId, plan } = operation;
  await tx.consent.create({
    data: {
      customerId,
      id: newUuid(),
      requestId,
      operationId: operation.id,
      userId: click.by.id,
      service: plan.service,
      operation: plan.operationType,
      target: plan.base,
      permissions: plan.permissions,
      planHash: operation.planHash,
      grantedAt: now,
      expiresAt: new Date(now.getTime() + CONSENT_GRANT_MINUTES * 60_000),
      collectionMethod: click.method,
      ipAddress: click.ipAddress ?? null,
      userAgent: click.userAgent ?? null,
      consentVersion: CONSENT_VERSION,
    },
  });
}

/** To the queue when the sign-in lies in the vault already, else to the question for it. */
async function moveOn(
  tx: Transaction,
  deps: ConsentDeps,
  operation: Operation,
  by: Member,
  now: Date,
): Promise<'queued' | 'awaiting_credentials'> {
  const { customerId, id: operationId } = operation;
  const expires = new Date(now.getTime() + CONSENT_GRANT_MINUTES * 60_000);
  const set = { consentGiven: true, consentTimestamp: now, consentExpiresAt: expires };
  const isReady = await hasSignIn(tx, deps.vault, operation);
  const jobId = isReady ? await deps.queue.sendOperation(tx, { customerId, operationId }) : null;
  if (!isReady) await deps.queue.sendDeadline(tx, { customerId, operationId }, expires);
  const to = isReady ? 'queued' : 'awaiting_credentials';
  const entry = {
    kind: 'consent.granted',
    actor: by.id,
    planHash: operation.planHash,
    payload: { permissions: operation.plan.permissions, next: to },
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

/** Whether every sign-in field of the service lies in the vault for this operation. */
export async function hasSignIn(tx: Transaction, vault: Vault, operation: Operation): Promise<boolean> {
  for (const field of operation.service.signIn) {
    const place = signInPlace(operation, field.name as CredentialType);
    if (!(await vault.within(tx).find(operation.customerId, place.service, place.type, place))) return false;
  }
  return true;
}

export function signInPlace(operation: Operation, type: CredentialType) {
  return { service: operation.service.id, target: operation.plan.base, type, operationId: operation.id };
}
