import type { Audit } from '../audit/audit.ts';
import { lockedOperation } from '../consent/decisions.ts';
import { addEvent } from '../consent/events.ts';
import { closeRequest } from '../consent/records.ts';
import { deleteUnkept } from '../consent/standing.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Vault } from '../vault/vault.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { lapse, latestQuestion } from './questions.ts';

export interface DeadlineDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly vault: Vault;
}

/**
 * Looks at one operation when a time of it has come: reminds of its question once, ends it when nobody answered in time,
 * and deletes what a standing grant kept until then.
 */
export function createDeadlines(deps: DeadlineDeps): (job: OperationJob) => Promise<void> {
  return ({ customerId, operationId }) =>
    deps.database.withCustomer(customerId, async (tx) => {
      const operation = await lockedOperation(tx, deps.operations, customerId, operationId);
      if (!operation) return;
      const now = await databaseNow(tx);
      await endStanding(tx, deps, operation, now);
      const { request, grant } = operation;
      if (operation.state === 'waiting_for_human' || operation.state === 'paused')
        return endWaiting(tx, deps, operation, now);
      const isAsking = operation.state === 'awaiting_consent' && request !== null;
      const isUnanswered = isAsking && request.expiresAt <= now;
      const isUnentered =
        operation.state === 'awaiting_credentials' && grant?.expiresAt != null && grant.expiresAt <= now;
      if (isAsking && !isUnanswered) return remind(tx, deps, operation, now);
      if (!isUnanswered && !isUnentered) return;
      const why = isUnanswered ? 'Nobody approved it in time' : 'The sign-in was not entered in time';
      const entry = { kind: 'operation.expired', payload: { why } } as const;
      await deps.mover.move(tx, customerId, {
        operationId,
        from: [operation.state],
        fence: operation.fence,
        to: 'expired',
        set: { errorMessage: why },
        entry,
      });
    });
}

/** Once, from half of its time on; the thread then says so. */
async function remind(tx: Transaction, { audit }: DeadlineDeps, operation: Operation, now: Date): Promise<void> {
  const { request, remindedAt, customerId, id: operationId } = operation;
  if (!request || request.decision !== null || remindedAt) return;
  const half = (request.askedAt.getTime() + request.expiresAt.getTime()) / 2;
  if (now.getTime() < Math.floor(half)) return;
  await addEvent(tx, request, { kind: 'reminded' });
  await audit.append(tx, customerId, { kind: 'consent.reminded', operationId, planHash: request.planHash });
}

/**
 * A question to a person: reminded of once, from half of its time on; then the operation is paused, and whoever comes back
 * to it can go on as long as its countersignature holds.
 */
async function endWaiting(tx: Transaction, deps: DeadlineDeps, operation: Operation, now: Date): Promise<void> {
  const { customerId, id: operationId, grant, state, fence } = operation;
  if (grant?.expiresAt && grant.expiresAt <= now) {
    const why = 'Nobody answered its question in time';
    const entry = { kind: 'operation.expired', payload: { why } } as const;
    await deps.mover.move(tx, customerId, {
      ...{ operationId, from: [state], fence, to: 'expired' as const, set: { errorMessage: why }, entry },
    });
    return;
  }
  const question = await latestQuestion(tx, customerId, operationId);
  if (!question || question.closed !== null || state !== 'waiting_for_human') return;
  if (question.expiresAt <= now) {
    await lapse(tx, customerId, question, now);
    const entry = { kind: 'question.lapsed', stepNumber: question.step } as const;
    await deps.mover.move(tx, customerId, {
      ...{ operationId, from: ['waiting_for_human'] as const, fence, to: 'paused' as const, entry },
    });
    return;
  }
  const half = (question.askedAt.getTime() + question.expiresAt.getTime()) / 2;
  if (question.remindedAt || now.getTime() < Math.floor(half)) return;
  await tx.question.updateMany({ where: { customerId, id: question.id }, data: { remindedAt: now } });
  await deps.audit.append(tx, customerId, { kind: 'question.reminded', operationId, stepNumber: question.step });
}

/** A question for a standing grant that nobody answered, and the sign-in secrets of one whose time is over. */
async function endStanding(tx: Transaction, deps: DeadlineDeps, operation: Operation, now: Date): Promise<void> {
  const { customerId, id: operationId } = operation;
  const where = { customerId, operationId };
  const asked = await tx.consentRequest.findFirst({
    where: { ...where, terms: { not: null }, decision: null, expiresAt: { lte: now } },
  });
  if (asked) {
    await closeRequest(tx, asked, { decision: 'expired', now });
    await deps.audit.append(tx, customerId, { kind: 'consent.expired', operationId, planHash: asked.planHash });
  }
  const lapsed = await tx.consent.count({ where: { ...where, templateHash: { not: null }, expiresAt: { lte: now } } });
  const deleted = lapsed > 0 ? await deleteUnkept(tx, deps.vault, customerId, operationId) : 0;
  if (deleted > 0)
    await deps.audit.append(tx, customerId, {
      kind: 'credential.deleted',
      operationId,
      payload: { why: 'the standing grant that kept them has ended', deleted },
    });
}
