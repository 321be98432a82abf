import type { ElementHandle, Page, Locator as PlaywrightLocator } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { Action, Box, ElementIdentity, LocatorRule } from '../../core/ports/browser.ts';
import type { Origin } from '../../core/ports/http.ts';
import { Secret } from '../../core/secret.ts';
import { VIEWPORT } from './annotate.ts';
import { isEnded, isGone, isPassing } from './errors.ts';
import { bringIntoView, isVast, nextFrame, optionIndex, standIn, tagAndType } from './in-page.ts';
import { keepsKeyboard, wouldTakeClick, wouldTakeText } from './in-page-pointing.ts';
import { isInsideOrigins, isOnOrigins } from './locators.ts';

/** An element that was there a moment ago is waited for no longer; it is then looked for anew. */
export const SETTLE_LIMIT_MS = 1_000;

/** In characters: a list of all countries has 20,000 with its markup. */
const LONGEST_ELEMENT = 200_000;
const LONGEST_NAME = 1_000;

/**
 * What the element is: tag and type from the element, role and name as assistive technology gets them. Something far
 * longer than any control is not asked for them, for the whole text would be sent; nor is what `rule` found by its role
 * and its whole name, which Playwright computes for both in the same way.
 */
export async function identify(
  handle: ElementHandle,
  found: PlaywrightLocator,
  rule?: LocatorRule,
): Promise<ElementIdentity> {
  if (rule?.by === 'role' && rule.exact && rule.name)
    return { ...(await handle.evaluate(tagAndType)), ...roleAndName([rule]) };
  const [own, isLong] = await Promise.all([handle.evaluate(tagAndType), handle.evaluate(isVast, LONGEST_ELEMENT)]);
  if (isLong) return own;
  return { ...own, ...roleAndName(await found.ariaSnapshotJSON({ depth: 1, timeout: SETTLE_LIMIT_MS })) };
}

/** A snapshot of one element is a list with that element alone; a bare text or a group of several has no role of its own. */
function roleAndName(tree: unknown): { role?: string; name?: string } {
  const node: unknown = Array.isArray(tree) && tree.length === 1 ? tree[0] : undefined;
  if (typeof node !== 'object' || node === null) return {};
  const { role, name } = node as { role?: unknown; name?: unknown }; // any object may be asked for any property
  if (typeof role !== 'string' || role === 'text' || role === 'generic') return {};
  if (typeof name !== 'string' || name === '') return { role };
  return { role, name: name.replace(/\s+/g, ' ').trim().slice(0, LONGEST_NAME) };
}

/** Scrolls the element, or what stands for it when it is hidden, into view and measures that. */
export async function visibleBox(handle: ElementHandle): Promise<Box | null> {
  if (await handle.evaluate(bringIntoView)) return handle.boundingBox();
  const shown = (await handle.evaluateHandle(standIn)).asElement();
  if (!shown) return null;
  try {
    await shown.evaluate(bringIntoView);
    return await shown.boundingBox();
  } finally {
    if (shown !== handle) void shown.dispose().catch(() => undefined);
  }
}

/**
 * Waits until the action would be taken at once, and does nothing to the element: whatever replaced it, nothing was sent.
 * @param atRest resolves once nobody minds when the page is scrolled: looking alone waits for nothing.
 */
export async function awaitReady(
  handle: ElementHandle,
  action: Action,
  timeoutMs: number,
  atRest: () => Promise<unknown>,
): Promise<void> {
  try {
    await readiness(handle, action, timeoutMs, atRest);
  } catch (error) {
    const isReplaced = error instanceof Error && !(error instanceof CountersignError) && isGone(error.message);
    throw isReplaced ? staleElement() : error;
  }
}

