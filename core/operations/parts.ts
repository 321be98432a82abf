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

/** One operation with what belongs to it, as it lies in the tables. */
export type Parts = z.infer<typeof partsRow>;

const json = z.custom<Prisma.JsonValue>(() => true); // a jsonb column's value is JSON
const moment = z.string().transform((text) => new Date(text)); // a timestamptz(3) of a session in UTC
const fence = z.number().transform(BigInt); // far below 2^53

type Read<Row, Moment, Fence> = {
  [Name in keyof Row]: Name extends Moment
    ? Date | (null extends Row[Name] ? null : never)
    : Name extends Fence
      ? bigint
      : Row[Name];
};

/**
 * A table's row as `to_jsonb` gives it, under the names that Prisma has for its columns. Many are read at once, and what is
 * checked without a transformation in it is checked many times faster: so moments, and fences, are made of text and numbers afterwards.
 */
function rowOf<
  Shape extends z.ZodRawShape,
  Moment extends keyof Shape & string,
  Fence extends keyof Shape & string = never,
>(shape: Shape, moments: readonly Moment[], fences: readonly Fence[] = []) {
  const columns = Object.keys(shape).map(
    (name) => [name, name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] as const,
  );
  const found = z.object(Object.fromEntries(columns.map(([name, column]) => [column, shape[name]])));
  return found.transform((row) => {
    const named: Record<string, unknown> = {};
    for (const [name, column] of columns) named[name] = row[column];
    for (const name of moments) if (named[name] !== null) named[name] = new Date(String(named[name]));
    for (const name of fences) named[name] = BigInt(Number(named[name]));
    return named as Read<z.infer<z.ZodObject<Shape>>, Moment, Fence>; // every name of the shape, checked as it says
  });
}

const text = z.string();
const maybe = text.nullable();

const request = rowOf(
  {
    ...{ customerId: text, id: text, operationId: text, planHash: text, askedAt: text, expiresAt: text },
    ...{ askedBy: maybe, askedFor: json, widened: json, decision: maybe, decidedAt: maybe, decidedBy: maybe },
    ...{ method: maybe, terms: maybe },
  },
  ['askedAt', 'expiresAt', 'decidedAt'],
) satisfies z.ZodType<ConsentRequest>;

/** A countersignature's row as `row_to_json` gives it. */
export const consentRow = rowOf(
  {
    ...{ customerId: text, id: text, requestId: text, operationId: text, userId: text, service: text, operation: text },
    ...{ target: text, permissions: json, planHash: text, grantedAt: text, expiresAt: maybe, revokedAt: maybe },
    ...{ revokedBy: maybe, collectionMethod: text, ipAddress: maybe, userAgent: maybe, consentVersion: text },
    ...{ extends: maybe, templateHash: maybe, keeps: z.array(text), createdAt: text },
  },
  ['grantedAt', 'expiresAt', 'revokedAt', 'createdAt'],
) satisfies z.ZodType<Consent>;

/** One of an operation's steps. */
export type Step = Omit<OperationStep, 'customerId' | 'operationId'>;

/** In the order of `app.lean_operation_parts`. */
const step = z
  .tuple([z.int(), text, text, z.number(), maybe, maybe, maybe, z.int().nullable(), maybe, maybe])
  .transform(
    ([number, intent, state, attempt, rung, startedAt, finishedAt, durationMs, screenshotId, note]): Step => ({
      ...{ number, intent, state, rung, durationMs, screenshotId, note },
      attempt: BigInt(attempt),
      startedAt: startedAt === null ? null : new Date(startedAt),
      finishedAt: finishedAt === null ? null : new Date(finishedAt),
    }),
  );

const member = rowOf(
  {
    ...{ customerId: text, id: text, platform: text, workspaceId: text, userId: text, name: text },
    ...{ roles: z.array(text), personId: maybe, createdAt: text },
  },
  ['createdAt'],
) satisfies z.ZodType<Member>;

const operation = rowOf(
  {
    ...{ customerId: text, id: text, threadId: text, userId: text, service: text, operation: text, target: text },
    ...{ workflowId: text, workflowVersion: z.int(), status: text, fence: z.number(), plan: text, planHash: text },
    ...{ permissions: json, consentGiven: z.boolean(), consentTimestamp: maybe, consentExpiresAt: maybe },
    ...{ startedAt: maybe, completedAt: maybe, totalSteps: z.int(), currentStep: z.int(), result: json.nullable() },
    ...{ errorCode: maybe, errorMessage: maybe, executionMetadata: json, jobId: maybe, hold: maybe, heldBy: maybe },
    ...{ retryOf: maybe, createdAt: text, updatedAt: text },
  },
  ['consentTimestamp', 'consentExpiresAt', 'startedAt', 'completedAt', 'createdAt', 'updatedAt'],
  ['fence'],
) satisfies z.ZodType<Operation>;

const partsRow = z.object({
  operation,
  platform: z.string(),
  workspaceId: z.string(),
  request: request.nullable(),
  /** Approvals and reminders of that request, oldest first. */
  events: z.array(z.object({ kind: z.string(), memberId: z.string().nullable(), at: moment })),
  consent: consentRow.nullable(),
  intent: z.object({ label: z.string(), state: z.string(), attempt: fence }).nullable(),
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
    await tx.$queryRaw`SELECT ${COLUMNS} FROM app.lean_operation_parts(${customerId}::uuid, ${[...ids]})`,
  );
  const found = new Map(rows.map((row) => [row.operation.id, row]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

/** Of one operation, in a statement of its own. */
export async function readParts(database: Database, customerId: CustomerId, id: string): Promise<Parts | undefined> {
  const [found] = partsRows.parse(
    await database.readAs(
      customerId,
      (context) => Prisma.sql`SELECT ${COLUMNS} FROM app.read_lean_operation(${context}, ${id})`,
    ),
  );
  return found;
}
