import type { Action, Box, Condition } from '../ports/browser.ts';
import { act } from './act.ts';
import { check } from './check.ts';
import { locate, type Target } from './locate.ts';
import { boxOf, takePicture } from './picture.ts';
import type { Ending, Stage } from './stage.ts';

export interface ElementStep extends Target {
  readonly action: Action | (() => Promise<Action>);
  readonly postcondition: Condition;
  /** A click leaves its page, so its picture shows what is about to be clicked; other actions show what they did. */
  readonly pictured: 'before' | 'after';
}

/** The phases of a step that acts on one element: locate, act, check, and its picture. */
export async function runElementStep(stage: Stage, wanted: ElementStep): Promise<Ending> {
  const located = await locate(stage, wanted);
  if (located.kind === 'failed') return located;
  const { element } = located;
  const pictureOf = (highlight: Box | null) => takePicture(stage, { rung: 'replayed', highlight });
  const before = wanted.pictured === 'before' ? await pictureOf(element.box) : undefined;
  const action = typeof wanted.action === 'function' ? await wanted.action() : wanted.action;
  const problem = (await act(stage, element, action)) ?? (await check(stage, wanted.postcondition));
  if (problem !== undefined) return problem;
  return { kind: 'done', rung: 'replayed', picture: before ?? (await pictureOf(await boxOf(stage, element))) };
}
