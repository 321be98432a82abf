import { z } from 'zod';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid } from '../ids.ts';

/**
 * When a step counts as failing more often than it used to. Ours: a tenth of the uses of a week is as fine as ten uses can
 * tell; 80 % is the rate at which every other set-up of six steps meets a failure (0.8^6 = 0.26 go through); and with ten
 * uses, twenty points are more than what two chance failures make of a rate.
 */
const WATCH = {
  recentDays: 7,
  beforeDays: 30,
  leastUses: 10,
  worstRate: 0.8,
  leastFall: 0.2,
} as const;

/** So many of the newest operations say how well a workflow goes now. */
export const LOOKED_AT = 1000;

export interface Rate {
  readonly done: number;
  readonly all: number;
}

export interface StepRates {
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly step: number;
  /** The last week, and the month before it. */
  readonly recent: Rate;
  readonly before: Rate;
}

/** A time in which a step fails more often, with what it looked like when it last went well, and when it last failed. */
export interface Episode extends StepRates {
  readonly id: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly oldPicture: EpisodePicture | undefined;
  readonly newPicture: EpisodePicture | undefined;
}

export interface EpisodePicture {
  readonly id: string;
  readonly operationId: string;
  readonly at: Date;
  readonly width: number;
  readonly height: number;
}

/** Enough uses both before and now to compare; seldom enough done, and much more seldom than before. */
function isFalling({ recent, before }: Pick<StepRates, 'recent' | 'before'>): boolean {
  if (recent.all < WATCH.leastUses || before.all < WATCH.leastUses) return false;
  return rateOf(recent) < WATCH.worstRate && rateOf(before) - rateOf(recent) >= WATCH.leastFall;
}

/** It goes well again, or nobody does it any more. What is tried now and then and fails goes on. */
function isOver({ recent }: Pick<StepRates, 'recent'>): boolean {
  return recent.all === 0 || rateOf(recent) >= WATCH.worstRate;
}

export function rateOf({ done, all }: Rate): number {
  return all === 0 ? 1 : done / all;
}

const rates = z.array(
  z.object({
    workflowId: z.string(),
    workflowVersion: z.int(),
    step: z.int(),
    ...{ recentDone: z.int(), recentAll: z.int(), beforeDone: z.int(), beforeAll: z.int() },
  }),
);

