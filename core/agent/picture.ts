import { CountersignError } from '../errors.ts';
import type { Box, FoundElement, Picture, Shot } from '../ports/browser.ts';
import type { Ending, Stage } from './stage.ts';

const FRESH_BOX_MS = 500; // the element was there a moment ago; what is gone is simply not boxed

interface PictureWish {
  readonly rung: (Ending & { kind: 'done' })['rung'] | 'failed' | 'needs a person';
  readonly highlight?: Box | null;
  readonly isRevealing?: boolean;
}

/**
 * Takes the step's picture, masked and captioned; drawn while the step goes on. A picture that can't be had is said, and
 * never fails the step.
 */
export async function takePicture(stage: Stage, wish: PictureWish): Promise<Shot> {
  const { run, step, sentence } = stage;
  const time = stage.now().toISOString().slice(11, 19);
  const options = {
    secrets: run.knownSecrets(),
    isRevealing: wish.isRevealing ?? false,
    ...(wish.highlight ? { highlight: wish.highlight } : {}),
    caption: { number: step.order, sentence, detail: wish.rung === 'none' ? time : `${time} · ${wish.rung}` },
  };
  try {
    return await stage.during(() => run.session.shoot(options));
  } catch {
    run.signal.throwIfAborted();
    return { drawn: Promise.resolve({ kind: 'withheld', reason: 'the picture could not be taken' }) };
  }
}

/**
 * The page alone, masked, for a model that points at it; `undefined` when there is none that is sure. Drawings and images
 * are hidden on every step: a page may draw there what was typed or shown before.
 */
export async function barePicture(stage: Stage): Promise<Picture | undefined> {
  const options = { secrets: stage.run.knownSecrets(), isRevealing: true };
  const result = await stage.during(() => stage.run.session.picture(options));
  return result.kind === 'taken' ? result.picture : undefined;
}

/**
 * Where the element stands now: acting may have moved it. The adapter scrolls to it, and boxes the widget of a hidden
 * field. A page too busy to answer has no box: what the step was for has been seen by then.
 */
export async function boxOf(stage: Stage, element: FoundElement): Promise<Box | null> {
  const { locator } = element;
  const box = await stage.during(() => stage.run.session.boxOf(element));
  if (box !== null || locator === undefined) return box;
  const options = { timeoutMs: FRESH_BOX_MS, hiddenIsFine: true };
  try {
    const again = await stage.during(() => stage.run.session.find([locator], options));
    return again.kind === 'found' ? again.element.box : null;
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'network') return null;
    throw error;
  }
}
