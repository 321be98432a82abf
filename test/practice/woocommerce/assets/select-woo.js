// A widget over a hidden select, in the shape of SelectWoo: the visible combobox is named by its value, and the list of
// options is appended at the end of the body while it is open. The select stays the truth: setting it updates the text.
(() => {
  let open;

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function enhance(select) {
    const textId = `select2-${select.id}-container`;
    const text = element('span', {
      class: 'select2-selection__rendered',
      id: textId,
      role: 'textbox',
      'aria-readonly': 'true',
    });
    const arrow = element('span', { class: 'select2-selection__arrow', role: 'presentation' });
    const box = element(
      'span',
      {
        class: 'select2-selection select2-selection--single',
        role: 'combobox',
        tabindex: '0',
        'aria-haspopup': 'true',
        'aria-expanded': 'false',
        'aria-labelledby': textId,
      },
      text,
      arrow,
    );
    const container = element(
      'span',
      { class: 'select2 select2-container select2-container--default', dir: 'ltr', style: 'width: 400px;' },
      element('span', { class: 'selection' }, box),
    );
    select.classList.add('select2-hidden-accessible', 'enhanced');
    select.setAttribute('aria-hidden', 'true');
    select.tabIndex = -1;
    select.after(container);
    const widget = { select, box, container, text };
    select.addEventListener('change', () => render(widget));
    box.addEventListener('mousedown', (event) => press(widget, event));
    box.addEventListener('keydown', (event) => {
      if (!open && ['Enter', ' ', 'ArrowDown'].includes(event.key)) {
        event.preventDefault();
        show(widget);
      }
    });
    render(widget);
  }

  function render({ select, text }) {
    const label = select.selectedOptions[0]?.textContent ?? '';
    text.title = label;
    if (label === '') {
      text.replaceChildren(
        element('span', { class: 'select2-selection__placeholder' }, select.dataset.placeholder ?? ''),
      );
      return;
    }
    const clear = select.dataset.allow_clear ? [element('span', { class: 'select2-selection__clear' }, '×')] : [];
    text.replaceChildren(...clear, label);
  }

  function press(widget, event) {
    event.preventDefault();
    widget.box.focus();
    const isOpen = open?.widget === widget;
    hide();
    if (event.target.classList.contains('select2-selection__clear')) choose(widget, '', '');
    else if (!isOpen) show(widget);
  }

  function show(widget) {
    const { select, container, box } = widget;
    const listId = `select2-${select.id}-results`;
    const isSearch = select.classList.contains('wc-customer-search');
    const list = element('ul', {
      class: 'select2-results__options',
      role: 'listbox',
      id: listId,
      tabindex: '-1',
      'aria-expanded': 'true',
    });
    const search = element('input', {
      class: 'select2-search__field',
      type: 'text',
      role: 'combobox',
      autocomplete: 'off',
      'aria-autocomplete': 'list',
      'aria-owns': listId,
      'aria-expanded': 'true',
    });
    const searchBox = element(
      'span',
      { class: `select2-search select2-search--dropdown${isSearch ? '' : ' select2-search--hide'}` },
      search,
    );
    const results = element('span', { class: 'select2-results' }, list);
    const dropdown = element('span', { class: 'select2-dropdown select2-dropdown--below' }, searchBox, results);
    const place = container.getBoundingClientRect();
    const drop = element(
      'span',
      { class: 'select2-container select2-container--default select2-container--open select2-drop' },
      dropdown,
    );
    drop.style.cssText = `top: ${place.bottom + window.scrollY}px; left: ${place.left + window.scrollX}px; width: ${place.width}px;`;
    document.body.append(drop);
    box.setAttribute('aria-expanded', 'true');
    box.setAttribute('aria-owns', listId);
    open = { widget, drop, list };
    if (isSearch) startSearch(widget, search, list);
    else
      fill(
        widget,
        list,
        [...select.options].map((option) => [option.value, option.textContent]),
      );
    (isSearch ? search : box).focus();
  }

  function fill(widget, list, entries) {
    const rows = entries.map(([value, label]) => {
      const isSelected = widget.select.value === value;
      const row = element(
        'li',
        {
          class: 'select2-results__option',
          role: 'option',
          id: `select2-${widget.select.id}-result-${value}`,
          'data-selected': String(isSelected),
          'aria-selected': String(isSelected),
          tabindex: '-1',
        },
        label,
      );
      row.addEventListener('mouseenter', () => highlight(list, row));
      row.addEventListener('mouseup', () => {
        hide();
        choose(widget, value, label);
      });
      return row;
    });
    list.replaceChildren(...rows);
    highlight(list, rows.find((row) => row.dataset.selected === 'true') ?? rows[0]);
  }

  function highlight(list, row) {
    for (const one of list.children) one.classList.toggle('select2-results__option--highlighted', one === row);
    if (row) open?.widget.box.setAttribute('aria-activedescendant', row.id);
  }

  function startSearch(widget, input, list) {
    const say = (text) =>
      list.replaceChildren(
        element(
          'li',
          { class: 'select2-results__option select2-results__message', role: 'alert', 'aria-live': 'assertive' },
          text,
        ),
      );
    say('Please enter 1 or more characters');
    input.addEventListener('input', async () => {
      const term = input.value.trim();
      if (term === '') return say('Please enter 1 or more characters');
      say('Searching…');
      const body = new URLSearchParams({
        action: 'woocommerce_json_search_customers',
        term,
        security: widget.select.dataset.security,
      });
      const answer = await fetch('/wp-admin/admin-ajax.php', { method: 'POST', body });
      if (input.value.trim() !== term) return;
      const people = answer.ok ? Object.entries(await answer.json()) : [];
      if (people.length > 0) fill(widget, list, people);
      else say('No matches found');
    });
  }

  function choose({ select }, value, label) {
    const known = [...select.options].some((option) => option.value === value);
    if (!known) select.append(new Option(label, value));
    select.value = value;
    select.dispatchEvent(new Event('input', { bubbles: true }));
    select.dispatchEvent(new Event('change', { bubbles: true }));
  }

  function hide() {
    if (!open) return;
    open.drop.remove();
    open.widget.box.setAttribute('aria-expanded', 'false');
    open.widget.box.removeAttribute('aria-owns');
    open.widget.box.removeAttribute('aria-activedescendant');
    open = undefined;
  }

  function move(step) {
    const rows = [...open.list.querySelectorAll('[role="option"]')];
    const now = rows.findIndex((row) => row.classList.contains('select2-results__option--highlighted'));
    const next = rows[Math.min(rows.length - 1, Math.max(0, now + step))];
    if (next) highlight(open.list, next);
  }

  document.addEventListener('keydown', (event) => {
    if (!open || event.defaultPrevented) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key === 'Escape') hide();
    else if (event.key === 'Enter')
      open.list.querySelector('.select2-results__option--highlighted')?.dispatchEvent(new MouseEvent('mouseup'));
    else if (event.key in steps) move(steps[event.key]);
    else return;
    event.preventDefault();
  });
  document.addEventListener('mousedown', (event) => {
    if (open && !open.drop.contains(event.target) && !open.widget.container.contains(event.target)) hide();
  });

  for (const select of document.querySelectorAll('.wc-enhanced-select, .wc-customer-search')) enhance(select);
})();
