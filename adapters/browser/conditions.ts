import type { ElementHandle, Page, Locator as PlaywrightLocator } from 'playwright';
import type { ElementClaim, LiveCondition, Locator, ValueClaim } from '../../core/ports/browser.ts';
import type { Origin } from '../../core/ports/http.ts';
import { isGone } from './errors.ts';
import { isParsed, isTicked, LONGEST_TEXT, liveText, liveTexts } from './in-page.ts';
import { countVisible, isOnOrigins, matchFirst, searchableFrames, toPlaywright, visibleOnly } from './locators.ts';

/**
 * Whether the claim holds at this moment. Nothing holds on a page off the origins: an error page of the browser shows
 * no spinner and no form either, and must not pass for success.
 */
async function holds(
  page: Page,
  condition: LiveCondition,
  origins: readonly Origin[],
  elements: Elements,
): Promise<boolean> {
  if (!isOnOrigins(page.url(), origins)) return false;
  switch (condition.kind) {
    case 'url':
      return urlFits(page.url(), condition);
    case 'visible':
      return (await countVisible(searchableFrames(page, origins), condition.locator)) > 0;
    case 'hidden':
      return (
        (await page.evaluate(isParsed)) &&
        (await countVisible(searchableFrames(page, origins), condition.locator)) === 0
      );
    case 'value':
      return valueFits(await liveValue(page, condition.locator, origins), condition);
    case 'checked': {
      const match = await matchFirst(searchableFrames(page, origins), [condition.locator], true);
      if (match.kind !== 'one') return false;
      return (await match.found.evaluate(isTicked, undefined, { timeout: 1_000 })) === condition.is;
    }
    case 'element':
      return elementIs(page, elements.get(condition.handle)?.handle, condition.is);
    case 'all':
      return everyHolds(page, condition.of, origins, elements);
    case 'any':
      return (await firstThatHolds(page, condition.of, origins, elements)) !== undefined;
    default:
      return condition satisfies never;
  }
}

export async function firstThatHolds(
  page: Page,
  conditions: readonly LiveCondition[],
  origins: readonly Origin[],
  elements: Elements,
): Promise<number | undefined> {
  for (const [index, condition] of conditions.entries()) {
    if (await holds(page, condition, origins, elements)) return index;
  }
  return undefined;
}

async function everyHolds(
  page: Page,
  conditions: readonly LiveCondition[],
  origins: readonly Origin[],
  elements: Elements,
): Promise<boolean> {
  for (const condition of conditions) {
    if (!(await holds(page, condition, origins, elements))) return false;
  }
  return true;
}

/** The session's elements by their handles. */
export type Elements = ReadonlyMap<string, { readonly handle: ElementHandle }>;

async function elementIs(page: Page, handle: ElementHandle | undefined, is: ElementClaim): Promise<boolean> {
  try {
    if (is === 'visible') return (await handle?.isVisible()) === true;
    if (is === 'checked' || is === 'unchecked')
      return handle !== undefined && (await handle.evaluate(isTicked)) === (is === 'checked');
    if (is !== 'hidden')
      return valueFits(handle && (await handle.evaluate(liveText, LONGEST_TEXT)).slice(0, LONGEST_TEXT), is);
    if (await handle?.isVisible()) return false;
  } catch (error) {
    if (!(error instanceof Error && isGone(error.message))) throw error;
    if (is !== 'hidden') return false;
  }
  return page.evaluate(isParsed); // it is gone, and the page that has come is there
}

function urlFits(url: string, { path, query = {} }: LiveCondition & { kind: 'url' }): boolean {
  const { pathname, searchParams } = new URL(url);
  if (path !== undefined && pathname !== path) return false;
  return Object.entries(query).every(([name, value]) => searchParams.getAll(name).includes(value));
}

/** `undefined` unless exactly one element is meant; a hidden one counts when none is visible. */
async function liveValue(page: Page, locator: Locator, origins: readonly Origin[]): Promise<string | undefined> {
  for (const frame of searchableFrames(page, origins)) {
    const all = toPlaywright(frame, locator);
    const [visible, ...more] = await textsOf(visibleOnly(all));
    if (visible !== undefined && more.length === 0) return visible;
    const [any, ...others] = await textsOf(all);
    if (any !== undefined) return others.length === 0 ? any : undefined;
  }
  return undefined;
}

/** Of the first two; cut here once more: the page may have replaced what cuts them there. */
async function textsOf(found: PlaywrightLocator): Promise<readonly string[]> {
  const texts: unknown = await found.evaluateAll(liveTexts, LONGEST_TEXT);
  return Array.isArray(texts) ? texts.slice(0, 2).map((text) => String(text).slice(0, LONGEST_TEXT)) : [];
}

function valueFits(value: string | undefined, { equals, matches }: ValueClaim): boolean {
  if (value === undefined) return false;
  if (equals !== undefined && value !== equals) return false;
  return matches === undefined || new RegExp(`^(?:${matches})$`).test(value);
}
