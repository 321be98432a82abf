import type { BrowserContextOptions } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { Browser, BrowserSession, BrowserSessionOptions } from '../../core/ports/browser.ts';
import type { Egress, EgressDoor } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import { openStudio, type PictureType, type Studio, VIEWPORT } from './annotate.ts';
import { findChromium } from './chromium.ts';
import type { NetworkEgress } from './egress-proxy.ts';
import { translated } from './errors.ts';
import { connectToFarm } from './farm.ts';
import { createLauncher, proxyBy, type Running } from './launch.ts';
import { createPages } from './pages.ts';
import { createPredecessors } from './predecessor.ts';
import { sweepProfiles } from './process.ts';
import { createSession } from './session.ts';
import { refuseUdpLeak } from './udp-probe.ts';

export { type Chromium, findChromium } from './chromium.ts';
export { createEgress, type NetworkEgress, openNetworkEgress } from './egress-proxy.ts';

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
  /** Where processes of this account say which browser is whose; absent: a session ends no earlier one. */
  readonly ownersFolder?: string;
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
  return browserOf(
    options,
    once(() => prepare(options)),
  );
}

/**
 * The same for a program that stays: where a sandbox is demanded, one browser is started and ended at once, so that an operator
 * hears now, and not from the first merchant, that there can be none. @throws CountersignError `browser_missing`, saying why.
 */
export async function openBrowser(options: BrowserOptions): Promise<Browser> {
  const setUp = once(() => prepare(options));
  const browser = browserOf(options, setUp);
  try {
    if (options.requireSandbox) await (await (await setUp()).start()).end();
    return browser;
  } catch (error) {
    await browser.close();
    throw error;
  }
}

export interface RemoteBrowserOptions extends Pick<BrowserOptions, 'log' | 'pictureType'> {
  /** `BROWSER_WS_ENDPOINT`. */
  readonly endpoint: string;
  readonly egress: NetworkEgress;
}

/**
 * Browsers of a farm on other machines, one connection a session. The first is tried at once, so that a farm whose pages
 * could get past our proxy is refused at start. @throws CountersignError `browser_missing`, saying what it lacks.
 */
export async function openRemoteBrowser(options: RemoteBrowserOptions): Promise<Browser> {
  const deny = await options.egress.open([]);
  const start = () => connectToFarm({ ...options, deny });
  await (await start()).end();
  return browserOf(
    options,
    once(async () => ({ deny, start })),
  );
}

function browserOf(
  options: Pick<BrowserOptions, 'egress' | 'log' | 'keepWarm' | 'pictureType' | 'ownersFolder'>,
  setUp: Once<SetUp>,
): Browser {
  const { egress, log } = options;
  const sessions = new Set<BrowserSession>();
  const predecessors = options.ownersFolder === undefined ? undefined : createPredecessors(options.ownersFolder);
  let spare: Promise<Ready> | undefined;
  let isClosed = false;

  async function start(): Promise<Ready> {
    const { deny, start: startBrowser } = await setUp();
    const running = await startBrowser().catch((error: unknown) => {
      throw translated(error, 'Starting a browser');
    });
    const studio = openStudio(running.browser, proxyBy(deny), options.pictureType ?? 'image/jpeg');
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
      const { owner } = sessionOptions;
      if (owner !== undefined) await predecessors?.end(owner);
      const ready = await take();
      if (isClosed) {
        await ready.running.end();
        throw new CountersignError('browser_crashed', 'The browser was closed while a session was opening.');
      }
      if (options.keepWarm) {
        spare = start();
        spare.catch(() => undefined); // the next session tries again and tells
      }
      const { mark } = ready.running;
      const isPut = owner !== undefined && mark !== undefined;
      const takeBack = isPut ? await predecessors?.put(owner, mark) : undefined;
      let opened: BrowserSession | undefined; // a browser that dies while it opens ends before there is a session
      const session = await openSession(egress, ready, sessionOptions, () => {
        if (opened) sessions.delete(opened);
        void takeBack?.();
      });
      opened = session;
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
  /** A door that lets nothing pass. */
  readonly deny: EgressDoor;
  /** Starts a browser of which it is proven that nothing goes past the proxy. */
  readonly start: () => Promise<Running>;
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
  const launch = createLauncher({ deny, log, requireSandbox });
  // Which switch closes what differs between builds, not between two starts: the first browser proves it for all.
  let isProven: Promise<void> | undefined;
  const probe = ({ browser }: Running) => {
    isProven ??= refuseUdpLeak(browser, proxyBy(deny)).catch((error: unknown) => {
      isProven = undefined; // the next browser is tried again
      throw error;
    });
    return isProven;
  };
  return {
    deny,
    async start() {
      const running = await launch(chromium);
      try {
        await probe(running);
        return running;
      } catch (error) {
        await running.end();
        throw error;
      }
    },
  };
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
      proxy: proxyBy(door),
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

interface Once<T> {
  (): Promise<T>;
  wasCalled(): boolean;
}

/** Runs at most once; a failure may be tried again. */
function once<T>(run: () => Promise<T>): Once<T> {
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
