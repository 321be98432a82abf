import { CountersignError } from '../errors.ts';
import { quoted } from '../plain-text.ts';
import type { Action, FoundElement } from '../ports/browser.ts';
import { type Failed, failed, notDone } from './failures.ts';
import { isProhibited } from './gate.ts';
import type { Stage } from './stage.ts';

/**
 * What an element that is ready takes is taken in a tenth of a second. Longer than this a mutating action is not tried:
 * who may act was asked before it, and only that short a time ago.
 */
const MUTATING_ACTION_MS = 2_000;

/**
 * Waits until the element is ready, asks the guard and then, immediately, does one thing to it. @returns `element_missing`
 * when the page had replaced the element before anything was sent to it: then it may be located anew.
 */
export async function act(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  return (await ready(stage, element, action)) ?? guarded(stage, element, action);
}

/** Does one thing to an element that is ready, immediately after the guard was asked. */
export async function guarded(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  await stage.during(() => stage.run.guard());
  return send(stage, element, action);
}

/** Waits until the element would take the action at once: all the waiting there is lies before the guard. */
export async function ready(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  if (action.kind === 'click' && isProhibited(element.identity)) {
    const rest = notDone(stage.hasActed, stage.step.isMutating);
    return failed(
      'prohibited',
      `${quoted(stage.sentence)} leads to a control that deletes, pays or hands over. ${rest}`,
    );
  }
  return inTime(stage, () => stage.run.session.ready(element, action, stage.leftMs()));
}

/** Does one thing to one element, for a caller that has asked the guard and has something to commit in between. */
export async function send(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  return inTime(stage, () => {
    stage.run.requireSight();
    stage.hasActed = true;
    const limitMs = stage.step.isMutating ? MUTATING_ACTION_MS : Number.POSITIVE_INFINITY;
    return stage.run.session.act(element, action, Math.min(limitMs, stage.leftMs()));
  });
}

/** Points or presses where that can change nothing: under the same guard, but it counts as no act of the step. */
export async function touch(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  await stage.during(() => stage.run.guard());
  return inTime(stage, () => {
    stage.run.requireSight();
    return stage.run.session.act(element, action, Math.min(MUTATING_ACTION_MS, stage.leftMs()));
  });
}

async function inTime(stage: Stage, work: () => Promise<void>): Promise<Failed | undefined> {
  const hadActed = stage.hasActed;
  try {
    await stage.during(work);
    return undefined;
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    // Once an effect was sent it is never said that it was not: it must not be repeated on anybody's word.
    const isUnsent = stage.hasActed === hadActed || !stage.step.isMutating;
    if (error.code === 'element_stale' && isUnsent) {
      stage.hasActed = hadActed;
      const rest = notDone(hadActed, stage.step.isMutating);
      return failed(
        'element_missing',
        `What ${quoted(stage.sentence)} needs left the page before it could be used. ${rest}`,
      );
    }
    if (error.code !== 'network' && error.code !== 'element_stale') throw error;
    const rest = notDone(stage.hasActed, stage.step.isMutating);
    return failed('timeout', `The page did not take the action of ${quoted(stage.sentence)} in time. ${rest}`);
  }
}
