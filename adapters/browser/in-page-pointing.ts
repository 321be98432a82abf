/** Functions that run inside a page: fixed code, values as arguments; nothing from outside themselves. */

interface Node {
  readonly shadowRoot: Place | null;
  closest(selector: string): Node | null;
}

interface Place {
  readonly activeElement: Node | null;
  elementFromPoint(x: number, y: number): Node | null;
}

/** The control at a point, or whatever is there when it is in no control. */
export function pointedElement({ x, y }: { x: number; y: number }): Node | null {
  const { document } = globalThis as unknown as { document: Place }; // runs in a page, whose global is a window
  let node = document.elementFromPoint(x, y);
  for (let inner = node?.shadowRoot?.elementFromPoint(x, y); inner && inner !== node; ) {
    node = inner;
    inner = node.shadowRoot?.elementFromPoint(x, y);
  }
  const CONTROL =
    'a[href], button, input, select, textarea, summary, iframe, [contenteditable=""], [contenteditable=true], [onclick], ' +
    '[role=button], [role=link], [role=checkbox], [role=radio], [role=switch], [role=tab], [role=menuitem], [role=option], ' +
    '[role=combobox], [role=textbox], [role=searchbox]';
  const label = node?.closest('label') as (Node & { readonly control?: Node | null }) | null | undefined; // only labels have a control
  return node?.closest(CONTROL) ?? label?.control ?? node ?? null;
}

export function focusedElement(): Node | null {
  const { document } = globalThis as unknown as { document: Place & { readonly body: Node } }; // as above
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return node === document.body ? null : node;
}

export function visibleText(longest: number): string {
  const { document } = globalThis as unknown as { document: { readonly body: { readonly innerText?: string } | null } }; // as above
  return (document.body?.innerText ?? '').slice(0, longest);
}

/** Where the viewport of an embedded frame begins, in that of the frame around it. */
export function innerOrigin(node: unknown): { x: number; y: number } {
  const frame = node as { clientLeft: number; clientTop: number; getBoundingClientRect(): { x: number; y: number } }; // every element has them
  const { x, y } = frame.getBoundingClientRect();
  return { x: x + frame.clientLeft, y: y + frame.clientTop };
}

interface Focusable {
  focus?(): void;
  getRootNode(): { readonly activeElement: unknown };
  readonly ownerDocument: { readonly defaultView: Frame | null };
}

interface Frame {
  readonly parent: Frame;
  readonly frameElement: unknown;
  readonly document: { readonly activeElement: unknown };
}

/**
 * Whether keys go to this element once the page has drawn its next frame, the focus having been asked for it where that is
 * wanted: it has the focus of its document, and so has each frame that it is in.
 */
export async function keepsKeyboard(node: unknown, isToGetIt: boolean): Promise<boolean> {
  const { requestAnimationFrame } = globalThis as unknown as { requestAnimationFrame(run: () => void): void }; // as above
  const element = node as Focusable; // every element is one, as far as it is asked
  if (isToGetIt) element.focus?.();
  await new Promise<void>((done) => requestAnimationFrame(() => done()));
  if (element.getRootNode().activeElement !== node) return false;
  for (let at = element.ownerDocument.defaultView; at && at.parent !== at; at = at.parent) {
    if (at.parent.document.activeElement !== at.frameElement) return false;
  }
  return true;
}

interface Clickable {
  readonly isConnected: boolean;
  getRootNode(): { elementFromPoint(x: number, y: number): unknown };
  contains(other: unknown): boolean;
  matches(selector: string): boolean;
  getBoundingClientRect(): { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/**
 * Whether a click would be taken at once: the element rests from one frame to the next, is enabled, and nothing lies over
 * its middle. In an embedded frame, which the page around it may cover, it is not said.
 */
export async function wouldTakeClick(node: unknown): Promise<boolean> {
  const element = node as Clickable; // as above
  const page = globalThis as unknown as { parent: unknown; requestAnimationFrame(run: () => void): void }; // as above
  if (page.parent !== globalThis) return false;
  const nextFrame = () => new Promise<void>((done) => page.requestAnimationFrame(() => done()));
  await nextFrame();
  const { x, y, width, height } = element.getBoundingClientRect();
  await nextFrame();
  const now = element.getBoundingClientRect();
  const isAtRest = now.x === x && now.y === y && now.width === width && now.height === height;
  if (!isAtRest || !element.isConnected) return false;
  if (element.matches(':disabled, [inert], [inert] *, [aria-disabled=true], [aria-disabled=true] *')) return false;
  return element.contains(element.getRootNode().elementFromPoint(x + width / 2, y + height / 2));
}

/** Whether text would be taken at once: a field that is neither disabled nor read-only, or what a person may edit. */
export function wouldTakeText(node: unknown): boolean {
  const element = node as Clickable; // as above
  if (!element.isConnected) return false;
  if (element.matches(':disabled, [aria-disabled=true], [aria-disabled=true] *, [aria-readonly=true]')) return false;
  return element.matches('input:read-write, textarea:read-write');
}