async function readiness(
  handle: ElementHandle,
  action: Action,
  timeoutMs: number,
  atRest: () => Promise<unknown>,
): Promise<void> {
  switch (action.kind) {
    case 'click':
      await awaitScripts(handle, timeoutMs);
      return awaitClickable(handle, timeoutMs, atRest);
    case 'hover':
      return awaitClickable(handle, timeoutMs, atRest);
    case 'fill':
      if (await isSo(handle.evaluate(wouldTakeText))) return;
      return handle.waitForElementState('editable', { timeout: timeoutMs });
    case 'select':
      await choosable(handle, action.option, timeoutMs);
      return;
    case 'check':
    case 'press':
      return handle.waitForElementState('enabled', { timeout: timeoutMs });
    default:
      return action satisfies never;
  }
}

/** A page that is still being read after so long is taken as it is: what it waits for may never come. */
const SCRIPTS_LIMIT_MS = 10_000;

/** Buttons show before the scripts at a page's end have bound them: what is clicked until then goes nowhere. */
async function awaitScripts(handle: ElementHandle, timeoutMs: number): Promise<void> {
  const frame = await handle.ownerFrame();
  const timeout = Math.max(1, Math.min(timeoutMs, SCRIPTS_LIMIT_MS));
  await frame?.waitForLoadState('domcontentloaded', { timeout }).catch((error: unknown) => {
    if (!(error instanceof Error && error.name === 'TimeoutError')) throw error;
  });
}

/**
 * What isn't clickable at once is waited for by a trial of pointing, not of clicking: Playwright's trial click presses the
 * mouse button and stops the event inside the page, where a page that changes just then, or that listens first, is clicked
 * in earnest.
 */
async function awaitClickable(handle: ElementHandle, timeoutMs: number, atRest: () => Promise<unknown>): Promise<void> {
  const until = Date.now() + timeoutMs;
  if (await isSo(handle.evaluate(wouldTakeClick))) return;
  await atRest();
  for (;;) {
    await handle.hover({ trial: true, timeout: leftUntil(until) });
    if (await handle.isEnabled()) return;
    await handle.waitForElementState('enabled', { timeout: leftUntil(until) });
  }
}

/** What one look at the element says. */
async function isSo(look: Promise<boolean>): Promise<boolean> {
  return look.catch((error: unknown) => {
    if (isPassing(error)) throw error;
    return false; // the page had replaced what the look is made with
  });
}

/** For Playwright 0 is no limit at all. */
function leftUntil(until: number): number {
  return Math.max(1, until - Date.now());
}

export interface Performance {
  readonly page: Page;
  readonly origins: readonly Origin[];
  readonly timeoutMs: number;
  /** Whether the element is still what it was when it was found. */
  isSame(): Promise<boolean>;
  /** Whether the page is away because it closed its own window. */
  hasClosedItself(): Promise<boolean>;
}

export async function perform(handle: ElementHandle, action: Action, performance: Performance): Promise<void> {
  const { page, origins, timeoutMs, isSame, hasClosedItself } = performance;
  if (!isOnOrigins(page.url(), origins))
    throw refused('The page is not on one of the allowed addresses, so nothing was done to it.');
  let isSending = false;
  try {
    // First whatever a page can answer by becoming something else, then the look, and the act right after it.
    await approach(page, handle, action, timeoutMs);
    if (!(await isSame())) throw staleElement();
    isSending = true;
    await send(handle, action, origins, timeoutMs);
  } catch (error) {
    const isAway = isEnded(error) || (error instanceof Error && isGone(error.message));
    if (!isAway || !(await hasClosedItself())) throw isStale(error, action) ? staleElement() : error;
    // What was sent closed the window, as a press may; text that was on its way is nowhere.
    if (!isSending || action.kind === 'fill') throw staleElement();
  }
}

/** Brings the mouse or the keyboard there. */
async function approach(page: Page, handle: ElementHandle, action: Action, timeoutMs: number): Promise<void> {
  if (action.kind === 'click') {
    const middle = (await inSight(handle)) ?? (await broughtIntoSight(handle, timeoutMs));
    if (middle) await page.mouse.move(middle.x, middle.y);
  }
  const isSecret = action.kind === 'fill' && action.value instanceof Secret;
  if (!isSecret && action.kind !== 'press') return;
  if (!(await takesKeyboard(handle))) throw refused('The page moved the keyboard elsewhere, so nothing was typed.');
}

