import type { Relocated, StepResult } from '../agent/engine.ts';
import type { Audit } from '../audit/audit.ts';
import { type Json, sha256Hex } from '../canonical.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { PictureResult } from '../ports/browser.ts';
import type { Log } from '../ports/log.ts';
import type { ConversationEnd, ModelUsage } from '../ports/model.ts';
import type { Screenshots } from '../ports/screenshots.ts';
import { fillUrl, withDerivedValues } from '../workflow/placeholders.ts';
import { holdProposal, keepProposal } from '../workflow/proposals.ts';
import { describeStep, type Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import type { Lease } from './lease.ts';
import { originsOf, type Plan } from './plan.ts';
import type { RunSecrets } from './run-secrets.ts';
import { countFailedSignIn } from './sign-in-limit.ts';

export interface StepRecordDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly screenshots: Screenshots;
  readonly log: Log;
}

/** Says that a step begins; the thread shows it. */
export function recordBegin(deps: StepRecordDeps, lease: Lease, step: Step): Promise<void> {
  const { customerId, id: operationId } = lease.operation;
  return deps.database.withCustomer(customerId, async (tx) => {
    await lease.hold(tx);
    const key = { customerId_operationId_number: { customerId, operationId, number: step.order } };
    await tx.operationStep.update({
      where: key,
      data: {
        state: 'running',
        attempt: lease.fence,
        startedAt: await databaseNow(tx),
        finishedAt: null,
        durationMs: null,
      },
    });
    await tx.operation.update({
      where: { customerId_id: { customerId, id: operationId } },
      data: { currentStep: step.order },
    });
  });
}

/**
 * The outcome of a step: audit entry and step state in one transaction; its picture was sealed just before. No word of it
 * holds one of the run's secrets.
 */
export async function recordEnd(
  deps: StepRecordDeps,
  lease: Lease,
  workflow: Workflow,
  step: Step,
  sentence: string,
  result: StepResult,
  secrets: Pick<RunSecrets, 'hideIn'>,
): Promise<void> {
  const { customerId, id: operationId } = lease.operation;
  const { picture, shot, screenshotId, isFull } = await keepPicture(deps, lease, step, sentence, result);
  const isDone = result.kind === 'done';
  const spoken = result.conversation;
  const words = isDone ? noteOf(result, picture, workflow, isFull) : result.words;
  const note = words === undefined ? undefined : secrets.hideIn(words);
  await deps.database.withCustomer(customerId, async (tx) => {
    await lease.hold(tx);
    if (isDone) await recordHeals(tx, lease, workflow, step, result, secrets);
    else if (result.failure === 'sign_in_refused')
      await countFailedSignIn(tx, customerId, { service: lease.operation.service.id, base: lease.operation.plan.base });
    await tx.operationStep.update({
      where: { customerId_operationId_number: { customerId, operationId, number: step.order } },
      data: {
        state: isDone ? 'done' : 'failed',
        attempt: lease.fence,
        rung: isDone ? result.rung : null,
        finishedAt: await databaseNow(tx),
        durationMs: result.durationMs,
        screenshotId: screenshotId ?? null,
        note: note ?? null,
      },
    });
    await deps.audit.append(tx, customerId, {
      kind: 'step.finished',
      operationId,
      stepNumber: step.order,
      attempt: lease.fence,
      success: isDone,
      durationMs: result.durationMs,
      ...(isDone ? { rung: result.rung } : {}),
      ...(spoken ? { tokens: { input: inputTokens(spoken.usage), output: spoken.usage.outputTokens } } : {}),
      ...(shot ? { screenshotSha256: sha256Hex(shot.bytes) } : {}),
      payload: secrets.hideIn({
        intent: sentence,
        action: describeStep(step),
        pageUrl: pageOf(result.pageUrl, workflow, lease.operation.plan),
        screenshotId: screenshotId ?? null,
        ...(isDone ? {} : { failure: result.failure, error: result.words }),
        ...(spoken ? { modelReply: spoken.words, model: conversationRecord(spoken) } : {}),
        ...(picture?.kind === 'withheld' ? { pictureWithheld: picture.reason } : {}),
        ...(isFull ? { pictureWithheld: 'there is no room for pictures' } : {}),
        ...(note ? { note } : {}),
        ...(isDone && result.note ? { remark: result.note } : {}),
        ...(isDone && result.relocated ? { relocated: rounded(result.relocated) } : {}),
      }),
    });
  });
}

const NOT_STORED = { kind: 'withheld', reason: 'it could not be stored' } as const;
const NO_ROOM = 'There are no more pictures: what this month had for them is used up. The steps go on without.';

