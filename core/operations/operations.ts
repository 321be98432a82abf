import { z } from 'zod';
import type { Consent, ConsentRequest, OperationStep } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Customers, Member } from '../customers/customers.ts';
import { type Database, databaseNow, isUniqueViolation, type Transaction } from '../database.ts';
import { type CustomerId, newOperationId, newUuid, type OperationId, parseOperationId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationType, OperationTypeDefinition, Service } from '../services/service.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import { makePlan, type Plan, planHash, planText, readPlan } from './plan.ts';
import { type OperationResult, operationResult } from './result.ts';
import { type OperationState, parseState } from './states.ts';

/** One request for one operation type on one target, with all that people are shown of it. */
export interface Operation {
  readonly customerId: CustomerId;
  readonly id: OperationId;
  readonly threadId: string;
  readonly state: OperationState;
  readonly fence: bigint;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly plan: Plan;
  readonly planHash: string;
  readonly requester: Member;
  /** The newest consent request. */
  readonly request: ConsentRequest | null;
  /** Its countersignature, revoked or not. */
  readonly grant: (Consent & { readonly approver: Member }) | null;
  /** Who decided the newest request, when a person did. */
  readonly decidedBy: Member | null;
  /** Who entered the sign-in, and when. */
  readonly signIn: { readonly by: Member; readonly at: Date } | null;
  /** The last time that it set out to make something at the vendor's. `started` and `uncertain`: nobody saw what came of it. */
  readonly intent: { readonly label: string; readonly state: string } | null;
  readonly steps: readonly OperationStep[];
  readonly currentStep: number;
  readonly result: OperationResult | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
}

export interface NewOperation {
  readonly threadId: string;
  readonly requester: Member;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly origin: string;
  readonly base: string;
  readonly permissions: readonly string[];
}

export interface Operations {
  /** Makes the operation, its plan and its consent request, all on record. */
  request(customerId: CustomerId, input: NewOperation): Promise<Operation>;
  /** Makes the plan anew with other permissions: the old question is superseded, a new one stands in its place. */
  choosePermissions(tx: Transaction, operation: Operation, permissions: readonly string[], by: Member): Promise<void>;
  get(tx: Transaction, customerId: CustomerId, id: string): Promise<Operation | undefined>;
  ofThread(tx: Transaction, customerId: CustomerId, threadId: string): Promise<readonly Operation[]>;
  latest(tx: Transaction, customerId: CustomerId, limit: number): Promise<readonly Operation[]>;
}

export interface OperationsDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly customers: Customers;
  readonly queue: Queue;
  readonly workflows: WorkflowRegistry;
  getService(id: string): Service | undefined;
}

