import type { CDPSession, Frame, Page } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { Box, PictureOptions, PictureResult } from '../../core/ports/browser.ts';
import { type Studio, VIEWPORT } from './annotate.ts';
import { areSame } from './boxes.ts';
import { isPassing, within } from './errors.ts';
import { findMasks } from './masking.ts';
import { createNeedles, type Needles } from './needles.ts';
import { framePlace, look } from './snapshot.ts';

const TRIES = 4; // one and three retakes
const SHOT_LIMIT_MS = 5_000;

/**
 * Takes a picture between two looks at the page: only when everything to be hidden was at the same place before and
 * after is it sure that the masks cover it. Bytes before masking stay in memory.
 */
export async function takePicture(page: Page, studio: Studio, options: PictureOptions): Promise<PictureResult> {
  const needles = createNeedles(options.secrets);
  const session = await page.context().newCDPSession(page);
  try {
    const shot = await holdStill(page, session, () => steadyShot(page, session, needles, options.isRevealing));
    if (!shot) return { kind: 'withheld', reason: 'what must be hidden kept moving' };
    const { highlight, caption } = options;
    const address = shownAddress(page.url(), needles);
    const picture = await studio.finish(shot.png, shot.masks, {
      address,
      caption,
      ...(highlight ? { highlight } : {}),
    });
    return { kind: 'taken', picture };
  } catch (error) {
    if (error instanceof UnseenFrame)
      return { kind: 'withheld', reason: 'a part of the page could not be looked into' };
    throw error;
  } finally {
    void session.detach().catch(() => undefined); // gone with its page at the latest
  }
}

interface Shot {
  readonly png: Buffer;
  readonly masks: readonly Box[];
}

async function steadyShot(
  page: Page,
  session: CDPSession,
  needles: Needles,
  isRevealing: boolean,
): Promise<Shot | undefined> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      const before = await masksOf(page, session, needles, isRevealing);
      const { data } = await within(
        SHOT_LIMIT_MS,
        'A picture',
        session.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: true }),
      );
      const after = await masksOf(page, session, needles, isRevealing);
      if (areSame(before, after, 1)) return { png: Buffer.from(data, 'base64'), masks: [...before, ...after] };
    } catch (error) {
      if (!isPassing(error) || attempt === TRIES - 1) throw error; // the page was changing: look again
    }
  }
  return undefined;
}

/** Stops CSS animations meanwhile, without touching the page's document. */
async function holdStill<T>(page: Page, session: CDPSession, work: () => Promise<T>): Promise<T> {
  const setRate = (playbackRate: number) =>
    within(SHOT_LIMIT_MS, 'Holding the page still', session.send('Animation.setPlaybackRate', { playbackRate }));
  await setRate(0);
  try {
    return await work();
  } finally {
    if (!page.isClosed()) await setRate(1).catch(() => undefined); // a page that ended needs no animations
  }
}

/** A frame that has neither a place in its parent's snapshot nor one of its own. */
class UnseenFrame extends Error {}

async function masksOf(
  page: Page,
  session: CDPSession,
  needles: Needles,
  isRevealing: boolean,
): Promise<readonly Box[]> {
  const masks: Box[] = [...findMasks(await look(session, { x: 0, y: 0, ...VIEWPORT }), needles, isRevealing)];
  const parts = new Map<Frame, Part>([[page.mainFrame(), { session, area: { x: 0, y: 0, ...VIEWPORT } }]]);
  for (const frame of page.frames()) {
    if (frame === page.mainFrame()) continue;
    const own = await ownSession(frame);
    if (!own) continue;
    try {
      const place = await placeOf(frame, own, parts);
      if (!place) continue;
      parts.set(frame, { session: own, area: place.area });
      const found = findMasks(await look(own, place.area), needles, isRevealing);
      masks.push(...(place.isTransformed && found.length > 0 ? [place.area] : found));
    } finally {
      if (!parts.has(frame)) void own.detach().catch(() => undefined);
    }
  }
  for (const [frame, part] of parts) if (frame !== page.mainFrame()) void part.session.detach().catch(() => undefined);
  return masks;
}

/** Frames of one process: how to ask it, and where its outermost frame lies in the picture. */
interface Part {
  readonly session: CDPSession;
  readonly area: Box;
}

/** Only frames of another site have a session of their own; the others are in their parent's snapshot. */
async function ownSession(frame: Frame): Promise<CDPSession | undefined> {
  try {
    return await within(SHOT_LIMIT_MS, 'Looking into a frame', frame.page().context().newCDPSession(frame));
  } catch (error) {
    if (error instanceof Error && /does not have a separate CDP session/.test(error.message)) return undefined;
    if (frame.isDetached()) return undefined;
    throw error instanceof CountersignError ? error : new UnseenFrame();
  }
}

async function placeOf(frame: Frame, own: CDPSession, parts: ReadonlyMap<Frame, Part>): ReturnType<typeof framePlace> {
  let above = frame.parentFrame();
  while (above && !parts.has(above)) above = above.parentFrame();
  const part = above && parts.get(above);
  if (!part) throw new UnseenFrame();
  const { frameTree } = await within(SHOT_LIMIT_MS, 'Naming a frame', own.send('Page.getFrameTree'));
  const owner = await within(
    SHOT_LIMIT_MS,
    'Finding a frame',
    part.session.send('DOM.getFrameOwner', { frameId: frameTree.frame.id }),
  );
  return framePlace(part.session, owner.backendNodeId, part.area);
}

/** Host and path: a query may hold anything. */
function shownAddress(url: string, needles: Needles): string {
  const parsed = URL.parse(url);
  if (!parsed || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) return 'no page';
  const path = parsed.pathname === '/' ? '' : parsed.pathname;
  return needles.isIn(path) ? parsed.host : `${parsed.host}${path}`;
}