/** Of every step that was done or failed in that time, by the trail. */
async function stepRates(tx: Transaction, customerId: CustomerId): Promise<readonly StepRates[]> {
  const rows = rates.parse(
    await tx.$queryRaw`
      WITH used AS (
        SELECT o.workflow_id, o.workflow_version, a.step_number AS step, a.success,
          a.at >= app.now() - make_interval(days => ${WATCH.recentDays}::int) AS is_recent
        FROM autonomous_operations o JOIN autonomous_operations_audit a
          ON a.customer_id = ${customerId}::uuid AND a.operation_id = o.id
        WHERE o.customer_id = ${customerId}::uuid AND a.step_number IS NOT NULL AND a.success IS NOT NULL
          AND o.updated_at >= app.now() - make_interval(days => ${WATCH.recentDays + WATCH.beforeDays}::int)
          AND a.at >= app.now() - make_interval(days => ${WATCH.recentDays + WATCH.beforeDays}::int)
      )
      SELECT workflow_id AS "workflowId", workflow_version AS "workflowVersion", step,
        count(*) FILTER (WHERE is_recent AND success)::int AS "recentDone", count(*) FILTER (WHERE is_recent)::int AS "recentAll",
        count(*) FILTER (WHERE NOT is_recent AND success)::int AS "beforeDone",
        count(*) FILTER (WHERE NOT is_recent)::int AS "beforeAll"
      FROM used GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
  );
  return rows.map(({ recentDone, recentAll, beforeDone, beforeAll, ...step }) => ({
    ...step,
    recent: { done: recentDone, all: recentAll },
    before: { done: beforeDone, all: beforeAll },
  }));
}

/** Begins and ends episodes by the rates as they are now; of two processes at once one does. @returns which it began and ended. */
export async function watchSteps(
  tx: Transaction,
  customerId: CustomerId,
): Promise<{ readonly opened: readonly string[]; readonly closed: readonly string[] }> {
  const all = await stepRates(tx, customerId);
  const open = await tx.stepEpisode.findMany({ where: { customerId, closedAt: null } });
  const nameOf = (of: Pick<StepRates, 'workflowId' | 'workflowVersion' | 'step'>) =>
    `${of.workflowId} ${of.workflowVersion} ${of.step}`;
  const now = new Map(all.map((each) => [nameOf(each), each]));
  const unused = { recent: { done: 0, all: 0 } };
  const closed: string[] = [];
  for (const episode of open)
    if (isOver(now.get(nameOf(episode)) ?? unused)) {
      const where = { customerId, id: episode.id, closedAt: null };
      const { count } = await tx.stepEpisode.updateMany({ where, data: { closedAt: await databaseNow(tx) } });
      if (count > 0) closed.push(episode.id);
    }
  const known = new Set(open.map(nameOf));
  const opened: string[] = [];
  for (const step of all.filter((each) => isFalling(each) && !known.has(nameOf(each)))) {
    const { workflowId, workflowVersion, step: number, recent, before } = step;
    const id = newUuid();
    const { count } = await tx.stepEpisode.createMany({
      data: [
        {
          ...{ customerId, id, workflowId, workflowVersion, step: number },
          ...{ recentDone: recent.done, recentAll: recent.all, beforeDone: before.done, beforeAll: before.all },
          oldPicture: await newestPicture(tx, customerId, step, 'done'),
          newPicture: await newestPicture(tx, customerId, step, 'failed'),
        },
      ],
      skipDuplicates: true,
    });
    if (count > 0) opened.push(id);
  }
  return { opened, closed };
}

/** The picture of the step as it last went well, or failed, in any operation of this customer. */
async function newestPicture(
  tx: Transaction,
  customerId: CustomerId,
  { workflowId, workflowVersion, step }: StepRates,
  state: 'done' | 'failed',
): Promise<string | null> {
  const row = await tx.operationStep.findFirst({
    where: {
      ...{ customerId, number: step, state, screenshotId: { not: null } },
      operationRow: { workflowId, workflowVersion },
    },
    orderBy: [{ finishedAt: { sort: 'desc', nulls: 'last' } }],
    select: { screenshotId: true },
  });
  return row?.screenshotId ?? null;
}

/** Those that are open; or one, open or not. Newest first. */
export async function episodes(tx: Transaction, customerId: CustomerId, id?: string): Promise<readonly Episode[]> {
  const rows = await tx.stepEpisode.findMany({
    where: { customerId, ...(id === undefined ? { closedAt: null } : { id }) },
    orderBy: [{ openedAt: 'desc' }, { id: 'asc' }],
  });
  const ids = rows.flatMap(({ oldPicture, newPicture }) => [oldPicture, newPicture]).filter((each) => each !== null);
  const select = { id: true, operationId: true, createdAt: true, width: true, height: true };
  const found = await tx.screenshot.findMany({ where: { customerId, id: { in: ids } }, select });
  const pictures = new Map(found.map(({ createdAt: at, ...picture }) => [picture.id, { ...picture, at }]));
  return rows.map(({ beforeDone, beforeAll, recentDone, recentAll, oldPicture, newPicture, ...row }) => ({
    ...{ id: row.id, openedAt: row.openedAt, closedAt: row.closedAt },
    ...{ workflowId: row.workflowId, workflowVersion: row.workflowVersion, step: row.step },
    before: { done: beforeDone, all: beforeAll },
    recent: { done: recentDone, all: recentAll },
    oldPicture: pictures.get(oldPicture ?? ''),
    newPicture: pictures.get(newPicture ?? ''),
  }));
}
