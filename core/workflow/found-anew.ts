import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, MemberId } from '../ids.ts';
import type { ElementIdentity, Fingerprint } from '../ports/browser.ts';
import type { RecordedIdentity } from './elements.ts';
import { elementSchema } from './proposals.ts';
import type { Step } from './steps/index.ts';
import { type EpisodePicture, LOOKED_AT } from './watch.ts';
import type { Workflow } from './workflow.ts';

/** What a step looked for, or what it finds instead: both as far as they are known. */
export interface Described {
  readonly identity?: RecordedIdentity | ElementIdentity | undefined;
  readonly fingerprint?: Fingerprint | undefined;
}

interface Decided {
  readonly at: Date;
  /** The member's id. */
  readonly by: string;
}

/** What a step found anew, beside what it looked for. */
export interface FoundElsewhere {
  readonly id: string;
  readonly workflow: Workflow;
  readonly step: Step;
  /** Of the step's result; absent: the step's own element. */
  readonly field?: string;
  /** The plan's base address. */
  readonly target: string;
  readonly recorded: Described;
  readonly found: Described;
}

/** A proposal beside what was recorded, for whoever decides about it. */
export interface FoundAnew extends FoundElsewhere {
  /** How often the step went well with it, since when, and when last. */
  readonly held: number;
  readonly since: Date;
  readonly lastHeldAt: Date;
  /** Set while it is marked for the operator. */
  readonly marked?: Decided;
  /** Set while no run takes it. */
  readonly discarded?: Decided;
  /** The step there as it was found where it was recorded, last before that; and as it was when it was found anew. */
  readonly oldPicture: EpisodePicture | undefined;
  readonly newPicture: EpisodePicture | undefined;
}

export interface FoundAnewList {
  /** Newest first, `MOST` at most. */
  readonly items: readonly FoundAnew[];
  /** How many more there are. */
  readonly more: number;
  /** What was discarded last comes first, `MOST` at most. */
  readonly discarded: readonly FoundAnew[];
  /** How many more were discarded before these. */
  readonly moreDiscarded: number;
  /** How many that are not discarded are of versions that run no more. */
  readonly outdated: number;
}

/** Each has two pictures. */
const MOST = 10;

/** What is tried at a customer's sites beside what was recorded, of these workflows; and what an admin has discarded of it. */
export async function listFoundAnew(
  tx: Transaction,
  customerId: CustomerId,
  workflows: readonly Workflow[],
): Promise<FoundAnewList> {
  const places = workflows.flatMap(({ id: workflowId, version: workflowVersion, steps }) =>
    steps.length === 0 ? [] : [{ workflowId, workflowVersion, step: { in: steps.map(({ order }) => order) } }],
  );
  const all = { customerId, discardedAt: null, element: { not: {} } }; // empty is what an erased customer had
  const where = { ...all, OR: places };
  const tried = await tx.workflowProposal.findMany({
    where,
    orderBy: [{ createdAt: 'desc' }, { field: 'asc' }, { id: 'asc' }],
    take: MOST,
  });
  const fitting = tried.length < MOST ? tried.length : await tx.workflowProposal.count({ where });
  const outdated = (await tx.workflowProposal.count({ where: all })) - fitting;
  const given = { ...where, discardedAt: { not: null } };
  const discarded = await tx.workflowProposal.findMany({
    where: given,
    orderBy: [{ discardedAt: 'desc' }, { id: 'asc' }],
    take: MOST,
  });
  const allDiscarded = discarded.length < MOST ? discarded.length : await tx.workflowProposal.count({ where: given });
  const rows = [...tried, ...discarded];
  const pictures = await picturesOf(
    tx,
    customerId,
    rows.map(({ id }) => id),
  );
  const items = rows.flatMap((row): readonly FoundAnew[] => {
    const found = besideRecorded(row, workflows);
    if (!found) return [];
    return [
      {
        ...found,
        ...{ held: row.held, since: row.createdAt, lastHeldAt: row.lastHeldAt },
        ...(row.markedAt && row.markedBy ? { marked: { at: row.markedAt, by: row.markedBy } } : {}),
        ...(row.discardedAt && row.discardedBy ? { discarded: { at: row.discardedAt, by: row.discardedBy } } : {}),
        oldPicture: pictures.find(({ proposal, isOld }) => proposal === row.id && isOld)?.picture,
        newPicture: pictures.find(({ proposal, isOld }) => proposal === row.id && !isOld)?.picture,
      },
    ];
  });
  return {
    items: items.filter((one) => !one.discarded),
    more: fitting - tried.length,
    discarded: items.filter((one) => one.discarded),
    moreDiscarded: allDiscarded - discarded.length,
    outdated,
  };
}

/** One of them, whatever was decided about it; nothing where this customer has none of that id that these workflows know. */
export async function foundElsewhere(
  tx: Transaction,
  customerId: CustomerId,
  workflows: readonly Workflow[],
  id: string,
): Promise<FoundElsewhere | undefined> {
  if (!z.uuid().safeParse(id).success) return undefined;
  const row = await tx.workflowProposal.findUnique({ where: { customerId_id: { customerId, id } } });
  return row ? besideRecorded(row, workflows) : undefined;
}

type Row = NonNullable<Awaited<ReturnType<Transaction['workflowProposal']['findFirst']>>>;

