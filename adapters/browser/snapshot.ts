import type { CDPSession } from 'playwright';
import type { Box } from '../../core/ports/browser.ts';
import { clipped, padded } from './boxes.ts';
import { UnseenFrame, within } from './errors.ts';

/** What is rendered in one process's part of a page, in pixels of the picture. */
export interface Seen {
  /** Pieces of rendered text in document order: each on one line, with closed shadow roots and pseudo elements. */
  readonly texts: readonly SeenText[];
  readonly elements: readonly SeenElement[];
}

export interface SeenText {
  readonly text: string;
  readonly box: Box;
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
  readonly box: Box;
}

type Snapshot = Awaited<ReturnType<typeof capture>>;
type Document = Snapshot['documents'][number];

const CALL_LIMIT_MS = 5_000;

/** Everything rendered in the session's frames, and where. `outermost` is where the first of them lies in the picture. */
export async function look(session: CDPSession, outermost: Place): Promise<Seen> {
  const snapshot = await capture(session);
  const places = await placeDocuments(session, snapshot, outermost);
  const seen = snapshot.documents.map((document, i) => {
    const place = places[i];
    return place ? readDocument(document, snapshot.strings, place) : { texts: [], elements: [] };
  });
  return { texts: seen.flatMap((one) => one.texts), elements: seen.flatMap((one) => one.elements) };
}

function capture(session: CDPSession) {
  return within(
    CALL_LIMIT_MS,
    'Looking at the page',
    session.send('DOMSnapshot.captureSnapshot', { computedStyles: ['background-image'] }),
  );
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

function readDocument(document: Document, strings: readonly string[], { area, isTransformed }: Place): Seen {
  const scroll = { x: document.scrollOffsetX ?? 0, y: document.scrollOffsetY ?? 0 };
  const place = (bounds: readonly number[]): Box | undefined => {
    const [x = 0, y = 0, width = 0, height = 0] = bounds;
    if (width <= 0 || height <= 0) return undefined;
    const box = { x: area.x + x - scroll.x, y: area.y + y - scroll.y, width, height };
    return isTransformed ? area : clipped(padded(box, 1), area);
  };
  return { texts: readTexts(document, strings, place), elements: readElements(document, strings, place) };
}

type Placing = (bounds: readonly number[]) => Box | undefined;

function readTexts({ layout, textBoxes }: Document, strings: readonly string[], place: Placing): SeenText[] {
  return textBoxes.layoutIndex.flatMap((index, i) => {
    const whole = strings[layout.text[index] ?? -1] ?? '';
    const start = textBoxes.start[i] ?? 0;
    const text = whole.slice(start, start + (textBoxes.length[i] ?? whole.length));
    const box = place(textBoxes.bounds[i] ?? []);
    return text.trim() !== '' && box ? [{ text, box }] : [];
  });
}

const ELEMENT_NODE = 1;

function readElements(document: Document, strings: readonly string[], place: Placing): SeenElement[] {
  const { nodes, layout } = document;
  const values = liveValues(document, strings);
  return layout.nodeIndex.flatMap((node, i) => {
    if (nodes.nodeType?.[node] !== ELEMENT_NODE) return [];
    const box = place(layout.bounds[i] ?? []);
    if (!box) return [];
    const attributes = readAttributes(nodes.attributes?.[node] ?? [], strings);
    const source = rare(nodes.currentSourceURL, node, strings);
    if (source !== undefined) attributes.set('src', source);
    const tag = (strings[nodes.nodeName?.[node] ?? -1] ?? '').toLowerCase();
    const background = strings[layout.styles[i]?.[0] ?? -1] ?? '';
    const isInControl = ['a', 'button'].some((control) => ancestor(nodes, node, control, strings) !== undefined);
    return [{ tag, attributes, value: values.get(node) ?? '', background, isInControl, box }];
  });
}

function readAttributes(pairs: readonly number[], strings: readonly string[]): Map<string, string> {
  const attributes = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2)
    attributes.set((strings[pairs[i] ?? -1] ?? '').toLowerCase(), strings[pairs[i + 1] ?? -1] ?? '');
  return attributes;
}

/** Live values of inputs and textareas, and for a `select` the words of its options, which have no layout of their own. */
function liveValues({ nodes }: Document, strings: readonly string[]): Map<number, string> {
  const values = new Map<number, string>();
  for (const list of [nodes.inputValue, nodes.textValue]) {
    for (const [k, node] of (list?.index ?? []).entries()) values.set(node, strings[list?.value[k] ?? -1] ?? '');
  }
  for (const option of nodes.optionSelected?.index ?? []) {
    const select = ancestor(nodes, option, 'select', strings);
    if (select !== undefined) values.set(select, `${values.get(select) ?? ''}${textInside(nodes, option, strings)}`);
  }
  return values;
}

function ancestor(nodes: Document['nodes'], node: number, tag: string, strings: readonly string[]): number | undefined {
  for (let at = nodes.parentIndex?.[node] ?? -1; at >= 0; at = nodes.parentIndex?.[at] ?? -1) {
    if (strings[nodes.nodeName?.[at] ?? -1]?.toLowerCase() === tag) return at;
  }
  return undefined;
}

function textInside(nodes: Document['nodes'], node: number, strings: readonly string[]): string {
  const children = (nodes.parentIndex ?? []).flatMap((parent, i) => (parent === node ? [i] : []));
  return children.map((child) => strings[nodes.nodeValue?.[child] ?? -1] ?? '').join('');
}

function rare(
  list: { readonly index: readonly number[]; readonly value: readonly number[] } | undefined,
  node: number,
  strings: readonly string[],
): string | undefined {
  const at = list?.index.indexOf(node) ?? -1;
  return at < 0 ? undefined : strings[list?.value[at] ?? -1];
}
