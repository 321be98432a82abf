import { z } from 'zod';
import type { ConnectionView } from '../../core/connections/records.ts';
import { CONNECTION_STATES } from '../../core/connections/verdict.ts';
import type { ConsentRecord } from '../../core/consent/records.ts';
import { OPERATION_ID } from '../../core/ids.ts';
import { type ListedOperation, listedOf } from '../../core/operations/listed.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { planSchema } from '../../core/operations/plan.ts';
import type { Question } from '../../core/operations/questions.ts';
import { operationResult } from '../../core/operations/result.ts';
import { STATES } from '../../core/operations/states.ts';
import { readCursor } from '../../core/page.ts';
import { JOB_STATES, type JobView } from '../../core/queue/jobs.ts';
import { CREDENTIAL_TYPES } from '../../core/vault/credential.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { PROBLEM_CODES } from './problem.ts';

/** Schemas of the OpenAPI document by name: what is sent to the API, and what it answers. */
export const requests = z.registry<{ id: string }>();
export const responses = z.registry<{ id: string }>();

export function request<T extends z.ZodType>(id: string, schema: T): T {
  requests.add(schema, { id });
  return schema;
}

export function response<T extends z.ZodType>(id: string, schema: T): T {
  responses.add(schema, { id });
  return schema;
}

/** Words that people read: no control characters, which neither a log nor a database takes well. */
export const words = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
    .regex(/^[^\u0000-\u001f\u007f]+$/)
    .refine((text) => text.isWellFormed());

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const operationId = z.string().regex(OPERATION_ID).describe('Such as op-7k3f9q2m.');
export const operationParams = z.strictObject({ id: operationId });
export const uuid = z.uuid().toLowerCase();

const MOST_ON_A_PAGE = 100;
const paging = (ids: RegExp) => ({
  limit: z.coerce.number().int().min(1).max(MOST_ON_A_PAGE).default(20).describe('How many at most.'),
  cursor: z
    .string()
    .max(300)
    .transform((text, context) => {
      const cursor = readCursor(text, ids);
      if (!cursor) context.addIssue({ code: 'invalid_format', format: 'cursor', input: text, message: 'no cursor' });
      return cursor ?? z.NEVER;
    })
    .optional()
    .describe('`nextCursor` of the page before.'),
});
export const operationPaging = paging(OPERATION_ID);
export const uuidPaging = paging(UUID);
export const serviceFilter = words(50).optional().describe('Such as woocommerce.');
export const time = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((at) => at.getUTCFullYear() >= 1970 && at.getUTCFullYear() <= 9998)
  .optional();

const at = z.iso.datetime();
const nextCursor = z.string().optional().describe('Where the next page begins; absent on the last one.');
export const success = z.literal(true);
const person = z.strictObject({ id: z.uuid(), name: z.string() });

export const problemSchema = response(
  'Problem',
  z
    .strictObject({
      type: z.literal('about:blank'),
      title: z.string(),
      status: z.int(),
      code: z.enum(PROBLEM_CODES).describe('For a program to tell apart; never renamed.'),
      detail: z.string(),
      errors: z.array(z.strictObject({ at: z.string(), detail: z.string() })).optional(),
      operationId: z.string().optional(),
    })
    .describe('RFC 9457.'),
);

export const operationSchema = response(
  'Operation',
  z.strictObject({
    id: operationId,
    service: z.string(),
    operation: z.string(),
    target: z.string(),
    way: z.string(),
    status: z.enum(STATES),
    currentStep: z.int(),
    totalSteps: z.int(),
    progressPercent: z.int().min(0).max(100),
    currentIntent: z.string().nullable(),
    planHash: z.string().describe('SHA-256 of the plan: what a consent is given to.'),
    permissions: z.array(z.string()),
    requestedBy: person,
    approvedBy: z.array(person),
    consentExpiresAt: at.nullable().describe('Of the countersignature; until there is one, of the question for it.'),
    retryOf: operationId.nullable(),
    retriedAs: operationId.nullable(),
    result: operationResult.nullable().describe('Never a secret.'),
    error: z.strictObject({ code: z.string().nullable(), message: z.string() }).nullable(),
    createdAt: at,
    startedAt: at.nullable(),
    completedAt: at.nullable(),
  }),
);

