import type { Fingerprint } from '../ports/browser.ts';
import {
  alikeAddress,
  alikeNeighbours,
  alikePath,
  alikePlace,
  alikeSize,
  isMadeUp,
  same,
  sameId,
  sameIdentifier,
  shared,
} from './likeness.ts';
import { areTitledOtherwise, isElsewhere, isInRow, keepsOwn, termsAroundBoth } from './surroundings.ts';
import {
  type Agreement,
  agreementOf,
  isBareAct,
  isHarmful,
  isOneOfMany,
  saysWhatStandsAround,
  type Wording,
  wordingOf,
  wordsIn,
} from './wording.ts';

export type { Fingerprint } from '../ports/browser.ts';

/** Both from 0 to 1. `score`: how sure it is that this is the one; `margin`: how much surer than of the next. */
export type Relocation =
  | { readonly kind: 'found'; readonly index: number; readonly score: number; readonly margin: number }
  | {
      readonly kind: 'abstain';
      /** `none`: nothing of that sort is there; `unlike`: the best isn't like it; `other_words`: it says something else; `close`: two are alike. */
      readonly reason: 'none' | 'unlike' | 'other_words' | 'close';
      readonly score: number;
      readonly margin: number;
    };

export interface RelocateOptions {
  /** The least score. */
  readonly floor?: number;
  /** The least lead over the next candidate; mutating steps ask for more. */
  readonly margin?: number;
}

const FLOOR = 0.6;
const MARGIN = 0.3;
/** What an effect that can't be taken back asks for. */
export const MUTATING_MARGIN = 0.45;

/**
 * Finds the recorded element among candidates by everything known of it, and abstains when the best isn't clearly best:
 * pure best-score matching always picks something, so its errors are wrong clicks.
 *
 * Evidence is added up as in record linkage (Fellegi and Sunter, 1969): each property that agrees speaks for a candidate,
 * the more the rarer that agreement is among the page's candidates, so that twenty "Edit" links are told apart by what
 * stands beside them; one that differs speaks against it, but less, for redesigns change much at once. Scores are the
 * chances of each candidate against all others and against "none of them". Whatever the sum, a candidate must be of the
 * same sort and may not say something else.
 */
export function relocate(
  recorded: Fingerprint,
  candidates: readonly Fingerprint[],
  { floor = FLOOR, margin = MARGIN }: RelocateOptions = {},
): Relocation {
  const looked = lookAt(recorded, candidates);
  if (looked.length === 0) return { kind: 'abstain', reason: 'none', score: 0, margin: 0 };
  const fitting = looked.filter(({ mayMean }) => mayMean);
  if (fitting.length === 0) {
    const isInPlace = looked.some(({ isAkin }) => isAkin);
    return { kind: 'abstain', reason: isInPlace ? 'other_words' : 'unlike', score: 0, margin: 0 };
  }
  const sums = sumsOf(fitting, looked.length - 1);
  const highest = Math.max(0, ...sums);
  const chances = sums.map((sum) => Math.exp(sum - highest));
  const all = chances.reduce((total, chance) => total + chance, Math.exp(NONE - highest));
  const [best, next] = fitting
    .map(({ index }, i) => ({ index, score: (chances[i] ?? 0) / all }))
    .sort((a, b) => b.score - a.score);
  if (best === undefined) return { kind: 'abstain', reason: 'none', score: 0, margin: 0 };
  const at = { score: best.score, margin: best.score - (next?.score ?? 0) };
  if (next !== undefined && at.margin < margin && best.score + next.score >= floor)
    return { kind: 'abstain', reason: 'close', ...at };
  if (best.score < floor) return { kind: 'abstain', reason: 'unlike', ...at };
  if (at.margin < margin) return { kind: 'abstain', reason: 'close', ...at };
  return { kind: 'found', index: best.index, ...at };
}

/** Whether these words stand, one after another, in what the element says or in what stands beside it. */
export function holdsWords(
  { name, text, placeholder, title, alt, neighbours = [] }: Fingerprint,
  words: string,
): boolean {
  const wanted = ` ${wordsIn(words).join(' ')} `;
  return [name, text, placeholder, title, alt, ...neighbours].some((own) =>
    ` ${wordsIn(own ?? '').join(' ')} `.includes(wanted),
  );
}

/** The evidence that "none of them" has, in natural logarithms of odds like all the others. */
const NONE = 1.2;

/** What an element can be used for; another sort of element is never taken for it, however alike. */
export type Sort = 'press' | 'text' | 'secret' | 'choice' | 'tick' | 'radio' | 'file' | 'other';

