import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import { insertQuestion } from '../consent/records.ts';
import type { Customers, Member } from '../customers/customers.ts';
import { isAllowedTarget } from '../customers/settings.ts';
import { type Database, databaseNow, isUniqueViolation, type Transaction } from '../database.ts';
import { type CustomerId, type MemberId, newOperationId, type OperationId } from '../ids.ts';
import { take } from '../limits.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationTypeDefinition, Service, Way } from '../services/service.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import { takeEvent } from './events.ts';
import { keyAt, nameInPlace } from './key.ts';
import { lock } from './lease.ts';
import { inOrder, type Operation, readOperation, widenedBy } from './operation.ts';
import { CONSENT_REQUEST_MINUTES, makePlan, type Plan, planHash, planText } from './plan.ts';
import { MOST_FAILED_SIGN_INS, signInWait } from './sign-in-limit.ts';
import { isEnd, STATES } from './states.ts';

export interface NewOperation {
  readonly threadId: string;
  readonly requester: Member;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  /** Absent: the type's first. */
  readonly way?: Way;
  readonly origin: string;
  readonly base: string;
  readonly permissions: readonly string[];
  /** The message or command that asks for it. */
  readonly event?: EventRef;
  /** The operation that is tried again. */
  readonly retryOf?: OperationId;
  /** The operation that made the key that it is about; absent: whichever key is stored. */
  readonly keyOf?: OperationId;
}

/** Nothing was made: the customer has asked too often, or sign-ins at this target failed too often, until `at`. */
export interface TooSoon {
  readonly tooSoon: 'operations' | 'sign_ins';
  /** How many there may be within an hour. */
  readonly most: number;
  readonly at: Date;
}

/** An admin's settings don't let it be done at all, or the key that it is about is not there, or not any more. */
export interface Closed {
  readonly closed: 'guide_only' | 'target' | 'no_key';
}

export interface Operations {
  /**
   * Makes the operation, its plan and its consent request, all on record. `undefined`: the event that asks for it has
   * been delivered before, or `retryOf` is tried again already, and that operation is there.
   */
  request(customerId: CustomerId, input: NewOperation): Promise<Operation | TooSoon | Closed | undefined>;
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
  /** Oldest first. With `since`: those that go on, and ended ones only where an audit entry after that number concerns them. */
  ofThread(
    tx: Transaction,
    customerId: CustomerId,
    threadId: string,
    options?: { since: bigint },
  ): Promise<readonly Operation[]>;
  latest(tx: Transaction, customerId: CustomerId, limit: number): Promise<readonly Operation[]>;
  /** All that is not over, newest first. */
  open(tx: Transaction, customerId: CustomerId): Promise<readonly Operation[]>;
}

export interface OperationsDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly customers: Customers;
  readonly queue: Queue;
  readonly workflows: WorkflowRegistry;
  getService(id: string): Service | undefined;
  /** This installation has a model that may look at pages, and a mode that asks it. */
  readonly hasPageModel?: boolean;
  /** Operations that a customer may ask for in an hour; absent: any number. */
  readonly perHour?: number;
}