interface Kept {
  readonly picture: PictureResult | undefined;
  /** What was kept. */
  readonly shot: Extract<PictureResult, { kind: 'taken' }>['picture'] | undefined;
  readonly screenshotId: string | undefined;
  /** There is no room for pictures, since this step. */
  readonly isFull: boolean;
}

/**
 * A store that is full or refuses a picture fails no step. Once a thread was told that there are no more pictures, there are none: also where a smaller one would find room.
 * @throws CountersignError for an outage that a later try may survive.
 */
async function keepPicture(
  { database, screenshots, log }: StepRecordDeps,
  { operation }: Lease,
  step: Step,
  sentence: string,
  result: StepResult,
): Promise<Kept> {
  const { customerId, id: operationId } = operation;
  const picture = await result.picture?.drawn;
  const none = { picture, shot: undefined, screenshotId: undefined, isFull: false };
  if (picture?.kind !== 'taken') return none;
  const where = { customerId, operationId, note: { contains: NO_ROOM } };
  if ((await database.withCustomer(customerId, (tx) => tx.operationStep.count({ where }))) > 0) return none;
  const shot = picture.picture;
  const alt = `Step ${step.order}: ${sentence}`;
  let screenshotId: string | undefined;
  try {
    screenshotId = await screenshots.put(customerId, { operationId, step: step.order, alt, ...shot });
  } catch (cause) {
    if (cause instanceof CountersignError && cause.isRetryable) throw cause;
    log.error({ code: 'screenshots', operationId, step: step.order, cause }, 'a picture could not be stored');
    return { ...none, picture: NOT_STORED };
  }
  return screenshotId === undefined ? { ...none, isFull: true } : { picture, shot, screenshotId, isFull: false };
}

/** What the model read, from its vendor's cache or not. */
function inputTokens({ inputTokens, cacheReadTokens, cacheWriteTokens }: ModelUsage): number {
  return inputTokens + cacheReadTokens + cacheWriteTokens;
}

function conversationRecord({ kind, toolset, turns, usage }: ConversationEnd): Json {
  return { ended: kind, toolset, turns, name: usage.model, usd: usage.usd };
}

/** What relocated elements are now, beside what was recorded, for this customer's target alone. */
async function recordHeals(
  tx: Transaction,
  { operation }: Lease,
  workflow: Workflow,
  step: Step,
  { relocated, heals = [] }: Extract<StepResult, { kind: 'done' }>,
  secrets: Pick<RunSecrets, 'hideIn'>,
): Promise<void> {
  const { customerId, id: operationId, plan } = operation;
  const place = { workflowId: workflow.id, workflowVersion: workflow.version, target: plan.base };
  for (const heal of heals)
    await keepProposal(tx, customerId, place, { operationId, step: step.order, heal, hide: secrets.hideIn });
  if (relocated?.by === 'proposal') await holdProposal(tx, customerId, relocated.proposal);
}

/** Three digits say enough of a chance. */
function rounded(relocated: Relocated) {
  if (relocated.by === 'proposal') return { ...relocated };
  const { by, score, margin } = relocated;
  return { by, score: Number(score.toFixed(3)), margin: Number(margin.toFixed(3)) };
}

/**
 * Where a step ended. A path is the site's own text and can spell anything, in whatever code, so only those are named that
 * the workflow itself opens.
 */
function pageOf(pageUrl: string, workflow: Workflow, plan: Plan): string {
  if (!URL.canParse(pageUrl)) return '';
  const { origin, pathname } = new URL(pageUrl);
  if (!originsOf(plan).includes(origin)) return 'another site';
  const values = withDerivedValues({ ...plan.values, base: plan.base, label: plan.label });
  const opened = workflow.steps.flatMap((step) => (step.kind === 'navigate' ? [fillUrl(step.target, values)] : []));
  const isKnown = opened.some((url) => new URL(url).origin === origin && new URL(url).pathname === pathname);
  return isKnown ? origin + pathname : `${origin}/…`;
}

/** What people should know beside the sentence: that it was not found where it was recorded, what stood in the way and was cleared, and why there is no picture. */
function noteOf(
  result: Extract<StepResult, { kind: 'done' }>,
  picture: PictureResult | undefined,
  workflow: Workflow,
  isFull: boolean,
): string | undefined {
  const cleared = workflow.errorRecovery
    .filter((obstacle) => result.obstacles.includes(obstacle.id))
    .map((obstacle) => `${obstacle.intent}.`);
  const withheld = picture?.kind === 'withheld' ? [`There is no picture of this step: ${picture.reason}.`] : [];
  const relocated =
    result.rung === 'relocated'
      ? ['The page has changed here; what was meant was recognised by what is known of it.']
      : [];
  const notes = [...relocated, ...cleared, ...withheld, ...(isFull ? [NO_ROOM] : [])];
  return notes.length === 0 ? undefined : notes.join(' ');
}