const PRESS_TYPES = ['submit', 'button', 'reset', 'image'];
const SORT_OF_ROLE: Readonly<Record<string, Sort>> = {
  ...{ button: 'press', link: 'press', menuitem: 'press', tab: 'press', option: 'press', treeitem: 'press' },
  ...{ textbox: 'text', searchbox: 'text', spinbutton: 'text' },
  ...{ combobox: 'choice', listbox: 'choice' },
  ...{ checkbox: 'tick', switch: 'tick', menuitemcheckbox: 'tick' },
  ...{ radio: 'radio', menuitemradio: 'radio' },
};

export function sortOf({ tag, type, role }: Fingerprint): Sort {
  if (tag === 'input') {
    if (type === 'password') return 'secret';
    if (type === 'checkbox') return 'tick';
    if (type === 'radio') return 'radio';
    if (type === 'file') return 'file';
    if (PRESS_TYPES.includes(type ?? '')) return 'press';
    return role === 'combobox' ? 'choice' : 'text';
  }
  if (tag === 'textarea') return 'text';
  if (tag === 'select') return 'choice';
  return SORT_OF_ROLE[role ?? ''] ?? (['button', 'a', 'summary'].includes(tag) ? 'press' : 'other');
}

/** An input or `select` takes values that no widget of the same role takes. */
function isOfSort(recorded: Fingerprint, sort: Sort, candidate: Fingerprint): boolean {
  if (sort !== sortOf(candidate)) return false;
  if (sort === 'choice') return (recorded.tag === 'select') === (candidate.tag === 'select');
  return sort !== 'other' || recorded.tag === candidate.tag;
}

/** A candidate of the right sort. */
interface Looked {
  readonly index: number;
  /** It may be meant, going by its words. */
  readonly mayMean: boolean;
  /** Its identifier or its surroundings are the recorded ones. */
  readonly isAkin: boolean;
  readonly evidence: readonly Evidence[];
}

/** What one property says. `isPlace`: where and how large it is, which says nothing between two of the same words. */
interface Evidence {
  readonly sum: number;
  readonly isPlace?: boolean;
}

function lookAt(recorded: Fingerprint, candidates: readonly Fingerprint[]): readonly Looked[] {
  const sort = sortOf(recorded);
  const isMute = sort === 'other' && wordsOf(recorded, sort) === ''; // what it says varies: known by what is before it
  const wordsFor = (print: Fingerprint) => {
    const wording = wordingOf(isMute ? (print.neighbours?.[0] ?? '') : wordsOf(print, sort));
    return sort === 'tick' ? withoutEnabling(wording) : wording;
  };
  const wording = wordsFor(recorded);
  const ofSort = [...candidates.entries()].filter(([, candidate]) => isOfSort(recorded, sort, candidate));
  const known = withoutShared(recorded, sort, ofSort);
  const looked: Looked[] = [];
  for (const [index, candidate] of ofSort) {
    const agreement = agreementIn(recorded, candidate, wording, wordsFor(candidate));
    const mayMean =
      meansTheSame(known, candidate, sort, agreement) &&
      !isElsewhere(recorded, candidate) &&
      (keepsIdentifier(known, candidate) || isOfTheSame(recorded, candidate, wording));
    const isAkin = mayMean || keepsIdentifier(known, candidate) || keepsSurroundings(recorded, candidate);
    looked.push({ index, mayMean, isAkin, evidence: mayMean ? evidenceOf(recorded, candidate, agreement) : [] });
  }
  return looked;
}

/** Whether the candidate belongs to what the recorded element belonged to, where its words alone don't say what that is. */
function isOfTheSame(recorded: Fingerprint, candidate: Fingerprint, wording: Wording): boolean {
  const isToldByForm = isBareAct(wording) || wording.terms.size === 1;
  if (isToldByForm && areTitledOtherwise(recorded, candidate)) return false;
  return !(isInRow(recorded, wording) || isOneOfMany(wording)) || keepsOwn(recorded, candidate);
}

/** Choices of a group have one name, as have buttons of a form that differ by their value: it says nothing of one of them. */
function withoutShared(
  recorded: Fingerprint,
  sort: Sort,
  ofSort: readonly (readonly [number, Fingerprint])[],
): Fingerprint {
  const { fieldName, ...rest } = recorded;
  const isOfGroup = sort === 'radio' || fieldName?.endsWith('[]') === true;
  const isShared = ofSort.filter(([, candidate]) => candidate.fieldName === fieldName).length > 1;
  return fieldName !== undefined && (isOfGroup || isShared) ? rest : recorded;
}

/** A field without a name of its own is called by what stands before it, as people read it. */
function wordsOf({ role, name, text, placeholder, title, alt, neighbours }: Fingerprint, sort: Sort): string {
  const own = (name || text || placeholder || title || alt || '').replace(role === 'tab' ? COUNT : REMARK, '');
  return own || (sort === 'press' || sort === 'other' ? '' : (neighbours?.[0] ?? ''));
}