export function createOperations(deps: OperationsDeps): Operations {
  const { database, audit } = deps;
  const plan = (input: {
    id: OperationId;
    service: Service;
    type: OperationTypeDefinition;
    way: Way;
    origin: string;
    base: string;
    permissions: readonly string[];
    keys: Pick<Plan, 'replaces' | 'key'>;
    asksModel: boolean;
    isFirstHere: boolean;
    now: Date;
  }) =>
    makePlan({
      ...input,
      ...input.keys,
      operationId: input.id,
      workflow: deps.workflows.getDefinition(input.way.workflowId),
    });

  const mayAskModel = async (tx: Transaction, customerId: CustomerId): Promise<boolean> =>
    deps.hasPageModel === true && (await deps.customers.rules(tx, customerId)).allowsModel;

  const operations: Operations = {
    async request(customerId, input) {
      for (let tries = 0; ; tries++) {
        try {
          return await database.withCustomer(customerId, async (tx) => {
            if (!(await takeEvent(tx, customerId, input.event))) return undefined;
            if (input.retryOf && (await isRetried(tx, customerId, input.retryOf))) return undefined;
            const now = await databaseNow(tx);
            await requireAllowed(tx, deps.customers, customerId, input);
            await requireTime(tx, customerId, input, now, deps.perHour);
            const id = newOperationId();
            const keys = await keysFor(tx, customerId, input, input.keyOf);
            if (!keys) throw new Refused({ closed: 'no_key' });
            const asksModel = await mayAskModel(tx, customerId);
            const isFirstHere = await isFirstAt(tx, customerId, input);
            const way = input.way ?? input.type.ways[0];
            const made = plan({ ...input, way, id, keys, asksModel, isFirstHere, now });
            await insertOperation(tx, customerId, id, input, made);
            const actor = input.requester.id;
            const asked = { by: actor, askedFor: made.permissions, widened: {} };
            await insertRequest(tx, customerId, id, made, asked, now, deps);
            await audit.append(tx, customerId, {
              kind: 'operation.requested',
              operationId: id,
              actor,
              payload: {
                ...{ service: input.service.id, operation: input.type.type, target: input.base },
                ...(input.retryOf ? { retryOf: input.retryOf } : {}),
              },
            });
            await audit.append(tx, customerId, {
              kind: 'plan.made',
              operationId: id,
              planHash: planHash(made),
              payload: { plan: made },
            });
            await audit.append(tx, customerId, {
              kind: 'consent.requested',
              operationId: id,
              planHash: planHash(made),
            });
            if (input.retryOf)
              await audit.append(tx, customerId, {
                kind: 'operation.retried',
                operationId: input.retryOf,
                actor,
                payload: { as: id },
              });
            const operation = await this.get(tx, customerId, id);
            if (!operation) throw new Error('an operation vanished in its own transaction');
            return operation;
          });
        } catch (error) {
          if (error instanceof Refused) return error.because;
          if (tries >= 3 || !isUniqueViolation(error)) throw error; // the id was taken: draw again
        }
      }
    },
    async choosePermissions(tx, operation, permissions, by, way = operation.way) {
      const { customerId, id, service, type } = operation;
      const { origin, base } = operation.plan;
      const now = await databaseNow(tx);
      const keys = await keysFor(tx, customerId, { service, type, base }, operation.plan.key?.operationId);
      if (!keys) return false;
      const asksModel = await mayAskModel(tx, customerId);
      const isFirstHere = operation.plan.isFirstHere ?? false;
      const about = { id, service, type, way, origin, base, permissions };
      const made = plan({ ...about, keys, asksModel, isFirstHere, now });
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
      const asksModel = await mayAskModel(tx, customerId);
      const rows = await tx.operation.findMany({
        where: { customerId, status: 'awaiting_consent' },
        orderBy: { id: 'asc' },
      });
      for (const row of rows) {
        const operation = await readOperation(tx, deps, row);
        if ((operation.plan.asksModel ?? false) !== asksModel)
          await operations.choosePermissions(tx, operation, operation.plan.permissions, by);
      }
    },
    saysWhatItReplaces: async (tx, { customerId, service, type, plan: { base, replaces, key } }) => {
      const keys = await keysFor(tx, customerId, { service, type, base }, key?.operationId);
      return keys?.replaces === replaces && keys.key?.label === key?.label;
    },
    get: async (tx, customerId, id) => {
      const row = await tx.operation.findUnique({ where: { customerId_id: { customerId, id } } });
      return row ? readOperation(tx, deps, row) : undefined;
    },
    ofThread: async (tx, customerId, threadId, options) => {
      const changing = options && [
        { status: { notIn: STATES.filter(isEnd) } },
        { auditEntries: { some: { customerId, seq: { gt: options.since } } } },
      ];
      const where = { customerId, threadId, ...(changing ? { OR: changing } : {}) };
      const rows = await tx.operation.findMany({ where, orderBy: { createdAt: 'asc' } });
      return inOrder(rows, (row) => readOperation(tx, deps, row));
    },
    latest: async (tx, customerId, limit) => {
      const rows = await tx.operation.findMany({
        where: { customerId },
        orderBy: { createdAt: 'desc' },
        take: limit,
      });
      return inOrder(rows, (row) => readOperation(tx, deps, row));
    },
    open: async (tx, customerId) => {
      const where = { customerId, status: { notIn: STATES.filter(isEnd) } };
      const rows = await tx.operation.findMany({ where, orderBy: { createdAt: 'desc' } });
      return inOrder(rows, (row) => readOperation(tx, deps, row));
    },
  };
  return operations;
}

/** Rolls back what was begun, so that the event that asked is not taken: its next delivery is answered as well. */
class Refused extends Error {
  readonly because: TooSoon | Closed;
  constructor(because: TooSoon | Closed) {
    super(JSON.stringify(because));
    this.because = because;
  }
}

const OPERATIONS = { name: 'operations', windowSeconds: 3600 } as const;

/** @throws Refused */
async function requireAllowed(
  tx: Transaction,
  customers: Customers,
  customerId: CustomerId,
  { base }: Pick<NewOperation, 'base'>,
): Promise<void> {
  const settings = await customers.rules(tx, customerId);
  if (settings.isGuideOnly) throw new Refused({ closed: 'guide_only' });
  if (!isAllowedTarget(base, settings)) throw new Refused({ closed: 'target' });
}

