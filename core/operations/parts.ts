import { z } from 'zod';
import {
  type Consent,
  type ConsentRequest,
  type Member,
  type Operation,
  type OperationStep,
  Prisma,
} from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { Cursor } from '../page.ts';

/** One operation with what belongs to it, as it lies in the tables. */
export type Parts = z.infer<typeof partsRow>;

const moment = z.string().transform((text) => new Date(text)); // a timestamptz(3) of a session in UTC
const bigint = z.number().transform(BigInt); // fences: far below 2^53
const json = z.custom<Prisma.JsonValue>(() => true); // a jsonb column's value is JSON

/** A table's row as `to_jsonb` gives it, under the names that Prisma has for its columns. */
function rowOf<Shape extends z.ZodRawShape>(shape: Shape) {
  // Columns in the order of the names that they are read under: many rows are read at once, so nothing is made up for each.
  const columns = Object.keys(shape).map(
    (name) => [name, name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] as const,
  );
  return z.preprocess((row) => {
    if (row === null || typeof row !== 'object') return row;
    const named: Record<string, unknown> = {};
    for (const [name, column] of columns) named[name] = (row as Record<string, unknown>)[column]; // an object has properties
    return named;
  }, z.object(shape));
}

const request = rowOf({
  ...{ customerId: z.string(), id: z.string(), operationId: z.string(), planHash: z.string() },
  ...{ askedAt: moment, expiresAt: moment, askedBy: z.string().nullable(), askedFor: json, widened: json },
  ...{ decision: z.string().nullable(), decidedAt: moment.nullable(), decidedBy: z.string().nullable() },
  ...{ method: z.string().nullable(), terms: z.string().nullable() },
}) satisfies z.ZodType<ConsentRequest>;

/** A countersignature's row as `row_to_json` gives it. */
export const consentRow = rowOf({
  ...{ customerId: z.string(), id: z.string(), requestId: z.string(), operationId: z.string(), userId: z.string() },
  ...{ service: z.string(), operation: z.string(), target: z.string(), permissions: json, planHash: z.string() },
  ...{
    grantedAt: moment,
    expiresAt: moment.nullable(),
    revokedAt: moment.nullable(),
    revokedBy: z.string().nullable(),
  },
  ...{ collectionMethod: z.string(), ipAddress: z.string().nullable(), userAgent: z.string().nullable() },
  ...{ consentVersion: z.string(), extends: z.string().nullable(), templateHash: z.string().nullable() },
  ...{ keeps: z.array(z.string()), createdAt: moment },
}) satisfies z.ZodType<Consent>;

const step = rowOf({
  ...{ customerId: z.string(), operationId: z.string(), number: z.int(), intent: z.string(), state: z.string() },
  ...{ attempt: bigint, rung: z.string().nullable(), startedAt: moment.nullable(), finishedAt: moment.nullable() },
  ...{ durationMs: z.int().nullable(), screenshotId: z.string().nullable(), note: z.string().nullable() },
}) satisfies z.ZodType<OperationStep>;

const member = rowOf({
  ...{ customerId: z.string(), id: z.string(), platform: z.string(), workspaceId: z.string(), userId: z.string() },
  ...{ name: z.string(), roles: z.array(z.string()), personId: z.string().nullable(), createdAt: moment },
}) satisfies z.ZodType<Member>;

const operation = rowOf({
  ...{ customerId: z.string(), id: z.string(), threadId: z.string(), userId: z.string(), service: z.string() },
  ...{
    operation: z.string(),
    target: z.string(),
    workflowId: z.string(),
    workflowVersion: z.int(),
    status: z.string(),
  },
  ...{ fence: bigint, plan: z.string(), planHash: z.string(), permissions: json, consentGiven: z.boolean() },
  ...{ consentTimestamp: moment.nullable(), consentExpiresAt: moment.nullable(), startedAt: moment.nullable() },
  ...{ completedAt: moment.nullable(), totalSteps: z.int(), currentStep: z.int(), result: json.nullable() },
  ...{ errorCode: z.string().nullable(), errorMessage: z.string().nullable(), executionMetadata: json },
  ...{ jobId: z.string().nullable(), hold: z.string().nullable(), heldBy: z.string().nullable() },
  ...{ retryOf: z.string().nullable(), createdAt: moment, updatedAt: moment },
}) satisfies z.ZodType<Operation>;

const partsRow = z.object({
  operation,
  platform: z.string(),
  workspaceId: z.string(),
  request: request.nullable(),
  /** Approvals and reminders of that request, oldest first. */
  events: z.array(z.object({ kind: z.string(), memberId: z.string().nullable(), at: moment })),
  consent: consentRow.nullable(),
  intent: z.object({ label: z.string(), state: z.string(), attempt: bigint }).nullable(),
  signIn: z.object({ actor: z.string(), at: moment }).nullable(),
  isKeyStored: z.boolean(),
  steps: z.array(step),
  /** Ids of those that are still kept. */
  pictures: z.array(z.string()),
  retriedAs: z.string().nullable(),
  /** Everybody whom any of these names. */
  people: z.array(member),
  /** Of an open question that somebody approved: the approvals that count as things stand, one a person, oldest first. */
  given: z.array(z.object({ memberId: z.string(), at: moment })).nullable(),
  /** While it waits for approval: the oldest other one that is asked for the same at the same place and is not over. */
  twin: z.string().nullable(),
});
const partsRows = z.array(partsRow);

const COLUMNS = Prisma.sql`operation, platform, workspace_id AS "workspaceId", request, events, consent, intent,
  sign_in AS "signIn", is_key_stored AS "isKeyStored", steps, pictures, retried_as AS "retriedAs", people,
  given, twin`;

/** Of all these operations, in their order, in one statement: a transaction is one connection, and each statement a way there and back. */
export async function partsOf(
  tx: Transaction,
  customerId: CustomerId,
  ids: readonly string[],
): Promise<readonly Parts[]> {
  if (ids.length === 0) return [];
  const rows = partsRows.parse(
    await tx.$queryRaw`SELECT ${COLUMNS} FROM app.operation_parts(${customerId}::uuid, ${[...ids]})`,
  );
  const found = new Map(rows.map((row) => [row.operation.id, row]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

/** Of one operation, in a statement of its own. */
export async function readParts(database: Database, customerId: CustomerId, id: string): Promise<Parts | undefined> {
  const [found] = partsRows.parse(
    await database.readAs(
      customerId,
      (context) => Prisma.sql`SELECT ${COLUMNS} FROM app.read_operation(${context}, ${id})`,
    ),
  );
  return found;
}

/** Later than any operation was made. */
const BEGINNING: Cursor = { at: new Date('9999-12-31T00:00:00Z'), id: '' };

/** Of the newest operations, newest first, likewise. @param most how many */
export async function readNewestParts(
  database: Database,
  customerId: CustomerId,
  { after = BEGINNING, most }: { readonly after?: Cursor | undefined; readonly most: number },
): Promise<readonly Parts[]> {
  const rows = partsRows.parse(
    await database.readAs(
      customerId,
      (context) =>
        Prisma.sql`SELECT ${COLUMNS} FROM app.read_newest_operations(${context}, ${after.at}::timestamptz, ${after.id}, ${most}::int)`,
    ),
  );
  const isNewer = (one: Parts, other: Parts) =>
    other.operation.createdAt.getTime() - one.operation.createdAt.getTime() ||
    (one.operation.id < other.operation.id ? 1 : -1);
  return rows.toSorted(isNewer);
}
