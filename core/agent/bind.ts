import type { FoundElement, LiveCondition, Locator, ValueClaim } from '../ports/browser.ts';
import type { KnownElement } from '../workflow/known.ts';
import { seeElement } from './relocation.ts';
import type { Stage } from './stage.ts';

/**
 * The same claim, with what it says by one of the locators said of the element itself: locators that no longer find it, or
 * find another one, prove nothing, and an element that they miss is not hidden for that.
 */
export function boundTo(condition: LiveCondition, locators: readonly Locator[], element: FoundElement): LiveCondition {
  const keys = new Set(locators.map((locator) => JSON.stringify(locator)));
  return rewritten(condition, (locator) => (keys.has(JSON.stringify(locator)) ? element : undefined));
}

/** Whether the claim says of a known element that it shows or what it holds. */
export function mentionsKnown(condition: LiveCondition, known: readonly KnownElement[]): boolean {
  return known.length > 0 && mentioned(condition, known).length > 0;
}

/**
 * The same claim about known elements, each looked for by its fingerprint where it is not where it was recorded;
 * `undefined` when none was found. Only what shows or what a value is can be claimed so: that nothing was found proves
 * nothing.
 */
export async function boundToKnown(stage: Stage, condition: LiveCondition): Promise<LiveCondition | undefined> {
  const elements = new Map<string, FoundElement>();
  for (const { locator, element: known } of mentioned(condition, stage.known)) {
    if (elements.has(JSON.stringify(locator))) continue;
    const element = await seeElement(stage, known);
    if (element !== undefined) elements.set(JSON.stringify(locator), element);
  }
  if (elements.size === 0) return undefined;
  return rewritten(condition, (locator, kind) =>
    kind === 'hidden' ? undefined : elements.get(JSON.stringify(locator)),
  );
}

interface Mention {
  readonly locator: Locator;
  readonly element: KnownElement;
}

function mentioned(condition: LiveCondition, known: readonly KnownElement[]): readonly Mention[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.flatMap((part) => mentioned(part, known));
    case 'visible':
    case 'checked':
    case 'value': {
      const key = JSON.stringify(condition.locator);
      const element = known.find(({ locators }) => locators.some((locator) => JSON.stringify(locator) === key));
      return element === undefined ? [] : [{ locator: condition.locator, element }];
    }
    case 'hidden':
    case 'url':
    case 'element':
      return [];
    default:
      return condition satisfies never;
  }
}

type Finder = (locator: Locator, kind: 'visible' | 'hidden' | 'checked' | 'value') => FoundElement | undefined;

function rewritten(condition: LiveCondition, find: Finder): LiveCondition {
  switch (condition.kind) {
    case 'all':
      return { kind: 'all', of: condition.of.map((part) => rewritten(part, find)) };
    case 'any':
      return { kind: 'any', of: condition.of.map((part) => rewritten(part, find)) };
    case 'visible':
    case 'hidden': {
      const element = find(condition.locator, condition.kind);
      return element === undefined ? condition : { kind: 'element', handle: element.handle, is: condition.kind };
    }
    case 'checked': {
      const element = find(condition.locator, 'checked');
      const is = condition.is ? 'checked' : 'unchecked';
      return element === undefined ? condition : { kind: 'element', handle: element.handle, is };
    }
    case 'value': {
      const element = find(condition.locator, 'value');
      const { equals, matches } = condition;
      const is: ValueClaim = {
        ...(equals === undefined ? {} : { equals }),
        ...(matches === undefined ? {} : { matches }),
      };
      return element === undefined ? condition : { kind: 'element', handle: element.handle, is };
    }
    case 'url':
    case 'element':
      return condition;
    default:
      return condition satisfies never;
  }
}
