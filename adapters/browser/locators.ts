import type { Frame, Page, Locator as PlaywrightLocator } from 'playwright';
import type { Locator, LocatorRule } from '../../core/ports/browser.ts';
import type { Origin } from '../../core/ports/http.ts';

/** One element on the page, or why there isn't one. */
export type Match =
  | { readonly kind: 'one'; readonly rule: Locator; readonly found: PlaywrightLocator }
  | { readonly kind: 'none' }
  | { readonly kind: 'many'; readonly rule: Locator; readonly count: number };

/** `blob:` addresses have the origin of the page that made them, and hold whatever a script put there. */
export function isOnOrigins(url: string, origins: readonly Origin[]): boolean {
  const parsed = URL.parse(url);
  const isWeb = parsed?.protocol === 'https:' || parsed?.protocol === 'http:';
  return isWeb && origins.includes(parsed.origin);
}

const MOST_FRAMES = 50; // a page with more is no form

/** The page's own frame first, then the embedded ones that are on the session's origins, as is all that they are inside of. */
export function searchableFrames(page: Page, origins: readonly Origin[]): readonly Frame[] {
  const main = page.mainFrame();
  const embedded = page.frames().filter((frame) => frame !== main && isInsideOrigins(frame, origins));
  return [main, ...embedded.slice(0, MOST_FRAMES)];
}

/** Whether a frame and every frame around it is on one of the origins. */
export function isInsideOrigins(frame: Frame, origins: readonly Origin[]): boolean {
  for (let at: Frame | null = frame; at; at = at.parentFrame()) {
    if (!isOnOrigins(at.url(), origins)) return false;
  }
  return true;
}

/** Tries each locator in order, once: the first that matches exactly one element wins. */
export async function matchFirst(
  frames: readonly Frame[],
  rules: readonly Locator[],
  hiddenIsFine: boolean,
): Promise<Match> {
  let many: Match | undefined;
  for (const rule of rules) {
    const match = await matchOne(frames, rule, hiddenIsFine);
    if (match.kind === 'one') return match;
    if (match.kind === 'many') many ??= match;
  }
  return many ?? { kind: 'none' };
}

async function matchOne(frames: readonly Frame[], rule: Locator, hiddenIsFine: boolean): Promise<Match> {
  for (const frame of frames) {
    const all = toPlaywright(frame, rule);
    const visible = visibleOnly(all);
    const seen = await visible.count();
    if (seen === 1) return { kind: 'one', rule, found: visible };
    const count = hiddenIsFine ? await all.count() : seen;
    if (count === 1) return { kind: 'one', rule, found: all };
    if (count > 1) return { kind: 'many', rule, count };
  }
  return { kind: 'none' };
}

/** How many visible elements match, in all frames. */
export async function countVisible(frames: readonly Frame[], rule: Locator): Promise<number> {
  const counts = await Promise.all(frames.map((frame) => visibleOnly(toPlaywright(frame, rule)).count()));
  return counts.reduce((sum, count) => sum + count, 0);
}

export function visibleOnly(locator: PlaywrightLocator): PlaywrightLocator {
  return locator.filter({ visible: true });
}

export function toPlaywright(root: Frame | PlaywrightLocator, rule: Locator): PlaywrightLocator {
  const all = byRule(rule.within ? toPlaywright(root, rule.within) : root, rule);
  const holding = rule.hasText === undefined ? all : all.filter({ hasText: rule.hasText });
  return rule.nth === undefined ? holding : holding.nth(rule.nth);
}

function byRule(root: Frame | PlaywrightLocator, rule: LocatorRule): PlaywrightLocator {
  switch (rule.by) {
    case 'role':
      // Playwright compares any text with the computed role; its union only lists the ones of ARIA.
      return root.getByRole(rule.role as Parameters<Frame['getByRole']>[0], {
        ...(rule.name === undefined ? {} : { name: rule.name }),
        ...exactly(rule),
      });
    case 'label':
      return root.getByLabel(rule.text, exactly(rule));
    case 'placeholder':
      return root.getByPlaceholder(rule.text, exactly(rule));
    case 'text':
      return root.getByText(rule.text, exactly(rule));
    case 'css':
      return root.locator(`css=${rule.selector}`);
    default:
      return rule satisfies never;
  }
}

function exactly({ exact }: { readonly exact?: boolean }): { exact?: boolean } {
  return exact === undefined ? {} : { exact };
}
