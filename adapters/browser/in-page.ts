/**
 * The functions that run inside a page: fixed code with values as arguments, never text of anyone's. Each is sent as
 * its own source, so it uses nothing from outside itself. The DOM is described here as far as it is touched.
 */
export interface PageElement {
  readonly tagName: string;
  readonly type?: unknown;
  readonly value?: unknown;
  readonly disabled?: boolean;
  readonly innerText?: string;
  readonly textContent: string | null;
  readonly outerHTML: string;
  readonly options?: ArrayLike<{ readonly value: string; readonly text: string; readonly disabled: boolean }>;
  readonly labels?: ArrayLike<PageElement> | null;
  readonly nextElementSibling: PageElement | null;
  getAttribute(name: string): string | null;
  getBoundingClientRect(): {
    readonly top: number;
    readonly bottom: number;
    readonly width: number;
    readonly height: number;
  };
  scrollIntoView(options: { block: string; inline: string; behavior: string }): void;
}

export function tagAndType(node: PageElement): { tag: string; type?: string } {
  const tag = node.tagName.toLowerCase();
  const hasType = (tag === 'input' || tag === 'button') && typeof node.type === 'string';
  return hasType ? { tag, type: String(node.type).toLowerCase() } : { tag };
}

/** What a person sees in place of a hidden field: itself, else the widget after it, else its label. */
export function standIn(node: PageElement): PageElement {
  const isSeen = (element: PageElement) => {
    const { width, height } = element.getBoundingClientRect();
    return width >= 4 && height >= 4;
  };
  if (isSeen(node)) return node;
  for (let next = node.nextElementSibling, i = 0; next && i < 3; next = next.nextElementSibling, i++) {
    if (isSeen(next)) return next;
  }
  return Array.from(node.labels ?? []).find(isSeen) ?? node;
}

/**
 * Scrolls only when needed, to the middle, where fixed bars at the edges don't cover it. @returns false for what is too
 * small to be seen, and is left where it is.
 */
export function bringIntoView(node: PageElement): boolean {
  const { top, bottom, width, height } = node.getBoundingClientRect();
  if (width < 4 || height < 4) return false; // as in `standIn`
  const { innerHeight } = globalThis as unknown as { innerHeight: number }; // runs in a page, whose global is a window
  if (top < 48 || bottom > innerHeight - 16)
    node.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
  return true;
}

/** Of a box, a radio button, or a widget that says so. */
export function isTicked(node: PageElement): boolean {
  return 'checked' in node ? node.checked === true : node.getAttribute('aria-checked') === 'true';
}

/** The longest text that is taken from a page, in characters: more than any field of a form or result holds. */
export const LONGEST_TEXT = 10_000;

/** The start of it: `longest` characters. */
export function liveText(node: PageElement, longest: number): string {
  const tag = node.tagName.toLowerCase();
  const isField = tag === 'input' || tag === 'textarea' || tag === 'select';
  return (isField ? String(node.value ?? '') : (node.innerText ?? node.textContent ?? '')).slice(0, longest);
}

/** The same of the first two of them: so many tell the only one from one of several. */
export function liveTexts(nodes: readonly PageElement[], longest: number): string[] {
  return nodes.slice(0, 2).map((node) => {
    const isField = /^(input|textarea|select)$/i.test(node.tagName);
    return (isField ? String(node.value ?? '') : (node.innerText ?? node.textContent ?? '')).slice(0, longest);
  });
}

export function titleStart(longest: number): string {
  const { document } = globalThis as unknown as { document: { title: unknown } }; // as above
  return String(document.title).slice(0, longest);
}

/** Whether the element, with what is in it and its labels, is longer than any name of a control. */
export function isVast(node: PageElement, longest: number): boolean {
  const labels = Array.from(node.labels ?? []);
  const describedBy = ['aria-labelledby', 'aria-describedby'].map((name) => node.getAttribute(name) ?? '');
  const { document } = globalThis as unknown as { document: { getElementById(id: string): PageElement | null } }; // as above
  const named = describedBy
    .flatMap((ids) => ids.slice(0, longest).split(/\s+/))
    .map((id) => document.getElementById(id));
  const sizes = [node.outerHTML, ...[...labels, ...named].map((other) => other?.textContent ?? '')];
  return sizes.reduce((sum, text) => sum + text.length, 0) > longest;
}

/** The index of the option with this value or, if there is none, this exact text; -1 while there is none to choose. */
export function optionIndex(node: PageElement, wanted: string): number {
  const options = Array.from(node.options ?? []);
  const byValue = options.findIndex((option) => option.value === wanted);
  const index = byValue >= 0 ? byValue : options.findIndex((option) => option.text.trim() === wanted);
  return index >= 0 && !options[index]?.disabled && !node.disabled ? index : -1;
}