export const operationDetailSchema = response(
  'OperationDetail',
  z.strictObject({
    ...operationSchema.shape,
    plan: planSchema.describe('Exactly what is shown for consent.'),
    consentRequest: z
      .strictObject({ askedAt: at, expiresAt: at, decision: z.string().nullable(), approvals: z.int() })
      .nullable(),
    steps: z.array(
      z.strictObject({
        number: z.int(),
        intent: z.string(),
        state: z.string(),
        rung: z.string().nullable(),
        startedAt: at.nullable(),
        finishedAt: at.nullable(),
        durationMs: z.int().nullable(),
      }),
    ),
  }),
);

export const operationsSchema = response(
  'Operations',
  z.strictObject({ success, operations: z.array(operationSchema), count: z.int(), nextCursor }),
);
export const historySchema = response(
  'History',
  z.strictObject({ success, history: z.array(operationSchema), count: z.int(), nextCursor }),
);

export const statusSchema = response(
  'Status',
  z.strictObject({
    ...operationSchema.pick({
      ...{ id: true, service: true, operation: true, status: true, currentStep: true, totalSteps: true },
      ...{ progressPercent: true, currentIntent: true, result: true, error: true },
      ...{ createdAt: true, startedAt: true, completedAt: true },
    }).shape,
    recentScreenshots: z.array(z.url()).max(3).describe('The newest first; masked.'),
    question: z
      .strictObject({
        id: z.uuid(),
        kind: z.enum(['code', 'help']).describe('A one-time code; or that a person puts the page right.'),
        words: z.string(),
        step: z.int(),
        screenshot: z.url().nullable(),
        askedAt: at,
        expiresAt: at,
      })
      .nullable()
      .describe('What it waits for a person with, as long as it does.'),
  }),
);

export const consentSchema = response(
  'Consent',
  z.strictObject({
    id: z.uuid(),
    operationId,
    service: z.string(),
    operation: z.string(),
    target: z.string(),
    permissions: z.array(z.string()),
    planHash: z.string(),
    grantedBy: z.uuid(),
    grantedAt: at,
    expiresAt: at.nullable(),
    revokedAt: at.nullable(),
    isActive: z.boolean(),
    collectionMethod: z.enum(['web', 'slack_button', 'teams_card', 'api', 'console']),
    consentVersion: z.string(),
    isStanding: z.boolean(),
    /** Of a standing one: the types of the sign-in secrets that it keeps. */
    keeps: z.array(z.string()),
  }),
);
export const consentsSchema = response(
  'Consents',
  z.strictObject({ success, consents: z.array(consentSchema), count: z.int(), nextCursor }),
);

export const credentialSchema = response(
  'Credential',
  z.strictObject({
    id: z.uuid(),
    service: z.string(),
    target: z.string().nullable(),
    type: z.enum(CREDENTIAL_TYPES),
    version: z.int().positive(),
    label: z.string().nullable(),
    lastFour: z.string().nullable(),
    operationId: operationId.nullable(),
    expiresAt: at.nullable(),
    lastRotatedAt: at.nullable(),
    rotationRequired: z.boolean(),
    createdAt: at,
    health: z
      .strictObject({ state: z.enum(CONNECTION_STATES), reason: z.string(), since: at, checkedAt: at.nullable() })
      .nullable()
      .describe('How it fares at its service; null where it is not looked at.'),
  }),
);
export const credentialsSchema = response(
  'Credentials',
  z.strictObject({ success, credentials: z.array(credentialSchema), count: z.int(), nextCursor }),
);

export const jobSchema = response(
  'Job',
  z.strictObject({
    jobId: z.uuid(),
    operationId,
    status: z.enum(JOB_STATES),
    progress: z.int().min(0).max(100),
    data: z.strictObject({ operationId, service: z.string(), operation: z.string() }),
    result: operationResult.nullable(),
    failedReason: z.string().nullable(),
    processedOn: at.nullable(),
    finishedOn: at.nullable(),
    attemptsMade: z.int(),
  }),
);

export function operationView(operation: Operation): z.infer<typeof operationSchema> {
  return listedView(listedOf(operation));
}

