import type { BrowserContextOptions } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { Browser, BrowserSession, BrowserSessionOptions } from '../../core/ports/browser.ts';
import type { Egress, EgressDoor } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import { openStudio, type PictureType, type Studio, VIEWPORT } from './annotate.ts';
import { type Chromium, findChromium } from './chromium.ts';
import { translated } from './errors.ts';
import { createLauncher, NO_BYPASS, type Running } from './launch.ts';
import { createPages } from './pages.ts';
import { sweepProfiles } from './process.ts';
import { createSession } from './session.ts';
import { refuseUdpLeak } from './udp-probe.ts';

export { type Chromium, findChromium } from './chromium.ts';
export { createEgress } from './egress-proxy.ts';

export interface BrowserOptions {
  readonly egress: Egress;
  readonly log: Log;
  /** `CHROMIUM_PATH`. */
  readonly chromiumPath?: string;
  /** Where a build from npm is put when nothing else is there. */
  readonly chromiumFolder?: string;
  /** Fetch a browser from the internet when none is there: for trying out, never in production. */
  readonly mayInstall: boolean;
  /** Refuse to run without Chromium's own sandbox. */
  readonly requireSandbox?: boolean;
  /** Have the next session's browser started already: 0.3 s less to wait for some 150 MB of memory. */
  readonly keepWarm?: boolean;
  /** JPEG at quality 75 unless a test wants every pixel as it was drawn. */
  readonly pictureType?: PictureType;
}

/** What `storage` wrote. */
type StorageState = Exclude<NonNullable<BrowserContextOptions['storageState']>, string>;

/** A started browser; its drawing page is on the way. */
interface Ready {
  readonly running: Running;
  readonly studio: Studio;
}

/**
 * Real Chromium, one process a session: a crash costs one operation alone, nothing is shared between two of them, and
 * ending the session ends everything its pages left running. Nothing starts before the first session.
 */
export function createBrowser(options: BrowserOptions): Browser {
  const { egress, log } = options;
  const sessions = new Set<BrowserSession>();
  const setUp = once(() => prepare(options));
  let spare: Promise<Ready> | undefined;
  let isClosed = false;

  async function start(): Promise<Ready> {
    const { launch, chromium, deny, probe } = await setUp();
    const running = await launch(chromium);
    try {
      await probe(running);
    } catch (error) {
      await running.end();
      throw error;
    }
    const studio = openStudio(running.browser, deny.proxyUrl, options.pictureType ?? 'image/jpeg');
    return { running, studio };
  }

  /** The warm browser goes to one session only, so it is taken away before anything is waited for. */
  async function takeSpare(): Promise<Ready | undefined> {
    const taken = spare;
    spare = undefined;
    return taken?.catch(() => undefined);
  }

  async function take(): Promise<Ready> {
    const warm = await takeSpare();
    return warm?.running.browser.isConnected() ? warm : start();
  }

  return {
    async open(sessionOptions) {
      const ready = await take();
      if (isClosed) {
        await ready.running.end();
        throw new CountersignError('browser_crashed', 'The browser was closed while a session was opening.');
      }
      if (options.keepWarm) {
        spare = start();
        spare.catch(() => undefined); // the next session tries again and tells
      }
      const session = await openSession(egress, ready, sessionOptions, () => sessions.delete(session));
      sessions.add(session);
      return session;
    },
    async close() {
      isClosed = true;
      const warm = await takeSpare();
      await Promise.all([...[...sessions].map((session) => session.close()), warm?.running.end()]);
      if (setUp.wasCalled())
        await setUp().then(
          ({ deny }) => deny.close(),
          () => undefined,
        );
      log.debug({}, 'browser closed');
    },
  };
}

interface SetUp {
  readonly chromium: Chromium;
  readonly deny: EgressDoor;
  readonly launch: (chromium: Chromium) => Promise<Running>;
  /** Proves of the first browser that nothing of it goes past the proxy. */
  readonly probe: (running: Running) => Promise<void>;
}

async function prepare({
  egress,
  log,
  chromiumPath,
  chromiumFolder,
  mayInstall,
  requireSandbox = false,
}: BrowserOptions): Promise<SetUp> {
  await sweepProfiles();
  const chromium = await findChromium({
    log,
    mayInstall,
    ...(chromiumPath === undefined ? {} : { configured: chromiumPath }),
    ...(chromiumFolder === undefined ? {} : { folder: chromiumFolder }),
  });
  const deny = await egress.open([]);
  const { proxyUrl } = deny;
  let isProven: Promise<void> | undefined;
  const probe = ({ browser }: Running) => {
    isProven ??= refuseUdpLeak(browser, proxyUrl).catch((error: unknown) => {
      isProven = undefined; // the next browser is tried again
      throw error;
    });
    return isProven;
  };
  return { chromium, deny, probe, launch: createLauncher({ denyProxyUrl: deny.proxyUrl, log, requireSandbox }) };
}

async function openSession(
  egress: Egress,
  { running, studio }: Ready,
  options: BrowserSessionOptions,
  onEnd: () => void,
): Promise<BrowserSession> {
  const door = await egress.open(options.origins);
  const end = once(async () => {
    onEnd();
    await Promise.all([running.end(), door.close()]);
  });
  try {
    const context = await running.browser.newContext({
      proxy: { server: door.proxyUrl, bypass: NO_BYPASS },
      serviceWorkers: 'block',
      acceptDownloads: false,
      permissions: [],
      viewport: VIEWPORT,
      deviceScaleFactor: 1,
      locale: 'en-US',
      reducedMotion: 'reduce',
      ...(options.storage ? { storageState: JSON.parse(options.storage.reveal()) as StorageState } : {}),
    });
    return createSession({ ...options, door, studio, end, pages: await createPages(context) });
  } catch (error) {
    await end();
    throw translated(error, 'Opening a browser session');
  }
}

/** Runs at most once; a failure may be tried again. */
function once<T>(run: () => Promise<T>): { (): Promise<T>; wasCalled(): boolean } {
  let result: Promise<T> | undefined;
  const call = () => {
    result ??= run().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
  return Object.assign(call, { wasCalled: () => result !== undefined });
}
