import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import type { Consents } from '../consent/consent.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import { attributed } from './attribution.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';

/** Who holds an operation back: a person, this one; the operator, everything of a customer or of everybody. */
export type Hold = 'person' | 'operator';

/** The operator holds all work of a customer back. */
export interface OperatorPause {
  readonly since: Date;
  /** For people; empty where the operator gave none. */
  readonly reason: string;
  /** It is everybody's, and not this customer's alone. */
  readonly isEverybodys: boolean;
}

const pauses = z.tuple([
  z.object({ since: z.date().nullable(), reason: z.string().nullable(), isEverybodys: z.boolean() }),
]);

/** `undefined`: the customer's work may run. */
export async function pauseOf(tx: Transaction, customerId: CustomerId): Promise<OperatorPause | undefined> {
  const [{ since, reason, isEverybodys }] = pauses.parse(
    await tx.$queryRaw`
      SELECT coalesce(s.since, c.paused_at) AS since, coalesce(s.reason, c.pause_reason) AS reason, s.since IS NOT NULL AS "isEverybodys"
      FROM customers c, app.standstill() s WHERE c.customer_id = ${customerId}::uuid`,
  );
  return since === null ? undefined : { since, reason: reason ?? '', isEverybodys };
}

/**
 * The same, and until the transaction ends the answer stays true: an operator who begins or ends a pause waits for it, and
 * then finds what this transaction did. Not FOR SHARE: who begins an operation then counts the customer's places under the
 * stronger lock, and two who share one can't both get that.
 */
export async function heldPauseOf(tx: Transaction, customerId: CustomerId): Promise<OperatorPause | undefined> {
  await tx.$executeRaw`
    WITH own AS MATERIALIZED (SELECT 1 FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE)
    SELECT app.hold_standstill() FROM own`;
  return pauseOf(tx, customerId);
}

/**
 * Whether the worker with that fence has begun an effect that is not on record to its end: between intent and vault, and
 * until its step is written down, nobody pauses it.
 */
export async function isEffectUnderWay(
  tx: Transaction,
  customerId: CustomerId,
  operationId: OperationId,
  fence: bigint,
): Promise<boolean> {
  const intent = await tx.operationIntent.findFirst({ where: { customerId, operationId, attempt: fence } });
  if (!intent) return false;
  const where = { customerId, operationId, number: intent.step, attempt: fence, state: 'running' };
  return (await tx.operationStep.count({ where })) > 0;
}

/** Why an operation is held; `by`: the person. */
export type HeldBy = { readonly hold: 'person'; readonly by: MemberId } | { readonly hold: 'operator' };

export interface HoldDeps {
  readonly audit: Audit;
  readonly consents: Pick<Consents, 'verifyToBegin'>;
  readonly mover: Mover;
  readonly queue: Queue;
}

/**
 * Moves a queued or running operation to `paused`, and looks at it again when its countersignature ends. @returns whether it
 * was where it was expected.
 */
export async function pauseNow(
  tx: Transaction,
  deps: Pick<HoldDeps, 'mover' | 'queue'>,
  { customerId, id: operationId, fence, grant }: Pick<Operation, 'customerId' | 'id' | 'fence' | 'grant'>,
  held: HeldBy,
): Promise<boolean> {
  const heldBy = held.hold === 'person' ? held.by : null;
  const moved = await deps.mover.move(tx, customerId, {
    ...{ operationId, from: ['queued', 'in_progress'] as const, fence, to: 'paused' as const },
    set: { hold: held.hold, heldBy },
    entry: {
      kind: 'operation.paused',
      attempt: fence,
      ...(heldBy ? { actor: heldBy } : {}),
      payload: { by: held.hold },
    },
  });
  if (moved !== undefined && grant?.expiresAt)
    await deps.queue.sendDeadline(tx, { customerId, operationId }, grant.expiresAt);
  return moved !== undefined;
}

/**
 * Pauses a queued or running operation, or where an effect is under way has it pause as soon as that is on record. The
 * operation's row is locked. @returns `undefined` when it neither runs nor is about to.
 */
export async function hold(
  tx: Transaction,
  deps: HoldDeps,
  operation: Operation,
  held: HeldBy,
): Promise<'paused' | 'pausing' | undefined> {
  const { customerId, id: operationId, state, fence } = operation;
  if (state !== 'queued' && state !== 'in_progress') return undefined;
  if (state === 'queued' || !(await isEffectUnderWay(tx, customerId, operationId, fence)))
    return (await pauseNow(tx, deps, operation, held)) ? 'paused' : undefined;
  if (operation.hold !== null) return 'pausing';
  const heldBy = held.hold === 'person' ? held.by : null;
  await tx.operation.updateMany({ where: { customerId, id: operationId }, data: { hold: held.hold, heldBy } });
  await deps.audit.append(tx, customerId, {
    ...{ kind: 'operation.pause_asked', operationId, payload: { by: held.hold } },
    ...(heldBy ? { actor: heldBy } : {}),
  });
  return 'pausing';
}

/**
 * Lets go of a paused operation, or of one that was about to pause: its next job is sent with the move. One whose
 * countersignature doesn't hold any more expires. The operation's row is locked.
 */
export async function letGo(
  tx: Transaction,
  deps: HoldDeps,
  operation: Operation,
  actor?: MemberId,
): Promise<'resumed' | 'lapsed' | undefined> {
  const { customerId, id: operationId, state } = operation;
  const by = actor ? { actor } : {};
  const free = { hold: null, heldBy: null };
  if (state === 'in_progress' && operation.hold !== null) {
    await tx.operation.updateMany({ where: { customerId, id: operationId }, data: free });
    await deps.audit.append(tx, customerId, { kind: 'operation.resumed', operationId, ...by });
    return 'resumed';
  }
  if (state !== 'paused') return undefined;
  const from = { operationId, from: ['paused'] as const };
  const verdict = await deps.consents.verifyToBegin(tx, operation);
  if (!verdict.hasConsent) {
    const why = `${lapsedWords(operation, verdict.reason)}.`;
    const set = { errorCode: 'consent', errorMessage: why };
    const entry = { kind: 'operation.expired', ...by, payload: { why } } as const;
    await deps.mover.move(tx, customerId, { ...from, to: 'expired', set, entry });
    return 'lapsed';
  }
  const jobId = await deps.queue.sendOperation(tx, { customerId, operationId });
  const entry = { kind: 'operation.resumed', ...by } as const;
  const fence = await deps.mover.move(tx, customerId, { ...from, to: 'queued', set: { ...free, jobId }, entry });
  if (fence === undefined) throw new Error('an operation moved although its row was locked'); // takes the job back
  return 'resumed';
}

/** `It was paused by Mona, and did not go on in time: Consent has expired` */
export function lapsedWords({ hold: held, heldBy }: Pick<Operation, 'hold' | 'heldBy'>, reason: string): string {
  const who = held === 'operator' ? 'the operator' : heldBy?.person.name;
  const what = who === undefined ? 'It was paused, and did not go on in time' : attributed('paused', who);
  return `${what}: ${reason}`;
}
