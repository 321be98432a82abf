import type { Audit } from '../audit/audit.ts';
import type { Consents } from '../consent/consent.ts';
import { type Customers, isSamePerson, type Member } from '../customers/customers.ts';
import type { Database, Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Egress } from '../ports/egress.ts';
import type { Queue } from '../queue/queue.ts';
import { defaultPermissions } from '../services/ways.ts';
import type { Vault } from '../vault/vault.ts';
import { attributed } from './attribution.ts';
import { effectsOf, takeEvent } from './events.ts';
import { hold, letGo, type OperatorPause, pauseOf } from './hold.ts';
import { endOfOldKey } from './kept-key.ts';
import { lockedOperation } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Closed, Operations, TooSoon } from './operations.ts';
import { type Answer, answerQuestion, latestQuestion, type QuestionKind } from './questions.ts';
import { isEnd, OPEN_STATES, type OperationState } from './states.ts';

/** What a person wants of one operation. */
export interface Wish {
  readonly operationId: string;
  readonly by: Member;
  /** What brought it, so that a second delivery does nothing. */
  readonly event?: EventRef;
}

/** Nothing was changed. `unknown`: this customer has no such operation; `repeated`: this very click had its effect before. */
export type Refused = { readonly kind: 'unknown' | 'not_allowed' | 'repeated' };

export type Cancelled =
  | { readonly kind: 'cancelled'; readonly operation: Operation }
  | { readonly kind: 'over' }
  | Refused;

export type Withdrawn =
  | { readonly kind: 'withdrawn' }
  /** Those that are open, as they stay. */
  | { readonly kind: 'decided'; readonly operations: readonly Operation[] }
  | Refused;

export type Paused =
  | { readonly kind: 'paused'; readonly operation: Operation }
  /** What it is making is finished and kept first; then it pauses. */
  | { readonly kind: 'pausing'; readonly operation: Operation }
  /** Paused already; or it waits for somebody, so that nothing runs that could pause. */
  | { readonly kind: 'not_running'; readonly operation: Operation }
  | { readonly kind: 'over' }
  | Refused;

export type Resumed =
  | { readonly kind: 'resumed'; readonly operation: Operation }
  /** Its countersignature doesn't hold any more: it has expired, and can be tried again. */
  | { readonly kind: 'lapsed'; readonly operation: Operation }
  /** The operator holds it back, and nobody else lets it go. */
  | { readonly kind: 'held'; readonly pause: OperatorPause }
  | { readonly kind: 'not_paused'; readonly operation: Operation }
  | { readonly kind: 'over' }
  | Refused;

export type Retried =
  /** A new operation, with a plan of its own that nobody has countersigned. */
  | { readonly kind: 'requested'; readonly operation: Operation }
  /** Somebody was faster: this one tries it again. */
  | { readonly kind: 'already'; readonly operation: Operation }
  /** It goes on, has succeeded, or was denied. */
  | { readonly kind: 'not_retryable'; readonly operation: Operation }
  /** Its target can't be reached from here, or must not be. */
  | { readonly kind: 'unreachable'; readonly operation: Operation }
  /** So often within an hour that nothing more is asked for until then. */
  | { readonly kind: 'too_soon'; readonly operation: Operation; readonly limit: TooSoon }
  /** An admin's settings don't let it be done any more. */
  | { readonly kind: 'closed'; readonly operation: Operation; readonly why: Closed['closed'] }
  | Refused;

export type Answered =
  | { readonly kind: 'answered'; readonly operation: Operation }
  /** It does not ask this, or not any more: somebody was faster, nobody was in time, or it is over. */
  | { readonly kind: 'not_asked'; readonly operation: Operation }
  | { readonly kind: 'asks_other'; readonly operation: Operation; readonly wants: QuestionKind }
  /** Its countersignature does not hold any more. */
  | { readonly kind: 'lapsed'; readonly operation: Operation }
  | Refused;

