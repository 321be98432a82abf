/** The DOM as far as it is touched here. */
interface Node {
  readonly tagName: string;
  readonly id: unknown;
  readonly type?: unknown;
  readonly value?: unknown;
  readonly textContent: string | null;
  readonly parentElement: Node | null;
  readonly children: ArrayLike<Node>;
  readonly labels?: ArrayLike<Node> | null;
  getAttribute(name: string): string | null;
  closest(selector: string): Node | null;
  getRootNode(): { querySelectorAll(selector: string): ArrayLike<Node> };
  querySelectorAll(selector: string): ArrayLike<Node>;
}

export interface PlaceInDocument {
  readonly testId: { readonly attribute: string; readonly value: string } | null;
  readonly idSelector: string | null;
  /** The value of a radio button, which tells it from the others of its name. */
  readonly choice: string | null;
  /** Of its only label, without the words of what stands inside. */
  readonly label: string | null;
  /** The nearest form or dialog that has an id. */
  readonly formSelector: string | null;
  /** From the nearest element with an id of its own, or the top. */
  readonly path: string;
}

/** Where an element stands. Runs inside a page: fixed code. */
export function placeInDocument(given: unknown): PlaceInDocument {
  const node = given as Node; // an element of this page, by the caller's word
  const page = globalThis as unknown as { CSS: { escape(text: string): string } }; // runs in a page, whose global is a window
  const folded = (text: string | null | undefined) => (text ?? '').replace(/\s+/g, ' ').trim();
  const root = node.getRootNode();
  const idOf = (one: Node): string | null => {
    const id = typeof one.id === 'string' && !/\d{4,}|^:/.test(one.id) ? one.id : '';
    if (id === '') return null;
    const selector = `#${page.CSS.escape(id)}`;
    return root.querySelectorAll(selector).length === 1 ? selector : null;
  };
  const TEST_IDS = ['data-testid', 'data-test-id', 'data-test', 'data-cy', 'data-qa'];
  const attribute = TEST_IDS.find((name) => node.getAttribute(name));
  const labels = Array.from(node.labels ?? []);
  const label = labels.length === 1 && labels[0]?.querySelectorAll('select, textarea').length === 0 ? labels[0] : null;
  const form = node.closest('form[id], dialog[id], [role=dialog][id]');
  const path: string[] = [];
  for (let at: Node | null = node; at; at = at.parentElement) {
    const id = at === node ? null : idOf(at);
    if (id !== null) {
      path.unshift(id);
      break;
    }
    const tag = at.tagName.toLowerCase();
    const alike = Array.from(at.parentElement?.children ?? []).filter((one) => one.tagName === at?.tagName);
    path.unshift(alike.length > 1 ? `${tag}:nth-of-type(${alike.indexOf(at) + 1})` : tag);
  }
  return {
    testId: attribute === undefined ? null : { attribute, value: node.getAttribute(attribute) ?? '' },
    idSelector: idOf(node),
    choice: node.type === 'radio' ? String(node.value) : null,
    label: label ? folded(label.textContent).slice(0, 120) || null : null,
    formSelector: form ? idOf(form) : null,
    path: path.join(' > '),
  };
}

export interface Sights {
  readonly sights: { role: string; name: string }[];
  readonly generator: string | null;
}

/** Headings, alerts and dialogs in sight, and what made the page. Runs inside a page: fixed code. */
export function sightsOf(): Sights {
  interface Shown extends Node {
    readonly innerText?: string;
    checkVisibility?(): boolean;
  }
  const { document } = globalThis as unknown as { document: Pick<Node, 'querySelectorAll'> }; // as above
  const SIGHTS = 'h1, h2, h3, [role=heading], [role=alert], [role=status], dialog[open], [role=dialog]';
  const folded = (text: string | null | undefined) => (text ?? '').replace(/\s+/g, ' ').trim();
  const sights: { role: string; name: string }[] = [];
  for (const node of Array.from(document.querySelectorAll(SIGHTS)) as Shown[]) {
    const tag = node.tagName.toLowerCase();
    const role = node.getAttribute('role') ?? (tag === 'dialog' ? 'dialog' : 'heading');
    const name =
      role === 'dialog'
        ? folded(node.getAttribute('aria-label')) || folded(node.querySelectorAll('h1, h2, h3')[0]?.textContent)
        : folded(node.innerText);
    const isFit = name !== '' && name.length <= 80 && (node.checkVisibility?.() ?? true);
    if (isFit && sights.length < 20) sights.push({ role, name });
  }
  const meta = document.querySelectorAll('meta[name=generator]')[0];
  return { sights, generator: meta ? folded(meta.getAttribute('content')).slice(0, 80) || null : null };
}
