import type { Box, Fingerprint } from '../ports/browser.ts';

export type { Fingerprint } from '../ports/browser.ts';

/** `margin`: how far the best is ahead of the next, both from 0 to 1. */
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
  /** The least score. Tuned on the drift suite's pages so that no decoy passes. */
  readonly floor?: number;
  /** The least lead over the next candidate; mutating steps ask for more. */
  readonly margin?: number;
}

const FLOOR = 0.55;
/** 0.05 is the loosest margin that published work calls sensible; a wrong click costs more than a question. */
const MARGIN = 0.1;

/**
 * Finds the recorded element among candidates by everything known of it, and abstains when the best isn't clearly best:
 * pure best-score matching always picks something, so its errors are wrong clicks. Weights after the optimised ones of
 * "Similo" and its replication of 2025 (name, text and type count most; positions and paths least).
 */
export function relocate(
  recorded: Fingerprint,
  candidates: readonly Fingerprint[],
  { floor = FLOOR, margin = MARGIN }: RelocateOptions = {},
): Relocation {
  const scored = candidates
    .map((candidate, index) => ({
      index,
      candidate,
      score: isOfSort(recorded, candidate) ? likeness(recorded, candidate) : 0,
    }))
    .sort((a, b) => b.score - a.score);
  const [best, next] = scored;
  if (best === undefined || best.score === 0) return { kind: 'abstain', reason: 'none', score: 0, margin: 0 };
  const lead = best.score - (next?.score ?? 0);
  const at = { score: best.score, margin: lead };
  if (best.score < floor) return { kind: 'abstain', reason: 'unlike', ...at };
  if (lead < margin) return { kind: 'abstain', reason: 'close', ...at };
  if (!saysTheSame(recorded, best.candidate)) return { kind: 'abstain', reason: 'other_words', ...at };
  return { kind: 'found', index: best.index, ...at };
}

/** What an element can be used for; another sort of element is never taken for it, however alike. */
export type Sort = 'press' | 'text' | 'secret' | 'choice' | 'tick' | 'radio' | 'file' | 'other';

const PRESS_TYPES = ['submit', 'button', 'reset', 'image'];
const SORT_OF_ROLE: Readonly<Record<string, Sort>> = {
  ...{ button: 'press', link: 'press', menuitem: 'press', tab: 'press', option: 'press' },
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
  return SORT_OF_ROLE[role ?? ''] ?? (tag === 'button' || tag === 'a' ? 'press' : 'other');
}

function isOfSort(recorded: Fingerprint, candidate: Fingerprint): boolean {
  const sort = sortOf(recorded);
  return sort === sortOf(candidate) && (sort !== 'other' || recorded.tag === candidate.tag);
}

/** How alike each property is, from 0 to 1, and how much it says. Only what was recorded counts. */
const PROPERTIES: readonly {
  readonly weight: number;
  readonly compare: (recorded: Fingerprint, candidate: Fingerprint) => number | undefined;
}[] = [
  { weight: 2.85, compare: (a, b) => alikeText(a.name, b.name) },
  { weight: 2.8, compare: (a, b) => alikeText(a.text, b.text) },
  { weight: 2.75, compare: (a, b) => same(a.type, b.type) },
  { weight: 2.5, compare: (a, b) => same(a.testId, b.testId) },
  { weight: 2, compare: (a, b) => same(a.fieldName, b.fieldName) },
  { weight: 1.85, compare: (a, b) => alikeText(a.alt, b.alt) },
  { weight: 1.5, compare: (a, b) => same(a.id, b.id) },
  { weight: 1.45, compare: (a, b) => alikeNeighbours(a.neighbours, b.neighbours) },
  { weight: 1.2, compare: (a, b) => alikePlace(a.box, b.box) },
  { weight: 0.95, compare: (a, b) => alikeAddress(a.href, b.href) },
  { weight: 0.9, compare: (a, b) => alikeText(a.placeholder, b.placeholder) },
  { weight: 0.9, compare: (a, b) => alikeText(a.title, b.title) },
  { weight: 0.8, compare: (a, b) => same(a.tag, b.tag) },
  { weight: 0.8, compare: (a, b) => same(a.role, b.role) },
  { weight: 0.6, compare: (a, b) => shared(a.classes, b.classes) },
  { weight: 0.5, compare: (a, b) => alikePath(a.path, b.path) },
  { weight: 0.35, compare: (a, b) => alikeSize(a.box, b.box) },
];

function likeness(recorded: Fingerprint, candidate: Fingerprint): number {
  let sum = 0;
  let most = 0;
  for (const { weight, compare } of PROPERTIES) {
    const likely = compare(recorded, candidate);
    if (likely === undefined) continue;
    sum += weight * likely;
    most += weight;
  }
  return most === 0 ? 0 : sum / most;
}

/**
 * Whether the candidate may mean what the recorded element meant. The same words, or some more or fewer, may; other words
 * (another language, a new wording) need an identifier that stayed; a word that destroys or denies never may.
 */