/** What a tab says of how many things it holds. */
const COUNT = /\s*\(\d+\)$/;
/** What a label says of how to fill or choose, not of what. */
const REMARK =
  /\s*\((optional|required|recommended|pflichtfeld|erforderlich|empfohlen|facultatif|obligatoire|recommandé|opcional|obligatorio|obrigatório|recomendado|facoltativo|obbligatorio|consigliato|optioneel|verplicht|aanbevolen|任意|必須|推奨)\)$/i;

/** A box that "enables" something is called by that alone as well; one that disables it is the opposite still. */
function withoutEnabling({ text, terms, acts }: Wording): Wording {
  const others = (all: ReadonlySet<string>) => new Set([...all].filter((term) => term !== ':enable'));
  return terms.size > 1 ? { text, terms: others(terms), acts: others(acts) } : { text, terms, acts };
}

/** `in_context`: one says more, but no more than what stands around both. */
type Words = Agreement | 'in_context' | 'both_silent' | 'one_silent';

function agreementIn(recorded: Fingerprint, candidate: Fingerprint, a: Wording, b: Wording): Words {
  const words = agreementBetween(a, b);
  const isMore = words === 'part' || words === 'other';
  return isMore && saysWhatStandsAround(a, b, () => termsAroundBoth(recorded, candidate)) ? 'in_context' : words;
}

function agreementBetween(a: Wording, b: Wording): Words {
  if (a.text === '' && isHarmful(b)) return 'opposed'; // an icon that is now called "Delete"
  if (a.text === '' || b.text === '') return a.text === b.text ? 'both_silent' : 'one_silent';
  return agreementOf(a, b);
}

/**
 * Whether the candidate may mean what the recorded element meant. The same words may, in another spelling or language
 * too; more or fewer words need something around them that stayed, and other words an identifier. Options and choices are
 * told apart by small words, so they ask for more. The opposite never may.
 */
function meansTheSame(recorded: Fingerprint, candidate: Fingerprint, sort: Sort, words: Words): boolean {
  switch (words) {
    case 'same':
    case 'spelling':
    case 'meaning':
      return true;
    case 'part':
      return (
        keepsIdentifier(recorded, candidate) ||
        (sort !== 'tick' && sort !== 'radio' && recorded.role !== 'option' && keepsSurroundings(recorded, candidate))
      );
    case 'in_context':
      return (
        keepsIdentifier(recorded, candidate) ||
        (alikeNeighbours(recorded.neighbours, candidate.neighbours) ?? 0) >= 0.5 ||
        (alikePath(recorded.path, candidate.path) ?? 0) >= 0.6
      );
    case 'qualified':
    case 'other':
    case 'one_silent':
      return keepsIdentifier(recorded, candidate);
    case 'both_silent':
      return sort === 'press' ? keepsIdentifier(recorded, candidate) : true;
    case 'opposed':
      return false;
    default:
      return words satisfies never;
  }
}

/** An id alone is none where the field is sent under another name, or is another one to the vendor's own tests. */
function keepsIdentifier(a: Fingerprint, b: Fingerprint): boolean {
  const names = [
    sameIdentifier(a.testId, b.testId),
    sameIdentifier(a.fieldName, b.fieldName),
    alikeAddress(a.href, b.href),
  ];
  const isRenamed = [a.testId && b.testId, a.fieldName && b.fieldName].some((both, i) => both && names[i] === 0);
  return names.includes(1) || (sameId(a.id, b.id) === 1 && !isRenamed);
}

function keepsSurroundings(a: Fingerprint, b: Fingerprint): boolean {
  const kept = [
    (alikeNeighbours(a.neighbours, b.neighbours) ?? 0) >= 0.5,
    (alikePlace(a.box, b.box) ?? 0) >= 0.7,
    (shared(a.classes, b.classes) ?? 0) >= 0.6,
    (alikePath(a.path, b.path) ?? 0) >= 0.6,
  ];
  return kept.filter(Boolean).length >= 2;
}

/** `[for, against]`: natural logarithms of how much likelier agreement and difference are in the same element than in another. */
const WORDS: Readonly<Record<Words, number>> = {
  ...{ same: 4.2, spelling: 3.4, meaning: 3.2, part: 1.6, in_context: 1.6, both_silent: 0.2 },
  ...{ qualified: -1.5, other: -1.5, one_silent: -1, opposed: -6 },
};