/** @throws Refused */
async function requireTime(
  tx: Transaction,
  customerId: CustomerId,
  { service, type, way = type.ways[0], base }: Pick<NewOperation, 'service' | 'type' | 'way' | 'base'>,
  now: Date,
  mostPerHour: number | undefined,
): Promise<void> {
  const refuse = (tooSoon: TooSoon['tooSoon'], most: number, seconds: number) => {
    throw new Refused({ tooSoon, most, at: new Date(now.getTime() + seconds * 1000) });
  };
  const signIn = way.kind === 'browser' ? await signInWait(tx, customerId, { service: service.id, base }) : 0;
  if (signIn > 0) refuse('sign_ins', MOST_FAILED_SIGN_INS, signIn);
  const own = await tx.customer.findUnique({ where: { customerId }, select: { operationsPerHour: true } });
  const limits = [mostPerHour, own?.operationsPerHour].filter((limit) => limit !== undefined && limit !== null);
  if (limits.length === 0) return;
  const perHour = Math.min(...limits);
  const { isAllowed, retrySeconds } = await take(tx, customerId, { ...OPERATIONS, quota: perHour });
  if (!isAllowed) refuse('operations', perHour, retrySeconds);
}

/** Whether another click was faster: of two at once, the second waits here for the first one's commit. */
async function isRetried(tx: Transaction, customerId: CustomerId, retryOf: OperationId): Promise<boolean> {
  await lock(tx, customerId, retryOf);
  return (await tx.operation.count({ where: { customerId, retryOf } })) > 0;
}

async function isFirstAt(
  tx: Transaction,
  customerId: CustomerId,
  { service, base }: Pick<NewOperation, 'service' | 'base'>,
): Promise<boolean> {
  const where = { customerId, service: service.id, target: base, status: 'completed' };
  return (await tx.operation.count({ where, take: 1 })) === 0;
}

/**
 * What a plan says of the key that is there: which one it is about, and which one a new one takes the place of. `undefined`:
 * it is about one, and that is not there.
 */
async function keysFor(
  tx: Transaction,
  customerId: CustomerId,
  place: Pick<NewOperation, 'service' | 'type' | 'base'>,
  of: string | undefined,
): Promise<Pick<Plan, 'replaces' | 'key'> | undefined> {
  const makesKey = Object.keys(place.type.result).length > 0;
  const replaces = makesKey ? await nameInPlace(tx, customerId, place) : null;
  if (place.type.type === 'api_key_generation') return { replaces };
  const key = await keyAt(tx, customerId, place, of);
  return key && { replaces, key };
}

async function insertOperation(
  tx: Transaction,
  customerId: CustomerId,
  id: OperationId,
  input: NewOperation,
  made: Plan,
): Promise<void> {
  await tx.operation.create({
    data: {
      customerId,
      id,
      threadId: input.threadId,
      userId: input.requester.id,
      service: input.service.id,
      operation: input.type.type,
      target: input.base,
      workflowId: made.workflowId,
      workflowVersion: made.workflowVersion,
      status: 'awaiting_consent',
      plan: planText(made),
      planHash: planHash(made),
      permissions: made.permissions,
      totalSteps: made.steps.length,
      retryOf: input.retryOf ?? null,
    },
  });
  await tx.operationStep.createMany({
    data: made.steps.map((step) => ({ customerId, operationId: id, number: step.order, intent: step.intent })),
  });
}

interface Asked {
  readonly by: MemberId;
  /** What the requester wants, by their own hand; and who added each permission beyond that. */
  readonly askedFor: readonly string[];
  readonly widened: Readonly<Record<string, string>>;
}

/** Whoever asked may ask for more; what somebody else adds stays theirs for as long as it is in the plan. */
function askedBy({ request, requester }: Operation, { permissions }: Plan, by: Member): Asked {
  const askedFor = by.personId === requester.personId ? permissions : names.parse(request?.askedFor ?? []);
  const before = widenedBy.parse(request?.widened ?? {});
  const more = permissions.filter((permission) => !askedFor.includes(permission));
  return { by: by.id, askedFor, widened: Object.fromEntries(more.map((added) => [added, before[added] ?? by.id])) };
}

const names = z.array(z.string());

async function insertRequest(
  tx: Transaction,
  customerId: CustomerId,
  operationId: OperationId,
  made: Plan,
  { by, askedFor, widened }: Asked,
  askedAt: Date,
  { database, queue }: Pick<OperationsDeps, 'database' | 'queue'>,
): Promise<void> {
  const expiresAt = new Date(made.expiresAt);
  // Both times from one reading of the clock: the database would round the microseconds of its own default.
  const question = { operationId, planHash: planHash(made), askedBy: by, askedAt, expiresAt, askedFor, widened };
  await insertQuestion(tx, database, customerId, question);
  const job = { customerId, operationId };
  await queue.sendDeadline(tx, job, new Date(expiresAt.getTime() - CONSENT_REQUEST_MINUTES * 30_000)); // the reminder
  await queue.sendDeadline(tx, job, expiresAt);
}