/** What people may do with operations, from wherever they say so: each is one transaction, and happens once. */
export interface Control {
  /** Ends an operation in whatever state: a worker that runs it stops within two seconds. */
  cancel(customerId: CustomerId, wish: Wish): Promise<Cancelled>;
  /** Ends those of these that are open, in one go, unless somebody has decided on any of them: then none. */
  withdraw(
    customerId: CustomerId,
    operationIds: readonly OperationId[],
    wish: Omit<Wish, 'operationId'>,
  ): Promise<Withdrawn>;
  /**
   * Ends all that is open at this moment, what runs first; admins only. What is asked for afterwards is new, also when the
   * event comes again: that ends what is left of what was open at its first time.
   */
  cancelAll(
    customerId: CustomerId,
    by: Member,
    event?: EventRef,
  ): Promise<{ readonly kind: 'cancelled'; readonly count: number; readonly isRepeated?: true } | Refused>;
  /** Lets a running or queued operation rest at a safe point, within two seconds unless an effect is under way. */
  pause(customerId: CustomerId, wish: Wish): Promise<Paused>;
  /** Sends the next job of a paused operation, also of one whose question nobody answered. */
  resume(customerId: CustomerId, wish: Wish): Promise<Resumed>;
  /** Answers the question that a run has stopped for; the same transaction sends its next job. */
  answer(
    customerId: CustomerId,
    wish: Wish & { readonly questionId: string; readonly answer: Answer },
  ): Promise<Answered>;
  /** Asks for the same again, in a thread: whoever does is its requester. */
  retry(customerId: CustomerId, wish: Wish & { readonly threadId: string }): Promise<Retried>;
}

export interface ControlDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly customers: Customers;
  readonly consents: Consents;
  readonly operations: Operations;
  readonly mover: Mover;
  readonly queue: Queue;
  readonly vault: Vault;
  readonly egress: Pick<Egress, 'check'>;
}

const RUNNING_FIRST: readonly OperationState[] = ['in_progress', 'queued', 'waiting_for_human', 'paused'];

/** What may be tried again: what ended without a result, and without anybody's No. */
export function isRetryable({ state }: Pick<Operation, 'state'>): boolean {
  return state === 'failed' || state === 'expired' || state === 'cancelled';
}

/** Who may stop, pause and help an operation on: whoever asked for it or countersigned it, approvers and admins. */
export function mayControl({ requester, grant }: Operation, member: Member): boolean {
  const isTheirs = isSamePerson(requester, member) || (grant !== null && isSamePerson(grant.approver, member));
  return isTheirs || member.roles.includes('approver') || member.roles.includes('admin');
}

