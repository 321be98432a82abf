import type { Description, ElementIdentity, FoundElement, Locator } from '../ports/browser.ts';
import { redact } from '../redaction.ts';
import type { Discarded } from '../workflow/known.ts';
import { isDisguised, plainText } from './gate.ts';
import { quietly } from './quietly.ts';
import { sortOf } from './relocate.ts';
import type { Stage } from './stage.ts';

/**
 * Whether an admin has said of this element that it is not what the step needs, as of now: also while the run is under way.
 * People go by what a control says. So it is what was discarded where it is used for the same and reads the same, whatever
 * its tag, its identifiers and its place are by now; unless the one that was discarded stands on the page beside it. Where
 * it has no words, or they differ by a number or are written in letters that look like others, it is that one if it is
 * found in one of the same ways.
 */
export async function isDiscarded(stage: Stage, element: FoundElement, field?: string): Promise<boolean> {
  const all = await stage.discarded();
  const ofPlace = all.filter((one) => one.field === field && isOfUse(one.identity, element.identity));
  if (ofPlace.length === 0) return false;
  const own = await quietly(stage, () => stage.run.session.describe(element));
  const words = wordsOf(stage, [element.identity.name, own?.identity.name, own?.fingerprint.name]);
  const ways = new Set(own?.locators.flatMap((locator) => [keyOf(locator), redact(keyOf(locator), known(stage))]));
  for (const one of ofPlace) {
    const alike = likeness(one, words);
    if (alike === 'none') continue;
    // Where no way finds it alone any more, its words will do.
    if (own === undefined || one.locators.some((locator) => ways.has(keyOf(locator)))) return true;
    if (alike === 'words' && !(await standsBeside(stage, one, own))) return true;
  }
  return false;
}

/** The same sort of control, or of what is read. */
function isOfUse(one: ElementIdentity, other: ElementIdentity): boolean {
  const sort = sortOf(one);
  return sort === sortOf(other) && (sort !== 'other' || one.tag === other.tag);
}

function likeness({ identity, fingerprint }: Discarded, words: ReadonlySet<string>): 'words' | 'loose' | 'none' {
  if (identity.name === undefined) return 'loose'; // what it reads may be what it holds
  const said = [identity.name, fingerprint?.name].flatMap((name) => (name ? [folded(name)] : []));
  if (said.some((name) => words.has(name))) return 'words';
  const others = [...words];
  const isCountedOn = said.some((name) => others.some((other) => uncounted(other) === uncounted(name)));
  return isCountedOn || others.some((name) => isDisguised({ name })) ? 'loose' : 'none';
}

/** As they are, and as they would be kept: without secrets. */
function wordsOf(stage: Stage, names: readonly (string | undefined)[]): ReadonlySet<string> {
  const said = names.flatMap((name) => (name ? [name, redact(name, known(stage))] : []));
  return new Set(said.map(folded));
}

const known = (stage: Stage) => stage.run.knownSecrets();

/** As people see it. */
function folded(name: string): string {
  return plainText(name).replace(/\s+/g, ' ').trim();
}

function uncounted(name: string): string {
  return name.replace(/\p{N}+/gu, '0');
}

/** Whether what was discarded is on the page, as another element than this one. */
async function standsBeside(stage: Stage, one: Discarded, own: Description): Promise<boolean> {
  const found = await quietly(stage, () => stage.run.session.find(one.locators, { timeoutMs: 0 }));
  if (found?.kind !== 'found' || !isOfUse(one.identity, found.element.identity)) return false;
  if (likeness(one, wordsOf(stage, [found.element.identity.name])) !== 'words') return false;
  const other = await quietly(stage, () => stage.run.session.describe(found.element));
  // Each way finds one element alone, and the same element has the same ways.
  return other !== undefined && JSON.stringify(other.locators) !== JSON.stringify(own.locators);
}

function keyOf(locator: Locator): string {
  return JSON.stringify(locator);
}
