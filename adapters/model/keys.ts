/** The model names keys as xdotool does; pages take them by the names of UI Events (W3C, KeyboardEvent key values). */
const NAMES: Readonly<Record<string, string>> = {
  return: 'Enter',
  enter: 'Enter',
  kp_enter: 'Enter',
  tab: 'Tab',
  escape: 'Escape',
  esc: 'Escape',
  backspace: 'Backspace',
  delete: 'Delete',
  space: 'Space',
  home: 'Home',
  end: 'End',
  pageup: 'PageUp',
  page_up: 'PageUp',
  prior: 'PageUp',
  pagedown: 'PageDown',
  page_down: 'PageDown',
  next: 'PageDown',
  up: 'ArrowUp',
  down: 'ArrowDown',
  left: 'ArrowLeft',
  right: 'ArrowRight',
  arrowup: 'ArrowUp',
  arrowdown: 'ArrowDown',
  arrowleft: 'ArrowLeft',
  arrowright: 'ArrowRight',
};
const MODIFIERS: Readonly<Record<string, string>> = {
  ctrl: 'Control',
  control: 'Control',
  shift: 'Shift',
  alt: 'Alt',
  option: 'Alt',
  cmd: 'Meta',
  command: 'Meta',
  meta: 'Meta',
  super: 'Meta',
};

/** One key or chord, such as `Return` or `ctrl+a`, in Playwright's words; `undefined` when it is none that is known. */
export function chordOf(text: string): string | undefined {
  // The last plus may be the key itself.
  const parts = text.trim() === '+' ? ['+'] : text.trim().split(/\+(?!$)/);
  const modifiers = parts.slice(0, -1).map((part) => MODIFIERS[part.toLowerCase()]);
  const key = keyOf(parts.at(-1) ?? '');
  if (key === undefined || modifiers.includes(undefined)) return undefined;
  return [...modifiers, key].join('+');
}

function keyOf(name: string): string | undefined {
  if (Array.from(name).length === 1) return name;
  return NAMES[name.toLowerCase()] ?? /^F(?:[1-9]|1[0-2])$/i.exec(name)?.[0].toUpperCase();
}
