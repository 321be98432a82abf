import type { Box, Fingerprint } from '../../core/ports/browser.ts';

/** The DOM as far as it is touched here. */
interface Node {
  readonly tagName: string;
  readonly id: string;
  readonly type?: unknown;
  readonly value?: unknown;
  readonly multiple?: boolean;
  readonly size?: number;
  readonly innerText?: string;
  readonly textContent: string | null;
  readonly isContentEditable?: boolean;
  readonly isConnected: boolean;
  readonly parentElement: Node | null;
  readonly previousElementSibling: Node | null;
  readonly children: ArrayLike<Node>;
  readonly labels?: ArrayLike<Node> | null;
  readonly shadowRoot: Root | null;
  getRootNode(): { readonly host?: Node };
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  matches(selector: string): boolean;
  closest(selector: string): Node | null;
  contains(other: Node): boolean;
  querySelector(selector: string): Node | null;
  querySelectorAll(selector: string): ArrayLike<Node>;
  checkVisibility?(options: { checkOpacity: boolean; checkVisibilityCSS: boolean }): boolean;
  getBoundingClientRect(): { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

interface Root {
  getElementById(id: string): Node | null;
  querySelectorAll(selector: string): ArrayLike<Node>;
}

/** What is looked for. */
export interface SurveyQuestion {
  /** Hidden elements count, too. */
  readonly hiddenIsFine: boolean;
  /** Beside controls also elements of this tag that have words of their own. */
  readonly alsoTag: string | null;
  readonly most: number;
  /** Attributes that hold a test id, best first. */
  readonly testIds: readonly string[];
}

export const TEST_ID_ATTRIBUTES: readonly string[] = ['data-testid', 'data-test-id', 'data-test', 'data-cy', 'data-qa'];

/** Elements of one document, open shadow roots included, and what each is; both lists in the same order. */
export interface Described {
  readonly elements: readonly unknown[];
  readonly prints: readonly Fingerprint[];
}

/**
 * Describes every control of the document or, asked of an element, that one alone, unless it has left the document.
 * Recording and running use this one function, so that two descriptions differ only where the element does. Runs inside a
 * page: fixed code, values as arguments; never reads what a field holds.
 */
export function describeElements(first: unknown, second?: SurveyQuestion): Described {
  // A function is called in a frame with the question alone, and on an element with that before it.
  const [given, question] = second === undefined ? [null, first as SurveyQuestion] : [first as Node, second]; // by the caller's word
  const LONGEST = 120;
  const page = globalThis as unknown as { document: Root; scrollX: number; scrollY: number }; // runs in a page, whose global is a window
  const CONTROLS =
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [contenteditable=""], [contenteditable=true], ' +
    '[tabindex]:not([tabindex="-1"]), [onclick], ' +
    ['button', 'link', 'checkbox', 'radio', 'switch', 'tab', 'menuitem', 'menuitemcheckbox', 'menuitemradio']
      .concat(['option', 'combobox', 'listbox', 'textbox', 'searchbox', 'spinbutton', 'slider', 'treeitem'])
      .map((role) => `[role=${role}]`)
      .join(', ');
  const folded = (text: string | null | undefined) => (text ?? '').replace(/\s+/g, ' ').trim();
  const cut = (text: string | null | undefined) => folded((text ?? '').slice(0, 20 * LONGEST)).slice(0, LONGEST);
  const tagOf = (node: Node) => node.tagName.toLowerCase();
  const typeOf = (node: Node) => {
    const tag = tagOf(node);
    return (tag === 'input' || tag === 'button') && typeof node.type === 'string' ? node.type.toLowerCase() : undefined;
  };
  const rootOf = (node: Node) => node.getRootNode() as unknown as Root; // a document or a shadow root
  const parentOf = (node: Node): Node | null => node.parentElement ?? node.getRootNode().host ?? null;
  const isRendered = (node: Node) => node.checkVisibility?.({ checkOpacity: true, checkVisibilityCSS: true }) ?? true;
  const isShown = (node: Node) => {
    const { width, height } = node.getBoundingClientRect();
    return isRendered(node) && width > 0 && height > 0;
  };

  const ROLES: Readonly<Record<string, string>> = {
    ...{ a: 'link', button: 'button', textarea: 'textbox', option: 'option', summary: 'button', img: 'img' },
    ...{ h1: 'heading', h2: 'heading', h3: 'heading', h4: 'heading', h5: 'heading', h6: 'heading' },
    ...{ main: 'main', nav: 'navigation', aside: 'complementary', form: 'form', dialog: 'dialog', table: 'table' },
    ...{ fieldset: 'group', header: 'banner', footer: 'contentinfo', section: 'region', li: 'listitem' },
  };
  const INPUT_ROLES: Readonly<Record<string, string>> = {
    ...{ checkbox: 'checkbox', radio: 'radio', range: 'slider', number: 'spinbutton', search: 'searchbox' },
    ...{ submit: 'button', button: 'button', reset: 'button', image: 'button' },
    ...{ text: 'textbox', email: 'textbox', tel: 'textbox', url: 'textbox' },
  };
  const roleOf = (node: Node): string | undefined => {
    const written = folded(node.getAttribute('role')).split(' ')[0];
    if (written && written !== 'presentation' && written !== 'none') return written.toLowerCase();
    const tag = tagOf(node);
    if (tag === 'a' && !node.hasAttribute('href')) return undefined;
    if (tag === 'select') return node.multiple || (node.size ?? 0) > 1 ? 'listbox' : 'combobox';
    if (tag === 'input') return node.hasAttribute('list') ? 'combobox' : INPUT_ROLES[typeOf(node) ?? 'text'];
    return ROLES[tag] ?? (node.isContentEditable ? 'textbox' : undefined);
  };

  const isField = (node: Node) =>
    /^(input|textarea|select)$/.test(tagOf(node)) || node.isContentEditable === true || roleOf(node) === 'textbox';
  const wordsOf = (node: Node): string => {
    const words = cut(node.innerText || node.textContent);
    const pictures = Array.from(node.querySelectorAll('img[alt], svg > title'));
    return words || cut(pictures.map((one) => one.getAttribute('alt') ?? one.textContent ?? '').join(' '));
  };
  /** Of a label that holds its field: the words before and after it, never the field's own. */
  const labelWords = (label: Node): string => {
    const inner = Array.from(label.querySelectorAll('select, textarea')).map((one) => folded(one.textContent));
    return cut(inner.reduce((text, own) => (own ? text.replace(own, ' ') : text), folded(label.textContent)));
  };
  const writtenName = (node: Node): string => {
    const ids = folded(node.getAttribute('aria-labelledby')).split(' ').filter(Boolean).slice(0, 5);
    const byIds = cut(ids.map((id) => rootOf(node).getElementById(id)?.textContent ?? '').join(' '));
    return byIds || cut(node.getAttribute('aria-label'));
  };
  const nameOf = (node: Node): string => {
    const written = writtenName(node);
    if (written) return written;
    const labels = cut(
      Array.from(node.labels ?? [])
        .map(labelWords)
        .join(' '),
    );
    if (labels) return labels;
    const type = typeOf(node);
    if (tagOf(node) === 'input' && /^(submit|button|reset)$/.test(type ?? ''))
      return cut(node.getAttribute('value')) || (type === 'submit' ? 'Submit' : type === 'reset' ? 'Reset' : '');
    const other = cut(node.getAttribute('alt')) || (isField(node) ? '' : wordsOf(node));
    return other || cut(node.getAttribute('title')) || cut(node.getAttribute('placeholder'));
  };

  /** Of a choice: what the innermost group around it that has a name is called. */
  const groupOf = (node: Node): string => {
    if (!/^(radio|checkbox|switch|menuitemradio|menuitemcheckbox|combobox|listbox)$/.test(roleOf(node) ?? ''))
      return '';
    for (let at = parentOf(node); at; at = parentOf(at)) {
      if (!at.matches('[role=radiogroup], [role=group], fieldset')) continue;
      const legend = Array.from(at.children).find((child) => tagOf(child) === 'legend');
      const name = writtenName(at) || cut(legend?.textContent);
      if (name) return name;
    }
    return '';
  };

  /** What the icon of a control without words shows, as icon sets name it: `fa-trash`, `icon-edit`, `#copy`. */
  const iconOf = (node: Node): string => {
    const own = node.querySelector('svg, i, span, use, [data-icon]') ? Array.from(node.querySelectorAll('*')) : [];
    const named = [node, ...own]
      .slice(0, 10)
      .flatMap((one) => [
        one.getAttribute('data-icon') ?? '',
        /#([\w-]+)$/.exec(one.getAttribute('href') ?? one.getAttribute('xlink:href') ?? '')?.[1] ?? '',
        /(?:^|[\s_-])(?:icon|fa|bi|mdi|ti|lucide|glyphicon|dashicons)-([a-z][a-z-]+)/.exec(
          one.getAttribute('class') ?? '',
        )?.[1] ?? '',
      ]);
    return cut(named.find(Boolean)?.replace(/[-_]/g, ' '));
  };

  /** One more of what there are many of, such as the row above: what it says, it says of itself. */
  const isSibling = (other: Node, own: Node): boolean => {
    const tag = tagOf(own);
    if (other === own || tagOf(other) !== tag || /^(td|th)$/.test(tag) || /cell$/.test(roleOf(own) ?? '')) return false;
    const isItem = /^(tr|li|article)$/.test(tag) || /^(row|listitem|article|option)$/.test(roleOf(own) ?? '');
    const alike = folded(own.getAttribute('class'));
    const isAlike = alike !== '' && folded(other.getAttribute('class')) === alike;
    return (isItem || isAlike) && own.querySelector(CONTROLS) !== null && other.querySelector(CONTROLS) !== null;
  };

  /** The first heading there that is not of a part of its own, such as another form. */
  const PARTS = 'form, fieldset, dialog, article, aside, nav, table, [role=dialog], [role=form], [role=menu]';
  const headingIn = (at: Node, headings: string, node: Node): Node | undefined =>
    Array.from(at.querySelectorAll(headings)).find((heading) => {
      const part = heading.closest(PARTS);
      return part === null || part.contains(at) || part.contains(node);
    });

  /** The columns' names: every row has them above it. */
  const isHead = (node: Node) => node.matches('thead, tr') && !node.querySelector('td');

  /** Labels, the cell or text before, the heading above: nearest first. */
  const neighboursOf = (node: Node): string[] => {
    const found: string[] = [];
    const add = (text: string) => void (text && text.length <= 80 && !found.includes(text) && found.push(text));
    const name = nameOf(node);
    let at: Node | null = node;
    let below: Node = node; // the child of `at` that leads to the element
    for (let level = 0; at && tagOf(at) !== 'body' && level < 12 && found.length < 4; level++, at = parentOf(at)) {
      let before = at.previousElementSibling;
      for (let i = 0; before && i < 3 && found.length < 4; i++, before = before.previousElementSibling) {
        const isWords = !isField(before) && !before.querySelector('input, select, textarea');
        if (isWords && isRendered(before) && !isSibling(before, at) && !isHead(before)) add(folded(before.innerText));
      }
      if (at.matches('fieldset')) add(folded(at.querySelector('legend')?.textContent));
      const isHeaded = at !== node && at.matches('section, form, dialog, [role=dialog], main, article, div');
      if (isHeaded) {
        const first = headingIn(at, 'h1, h2, h3, h4, caption, legend', node);
        let top: Node | null | undefined = first;
        while (top && top !== at && parentOf(top) !== at) top = parentOf(top);
        if (top && !isSibling(top, below)) add(folded(first?.textContent));
      }
      below = at;
    }
    return found.filter((text) => text !== name).slice(0, 4);
  };

  const LANDMARKS =
    'main, nav, aside, header, footer, form, dialog, fieldset, table, section[aria-label], section[aria-labelledby], ' +
    '[role=dialog], [role=navigation], [role=main], [role=form], [role=group][aria-label], [role=tabpanel], [role=menu]';
  /** What a row of a table or list says first, beside the element: whose row it is. */
  const rowNameOf = (row: Node, node: Node): string => {
    for (let at: Node | undefined = row; at !== undefined && at !== node; ) {
      let inner: Node | undefined;
      for (const child of Array.from(at.children)) {
        inner = child.contains(node) ? child : undefined;
        const words = inner || isField(child) ? '' : folded(child.innerText);
        if (words && words.length <= 80) return words;
        if (inner) break;
      }
      at = inner;
    }
    return '';
  };
  const isRow = (node: Node) =>
    node.matches('tr, li, article, [role=row], [role=listitem], [role=article]') ||
    Array.from(parentOf(node)?.children ?? []).some((other) => isSibling(other, node));
  const pathOf = (node: Node): string[] => {
    const path: string[] = [];
    let row = ''; // the innermost one that has a name
    for (let at = parentOf(node); at && path.length < 8; at = parentOf(at)) {
      if (row === '' && tagOf(at) !== 'body' && isRow(at)) {
        row = rowNameOf(at, node);
        if (row !== '') path.unshift(`row ${row.slice(0, 60)}`);
      }
      if (!at.matches(LANDMARKS)) continue;
      const heading = headingIn(at, 'legend, caption, h1, h2', node);
      const name = cut(at.getAttribute('aria-label')) || folded(heading?.textContent);
      path.unshift([roleOf(at) ?? tagOf(at), name.slice(0, 60)].filter(Boolean).join(' '));
    }
    return path;
  };

  const boxOf = (node: Node): Box => {
    const { x, y, width, height } = node.getBoundingClientRect();
    const whole = (pixels: number) => Math.round(pixels);
    return { x: whole(x + page.scrollX), y: whole(y + page.scrollY), width: whole(width), height: whole(height) };
  };

  const describe = (node: Node): Fingerprint => {
    const print: Record<string, unknown> = { tag: tagOf(node) };
    const put = (key: string, value: unknown) => {
      const isEmpty = value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
      if (!isEmpty) print[key] = value;
    };
    put('type', typeOf(node));
    put('role', roleOf(node));
    put('name', nameOf(node));
    if (!isField(node)) put('text', wordsOf(node));
    put('id', node.id ? String(node.id).slice(0, LONGEST) : '');
    put('testId', cut(question.testIds.map((name) => node.getAttribute(name)).find(Boolean)));
    put('fieldName', cut(node.getAttribute('name')));
    put('placeholder', cut(node.getAttribute('placeholder')));
    put('title', cut(node.getAttribute('title')));
    const isMute = !isField(node) && nameOf(node) === '';
    put('alt', cut(node.getAttribute('alt')) || (isMute ? iconOf(node) : ''));
    put('group', groupOf(node));
    put('href', tagOf(node) === 'a' ? (node.getAttribute('href') ?? '').slice(0, 500) : '');
    const classes = folded(node.getAttribute('class')).split(' ').filter(Boolean);
    put('classes', classes.slice(0, 12));
    put('neighbours', neighboursOf(node));
    put('path', pathOf(node));
    print.box = boxOf(node);
    return print as unknown as Fingerprint; // built from its properties, one by one
  };

  const controlsIn = (): Node[] => {
    const also = question.alsoTag !== null && /^[a-z][a-z0-9-]*$/.test(question.alsoTag) ? question.alsoTag : null;
    const found: Node[] = [];
    const roots: Root[] = [page.document];
    for (let root = roots.shift(); root && found.length < question.most; root = roots.shift()) {
      for (const node of Array.from(root.querySelectorAll('*'))) {
        if (node.shadowRoot) roots.push(node.shadowRoot);
        if (found.length >= question.most) break;
        const isAlso = also !== null && tagOf(node) === also && folded(node.textContent).length <= 200;
        if (!(node.matches(CONTROLS) || isAlso)) continue;
        if (question.hiddenIsFine || isShown(node)) found.push(node);
      }
    }
    return found;
  };

  const elements = given === null ? controlsIn() : given.isConnected ? [given] : [];
  return { elements, prints: elements.map(describe) };
}
