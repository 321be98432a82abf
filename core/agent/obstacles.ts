import { CountersignError } from '../errors.ts';
import type { Action, Condition, FoundElement, Locator } from '../ports/browser.ts';
import { fillCondition, fillLocator, type Values } from '../workflow/placeholders.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Obstacle } from '../workflow/workflow.ts';
import { type Failed, failed, notDone } from './failures.ts';
import { isProhibited } from './gate.ts';
import { openPage } from './open-page.ts';
import type { Stage } from './stage.ts';

const CODE_MS = 15_000; // the site checks it, and opens its next page
const LOOK_MS = 50;
const REST_MS = 50;
const OBSTACLE_MS = 10_000; // an obstacle's own button is on the page already when its condition holds

/**
 * Takes a known obstacle out of the way: under the same guard as the step itself, and once only. The step's deadline
 * starts anew, since the page loads again.
 */
export async function clear(stage: Stage, obstacle: Obstacle): Promise<Failed | undefined> {
  stage.obstacles = stage.obstacles.filter(({ id }) => id !== obstacle.id);
  for (const action of obstacle.steps) {
    if (action.kind === 'reopen') {
      const reopened = await reopen(stage, obstacle);
      if (reopened !== undefined) return reopened;
    } else if (action.kind === 'give_up') {
      return { ...failed(action.failure, action.words), isSettled: true };
    } else if (action.kind === 'code') {
      const problem = await enterCode(stage, obstacle, action);
      if (problem !== undefined) return problem;
    } else if (!(await actOn(stage, action.locators, { kind: 'click' }))) {
      return stuck(stage, obstacle);
    }
  }
  stage.cleared.push(obstacle.id);
  stage.restartDeadline();
  return undefined;
}

/** The obstacles that this step can clear, their placeholders filled: reopening needs a step with an address. */
export function obstaclesFor(step: Step, obstacles: readonly Obstacle[], values: Values): readonly Obstacle[] {
  const clearable = obstacles.filter(
    ({ steps }) => step.kind === 'navigate' || steps.every(({ kind }) => kind !== 'reopen'),
  );
  return clearable.map((obstacle) => fillObstacle(obstacle, values));
}

function fillObstacle(obstacle: Obstacle, values: Values): Obstacle {
  const steps = obstacle.steps.map((action) =>
    action.kind === 'click'
      ? { ...action, locators: action.locators.map((locator) => fillLocator(locator, values)) }
      : action,
  );
  return { ...obstacle, when: fillCondition(obstacle.when, values), steps };
}

const MOST_TRIES = 5; // a page that draws itself anew all the time is not waited for

/** A page may draw itself anew between the look and the action; an element that was replaced before anything was sent to it is looked for again. */
async function actOn(stage: Stage, locators: readonly Locator[], action: Action): Promise<FoundElement | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await actOnce(stage, locators, action);
    } catch (error) {
      const isReplaced = error instanceof CountersignError && error.code === 'element_stale';
      if (!isReplaced || tries >= MOST_TRIES) throw error;
    }
  }
}

async function actOnce(stage: Stage, locators: readonly Locator[], action: Action): Promise<FoundElement | undefined> {
  const { session } = stage.run;
  const found = await stage.during(() => session.find(locators, { timeoutMs: OBSTACLE_MS }));
  if (found.kind !== 'found') return undefined;
  const { element } = found;
  if (action.kind === 'click' && isProhibited(element.identity)) return undefined;
  await stage.during(() => session.ready(element, action, OBSTACLE_MS));
  await stage.during(() => stage.run.guard());
  await stage.during(() => {
    stage.run.requireSight();
    return session.act(element, action, OBSTACLE_MS);
  });
  return element;
}

/** The code that a person has entered for this, or the question for it; one that was not taken is asked for again. */
async function enterCode(
  stage: Stage,
  obstacle: Obstacle,
  { field, submit, refused }: Extract<Obstacle['steps'][number], { kind: 'code' }>,
): Promise<Failed | undefined> {
  await stage.during(() => stage.run.guard());
  const code = await stage.during(async () => stage.run.code?.());
  if (code === undefined)
    return failed('code_wanted', 'The site asks for a one-time code, which only a person can give.');
  const { session } = stage.run;
  const wasRefused = (await stage.during(() => session.waitFor([refused], LOOK_MS))) !== undefined;
  const filled = await actOn(stage, field, { kind: 'fill', value: code });
  if (!filled) return stuck(stage, obstacle);
  const isTaken: Condition = { kind: 'all', of: field.map((locator) => ({ kind: 'hidden', locator })) };
  if (!(await sendCode(stage, submit, isTaken))) return stuck(stage, obstacle);
  if (wasRefused) await untilGone(stage, filled); // what was said of an earlier code says nothing of this one
  const seen = await stage.during(() => session.waitFor([refused, isTaken], CODE_MS));
  if (seen === 0) return failed('code_wanted', 'The site did not take the code. It needs a new one.');
  // A form may refuse in silence, such as letters where it wants digits.
  const words = `The site did not go on with the code within ${CODE_MS / 1000} s. It needs a new one.`;
  return seen === 1 ? undefined : failed('code_wanted', words);
}

/** @returns false when there is nothing to send it with, on a page that does not take it by itself once it is whole either. */
async function sendCode(stage: Stage, submit: readonly Locator[], isTaken: Condition): Promise<boolean> {
  const isThere = submit.map((locator): Condition => ({ kind: 'visible', locator }));
  const seen = await stage.during(() => stage.run.session.waitFor([isTaken, ...isThere], OBSTACLE_MS));
  if (seen === 0 || (await actOn(stage, submit, { kind: 'click' }))) return true;
  return (await stage.during(() => stage.run.session.waitFor([isTaken], LOOK_MS))) !== undefined;
}

/** Until the page has replaced the element, for so long as a site may take: one that keeps its form is then read as it stands. */
async function untilGone(stage: Stage, element: FoundElement): Promise<void> {
  const until = performance.now() + CODE_MS;
  while (performance.now() < until && (await stage.during(() => stage.run.session.boxOf(element))) !== null)
    await stage.pause(REST_MS);
}

async function reopen(stage: Stage, obstacle: Obstacle): Promise<Failed | undefined> {
  const { step } = stage;
  if (step.kind !== 'navigate') return stuck(stage, obstacle);
  await openPage(stage.run, step.target, { leftMs: () => step.timeoutMs });
  return undefined;
}

function stuck(stage: Stage, obstacle: Obstacle): Failed {
  // A button of that page may have been pressed; the step's own was not, unless it had been before.
  const rest = stage.hasActed ? notDone(true, stage.step.isMutating) : 'The step itself was not begun.';
  return failed('wrong_page', `Another page came in between (${obstacle.intent}) and could not be passed. ${rest}`);
}