export function createOperations(deps: OperationsDeps): Operations {
  const { database, audit, queue } = deps;
  const plan = (input: {
    id: OperationId;
    service: Service;
    type: OperationTypeDefinition;
    origin: string;
    base: string;
    permissions: readonly string[];
    now: Date;
  }) => makePlan({ ...input, operationId: input.id, workflow: deps.workflows.getDefinition(input.type.workflowId) });

  const operations: Operations = {
    async request(customerId, input) {
      for (let tries = 0; ; tries++) {
        try {
          return await database.withCustomer(customerId, async (tx) => {
            const id = newOperationId();
            const made = plan({ ...input, id, now: await databaseNow(tx) });
            await insertOperation(tx, customerId, id, input, made);
            await insertRequest(tx, customerId, id, made, queue);
            const actor = input.requester.id;
            await audit.append(tx, customerId, {
              kind: 'operation.requested',
              operationId: id,
              actor,
              payload: { service: input.service.id, operation: input.type.type, target: input.base },
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
            const operation = await this.get(tx, customerId, id);
            if (!operation) throw new Error('an operation vanished in its own transaction');
            return operation;
          });
        } catch (error) {
          if (tries >= 3 || !isUniqueViolation(error)) throw error; // the id was taken: draw again
        }
      }
    },
    async choosePermissions(tx, operation, permissions, by) {
      const { customerId, id, service, type } = operation;
      const now = await databaseNow(tx);
      const made = plan({
        id,
        service,
        type,
        origin: operation.plan.origin,
        base: operation.plan.base,
        permissions,
        now,
      });
      await tx.consentRequest.updateMany({
        where: { customerId, operationId: id, decision: null },
        data: { decision: 'superseded', decidedAt: now, decidedBy: by.id },
      });
      await tx.operation.update({
        where: { customerId_id: { customerId, id } },
        data: { plan: planText(made), planHash: planHash(made), permissions: made.permissions, updatedAt: now },
      });
      for (const step of made.steps)
        await tx.operationStep.update({
          where: { customerId_operationId_number: { customerId, operationId: id, number: step.order } },
          data: { intent: step.intent },
        });
      await insertRequest(tx, customerId, id, made, queue);
      await audit.append(tx, customerId, {
        kind: 'plan.made',
        operationId: id,
        actor: by.id,
        planHash: planHash(made),
        payload: { plan: made },
      });
      await audit.append(tx, customerId, { kind: 'consent.requested', operationId: id, planHash: planHash(made) });
    },
    get: async (tx, customerId, id) => {
      const row = await tx.operation.findUnique({ where: { customerId_id: { customerId, id } }, include });
      return row ? toOperation(tx, deps, row) : undefined;
    },
    ofThread: async (tx, customerId, threadId) => {
      const rows = await tx.operation.findMany({
        where: { customerId, threadId },
        include,
        orderBy: { createdAt: 'asc' },
      });
      return inOrder(rows, (row) => toOperation(tx, deps, row));
    },
    latest: async (tx, customerId, limit) => {
      const rows = await tx.operation.findMany({
        where: { customerId },
        include,
        orderBy: { createdAt: 'desc' },
        take: limit,
      });
      return inOrder(rows, (row) => toOperation(tx, deps, row));
    },
  };
  return operations;
}

const include = {
  consentRequests: { orderBy: { askedAt: 'desc' }, take: 1 },
  consents: { orderBy: { grantedAt: 'desc' }, take: 1 },
  steps: { orderBy: { number: 'asc' } },
  intents: { orderBy: { startedAt: 'desc' }, select: { label: true, state: true }, take: 1 },
  auditEntries: { where: { kind: 'credentials.entered' }, select: { header: true, at: true }, take: 1 },
} as const;

type OperationRow = NonNullable<Awaited<ReturnType<typeof findRow>>>;
function findRow(tx: Transaction, customerId: CustomerId, id: string) {
  return tx.operation.findUnique({ where: { customerId_id: { customerId, id } }, include });
}

async function toOperation(tx: Transaction, deps: OperationsDeps, row: OperationRow): Promise<Operation> {
  const customerId = row.customerId as CustomerId; // a row of this customer's own transaction
  const service = deps.getService(row.service);
  const type = service?.operationTypes[row.operation as OperationType];
  const id = parseOperationId(row.id);
  if (!service || !type || !id) throw new Error(`operation ${row.id} names a service that this version does not have`);
  const request = row.consentRequests[0] ?? null;
  const consent = row.consents[0] ?? null;
  return {
    customerId,
    id,
    threadId: row.threadId,
    state: parseState(row.status),
    fence: row.fence,
    service,
    type,
    plan: readPlan(row.plan),
    planHash: row.planHash,
    requester: await deps.customers.memberById(tx, customerId, row.userId),
    request,
    grant: consent ? { ...consent, approver: await deps.customers.memberById(tx, customerId, consent.userId) } : null,
    decidedBy: request?.decidedBy ? await deps.customers.memberById(tx, customerId, request.decidedBy) : null,
    signIn: await signInOf(tx, deps, customerId, row.auditEntries[0]),
    intent: row.intents[0] ?? null,
    steps: row.steps,
    currentStep: row.currentStep,
    result: row.result === null ? null : operationResult.parse(row.result),
    errorCode: row.errorCode,
    errorMessage: row.errorMessage,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
  };
}

const entryHeader = z.object({ actor: z.string() });

async function signInOf(
  tx: Transaction,
  deps: OperationsDeps,
  customerId: CustomerId,
  entry: { header: string; at: Date } | undefined,
) {
  if (!entry) return null;
  const { actor } = entryHeader.parse(JSON.parse(entry.header));
  return { by: await deps.customers.memberById(tx, customerId, actor), at: entry.at };
}

/** One transaction is one connection: its queries go one after the other. */
async function inOrder<A, B>(items: readonly A[], convert: (item: A) => Promise<B>): Promise<readonly B[]> {
  const out: B[] = [];
  for (const item of items) out.push(await convert(item));
  return out;
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
    },
  });
  await tx.operationStep.createMany({
    data: made.steps.map((step) => ({ customerId, operationId: id, number: step.order, intent: step.intent })),
  });
}

async function insertRequest(
  tx: Transaction,
  customerId: CustomerId,
  operationId: OperationId,
  made: Plan,
  queue: Queue,
): Promise<void> {
  const expiresAt = new Date(made.expiresAt);
  await tx.consentRequest.create({
    data: { customerId, id: newUuid(), operationId, planHash: planHash(made), expiresAt },
  });
  await queue.sendDeadline(tx, { customerId, operationId }, expiresAt);
}
