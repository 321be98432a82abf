import type { Secret } from './secret.ts';
import { type SecretKind, type SecretShape, SHAPES, UNLABELLED } from './secret-shapes.ts';

export type { SecretKind } from './secret-shapes.ts';

/** Half-open, in UTF-16 code units. */
interface Range {
  readonly start: number;
  readonly end: number;
}

export interface FoundSecret extends Range {
  readonly kind: SecretKind;
}

/** The secrets in use right now, which no sink may print in any encoding. */
export interface SecretRegistry {
  add(secret: Secret): void;
  remove(secret: Secret): void;
  all(): readonly Secret[];
}

const REPLACEMENT = '[secret]';
/** From here on a part of a secret gives it away: the first 8 characters of any encoding are looked for. */
const PREFIX_LENGTH = 8;
/** As far as the patterns look by themselves: a longer value behind a label is no word of a sentence, so it needs no judging. */
const LONGEST_JUDGED = 256;

export function createSecretRegistry(): SecretRegistry {
  const secrets = new Set<Secret>();
  return {
    add: (secret) => void secrets.add(secret),
    remove: (secret) => void secrets.delete(secret),
    all: () => [...secrets],
  };
}

/**
 * Finds what looks like a secret: key shapes, headers, addresses with a password, PEM, `password: …`.
 * Ranges are in order and don't overlap. Linear in the text's length.
 */
export function findSecrets(text: string, among: readonly SecretShape[] = SHAPES): readonly FoundSecret[] {
  const lower = text.toLowerCase();
  const shapes = among.filter(({ keywords }) => keywords.some((word) => lower.includes(word)));
  return merge([findAddresses(text), findPrivateKeys(text), shapes.map((shape) => findShape(text, shape))].flat(2));
}

/**
 * Replaces every known secret, in whatever encoding, and everything that looks like one, by `[secret]`. Linear in the
 * text's length.
 */
export function redact(text: string, known: readonly Secret[]): string {
  return without(text, merge<Range>([findAllKnown(text, known), findSecrets(text)].flat()));
}

/**
 * The same for words that people decide by, such as the address on a consent card: known secrets, and what looks like one
 * whatever stands before it. A gap in what is approved would be worse than a guess that a label was followed by a secret.
 */
export function redactShown(text: string, known: readonly Secret[]): string {
  return without(text, merge<Range>([findAllKnown(text, known), findSecrets(text, UNLABELLED)].flat()));
}

/** Whether one of the secrets stands in the text, in whatever encoding. */
export function holdsSecret(text: string, known: readonly Secret[]): boolean {
  return findAllKnown(text, known).length > 0;
}

function without(text: string, ranges: readonly Range[]): string {
  let result = '';
  let position = 0;
  for (const { start, end } of ranges) {
    result += text.slice(position, start) + REPLACEMENT;
    position = end;
  }
  return result + text.slice(position);
}

function findShape(text: string, shape: SecretShape): FoundSecret[] {
  const found: FoundSecret[] = [];
  const pattern = new RegExp(shape.pattern);
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [start, bound] = rangeOf(match);
    const whole = endOfTail(text, bound, shape.tail);
    const end = shape.tail ? withoutPunctuation(text, start, whole) : whole;
    const isSecret =
      whole - start > LONGEST_JUDGED ||
      (shape.accepts?.(text.slice(start, whole), text.slice(whole, whole + 40)) ?? true);
    if (isSecret) found.push({ kind: shape.kind, start, end });
    // What was refused as a value may itself be the label of one.
    pattern.lastIndex = isSecret ? end : Math.max(start, match.index + 1);
  }
  return found;
}

function endOfTail(text: string, bound: number, tail: RegExp | undefined): number {
  let end = bound;
  while (tail && end < text.length && tail.test(text.charAt(end))) end++;
  return end;
}

/** The first named group that took part, else the whole match. */
function rangeOf(match: RegExpExecArray): [number, number] {
  const groups = match.indices?.groups ?? {};
  return Object.values(groups).find((range) => range !== undefined) ?? [match.index, match.index + match[0].length];
}

/** The sentence's own punctuation is no part of the secret, and losing `!` of a password gives nothing away. */
function withoutPunctuation(text: string, start: number, end: number): number {
  let last = end;
  while (last > start + 1 && '.,;:?)]}'.includes(text.charAt(last - 1))) last--;
  return last;
}

