import { z } from 'zod';
import type { Question as Row } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type MemberId, newUuid, type OperationId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import type { Secret } from '../secret.ts';
import type { Vault } from '../vault/vault.ts';
import { lock } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import { Stopped } from './stopped.ts';

/** How long a question stays open, unless its countersignature ends before. */
const QUESTION_MINUTES = 30;
/** A code from a person's phone is worth nothing later, and must not lie about. */
export const CODE_SECONDS = 120;
/** How often one operation may ask, all in all. */
export const MOST_QUESTIONS = 5;
const LONGEST_CODE = 64;

const kindSchema = z.enum(['code', 'help']);
/** `code`: a one-time code, entered on a one-time page; `help`: look at the page, put it right, say "go on". */
export type QuestionKind = z.infer<typeof kindSchema>;

export interface Question {
  readonly id: string;
  readonly operationId: OperationId;
  readonly step: number;
  readonly kind: QuestionKind;
  /** What the thread is told; ours, and without secrets. */
  readonly words: string;
  readonly screenshotId: string | null;
  readonly askedAt: Date;
  readonly expiresAt: Date;
  readonly remindedAt: Date | null;
  readonly closed: 'answered' | 'lapsed' | 'withdrawn' | null;
  readonly closedAt: Date | null;
  readonly answeredBy: MemberId | null;
}

export interface QuestionDeps {
  readonly audit: Audit;
  readonly queue: Queue;
  readonly mover: Mover;
  readonly vault: Vault;
}

/** All that an operation has asked so far, oldest first. */
export async function questionsOf(
  tx: Transaction,
  customerId: CustomerId,
  operationId: string,
): Promise<readonly Question[]> {
  const rows = await tx.question.findMany({ where: { customerId, operationId }, orderBy: { askedAt: 'asc' } });
  return rows.map(toQuestion);
}

/** The newest question of an operation, open or not. */
export async function latestQuestion(
  tx: Transaction,
  customerId: CustomerId,
  operationId: string,
): Promise<Question | null> {
  const row = await tx.question.findFirst({ where: { customerId, operationId }, orderBy: { askedAt: 'desc' } });
  return row && toQuestion(row);
}

/**
 * Asks, inside the transaction that moves the operation to `waiting_for_human`; the deadlines that remind and end it are
 * sent with it. @returns false when it has asked often enough: nothing was written.
 */
export async function ask(
  tx: Transaction,
  deps: Pick<QuestionDeps, 'audit' | 'queue'>,
  operation: Operation,
  asked: {
    readonly step: number;
    readonly kind: QuestionKind;
    readonly words: string;
    readonly screenshotId: string | null;
  },
): Promise<boolean> {
  const { customerId, id: operationId, grant } = operation;
  if ((await tx.question.count({ where: { customerId, operationId } })) >= MOST_QUESTIONS) return false;
  const now = await databaseNow(tx);
  const latest = new Date(now.getTime() + QUESTION_MINUTES * 60_000);
  const expiresAt = grant?.expiresAt && grant.expiresAt < latest ? grant.expiresAt : latest;
  await tx.question.create({ data: { customerId, id: newUuid(), operationId, ...asked, askedAt: now, expiresAt } });
  const job = { customerId, operationId };
  await deps.queue.sendDeadline(tx, job, new Date((now.getTime() + expiresAt.getTime()) / 2));
  await deps.queue.sendDeadline(tx, job, expiresAt);
  if (grant?.expiresAt) await deps.queue.sendDeadline(tx, job, grant.expiresAt);
  return true;
}

/** What a person answered. */
export type Answer = { readonly kind: 'code'; readonly code: Secret } | { readonly kind: 'go_on' };

/**
 * Takes an answer: it closes the question and every one-time page for it, and the same transaction moves the operation to
 * `queued` and sends its job. A question that lapsed takes `go_on` alone: the run begins anew, and asks for its own code.
 * @returns false when the operation doesn't wait for this answer any more: nothing was changed.
 */
