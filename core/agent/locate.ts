import { quoted } from '../plain-text.ts';
import type { FindResult, Fingerprint, FoundElement, Locator } from '../ports/browser.ts';
import { isSameElement, type RecordedIdentity } from '../workflow/elements.ts';
import type { Proposal } from '../workflow/known.ts';
import { isIrrevocable } from '../workflow/steps/index.ts';
import { hindrance } from './check.ts';
import { isDiscarded } from './discarded.ts';
import { type Failed, failed, notDone } from './failures.ts';
import { holdsWords } from './relocate.ts';
import { createRelocator } from './relocation.ts';
import type { Relocated, Stage } from './stage.ts';

const SLICE_MS = 1_000; // between two looks at what hinders the step, and for recorded locators before anything else
const MISMATCH_MS = 3_000; // a page that is still drawing may yet put the right words on a control
const REST_MS = 100;
const LEAST_LOOKS = 3; // before it is said that nothing is like it, however slow the machine

export interface Target {
  readonly locators: readonly Locator[];
  readonly identities: readonly RecordedIdentity[];
  readonly fingerprint?: Fingerprint;
  readonly bound?: readonly string[];
  readonly hiddenIsFine?: boolean;
}

export type Located =
  | { readonly kind: 'located'; readonly element: FoundElement; readonly relocated?: Relocated }
  | Failed;

/**
 * Replays the recorded locators in order and accepts the first element that is unique and *is* the recorded one. A locator
 * that finds something else is passed over: a wrong click is worse than none. Where they find nothing, the element is
 * relocated by its fingerprint, between further tries of the locators. While nothing is found, what hinders the step is
 * told or cleared.
 */
export async function locate(stage: Stage, target: Target): Promise<Located> {
  const startedAt = performance.now();
  const ways = waysTo(stage, target);
  const relocator = relocatorFor(stage, target);
  let last: Found | FindResult | 'other' = { kind: 'missing' };
  let looks = 0;
  let onlyDiscarded = false;
  for (let sliceMs = SLICE_MS; ; sliceMs = relocator === undefined ? SLICE_MS : SLICE_MS / 4) {
    last = await tryAll(stage, target, ways, sliceMs);
    if (last !== 'other' && last.kind === 'located') return last;
    const hindered = await hindrance(stage);
    if (hindered !== undefined && hindered !== 'cleared') return hindered;
    if (hindered === undefined) {
      const found = await relocator?.();
      looks += 1;
      onlyDiscarded = found === 'discarded';
      if (found !== undefined && found !== 'discarded') {
        const { element, score, margin } = found;
        return { kind: 'located', element, relocated: { by: 'fingerprint', score, margin } };
      }
    }
    const hasLooked = relocator === undefined || looks >= LEAST_LOOKS;
    const isOver = (last === 'other' || onlyDiscarded) && hasLooked && performance.now() - startedAt > MISMATCH_MS;
    if (hindered === undefined && (isOver || stage.leftMs() === 0)) return notFound(stage, last, onlyDiscarded);
    if (last === 'other') await stage.pause(REST_MS);
  }
}

function relocatorFor(stage: Stage, { fingerprint, bound = [], hiddenIsFine }: Target) {
  if (fingerprint === undefined || stage.run.mode === 'replay') return undefined;
  const wanted = { fingerprint, bound, hiddenIsFine: hiddenIsFine ?? false, isMutating: isIrrevocable(stage.step) };
  return createRelocator(stage, wanted);
}

/** A locator, and what it may find: the recorded element, or what that had become in an earlier run. */
interface Way {
  readonly locator: Locator;
  readonly isRecorded: boolean;
  readonly proposals: readonly Proposal[];
}

/** The recorded locators, then those of proposals; one that is among both is tried in its recorded place. */
function waysTo(stage: Stage, target: Target): readonly Way[] {
  const proposals = stage.proposals.filter(({ field }) => field === undefined);
  const ways = new Map<string, Way>(
    target.locators.map((locator) => [keyOf(locator), { locator, isRecorded: true, proposals: [] }]),
  );
  for (const proposal of proposals)
    for (const locator of proposal.locators) {
      const { isRecorded = false, proposals: others = [] } = ways.get(keyOf(locator)) ?? {};
      ways.set(keyOf(locator), { locator, isRecorded, proposals: [...others, proposal] });
    }
  return [...ways.values()];
}

type Found = Located & { readonly kind: 'located' };

/** One pass over the locators; `other` when all that was found is not the recorded element. */
async function tryAll(
  stage: Stage,
  target: Target,
  ways: readonly Way[],
  sliceMs: number,
): Promise<Found | FindResult | 'other'> {
  let rest = ways;
  let isOther = false;
  while (rest.length > 0) {
    const timeoutMs = isOther ? REST_MS : Math.min(sliceMs, stage.leftMs());
    const options = { timeoutMs, hiddenIsFine: target.hiddenIsFine ?? false };
    const locators = rest.map(({ locator }) => locator);
    const result = await stage.during(() => stage.run.session.find(locators, options));
    if (result.kind !== 'found') return isOther ? 'other' : result;
    const { element } = result;
    const at = rest.findIndex(({ locator }) => element.locator && keyOf(locator) === keyOf(element.locator));
    const way = rest[at];
    const isSame = target.identities.some((identity) => isSameElement(identity, element.identity));
    const proposal = way?.proposals.find(({ identity }) => isSameElement(identity, element.identity));
    // What was recorded is found as it was recorded; whatever else is to be found may be what an admin has discarded.
    const isRecorded = isSame && way?.isRecorded === true;
    const mayBeIt = isRecorded || ((isSame || proposal) && !(await isDiscarded(stage, element)));
    if (isSame && mayBeIt && (await holdsBound(stage, target, element))) return { kind: 'located', element };
    if (proposal && mayBeIt) return { kind: 'located', element, relocated: { by: 'proposal', proposal: proposal.id } };
    isOther = true;
    rest = at < 0 ? [] : rest.slice(at + 1);
  }
  return 'other';
}

/** A locator finds "Ian" in "Adriana", too: what an input chooses says that input's words, or stands beside them. */
async function holdsBound(stage: Stage, { bound = [] }: Target, element: FoundElement): Promise<boolean> {
  if (bound.length === 0) return true;
  const print = await stage.during(() => stage.run.session.fingerprint(element));
  return print !== undefined && bound.every((words) => holdsWords(print, words));
}

function keyOf(locator: Locator): string {
  return JSON.stringify(locator);
}

function notFound(stage: Stage, last: FindResult | 'other', onlyDiscarded: boolean): Failed {
  const rest = notDone(stage.hasActed, stage.step.isMutating);
  const what = quoted(stage.sentence);
  if (onlyDiscarded)
    return failed(
      'identity_mismatch',
      `For ${what} the page shows only what an admin discarded on the console’s page Workflows, where “Try it again” takes that back. ${rest}`,
    );
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
