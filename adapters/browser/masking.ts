import type { Box } from '../../core/ports/browser.ts';
import { folded, type Needles } from './needles.ts';
import type { Seen, SeenElement, SeenText } from './snapshot.ts';

/** With the pixel that the look adds: more than borders, caret and rounding take. */
export const MASK_PADDING = 3;

/** What must be black: every place that shows a secret by its value, and what may show one by its kind. */
export function findMasks(seen: Seen, needles: Needles, isRevealing: boolean): readonly Box[] {
  const fields = seen.elements.filter(
    (element) => isAlwaysHidden(element) || holdsSecret(element, needles) || (isRevealing && mayReveal(element)),
  );
  // A code typed into six little fields is one text, too.
  const pieces = [
    ...seen.texts,
    ...seen.elements.filter(isField).map((field) => ({ text: field.value, box: field.box })),
  ];
  return [
    ...fields.map((element) => element.box),
    ...textMasks(seen.texts, needles),
    ...textMasks(inReadingOrder(pieces), needles),
  ];
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

function holdsSecret({ tag, attributes, value, background }: SeenElement, needles: Needles): boolean {
  if (tag === 'html' || tag === 'body') return needles.isIn(background);
  const shown = [...attributes]
    .filter(([name]) => SHOWN_ATTRIBUTES.has(name) || isCopyAttribute(name))
    .map(([, text]) => text);
  return [value, background, ...shown].some((text) => text !== '' && needles.isIn(text));
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
function textMasks(pieces: readonly SeenText[], needles: Needles): Box[] {
  const owner: number[] = [];
  let joined = '';
  const hit = new Set<number>();
  for (const [i, piece] of pieces.entries()) {
    const { text } = folded(piece.text);
    joined += text;
    for (let k = 0; k < text.length; k++) owner.push(i);
    if (needles.isIn(piece.text)) hit.add(i);
  }
  for (const [start, end] of needles.rangesIn(joined)) for (const i of owner.slice(start, end)) hit.add(i);
  return [...hit].sort((a, b) => a - b).flatMap((i) => pieces[i]?.box ?? []);
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
