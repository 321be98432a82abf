import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import { isSamePerson, type Member } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { type Page, type PageRequest, pageOf } from '../page.ts';
import type { Way } from '../services/service.ts';
import { type ListedOperation, listedById, newestListed } from './listed.ts';
import { lock } from './locked.ts';
import { isMore, type Operation, operationsById, readyOperation, wholeOperation, widenedBy } from './operation.ts';
import { readParts } from './parts.ts';
import { type Plan, planHash, planText } from './plan.ts';
import {
  type Asked,
  type AskedTogether,
  type Closed,
  insertRequest,
  keysFor,
  mayAskModel,
  type NewOperation,
  obstacleNow,
  planFor,
  type RequestDeps,
  requestAll,
  type TooSoon,
} from './request.ts';
import { END_STATES, type OperationState } from './states.ts';

export type { AskedTogether, Closed, NewOperation, TooSoon } from './request.ts';

export interface OperationFilter extends PageRequest {
  /** Absent: in whatever state. */
  readonly states?: readonly OperationState[] | undefined;
  readonly service?: string | undefined;
  /** By when it was asked for; both ends are included. */
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

export interface Operations {
  /**
   * Makes the operation, its plan and its consent request, all on record. `undefined`: the event that asks for it has
   * been delivered before, or `retryOf` is tried again already, and that operation is there.
   */
  request(customerId: CustomerId, input: NewOperation): Promise<Operation | TooSoon | Closed | undefined>;
  /** What `request` would be refused for at this moment, without asking for anything. */
  obstacle(customerId: CustomerId, input: Omit<NewOperation, 'threadId'>): Promise<TooSoon | Closed | undefined>;
  /**
   * The same for several that one message asks for, in its thread, on one card: all in one transaction, each with its own
   * plan and its own question. One that can't be asked for is left out and named, and the others are asked for; where they
   * are more than the customer may ask for within the hour, none is.
   */
  requestTogether(
    customerId: CustomerId,
    inputs: readonly NewOperation[],
  ): Promise<AskedTogether | TooSoon | undefined>;
  /**
   * Makes the plan anew with other permissions, or in another way: the old question is superseded, a new one stands in its place.
   * @returns false when the operation was decided or changed meanwhile: nothing was changed.
   */
  choosePermissions(
    tx: Transaction,
    operation: Operation,
    permissions: readonly string[],
    by: Member,
    way?: Way,
  ): Promise<boolean>;
  /** Makes every plan anew that waits for approval and says something else of the model than holds now. */
  replan(tx: Transaction, customerId: CustomerId, by: Member): Promise<void>;
  /** Whether the plan still says the truth about the key that is there: another one may have been stored since. */
  saysWhatItReplaces(tx: Transaction, operation: Operation): Promise<boolean>;
  get(tx: Transaction, customerId: CustomerId, id: string): Promise<Operation | undefined>;
  /** The same in a statement of its own, which costs a fraction of a transaction. */
  look(customerId: CustomerId, id: string): Promise<Operation | undefined>;
  /** Oldest first. With `since`: those that go on, and ended ones only where an audit entry after that number concerns them. */
  ofThread(
    tx: Transaction,
    customerId: CustomerId,
    threadId: string,
    options?: { since: bigint },
  ): Promise<readonly Operation[]>;
  latest(tx: Transaction, customerId: CustomerId, limit: number): Promise<readonly Operation[]>;
  /** Newest first. */
  page(customerId: CustomerId, filter: OperationFilter): Promise<Page<ListedOperation>>;
  /** All that is not over, newest first. */
  open(tx: Transaction, customerId: CustomerId): Promise<readonly Operation[]>;
}

export function createOperations(deps: RequestDeps): Operations {
  const { audit, database } = deps;
  const operations: Operations = {
    async request(customerId, input) {
      const asked = await requestAll(deps, customerId, [input]);
      if (!asked || 'tooSoon' in asked) return asked;
      return asked.asked[0] ?? asked.left[0]?.because;
    },
    obstacle: (customerId, input) => obstacleNow(deps, customerId, input),
    requestTogether: (customerId, inputs) => requestAll(deps, customerId, inputs),
    async choosePermissions(tx, operation, permissions, by, way = operation.way) {
      const { customerId, id, service, type } = operation;
      const { origin, base } = operation.plan;
      const now = await databaseNow(tx);
      const isFirstHere = operation.plan.isFirstHere ?? false;
      const keyOf = operation.plan.key?.operationId;
      const repair = operation.plan.repair ? { repair: operation.plan.repair } : {};
      const about = { id, service, type, way, origin, base, permissions, isFirstHere, now, keyOf, ...repair };
      const made = await planFor(tx, deps, customerId, about);
      if (!made) return false;
      // Compare and set: a click may have decided on the old plan since the operation was read.
      const { count } = await tx.operation.updateMany({
        where: { customerId, id, status: 'awaiting_consent', planHash: operation.planHash },
        data: { plan: planText(made), planHash: planHash(made), permissions: made.permissions, updatedAt: now },
      });
      if (count === 0) return false;
      await tx.consentRequest.updateMany({
        where: { customerId, operationId: id, decision: null, terms: null },
        data: { decision: 'superseded', decidedAt: now, decidedBy: by.id },
      });
      for (const { order: number, intent } of made.steps)
        await tx.operationStep.upsert({
          where: { customerId_operationId_number: { customerId, operationId: id, number } },
          update: { intent },
          create: { customerId, operationId: id, number, intent },
        });
      await insertRequest(tx, customerId, id, made, askedBy(operation, made, by), now, deps);
      await audit.append(tx, customerId, {
        kind: 'plan.made',
        operationId: id,
        actor: by.id,
        planHash: planHash(made),
        payload: { plan: made },
      });
      await audit.append(tx, customerId, { kind: 'consent.requested', operationId: id, planHash: planHash(made) });
      return true;
    },
    async replan(tx, customerId, by) {
      const asksModel = await mayAskModel(tx, deps, customerId);
      const rows = await tx.operation.findMany({
        where: { customerId, status: 'awaiting_consent' },
        orderBy: { id: 'asc' },
        select: ID,
      });
      // Every row before the first entry: a click holds its operation while it waits for the chain.
      for (const { id } of rows) await lock(tx, customerId, id);
      for (const operation of await operationsById(tx, deps, customerId, rows.map(idOf))) {
        if ((operation.plan.asksModel ?? false) !== asksModel)
          await operations.choosePermissions(tx, operation, operation.plan.permissions, by);
      }
    },
    saysWhatItReplaces: async (tx, { customerId, service, type, plan: { base, replaces, key } }) => {
      const keys = await keysFor(tx, customerId, { service, type, base, keyOf: key?.operationId });
      return keys?.replaces === replaces && keys.key?.label === key?.label;
    },
    get: async (tx, customerId, id) => {
      const [operation] = await operationsById(tx, deps, customerId, [id]);
      return operation;
    },
    async look(customerId, id) {
      const parts = await readParts(database, customerId, id);
      if (!parts || !isMore(parts.operation)) return parts && readyOperation(deps, parts);
      return database.withCustomer(customerId, (tx) => wholeOperation(tx, deps, customerId, parts));
    },
    ofThread: async (tx, customerId, threadId, options) => {
      // By each operation's own entries: what lies behind a thread's cursor are those of all threads, millions after a while.
      const changing = options
        ? Prisma.sql`AND (o.status <> ALL (${[...END_STATES]}) OR EXISTS (
            SELECT FROM autonomous_operations_audit e
            WHERE e.customer_id = o.customer_id AND e.operation_id = o.id AND e.seq > ${options.since}))`
        : Prisma.empty;
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT o.id FROM autonomous_operations o
        WHERE o.customer_id = ${customerId}::uuid AND o.thread_id = ${threadId}::uuid ${changing}
        ORDER BY o.created_at, o.id`;
      return operationsById(tx, deps, customerId, rows.map(idOf));
    },
    latest: async (tx, customerId, limit) => {
      const rows = await tx.operation.findMany({
        where: { customerId },
        orderBy: { createdAt: 'desc' },
        take: limit,
        select: ID,
      });
      return operationsById(tx, deps, customerId, rows.map(idOf));
    },
    async page(customerId, filter) {
      const { states, service, from, to, limit } = filter;
      if (!states && service === undefined && !from && !to) return newestListed(deps, customerId, filter);
      return database.withCustomer(customerId, async (tx) => {
        const rows = await tx.operation.findMany({
          where: pageWhere(customerId, filter),
          orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
          take: limit + 1,
          select: { id: true, createdAt: true },
        });
        const { items, ...next } = pageOf(rows, filter, ({ createdAt: at, id }) => ({ at, id }));
        return { items: await listedById(tx, deps, customerId, items.map(idOf)), ...next };
      });
    },
    open: async (tx, customerId) => {
      const where = { customerId, status: { notIn: [...END_STATES] } };
      const rows = await tx.operation.findMany({ where, orderBy: { createdAt: 'desc' }, select: ID });
      return operationsById(tx, deps, customerId, rows.map(idOf));
    },
  };
  return operations;
}

const ID = { id: true } as const;
const idOf = ({ id }: { readonly id: string }) => id;

function pageWhere(
  customerId: CustomerId,
  { states, service, from, to, after }: OperationFilter,
): Prisma.OperationWhereInput {
  return {
    customerId,
    ...(states ? { status: { in: [...states] } } : {}),
    ...(service === undefined ? {} : { service }),
    // The last bound is what an index can begin at: the two beneath it only leave out what the page before has shown.
    AND: [from && { gte: from }, to && { lte: to }, after && { lte: after.at }].flatMap((createdAt) =>
      createdAt ? [{ createdAt }] : [],
    ),
    ...(after ? { OR: [{ createdAt: { lt: after.at } }, { createdAt: after.at, id: { lt: after.id } }] } : {}),
  };
}

/** Whoever asked may ask for more; what somebody else adds stays theirs for as long as it is in the plan. */
function askedBy({ request, requester }: Operation, { permissions }: Plan, by: Member): Asked {
  const askedFor = isSamePerson(by, requester) ? permissions : names.parse(request?.askedFor ?? []);
  const before = widenedBy.parse(request?.widened ?? {});
  const more = permissions.filter((permission) => !askedFor.includes(permission));
  return { by: by.id, askedFor, widened: Object.fromEntries(more.map((added) => [added, before[added] ?? by.id])) };
}

const names = z.array(z.string());
