import type { CDPSession } from 'playwright';
import type { Box } from '../../core/ports/browser.ts';
import { clipped, padded } from './boxes.ts';
import { TooMuch, UnseenFrame, within } from './errors.ts';
import { refuseTooLarge } from './page-size.ts';

/** What is rendered in one process's part of a page, in pixels of the picture. */
export interface Seen {
  /** Pieces of text in sight, in document order: each on one line, with closed shadow roots and pseudo elements. */
  readonly texts: readonly SeenText[];
  readonly elements: readonly SeenElement[];
}

export interface SeenText {
  readonly text: string;
  /** May lie just outside of what is shown: a secret may go on there. */
  readonly box: Box;
  /** The part of the box that is in the picture. */
  readonly shown: Box | undefined;
}

export interface SeenElement {
  /** Lower case. */
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** The live value of a field; the words inside a `select`. */
  readonly value: string;
  /** `background-image` as computed. */
  readonly background: string;
  /** Whether it is inside a link or a button. */
  readonly isInControl: boolean;
  /** The part of it that is in the picture. */
  readonly box: Box;
}

type Snapshot = Awaited<ReturnType<typeof capture>>;
type Document = Snapshot['documents'][number];

const CALL_LIMIT_MS = 5_000;

/** Around what is shown, in pixels: text there may be the other half of a secret whose first half is in the picture. */
const MARGIN = 200;

/** Beyond what `refuseTooLarge` lets pass: then a closed shadow root holds the rest. */
const LARGEST_SNAPSHOT = { characters: 10_000_000, textBoxes: 300_000 } as const;

/** Before a look: so much of the session's frames is taken at once. @throws UnseenFrame, TooMuch */
export function measure(session: CDPSession): Promise<void> {
  return within(CALL_LIMIT_MS, 'Measuring the page', refuseTooLarge(session));
}

/**
 * What the session's frames show in the picture, and where. `outermost` is where the first of them lies in it. They were
 * measured just before. @throws UnseenFrame, TooMuch
 */
export async function look(session: CDPSession, outermost: Place, picture: Box): Promise<Seen> {
  const snapshot = await capture(session);
  const places = await placeDocuments(session, snapshot, outermost);
  const seen = snapshot.documents.map((document, i) => {
    const place = places[i];
    const shown = place && clipped(place.area, picture);
    return place && shown ? readDocument(document, snapshot.strings, place, shown) : { texts: [], elements: [] };
  });
  return { texts: seen.flatMap((one) => one.texts), elements: seen.flatMap((one) => one.elements) };
}

async function capture(session: CDPSession) {
  const snapshot = await within(
    CALL_LIMIT_MS,
    'Looking at the page',
    session.send('DOMSnapshot.captureSnapshot', { computedStyles: ['background-image'] }),
  );
  const characters = snapshot.strings.reduce((sum, text) => sum + text.length, 0);
  const textBoxes = snapshot.documents.reduce((sum, document) => sum + document.textBoxes.layoutIndex.length, 0);
  if (characters > LARGEST_SNAPSHOT.characters || textBoxes > LARGEST_SNAPSHOT.textBoxes) throw new TooMuch();
  return snapshot;
}

/** Where a document lies; one that is scaled or turned counts as its whole area wherever something is found in it. */
export interface Place {
  readonly area: Box;
  readonly isTransformed: boolean;
}

/** The area of each document by its index; `undefined` for frames that aren't rendered. */
async function placeDocuments(
  session: CDPSession,
  { documents }: Snapshot,
  outermost: Place,
): Promise<readonly (Place | undefined)[]> {
  const places: (Place | undefined)[] = documents.map((_, i) => (i === 0 ? outermost : undefined));
  for (const document of documents) {
    const owned = document.nodes.contentDocumentIndex;
    for (const [k, node] of (owned?.index ?? []).entries()) {
      const content = owned?.value[k];
      const backendNodeId = document.nodes.backendNodeId?.[node];
      if (content === undefined || backendNodeId === undefined) continue;
      places[content] = outermost.isTransformed ? outermost : await framePlace(session, backendNodeId, outermost.area);
    }
  }
  return places;
}

/**
 * The content box of a frame's element, by CDP: border and padding are in no offset of the snapshot. `undefined` when it
 * isn't rendered. @throws UnseenFrame when it went away.
 */
export async function framePlace(session: CDPSession, backendNodeId: number, area: Box): Promise<Place | undefined> {
  const model = await boxModel(session, backendNodeId);
  if (!model) return undefined;
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0, x4 = 0, y4 = 0] = model.content;
  const [x, y] = [Math.min(x1, x2, x3, x4), Math.min(y1, y2, y3, y4)];
  const box = {
    x: area.x + x,
    y: area.y + y,
    width: Math.max(x1, x2, x3, x4) - x,
    height: Math.max(y1, y2, y3, y4) - y,
  };
  const outer = model.border[2] === undefined ? 0 : Math.abs(model.border[2] - (model.border[0] ?? 0));
  return { area: box, isTransformed: y1 !== y2 || Math.abs(outer - model.width) > 1 };
}

