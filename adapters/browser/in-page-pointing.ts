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
  getRootNode(): { readonly activeElement: unknown };
  readonly ownerDocument: { readonly defaultView: Frame | null };
}

interface Frame {
  readonly parent: Frame;
  readonly frameElement: unknown;
  readonly document: { readonly activeElement: unknown };
}

/** Whether keys go to this element: it has the focus of its document, and so has each frame that it is in. */
export function hasKeyboard(node: unknown): boolean {
  const element = node as Focusable; // every element is one, as far as it is asked
  if (element.getRootNode().activeElement !== node) return false;
  for (let at = element.ownerDocument.defaultView; at && at.parent !== at; at = at.parent) {
    if (at.parent.document.activeElement !== at.frameElement) return false;
  }
  return true;
}