export async function answerQuestion(
  tx: Transaction,
  deps: QuestionDeps,
  operation: Pick<Operation, 'customerId' | 'id' | 'service' | 'plan'>,
  questionId: string,
  answer: Answer,
  by: MemberId,
): Promise<boolean> {
  const { customerId, id: operationId } = operation;
  await lock(tx, customerId, operationId);
  const question = await latestQuestion(tx, customerId, operationId);
  if (question?.id !== questionId || answer.kind !== wantedBy(question)) return false;
  const row = await tx.operation.findUnique({
    where: { customerId_id: { customerId, id: operationId } },
    select: { status: true },
  });
  if (row?.status !== (question.closed === null ? 'waiting_for_human' : 'paused')) return false;
  const now = await databaseNow(tx);
  if (answer.kind === 'code' && question.expiresAt <= now) return false; // it lapses, though nobody has seen that yet
  const jobId = await deps.queue.sendOperation(tx, { customerId, operationId }, { urgency: 'begun' });
  const fence = await deps.mover.move(tx, customerId, {
    operationId,
    from: ['waiting_for_human', 'paused'],
    to: 'queued',
    set: { jobId },
    entry: {
      ...{ kind: 'question.answered', actor: by, stepNumber: question.step },
      payload: { kind: question.kind, answer: answer.kind },
    },
  });
  if (fence === undefined) throw new Stopped('moved', 'the operation moved while it was locked');
  await closeLinks(tx, customerId, operationId, now);
  await tx.question.updateMany({
    where: { customerId, id: question.id },
    data: { closed: 'answered', closedAt: now, answeredBy: by },
  });
  if (answer.kind === 'code') {
    const { service, type, ...place } = codePlace(operation);
    const expiresAt = new Date(now.getTime() + CODE_SECONDS * 1000);
    await deps.vault.within(tx).store(customerId, service, type, { ...place, value: answer.code, expiresAt });
    await deps.queue.sendDeadline(tx, { customerId, operationId }, expiresAt);
  }
  return true;
}

/** As people copy it: `123 456` is 123456, and what nobody sees in it, such as the spaces without width of a web page, is no part of it. */
export function readCode(written: string): { readonly code: string } | { readonly problem: string } {
  const seen = written.replace(/[^\P{C}\s]/gu, '');
  const code = seen.trim().replace(/(?<=\d)\s+(?=\d)/g, '');
  if (code === '') return { problem: 'Enter the code.' };
  if (code.length > LONGEST_CODE) return { problem: 'A one-time code is shorter than that.' };
  return { code };
}

/** Deletes a code that nobody has used in time, as when no worker was free. @returns whether there was one. */
export async function deleteOldCode(
  tx: Transaction,
  deps: Pick<QuestionDeps, 'audit' | 'vault'>,
  operation: Pick<Operation, 'customerId' | 'id' | 'service' | 'plan'>,
): Promise<boolean> {
  const { customerId, id: operationId } = operation;
  const { service, type, ...place } = codePlace(operation);
  const records = deps.vault.within(tx);
  if ((await records.find(customerId, service, type, place)) !== null) return false; // a newer one
  if (!(await records.delete(customerId, service, type, place))) return false;
  const payload = { why: 'the code was not used in time', deleted: 1 };
  await deps.audit.append(tx, customerId, { kind: 'credential.deleted', operationId, payload });
  return true;
}

/** What would be an answer now; `undefined`: nothing, it is settled. */
function wantedBy({ kind, closed }: Question): Answer['kind'] | undefined {
  if (closed === null) return kind === 'code' ? 'code' : 'go_on';
  return closed === 'lapsed' ? 'go_on' : undefined;
}

/** Its one-time pages lead nowhere any more: the next question, if there is one, has its own. */
async function closeLinks(tx: Transaction, customerId: CustomerId, operationId: OperationId, now: Date): Promise<void> {
  await tx.connectLink.updateMany({
    where: { customerId, operationId, purpose: 'answer', spentAt: null },
    data: { spentAt: now },
  });
}

/** Closes an open question that nobody answered in time: the operation can still be taken up again. */
export async function lapse(tx: Transaction, customerId: CustomerId, question: Question, now: Date): Promise<void> {
  await tx.question.updateMany({
    where: { customerId, id: question.id, closed: null },
    data: { closed: 'lapsed', closedAt: now },
  });
  await closeLinks(tx, customerId, question.operationId, now);
}

/** Where a code lies between its entry and its one use. */
export function codePlace({ service, plan, id }: Pick<Operation, 'service' | 'plan' | 'id'>) {
  return { service: service.id, target: plan.base, type: 'one_time_code', operationId: id } as const;
}

/** Where the sealed session of a browser that was let go lies, until it is taken up. */
export function sessionPlace({ service, plan, id }: Pick<Operation, 'service' | 'plan' | 'id'>) {
  return { service: service.id, target: plan.base, type: 'session', operationId: id } as const;
}

function toQuestion(row: Row): Question {
  const { id, step, words, screenshotId, askedAt, expiresAt, remindedAt, closedAt } = row;
  return {
    ...{ id, step, words, screenshotId, askedAt, expiresAt, remindedAt, closedAt },
    kind: kindSchema.parse(row.kind),
    // CHECK questions_closed_check guarantees the union; the ids are ours by foreign key.
    closed: row.closed as Question['closed'],
    operationId: row.operationId as OperationId,
    answeredBy: row.answeredBy as MemberId | null,
  };
}
