import type { ElementHandle, Frame, Page, Locator as PlaywrightLocator } from 'playwright';
import type { ElementIdentity, Fingerprint, Locator } from '../../../core/ports/browser.ts';
import type { Origin } from '../../../core/ports/http.ts';
import type { Look } from '../../../core/workflow/recording.ts';
import { identify } from '../elements.ts';
import { matchFirst, searchableFrames } from '../locators.ts';
import { fingerprintOf } from '../survey.ts';
import { type PlaceInDocument, placeInDocument } from './in-page-place.ts';
import { parseLocatorCode, quoted } from './locator-code.ts';

const MOST_LOCATORS = 6;
/** Made anew with every page: numbers, hashes, and what component libraries count up. */
const UNSTABLE_ID = /\d{4,}|[0-9a-f]{8,}|^:|:r[0-9a-z]+:|^(?:ember|react|radix|mui|headlessui|ext-gen)[-_]?\W*\d/i;

export interface LookOptions {
  readonly origins: readonly Origin[];
  /** The step works on hidden elements, too, as replay does for lists and boxes. */
  readonly hiddenIsFine: boolean;
}

/**
 * What the element is and how it is found again: each locator is tried just as a replay will, and kept when it finds
 * this element and no other.
 */
export async function lookAt(
  handle: ElementHandle,
  written: PlaywrightLocator,
  { origins, hiddenIsFine }: LookOptions,
): Promise<Look | undefined> {
  const frame = await handle.ownerFrame();
  const fingerprint = await fingerprintOf(handle);
  if (!frame || !fingerprint) return undefined;
  const [identity, place, isVisible] = await Promise.all([
    identify(handle, written),
    handle.evaluate(placeInDocument),
    handle.isVisible(),
  ]);
  const code = written.toString();
  const normal = await written.normalize().then(String, () => '');
  const candidates = candidatesFor(code, normal, identity, fingerprint, place);
  const locators = await thatFind(handle, frame.page(), candidates, { origins, hiddenIsFine });
  const hasOwn = locators[0] !== undefined && JSON.stringify(locators[0]) === JSON.stringify(parseLocatorCode(code));
  return { locators, hasOwn, identity, fingerprint, code, frames: framesAround(frame), isVisible };
}

/** Best first: what the spec's author wrote, then what people see, then what only programs see. */
function candidatesFor(
  code: string,
  normal: string,
  { tag, role, name }: ElementIdentity,
  print: Fingerprint,
  place: PlaceInDocument,
): readonly Locator[] {
  const css = (selector: string): Locator => ({ by: 'css', selector });
  const written = parseLocatorCode(code);
  const isField = ['input', 'select', 'textarea'].includes(tag);
  const isStable = print.id !== undefined && !UNSTABLE_ID.test(print.id);
  const byName = `${tag}[name=${quoted(print.fieldName ?? '')}]`;
  const byRole: Locator | undefined = role && name ? { by: 'role', role, name, exact: true } : undefined;
  const parsed = parseLocatorCode(normal);
  const normalised = tag === 'select' && parsed?.by === 'label' ? undefined : parsed; // that label holds the list's own words
  const all: readonly (Locator | false | undefined)[] = [
    written,
    place.testId !== null && css(`[${place.testId.attribute}=${quoted(place.testId.value)}]`),
    byRole,
    place.label !== null && isField && { by: 'label', text: place.label, exact: true },
    isField && print.placeholder !== undefined && { by: 'placeholder', text: print.placeholder, exact: true },
    isStable && css(place.idSelector ?? ''),
    print.fieldName !== undefined && css(place.choice === null ? byName : `${byName}[value=${quoted(place.choice)}]`),
    !isField && print.text !== undefined && { by: 'text', text: print.text, exact: true },
    normalised,
    byRole && place.formSelector !== null && { ...byRole, within: css(place.formSelector) },
    css(place.path),
  ];
  const seen = new Set<string>();
  return all.filter((locator): locator is Locator => {
    if (!locator || (locator.by === 'css' && locator.selector === '')) return false;
    // Beside a whole name the same as a part of a name finds nothing more.
    const keys = [JSON.stringify(locator), JSON.stringify({ ...locator, exact: true })];
    return keys.every((key) => !seen.has(key)) && seen.add(keys[0] ?? '') !== undefined;
  });
}

async function thatFind(
  handle: ElementHandle,
  page: Page,
  candidates: readonly Locator[],
  { origins, hiddenIsFine }: LookOptions,
): Promise<Locator[]> {
  const found: Locator[] = [];
  const frames = searchableFrames(page, origins);
  for (const candidate of candidates) {
    if (found.length >= MOST_LOCATORS) break;
    const match = await matchFirst(frames, [candidate], hiddenIsFine).catch(() => undefined);
    if (match?.kind === 'one' && (await isSame(handle, match.found))) found.push(candidate);
  }
  return found;
}

async function isSame(handle: ElementHandle, found: PlaywrightLocator): Promise<boolean> {
  const other = await found.elementHandle({ timeout: 1_000 }).catch(() => null);
  if (!other) return false;
  const same = await handle.evaluate((node, candidate) => node === candidate, other).catch(() => false); // of another frame: not the same
  await other.dispose();
  return same;
}

function framesAround(frame: Frame): string[] {
  const around: string[] = [];
  for (let at = frame; at.parentFrame(); at = at.parentFrame() ?? at) around.unshift(at.url());
  return around;
}