export function createControl(deps: ControlDeps): Control {
  const { database, customers, operations, mover } = deps;

  /** Who it is counts as it stands in this transaction, and so does the operation, under its lock. */
  const found = async (
    tx: Transaction,
    customerId: CustomerId,
    { operationId, by, event }: Wish,
  ): Promise<{ readonly kind: 'found'; readonly operation: Operation; readonly by: Member } | Refused> => {
    const isFirst = await takeEvent(tx, customerId, event);
    const operation = await lockedOperation(tx, operations, customerId, operationId);
    if (!operation) return { kind: 'unknown' };
    if (!isFirst) return { kind: 'repeated' };
    const asOfNow = await customers.find(tx, customerId, by.id);
    return asOfNow && mayControl(operation, asOfNow)
      ? { kind: 'found', operation, by: asOfNow }
      : { kind: 'not_allowed' };
  };

  const now = async (tx: Transaction, operation: Operation): Promise<Operation> =>
    (await operations.get(tx, operation.customerId, operation.id)) ?? operation;

  const end = async (tx: Transaction, operation: Operation, by: Member, why: string): Promise<Cancelled> => {
    const fence = await mover.move(tx, operation.customerId, {
      ...{ operationId: operation.id, from: OPEN_STATES, to: 'cancelled' },
      set: { errorMessage: why },
      entry: { kind: 'operation.cancelled', actor: by.id, payload: { why } },
    });
    return fence === undefined ? { kind: 'over' } : { kind: 'cancelled', operation: await now(tx, operation) };
  };

  return {
    cancel: (customerId, wish) =>
      database.withCustomer(customerId, async (tx) => {
        const seen = await found(tx, customerId, wish);
        if (seen.kind !== 'found') return seen;
        return end(tx, seen.operation, seen.by, attributed('stopped', seen.by.person.name));
      }),

    withdraw: (customerId, operationIds, { by, event }) =>
      database.withCustomer(customerId, async (tx) => {
        const open: Operation[] = [];
        // In the order of the ids, so that nobody waits in a circle.
        for (const id of operationIds.toSorted()) {
          const operation = await lockedOperation(tx, operations, customerId, id);
          if (operation && !isEnd(operation.state)) open.push(operation);
        }
        const asOfNow = await customers.find(tx, customerId, by.id);
        if (!asOfNow || !open.every((operation) => mayControl(operation, asOfNow))) return { kind: 'not_allowed' };
        if (open.some(({ state }) => state !== 'awaiting_consent')) return { kind: 'decided', operations: open };
        if (!(await takeEvent(tx, customerId, event))) return { kind: 'repeated' };
        for (const operation of open) await end(tx, operation, asOfNow, attributed('stopped', asOfNow.person.name));
        return { kind: 'withdrawn' };
      }),

    async cancelAll(customerId, by, event) {
      const seen = await database.withCustomer(customerId, async (tx) => {
        const asOfNow = await customers.find(tx, customerId, by.id);
        if (!asOfNow?.roles.includes('admin')) return undefined;
        const isFirst = await takeEvent(tx, customerId, event);
        const [first] = event && !isFirst ? await effectsOf(tx, customerId, event) : [];
        const where = { customerId, status: { in: [...OPEN_STATES] }, ...(first && { createdAt: { lte: first } }) };
        const select = { id: true, status: true };
        return { isFirst, open: await tx.operation.findMany({ where, select, orderBy: { createdAt: 'asc' } }) };
      });
      if (!seen) return { kind: 'not_allowed' };
      const { open, isFirst } = seen;
      const urgent = ({ status }: { status: string }) => RUNNING_FIRST.some((state) => state === status);
      const why = attributed('stopped_with_all', by.person.name);
      let count = 0;
      // Each by itself: a thousand rows locked at once would keep every worker waiting.
      for (const { id } of [...open.filter(urgent), ...open.filter((row) => !urgent(row))]) {
        const outcome = await database.withCustomer(customerId, async (tx) => {
          const operation = await lockedOperation(tx, operations, customerId, id);
          return operation && end(tx, operation, by, why);
        });
        if (outcome?.kind === 'cancelled') count++;
      }
      return { kind: 'cancelled', count, ...(isFirst ? {} : { isRepeated: true }) };
    },

    pause: (customerId, wish) =>
      database.withCustomer(customerId, async (tx) => {
        const seen = await found(tx, customerId, wish);
        if (seen.kind !== 'found') return seen;
        if (isEnd(seen.operation.state)) return { kind: 'over' };
        const kind = (await hold(tx, deps, seen.operation, { hold: 'person', by: seen.by.id })) ?? 'not_running';
        return { kind, operation: await now(tx, seen.operation) };
      }),

    resume: (customerId, wish) =>
      database.withCustomer(customerId, async (tx) => {
        const seen = await found(tx, customerId, wish);
        if (seen.kind !== 'found') return seen;
        const { operation, by } = seen;
        if (isEnd(operation.state)) return { kind: 'over' };
        const pause = operation.hold === 'operator' ? await pauseOf(tx, customerId) : undefined;
        if (pause) return { kind: 'held', pause };
        const kind =
          operation.state === 'paused' && operation.hold === null
            ? await takeUp(tx, deps, operation, by)
            : ((await letGo(tx, deps, operation, by.id)) ?? 'not_paused');
        return { kind, operation: await now(tx, operation) };
      }),

    answer: (customerId, { questionId, answer, ...wish }) =>
      database.withCustomer(customerId, async (tx) => {
        const asked = await found(tx, customerId, wish);
        if (asked.kind !== 'found') return asked;
        const { operation, by } = asked;
        const question = await latestQuestion(tx, customerId, operation.id);
        if (operation.state !== 'waiting_for_human' || question?.id !== questionId || question.closed !== null)
          return { kind: 'not_asked', operation };
        if ((question.kind === 'code') !== (answer.kind === 'code'))
          return { kind: 'asks_other', operation, wants: question.kind };
        if (!(await deps.consents.verify(tx, customerId, operation.id)).hasConsent)
          return { kind: 'lapsed', operation };
        if (!(await answerQuestion(tx, deps, operation, questionId, answer, by.id)))
          return { kind: 'not_asked', operation };
        return { kind: 'answered', operation: (await operations.get(tx, customerId, operation.id)) ?? operation };
      }),

    async retry(customerId, { threadId, ...wish }) {
      const seen = await database.withCustomer(customerId, async (tx) => {
        // Who asks is on record with the request itself, which takes the event.
        const { event: _, ...asked } = wish;
        const first = await found(tx, customerId, asked);
        if (first.kind !== 'found') return first;
        return isRetryable(first.operation) ? first : ({ kind: 'not_retryable', operation: first.operation } as const);
      });
      if (seen.kind !== 'found') return seen;
      const { operation, by } = seen;
      const { service, plan } = operation;
      const { origin, base } = plan;
      // Of a rotation that lacks nothing but the end of the old key that alone is done: a new key would not end it.
      const end = endOfOldKey(operation);
      const { type, way } = end ?? operation;
      const permissions = end ? defaultPermissions(type, way) : plan.permissions;
      if (!operation.retriedAs && !(await deps.egress.check(origin)).isAllowed)
        return { kind: 'unreachable', operation };
      const { event } = wish;
      const made = await operations.request(customerId, {
        ...{ threadId, requester: by, service, type, way, origin, base, permissions, retryOf: operation.id },
        ...(event ? { event } : {}),
        ...(plan.key ? { keyOf: parseOperationId(plan.key.operationId) ?? operation.id } : {}),
      });
      if (made && 'closed' in made) return { kind: 'closed', operation, why: made.closed };
      if (made && 'tooSoon' in made) return { kind: 'too_soon', operation, limit: made };
      if (made) return { kind: 'requested', operation: made };
      const other = await database.withCustomer(customerId, (tx) => retryOf(tx, operations, operation));
      return other ? { kind: 'already', operation: other } : { kind: 'repeated' };
    },
  };
}

/** A question that nobody answered in time is answered by whoever goes on. */
async function takeUp(
  tx: Transaction,
  deps: ControlDeps,
  operation: Operation,
  by: Member,
): Promise<'resumed' | 'lapsed' | 'not_paused'> {
  const { customerId, id } = operation;
  const { hasConsent } = await deps.consents.verifyToBegin(tx, operation);
  if (!hasConsent) return (await letGo(tx, deps, operation, by.id)) === 'lapsed' ? 'lapsed' : 'not_paused';
  const question = await latestQuestion(tx, customerId, id);
  const isTaken = question && (await answerQuestion(tx, deps, operation, question.id, { kind: 'go_on' }, by.id));
  return isTaken ? 'resumed' : 'not_paused';
}

async function retryOf(
  tx: Transaction,
  operations: Operations,
  { customerId, id }: { readonly customerId: CustomerId; readonly id: OperationId },
): Promise<Operation | undefined> {
  const row = await tx.operation.findUnique({
    where: { customerId_retryOf: { customerId, retryOf: id } },
    select: { id: true },
  });
  return row ? operations.get(tx, customerId, row.id) : undefined;
}
