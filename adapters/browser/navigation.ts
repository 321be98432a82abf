import type { Page, Response } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import type { EgressDoor } from '../../core/ports/egress.ts';
import type { Origin } from '../../core/ports/http.ts';
import { parseAuthority, writeAuthority } from './authority.ts';
import { GRACE_MS, within } from './errors.ts';
import { isOnOrigins } from './locators.ts';
import type { Pages } from './pages.ts';

const ERROR_PAGE = 'chrome-error://chromewebdata/';
const ERROR_PAGE_LIMIT_MS = 2_000;

export interface Way {
  readonly origins: readonly Origin[];
  readonly pages: Pages;
  readonly door: EgressDoor;
}

/** Only addresses of the origins are asked for: `file:`, `data:`, `chrome:` and the like load without any proxy. */
export function checkAddress(url: string, origins: readonly Origin[]): void {
  if (!isOnOrigins(url, origins)) throw offOrigins('This address is not one of the allowed ones, so nothing was sent.');
}

/** Goes there and waits for the document. @throws what Playwright threw, or `egress_refused`. */
export async function goTo(page: Page, url: string, timeoutMs: number, way: Way): Promise<void> {
  const startedAt = new Date();
  const limitMs = timeoutMs + GRACE_MS;
  const options = { waitUntil: 'domcontentloaded', timeout: timeoutMs } as const;
  let response: Response | null = null;
  try {
    response = await within(limitMs, 'Opening the page', page.goto(url, options));
  } catch (error) {
    // A page may send the browser elsewhere while it loads: then wait for what it led to.
    if (!isInterrupted(error)) throw await explained(error, page, url, startedAt, way);
    await within(limitMs, 'Opening the page', page.waitForLoadState(options.waitUntil, options));
  }
  // Some builds show the proxy's empty answer as a page.
  const shown = response?.status() === 403 && refusalOf(response.url(), startedAt, way.door);
  if (shown) throw shown;
  const turnedAway = response && turnedAwayBy(response);
  if (turnedAway) throw turnedAway;
  if (!isOnOrigins(page.url(), way.origins)) {
    throw offOrigins('The page led to an address that is not one of the allowed ones.');
  }
}

/** The error says only that no document came; whether it was refused, and why, is on the door's record. */
async function explained(
  error: unknown,
  page: Page,
  url: string,
  startedAt: Date,
  { pages, door }: Way,
): Promise<unknown> {
  if (!(error instanceof Error) || !error.message.includes('net::')) return error;
  // The old page stays until the error page has replaced it, and must not be taken for what was asked for.
  await page.waitForURL(ERROR_PAGE, { waitUntil: 'commit', timeout: ERROR_PAGE_LIMIT_MS }).catch(() => undefined);
  return refusalOf(pages.lastFailedUrl() ?? url, startedAt, door) ?? error;
}

/** The site, or what stands before it, has no page to show for now. Any other error page is shown for what it is. */
function turnedAwayBy(response: Response): CountersignError | undefined {
  const status = response.status();
  const retryAfterMs = delayIn(response.headers()['retry-after']);
  if (status === 429 || (status === 503 && retryAfterMs !== undefined))
    return new CountersignError('rate_limited', `The site answered ${status}: too many requests.`, {
      isRetryable: true,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  if (![502, 503, 504].includes(status)) return undefined;
  return new CountersignError('network', `The site answered ${status}.`, { isRetryable: true });
}

/** RFC 9110, Retry-After: seconds or a date. */
function delayIn(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function refusalOf(url: string, since: Date, door: EgressDoor): CountersignError | undefined {
  const authority = authorityOf(url);
  const refusal = door.refusals().findLast((one) => one.at >= since && one.authority === authority);
  if (!refusal || refusal.reason === 'unresolvable') return undefined;
  return offOrigins(`${authority} may not be reached (${refusal.reason.replace('_', ' ')}); nothing was sent.`);
}

function isInterrupted(error: unknown): boolean {
  return error instanceof Error && /interrupted by another navigation/.test(error.message);
}

function authorityOf(url: string): string | undefined {
  const parsed = URL.parse(url);
  const authority = parsed && parseAuthority(parsed.host, parsed.protocol === 'https:' ? 443 : 80);
  return authority ? writeAuthority(authority) : undefined;
}

function offOrigins(message: string): CountersignError {
  return new CountersignError('egress_refused', message);
}
