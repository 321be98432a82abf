import type { ElementHandle, Frame, Page } from 'playwright';
import type { Origin } from '../../core/ports/http.ts';
import { focusedElement, innerOrigin, pointedElement, visibleText } from './in-page-pointing.ts';
import { isInsideOrigins, isOnOrigins, searchableFrames } from './locators.ts';

const MOST_LEVELS = 5; // of frames inside frames

/** The control under a point of the viewport, in whatever frame on the origins; `undefined` where there is none. */
export async function elementAt(
  page: Page,
  point: { readonly x: number; readonly y: number },
  origins: readonly Origin[],
): Promise<ElementHandle | undefined> {
  let { x, y } = point;
  let frame: Frame = page.mainFrame();
  for (let level = 0; level < MOST_LEVELS; level++) {
    if (!isOnOrigins(frame.url(), origins)) return undefined;
    const handle: ElementHandle | null = (await frame.evaluateHandle(pointedElement, { x, y })).asElement();
    const inner = await handle?.contentFrame();
    if (!handle || !inner) return handle ?? undefined;
    const origin = await handle.evaluate(innerOrigin);
    [x, y] = [x - origin.x, y - origin.y];
    frame = inner;
  }
  return undefined;
}

/** The control that has the keyboard. */
export async function focused(page: Page, origins: readonly Origin[]): Promise<ElementHandle | undefined> {
  let frame: Frame = page.mainFrame();
  for (let level = 0; level < MOST_LEVELS; level++) {
    if (!isInsideOrigins(frame, origins)) return undefined;
    const handle: ElementHandle | null = (await frame.evaluateHandle(focusedElement)).asElement();
    const inner = await handle?.contentFrame();
    if (!inner) return handle ?? undefined;
    frame = inner;
  }
  return undefined;
}

/** What a person could read, frame by frame; never what fields hold. */
export async function readText(page: Page, origins: readonly Origin[], longest: number): Promise<string> {
  const texts: string[] = [];
  for (const frame of searchableFrames(page, origins)) {
    const left = longest - texts.join('\n').length;
    if (left <= 0) break;
    texts.push((await frame.evaluate(visibleText, left)).slice(0, left));
  }
  return texts.join('\n');
}

/** Turns the wheel over the point, by default the middle of the page. */
export async function scroll(
  page: Page,
  at: { readonly x: number; readonly y: number },
  deltaY: number,
): Promise<void> {
  await page.mouse.move(at.x, at.y);
  await page.mouse.wheel(0, deltaY);
}
