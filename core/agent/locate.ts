import type { FindResult, FoundElement, Locator } from '../ports/browser.ts';
import { isSameElement, type RecordedIdentity } from '../workflow/elements.ts';
import { hindrance } from './check.ts';
import { type Failed, failed, notDone } from './failures.ts';
import type { Stage } from './stage.ts';

const SLICE_MS = 1_000; // between two looks at what hinders the step
const MISMATCH_MS = 3_000; // a page that is still drawing may yet put the right words on a control
const REST_MS = 100;

export interface Target {
  readonly locators: readonly Locator[];
  readonly identities: readonly RecordedIdentity[];
  readonly hiddenIsFine?: boolean;
}

export type Located = { readonly kind: 'located'; readonly element: FoundElement } | Failed;

/**
 * Replays the recorded locators in order and accepts the first element that is unique and *is* the recorded one. A locator
 * that finds something else is passed over: a wrong click is worse than none. While nothing is found, what hinders the
 * step is told or cleared.
 */
export async function locate(stage: Stage, target: Target): Promise<Located> {
  const startedAt = performance.now();
  let last: FindResult | 'other' = { kind: 'missing' };
  for (;;) {
    last = await tryAll(stage, target);
    if (last !== 'other' && last.kind === 'found') return { kind: 'located', element: last.element };
    const hindered = await hindrance(stage);
    if (hindered !== undefined && hindered !== 'cleared') return hindered;
    const isOver = last === 'other' && performance.now() - startedAt > MISMATCH_MS;
    if (hindered === undefined && (isOver || stage.leftMs() === 0)) return notFound(stage, last);
    if (last === 'other') await stage.pause(REST_MS);
  }
}

/** One pass over the locators; `other` when all that was found is not the recorded element. */
async function tryAll(stage: Stage, target: Target): Promise<FindResult | 'other'> {
  let rest = target.locators;
  let isOther = false;
  while (rest.length > 0) {
    const timeoutMs = isOther ? REST_MS : Math.min(SLICE_MS, stage.leftMs());
    const options = { timeoutMs, hiddenIsFine: target.hiddenIsFine ?? false };
    const locators = rest;
    const result = await stage.during(() => stage.run.session.find(locators, options));
    if (result.kind !== 'found') return isOther ? 'other' : result;
    const { element } = result;
    if (target.identities.some((identity) => isSameElement(identity, element.identity))) return result;
    isOther = true;
    rest = rest.slice(indexOf(rest, element.locator) + 1);
  }
  return 'other';
}

function indexOf(locators: readonly Locator[], locator: Locator | undefined): number {
  const text = JSON.stringify(locator);
  const index = locators.findIndex((candidate) => JSON.stringify(candidate) === text);
  return index < 0 ? locators.length : index;
}

function notFound(stage: Stage, last: FindResult | 'other'): Failed {
  const rest = notDone(stage.hasActed, stage.step.isMutating);
  const what = `“${stage.sentence}”`;
  if (last === 'other')
    return failed(
      'identity_mismatch',
      `For ${what} the page shows another control in that place than the known one. ${rest}`,
    );
  return last.kind === 'ambiguous'
    ? failed(
        'element_ambiguous',
        `For ${what} the page has ${last.count} controls that fit, and choosing one would be a guess. ${rest}`,
      )
    : failed('element_missing', `What ${what} needs isn't on the page. ${rest}`);
}
