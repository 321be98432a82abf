import { CountersignError } from '../errors.ts';
import type { Shot } from '../ports/browser.ts';
import type { ConversationEnd } from '../ports/model.ts';
import type { VerifyResult } from '../services/service.ts';
import { withDerivedValues } from '../workflow/placeholders.ts';
import { fillStep, needsPage, runKind, type Step } from '../workflow/steps/index.ts';
import { check, hindrance } from './check.ts';
import { type Failed, type Failure, failed, failureOfCode, notDone, outageWords, questionFor } from './failures.ts';
import { obstaclesFor } from './obstacles.ts';
import { takePicture } from './picture.ts';
import {
  createStage,
  type Ending,
  type Heal,
  type Proof,
  type Relocated,
  type Rung,
  type Stage,
  type StepRun,
} from './stage.ts';

export type { Failure } from './failures.ts';
export { type ProbeResult, probe } from './probe.ts';
export {
  type AgentMode,
  type EarlierKey,
  type Heal,
  type Proof,
  pause,
  type Relocated,
  type StepRun,
} from './stage.ts';

export type StepResult =
  | {
      readonly kind: 'done';
      readonly rung: Rung;
      readonly durationMs: number;
      /** Origin and path; never a query. */
      readonly pageUrl: string;
      /** Absent for steps that show nothing. */
      readonly picture?: Shot;
      readonly note?: string;
      readonly verified?: VerifyResult;
      readonly ended?: Proof;
      readonly conversation?: ConversationEnd;
      /** With rung `relocated`. */
      readonly relocated?: Relocated;
      /** Relocated elements as they are now, in a step that went well. */
      readonly heals?: readonly Heal[];
      /** Ids of the obstacles that were cleared. */
      readonly obstacles: readonly string[];
    }
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      /** For a person: what happened and what was not done. */
      readonly words: string;
      readonly durationMs: number;
      readonly pageUrl: string;
      readonly picture?: Shot;
      readonly conversation?: ConversationEnd;
      readonly obstacles: readonly string[];
      /** Something of the step reached the page, so a mutating step may have taken effect. */
      readonly hasActed: boolean;
      /** What the page shows is known, and that nobody can put it right from here. */
      readonly isSettled?: boolean;
    };

/**
 * Runs one step: locate (find, and check that it is the recorded element), act (guard, then the action), check (the
 * postcondition, by code), picture. Browser and network trouble become failures. @throws what the run's own calls throw
 * (a refusing guard, a database that is away), at once and unchanged, and the signal's reason after an abort.
 */
export async function runStep(step: Step, run: StepRun): Promise<StepResult> {
  const values = withDerivedValues(run.values);
  const stage = createStage(fillStep(step, values), obstaclesFor(step, run.obstacles, values), run, values);
  const startedAt = performance.now();
  const ending = await endingOf(stage);
  const durationMs = Math.round(performance.now() - startedAt);
  const pageUrl = pageUrlOf(stage);
  if (ending.kind === 'done') return { ...ending, durationMs, pageUrl, obstacles: stage.cleared };
  const picture = await pictureOfFailure(stage, ending);
  const failure = { ...ending, durationMs, pageUrl, obstacles: stage.cleared, hasActed: stage.hasActed };
  return picture === undefined ? failure : { ...failure, picture };
}

async function endingOf(stage: Stage): Promise<Ending> {
  try {
    return (await takenUp(stage)) ?? (await runKind(stage));
  } catch (error) {
    stage.run.signal.throwIfAborted();
    if (!(error instanceof CountersignError)) throw error;
    const outage = failureOfCode(error.code);
    if (outage === undefined) throw error;
    return failed(
      outage,
      `${outageWords(outage, error.retryAfterMs)} ${notDone(stage.hasActed, stage.step.isMutating)}`,
    );
  }
}

const LOOK_MS = 500; // one look at a page that a person has just left

/**
 * A step that a person was asked about: what stood in its way is cleared first, such as by the code that they gave. Then the
 * page's state says whether the step is done; a person's word alone is none. `undefined`: it is to be run as ever.
 */
async function takenUp(stage: Stage): Promise<Ending | undefined> {
  const { step, run } = stage;
  if (!run.wasAnswered || !('postcondition' in step)) return undefined;
  const hindered = await hindrance(stage);
  if (hindered !== undefined && hindered !== 'cleared') return hindered;
  const { postcondition } = step;
  if (hindered === 'cleared') {
    // On to what the step was for, or back to its element, which is then acted on.
    const back = 'locators' in step ? step.locators.map((locator) => ({ kind: 'visible', locator }) as const) : [];
    const problem = await check(stage, { kind: 'any', of: [postcondition, ...back] });
    if (problem !== undefined) return problem;
  }
  const seen = await stage.during(() => run.session.waitFor([postcondition], LOOK_MS));
  if (seen === undefined) return undefined;
  return { kind: 'done', rung: 'human', picture: await takePicture(stage, { rung: 'human' }) };
}

/** What the page shows at a failure; no picture once a fresh secret may be on it that nobody could name to hide it. */
async function pictureOfFailure(stage: Stage, ending: Failed): Promise<Shot | undefined> {
  const { failure } = ending;
  const mayShowSecret = stage.step.kind === 'extract' && stage.hasActed;
  const showsNothing = !needsPage(stage.step) || failure === 'browser_crashed' || mayShowSecret;
  if (showsNothing) return undefined;
  const asks = questionFor(stage.step, { ...ending, hasActed: stage.hasActed }) !== undefined;
  return takePicture(stage, { rung: asks ? 'needs a person' : 'failed' });
}

function pageUrlOf(stage: Stage): string {
  stage.run.signal.throwIfAborted();
  try {
    const { origin, pathname } = new URL(stage.run.session.address());
    return origin === 'null' ? '' : origin + pathname;
  } catch {
    return ''; // the browser is gone
  }
}
