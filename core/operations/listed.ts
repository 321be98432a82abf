import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { type Cursor, type Page, type PageRequest, pageOf } from '../page.ts';
import { isMore, named, type Operation, operationsById, type ReadOperationDeps } from './operation.ts';
import { operationResult } from './result.ts';
import { parseState } from './states.ts';

/** What a list says of an operation, under the names that it has there. */
export interface ListedOperation
  extends Pick<
      Operation,
      'id' | 'state' | 'service' | 'type' | 'way' | 'planHash' | 'currentStep' | 'retryOf' | 'retriedAs'
    >,
    Pick<Operation, 'result' | 'errorCode' | 'errorMessage' | 'createdAt' | 'startedAt' | 'completedAt'> {
  readonly base: string;
  readonly permissions: readonly string[];
  readonly totalSteps: number;
  readonly stepsDone: number;
  /** Of the current step. */
  readonly currentIntent: string | null;
  readonly requestedBy: Named;
  /** As `Operation.approvals`. */
  readonly approvedBy: readonly Named[];
  /** Of the countersignature that counts; until it is asked for no more, of the question for it. */
  readonly consentExpiresAt: Date | null;
}

type Named = z.infer<typeof person>;
const person = z.object({ id: z.string(), name: z.string() });

/** What a list needs of a plan. */
const planHead = z.object({
  way: z.string().exactOptional(),
  base: z.string(),
  permissions: z.array(z.string()),
  steps: z.array(z.object({ order: z.int(), intent: z.string() })),
});

const maybe = z.string().nullable();
const rows = z.array(
  z.object({
    ...{ id: z.string(), service: z.string(), operation: z.string(), plan: z.string(), status: z.string() },
    ...{ planHash: z.string(), currentStep: z.int(), stepsDone: z.int(), requestedBy: person },
    ...{ approvedBy: z.array(person), consentExpiresAt: z.date().nullable(), retryOf: maybe, retriedAs: maybe },
    ...{ result: operationResult.nullable(), errorCode: maybe, errorMessage: maybe, createdAt: z.date() },
    ...{ startedAt: z.date().nullable(), completedAt: z.date().nullable() },
  }),
);
type Row = z.infer<typeof rows>[number];

const COLUMNS = Prisma.sql`id, service, operation, plan, status, plan_hash AS "planHash", current_step AS "currentStep",
  done AS "stepsDone", requested_by AS "requestedBy", approved_by AS "approvedBy", consent_expires_at AS "consentExpiresAt",
  retry_of AS "retryOf", retried_as AS "retriedAs", result, error_code AS "errorCode", error_message AS "errorMessage",
  created_at AS "createdAt", started_at AS "startedAt", completed_at AS "completedAt"`;

/** Later than any operation was made. */
const BEGINNING: Cursor = { at: new Date('9999-12-31T00:00:00Z'), id: '' };

type Deps = ReadOperationDeps & { readonly database: Pick<Database, 'readAs' | 'withCustomer'> };

/** A page of the newest operations in one statement, newest first; a second one reads more of those to which more belongs. */
export async function newestListed(
  deps: Deps,
  customerId: CustomerId,
  request: PageRequest,
): Promise<Page<ListedOperation>> {
  const { at, id } = request.after ?? BEGINNING;
  const most = request.limit + 1;
  const read = rows.parse(
    await deps.database.readAs(
      customerId,
      (context) =>
        Prisma.sql`SELECT ${COLUMNS} FROM app.read_newest_listed(${context}, ${at}::timestamptz, ${id}, ${most}::int)`,
    ),
  );
  const { items, ...next } = pageOf(read, request, (row) => ({ at: row.createdAt, id: row.id }));
  if (!items.some(isMore)) return { items: items.map((row) => listedFrom(deps, row)), ...next };
  return {
    items: await deps.database.withCustomer(customerId, (tx) => completed(tx, deps, customerId, items)),
    ...next,
  };
}

/** Of these operations, in their order. */
export async function listedById(
  tx: Transaction,
  deps: ReadOperationDeps,
  customerId: CustomerId,
  ids: readonly string[],
): Promise<readonly ListedOperation[]> {
  if (ids.length === 0) return [];
  const read = rows.parse(
    await tx.$queryRaw`SELECT ${COLUMNS} FROM app.listed_operations(${customerId}::uuid, ${[...ids]})`,
  );
  return completed(tx, deps, customerId, read);
}

async function completed(
  tx: Transaction,
  deps: ReadOperationDeps,
  customerId: CustomerId,
  read: readonly Row[],
): Promise<readonly ListedOperation[]> {
  const whole = await operationsById(
    tx,
    deps,
    customerId,
    read.filter(isMore).map(({ id }) => id),
  );
  const found = new Map<string, Operation>(whole.map((operation) => [operation.id, operation]));
  return read.map((row) => {
    const operation = found.get(row.id);
    return operation ? listedOf(operation) : listedFrom(deps, row);
  });
}

function listedFrom(deps: Pick<ReadOperationDeps, 'getService'>, row: Row): ListedOperation {
  const { base, permissions, steps, ...plan } = planHead.parse(JSON.parse(row.plan));
  const { currentStep } = row;
  return {
    ...named(deps, row, plan),
    ...{ base, permissions, totalSteps: steps.length, currentStep, stepsDone: row.stepsDone },
    ...{ state: parseState(row.status), planHash: row.planHash },
    currentIntent: steps.find(({ order }) => order === currentStep)?.intent ?? null,
    ...{ requestedBy: row.requestedBy, approvedBy: row.approvedBy, consentExpiresAt: row.consentExpiresAt },
    ...{ retryOf: row.retryOf as OperationId | null, retriedAs: row.retriedAs as OperationId | null }, // by foreign key
    ...{ result: row.result, errorCode: row.errorCode, errorMessage: row.errorMessage },
    ...{ createdAt: row.createdAt, startedAt: row.startedAt, completedAt: row.completedAt },
  };
}

export function listedOf(operation: Operation): ListedOperation {
  const { state, plan, steps, requester, approvals, grant, request, currentStep } = operation;
  return {
    ...operation,
    ...{ base: plan.base, permissions: plan.permissions, totalSteps: steps.length },
    stepsDone: steps.filter((step) => step.state === 'done').length,
    currentIntent: steps.find(({ number }) => number === currentStep)?.intent ?? null,
    requestedBy: namedAs(requester),
    approvedBy: approvals.map(({ by }) => namedAs(by)),
    consentExpiresAt:
      (state === 'awaiting_consent' ? request?.expiresAt : grant?.revokedAt ? null : grant?.expiresAt) ?? null,
  };
}

function namedAs({ id, person: { name } }: Operation['requester']): Named {
  return { id, name };
}