export function listedView(operation: ListedOperation): z.infer<typeof operationSchema> {
  const { id, service, type, base, way, state, planHash, currentStep, totalSteps, stepsDone } = operation;
  const { requestedBy, approvedBy, errorCode: code, errorMessage: message } = operation;
  return {
    ...{ id, service: service.id, operation: type.type, target: base, way: way.id, status: state, planHash },
    ...{ currentStep, totalSteps },
    progressPercent: state === 'completed' ? 100 : Math.floor((100 * stepsDone) / Math.max(1, totalSteps)),
    currentIntent: state === 'completed' ? null : operation.currentIntent,
    ...{ permissions: [...operation.permissions], requestedBy, approvedBy: [...approvedBy] },
    consentExpiresAt: iso(operation.consentExpiresAt),
    ...{ retryOf: operation.retryOf, retriedAs: operation.retriedAs, result: operation.result },
    error: message === null ? null : { code, message },
    createdAt: operation.createdAt.toISOString(),
    startedAt: iso(operation.startedAt),
    completedAt: iso(operation.completedAt),
  };
}

export function operationDetail(operation: Operation): z.infer<typeof operationDetailSchema> {
  const { request: asked, plan, steps, approvals } = operation;
  return {
    ...operationView(operation),
    plan,
    consentRequest: asked && {
      askedAt: asked.askedAt.toISOString(),
      expiresAt: asked.expiresAt.toISOString(),
      decision: asked.decision,
      approvals: approvals.length,
    },
    steps: steps.map(({ number, intent, state, rung, startedAt, finishedAt, durationMs }) => ({
      ...{ number, intent, state, rung, durationMs },
      startedAt: iso(startedAt),
      finishedAt: iso(finishedAt),
    })),
  };
}

export function statusView(
  operation: Operation,
  recentScreenshots: readonly string[],
  question: z.infer<typeof statusSchema>['question'],
): z.infer<typeof statusSchema> {
  const {
    id,
    service,
    operation: type,
    status,
    currentStep,
    totalSteps,
    progressPercent,
    ...rest
  } = operationView(operation);
  const { currentIntent, result, error, createdAt, startedAt, completedAt } = rest;
  return {
    ...{ id, service, operation: type, status, currentStep, totalSteps, progressPercent, currentIntent, result, error },
    ...{ createdAt, startedAt, completedAt, recentScreenshots: [...recentScreenshots], question },
  };
}

export function questionView(
  { id, kind, words: asked, step, screenshotId, askedAt, expiresAt }: Question,
  urlOf: (pictureId: string) => string,
): NonNullable<z.infer<typeof statusSchema>['question']> {
  const screenshot = screenshotId === null ? null : urlOf(screenshotId);
  return {
    id,
    kind,
    words: asked,
    step,
    screenshot,
    askedAt: askedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  };
}

export function consentView(record: ConsentRecord): z.infer<typeof consentSchema> {
  const { id, service, operation, target, planHash, isActive, collectionMethod, consentVersion, standing } = record;
  return {
    ...{ id, operationId: record.operationId, service, operation, target, permissions: [...record.permissions] },
    ...{ planHash, grantedBy: record.userId, grantedAt: record.grantedAt.toISOString() },
    expiresAt: iso(record.expiresAt),
    revokedAt: iso(record.revokedAt),
    ...{ isActive, collectionMethod, consentVersion, isStanding: standing !== null },
    keeps: [...(standing?.keeps ?? [])],
  };
}

export function credentialView(stored: StoredCredential, health?: ConnectionView): z.infer<typeof credentialSchema> {
  const { id, service, target, credentialType: type, version, metadata, rotationRequired } = stored;
  return {
    ...{ id, service, target: target || null, type, version },
    ...{
      label: metadata.label ?? null,
      lastFour: metadata.lastFour ?? null,
      operationId: metadata.operationId ?? null,
    },
    expiresAt: iso(stored.expiresAt),
    lastRotatedAt: iso(stored.lastRotatedAt),
    rotationRequired,
    createdAt: stored.createdAt.toISOString(),
    health: health
      ? {
          ...{ state: health.state, reason: health.reason, since: health.since.toISOString() },
          checkedAt: iso(health.checkedAt),
        }
      : null,
  };
}

export function jobView(job: JobView, operation: Operation): z.infer<typeof jobSchema> {
  const { id, service, operation: type, progressPercent, result, error, status } = operationView(operation);
  return {
    ...{ jobId: job.id, operationId: job.operationId, status: job.state, progress: progressPercent, result },
    data: { operationId: id, service, operation: type },
    failedReason: status === 'failed' ? (error?.message ?? null) : null,
    processedOn: iso(job.startedAt),
    finishedOn: iso(job.finishedAt),
    attemptsMade: job.attempts,
  };
}

export function iso(date: Date | null | undefined): string | null {
  return date?.toISOString() ?? null;
}
