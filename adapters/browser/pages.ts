import type { BrowserContext, Page, Request } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import { within } from './errors.ts';
import { isParsed } from './in-page.ts';

/** The one page of a session, and what happened beside it. */
export interface Pages {
  /** @throws CountersignError `browser_crashed` when the page or its browser is gone. */
  current(): Page;
  /** The current page, or a new one in the same context (cookies kept) when it crashed or hangs in an endless loop. */
  alive(): Promise<Page>;
  /** Notes that the page did not answer in time: `alive` asks whether it does now. */
  suspect(page: Page): void;
  /** The address of the last main document that could not be loaded. */
  lastFailedUrl(): string | undefined;
  /** What happened since the last call, in words without anything of the page's. */
  takeIncidents(): string[];
}

const KEPT_INCIDENTS = 50;
const NEW_PAGE_LIMIT_MS = 10_000;
const PING_LIMIT_MS = 1_000;

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
    } finally {
      isOpening = false;
    }
  }

  context.on('close', () => {
    isGone = true;
  });
  context.on('page', (page) => {
    if (isOpening) return;
    note('A window that the page opened was closed.');
    page.on('dialog', (dialog) => void dialog.dismiss().catch(() => undefined)); // it closes with the window
    void page.close().catch(() => undefined); // gone with the browser at the latest
  });

  let page = await open();
  return {
    current() {
      if (isGone || crashed.has(page) || page.isClosed()) throw ended();
      return page;
    },
    async alive() {
      if (isGone) throw ended();
      const isLost = crashed.has(page) || page.isClosed() || (suspects.has(page) && (await isHanging(page)));
      if (!isLost) return page;
      const old = page;
      page = await open();
      void old.close().catch(() => undefined); // a crashed page may not answer
      return page;
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

function isMainDocument(request: Request, page: Page): boolean {
  return request.isNavigationRequest() && request.frame() === page.mainFrame();
}

function ended(): CountersignError {
  return new CountersignError('browser_crashed', 'The page or its browser ended unexpectedly.', { isRetryable: true });
}
