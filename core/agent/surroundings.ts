import type { Fingerprint } from '../ports/browser.ts';
import {
  agreementOf,
  areForDifferentEnds,
  isOneOfMany,
  standForContraries,
  type Wording,
  wordingOf,
  wordsIn,
} from './wording.ts';

// What stands around an element, which tells it from others of the same words.

/** In the path of an element, the row that it is in, by what that says first. */
const ROW = /^row /;
const LANDMARK = /^(?!row )/;
/** Parts that are there for one thing, as their titles say; a whole page's title says less. */
const FORM = /^(form|dialog|alertdialog|group|tabpanel) /;

function namesAround({ path = [] }: Fingerprint, kind: RegExp): readonly string[] {
  const parts = path.filter((part) => kind.test(part));
  return parts.map((part) => part.split(' ').slice(1).join(' ')).filter(Boolean);
}

/** The name of the innermost landmark or group that has one. */
function titleOf(print: Fingerprint): string {
  return namesAround(print, LANDMARK).at(-1) ?? '';
}

function wordsInAll(texts: readonly (string | undefined)[]): readonly string[] {
  return texts.flatMap((text) => wordsIn(text ?? ''));
}

/**
 * Whether they stand for contraries, whatever they say themselves: by what their forms are for, or by their identifiers,
 * their groups' titles or all around them, such as "Live keys" where it was "Test keys".
 */
export function isElsewhere(a: Fingerprint, b: Fingerprint): boolean {
  const identifiers = ({ id, testId, fieldName, href }: Fingerprint) => [id, testId, fieldName, href];
  const title = (print: Fingerprint) => [titleOf(print)];
  const all = (print: Fingerprint) => [
    ...[...identifiers(print), print.name, ...(print.neighbours ?? [])],
    ...[...namesAround(print, LANDMARK), ...namesAround(print, ROW)],
  ];
  return (
    areForDifferentEnds(wordingOf(titleOf(a)), wordingOf(titleOf(b))) ||
    [identifiers, title, all].some((of) => standForContraries(wordsInAll(of(a)), wordsInAll(of(b))))
  );
}

/** Whether both are in forms or groups of which the titles have nothing in common. */
export function areTitledOtherwise(a: Fingerprint, b: Fingerprint): boolean {
  const [ofA, ofB] = [wordingOf(namesAround(a, FORM).at(-1) ?? ''), wordingOf(namesAround(b, FORM).at(-1) ?? '')];
  const areBoth = ofA.text !== '' && ofB.text !== '';
  return areBoth && ![...ofA.terms].some((term) => ofB.terms.has(term)) && !isSaidAlike(ofA, ofB);
}

/** Terms that are said right before both of them or by groups that they are in. */
export function termsAroundBoth(a: Fingerprint, b: Fingerprint): ReadonlySet<string> {
  const termsAround = (print: Fingerprint) =>
    [...(print.neighbours ?? []).slice(0, 2), ...namesAround(print, LANDMARK), ...namesAround(print, ROW)].flatMap(
      (text) => [...wordingOf(text).terms],
    );
  const others = new Set(termsAround(b));
  return new Set(termsAround(a).filter((term) => others.has(term)));
}

/** Whether others of the same words may stand in other rows of its table or list. */
export function isInRow({ path }: Fingerprint, own: Wording): boolean {
  const last = path?.at(-1) ?? '';
  return ROW.test(last) ? wordingOf(last.replace(ROW, '')).text !== own.text : /^(table|grid)\b/.test(last);
}

/**
 * "Edit" is on every row: whose it is, the row's name tells or, where it has none, most of what stands beside it; a heading
 * above all rows does not.
 */
export function keepsOwn(a: Fingerprint, b: Fingerprint): boolean {
  const [row] = namesAround(a, ROW);
  const others = [...(b.neighbours ?? []), ...namesAround(b, ROW), ...namesAround(b, LANDMARK)].map(wordingOf);
  const isKept = (text: string) => others.some((other) => isSameName(wordingOf(text), other));
  if (row !== undefined) return isKept(row);
  const headings = namesAround(a, LANDMARK);
  const isOwn = (text: string) => !(isOneOfMany(wordingOf(text)) || headings.includes(text));
  const beside = (a.neighbours ?? []).filter(isOwn);
  return beside.length === 0 || 2 * beside.filter(isKept).length > beside.length;
}

function isSaidAlike(a: Wording, b: Wording): boolean {
  return isSameName(a, b) || (a.text !== '' && b.text !== '' && agreementOf(a, b) === 'spelling');
}

/** Names of things differ by a letter, as a.example.com and b.example.com do. */
function isSameName(a: Wording, b: Wording): boolean {
  return a.text !== '' && b.text !== '' && ['same', 'meaning'].includes(agreementOf(a, b));
}
