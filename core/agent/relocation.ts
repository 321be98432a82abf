import type { Candidate, Fingerprint, FoundElement } from '../ports/browser.ts';
import { isDiscarded } from './discarded.ts';
import { quietly } from './quietly.ts';
import { holdsWords, MUTATING_MARGIN, relocate, sortOf } from './relocate.ts';
import type { Heal, Stage } from './stage.ts';

export interface RelocatedElement {
  readonly element: FoundElement;
  readonly score: number;
  readonly margin: number;
}

interface Wanted {
  readonly fingerprint: Fingerprint;
  /** Of the step's result; absent: the step's own element. */
  readonly field?: string;
  /** Words that must stand in it or beside it. */
  readonly bound?: readonly string[];
  readonly hiddenIsFine?: boolean;
  /** What is done to it can't be taken back. */
  readonly isMutating?: boolean;
}

/**
 * Looks for a recorded element by its fingerprint among all controls of the page. Each call is one look; an element is
 * handed out when two looks in a row found the same one among the same others, so that a page that is still drawing is
 * not judged by its first half. What is handed out was just seen again on the live page, unchanged; `discarded`: what is
 * like it is what an admin has discarded.
 */
export function createRelocator(
  stage: Stage,
  wanted: Wanted,
): () => Promise<RelocatedElement | 'discarded' | undefined> {
  let before = '';
  return async () => {
    const seen = await lookFor(stage, wanted);
    const isSettled = seen !== undefined && seen.sight === before;
    before = seen?.sight ?? '';
    if (!isSettled) return undefined;
    const element = await quietly(stage, () => stage.run.session.pick(seen.candidate));
    if (element === undefined) return undefined;
    if (await isDiscarded(stage, element, wanted.field)) return 'discarded';
    return { element, score: seen.score, margin: seen.margin };
  };
}

/** One look, for a claim about an element that nothing is done to. */
export async function seeElement(
  stage: Stage,
  { fingerprint, bound = [] }: Pick<Wanted, 'fingerprint' | 'bound'>,
): Promise<FoundElement | undefined> {
  const seen = await lookFor(stage, { fingerprint, bound });
  return seen && quietly(stage, () => stage.run.session.pick(seen.candidate));
}

interface Sight {
  readonly candidate: Candidate;
  readonly score: number;
  readonly margin: number;
  /** The candidate and its company. */
  readonly sight: string;
}

/** What shows is looked at first; what is hidden only where that is fine and nothing that shows would do. */
async function lookFor(stage: Stage, wanted: Wanted): Promise<Sight | undefined> {
  const shown = await lookAmong(stage, wanted, false);
  return shown ?? (wanted.hiddenIsFine ? lookAmong(stage, wanted, true) : undefined);
}

async function lookAmong(stage: Stage, wanted: Wanted, hiddenIsFine: boolean): Promise<Sight | undefined> {
  const { fingerprint, bound = [], isMutating } = wanted;
  const also = sortOf(fingerprint) === 'other' ? { alsoTag: fingerprint.tag } : {};
  const all = await quietly(stage, () => stage.run.session.survey({ hiddenIsFine, ...also }));
  if (all === undefined) return undefined;
  const candidates = all.filter((candidate) => bound.every((words) => holdsWords(candidate.fingerprint, words)));
  const prints = candidates.map((candidate) => candidate.fingerprint);
  const result = relocate(fingerprint, prints, isMutating ? { margin: MUTATING_MARGIN } : {});
  const candidate = result.kind === 'found' ? candidates[result.index] : undefined;
  if (result.kind !== 'found' || candidate === undefined) return undefined;
  const company = prints.map(({ tag, name, id }) => [tag, name, id].join(' '));
  return {
    candidate,
    ...{ score: result.score, margin: result.margin },
    sight: JSON.stringify([result.index, company]),
  };
}

/** Describes a relocated element for later runs; it never costs the step anything but the look. */
export async function healOf(stage: Stage, found: RelocatedElement, field?: string): Promise<readonly Heal[]> {
  const { element, score, margin } = found;
  const description = await quietly(stage, () => stage.run.session.describe(element));
  return description ? [{ ...description, ...(field === undefined ? {} : { field }), score, margin }] : [];
}
