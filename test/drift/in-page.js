// What mutations are made of, and the watch over what is clicked and filled: anything but a marked element is a wrong one.
// Runs inside the page, before </body>.
const drift = (() => {
  const intended = new WeakSet();
  const roots = () => [document, ...[...document.querySelectorAll('template')].map((one) => one.content)];
  const all = (selector) => roots().flatMap((root) => [...root.querySelectorAll(selector)]);
  const $ = (selector) => all(selector)[0];
  const mark = (node) => intended.add(node);
  const make = (markup) => {
    const holder = document.createElement('template');
    holder.innerHTML = markup.trim();
    return holder.content.firstElementChild;
  };
  const wordsOf = (node) => (node.tagName === 'INPUT' ? node.value : node.textContent.trim());

  function watch(root) {
    const isIntended = (event) => event.composedPath().some((node) => intended.has(node));
    const report = (event) => {
      const target = event.composedPath()[0];
      const words = `${event.type} ${target.tagName} ${target.id || target.name || ''} ${(target.textContent || '').trim().slice(0, 30)}`;
      navigator.sendBeacon(`/drift?action=${encodeURIComponent(words)}`);
    };
    root.addEventListener('click', (event) => event.isTrusted && !isIntended(event) && report(event), true);
    for (const type of ['input', 'change'])
      root.addEventListener(type, (event) => !isIntended(event) && report(event), true);
  }

  /** `shown` stands for `original`, which goes out of sight and gets what is done to it. */
  function standIn(original, shown) {
    mark(shown);
    shown.addEventListener('click', (event) => {
      if (shown.tagName === 'INPUT' && !/submit|button/.test(shown.type)) return;
      event.preventDefault();
      original.click();
    });
    shown.addEventListener('input', () => {
      original.value = shown.value;
      original.dispatchEvent(new Event('input', { bubbles: true }));
    });
    original.style.display = 'none';
    original.after(shown);
    return shown;
  }

  function copyOf(original) {
    const copy = original.cloneNode(true);
    copy.removeAttribute('id');
    copy.required = false;
    return copy;
  }

  const each = (selector, change) => all(selector).forEach(change);
  const labelOf = (field) => all(`label[for="${field.id}"]`)[0];
  const labelWords = (field) => (labelOf(field)?.firstChild?.textContent ?? '').trim();

  return {
    all,
    $,
    each,
    mark,
    make,
    watch,
    wrap: (selector, levels = 1, tag = 'div') =>
      each(selector, (node) => {
        for (let i = 0; i < levels; i++) {
          const around = document.createElement(tag);
          node.replaceWith(around);
          around.append(node);
        }
      }),
    as: (selector, markup) => each(selector, (node) => standIn(node, make(markup.replace('$', wordsOf(node))))),
    relabel: (selector, words) =>
      each(selector, (node) => {
        if (node.tagName === 'INPUT') node.value = words;
        else node.textContent = words;
      }),
    attribute: (selector, name, value) =>
      each(selector, (node) => (value === null ? node.removeAttribute(name) : node.setAttribute(name, value))),
    remove: (selector) => each(selector, (node) => node.remove()),
    hide: (selector) => each(selector, (node) => node.style.setProperty('display', 'none')),
    place: (selector, style) => each(selector, (node) => node.setAttribute('style', style)),
    move: (selector, to, where = 'append') => each(selector, (node) => $(to)?.[where](node)),
    add: (selector, where, markup) => each(selector, (node) => node[where](make(markup))),
    toPlaceholder: (selector) =>
      each(selector, (field) => {
        field.placeholder = labelWords(field);
        labelOf(field)?.remove();
      }),
    toAria: (selector) =>
      each(selector, (field) => {
        field.setAttribute('aria-label', labelWords(field));
        labelOf(field)?.remove();
      }),
    loosen: (selector) =>
      each(selector, (field) => {
        const label = labelOf(field);
        label?.replaceWith(make(`<span>${labelWords(field)}</span>`));
      }),
    label: (selector, words) =>
      each(selector, (field) => {
        const label = labelOf(field);
        if (label) label.firstChild.textContent = words;
      }),
    toDivs: (selector) =>
      each(selector, (node) => {
        const div = document.createElement('div');
        div.className = node.className;
        div.id = node.id;
        div.append(...node.childNodes);
        node.replaceWith(div);
      }),
    shadow: (selector) =>
      each(selector, (node) => {
        const host = document.createElement('x-part');
        const shown = standIn(node, copyOf(node));
        shown.replaceWith(host);
        const root = host.attachShadow({ mode: 'open' });
        const label = labelOf(node);
        if (label) root.append(label.cloneNode(true));
        root.append(shown);
        if (label) shown.setAttribute('aria-label', labelWords(node));
        label?.remove();
      }),
    frame: (selector) =>
      each(selector, (node) => {
        const frame = make(
          `<iframe src="/drift-frame" width="${node.type === 'submit' ? 160 : 500}" height="60" style="border:0"></iframe>`,
        );
        const words = labelWords(node);
        const shown = standIn(node, copyOf(node));
        shown.replaceWith(frame);
        frame.addEventListener('load', () => {
          shown.style.display = '';
          if (words) shown.setAttribute('aria-label', words);
          frame.contentDocument.body.replaceChildren(shown);
          watch(frame.contentDocument);
        });
      }),
    later: (ms, change) => {
      setTimeout(change, ms);
    },
  };
})();
// What is inside of a frame is watched by whoever put it there.
if (window.top === window) {
  for (const selector of INTENDED) drift.each(selector, drift.mark);
  drift.watch(document);
}
