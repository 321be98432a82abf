import type { Fingerprint, Locator } from '../ports/browser.ts';
import { isChoice } from './gate.ts';
import type { Target } from './locate.ts';

/**
 * What a step was recorded on. Workflows from before fingerprints were taken know what the element is, and their locators
 * by which words it was found. A choice is told by its words and its group together, or not at all: the rows of a form offer
 * the same words.
 */
export function recordedPrint({
  fingerprint,
  identities,
  locators,
}: Pick<Target, 'fingerprint' | 'identities' | 'locators'>): Fingerprint {
  if (fingerprint !== undefined) return fingerprint;
  const { tag = 'button', type, role, name: own } = identities[0] ?? {};
  const named = locators.find((locator) => (own === undefined ? wordsOf(locator) : wordsOf(locator) === own));
  const group = named && groupOf(named);
  const print = { tag, ...(type ? { type } : {}), ...(role ? { role } : {}) };
  const name = own ?? (isChoice(print) && group === undefined ? undefined : named && wordsOf(named));
  return { ...print, ...(name ? { name, text: name } : {}), ...(group && isChoice(print) ? { group } : {}) };
}

function wordsOf(locator: Locator): string | undefined {
  if (locator.by === 'css') return undefined;
  return locator.by === 'role' ? locator.name : locator.text;
}

/** The name of the innermost group within which it is looked for. */
function groupOf({ within }: Locator): string | undefined {
  if (within === undefined) return undefined;
  const isGroup = within.by === 'role' && (within.role === 'radiogroup' || within.role === 'group');
  return (isGroup ? within.name : undefined) ?? groupOf(within);
}
