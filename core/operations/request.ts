import type { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { insertQuestion } from '../consent/records.ts';
import type { Customers, Member } from '../customers/customers.ts';
import { isAllowedTarget } from '../customers/settings.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { isUniqueViolation } from '../database-errors.ts';
import { type CustomerId, type MemberId, newOperationId, type OperationId } from '../ids.ts';
import { look, take } from '../limits.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Queue } from '../queue/queue.ts';
import { makesKey } from '../services/key-types.ts';
import type { OperationTypeDefinition, Service, Way } from '../services/service.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import { takeEvent } from './events.ts';
import { keyAt, nameInPlace } from './key.ts';
import { lock } from './locked.ts';
import { inOrder, type Operation, operationsById } from './operation.ts';
import { makePlan, type Plan, planHash, planText } from './plan.ts';
import { MOST_FAILED_SIGN_INS, signInWait } from './sign-in-limit.ts';
import { keepPlace } from './together.ts';

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
  /** The token of the HTTP API by which it came. */
  readonly tokenId?: string;
  /** The operation that is tried again. */
  readonly retryOf?: OperationId;
  /** The operation that made the key that it is about; absent: whichever key is stored. */
  readonly keyOf?: string | undefined;
  /** Nobody asks for it: the program does, since something is amiss with the key. */
  readonly repair?: Plan['repair'];
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

/** What came of asking for several; those that were left out are not there at all. */
export interface AskedTogether {
  /** In the order in which they were asked for. */
  readonly asked: readonly Operation[];
  readonly left: readonly Left[];
}
export interface Left {
  readonly input: NewOperation;
  readonly because: Closed | TooSoon;
}

export interface RequestDeps {
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

/**
 * Asks for one operation or for several in one transaction. @returns `undefined` for an event that was taken before;
 * `TooSoon` where the customer may not ask for so many now. Where nothing is asked for the event isn't taken either.
 */
export async function requestAll(
  deps: RequestDeps,
  customerId: CustomerId,
  inputs: readonly NewOperation[],
): Promise<AskedTogether | TooSoon | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return await deps.database.withCustomer(customerId, (tx) => ask(tx, deps, customerId, inputs));
    } catch (error) {
      if (error instanceof Refused) return error.because;
      if (tries >= 3 || !isUniqueViolation(error)) throw error; // the id was taken: draw again
    }
  }
}

/**
 * Every row comes before the first entry: whoever waits for a row while the chain is theirs holds everybody up.
 * @throws Refused
 */
export async function ask(
  tx: Transaction,
  deps: RequestDeps,
  customerId: CustomerId,
  inputs: readonly NewOperation[],
): Promise<AskedTogether | undefined> {
  if (!(await takeEvent(tx, customerId, inputs[0]?.event))) return undefined;
  for (const { retryOf } of inputs) if (retryOf && (await isRetried(tx, customerId, retryOf))) return undefined;
  const now = await databaseNow(tx);
  const left: Left[] = [];
  const made: Made[] = [];
  for (const input of inputs) {
    const because = await obstacleTo(tx, deps, customerId, input, now);
    if (because) left.push({ input, because });
    else made.push({ input, id: newOperationId() });
  }
  if (made.length === 0) throw new Refused({ asked: [], left });
  await requireTime(tx, customerId, made.length, now, deps.perHour);
  // One transaction has one time: a millisecond each keeps them in the order in which they were asked for.
  const planned = await inOrder([...made.entries()], async ([index, each]) => ({
    ...each,
    plan: await insert(tx, deps, customerId, each, now, new Date(now.getTime() + index)),
  }));
  const [first, second] = planned;
  if (first && second)
    await keepPlace(
      tx,
      customerId,
      first.input.threadId,
      planned.map(({ id }) => id),
    );
  for (const each of planned) await record(tx, deps, customerId, each);
  const asked = await operationsById(
    tx,
    deps,
    customerId,
    planned.map(({ id }) => id),
  );
  return { asked, left };
}

