import type { Expect, Page, Locator as PlaywrightLocator } from 'playwright/test';
import { parseLocatorCode } from './locator-code.ts';
import { lookAt } from './look.ts';
import { currentTape, type NewEvent } from './tape.ts';

type Claim = Extract<NewEvent, { kind: 'expect' }>['claim'];

/** Which of Playwright's assertions a replay can check by itself, and as what; the second of a pair when it is denied. */
const CLAIMS: Readonly<Record<string, readonly [Claim?, Claim?]>> = {
  toBeVisible: ['visible', 'hidden'],
  toBeHidden: ['hidden', 'visible'],
  toHaveText: ['text'],
  toContainText: ['text'],
  toHaveValue: ['value'],
  toHaveURL: ['url'],
};

/** Playwright's `expect`, which notes what a passed assertion said of the page. */
export function watchExpect(expect: Expect): Expect {
  return new Proxy(expect, {
    apply: (target, self, args: unknown[]) => watched(Reflect.apply(target, self, args), args[0], 0),
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (key !== 'soft' || typeof value !== 'function') return value;
      return (...args: unknown[]) => watched(Reflect.apply(value, target, args), args[0], 0);
    },
  });
}

function watched(matchers: object, actual: unknown, denied: 0 | 1): object {
  return new Proxy(matchers, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === 'not' && typeof value === 'object' && value !== null) return watched(value, actual, denied ? 0 : 1);
      const claim = typeof key === 'string' && Object.hasOwn(CLAIMS, key) ? CLAIMS[key]?.[denied] : undefined;
      if (typeof value !== 'function' || claim === undefined) return value;
      return async (...args: unknown[]) => {
        const answer: unknown = await Reflect.apply(value, target, args);
        await note(claim, actual, args);
        return answer;
      };
    },
  });
}

async function note(claim: Claim, actual: unknown, [wanted]: readonly unknown[]): Promise<void> {
  const tape = currentTape();
  if (!tape || typeof actual !== 'object' || actual === null) return;
  if (claim === 'url') {
    if ('mainFrame' in actual) await tape.add(actual as Page, { kind: 'expect', claim }); // what has it is a page
    return;
  }
  if (!('elementHandle' in actual)) return;
  const locator = actual as PlaywrightLocator; // what has it is a locator
  const page = locator.page();
  if (claim === 'hidden') {
    const found = parseLocatorCode(locator.toString());
    await tape.add(page, { kind: 'expect', claim, locators: found ? [found] : [] });
    return;
  }
  if (claim !== 'visible' && typeof wanted !== 'string') return;
  const element = await locator.elementHandle({ timeout: 1_000 }).catch(() => null);
  const look = element && (await lookAt(element, locator, { origins: tape.origins(page), hiddenIsFine: false }));
  if (!look) return;
  await tape.add(page, { kind: 'expect', claim, look, ...(typeof wanted === 'string' ? { text: wanted } : {}) });
}
