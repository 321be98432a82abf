/** @file Slash commands, offered while they are typed: the combobox pattern of the ARIA Authoring Practices. */

import { announce } from './dom.js';

/** Returns what the composer asks of the list: `onInput()`, and `onKey(event)`, which says whether it took the key. */
export function createCompletion(text, list, commands, onTaken) {
  let offered = [];
  let active = 0;
  let dismissed;

  function onInput() {
    const typed = text.value.toLowerCase();
    if (dismissed !== undefined && !typed.startsWith(dismissed)) dismissed = undefined;
    const isWanted = typed.startsWith('/') && dismissed === undefined;
    const before = offered.length;
    offered = isWanted ? commands.filter((each) => isUnfinished(each, typed)) : [];
    active = 0;
    draw();
    if (offered.length > 0 && offered.length !== before) {
      announce(`${offered.length} ${offered.length === 1 ? 'command' : 'commands'}. Arrows choose, Enter completes.`);
    }
  }

  function isUnfinished({ command, hint }, typed) {
    return command.startsWith(typed) && (typed !== command || hint !== '');
  }

  function draw() {
    list.replaceChildren(...offered.map(option));
    list.hidden = offered.length === 0;
    if (offered.length === 0) {
      for (const name of [
        'role',
        'aria-expanded',
        'aria-controls',
        'aria-activedescendant',
        'aria-autocomplete',
        'aria-haspopup',
      ]) {
        text.removeAttribute(name);
      }
      return;
    }
    text.setAttribute('role', 'combobox');
    text.setAttribute('aria-haspopup', 'listbox');
    text.setAttribute('aria-autocomplete', 'list');
    text.setAttribute('aria-expanded', 'true');
    text.setAttribute('aria-controls', list.id);
    text.setAttribute('aria-activedescendant', `command-${active}`);
    list.children[active].scrollIntoView({ block: 'nearest' });
  }

  function option({ command, hint, help }, index) {
    const made = document.createElement('div');
    made.id = `command-${index}`;
    made.setAttribute('role', 'option');
    made.setAttribute('aria-selected', String(index === active));
    for (const [name, className, words] of [
      ['b', '', command],
      ['span', 'hint', hint],
      ['span', 'about', help],
    ]) {
      const part = document.createElement(name);
      part.className = className;
      part.textContent = words;
      if (words !== '') made.append(part, ' ');
    }
    made.addEventListener('mousedown', (event) => event.preventDefault());
    made.addEventListener('click', () => take(index));
    return made;
  }

  function take(index) {
    const { command, hint } = offered[index];
    text.value = hint === '' ? command : `${command} `;
    offered = [];
    draw();
    text.focus();
    onTaken();
  }

  function onKey(event) {
    if (offered.length === 0 || event.isComposing || event.shiftKey) return false;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined) {
      active = (active + by + offered.length) % offered.length;
      draw();
    } else if (event.key === 'Enter' || event.key === 'Tab') {
      take(active);
    } else if (event.key === 'Escape') {
      dismissed = text.value.toLowerCase();
      offered = [];
      draw();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  return { onInput, onKey };
}
