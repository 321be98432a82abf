import type { Audit } from '../audit/audit.ts';
import { addEvent } from '../consent/events.ts';
import { closeRequest } from '../consent/records.ts';
import { deleteUnkept } from '../consent/standing.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Vault } from '../vault/vault.ts';
import { lapsedWords } from './hold.ts';
import { lockedOperation } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { deleteOldCode, lapse, latestQuestion } from './questions.ts';

export interface DeadlineDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly vault: Vault;
}

/**
 * Looks at one operation when a time of it has come: reminds of its question once, ends it when nobody answered in time,
 * and deletes what a standing grant kept until then, and a code that nobody has used.
 */
export function createDeadlines(deps: DeadlineDeps): (job: OperationJob) => Promise<void> {
  return ({ customerId, operationId }) =>
    deps.database.withCustomer(customerId, async (tx) => {
      const operation = await lockedOperation(tx, deps.operations, customerId, operationId);
      if (!operation) return;
      const now = await databaseNow(tx);
      await endStanding(tx, deps, operation, now);
      await deleteOldCode(tx, deps, operation);
      const late = overdue(operation, now);
      if (late === undefined) {
        if (operation.state === 'awaiting_consent') await remind(tx, deps, operation, now);
        if (operation.state === 'waiting_for_human') await endWaiting(tx, deps, operation, now);
        return;
      }
      const why = `${late}.`;
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

/**
 * What the queue could not do after its last retry is done late. What even then does not work, the next retry tries; but an
 * operation that should be over by now ends first, and its thread says so: nobody waits for it in vain.
 */
export function createLateDeadlines(deps: DeadlineDeps): (job: OperationJob) => Promise<void> {
  const look = createDeadlines(deps);
  return async (job) => {
    try {
      await look(job);
    } catch (error) {
      await endOverdue(deps, job);
      throw error;
    }
  };
}

function endOverdue({ database, operations, mover }: DeadlineDeps, { customerId, operationId }: OperationJob) {
  return database.withCustomer(customerId, async (tx) => {
    const operation = await lockedOperation(tx, operations, customerId, operationId);
    const late = operation && overdue(operation, await databaseNow(tx));
    if (!operation || late === undefined) return;
    // Of one that has begun its card says what is left of it.
    const hasBegun = operation.state !== 'awaiting_consent' && operation.state !== 'awaiting_credentials';
    const why = `${late}, and closing it failed again and again.${hasBegun ? '' : ' Nothing was done.'}`;
    await mover.move(tx, customerId, {
      operationId,
      from: [operation.state],
      fence: operation.fence,
      to: 'failed',
      set: { errorCode: 'given_up', errorMessage: why },
      entry: { kind: 'operation.failed', success: false, payload: { code: 'given_up', why } },
    });
  });
}

/** Why the operation's time is over, where it waits for somebody, without a full stop; `undefined`: it is not. */
function overdue(operation: Operation, now: Date): string | undefined {
  const { state, request, grant, hold } = operation;
  if (state === 'awaiting_consent' && request && request.expiresAt <= now) return 'Nobody approved it in time';
  if (!grant?.expiresAt || grant.expiresAt > now) return undefined;
  if (state === 'awaiting_credentials') return 'The sign-in was not entered in time';
  if (state === 'paused' && hold !== null) return lapsedWords(operation, 'Consent has expired');
  return state === 'waiting_for_human' || state === 'paused' ? 'Nobody answered its question in time' : undefined;
}

/** Once, from half of its time on; the thread then says so. */
async function remind(tx: Transaction, deps: DeadlineDeps, operation: Operation, now: Date): Promise<void> {
  const { database, audit } = deps;
  const { request, remindedAt, customerId, id: operationId } = operation;
  if (!request || request.decision !== null || remindedAt) return;
  const half = (request.askedAt.getTime() + request.expiresAt.getTime()) / 2;
  if (now.getTime() < Math.floor(half)) return;
  await addEvent(tx, database, request, { kind: 'reminded' });
  await audit.append(tx, customerId, { kind: 'consent.reminded', operationId, planHash: request.planHash });
}

/**
 * A question to a person: reminded of once, from half of its time on; then the operation is paused, and whoever comes back
 * to it can go on as long as its countersignature holds.
 */
async function endWaiting(tx: Transaction, deps: DeadlineDeps, operation: Operation, now: Date): Promise<void> {
  const { customerId, id: operationId, fence } = operation;
  const question = await latestQuestion(tx, customerId, operationId);
  if (!question || question.closed !== null) return;
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
