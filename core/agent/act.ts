import { CountersignError } from '../errors.ts';
import type { Action, FoundElement } from '../ports/browser.ts';
import { type Failed, failed, notDone } from './failures.ts';
import type { Stage } from './stage.ts';

/**
 * Asks the guard and then, immediately, does one thing to one element. @returns `element_missing` when the page had
 * replaced the element before anything was sent to it: then it may be located anew.
 */
export async function act(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  await stage.during(() => stage.run.guard());
  return send(stage, element, action);
}

/** Does one thing to one element, for a caller that has asked the guard and has something to commit in between. */
export async function send(stage: Stage, element: FoundElement, action: Action): Promise<Failed | undefined> {
  const hadActed = stage.hasActed;
  try {
    await stage.during(() => {
      stage.hasActed = true;
      return stage.run.session.act(element, action, stage.leftMs());
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    // Of an effect it is never said that nothing was sent: it must not be repeated on anybody's word.
    if (error.code === 'element_stale' && !stage.step.isMutating) {
      stage.hasActed = hadActed;
      const rest = notDone(hadActed, false);
      return failed('element_missing', `What “${stage.sentence}” needs left the page before it could be used. ${rest}`);
    }
    if (error.code !== 'network' && error.code !== 'element_stale') throw error;
    const rest = notDone(stage.hasActed, stage.step.isMutating);
    return failed('timeout', `The page did not take the action of “${stage.sentence}” in time. ${rest}`);
  }
}
