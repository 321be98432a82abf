import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import type { Transaction } from '../database.ts';
import type { Operation } from '../operations/operation.ts';

/** What the record says of one try at a step. */
export interface StepRun {
  readonly step: number;
  readonly seq: bigint;
  /** Of the entry, in hex. */
  readonly hash: string;
  readonly at: Date;
  readonly isDone: boolean;
  readonly rung: string | undefined;
  /** How much like the recorded element the one that was found is, from 0 to 1; of `relocated`, where it was scored. */
  readonly score: number | undefined;
  readonly tokens: { readonly input: number; readonly output: number } | undefined;
}

/** What happened to the questions of an operation, oldest first. */
export interface ConsentStep {
  readonly kind: string;
  readonly at: Date;
  /** Absent: the program by itself. */
  readonly by: string | undefined;
  readonly method: string | undefined;
  readonly basis: string | undefined;
  /** Of the plan; of a question for repairs to come, of its terms. */
  readonly planHash: string;
  readonly isForRepairs: boolean;
  /** The plan was made anew only because another key had been stored: nobody chose, or asked for, anything else. */
  readonly isRenewal: boolean;
}

/** Everything about one operation that its page shows beside the operation itself. */
export interface RunRecord {
  readonly steps: readonly StepRun[];
  readonly consent: readonly ConsentStep[];
  readonly modelCalls: number;
  readonly tokens: { readonly input: number; readonly output: number };
}

const header = z.object({
  rung: z.string().optional(),
  tokens: z.object({ input: z.number(), output: z.number() }).optional(),
});
const payload = z.object({ relocated: z.object({ score: z.number() }) });

export async function readRun(tx: Transaction, audit: Pick<Audit, 'read'>, operation: Operation): Promise<RunRecord> {
  const { customerId, id: operationId } = operation;
  const rows = await tx.auditEntry.findMany({
    where: { customerId, operationId, kind: 'step.finished' },
    orderBy: { seq: 'asc' },
  });
  const steps: StepRun[] = [];
  for (const row of rows) {
    const { rung, tokens } = header.parse(JSON.parse(row.header));
    // Only where there is a score is anything sealed opened.
    const words = rung === 'relocated' && row.payload ? (await audit.read(tx, customerId, row)).payload : undefined;
    steps.push({
      ...{ step: row.stepNumber ?? 0, seq: row.seq, at: row.at, isDone: row.success ?? false, rung, tokens },
      hash: Buffer.from(row.hash).toString('hex'),
      score: payload.safeParse(words).data?.relocated.score,
    });
  }
  const events = await tx.consentEvent.findMany({
    where: { customerId, operationId },
    orderBy: [{ at: 'asc' }, { n: 'asc' }],
    include: { member: { select: { name: true } }, request: { select: { terms: true } } },
  });
  const renewals = events.some(({ kind }) => kind === 'superseded') ? await renewalsOf(tx, audit, operation) : NONE;
  return {
    steps,
    consent: events.map(({ kind, at, member, method, basis, planHash, request }) => ({
      ...{ kind, at, planHash, by: member?.name, method: method ?? undefined, basis: basis ?? undefined },
      isForRepairs: request.terms !== null,
      isRenewal:
        (kind === 'superseded' && renewals.left.has(planHash)) || (kind === 'requested' && renewals.made.has(planHash)),
    })),
    modelCalls: await tx.modelCall.count({ where: { customerId, operationId } }),
    tokens: steps.reduce(
      (sum, { tokens }) => ({ input: sum.input + (tokens?.input ?? 0), output: sum.output + (tokens?.output ?? 0) }),
      { input: 0, output: 0 },
    ),
  };
}

interface Renewals {
  /** Hashes of the plans that no longer said what is stored. */
  readonly left: ReadonlySet<string>;
  /** Hashes of those that took their place. */
  readonly made: ReadonlySet<string>;
}

const NONE: Renewals = { left: new Set(), made: new Set() };
const plans = z.object({
  plan: z.object({
    permissions: z.array(z.string()),
    workflowId: z.string(),
    asksModel: z.boolean().optional(),
    replaces: z.string().nullable(),
    key: z.object({ label: z.string() }).optional(),
  }),
});

/** From the plans on record; where their words were erased, none is told. */
async function renewalsOf(
  tx: Transaction,
  audit: Pick<Audit, 'read'>,
  { customerId, id: operationId }: Operation,
): Promise<Renewals> {
  const rows = await tx.auditEntry.findMany({
    where: { customerId, operationId, kind: 'plan.made' },
    orderBy: { seq: 'asc' },
  });
  const made: { readonly hash: string; readonly chosen: string; readonly stored: string }[] = [];
  for (const row of rows) {
    const { payload: words, planHash } = await audit.read(tx, customerId, row); // one transaction is one connection
    const plan = plans.safeParse(words).data?.plan;
    if (!plan || planHash === undefined) return NONE;
    const { permissions, workflowId, asksModel = false, replaces, key } = plan;
    const chosen = JSON.stringify([permissions, workflowId, asksModel]);
    made.push({ hash: planHash, chosen, stored: JSON.stringify([replaces, key?.label]) });
  }
  const pairs = made.slice(1).flatMap((now, index) => {
    const before = made[index];
    return before && before.chosen === now.chosen && before.stored !== now.stored ? [{ before, now }] : [];
  });
  return {
    left: new Set(pairs.map(({ before }) => before.hash)),
    made: new Set(pairs.map(({ now }) => now.hash)),
  };
}
