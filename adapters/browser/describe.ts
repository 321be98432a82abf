import type { ElementHandle, Frame } from 'playwright';
import type { Description, Fingerprint, Locator } from '../../core/ports/browser.ts';
import { identify } from './elements.ts';
import { TEST_ID_ATTRIBUTES } from './in-page-fingerprint.ts';
import { matchFirst } from './locators.ts';
import { fingerprintOf } from './survey.ts';

const MOST_LOCATORS = 4; // independent of each other, so that one change doesn't break them all

/** Describes an element so that it can be found again. Every locator was tried on the page: it finds this element alone. */
export async function describeElement(
  frames: readonly Frame[],
  handle: ElementHandle,
): Promise<Description | undefined> {
  const fingerprint = await fingerprintOf(handle);
  if (!fingerprint) return undefined;
  const locators: Locator[] = [];
  let identity: Description['identity'] | undefined;
  for (const rule of rulesFor(fingerprint)) {
    if (locators.length === MOST_LOCATORS) break;
    const match = await matchFirst(frames, [rule], true);
    if (match.kind !== 'one') continue;
    const isIt = await handle.evaluate((own, found) => own === found, await match.found.elementHandle());
    if (!isIt) continue;
    identity ??= await identify(handle, match.found);
    locators.push(rule);
  }
  return identity && { fingerprint, identity, locators };
}

/** Best first: what people go by, then what developers named. */
function rulesFor({ tag, role, name, id, testId, fieldName, placeholder }: Fingerprint): readonly Locator[] {
  const isField = ['input', 'select', 'textarea'].includes(tag);
  const byTestId =
    testId === undefined ? [] : TEST_ID_ATTRIBUTES.map((attribute) => `[${attribute}=${quoted(testId)}]`);
  const selectors = [
    ...byTestId,
    ...(id === undefined ? [] : [`[id=${quoted(id)}]`]),
    ...(fieldName === undefined ? [] : [`${tag}[name=${quoted(fieldName)}]`]),
  ];
  return [
    ...(role && name ? [{ by: 'role', role, name, exact: true } as const] : []),
    ...(isField && name ? [{ by: 'label', text: name, exact: true } as const] : []),
    ...selectors.map((selector) => ({ by: 'css', selector }) as const),
    ...(placeholder ? [{ by: 'placeholder', text: placeholder, exact: true } as const] : []),
    ...(!isField && name ? [{ by: 'text', text: name, exact: true } as const] : []),
  ];
}

/** A CSS string: the value can't leave it. */
function quoted(value: string): string {
  return `"${value.replace(/["\\\n\r\f]/g, (character) => `\\${character.charCodeAt(0).toString(16)} `)}"`;
}
