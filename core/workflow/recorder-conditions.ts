import type { Condition, Locator } from '../ports/browser.ts';
import { escapePattern, isVolatile, type RecordedData } from './recorder-data.ts';
import type { PageSight, RecordedEvent } from './recording.ts';

type Act = Extract<RecordedEvent, { kind: 'act' }>;

/** What is known of the moment after a step. */
export interface Aftermath {
  readonly before: PageSight;
  /** The page when the next thing began; absent when nothing was seen of it. */
  readonly after: PageSight | undefined;
  /** Where the next step acts, when it was in sight then. */
  readonly next: Locator | undefined;
  /** What the spec itself claimed in between. */
  readonly claims: readonly Condition[];
  /** A value was typed or chosen earlier: what pages say may follow from it. */
  readonly isAfterData: boolean;
  /** Such a value stands in a form of this very page: what the address then says may be made of it. */
  readonly isFormFilled: boolean;
}

/** Made anew for every visit. */
const PASSING_PARAMETER = /nonce|csrf|token|session|state|code|ticket|^_|time|stamp|rand|sid$/i;

/** What a click, a key or an address led to, in claims that hold for other values, too. */
export function changeOf(aftermath: Aftermath, own: Locator | undefined, data: RecordedData): Condition {
  const { before, after, next, claims, isAfterData, isFormFilled } = aftermath;
  const address = after && addressChange(before.url, after.url, data, isFormFilled);
  const sights = after && !isAfterData ? newSights(before, after, data) : [];
  const gone: Condition[] =
    own && after?.isLastGone && claims.length === 0 && !address && !next ? [{ kind: 'hidden', locator: own }] : [];
  const all: Condition[] = [
    ...(address ? [address] : []),
    ...claims,
    ...(next ? [{ kind: 'visible', locator: next } as const] : []),
    ...(claims.length === 0 && !next ? sights : []),
    ...gone,
  ];
  return all.length === 0 ? SOMETHING : together(all);
}

/** A page is there at all; nothing holds on an error page of the browser. */
const SOMETHING: Condition = { kind: 'visible', locator: { by: 'css', selector: 'body' } };

export function together(all: readonly Condition[]): Condition {
  const seen = new Set<string>();
  const distinct = all.filter((one) => !seen.has(JSON.stringify(one)) && seen.add(JSON.stringify(one)) !== undefined);
  const [only, second] = distinct;
  return only !== undefined && second === undefined ? only : { kind: 'all', of: [...distinct] };
}

/**
 * The path when it says nothing of the recorded values, and the pairs of the query that are new; `isFromForm`: only those
 * that are a value as it was filled in, since the others may follow from one, as an option's value from its words.
 */
export function addressChange(
  from: string,
  to: string,
  data: RecordedData,
  isFromForm: boolean,
): Condition | undefined {
  const [old, now] = [URL.parse(from), URL.parse(to)];
  const address = data.address(to);
  if (!now || address === undefined) return undefined;
  const isElsewhere = old?.origin !== now.origin || old.pathname !== now.pathname;
  const segments = now.pathname.split('/');
  const isTold = segments.some((segment) => /^\d+$/.test(segment) || isVolatile(segment) || data.mentions(segment));
  const folder = address.replace('{base}', '').split(/[?#]/)[0] ?? '';
  const path = isElsewhere && !isTold && !folder.includes('{') ? { path: `{basePath}${folder}` } : {};
  const known = isElsewhere ? new URLSearchParams() : (old?.searchParams ?? new URLSearchParams());
  const query = Object.fromEntries(
    [...now.searchParams].flatMap(([name, value]) => {
      const held = data.template(value);
      const isWhole = /^\{\w+\}$/.test(held);
      const isLasting = value !== '' && held === value && !isVolatile(value) && !/^\d{2,}$/.test(value);
      const isFine = isWhole || (!isFromForm && isLasting && !data.mentions(value));
      const isOwn = PASSING_PARAMETER.test(name) || value.includes('://') || /[{}]/.test(value);
      return known.get(name) !== value && isFine && !isOwn ? [[name, held] as const] : [];
    }),
  );
  const hasQuery = Object.keys(query).length > 0;
  if (!('path' in path) && !hasQuery) return undefined;
  return { kind: 'url', ...path, ...(hasQuery ? { query } : {}) };
}

function newSights(before: PageSight, after: PageSight, data: RecordedData): readonly Condition[] {
  const isKnown = (name: string) => before.sights.some((sight) => sight.name === name);
  return after.sights
    .filter(
      ({ name }) =>
        !isKnown(name) && !isVolatile(name) && !/\d/.test(name) && !data.mentions(name) && !/[{}]/.test(name),
    )
    .slice(0, 2)
    .map(({ role, name }) => {
      const isNamed = role === 'heading' || role === 'dialog';
      const locator: Locator = isNamed ? { by: 'role', role, name } : { by: 'role', role, hasText: name };
      return { kind: 'visible', locator };
    });
}

/** What a field holds after it was filled, as far as that follows from what a run fills in. */
export function heldValue(event: Act, written: string, locator: Locator, data: RecordedData): Condition {
  const { valueAfter } = event;
  if (valueAfter === undefined || valueAfter === '') return { kind: 'visible', locator };
  if (valueAfter !== event.value || written.startsWith('{secret:'))
    return { kind: 'value', locator, matches: '[\\s\\S]+' };
  return data.template(valueAfter) === written
    ? { kind: 'value', locator, equals: written }
    : { kind: 'value', locator, matches: escapePattern(valueAfter) };
}

/** What the spec itself expected, when it holds for other values. */
export function claimOf(
  event: Extract<RecordedEvent, { kind: 'expect' }>,
  bound: (event: RecordedEvent) => Locator | undefined,
  data: RecordedData,
  isAfterData: boolean,
): Condition | undefined {
  const locator = bound(event);
  const text = event.text === undefined ? undefined : data.template(event.text);
  const isLasting =
    event.text === undefined ||
    (!isVolatile(event.text) && !/[{}]/.test(event.text) && data.leaksIn(event.text).length === 0);
  const isPlain = text === event.text;
  const isCount = isAfterData && /\d/.test(event.text ?? '') && isPlain;
  if (!isLasting || isCount) return undefined;
  // In other letters than it was typed in, a value may show in any: only where it shows is claimed.
  if (event.claim === 'text' && isPlain && isAfterData && data.mentions(event.text ?? ''))
    return locator && { kind: 'visible', locator };
  switch (event.claim) {
    case 'url':
      return addressChange('about:blank', event.before.url, data, isAfterData);
    case 'hidden': {
      const [hidden] = data.locators(event.locators ?? [], false);
      return hidden && { kind: 'hidden', locator: hidden };
    }
    case 'visible':
      return locator && { kind: 'visible', locator };
    case 'text':
      return locator && text !== undefined && locator.hasText === undefined && text !== ''
        ? { kind: 'visible', locator: { ...locator, hasText: text } }
        : undefined;
    case 'value':
      return locator && text !== undefined ? { kind: 'value', locator, equals: text } : undefined;
  }
}
