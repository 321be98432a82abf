import type { Fingerprint, Locator } from '../ports/browser.ts';
import { holdsSecret } from '../redaction.ts';
import { Secret } from '../secret.ts';
import type { RecordedIdentity } from './elements.ts';
import { placeholdersIn } from './placeholders.ts';
import type { Recording } from './recording.ts';

/**
 * What a recording knows only of its own day: the values that were typed, what came back, what pages count up. Words that
 * hold such a value become placeholders, or are left out.
 */
export interface RecordedData {
  /** The text with `{name}` for every value of an input that stands in it as a word of its own. */
  template(text: string): string;
  /** Whether a typed value stands in it: as it is, within words of an address, or by one of its longer words. */
  mentions(text: string): boolean;
  /** The secret that the text is, as a whole. */
  slotOf(text: string): string | undefined;
  /** `{base}/…` for an address of the site; `undefined` for any other. */
  address(url: string): string | undefined;
  /** The locators as they hold for other values, best first. `isBound`: which element it is follows from an input. */
  locators(locators: readonly Locator[], isBound: boolean): readonly Locator[];
  /** `isBound`, as above: then the name must be the one that the run's values make. */
  identity(identity: RecordedIdentity, isBound?: boolean): RecordedIdentity;
  /** `isBound`, as above: then words keep placeholders of the values, by which a run tells it from others. */
  fingerprint(print: Fingerprint, isBound?: boolean): Fingerprint;
  /** Which secrets or results stand in the text, in any encoding: `the secret admin_password`. */
  leaksIn(text: string): readonly string[];
}

/** From here on a value is looked for inside other words; a shorter one is only recognised as the whole text. */
const SHORTEST_PART = 3;
/** Results of fewer signs, or without a digit, are everyday words. */
const SHORTEST_RESULT = 6;
/** Numbers of orders, ids, hashes, times, e-mail addresses: no page shows them twice. */
const VOLATILE = /\d{4,}|[0-9a-f]{8}-[0-9a-f]{4}-|\b(?=[a-z]*\d)[0-9a-f]{10,}\b|\S@\S+\.\S|\b\d{1,2}[:.]\d{2}\b/i;

export function isVolatile(text: string): boolean {
  return VOLATILE.test(text);
}

export function recordedData(recording: Recording): RecordedData {
  const inputs = recording.inputs
    .filter(({ value }) => value !== '')
    .toSorted((a, b) => b.value.length - a.value.length);
  const base = recording.base ?? '';
  const secrets = recording.secrets.map(({ name, value }) => ({ name, secret: new Secret(value) }));
  const results = recording.results.filter(({ value }) => value.length >= SHORTEST_RESULT && /\d/.test(value));

  const template = (text: string): string => {
    const whole = inputs.find(({ value }) => value === text);
    if (whole) return `{${whole.name}}`;
    return inputs
      .filter(({ value }) => value.length >= SHORTEST_PART)
      .reduce((rest, { name, value }) => replaceWord(rest, value, `{${name}}`), text);
  };
  const leaksIn = (text: string) => [
    ...secrets.filter(({ secret }) => holdsSecret(text, [secret])).map(({ name }) => `the secret ${name}`),
    ...results
      .filter(({ value }) => encodingsOf(value).some((one) => text.includes(one)))
      .map(({ name }) => `the result ${name}`),
  ];
  const values = [...inputs, ...recording.secrets]
    .map(({ value }) => fold(value))
    .filter((value) => value.length >= SHORTEST_PART);
  const words = new Set([
    ...values,
    ...inputs.flatMap(({ value }) => fold(value).split(' ')).filter((word) => word.length >= SHORTEST_PART),
  ]);
  const mentions = (text: string) => {
    const folded = ` ${fold(safeDecode(text))} `;
    return [...words].some((word) => folded.includes(` ${word} `));
  };
  const parts = new Set(inputs.flatMap(({ value }) => partsOf(value)).filter((word) => word.length >= SHORTEST_PART));
  /** A whole value stands in it, or most of it is words of values, as they were written: "Token" is no part of "My token". */
  const isMade = (text: string, isWords: boolean) => {
    const folded = fold(safeDecode(text));
    const all = partsOf(text);
    const isWhole = values.some((value) => ` ${folded} `.includes(` ${value} `));
    return isWhole || (isWords && 2 * all.filter((word) => parts.has(word)).length > all.length);
  };
  const shows = (text: string) => recording.results.some(({ value }) => value !== '' && text.includes(value));

  const textOf = (text: string): string | undefined => (hasBraces(text) ? undefined : template(text));
  const locatorOf = (locator: Locator): Locator | undefined => {
    const outer = locator.within === undefined ? undefined : locatorOf(locator.within);
    if (locator.within !== undefined && outer === undefined) return undefined;
    const held = locator.hasText === undefined ? undefined : textOf(locator.hasText);
    if (locator.hasText !== undefined && held === undefined) return undefined;
    const rest = { ...(outer ? { within: outer } : {}), ...(held === undefined ? {} : { hasText: held }) };
    switch (locator.by) {
      case 'css':
        return hasBraces(locator.selector) || template(locator.selector) !== locator.selector || shows(locator.selector)
          ? undefined
          : { ...locator, ...rest };
      case 'role': {
        const name = locator.name === undefined ? undefined : textOf(locator.name);
        if (locator.name !== undefined && (name === undefined || shows(locator.name))) return undefined;
        return { ...locator, ...(name === undefined ? {} : { name }), ...rest };
      }
      default: {
        const text = shows(locator.text) ? undefined : textOf(locator.text);
        return text === undefined ? undefined : { ...locator, text, ...rest };
      }
    }
  };

  return {
    template,
    mentions,
    leaksIn,
    slotOf: (text) => recording.secrets.find(({ value }) => value === text)?.name,
    address: (url) => addressOf(url, base, template),
    locators(locators, isBound) {
      const held = locators.flatMap((locator) => locatorOf(locator) ?? []);
      const bound = held.filter((locator) => placeholdersIn(JSON.stringify(locator)).length > 0);
      return isBound ? bound : held.length > bound.length ? held.filter((one) => !bound.includes(one)) : held;
    },
    identity(identity, isBound = false) {
      const { name = '' } = identity;
      const held = template(name);
      const isMadeByInputs = isBound && held !== name && !hasBraces(name) && !isVolatile(held) && !/\(\d+\)/.test(held);
      return isMadeByInputs ? { ...identity, name: held } : identityOf(identity, template);
    },
    fingerprint: (print, isBound = false) =>
      fingerprintOf(print, (text, isWords) => {
        if (shows(text) || hasBraces(text)) return undefined;
        if (isVolatile(text) && leaksIn(text).length === 0) return undefined; // a leak is kept, to be refused by name
        const held = template(text);
        if (held !== text) return isBound && isWords && !isVolatile(held) ? held : undefined;
        return isMade(text, isWords) ? undefined : text;
      }),
  };
}