export function obstacleNow(
  deps: RequestDeps,
  customerId: CustomerId,
  input: Omit<NewOperation, 'threadId'>,
): Promise<Closed | TooSoon | undefined> {
  return deps.database.withCustomer(customerId, async (tx) => {
    const now = await databaseNow(tx);
    const because = await obstacleTo(tx, deps, customerId, input, now);
    const limit = because ? undefined : await limitOf(tx, customerId, deps.perHour);
    if (!limit) return because;
    const { isAllowed, retrySeconds } = await look(tx, customerId, limit);
    if (isAllowed) return undefined;
    return { tooSoon: 'operations', most: limit.quota, at: secondsAfter(now, retrySeconds) };
  });
}

interface Made {
  readonly input: NewOperation;
  readonly id: OperationId;
}

/** Rolls back what was begun, so that the event that asked is not taken: its next delivery is answered as well. */
export class Refused extends Error {
  readonly because: AskedTogether | TooSoon;
  constructor(because: AskedTogether | TooSoon) {
    super('nothing was asked for');
    this.because = because;
  }
}

const OPERATIONS = { name: 'operations', windowSeconds: 3600 } as const;

/** Why this one can't be asked for as things stand, whatever else is. */
export async function obstacleTo(
  tx: Transaction,
  { customers }: Pick<RequestDeps, 'customers'>,
  customerId: CustomerId,
  input: Pick<NewOperation, 'service' | 'type' | 'way' | 'base' | 'keyOf'>,
  now: Date,
): Promise<Closed | TooSoon | undefined> {
  const { service, type, way = type.ways[0], base } = input;
  const settings = await customers.rules(tx, customerId);
  if (settings.isGuideOnly) return { closed: 'guide_only' };
  if (!isAllowedTarget(base, settings)) return { closed: 'target' };
  if (!(await keysFor(tx, customerId, input))) return { closed: 'no_key' };
  const seconds = way.kind === 'browser' ? await signInWait(tx, customerId, { service: service.id, base }) : 0;
  return seconds > 0 ? { tooSoon: 'sign_ins', most: MOST_FAILED_SIGN_INS, at: secondsAfter(now, seconds) } : undefined;
}

/** Each of them counts. @throws Refused */
export async function requireTime(
  tx: Transaction,
  customerId: CustomerId,
  count: number,
  now: Date,
  mostPerHour: number | undefined,
): Promise<void> {
  const limit = await limitOf(tx, customerId, mostPerHour);
  if (!limit) return;
  const most = limit.quota;
  if (count > most) throw new Refused({ tooSoon: 'operations', most, at: now }); // they never fit into one hour
  const { isAllowed, retrySeconds } = await take(tx, customerId, limit, count);
  if (!isAllowed) throw new Refused({ tooSoon: 'operations', most, at: secondsAfter(now, retrySeconds) });
}

/** The lower of the installation's and the customer's own; `undefined`: there is none. */
async function limitOf(tx: Transaction, customerId: CustomerId, mostPerHour: number | undefined) {
  const own = await tx.customer.findUnique({ where: { customerId }, select: { operationsPerHour: true } });
  const limits = [mostPerHour, own?.operationsPerHour].filter((limit) => limit !== undefined && limit !== null);
  return limits.length === 0 ? undefined : { ...OPERATIONS, quota: Math.min(...limits) };
}

function secondsAfter(now: Date, seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000);
}

/** Whether another click was faster: of two at once, the second waits here for the first one's commit. */
async function isRetried(tx: Transaction, customerId: CustomerId, retryOf: OperationId): Promise<boolean> {
  await lock(tx, customerId, retryOf);
  return (await tx.operation.count({ where: { customerId, retryOf } })) > 0;
}

export const mayAskModel = async (
  tx: Transaction,
  { customers, hasPageModel }: Pick<RequestDeps, 'customers' | 'hasPageModel'>,
  customerId: CustomerId,
): Promise<boolean> => hasPageModel === true && (await customers.rules(tx, customerId)).allowsModel;

interface PlannedFor {
  readonly id: OperationId;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly way: Way;
  readonly origin: string;
  readonly base: string;
  readonly permissions: readonly string[];
  readonly isFirstHere: boolean;
  readonly now: Date;
  readonly keyOf?: string | undefined;
  readonly repair?: Plan['repair'];
}

/**
 * The plan as it has to be made at this moment: what it is about, what it replaces, and whether a model may look, is as of
 * now. `undefined`: the key that it is about is not there any more.
 */
