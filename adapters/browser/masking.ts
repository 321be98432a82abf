import type { Box } from '../../core/ports/browser.ts';
import { TooMuch } from './errors.ts';
import { folded, type Needles } from './needles.ts';
import type { Seen, SeenElement, SeenText } from './snapshot.ts';

/** With the pixel that the look adds: more than borders, caret and rounding take. */
export const MASK_PADDING = 3;

/**
 * What is searched in one go, which nothing else of the program can interrupt: about 0.1 s. A picture full of the
 * smallest letters that can be read holds some 50,000 characters; images that are written out as text make up the rest.
 */
const MOST_CHARACTERS = 1_000_000;
const MOST_PIECES = 50_000;
const MOST_MASKS = 2_000;

/**
 * What must be black: every place that shows a secret by its value, and what may show one by its kind.
 * @throws TooMuch when more is in sight than can be searched.
 */
export function findMasks(seen: Seen, needles: Needles, isRevealing: boolean): readonly Box[] {
  // A code typed into six little fields is one text, too.
  const fields = seen.elements.filter(isField).map(({ value, box }) => ({ text: value, box, shown: box }));
  const pieces = [...seen.texts, ...fields];
  const characters = pieces.reduce((sum, { text }) => sum + text.length, 0);
  if (pieces.length > MOST_PIECES || characters > MOST_CHARACTERS) throw new TooMuch();
  const isIn = searchedOnce(needles);
  const hidden = seen.elements.filter(
    (element) => isAlwaysHidden(element) || holdsSecret(element, isIn) || (isRevealing && mayReveal(element)),
  );
  const masks = [
    ...hidden.map((element) => element.box),
    ...textMasks(seen.texts, needles, isIn),
    ...textMasks(inReadingOrder(pieces), needles, isIn),
  ];
  if (masks.length > MOST_MASKS) throw new TooMuch();
  return masks;
}

type Search = (text: string) => boolean;

/** The same long texts are on many elements, such as the picture behind each line of a list. */
function searchedOnce(needles: Needles): Search {
  const answers = new Map<string, boolean>();
  let characters = 0;
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined) return known;
    characters += text.length;
    if (characters > 2 * MOST_CHARACTERS) throw new TooMuch(); // texts as above, and as much in attributes
    const answer = needles.isIn(text);
    answers.set(text, answer);
    return answer;
  };
}

/** Password and one-time-code fields and the ones that browsers fill with either, also while their text is shown. */
function isAlwaysHidden({ tag, attributes }: SeenElement): boolean {
  if (tag !== 'input') return false;
  return (
    attributes.get('type')?.toLowerCase() === 'password' ||
    /\b(one-time-code|current-password|new-password|cc-number|cc-csc)\b/i.test(attributes.get('autocomplete') ?? '')
  );
}

const SHOWN_ATTRIBUTES = new Set([
  'alt',
  'placeholder',
  'title',
  'value',
  'label',
  'src',
  'srcset',
  'href',
  'xlink:href',
  'data',
  'poster',
]);

function holdsSecret({ tag, attributes, value, background }: SeenElement, isIn: Search): boolean {
  if (tag === 'html' || tag === 'body') return isIn(background);
  const shown = [...attributes]
    .filter(([name]) => SHOWN_ATTRIBUTES.has(name) || isCopyAttribute(name))
    .map(([, text]) => text);
  return [value, background, ...shown].some((text) => text !== '' && isIn(text));
}

const DRAWN = new Set([
  'canvas',
  'svg',
  'img',
  'image',
  'picture',
  'video',
  'object',
  'embed',
  'code',
  'pre',
  'samp',
  'kbd',
]);

/** Where a fresh secret may stand in a form that its value cannot be found in, such as a QR code. */
function mayReveal(element: SeenElement): boolean {
  const { tag, attributes, background } = element;
  if (DRAWN.has(tag)) return !isControlsIcon(element);
  if (tag === 'input' && /^(submit|button|reset|checkbox|radio)$/i.test(attributes.get('type') ?? '')) return false;
  if ((tag === 'input' || tag === 'textarea') && attributes.has('readonly')) return true;
  if (/url\("?(data|blob):/i.test(background)) return true;
  return [...attributes.keys()].some(isCopyAttribute);
}

const LARGEST_ICON = 24;

/** The little picture of a link or a button, such as a menu's: nobody hands out a key there. */
function isControlsIcon({ tag, box, isInControl }: SeenElement): boolean {
  const isDrawing = tag === 'svg' || tag === 'img';
  return isDrawing && isInControl && box.width <= LARGEST_ICON && box.height <= LARGEST_ICON;
}

function isCopyAttribute(name: string): boolean {
  return /^data-(.*-)?(clipboard|copy)(-|$)/.test(name);
}

function isField({ tag, value }: SeenElement): boolean {
  return value !== '' && (tag === 'input' || tag === 'textarea');
}

/** Pieces whose texts, joined without what separates them, show a secret. */
function textMasks(pieces: readonly SeenText[], needles: Needles, isIn: Search): Box[] {
  const starts: number[] = [];
  let joined = '';
  const hit = new Set<number>();
  for (const [i, { text }] of pieces.entries()) {
    starts.push(joined.length);
    joined += folded(text);
    if (isIn(text)) hit.add(i);
  }
  for (const [start, end] of needles.rangesIn(joined)) {
    for (let i = lastUpTo(starts, start); (starts[i] ?? end) < end; i++) hit.add(i);
  }
  return [...hit].sort((a, b) => a - b).flatMap((i) => pieces[i]?.shown ?? []);
}

/** The index of the last number that is not above the limit; the numbers rise and begin with 0. */
function lastUpTo(numbers: readonly number[], limit: number): number {
  let [low, high] = [0, numbers.length];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if ((numbers[middle] ?? limit) > limit) high = middle;
    else low = middle;
  }
  return low;
}

const LINE_TOLERANCE = 6;

/** Line by line and from left to right as they are seen: styles may put parts of a text in another order than the document. */
function inReadingOrder(pieces: readonly SeenText[]): SeenText[] {
  const middle = ({ box }: SeenText) => box.y + box.height / 2;
  const lines: { readonly at: number; readonly pieces: SeenText[] }[] = [];
  for (const piece of pieces.toSorted((a, b) => middle(a) - middle(b))) {
    const line = lines.at(-1);
    if (line && middle(piece) - line.at <= LINE_TOLERANCE) line.pieces.push(piece);
    else lines.push({ at: middle(piece), pieces: [piece] });
  }
  return lines.flatMap((line) => line.pieces.sort((a, b) => a.box.x - b.box.x));
}
