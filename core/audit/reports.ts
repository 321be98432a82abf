import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Audit } from './audit.ts';
import type { AuditEntry, Tokens } from './entry.ts';
import type { Retention } from './retention.ts';

/** A step to put on record. */
export interface StepLog {
  readonly operationId: OperationId;
  readonly stepNumber: number;
  readonly intent: string;
  readonly action: string;
  readonly success: boolean;
  readonly error?: string;
  /** Where its picture is; never the picture. */
  readonly screenshotUrl?: string;
  readonly pageUrl?: string;
  readonly durationMs?: number;
  readonly rung?: string;
  /** What the model answered, without secrets. */
  readonly aiResponse?: string;
  readonly tokens?: Tokens;
}

/** A step as it stands in the trail. Words that were erased are empty. */
export interface AuditRecord extends StepLog {
  /** The entry's number in the customer's chain, and its hash in hex. */
  readonly id: string;
  readonly hash: string;
  readonly timestamp: Date;
}

export interface OperationSummary {
  readonly totalSteps: number;
  readonly successfulSteps: number;
  readonly failedSteps: number;
  readonly totalDurationMs: number;
  /** 0 when there is no step. */
  readonly avgStepDurationMs: number;
  readonly screenshots: readonly string[];
}

export interface AuditStatistics {
  readonly totalOperations: number;
  readonly totalSteps: number;
  /** From 0 to 1; 0 when there is no step. */
  readonly successRate: number;
  readonly avgDurationMs: number;
  /** How often each failure occurred, by its words. */
  readonly failureReasons: Readonly<Record<string, number>>;
}

/** Questions about one customer's trail, answered from its entries. */
export interface AuditReports {
  logStep(step: StepLog): Promise<AuditRecord>;
  /** By step, the latest attempt last. */
  getOperationLogs(operationId: OperationId): Promise<readonly AuditRecord[]>;
  getOperationSummary(operationId: OperationId): Promise<OperationSummary>;
  getFailedSteps(operationId: OperationId): Promise<readonly AuditRecord[]>;
  /** The newest first. */
  getRecentLogs(limit?: number): Promise<readonly AuditRecord[]>;
  getStatistics(range?: { readonly startDate?: Date; readonly endDate?: Date }): Promise<AuditStatistics>;
  /** Drops what is older, as far as retention allows. @returns how many entries went. */
  deleteOldLogs(days?: number): Promise<number>;
  exportAuditTrail(start?: Date, end?: Date): Promise<readonly AuditRecord[]>;
}

const RECENT = 100;
const KEPT_DAYS = 90;

export function createAuditReports(
  deps: { database: Database; audit: Audit; retention: Retention },
  customerId: CustomerId,
): AuditReports {
  const { database, audit, retention } = deps;
  const steps = (where: Where, newest?: number) =>
    database.withCustomer(customerId, (tx) => readSteps(tx, audit, customerId, where, newest));
  const byStep = async (where: Where) =>
    (await steps(where)).toSorted(
      (a, b) => a.stepNumber - b.stepNumber || a.timestamp.getTime() - b.timestamp.getTime(),
    );
  return {
    logStep: (step) => database.withCustomer(customerId, (tx) => logStep(tx, audit, customerId, step)),
    getOperationLogs: (operationId) => byStep({ operationId }),
    getFailedSteps: (operationId) => byStep({ operationId, success: false }),
    getOperationSummary: async (operationId) => summaryOf(await steps({ operationId })),
    getRecentLogs: (limit = RECENT) => steps({}, limit),
    getStatistics: async ({ startDate, endDate } = {}) => statisticsOf(await steps(between(startDate, endDate))),
    deleteOldLogs: (days = KEPT_DAYS) => retention.drop(customerId, days),
    exportAuditTrail: (start, end) => steps(between(start, end)),
  };
}

interface Where {
  readonly operationId?: OperationId;
  readonly success?: boolean;
  readonly at?: { readonly gte?: Date; readonly lte?: Date };
}

function between(start: Date | undefined, end: Date | undefined): Where {
  return { at: { ...(start ? { gte: start } : {}), ...(end ? { lte: end } : {}) } };
}

