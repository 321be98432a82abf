import type { Action, Box, Condition } from '../ports/browser.ts';
import { act } from './act.ts';
import { boundTo } from './bind.ts';
import { check } from './check.ts';
import { locate, type Target } from './locate.ts';
import { boxOf, takePicture } from './picture.ts';
import { healOf } from './relocation.ts';
import type { Ending, Stage } from './stage.ts';

export interface ElementStep extends Target {
  readonly action: Action | (() => Promise<Action>);
  readonly postcondition: Condition;
  /** A click leaves its page, so its picture shows what is about to be clicked; other actions show what they did. */
  readonly pictured: 'before' | 'after';
}

/**
 * The phases of a step that acts on one element: locate, act, check, and its picture. A page that draws its form anew
 * right after the element was found takes it away: then it is located again, within the step's time.
 */
export async function runElementStep(stage: Stage, wanted: ElementStep): Promise<Ending> {
  let action: Action | undefined; // asked for once: it may open a secret
  for (;;) {
    const located = await locate(stage, wanted);
    if (located.kind === 'failed') return located;
    const { element, relocated } = located;
    const rung = relocated === undefined ? 'replayed' : 'relocated';
    const pictureOf = (highlight: Box | null) => takePicture(stage, { rung, highlight });
    // Described before the action, which may lead away from it; kept only if the step goes well.
    const heals = relocated?.by === 'fingerprint' ? await healOf(stage, { element, ...relocated }) : [];
    const before = wanted.pictured === 'before' ? await pictureOf(element.box) : undefined;
    action ??= typeof wanted.action === 'function' ? await wanted.action() : wanted.action;
    const unsent = await act(stage, element, action);
    if (unsent?.failure === 'element_missing' && stage.leftMs() > 0) continue;
    const { postcondition } = wanted;
    const expectation = relocated === undefined ? postcondition : boundTo(postcondition, wanted.locators, element);
    // An action that wasn't answered, as by a frame that went away with its page, may have been taken all the same.
    if (unsent !== undefined && !stage.hasActed) return unsent;
    const unmet = await check(stage, expectation);
    if (unmet !== undefined) return unsent ?? unmet;
    const picture = before ?? (await pictureOf(await boxOf(stage, element)));
    return { kind: 'done', rung, picture, ...(relocated === undefined ? {} : { relocated, heals }) };
  }
}