/** Resolves at the page's next frame: a page that is busy is asked less often. */
export function nextFrame(): Promise<void> {
  const { requestAnimationFrame } = globalThis as unknown as { requestAnimationFrame(run: () => void): void }; // as above
  return new Promise((done) => requestAnimationFrame(() => done()));
}

export function isParsed(): boolean {
  const { document } = globalThis as unknown as { document: { readyState: string } }; // as above
  return document.readyState !== 'loading';
}

interface CountedNode {
  readonly nodeValue: string | null;
}

interface CountedElement {
  getAttributeNames(): readonly string[];
  getAttribute(name: string): string | null;
}

interface Counting {
  readonly document: object;
  readonly Document: {
    readonly prototype: { createTreeWalker(root: object, kinds: number): { nextNode(): CountedNode | null } };
  };
  readonly Element: new () => CountedNode & CountedElement;
  readonly HTMLInputElement: new () => CountedNode;
  readonly HTMLTextAreaElement: new () => CountedNode;
  readonly Range: new () => {
    selectNodeContents(root: object): void;
    getClientRects(): { readonly length: number };
  };
}

/**
 * How many nodes, characters (texts, attributes, values) and boxes of text a document and its open shadow roots have.
 * Stops beyond a limit. Runs in a world of its own, and asks by the prototypes: a form's fields may be named like anything.
 */
export function measureDocument(mostNodes: number, mostCharacters: number): number[] {
  const world = globalThis as unknown as Counting; // as above
  const { Document, Element, HTMLInputElement, HTMLTextAreaElement, Range } = world;
  const { getAttributeNames, getAttribute } = Element.prototype as CountedElement; // what the class gives its elements
  const read = (type: { readonly prototype: unknown }, name: string, node: object): unknown =>
    Object.getOwnPropertyDescriptor(type.prototype, name)?.get?.call(node);
  let [nodes, characters, boxes] = [0, 0, 0];
  const roots: object[] = [world.document];
  for (let root = roots.pop(); root; root = roots.pop()) {
    const walker = Document.prototype.createTreeWalker.call(world.document, root, 0xffffffff);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      nodes++;
      if (node instanceof Element) {
        for (const name of getAttributeNames.call(node))
          characters += name.length + (getAttribute.call(node, name) ?? '').length;
        if (node instanceof HTMLInputElement) characters += String(read(HTMLInputElement, 'value', node)).length;
        if (node instanceof HTMLTextAreaElement) characters += String(read(HTMLTextAreaElement, 'value', node)).length;
        const inner = read(Element, 'shadowRoot', node);
        if (inner) roots.push(inner);
      } else characters += node.nodeValue?.length ?? 0;
      if (nodes > mostNodes || characters > mostCharacters) return [nodes, characters, boxes];
    }
    if (characters < 5_000) continue; // no more boxes than characters
    const range = new Range();
    range.selectNodeContents(root);
    boxes += range.getClientRects().length;
  }
  return [nodes, characters, boxes];
}

interface PeerConnection {
  readonly iceGatheringState: string;
  onicegatheringstatechange: (() => void) | null;
  onicecandidate: ((event: { readonly candidate: { readonly candidate: string } | null }) => void) | null;
  createDataChannel(name: string): unknown;
  createOffer(): Promise<unknown>;
  setLocalDescription(description: unknown): Promise<void>;
  close(): void;
}

/**
 * Asks a STUN server for our address, as a page could; resolves when the browser has tried all it would try.
 * @returns how many addresses for UDP it offered.
 */
export async function gatherCandidates(server: string): Promise<number> {
  const { RTCPeerConnection } = globalThis as unknown as {
    RTCPeerConnection?: new (options: {
      iceServers: { urls: string }[];
    }) => PeerConnection; // as above; some builds leave it out
  };
  if (!RTCPeerConnection) return 0;
  const connection = new RTCPeerConnection({ iceServers: [{ urls: server }] });
  const gathered = new Promise<void>((done) => {
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === 'complete') done();
    };
  });
  let count = 0;
  connection.onicecandidate = ({ candidate }) => {
    if (/ udp /i.test(candidate?.candidate ?? '')) count++;
  };
  connection.createDataChannel('probe');
  await connection.setLocalDescription(await connection.createOffer());
  await gathered;
  connection.close();
  return count;
}

/** Tries to open a WebSocket; resolves when it is open or never will be. */
export function tryWebSocket(url: string): Promise<void> {
  const { WebSocket } = globalThis as unknown as {
    WebSocket: new (url: string) => { onopen: (() => void) | null; onerror: (() => void) | null };
  }; // as above
  return new Promise((done) => {
    const socket = new WebSocket(url);
    socket.onopen = () => done();
    socket.onerror = () => done();
  });
}