/** One entry a step and attempt. Runs count theirs upwards from 1, so what is logged by hand counts downwards. */
async function logStep(tx: Transaction, audit: Audit, customerId: CustomerId, step: StepLog): Promise<AuditRecord> {
  const { operationId, stepNumber, intent, action, success, error, screenshotUrl, pageUrl, durationMs, rung } = step;
  const { aiResponse, tokens } = step;
  const first = await tx.auditEntry.aggregate({
    where: { customerId, operationId, stepNumber },
    _min: { attempt: true },
  });
  const lowest = first._min.attempt ?? 0n;
  const { seq, hash } = await audit.append(tx, customerId, {
    kind: 'step.finished',
    ...{ operationId, stepNumber, success, attempt: (lowest < 0n ? lowest : 0n) - 1n },
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(rung === undefined ? {} : { rung }),
    ...(tokens === undefined ? {} : { tokens }),
    payload: {
      ...{ intent, action },
      ...(pageUrl === undefined ? {} : { pageUrl }),
      ...(error === undefined ? {} : { error }),
      ...(screenshotUrl === undefined ? {} : { screenshotUrl }),
      ...(aiResponse === undefined ? {} : { modelReply: aiResponse }),
    },
  });
  return { ...step, id: String(seq), hash, timestamp: await databaseNow(tx) };
}

async function readSteps(tx: Transaction, audit: Audit, customerId: CustomerId, where: Where, newest?: number) {
  const rows = await tx.auditEntry.findMany({
    where: { customerId, kind: 'step.finished', ...where },
    orderBy: { seq: newest === undefined ? 'asc' : 'desc' },
    ...(newest === undefined ? {} : { take: newest }),
  });
  const records: AuditRecord[] = [];
  // One transaction is one connection: its queries go one after the other.
  for (const row of rows) records.push(...recordOf(await audit.read(tx, customerId, row)));
  return records;
}

function recordOf(entry: AuditEntry): readonly AuditRecord[] {
  const operationId = parseOperationId(entry.operationId ?? '');
  if (!operationId || entry.stepNumber === undefined) return [];
  const word = (key: string) => {
    const value = entry.payload?.[key];
    return typeof value === 'string' ? value : undefined;
  };
  const optional = {
    error: word('error'),
    screenshotUrl: word('screenshotUrl') ?? word('screenshotId'),
    pageUrl: word('pageUrl'),
    durationMs: entry.durationMs,
    rung: entry.rung,
    aiResponse: word('modelReply'),
    tokens: entry.tokens,
  };
  return [
    {
      ...{ id: String(entry.seq), hash: entry.hash, timestamp: entry.at, operationId, stepNumber: entry.stepNumber },
      ...{ intent: word('intent') ?? '', action: word('action') ?? '', success: entry.success === true },
      // The filter takes away what is undefined, as the optional fields of AuditRecord want it.
      ...(Object.fromEntries(
        Object.entries(optional).filter(([, value]) => value !== undefined),
      ) as Partial<AuditRecord>),
    },
  ];
}

function summaryOf(records: readonly AuditRecord[]): OperationSummary {
  const successful = records.filter(({ success }) => success).length;
  const totalDurationMs = records.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
  return {
    totalSteps: records.length,
    successfulSteps: successful,
    failedSteps: records.length - successful,
    totalDurationMs,
    avgStepDurationMs: records.length === 0 ? 0 : totalDurationMs / records.length,
    screenshots: records.flatMap(({ screenshotUrl }) => screenshotUrl ?? []),
  };
}

function statisticsOf(records: readonly AuditRecord[]): AuditStatistics {
  const { totalSteps, successfulSteps, avgStepDurationMs } = summaryOf(records);
  const reasons = new Map<string, number>();
  for (const { error = 'unknown' } of records.filter(({ success }) => !success))
    reasons.set(error, (reasons.get(error) ?? 0) + 1);
  return {
    totalOperations: new Set(records.map(({ operationId }) => operationId)).size,
    totalSteps,
    successRate: totalSteps === 0 ? 0 : successfulSteps / totalSteps,
    avgDurationMs: avgStepDurationMs,
    failureReasons: Object.fromEntries(reasons),
  };
}