function besideRecorded(row: Row, workflows: readonly Workflow[]): FoundElsewhere | undefined {
  const { id, field, target } = row;
  const workflow = workflows.find((one) => one.id === row.workflowId && one.version === row.workflowVersion);
  const step = workflow?.steps.find(({ order }) => order === row.step);
  const element = elementSchema.safeParse(row.element);
  if (!workflow || !step || !element.success) return undefined;
  const { identity, fingerprint } = element.data;
  const found = { identity, fingerprint };
  return { id, workflow, step, ...(field === '' ? {} : { field }), target, recorded: recordedOf(step, field), found };
}

function recordedOf(step: Step, field: string): Described {
  if (field !== '') return 'extract' in step ? { fingerprint: step.extract.fields[field]?.fingerprint } : {};
  return 'locators' in step ? { identity: step.identities[0], fingerprint: step.fingerprint } : {};
}

const pictureRows = z.array(
  z.object({
    ...{ proposal: z.string(), isOld: z.boolean() },
    ...{ id: z.string(), operationId: z.string(), at: z.date(), width: z.int(), height: z.int() },
  }),
);

/** Those that are kept: retention may have taken them. What was before is looked for in the newest operations alone. */
async function picturesOf(tx: Transaction, customerId: CustomerId, proposals: readonly string[]) {
  if (proposals.length === 0) return [];
  // OFFSET 0: each step is looked up by its key, instead of all of the customer's being read.
  const rows = pictureRows.parse(
    await tx.$queryRaw`
      WITH latest AS (
        SELECT id, workflow_id, workflow_version, target FROM autonomous_operations WHERE customer_id = ${customerId}::uuid
        ORDER BY created_at DESC, id DESC LIMIT ${LOOKED_AT}
      ), wanted AS (
        SELECT * FROM workflow_proposals WHERE customer_id = ${customerId}::uuid AND id = ANY(${[...proposals]}::uuid[])
      ), old AS (
        SELECT DISTINCT ON (p.id) p.id AS proposal, true AS "isOld", x.*
        FROM wanted p JOIN latest o
          ON o.workflow_id = p.workflow_id AND o.workflow_version = p.workflow_version AND o.target = p.target
        CROSS JOIN LATERAL (
          SELECT x.id, x.operation_id AS "operationId", x.created_at AS at, x.width, x.height
          FROM operation_steps s JOIN screenshots x ON x.customer_id = s.customer_id AND x.id = s.screenshot_id
          WHERE s.customer_id = ${customerId}::uuid AND s.operation_id = o.id AND s.number = p.step
            AND s.state = 'done' AND s.rung = 'replayed' AND s.finished_at <= p.created_at OFFSET 0) x
        ORDER BY p.id, x.at DESC
      )
      SELECT * FROM old UNION ALL
      SELECT p.id, false, x.id, x.operation_id, x.created_at, x.width, x.height
      FROM wanted p
        JOIN operation_steps s ON s.customer_id = p.customer_id AND s.operation_id = p.operation_id AND s.number = p.step
        JOIN screenshots x ON x.customer_id = s.customer_id AND x.id = s.screenshot_id`,
  );
  return rows.map(({ proposal, isOld, ...picture }) => ({ proposal, isOld, picture }));
}

/** What an admin says of it: no run takes it any more; that was a mistake; the operator is to take it into the workflow; or not, after all. */
export type ProposalDecision = 'discard' | 'restore' | 'mark' | 'unmark';

/** `discarded`, `already`: it was so before, and nothing was changed. `unknown`: this customer has none of that id. */
export type ProposalDecided = 'done' | 'already' | 'discarded' | 'unknown';

const KINDS = {
  discard: 'proposal.discarded',
  restore: 'proposal.restored',
  mark: 'proposal.marked',
  unmark: 'proposal.unmarked',
} as const;

/** Decides, and puts it on record with who did, in one transaction; of two at once one does. */
export async function decideProposal(
  tx: Transaction,
  audit: Pick<Audit, 'append'>,
  customerId: CustomerId,
  of: { readonly id: string; readonly decision: ProposalDecision; readonly by: MemberId },
): Promise<ProposalDecided> {
  const { id, decision, by } = of;
  if (!z.uuid().safeParse(id).success) return 'unknown';
  const at = await databaseNow(tx);
  const unmarked = { markedAt: null, markedBy: null };
  const { where, data } = {
    discard: { where: { discardedAt: null }, data: { ...unmarked, discardedAt: at, discardedBy: by } },
    restore: { where: { discardedAt: { not: null } }, data: { discardedAt: null, discardedBy: null } },
    mark: { where: { discardedAt: null, markedAt: null }, data: { markedAt: at, markedBy: by } },
    unmark: { where: { markedAt: { not: null } }, data: unmarked },
  }[decision];
  const { count } = await tx.workflowProposal.updateMany({ where: { customerId, id, ...where }, data });
  const row = await tx.workflowProposal.findUnique({ where: { customerId_id: { customerId, id } } });
  if (!row) return 'unknown';
  if (count === 0) return row.discardedAt ? 'discarded' : 'already';
  const { workflowId, workflowVersion, step, field, target } = row;
  const part = field === '' ? '' : `, ${field}`;
  const words = `${workflowId}, step ${step}${part}, at ${target}`;
  const payload = {
    words,
    proposal: id,
    workflowId,
    workflowVersion,
    step,
    target,
    ...(field === '' ? {} : { field }),
  };
  await audit.append(tx, customerId, { kind: KINDS[decision], actor: by, payload });
  return 'done';
}
