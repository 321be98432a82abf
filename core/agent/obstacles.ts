import { fillCondition, fillLocator, type Values } from '../workflow/placeholders.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Obstacle } from '../workflow/workflow.ts';
import { type Failed, failed, notDone } from './failures.ts';
import type { Stage } from './stage.ts';

const OBSTACLE_MS = 10_000; // an obstacle's own button is on the page already when its condition holds

/**
 * Takes a known obstacle out of the way: under the same guard as the step itself, and once only. The step's deadline
 * starts anew, since the page loads again.
 */
export async function clear(stage: Stage, obstacle: Obstacle): Promise<Failed | undefined> {
  stage.obstacles = stage.obstacles.filter(({ id }) => id !== obstacle.id);
  const { session } = stage.run;
  for (const action of obstacle.steps) {
    if (action.kind === 'reopen') {
      const reopened = await reopen(stage, obstacle);
      if (reopened !== undefined) return reopened;
    } else {
      const found = await stage.during(() => session.find(action.locators, { timeoutMs: OBSTACLE_MS }));
      if (found.kind !== 'found') return stuck(stage, obstacle);
      const { element } = found;
      await stage.during(() => session.ready(element, { kind: 'click' }, OBSTACLE_MS));
      await stage.during(() => stage.run.guard());
      await stage.during(() => session.act(element, { kind: 'click' }, OBSTACLE_MS));
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
    action.kind === 'reopen'
      ? action
      : { ...action, locators: action.locators.map((locator) => fillLocator(locator, values)) },
  );
  return { ...obstacle, when: fillCondition(obstacle.when, values), steps };
}

async function reopen(stage: Stage, obstacle: Obstacle): Promise<Failed | undefined> {
  const { step } = stage;
  if (step.kind !== 'navigate') return stuck(stage, obstacle);
  await stage.during(() => stage.run.guard());
  await stage.during(() => stage.run.session.navigate(step.target, step.timeoutMs));
  return undefined;
}

function stuck(stage: Stage, obstacle: Obstacle): Failed {
  const rest = notDone(stage.hasActed, stage.step.isMutating);
  return failed('wrong_page', `Another page came in between (${obstacle.intent}) and could not be passed. ${rest}`);
}