/** The properties in their order; `sumsOf` goes by it. */
function evidenceOf(a: Fingerprint, b: Fingerprint, words: Words): readonly Evidence[] {
  const identifiers = identifiersOf(a, b);
  return [
    { sum: WORDS[words] },
    ...identifiers,
    graded(words === 'same' && a.name === a.placeholder ? undefined : textual(a.placeholder, b.placeholder), 1.2, 0.3),
    graded(a.name === a.title ? undefined : textual(a.title, b.title), 1, 0.2),
    graded(a.name === a.alt ? undefined : textual(a.alt, b.alt), 1, 0.2),
    graded(alikeNeighbours(a.neighbours, b.neighbours), 2.6, 0.7),
    graded(alikePath(a.path, b.path), 0.9, 0.3),
    { sum: isAside(b) && !isAside(a) ? ASIDE : 0 },
    placed(alikePlace(a.box, b.box), 1.2, 0.3),
    graded(
      shared(
        a.classes?.filter((name) => !isMadeUp(name)),
        b.classes,
      ),
      1.2,
      0.3,
    ),
    graded(same(a.tag, b.tag), 0.3, 0.3),
    graded(same(a.type, b.type), 0.3, 0.6),
    graded(same(a.role, b.role), 0.2, 0.3),
    placed(alikeSize(a.box, b.box), 0.3, 0.1),
  ];
}

/**
 * Fields that pages have beside what they are for: "Email" in a footer is its newsletter's, "Code" beside a cart a voucher's.
 * The words are the same, so that something else must tell; buttons do move, into menus and footers, too.
 */
function isAside(print: Fingerprint): boolean {
  if (sortOf(print) !== 'text') return false;
  const { id, fieldName, testId, placeholder, classes = [], path = [] } = print;
  return [id, fieldName, testId, placeholder, ...classes, ...path].some((own) => BESIDE.test(own ?? ''));
}
const BESIDE =
  /^contentinfo\b|newsletter|subscri|mailing.?list|search|coupon|voucher|promo|discount|gift.?card|feedback/i;
const ASIDE = -2.5;

/** A redesign renames all identifiers at once, so the second and third that are gone say little more than the first. */
function identifiersOf(a: Fingerprint, b: Fingerprint): readonly Evidence[] {
  const found = [
    graded(sameIdentifier(a.testId, b.testId), 5, 1),
    graded(sameId(a.id, b.id), 4.2, 0.7),
    graded(sameIdentifier(a.fieldName, b.fieldName), 3.6, 0.7),
    graded(alikeAddress(a.href, b.href), 4, 0.9),
  ];
  const worst = Math.min(...found.map(({ sum }) => sum));
  const isFirst = found.findIndex(({ sum }) => sum === worst);
  return found.map((one, i) => (one.sum < 0 && i !== isFirst ? { ...one, sum: one.sum / 3 } : one));
}

function graded(likeness: number | undefined, agreeing: number, differing: number): Evidence {
  return { sum: likeness === undefined ? 0 : likeness * (agreeing + differing) - differing };
}

function placed(likeness: number | undefined, agreeing: number, differing: number): Evidence {
  return { ...graded(likeness, agreeing, differing), isPlace: true };
}

function textual(a: string | undefined, b: string | undefined): number | undefined {
  return a === undefined || a === '' ? undefined : same(wordingOf(a).text, wordingOf(b ?? '').text);
}

/** Adds up, taking from each agreement what others of the sort share: agreement of all says nothing about one. */
function sumsOf(fitting: readonly Looked[], others: number): readonly number[] {
  const first = fitting[0]?.evidence ?? [];
  const descending = first.map((_, property) =>
    Float64Array.from(fitting, ({ evidence }) => -(evidence[property]?.sum ?? 0)).sort(),
  );
  const alikeInWords = (sum: number) => countUpTo(descending[0], -sum) > 1;
  return fitting.map(({ evidence }) => {
    const hasTwin = alikeInWords(evidence[0]?.sum ?? 0);
    let sum = 0;
    for (const [property, { sum: own, isPlace }] of evidence.entries()) {
      if (isPlace && hasTwin) continue;
      const share = (countUpTo(descending[property], -own) - 1) / Math.max(1, others);
      sum += own > 0 && share > 0 ? Math.min(own, Math.max(COMMON, -Math.log(share))) : own;
    }
    return sum;
  });
}

/** How many of an ascending list are no greater, but for rounding. */
function countUpTo(ascending: Float64Array | undefined, value: number): number {
  let [low, high] = [0, ascending?.length ?? 0];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending?.[middle] ?? 0) <= value + ROUNDING) low = middle + 1;
    else high = middle;
  }
  return low;
}
const ROUNDING = 1e-6;

/** What an agreement is still worth that everything on the page shares: the element is at least no stranger. */
const COMMON = 0.15;
