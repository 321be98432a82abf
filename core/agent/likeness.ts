import type { Box, Fingerprint } from '../ports/browser.ts';
import { wordingOf, wordsIn } from './wording.ts';

// How alike two properties are, from 0 to 1; `undefined`: nothing was recorded, so nothing is said.

export function same(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || a === '') return undefined;
  return a === b ? 1 : 0;
}

/** Identifiers are the same in whatever way their words are joined: `billing_city`, `billing-city`, `billing[city]`. */
export function sameIdentifier(a: string | undefined, b: string | undefined): number | undefined {
  const joined = (name: string) =>
    name
      .split(/[^\p{L}\p{N}]+/u)
      .filter(Boolean)
      .join(' ');
  return a === undefined || isMadeUp(a) ? undefined : same(joined(a), joined(b ?? ''));
}

/** An id that ends in a number is mostly counted up anew with each page, such as `mat-input-3`. */
export function sameId(a: string | undefined, b: string | undefined): number | undefined {
  return a === undefined || /\d$/.test(a) ? undefined : sameIdentifier(a, b);
}

/** Jaccard's index. */
export function shared(a: readonly string[] | undefined, b: readonly string[] | undefined): number | undefined {
  if (!a || a.length === 0) return undefined;
  const [x, y] = [new Set(a), new Set(b ?? [])];
  let both = 0;
  for (const item of x) if (y.has(item)) both += 1;
  return both / (x.size + y.size - both);
}

/**
 * Names that a build or a framework makes up anew each time: hashes, counters, GUIDs. Agreement of such a name says
 * nothing, and neither does its change.
 */
export function isMadeUp(name: string | undefined): boolean {
  if (name === undefined) return false;
  if (/^(?::r|«r|_r_|radix-|headlessui-|react-|mui-|ember\d|ext-|css-|sc-|jsx-|svelte-|emotion-)/i.test(name))
    return true;
  if (/[0-9a-f]{8}-[0-9a-f]{4}/i.test(name) || /\d{4,}/.test(name)) return true;
  return name.split(/[-_:.]+/).some(isHash);
}

/** Digits among letters, or letters that no word has in this order. */
function isHash(part: string): boolean {
  if (part.length < 5) return false;
  const digits = part.match(/\d/g)?.length ?? 0;
  if (digits > 0 && /\d[a-z]+\d|[a-z]\d+[a-z]/i.test(part)) return true;
  const changes = part.match(/[a-z][A-Z]|[A-Z]{2}[a-z]/g)?.length ?? 0;
  const isCamel = /^[a-z]+(?:[A-Z][a-z]{2,})+$/.test(part) || /^(?:[A-Z][a-z]{2,})+$/.test(part);
  return changes >= 2 && !isCamel;
}

/** How many of the recorded words around are still around, whatever else came; the same phrase counts most. */
export function alikeNeighbours(a: Fingerprint['neighbours'], b: Fingerprint['neighbours']): number | undefined {
  if (!a || a.length === 0) return undefined;
  const other = b ?? [];
  if (other.length === 0) return 0;
  const phrases = new Set(other.map(phraseOf));
  const words = new Set(other.flatMap(wordsIn));
  let sum = 0;
  let most = 0;
  for (const [i, phrase] of a.entries()) {
    const weight = 1 / (i + 1); // nearest first
    most += weight;
    if (phrases.has(phraseOf(phrase))) sum += weight;
    else sum += weight * 0.6 * (covered(wordsIn(phrase), words) ?? 0);
  }
  return sum / most;
}

const phraseCache = new Map<string, string>();
const MOST_CACHED = 5_000;

/** A phrase by its meaning, so that a translated label is the same neighbour. */
function phraseOf(text: string): string {
  const known = phraseCache.get(text);
  if (known !== undefined) return known;
  if (phraseCache.size >= MOST_CACHED) phraseCache.clear();
  const phrase = [...wordingOf(text).terms].sort().join(' ');
  phraseCache.set(text, phrase);
  return phrase;
}

function covered(words: readonly string[], among: ReadonlySet<string>): number | undefined {
  return words.length === 0 ? undefined : words.filter((word) => among.has(word)).length / words.length;
}

/** How much of the recorded way is still there in its order: the longest common subsequence. */
export function alikePath(a: readonly string[] | undefined, b: readonly string[] | undefined): number | undefined {
  if (!a || a.length === 0) return undefined;
  const other = (b ?? []).map(phraseOf);
  let row: number[] = new Array(other.length + 1).fill(0);
  for (const part of a.map(phraseOf)) {
    const next = [0];
    for (const [j, own] of other.entries())
      next.push(part === own ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0));
    row = next;
  }
  return (row[other.length] ?? 0) / Math.max(a.length, other.length);
}

/** The same path and query, wherever the site stands; the same path alone is half of it. A bare `#` leads nowhere. */
export function alikeAddress(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || a === '' || a === '#' || /^javascript:/i.test(a)) return undefined;
  if (a === b) return 1;
  const [x, y] = [addressOf(a), addressOf(b ?? '')];
  if (x.path !== y.path) return 0;
  return x.query === y.query ? 1 : 0.5;
}

function addressOf(href: string): { readonly path: string; readonly query: string } {
  const url = URL.parse(href, 'http://site.invalid/');
  if (!url) return { path: href, query: '' };
  url.searchParams.sort();
  return { path: url.pathname + url.hash, query: url.searchParams.toString() };
}

const NEAR_PX = 300;

export function alikePlace(a: Box | undefined, b: Box | undefined): number | undefined {
  if (!a || !b) return undefined;
  const distance = Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2);
  return Math.max(0, 1 - distance / NEAR_PX);
}

export function alikeSize(a: Box | undefined, b: Box | undefined): number | undefined {
  if (!a || !b) return undefined;
  const ratio = (x: number, y: number) => (Math.max(x, y) === 0 ? 1 : Math.min(x, y) / Math.max(x, y));
  return ratio(a.width, b.width) * ratio(a.height, b.height);
}
