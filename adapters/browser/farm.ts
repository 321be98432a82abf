import { randomUUID } from 'node:crypto';
import { type Page, type Browser as PlaywrightBrowser, chromium as playwrightChromium } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { EgressDoor } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import type { NetworkEgress } from './egress-proxy.ts';
import { within } from './errors.ts';
import { tryWebSocket } from './in-page.ts';
import { proxyBy, type Running } from './launch.ts';
import { leaksUdp } from './udp-probe.ts';

export interface FarmOptions {
  /** `BROWSER_WS_ENDPOINT`: a Playwright server of this version. It may hold a token, so it is never told. */
  readonly endpoint: string;
  readonly egress: NetworkEgress;
  /** A door that lets nothing pass. */
  readonly deny: EgressDoor;
  readonly log: Log;
}

const CONNECT_LIMIT_MS = 30_000;
const TRY_LIMIT_MS = 10_000;
const CLOSE_LIMIT_MS = 5_000;

/**
 * A browser of the farm, once it was proven that its pages leave through our proxy and that nothing goes past it.
 * @throws CountersignError `browser_missing`, saying what the farm lacks.
 */
export async function connectToFarm({ endpoint, egress, deny, log }: FarmOptions): Promise<Running> {
  const browser = await playwrightChromium.connect(endpoint, { timeout: CONNECT_LIMIT_MS }).catch(() => {
    throw refused('can’t be reached, or is no Playwright server of the version that this program has');
  });
  const end = async () => {
    try {
      await within(CLOSE_LIMIT_MS, 'Leaving the browser', browser.close());
    } catch {
      log.warn({}, 'the remote browser did not end in time');
    }
  };
  try {
    await refuseLeaks(browser, egress, deny);
  } catch (error) {
    await end();
    throw error;
  }
  return { browser, end };
}

/** What a page could try to get past the proxy; each must fail. */
async function refuseLeaks(browser: PlaywrightBrowser, egress: NetworkEgress, deny: EgressDoor): Promise<void> {
  if (!(await leavesThroughProxy(browser, egress)))
    throw refused('doesn’t reach our proxy at the address in EGRESS_PROXY_URL');
  const { hostname } = new URL(egress.url);
  const forbidden = `${egress.url}/canary-${randomUUID()}`;
  const ways: readonly (readonly [string, () => Promise<boolean>])[] = [
    ['opens pages', () => passesBy(browser, egress, forbidden, (page) => page.goto(forbidden))],
    [
      'opens WebSockets',
      () =>
        passesBy(browser, egress, forbidden, (page) => page.evaluate(tryWebSocket, forbidden.replace('http', 'ws'))),
    ],
    ['sends UDP by WebRTC', () => leaksUdp(browser, proxyBy(deny), hostname)],
    ['looks names up', () => resolvesNames(browser, deny)],
  ];
  for (const [what, leaks] of ways) {
    if (await leaks())
      throw refused(
        `${what} past our proxy, so it is not used: start its browsers with the arguments that docs/remote-browser.md lists`,
      );
  }
}

/** A page that is allowed to ask our own proxy's refusal page is answered by it: so the way there and the sign-in work. */
async function leavesThroughProxy(browser: PlaywrightBrowser, egress: NetworkEgress): Promise<boolean> {
  const door = await egress.open([]);
  const asked = `canary-${randomUUID()}.invalid`;
  try {
    await inPage(browser, { proxy: proxyBy(door) }, (page) => page.goto(`http://${asked}/`));
    return door.refusals().some(({ authority }) => authority === `${asked}:80`);
  } finally {
    await door.close();
  }
}

/** In a context without a proxy of its own, as whatever the browser itself wants: a forbidden host, which is ourselves. */
async function passesBy(
  browser: PlaywrightBrowser,
  egress: NetworkEgress,
  url: string,
  attempt: (page: Page) => Promise<unknown>,
): Promise<boolean> {
  await inPage(browser, {}, attempt);
  return egress.passedBy().includes(new URL(url).pathname);
}

/** Everything is made to go direct: then the only thing between a page and a name is the browser's own rule for names. */
async function resolvesNames(browser: PlaywrightBrowser, deny: EgressDoor): Promise<boolean> {
  const proxy = { ...proxyBy(deny), bypass: '*' };
  const error = await inPage(browser, { proxy }, (page) => page.goto('http://localhost:49151/'));
  return !error.includes('ERR_NAME_NOT_RESOLVED');
}

/** @returns the message of the error that it ended with. */
async function inPage(
  browser: PlaywrightBrowser,
  options: Parameters<PlaywrightBrowser['newContext']>[0],
  attempt: (page: Page) => Promise<unknown>,
): Promise<string> {
  const context = await browser.newContext({ ...options, serviceWorkers: 'block', acceptDownloads: false });
  try {
    const page = await context.newPage();
    await within(TRY_LIMIT_MS, 'Trying the remote browser', attempt(page));
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  } finally {
    await context.close().catch(() => undefined); // gone with its browser
  }
}

function refused(why: string): CountersignError {
  return new CountersignError('browser_missing', `The browser at BROWSER_WS_ENDPOINT ${why}.`);
}
