import type { CDPSession, Page } from 'playwright';
import type { Box, Picture, PictureOptions, PictureResult, Shot } from '../../core/ports/browser.ts';
import { type Studio, VIEWPORT } from './annotate.ts';
import { areSame } from './boxes.ts';
import { isPassing, TooMuch, UnseenFrame, within } from './errors.ts';
import { closeParts, openParts, type Part, sure } from './frame-parts.ts';
import { findMasks } from './masking.ts';
import { createNeedles, type Needles } from './needles.ts';
import { look, measure } from './snapshot.ts';

const TRIES = 4; // one and three retakes
const CALL_LIMIT_MS = 5_000;
const LONGEST_PATH = 1_000; // far more than the bar has room for
const WHOLE: Box = { x: 0, y: 0, ...VIEWPORT };

/** Takes the pictures of one session. */
export interface Camera {
  take(page: Page, options: PictureOptions): Promise<Shot>;
}

/**
 * Each picture is taken between two looks at the page: only when everything to be hidden was at the same place before
 * and after is it sure that the masks cover it. Bytes before masking stay in memory.
 */
export function createCamera(studio: Studio): Camera {
  // One for the page's life: a session that ends while another holds animations still would start them again.
  const sessions = new WeakMap<Page, Promise<CDPSession>>();
  function sessionOf(page: Page): Promise<CDPSession> {
    const known = sessions.get(page);
    if (known) return known;
    const opened = within(CALL_LIMIT_MS, 'Looking at the page', page.context().newCDPSession(page));
    opened.catch(() => sessions.delete(page));
    sessions.set(page, opened);
    return opened;
  }

  return {
    async take(page, { secrets, isRevealing, highlight, caption }) {
      const needles = createNeedles(secrets);
      const isBare = caption === undefined;
      const shot = await steadyShot(page, await sessionOf(page), { needles, isRevealing, isBare });
      if (typeof shot === 'string') return { drawn: Promise.resolve({ kind: 'withheld', reason: shot }) };
      if (shot.isFinished) return { drawn: Promise.resolve({ kind: 'taken', picture: asItIs(shot) }) };
      const address = shownAddress(page.url(), needles);
      const annotation = caption && { address, caption, ...(highlight ? { highlight } : {}) };
      return { drawn: drawn(studio.finish(shot.bytes, shot.masks, annotation)) };
    },
  };
}

async function drawn(finishing: Promise<Picture>): Promise<PictureResult> {
  try {
    return { kind: 'taken', picture: await finishing };
  } catch {
    return { kind: 'withheld', reason: 'it could not be drawn' };
  }
}

interface Frame {
  readonly bytes: Buffer;
  readonly masks: readonly Box[];
  /** Nothing is to be hidden and nothing to be written on it. */
  readonly isFinished: boolean;
}

interface Looking {
  readonly needles: Needles;
  readonly isRevealing: boolean;
  /** Without bars. */
  readonly isBare: boolean;
}

function asItIs({ bytes }: Frame): Picture {
  return { bytes, mediaType: 'image/jpeg', ...VIEWPORT, masks: [] };
}

/** The shot, or the reason why there is none. */
async function steadyShot(page: Page, session: CDPSession, looking: Looking): Promise<Frame | string> {
  let reason = '';
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      const shot = await oneShot(page, session, looking);
      if (shot) return shot;
      reason = 'what must be hidden kept moving';
    } catch (error) {
      if (error instanceof TooMuch) return 'the page holds more than can be searched for what must be hidden';
      if (error instanceof UnseenFrame) reason = 'a part of the page could not be looked into';
      else if (isPassing(error)) reason = 'the page kept changing';
      else throw error;
    }
  }
  return reason;
}

/** `undefined` when something to be hidden moved meanwhile. */
async function oneShot(
  page: Page,
  session: CDPSession,
  { needles, isRevealing, isBare }: Looking,
): Promise<Frame | undefined> {
  const frames = page.frames();
  const parts = await openParts(page, session, WHOLE);
  const masks = () => masksOf(parts, needles, isRevealing);
  try {
    await Promise.all([setPlaybackRate(parts, 0), measureAll(parts)]);
    const before = await masks();
    const isFinished = isBare && before.length === 0;
    const format = isFinished ? ({ format: 'jpeg', quality: 75 } as const) : ({ format: 'png' } as const);
    const shooting = session.send('Page.captureScreenshot', { ...format, optimizeForSpeed: true });
    // Measured for the second look while the browser draws: in that time no page grows beyond what is then refused.
    const [{ data }] = await Promise.all([within(CALL_LIMIT_MS, 'A picture', shooting), measureAll(parts)]);
    const after = await masks();
    if (page.frames().length !== frames.length || page.frames().some((frame, i) => frame !== frames[i]))
      throw new UnseenFrame();
    if (!areSame(before, after, 1)) return undefined;
    return { bytes: Buffer.from(data, 'base64'), masks: [...before, ...after], isFinished };
  } finally {
    const goingOn = setPlaybackRate(parts, 1).catch(() => undefined); // a page that ended needs no animations
    // The page's own session takes it before it holds still for the next picture. Those of frames end here: one that
    // ended only then would let what the next holds still go on.
    if (parts.length > 1) await goingOn.then(() => closeParts(parts));
  }
}

/** Holds CSS animations still or lets them go on, without touching the page's document. */
async function setPlaybackRate(parts: readonly Part[], playbackRate: number): Promise<void> {
  const [main, ...others] = parts.map(({ session }) => session.send('Animation.setPlaybackRate', { playbackRate }));
  await Promise.all([main && within(CALL_LIMIT_MS, 'Holding the page still', main), ...others.map(sure)]);
}

async function measureAll(parts: readonly Part[]): Promise<void> {
  await Promise.all(parts.map(({ session }, i) => (i === 0 ? measure(session) : sure(measure(session)))));
}

async function masksOf(parts: readonly Part[], needles: Needles, isRevealing: boolean): Promise<readonly Box[]> {
  const masks = await Promise.all(
    parts.map(async (part, i) => {
      const place = await part.place();
      if (!place) return [];
      const seen = look(part.session, place, WHOLE);
      return findMasks(await (i === 0 ? seen : sure(seen)), needles, isRevealing);
    }),
  );
  return masks.flat();
}

/** Host and path: a query may hold anything. */
function shownAddress(url: string, needles: Needles): string {
  const parsed = URL.parse(url);
  if (!parsed || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) return 'no page';
  const path = parsed.pathname === '/' ? '' : parsed.pathname;
  if (path.length > LONGEST_PATH || needles.isIn(path) || needles.isIn(decoded(path))) return parsed.host;
  return `${parsed.host}${path}`;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
