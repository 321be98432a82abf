import { randomUUID } from 'node:crypto';
import type { ElementHandle, Page } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type {
  Box,
  BrowserSession,
  BrowserSessionOptions,
  ElementIdentity,
  FindResult,
  Fingerprint,
  FoundElement,
  PageState,
  PictureOptions,
  Shot,
} from '../../core/ports/browser.ts';
import type { EgressDoor, EgressRefusal } from '../../core/ports/egress.ts';
import { redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { type Studio, VIEWPORT } from './annotate.ts';
import { firstThatHolds } from './conditions.ts';
import { describeElement } from './describe.ts';
import { awaitReady, identify, perform, SETTLE_LIMIT_MS, staleElement, visibleBox } from './elements.ts';
import { GRACE_MS, isEnded, isPassing, TookTooLong, translated, within } from './errors.ts';
import { LONGEST_TEXT, liveText, nextFrame, tagAndType, titleStart } from './in-page.ts';
import { describeRefusals } from './incidents.ts';
import { isOnOrigins, type Match, matchFirst, searchableFrames } from './locators.ts';
import { checkAddress, goTo } from './navigation.ts';
import type { Pages } from './pages.ts';
import { createCamera } from './picture.ts';
import { elementAt, focused, readText, scroll } from './pointing.ts';
import { createSurveyor, fingerprintOf, isSame } from './survey.ts';

export interface SessionParts extends BrowserSessionOptions {
  readonly pages: Pages;
  readonly door: EgressDoor;
  readonly studio: Studio;
  /** Ends browser and door. */
  readonly end: () => Promise<void>;
}

const ANSWER_LIMIT_MS = 5_000;
const OPENING_LIMIT_MS = 5_000; // a click that opens no page any more leads on where it is
const LONGEST_TITLE = 300;
const LONGEST_PAGE = 50_000; // as much as the vendor's own reading tool returns
const LONGEST_URL = 2_000;

const asItIs = (words: string): string => words;

export function createSession({ origins, hide = asItIs, pages, door, studio, end }: SessionParts): BrowserSession {
  const handles = new Map<string, Held>();
  const typed = new Set<Secret>();
  const camera = createCamera(studio);
  const surveyor = createSurveyor(hide);
  let lastTold: EgressRefusal | undefined;
  let shooting: Promise<unknown> = Promise.resolve(); // never rejects

  /** The error in our words; a page that didn't answer at all is remembered as hanging. */
  async function told(error: unknown, what: string, page: Page): Promise<CountersignError> {
    if (error instanceof TookTooLong) pages.suspect(page);
    if (isEnded(error) && (await pages.hasClosedItself(page)))
      return new CountersignError('network', `${what} failed: the page closed itself.`, { isRetryable: true });
    return quiet(translated(error, what), hide);
  }

  /** @param ask begun only when there is a page to ask: what nobody waits for would end the program by its failure. */
  async function asked<T>(page: Page, limitMs: number, what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await within(limitMs, what, ask());
    } catch (error) {
      throw await told(error, what, page);
    }
  }

  /**
   * Asks again at each frame of the page until there is an answer: a busy page is asked less often. Errors of a page that
   * is just changing count as no answer.
   */
  async function until<T>(
    page: Page,
    timeoutMs: number,
    what: string,
    ask: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const deadline = Date.now() + timeoutMs;
    do {
      const current = pages.current();
      const limitMs = Math.max(0, deadline - Date.now()) + GRACE_MS;
      try {
        const answer = await within(limitMs, what, ask());
        if (answer !== undefined) return answer;
        await within(limitMs, what, pages.current().evaluate(nextFrame));
      } catch (error) {
        const isOver = isEnded(error) && (await pages.hasClosedItself(current)); // the one beneath is asked next
        if (!isPassing(error) && !isOver) throw await told(error, what, page);
      }
    } while (Date.now() < deadline);
    return undefined;
  }

  async function stateOf(page: Page): Promise<PageState> {
    const asking = () => page.evaluate(titleStart, LONGEST_TITLE);
    const title = await asked(page, ANSWER_LIMIT_MS, 'Asking for the title', asking);
    return { url: sayable(page.url(), hide), title: hide(title.slice(0, LONGEST_TITLE)) };
  }

  function handleOf(element: FoundElement): ElementHandle {
    const held = handles.get(element.handle);
    if (held) return held.handle;
    throw staleElement();
  }

  function remember(
    handle: ElementHandle,
    identity: ElementIdentity,
    box: Box | null,
    print: Held['print'],
  ): FoundElement {
    const key = randomUUID();
    handles.set(key, { handle, print });
    return { handle: key, identity, box };
  }

  /** The page may have made another control of it since: its words, its sort, where it leads. */
  async function isAsFound(element: FoundElement): Promise<boolean> {
    const held = handles.get(element.handle);
    const now = held?.print && (await fingerprintOf(held.handle));
    return held?.print !== undefined && now !== undefined && isSame(now, held.print);
  }

  async function keep(match: Match & { kind: 'one' }, isOnlyRead: boolean): Promise<FindResult | undefined> {
    const handle = await match.found.elementHandle({ timeout: SETTLE_LIMIT_MS });
    if (!handle) return undefined;
    if (isOnlyRead) {
      const element = remember(handle, await handle.evaluate(tagAndType), null, undefined);
      return { kind: 'found', element: { ...element, locator: match.rule } };
    }
    const looks = [visibleBox(handle), identify(handle, match.found, match.rule), fingerprintOf(handle)] as const;
    const [box, { name, ...rest }, print] = await Promise.all(looks);
    const element = remember(handle, name === undefined ? rest : { ...rest, name: hide(name) }, box, print);
    return { kind: 'found', element: { ...element, locator: match.rule } };
  }

  async function shoot(options: PictureOptions): Promise<Shot> {
    const page = pages.current();
    const taking = camera.take(page, { ...options, secrets: [...new Set([...options.secrets, ...typed])] });
    shooting = taking.catch(() => undefined);
    try {
      return await taking;
    } catch (error) {
      const problem = await told(error, 'Taking a picture', page);
      if (problem.code !== 'network') throw problem;
      return { drawn: Promise.resolve({ kind: 'withheld', reason: 'the page did not answer in time' }) };
    }
  }

  return {
    async navigate(url, timeoutMs) {
      checkAddress(url, origins);
      const page = await pages.alive();
      handles.clear();
      try {
        await goTo(page, url, timeoutMs, { origins, pages, door });
      } catch (error) {
        throw await told(error, 'Opening the page', page);
      }
      return stateOf(page);
    },

    address: () => sayable(pages.current().url(), hide),

    state: async () => stateOf(pages.current()),

    async find(locators, { timeoutMs, hiddenIsFine = false, isOnlyRead = false }) {
      const page = pages.current();
      let match: Match = { kind: 'none' };
      const found = await until(page, timeoutMs, 'Looking for an element', async () => {
        const current = pages.current();
        if (!isOnOrigins(current.url(), origins)) return undefined;
        match = await matchFirst(searchableFrames(current, origins), locators, hiddenIsFine);
        return match.kind === 'one' ? keep(match, isOnlyRead) : undefined;
      });
      return found ?? notFound(match);
    },

    async survey(wanted) {
      const page = pages.current();
      if (!isOnOrigins(page.url(), origins)) return [];
      return asked(page, ANSWER_LIMIT_MS, 'Looking over the page', () =>
        surveyor.survey(searchableFrames(page, origins), wanted),
      );
    },

    async pick(candidate) {
      const picking = async () => {
        const picked = await surveyor.pick(candidate);
        if (!picked) return undefined;
        const { tag, type, role, name } = candidate.fingerprint;
        const identity = { tag, ...(type ? { type } : {}), ...(role ? { role } : {}), ...(name ? { name } : {}) };
        return remember(picked.handle, identity, await visibleBox(picked.handle), picked.print);
      };
      return asked(pages.current(), ANSWER_LIMIT_MS, 'Looking at an element', picking);
    },

    async describe(element) {
      const page = pages.current();
      const frames = searchableFrames(page, origins);
      const described = () => describeElement(frames, handleOf(element));
      return asked(page, ANSWER_LIMIT_MS, 'Describing an element', described);
    },

    async fingerprint(element) {
      const asking = async () => (await surveyor.add(handleOf(element)))?.fingerprint;
      return asked(pages.current(), ANSWER_LIMIT_MS, 'Looking at an element', asking);
    },

    async controlAt(place) {
      const page = pages.current();
      const finding = async () => {
        const handle = await (place === 'focus' ? focused(page, origins) : elementAt(page, place, origins));
        return handle && surveyor.add(handle);
      };
      return asked(page, ANSWER_LIMIT_MS, 'Looking at a point', finding);
    },

    text: async () => {
      const page = pages.current();
      return hide(await asked(page, ANSWER_LIMIT_MS, 'Reading the page', () => readText(page, origins, LONGEST_PAGE)));
    },

    async scroll(deltaY, over) {
      const page = pages.current();
      const box = over && (await visibleBox(handleOf(over)));
      const { width, height } = VIEWPORT;
      const middle = box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : { x: width / 2, y: height / 2 };
      await asked(page, ANSWER_LIMIT_MS, 'Scrolling', () => scroll(page, middle, deltaY));
    },

    async boxOf(element) {
      try {
        return await asked(pages.current(), ANSWER_LIMIT_MS, 'Measuring', () => visibleBox(handleOf(element)));
      } catch (error) {
        if (error instanceof CountersignError && error.code !== 'browser_crashed') return null;
        throw error;
      }
    },

    async ready(element, action, timeoutMs) {
      const work = () => awaitReady(handleOf(element), action, timeoutMs, () => shooting);
      await asked(pages.current(), timeoutMs + GRACE_MS, `Getting ready (${action.kind})`, work);
    },

    async act(element, action, timeoutMs) {
      const page = pages.current();
      const handle = handleOf(element);
      if (action.kind === 'fill' && action.value instanceof Secret) typed.add(action.value);
      const opensPage = action.kind === 'click' && action.opensPage === true;
      const following = opensPage ? pages.follow((url) => isOnOrigins(url, origins)) : undefined;
      const isSame = () => isAsFound(element);
      const hasClosedItself = () => pages.hasClosedItself(page);
      const work = () => perform(handle, action, { page, origins, timeoutMs, isSame, hasClosedItself });
      try {
        await asked(page, timeoutMs + GRACE_MS, `The action (${action.kind})`, work);
        await following?.opened(Math.min(timeoutMs, OPENING_LIMIT_MS));
      } finally {
        following?.stop();
      }
    },

    async read(element) {
      const reading = () => handleOf(element).evaluate(liveText, LONGEST_TEXT);
      // Cut here once more: the page may have replaced what cuts it there.
      return (await asked(pages.current(), ANSWER_LIMIT_MS, 'Reading an element', reading)).slice(0, LONGEST_TEXT);
    },

    async waitFor(conditions, timeoutMs) {
      const page = pages.current();
      return until(page, timeoutMs, 'Waiting', () => firstThatHolds(pages.current(), conditions, origins, handles));
    },

    picture: async (options) => (await shoot(options)).drawn,
    shoot,

    storage: async () => {
      const page = pages.current();
      const state = () => page.context().storageState({ indexedDB: true });
      return new Secret(JSON.stringify(await asked(page, ANSWER_LIMIT_MS, 'Keeping the session', state)));
    },

    incidents() {
      const all = door.refusals();
      const fresh = all.slice(lastTold ? all.indexOf(lastTold) + 1 : 0);
      lastTold = all.at(-1);
      // A name may be made of what was typed.
      const words = [...pages.takeIncidents(), ...describeRefusals(fresh)].map(hide);
      return words.map((one) => redact(one, [...typed]));
    },

    close: end,
  };
}

interface Held {
  readonly handle: ElementHandle;
  /** What it was when it was found; absent when it was gone already, or found to be read alone. */
  readonly print: Fingerprint | undefined;
}

/**
 * Of an address beyond all measure, or with a secret in it, the origin alone: cut in the middle, it might end in half a
 * secret, and with a gap it would be another address, or none.
 */
function sayable(url: string, hide: (words: string) => string): string {
  const isClean = url.length <= LONGEST_URL && [url, unescaped(url)].every((words) => hide(words) === words);
  if (isClean) return url;
  const { origin = 'null' } = URL.parse(url) ?? {};
  return origin === 'null' || hide(origin) !== origin ? 'about:blank' : `${origin}/`;
}

/** What stands escaped in it as it reads, whatever else in it is malformed. */
function unescaped(url: string): string {
  return url.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}

/** A name of a host in it is the page's choice. */
function quiet(error: CountersignError, hide: (words: string) => string): CountersignError {
  const { code, message, isRetryable } = error;
  const words = hide(message);
  return words === message ? error : new CountersignError(code, words, { isRetryable });
}

function notFound(match: Match): FindResult {
  return match.kind === 'many' ? { kind: 'ambiguous', locator: match.rule, count: match.count } : { kind: 'missing' };
}