async function takesKeyboard(handle: ElementHandle): Promise<boolean> {
  if (await handle.evaluate(keepsKeyboard, true)) return true;
  await handle.focus(); // in a world of its own: the page may have replaced what an element gets the focus by
  return handle.evaluate(keepsKeyboard, false);
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The element's middle, when it lies in the viewport: there is nothing to scroll and to wait for then. */
async function inSight(handle: ElementHandle): Promise<Point | undefined> {
  const middle = await middleOf(handle);
  const isInside = middle && middle.x >= 0 && middle.x < VIEWPORT.width && middle.y >= 0 && middle.y < VIEWPORT.height;
  return isInside ? middle : undefined;
}

async function broughtIntoSight(handle: ElementHandle, timeoutMs: number): Promise<Point | undefined> {
  await handle.scrollIntoViewIfNeeded({ timeout: timeoutMs });
  return middleOf(handle);
}

async function middleOf(handle: ElementHandle): Promise<Point | undefined> {
  const box = await handle.boundingBox();
  return box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : undefined;
}

/**
 * Whether the page had put another element in this one's place before anything was sent. The browser says "not attached"
 * of clicks, keys and choices only in the checks before them, but of a checkbox also after its click. Text that was on
 * its way into a document that went away is in none.
 */
function isStale(error: unknown, { kind }: Action): boolean {
  if (!(error instanceof Error) || error instanceof CountersignError || kind === 'check') return false;
  return /not attached to the DOM/.test(error.message) || (kind === 'fill' && isGone(error.message));
}

export function staleElement(): CountersignError {
  return new CountersignError('element_stale', 'The element left the page before anything was sent to it.', {
    isRetryable: true,
  });
}

async function send(
  handle: ElementHandle,
  action: Action,
  origins: readonly Origin[],
  timeoutMs: number,
): Promise<void> {
  switch (action.kind) {
    case 'click':
      return handle.click({ timeout: timeoutMs });
    case 'hover':
      return handle.hover({ timeout: timeoutMs });
    case 'fill':
      return fill(handle, action.value, origins, timeoutMs);
    case 'select':
      return choose(handle, action.option, timeoutMs);
    case 'check':
      return handle.setChecked(action.isChecked, { timeout: timeoutMs });
    case 'press':
      return handle.press(action.key, { timeout: timeoutMs });
    default:
      return action satisfies never;
  }
}

async function fill(
  handle: ElementHandle,
  value: string | Secret,
  origins: readonly Origin[],
  timeoutMs: number,
): Promise<void> {
  if (!(value instanceof Secret)) return handle.fill(value, { timeout: timeoutMs });
  // A handle belongs to its document: if the frame goes elsewhere after this look, the fill below fails.
  const [{ tag }, frame] = await Promise.all([handle.evaluate(tagAndType), handle.ownerFrame()]);
  if (tag !== 'input' && tag !== 'textarea') throw refused('A secret is typed into form fields only; this is none.');
  if (!frame || !isInsideOrigins(frame, origins))
    throw refused('The field is on a page that is not one of the allowed addresses, so the secret was not typed.');
  return handle.fill(value.reveal(), { timeout: timeoutMs });
}

/** Widgets hide the real `select` and follow its change event, so being visible is not asked for. */
async function choose(handle: ElementHandle, option: string, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  const index = await choosable(handle, option, timeoutMs);
  await handle.selectOption({ index }, { force: true, timeout: leftUntil(until) });
}

/** Waits for the option. @returns its index. */
async function choosable(handle: ElementHandle, option: string, timeoutMs: number): Promise<number> {
  const until = Date.now() + timeoutMs;
  let index = await handle.evaluate(optionIndex, option);
  while (index < 0) {
    if (Date.now() >= until) throw noSuchOption();
    await handle.evaluate(nextFrame);
    index = await handle.evaluate(optionIndex, option);
  }
  return index;
}

function noSuchOption(): CountersignError {
  return new CountersignError('network', 'The list had no such option that can be chosen in time.', {
    isRetryable: true,
  });
}

function refused(message: string): CountersignError {
  return new CountersignError('egress_refused', message);
}