function saysTheSame(recorded: Fingerprint, candidate: Fingerprint): boolean {
  const before = wordsOf(recorded);
  const now = wordsOf(candidate);
  const added = now.filter((word) => !before.includes(word));
  const dropped = before.filter((word) => !now.includes(word));
  if (added.some((word) => REVERSING.has(word))) return false;
  if (dropped.some((word) => REVERSING.has(word))) return false;
  if (before.length === 0 || now.length === 0)
    return before.length === now.length || keepsIdentifier(recorded, candidate);
  if (added.length === 0 || dropped.length === 0) return true;
  const isSpelling = alikeText(before.join(' '), now.join(' ')) ?? 0;
  return isSpelling >= SPELLING || keepsIdentifier(recorded, candidate);
}

/** Two wordings this alike differ by a letter or an ending. */
const SPELLING = 0.85;

/** Words that turn a control into its opposite or into harm, in the languages that shops' admins mostly speak. */
const REVERSING: ReadonlySet<string> = new Set([
  ...[
    'delete',
    'remove',
    'revoke',
    'reset',
    'cancel',
    'disable',
    'deactivate',
    'uninstall',
    'erase',
    'discard',
    'reject',
  ],
  ...[
    'deny',
    'decline',
    'not',
    'no',
    'don',
    'dont',
    'never',
    'without',
    'pay',
    'purchase',
    'buy',
    'upgrade',
    'transfer',
  ],
  ...['löschen', 'entfernen', 'widerrufen', 'abbrechen', 'deaktivieren', 'ablehnen', 'nicht', 'kaufen', 'bezahlen'],
  ...['supprimer', 'effacer', 'révoquer', 'annuler', 'désactiver', 'refuser', 'pas', 'acheter', 'payer'],
  ...['eliminar', 'borrar', 'revocar', 'cancelar', 'desactivar', 'rechazar', 'comprar', 'pagar'],
  ...[
    'elimina',
    'rimuovi',
    'revoca',
    'annulla',
    'disattiva',
    'rifiuta',
    'acquista',
    'paga',
    'verwijderen',
    'annuleren',
  ],
]);

function keepsIdentifier(recorded: Fingerprint, candidate: Fingerprint): boolean {
  return [
    same(recorded.testId, candidate.testId),
    same(recorded.id, candidate.id),
    same(recorded.fieldName, candidate.fieldName),
    recorded.href === undefined ? undefined : alikeAddress(recorded.href, candidate.href),
  ].includes(1);
}

function wordsOf({ name, text, placeholder, title, alt }: Fingerprint): readonly string[] {
  return wordsIn(name || text || placeholder || title || alt || '');
}

function wordsIn(text: string): readonly string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}

/** `undefined`: nothing was recorded, so nothing is said. */
function same(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || a === '') return undefined;
  return a === b ? 1 : 0;
}

const LONGEST_TEXT = 120; // of an element's words; more is no label

function alikeText(a: string | undefined, b: string | undefined): number | undefined {
  const x = wordsIn(a ?? '')
    .join(' ')
    .slice(0, LONGEST_TEXT);
  const y = wordsIn(b ?? '')
    .join(' ')
    .slice(0, LONGEST_TEXT);
  if (x === '') return undefined;
  return 1 - editDistance(x, y) / Math.max(x.length, y.length);
}

/** Levenshtein's, in one row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Jaccard's index. */
function shared(a: readonly string[] | undefined, b: readonly string[] | undefined): number | undefined {
  if (!a || a.length === 0) return undefined;
  const [x, y] = [new Set(a), new Set(b ?? [])];
  const both = [...x].filter((item) => y.has(item)).length;
  return both / (x.size + y.size - both);
}

function alikeNeighbours(a: readonly string[] | undefined, b: readonly string[] | undefined): number | undefined {
  return shared(a?.flatMap(wordsIn), b?.flatMap(wordsIn));
}

/** How much of the recorded way is still there in its order: the longest common subsequence. */
function alikePath(a: readonly string[] | undefined, b: readonly string[] | undefined): number | undefined {
  if (!a || a.length === 0) return undefined;
  const other = b ?? [];
  let row: number[] = new Array(other.length + 1).fill(0);
  for (const part of a) {
    const next = [0];
    for (const [j, own] of other.entries())
      next.push(part === own ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0));
    row = next;
  }
  return (row[other.length] ?? 0) / Math.max(a.length, other.length);
}

/** The same path and query, wherever the site stands; the same path alone is half of it. */
function alikeAddress(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || a === '') return undefined;
  const [x, y] = [addressOf(a), addressOf(b ?? '')];
  if (x.path !== y.path) return 0;
  return x.query === y.query ? 1 : 0.5;
}

function addressOf(href: string): { readonly path: string; readonly query: string } {
  const url = URL.parse(href, 'http://site.invalid/');
  if (!url) return { path: href, query: '' };
  url.searchParams.sort();
  return { path: url.pathname, query: url.searchParams.toString() };
}

const NEAR_PX = 300;

function alikePlace(a: Box | undefined, b: Box | undefined): number | undefined {
  if (!a) return undefined;
  if (!b) return 0;
  const distance = Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2);
  return Math.max(0, 1 - distance / NEAR_PX);
}

function alikeSize(a: Box | undefined, b: Box | undefined): number | undefined {
  if (!a) return undefined;
  if (!b) return 0;
  const ratio = (x: number, y: number) => (Math.max(x, y) === 0 ? 1 : Math.min(x, y) / Math.max(x, y));
  return ratio(a.width, b.width) * ratio(a.height, b.height);
}
