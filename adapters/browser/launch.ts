import { type Browser as PlaywrightBrowser, chromium as playwrightChromium } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { EgressDoor } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Chromium } from './chromium.ts';
import { within } from './errors.ts';
import { childEnvironment, killGroup, type ProcessMark, processMark } from './process.ts';

/** A browser process that was started. */
export interface Running {
  readonly browser: PlaywrightBrowser;
  /** Its process, where that is one of this machine and known. */
  readonly mark?: ProcessMark;
  /** Ends it, by force when it doesn't go by itself. Never throws. */
  end(): Promise<void>;
}

export interface LaunchOptions {
  /** A door that lets nothing pass: what the browser itself wants to say is refused there. */
  readonly deny: EgressDoor;
  readonly log: Log;
  /** Refuse to run without Chromium's own sandbox. */
  readonly requireSandbox: boolean;
}

/** The list of loopback hosts that bypass a proxy, emptied. Written out, so that no environment variable decides it. */
const NO_BYPASS = '<-loopback>';

export interface ProxySettings {
  readonly server: string;
  readonly bypass: string;
  readonly username?: string;
  readonly password?: string;
}

export function proxyBy({ proxyUrl, credentials }: Pick<EgressDoor, 'proxyUrl' | 'credentials'>): ProxySettings {
  return { server: proxyUrl, bypass: NO_BYPASS, ...credentials };
}

const LAUNCH_LIMIT_MS = 30_000;
const CLOSE_LIMIT_MS = 5_000;

/**
 * Each closes what the proxy cannot see: QUIC and WebRTC speak UDP, and ICE servers were the one name that Chromium
 * resolved by itself behind a proxy. Full builds obey the WebRTC switch without `force-` and headless shells the one with it;
 * neither minds the other.
 */
export const CONTAINMENT_ARGS = [
  '--disable-quic',
  '--webrtc-ip-handling-policy=disable_non_proxied_udp',
  '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
];

/**
 * Keeps animations on the main thread, where they can be held still for a picture: the compositor ran on by itself, and
 * one picture in six of an animated secret showed it beside its mask on a busy machine.
 */
const STILL_PICTURE_ARGS = ['--disable-threaded-animation'];

/**
 * What Playwright itself switches off. Chromium obeys the last list alone, so ours has to say Playwright's again.
 * Playwright 1.65, `chromiumSwitches.ts`; a test compares them.
 */
const OFF_BY_PLAYWRIGHT = [
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'TcpPortRandomizationWin',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
  'msForceBrowserSignIn',
  'msEdgeUpdateLaunchServicesPreferredVersion',
];

/**
 * The two pages that a window loads for its address bar's suggestions, which nobody types into here: in a renderer of
 * their own, half a second of a core for each window (Chromium 156), while the operation's first page opens.
 */
const OFF_FOR_SPEED = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup'];

/** Given to every browser that is started here. */
export const FEATURE_ARGS = [`--disable-features=${[...OFF_BY_PLAYWRIGHT, ...OFF_FOR_SPEED].join(',')}`];

/**
 * Starts browsers. The sandbox is on unless the program runs as root or a first start with it fails; what was decided
 * is said in the log once.
 */
export function createLauncher(options: LaunchOptions): (chromium: Chromium) => Promise<Running> {
  let isSandboxed: boolean | undefined;
  return async (chromium) => {
    if (isSandboxed === undefined && process.getuid?.() === 0)
      isSandboxed = withoutSandbox(options, 'Chromium cannot use it as root');
    if (isSandboxed !== undefined) return start(chromium, options, isSandboxed);
    try {
      const running = await start(chromium, options, true);
      isSandboxed = true;
      return running;
    } catch {
      const running = await start(chromium, options, false);
      try {
        isSandboxed = withoutSandbox(options, 'this system does not allow it');
        return running;
      } catch (error) {
        await running.end();
        throw error;
      }
    }
  };
}

/** @throws CountersignError `browser_missing` when a sandbox is demanded. */
function withoutSandbox({ log, requireSandbox }: LaunchOptions, why: string): false {
  if (requireSandbox) {
    throw new CountersignError(
      'browser_missing',
      `Chromium's sandbox is off (${why}): run as an ordinary account on a system that allows user namespaces (docs/scale.md).`,
    );
  }
  log.warn({ why }, 'Chromium runs without its own sandbox; the egress proxy still contains its pages');
  return false;
}

async function start(chromium: Chromium, { deny, log }: LaunchOptions, chromiumSandbox: boolean): Promise<Running> {
  const browser = await playwrightChromium
    .launch({
      executablePath: chromium.path,
      chromiumSandbox,
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      timeout: LAUNCH_LIMIT_MS,
      env: childEnvironment(),
      proxy: proxyBy(deny),
      args: [...chromium.args, ...CONTAINMENT_ARGS, ...STILL_PICTURE_ARGS, ...FEATURE_ARGS],
    })
    .catch((error: unknown) => {
      if (wasKilled(error))
        throw new CountersignError('browser_crashed', 'Chromium was killed while it started.', { isRetryable: true });
      throw new CountersignError(
        'browser_missing',
        `Chromium at ${chromium.path} does not start (the cause says why): repair it, or set CHROMIUM_PATH to another one.`,
        { cause: error },
      );
    });
  const mark = await browserProcess(browser);
  return {
    browser,
    ...(mark ? { mark } : {}),
    async end() {
      try {
        await within(CLOSE_LIMIT_MS, 'Closing the browser', browser.close());
      } catch {
        log.warn({ pid: mark?.pid }, 'the browser did not close and is killed');
        if (mark) killGroup(mark);
      }
    },
  };
}

/** Somebody, or the system for want of memory, ended the process: Playwright's log of the launch says by which signal. */
function wasKilled(error: unknown): boolean {
  return error instanceof Error && /did exit: exitCode=null, signal=SIG(?:KILL|TERM)/.test(error.message);
}

/** Playwright starts the browser as leader of its own process group, so its id names the whole group. */
async function browserProcess(browser: PlaywrightBrowser): Promise<ProcessMark | undefined> {
  try {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await within(
      CLOSE_LIMIT_MS,
      'Asking for the process',
      session.send('SystemInfo.getProcessInfo'),
    );
    await session.detach();
    const found = processInfo.find((info) => info.type === 'browser');
    return found && (await processMark(found.id));
  } catch {
    return undefined;
  }
}
