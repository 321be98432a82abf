import type { BrowserContext, Page, Request } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import { isEnded, translated, within } from './errors.ts';
import { isParsed } from './in-page.ts';

/** The page of a session, and what happened beside it. */
export interface Pages {
  /** @throws CountersignError `browser_crashed` when the page or its browser is gone. */
  current(): Page;
  /** The current page, or a new one in the same context (cookies kept) when it crashed or hangs in an endless loop. Errors as above. */
  alive(): Promise<Page>;
  /** Lets the next page that the current one opens take its place, when it is on an allowed address. */
  follow(isAllowed: (url: string) => boolean): Following;
  /** Notes that the page did not answer in time: `alive` asks whether it does now. */
  suspect(page: Page): void;
  /**
   * Whether the page is away because it closed its own window, after a call to it failed: the one that it came from is
   * there still. A call may fail before anything says why, and of a browser that ends its pages are told first.
   */
  hasClosedItself(page: Page): Promise<boolean>;
  /** The address of the last main document that could not be loaded. */
  lastFailedUrl(): string | undefined;
  /** What happened since the last call, in words without anything of the page's. */
  takeIncidents(): string[];
}

export interface Following {
  /** Resolves once the page is there, and at the latest after this time. */
  opened(timeoutMs: number): Promise<void>;
  stop(): void;
}

const KEPT_INCIDENTS = 50;
const NEW_PAGE_LIMIT_MS = 10_000;
const PING_LIMIT_MS = 1_000;
const ARRIVE_MS = 10_000;
const CLOSING_MS = 1_000; // the failure of a call and the end of its page come one right after the other

export async function createPages(context: BrowserContext): Promise<Pages> {
  const incidents: string[] = [];
  const crashed = new WeakSet<Page>();
  const suspects = new WeakSet<Page>();
  let isOpening = false;
  let isGone = false;
  let failedUrl: string | undefined;
  const note = (words: string) => void (incidents.length < KEPT_INCIDENTS && incidents.push(words));

  function watch(page: Page): void {
    page.on('crash', () => crashed.add(page));
    page.on('dialog', (dialog) => {
      const isLeaving = dialog.type() === 'beforeunload';
      note(
        isLeaving
          ? 'The page asked whether to leave it: yes.'
          : `A dialog of the page (${dialog.type()}) was dismissed.`,
      );
      void (isLeaving ? dialog.accept() : dialog.dismiss()).catch(() => undefined); // the page may be gone by now
    });
    page.on('download', (download) => {
      note('A download was refused.');
      void download.cancel().catch(() => undefined); // refused by the context already
    });
    page.on('requestfailed', (request) => {
      if (isMainDocument(request, page)) failedUrl = request.url();
    });
  }

  async function open(): Promise<Page> {
    isOpening = true;
    try {
      const page = await within(NEW_PAGE_LIMIT_MS, 'Opening a page', context.newPage());
      watch(page);
      return page;
    } catch (error) {
      throw translated(error, 'Opening a page');
    } finally {
      isOpening = false;
    }
  }

  context.on('close', () => {
    isGone = true;
  });
  function refuse(opened: Page): void {
    note('A window that the page opened was closed.');
    opened.on('dialog', (dialog) => void dialog.dismiss().catch(() => undefined)); // it closes with the window
    void opened.close().catch(() => undefined); // gone with the browser at the latest
  }

  let wanted: { isAllowed: (url: string) => boolean; done: () => void } | undefined;
  context.on('page', (opened) => {
    if (isOpening) return;
    const follow = wanted;
    if (follow === undefined) return refuse(opened);
    wanted = undefined; // one page: others that come with it are closed
    void arrive(opened, follow).catch(() => refuse(opened)); // it was closed while it opened
  });

  /** A window begins empty; what it is to show is known when its document begins. */
  async function arrive(opened: Page, { isAllowed, done }: NonNullable<typeof wanted>): Promise<void> {
    const opener = await opened.opener();
    const isOwn = opener === null || opener === page; // `noopener` hides it
    if (isOwn)
      await opened.waitForURL(({ href }) => href !== 'about:blank', { waitUntil: 'commit', timeout: ARRIVE_MS });
    if (!isOwn || !isAllowed(opened.url())) return refuse(opened);
    watch(opened);
    openers.push(page);
    page = opened;
    done();
  }

  const openers: Page[] = [];
  let page = await open();
  /** A window that closed itself gives way to the one that it came from. */
  const front = (): Page => {
    while (page.isClosed() && !crashed.has(page)) {
      const opener = openers.pop();
      if (opener === undefined) break;
      page = opener;
    }
    return page;
  };
  return {
    current() {
      if (isGone || crashed.has(front()) || page.isClosed()) throw ended();
      return page;
    },
    async alive() {
      if (isGone) throw ended();
      front();
      const isLost = crashed.has(page) || page.isClosed() || (suspects.has(page) && (await isHanging(page)));
      if (!isLost) return page;
      const old = page;
      // Chromium keeps a renderer ready for the next page: where it was killed with the others, the page that is given it is lost, too.
      page = await open().catch(() => {
        if (isGone) throw ended();
        return open();
      });
      void old.close().catch(() => undefined); // a crashed page may not answer
      return page;
    },
    follow(isAllowed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const own = { isAllowed, done: resolve };
      wanted = own;
      return {
        async opened(timeoutMs) {
          const timer = setTimeout(resolve, timeoutMs);
          await promise;
          clearTimeout(timer);
        },
        stop() {
          if (wanted === own) wanted = undefined;
        },
      };
    },
    async hasClosedItself(closed) {
      if (isGone || crashed.has(closed)) return false;
      if (!closed.isClosed()) await closed.waitForEvent('close', { timeout: CLOSING_MS }).catch(() => undefined);
      if (!closed.isClosed() || crashed.has(closed)) return false;
      return isThere(front());
    },
    suspect: (hanging) => void suspects.add(hanging),
    lastFailedUrl: () => failedUrl,
    takeIncidents: () => incidents.splice(0),
  };
}

/** A renderer in an endless loop can't even go to another page of its site: only closing it helps. */
async function isHanging(page: Page): Promise<boolean> {
  try {
    await within(PING_LIMIT_MS, 'Asking the page', page.evaluate(isParsed));
    return false;
  } catch (error) {
    return error instanceof CountersignError;
  }
}

/** Of a page that changes just now, or hangs, it can be said that it is there. */
async function isThere(page: Page): Promise<boolean> {
  if (page.isClosed()) return false;
  try {
    await within(PING_LIMIT_MS, 'Asking the page', page.evaluate(isParsed));
    return true;
  } catch (error) {
    return !isEnded(error);
  }
}

function isMainDocument(request: Request, page: Page): boolean {
  return request.isNavigationRequest() && request.frame() === page.mainFrame();
}

function ended(): CountersignError {
  return new CountersignError('browser_crashed', 'The page or its browser ended unexpectedly.', { isRetryable: true });
}
