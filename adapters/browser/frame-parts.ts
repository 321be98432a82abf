import type { CDPSession, Frame, Page } from 'playwright';
import type { Box } from '../../core/ports/browser.ts';
import { TooMuch, UnseenFrame, within } from './errors.ts';
import { framePlace, type Place } from './snapshot.ts';

/** The frames of one process: how to ask it, and where its outermost frame lies in the picture. */
export interface Part {
  readonly frame: Frame;
  readonly session: CDPSession;
  /** `undefined` when it isn't rendered. Asked anew at each look: a page may move its frames. */
  place(): Promise<Place | undefined>;
}

const CALL_LIMIT_MS = 5_000;
const MOST_FRAMES = 100; // each costs several questions at each look; Chromium itself allows 1,000

/**
 * The page itself and each frame of another site: only those are processes of their own, the other frames are in their
 * parent's snapshot. @throws UnseenFrame, TooMuch
 */
export async function openParts(page: Page, session: CDPSession, area: Box): Promise<readonly Part[]> {
  const main: Part = { frame: page.mainFrame(), session, place: async () => ({ area, isTransformed: false }) };
  if (page.frames().length > MOST_FRAMES) throw new TooMuch();
  const parts = [main];
  for (const frame of page.frames()) {
    if (frame === page.mainFrame()) continue;
    const own = await ownSession(frame);
    if (own) parts.push({ frame, session: own, place: () => placeInside(own, partAbove(frame, parts)) });
  }
  return parts;
}

export async function closeParts(parts: readonly Part[]): Promise<void> {
  const closing = parts.slice(1).map((part) => sure(part.session.detach()).catch(() => undefined)); // gone with its frame
  await Promise.all(closing);
}

/** What a frame's session says; any failure means that the frame has changed. */
export async function sure<T>(work: Promise<T>): Promise<T> {
  try {
    return await within(CALL_LIMIT_MS, 'Looking into a frame', work);
  } catch (error) {
    if (error instanceof TooMuch) throw error;
    throw new UnseenFrame();
  }
}

async function ownSession(frame: Frame): Promise<CDPSession | undefined> {
  try {
    return await within(CALL_LIMIT_MS, 'Looking into a frame', frame.page().context().newCDPSession(frame));
  } catch (error) {
    if (error instanceof Error && /does not have a separate CDP session/.test(error.message)) return undefined;
    throw new UnseenFrame();
  }
}

function partAbove(frame: Frame, parts: readonly Part[]): Part {
  for (let above = frame.parentFrame(); above; above = above.parentFrame()) {
    const part = parts.find((one) => one.frame === above);
    if (part) return part;
  }
  throw new UnseenFrame();
}

async function placeInside(own: CDPSession, above: Part): Promise<Place | undefined> {
  const outer = await above.place();
  if (!outer) return undefined;
  const { frameTree } = await sure(own.send('Page.getFrameTree'));
  const { backendNodeId } = await sure(above.session.send('DOM.getFrameOwner', { frameId: frameTree.frame.id }));
  const place = await framePlace(above.session, backendNodeId, outer.area);
  return place && { ...place, isTransformed: place.isTransformed || outer.isTransformed };
}