/** A name that holds a value, or a number that counts something, is compared by what stands around it. */
function identityOf({ name, ...rest }: RecordedIdentity, template: (text: string) => string): RecordedIdentity {
  if (name === undefined) return rest;
  const held = template(name);
  if (/^\{\w+\}$/.test(held)) return rest;
  const isVarying = held !== name || isVolatile(name) || /\(\d+\)/.test(name);
  if (!isVarying) return { ...rest, name };
  const parts = held
    .split(/(\{\w+\}|\d+)/)
    .map((part, i) => (i % 2 === 0 ? escapePattern(part) : part[0] === '{' ? '.*' : '\\d+'));
  return { ...rest, nameMatches: parts.join('') };
}

const NAMED_BY_PROGRAMS = new Set(['type', 'role', 'id', 'testId', 'fieldName', 'href', 'classes']);

/** Without what the recorded values made of it: it would only pull a search towards the recorded day. */
function fingerprintOf(
  print: Fingerprint,
  lasting: (text: string, isWords: boolean) => string | undefined,
): Fingerprint {
  const kept = Object.entries(print).flatMap(([key, value]: [string, unknown]) => {
    const isWords = !NAMED_BY_PROGRAMS.has(key);
    if (Array.isArray(value)) {
      const all = value.flatMap((text) => lasting(String(text), isWords) ?? []);
      return all.length > 0 ? [[key, all] as const] : [];
    }
    const held = key === 'tag' || typeof value !== 'string' ? value : lasting(value, isWords);
    return held === undefined ? [] : [[key, held] as const];
  });
  return Object.fromEntries(kept) as unknown as Fingerprint; // some of its own fields, `tag` among them
}

function addressOf(url: string, base: string, template: (text: string) => string): string | undefined {
  const parsed = URL.parse(url);
  const root = URL.parse(base);
  if (!parsed || !root || parsed.origin !== root.origin) return undefined;
  const folder = root.pathname.replace(/\/+$/, '');
  if (folder !== '' && parsed.pathname !== folder && !parsed.pathname.startsWith(`${folder}/`)) return undefined;
  const rest = `${parsed.pathname.slice(folder.length)}${parsed.search}${parsed.hash}`;
  // The site's own address within an address, as in `redirect_to=`, and every value in it.
  const parts = rest.split(/([/?#&=])/).map((part, i) => {
    if (i % 2 === 1) return part;
    const text = safeDecode(part.replaceAll('+', ' '));
    if (text.startsWith(base) && base !== '') return `{base}${encodeURIComponent(text.slice(base.length))}`;
    const held = template(text);
    return held === text ? part.replaceAll(/[{}]/g, encodeURIComponent) : encodeAround(held);
  });
  return `{base}${parts.join('')}`;
}

/** Placeholders are encoded when they are filled. */
function encodeAround(held: string): string {
  return held
    .split(/(\{\w+\})/)
    .map((part, i) => (i % 2 === 1 ? part : encodeURIComponent(part)))
    .join('');
}

/** As pages and addresses show it; a result is no secret whose parts would give it away. */
function encodingsOf(value: string): readonly string[] {
  return [value, encodeURIComponent(value), Buffer.from(value).toString('base64').replace(/=+$/, '')];
}

function hasBraces(text: string): boolean {
  return placeholdersIn(text).length > 0;
}

function replaceWord(text: string, value: string, by: string): string {
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])${escapePattern(value)}(?![\\p{L}\\p{N}])`, 'gu');
  return text.replace(pattern, by);
}

export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** Small letters and digits, everything else one space: as slugs and headings alike keep a value's words. */
function fold(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

function partsOf(text: string): readonly string[] {
  return text.match(/[\p{L}\p{N}]+/gu) ?? [];
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