/** `scheme://name:password@host`: the part before the `@`, also when the password holds a slash. */
function findAddresses(text: string): FoundSecret[] {
  const found: FoundSecret[] = [];
  for (let at = text.indexOf('://'); at >= 0; ) {
    const start = at + 3;
    const end = endOfAddress(text, start);
    const userinfo = userinfoOf(text.slice(start, end));
    if (userinfo > 0) found.push({ kind: 'url_credentials', start, end: start + userinfo });
    at = text.indexOf('://', Math.max(end, start));
  }
  return found;
}

function endOfAddress(text: string, start: number): number {
  let end = start;
  while (end < text.length && !/[\s"'<>`]/.test(text.charAt(end))) end++;
  return end;
}

/** @returns how long `name:password` is, 0 when there is none. */
function userinfoOf(rest: string): number {
  const slash = rest.search(/[/?#]/);
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const at = authority.lastIndexOf('@');
  if (at > 0) return authority.lastIndexOf(':', at) >= 0 || at >= 16 ? at : 0;
  // `u:pa/ss@host`: no port, for a port is all digits.
  const hasPort = /^[^:]*(?::[0-9]*)?$/.test(authority);
  const late = rest.lastIndexOf('@');
  return !hasPort && late > 0 ? late : 0;
}

function findPrivateKeys(text: string): FoundSecret[] {
  const found: FoundSecret[] = [];
  const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
  for (let match = begin.exec(text); match; match = begin.exec(text)) {
    const close = text.indexOf('-----END', match.index);
    const closed = close < 0 ? -1 : text.indexOf('-----', close + 8);
    const end = closed < 0 ? text.length : closed + 5;
    found.push({ kind: 'private_key', start: match.index, end });
    begin.lastIndex = end;
  }
  return found;
}

function merge<T extends Range>(found: readonly T[]): T[] {
  const merged: T[] = [];
  for (const next of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1);
    if (last && next.start < last.end) merged[merged.length - 1] = { ...last, end: Math.max(last.end, next.end) };
    else merged.push(next);
  }
  return merged;
}

/** Where known secrets stand, in any of their encodings, broken up, interspersed with signs, or cut off after 8 characters. */
function findAllKnown(text: string, known: readonly Secret[]): Range[] {
  if (known.length === 0) return [];
  const [folded, loose] = [fold(text), loosen(text)];
  return known.flatMap((secret) => {
    const needles = needlesOf(secret);
    return [
      ...needles.folded.flatMap((needle) => findNeedle(folded, needle)),
      ...needles.loose.flatMap((needle) => findNeedle(loose, needle)),
    ];
  });
}

function findNeedle(folded: Folded, needle: string): Range[] {
  const found: Range[] = [];
  const prefix = needle.slice(0, PREFIX_LENGTH);
  for (let at = folded.text.indexOf(prefix); at >= 0; ) {
    let length = prefix.length;
    while (length < needle.length && folded.text[at + length] === needle[length]) length++;
    const start = folded.starts[at] ?? 0;
    const end = folded.ends[at + length - 1] ?? start + 1;
    if (needle.length >= 4 || standsAlone(folded.original, start, end)) found.push({ start, end });
    at = folded.text.indexOf(prefix, at + length);
  }
  return found;
}

/** A secret of one to three characters is only recognised as a word of its own. */
function standsAlone(text: string, start: number, end: number): boolean {
  return !/[A-Za-z0-9]/.test(text.charAt(start - 1)) && !/[A-Za-z0-9]/.test(text.charAt(end));
}

/** A text in small letters without what does not count, and where each of its characters stood. */
interface Folded {
  readonly original: string;
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const INVISIBLE = /[\s\u00ad\u200b-\u200f\u2060\ufeff]/;

/** Without white space. */
function fold(original: string): Folded {
  const starts: number[] = [];
  const ends: number[] = [];
  let text = '';
  for (let index = 0; index < original.length; index++) {
    const character = original.charAt(index);
    const isEscapedBreak = character === '\\' && 'nrt'.includes(original.charAt(index + 1) || ' ');
    if (isEscapedBreak) index++;
    if (isEscapedBreak || INVISIBLE.test(character)) continue;
    text += small(character);
    starts.push(index);
    ends.push(index + 1);
  }
  return { original, text, starts, ends };
}

/** One character, or a run of bytes, as URLs, HTML and programs write those that they could also write as they are. */
const ESCAPED =
  /(?<url>(?:%[0-9a-f]{2})+)|&#x(?<hex>[0-9a-f]{1,6});|&#(?<decimal>[0-9]{1,7});|\\(?:u|x(?=[0-9a-f]{2}(?![0-9a-f]{2})))(?<code>[0-9a-f]{2,4})/iy;
const COUNTS = /[\p{L}\p{N}]/u;

/** Letters and digits alone, escaped ones as what they stand for: `%6Be/y-` is `key`. */
function loosen(original: string): Folded {
  const starts: number[] = [];
  const ends: number[] = [];
  let text = '';
  for (let index = 0; index < original.length; ) {
    const { characters, length } = unescaped(original, index);
    for (const character of characters) {
      if (!COUNTS.test(character)) continue;
      // What stands outside of the plane that one code unit covers counts twice.
      for (const unit of small(character).split('')) {
        text += unit;
        starts.push(index);
        ends.push(index + length);
      }
    }
    index += length;
  }
  return { original, text, starts, ends };
}

function unescaped(text: string, index: number): { characters: string; length: number } {
  const character = text.charAt(index);
  if (character !== '%' && character !== '&' && character !== '\\') return { characters: character, length: 1 };
  ESCAPED.lastIndex = index;
  const match = ESCAPED.exec(text);
  if (!match) return { characters: character, length: 1 };
  const { url, hex, decimal, code } = match.groups ?? {};
  if (url !== undefined)
    return { characters: Buffer.from(url.replaceAll('%', ''), 'hex').toString('utf8'), length: url.length };
  const point = decimal === undefined ? Number.parseInt(hex ?? code ?? '', 16) : Number(decimal);
  return { characters: point <= 0x10ffff ? String.fromCodePoint(point) : '', length: match[0].length };
}

/** A few capitals become two characters, which would shift the rest: they stay. */
function small(character: string): string {
  const isPlain = character < '\u0080' && (character < 'A' || character > 'Z');
  const lower = isPlain ? character : character.toLowerCase();
  return lower.length === character.length ? lower : character;
}

/** What is looked for in the two foldings. */
interface Needles {
  readonly folded: readonly string[];
  readonly loose: readonly string[];
}

const cachedNeedles = new WeakMap<Secret, Needles>();

function needlesOf(secret: Secret): Needles {
  const cached = cachedNeedles.get(secret);
  if (cached) return cached;
  const text = secret.reveal().toWellFormed();
  const codes = [text, text.replace(/\s+/g, '')].flatMap(encode);
  const folded = new Set(codes.map((code) => fold(code).text));
  folded.delete('');
  // What few letters and digits are left of a short secret is found in ordinary words, too.
  const loose = new Set(codes.map((code) => loosen(code).text).filter(({ length }) => length >= PREFIX_LENGTH));
  const needles = { folded: [...folded], loose: [...loose] };
  cachedNeedles.set(secret, needles);
  return needles;
}

/** As HTML writers put them. */
const QUOTES = ['"', '&quot;', '&#34;', '&#x22;'];
const APOSTROPHES = ["'", '&#39;', '&#x27;', '&apos;'];

/** The ways in which a text may be written down and still be read; those that end or begin in the middle of something included. */
export function encode(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8');
  const json = JSON.stringify(text).slice(1, -1);
  const html = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const base64 = [0, 1, 2].map((offset) => base64Inside(bytes, offset)).filter((code) => code.length >= PREFIX_LENGTH);
  return [
    text,
    [...text].reverse().join(''),
    encodeURIComponent(text),
    encodeURIComponent(encodeURIComponent(text)),
    new URLSearchParams([['', text]]).toString().slice(1),
    json,
    JSON.stringify(json).slice(1, -1),
    ...QUOTES.flatMap((quote) => APOSTROPHES.map((mark) => html.replaceAll('"', quote).replaceAll("'", mark))),
    ...(bytes.length >= 3 ? [bytes.toString('hex'), Buffer.from(text, 'utf16le').toString('hex')] : []),
    ...base64,
    ...base64.map((code) => code.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

/** The characters of base64 that depend on these bytes alone, when `offset` bytes (modulo 3) stand before them. */
function base64Inside(bytes: Buffer, offset: number): string {
  const code = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replace(/=+$/, '');
  const head = offset === 0 ? 0 : offset + 1;
  const loose = (bytes.length + offset) % 3 === 0 ? 0 : 1;
  return code.slice(head, code.length - loose);
}
