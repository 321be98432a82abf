import type { Action, Box, Condition, Fingerprint, FoundElement, LiveCondition, Locator } from '../ports/browser.ts';
import { isIrrevocable, type Step } from '../workflow/steps/index.ts';
import { act, guarded, ready } from './act.ts';
import { boundTo } from './bind.ts';
import { check } from './check.ts';
import { type Failed, failed } from './failures.ts';
import { locate, type Target } from './locate.ts';
import { VALUE } from './model-hands.ts';
import { askModel } from './model-rung.ts';
import { boxOf, takePicture } from './picture.ts';
import { recordedPrint } from './recorded.ts';
import { healOf } from './relocation.ts';
import type { Ending, Stage } from './stage.ts';

export interface ElementStep extends Target {
  readonly action: Action | (() => Promise<Action>);
  readonly postcondition: Condition;
  readonly fingerprint?: Fingerprint;
  /** A click leaves its page, so its picture shows what is about to be clicked; other actions show what they did. */
  readonly pictured: 'before' | 'after';
}

/** Where the model is asked at every step. */
export const NOT_LOOKED_FOR = failed('element_missing', 'The element was not looked for by what is on record.');

/**
 * The phases of a step that acts on one element: locate, act, check, and its picture. A page that draws its form anew
 * right after the element was found takes it away: then it is located again, within the step's time.
 */
export async function runElementStep(stage: Stage, wanted: ElementStep): Promise<Ending> {
  let action: Action | undefined; // asked for once: it may open a secret
  for (;;) {
    const located = stage.run.mode === 'vision' ? NOT_LOOKED_FOR : await locate(stage, wanted);
    if (located.kind === 'failed') return pointedOut(stage, wanted, located);
    const { element, relocated } = located;
    const rung = relocated === undefined ? 'replayed' : 'relocated';
    const pictureOf = (highlight: Box | null) => takePicture(stage, { rung, highlight });
    // Described before the action, which may lead away from it; kept only if the step goes well. Of what an input chooses,
    // nothing is kept: with another value it would be another element.
    const heals =
      relocated?.by === 'fingerprint' && wanted.bound === undefined
        ? await healOf(stage, { element, ...relocated })
        : [];
    action ??= typeof wanted.action === 'function' ? await wanted.action() : wanted.action;
    const picturing = wanted.pictured === 'before' ? pictureOf(element.box) : undefined;
    const [hindered, before] = await both(ready(stage, element, action), picturing);
    const unsent = hindered ?? (await guarded(stage, element, action));
    if (unsent?.failure === 'element_missing' && stage.leftMs() > 0) continue;
    const { postcondition } = wanted;
    const expectation = expectationOf(postcondition, wanted.locators, element);
    // An action that wasn't answered, as by a frame that went away with its page, may have been taken all the same.
    if (unsent !== undefined && !stage.hasActed) return unsent;
    const unmet = await check(stage, expectation);
    if (unmet !== undefined) return unsent ?? unmet;
    const picture = before ?? (await pictureOf(await boxOf(stage, element)));
    return { kind: 'done', rung, picture, ...(relocated === undefined ? {} : { relocated, heals }) };
  }
}

/** Waits for both, whatever comes of either: nothing is still going on in the page when the step goes on or fails. */
async function both<A, B>(one: Promise<A>, other: Promise<B> | undefined): Promise<[A, B | undefined]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

/** Of an element that its first locator didn't find, what that locator would say is said of the element itself. */
function expectationOf(claim: Condition, locators: readonly Locator[], element: FoundElement): LiveCondition {
  const isByFirst = element.locator !== undefined && JSON.stringify(element.locator) === JSON.stringify(locators[0]);
  return isByFirst ? claim : boundTo(claim, locators, element);
}

/** The rung above the records: the model points the element out, and everything else is as ever. */
async function pointedOut(stage: Stage, wanted: ElementStep, lost: Failed): Promise<Ending> {
  const pictureOf = (highlight: Box | null) => takePicture(stage, { rung: 'model', highlight });
  let action: Action | undefined; // as above
  const { postcondition } = wanted;
  const settled = [postcondition, ...stage.step.failsWhen.map(({ condition }) => condition)];
  const answer = await askModel(stage, {
    recorded: recordedPrint(wanted),
    instruction: instructionOf(stage.step),
    does: stage.step.kind === 'click' || stage.step.kind === 'press' ? 'click' : 'field',
    isFinal: isIrrevocable(stage.step),
    expected: stage.step.expectedResult,
    isSettled: async (timeoutMs) =>
      (await stage.during(() => stage.run.session.waitFor(settled, timeoutMs))) !== undefined,
    async perform(element) {
      action ??= typeof wanted.action === 'function' ? await wanted.action() : wanted.action;
      const unsent = await act(stage, element, action);
      if (unsent?.failure !== 'timeout' || !stage.hasActed) return unsent;
      // It wasn't answered, as by a form that is drawn anew at each change, and may have been taken all the same.
      return (await check(stage, postcondition)) === undefined ? undefined : unsent;
    },
    ...(wanted.pictured === 'before' ? { before: pictureOf } : {}),
  });
  if (answer === undefined) return lost;
  const { conversation } = answer;
  if (answer.kind === 'unsure') return { ...lost, conversation };
  if (answer.kind === 'failed') return { ...answer.failed, conversation };
  const problem = await check(stage, postcondition);
  if (problem !== undefined) return { ...problem, conversation };
  const picture = answer.picture ?? (await pictureOf(await boxOf(stage, answer.element)));
  return { kind: 'done', rung: 'model', picture, conversation };
}

/** What the step does, for the model; a value is never told. */
function instructionOf(step: Step): string {
  switch (step.kind) {
    case 'fill':
      return `type ${VALUE} into the field; it stands for the step’s value`;
    case 'select':
      return `choose ${VALUE} in the list; it stands for the step’s value`;
    case 'check':
      return step.isChecked ? 'tick the box' : 'untick the box';
    case 'press':
      return `press ${step.value} in the field, once it has the focus`;
    default:
      return 'click it';
  }
}