export async function planFor(
  tx: Transaction,
  deps: Pick<RequestDeps, 'customers' | 'hasPageModel' | 'workflows'>,
  customerId: CustomerId,
  about: PlannedFor,
): Promise<Plan | undefined> {
  const keys = await keysFor(tx, customerId, about);
  if (!keys) return undefined;
  return makePlan({
    ...about,
    ...keys,
    operationId: about.id,
    asksModel: await mayAskModel(tx, deps, customerId),
    workflow: deps.workflows.getDefinition(about.way.workflowId),
  });
}

/** The operation, its steps and its question. */
async function insert(
  tx: Transaction,
  deps: RequestDeps,
  customerId: CustomerId,
  { input, id }: Made,
  now: Date,
  createdAt: Date,
): Promise<Plan> {
  const { way = input.type.ways[0] } = input;
  const isFirstHere = await isFirstAt(tx, customerId, input);
  const made = await planFor(tx, deps, customerId, { ...input, way, id, isFirstHere, now });
  if (!made) throw new Refused({ asked: [], left: [{ input, because: { closed: 'no_key' } }] }); // it was there a moment ago
  await insertOperation(tx, customerId, id, input, made, { status: 'awaiting_consent', createdAt });
  const asked = { by: input.requester.id, askedFor: made.permissions, widened: {} };
  await insertRequest(tx, customerId, id, made, asked, now, deps);
  return made;
}

/** What stands in the trail of a request, in this order. */
async function record(
  tx: Transaction,
  { audit }: RequestDeps,
  customerId: CustomerId,
  { input, id, plan }: Made & { readonly plan: Plan },
): Promise<void> {
  const { service, type, base, retryOf, tokenId, repair } = input;
  const actor = input.requester.id;
  await audit.append(tx, customerId, {
    kind: 'operation.requested',
    operationId: id,
    ...(repair ? {} : { actor }),
    payload: {
      ...{ service: service.id, operation: type.type, target: base },
      ...(repair ? { repair: repair.cause } : {}),
      ...(retryOf ? { retryOf } : {}),
      ...(tokenId ? { token: tokenId } : {}),
    },
  });
  const hash = planHash(plan);
  await audit.append(tx, customerId, { kind: 'plan.made', operationId: id, planHash: hash, payload: { plan } });
  await audit.append(tx, customerId, { kind: 'consent.requested', operationId: id, planHash: hash });
  if (retryOf)
    await audit.append(tx, customerId, { kind: 'operation.retried', operationId: retryOf, actor, payload: { as: id } });
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
export async function keysFor(
  tx: Transaction,
  customerId: CustomerId,
  { keyOf, ...place }: Pick<NewOperation, 'service' | 'type' | 'base' | 'keyOf'>,
): Promise<Pick<Plan, 'replaces' | 'key'> | undefined> {
  const replaces = makesKey(place.type) ? await nameInPlace(tx, customerId, place) : null;
  if (place.type.type === 'api_key_generation') return { replaces };
  const key = await keyAt(tx, customerId, place, keyOf);
  return key && { replaces, key };
}

export async function insertOperation(
  tx: Transaction,
  customerId: CustomerId,
  id: OperationId,
  input: NewOperation,
  made: Plan,
  state: Pick<
    Prisma.OperationUncheckedCreateInput,
    'status' | 'createdAt' | 'consentGiven' | 'consentExpiresAt' | 'jobId'
  >,
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
      ...state,
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

export interface Asked {
  readonly by: MemberId;
  /** What the requester wants, by their own hand; and who added each permission beyond that. */
  readonly askedFor: readonly string[];
  readonly widened: Readonly<Record<string, string>>;
}

export async function insertRequest(
  tx: Transaction,
  customerId: CustomerId,
  operationId: OperationId,
  made: Plan,
  { by, askedFor, widened }: Asked,
  askedAt: Date,
  { database, queue }: Pick<RequestDeps, 'database' | 'queue'>,
): Promise<void> {
  const expiresAt = new Date(made.expiresAt);
  // Both times from one reading of the clock: the database would round the microseconds of its own default.
  const question = { operationId, planHash: planHash(made), askedBy: by, askedAt, expiresAt, askedFor, widened };
  await insertQuestion(tx, database, customerId, question);
  const job = { customerId, operationId };
  await queue.sendDeadline(tx, job, new Date((askedAt.getTime() + expiresAt.getTime()) / 2)); // the reminder
  await queue.sendDeadline(tx, job, expiresAt);
}