async function boxModel(session: CDPSession, backendNodeId: number) {
  try {
    const measured = session.send('DOM.getBoxModel', { backendNodeId });
    return (await within(CALL_LIMIT_MS, 'Measuring a frame', measured)).model;
  } catch (error) {
    if (error instanceof Error && /could not compute box model/i.test(error.message)) return undefined;
    throw new UnseenFrame();
  }
}

function readDocument(document: Document, strings: readonly string[], place: Place, shown: Box): Seen {
  const { area, isTransformed } = place;
  const scroll = { x: document.scrollOffsetX ?? 0, y: document.scrollOffsetY ?? 0 };
  const near = padded(shown, MARGIN);
  const placing: Placing = (bounds) => {
    const [x = 0, y = 0, width = 0, height = 0] = bounds;
    if (width <= 0 || height <= 0) return undefined;
    if (isTransformed) return { box: area, shown };
    const box = padded({ x: area.x + x - scroll.x, y: area.y + y - scroll.y, width, height }, 1);
    return clipped(box, near) && { box, shown: clipped(box, shown) };
  };
  return { texts: readTexts(document, strings, placing), elements: readElements(document, strings, placing) };
}

/** `undefined` for what is neither in the picture nor near it. */
type Placing = (bounds: readonly number[]) => { readonly box: Box; readonly shown: Box | undefined } | undefined;

function readTexts({ layout, textBoxes }: Document, strings: readonly string[], placing: Placing): SeenText[] {
  return textBoxes.layoutIndex.flatMap((index, i) => {
    const placed = placing(textBoxes.bounds[i] ?? []);
    if (!placed) return [];
    const whole = strings[layout.text[index] ?? -1] ?? '';
    const start = textBoxes.start[i] ?? 0;
    const text = whole.slice(start, start + (textBoxes.length[i] ?? whole.length));
    return text.trim() === '' ? [] : [{ text, ...placed }];
  });
}

const ELEMENT_NODE = 1;

/** One pass over each list: a page may hold as many nodes as it likes, and nest them as it likes. */
function readElements(document: Document, strings: readonly string[], placing: Placing): SeenElement[] {
  const { nodes, layout } = document;
  const tags = readTags(nodes, strings);
  const values = liveValues(nodes, tags, strings);
  const sources = new Map(rare(nodes.currentSourceURL, strings));
  const controls = insideOf(nodes, tags, ['a', 'button']);
  return layout.nodeIndex.flatMap((node, i) => {
    if (nodes.nodeType?.[node] !== ELEMENT_NODE) return [];
    const box = placing(layout.bounds[i] ?? [])?.shown;
    if (!box) return [];
    const attributes = readAttributes(nodes.attributes?.[node] ?? [], strings);
    const source = sources.get(node);
    if (source !== undefined) attributes.set('src', source);
    const background = strings[layout.styles[i]?.[0] ?? -1] ?? '';
    const isInControl = controls[node] !== undefined;
    return [{ tag: tags[node] ?? '', attributes, value: values.get(node) ?? '', background, isInControl, box }];
  });
}

function readTags(nodes: Document['nodes'], strings: readonly string[]): readonly string[] {
  const known = new Map<number, string>();
  return (nodes.nodeName ?? []).map((name) => {
    const tag = known.get(name) ?? (strings[name] ?? '').toLowerCase();
    known.set(name, tag);
    return tag;
  });
}

/** For each node the nearest element of these tags that it is inside of. A parent comes before its children. */
function insideOf(
  nodes: Document['nodes'],
  tags: readonly string[],
  wanted: readonly string[],
): readonly (number | undefined)[] {
  const inside: (number | undefined)[] = [];
  for (const parent of nodes.parentIndex ?? [])
    inside.push(parent >= 0 && wanted.includes(tags[parent] ?? '') ? parent : inside[parent]);
  return inside;
}

function readAttributes(pairs: readonly number[], strings: readonly string[]): Map<string, string> {
  const attributes = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2)
    attributes.set((strings[pairs[i] ?? -1] ?? '').toLowerCase(), strings[pairs[i + 1] ?? -1] ?? '');
  return attributes;
}

/** Live values of inputs and textareas, and for a `select` the words of its options, which have no layout of their own. */
function liveValues(
  nodes: Document['nodes'],
  tags: readonly string[],
  strings: readonly string[],
): Map<number, string> {
  const values = new Map([...rare(nodes.inputValue, strings), ...rare(nodes.textValue, strings)]);
  const selects = insideOf(nodes, tags, ['select']);
  for (const [node, parent] of (nodes.parentIndex ?? []).entries()) {
    const select = selects[node];
    const words = strings[nodes.nodeValue?.[node] ?? -1];
    if (select !== undefined && words !== undefined && tags[parent] === 'option')
      values.set(select, `${values.get(select) ?? ''}${words}`);
  }
  return values;
}

/** The nodes of a sparse list, each with its text. */
function rare(
  list: { readonly index: readonly number[]; readonly value: readonly number[] } | undefined,
  strings: readonly string[],
): [number, string][] {
  return (list?.index ?? []).map((node, k) => [node, strings[list?.value[k] ?? -1] ?? '']);
}
