import { quoted, withoutTricks } from '../../../core/plain-text.ts';
import type { Described, FoundElsewhere } from '../../../core/workflow/found-anew.ts';
import { intentWords } from './workflow-view.ts';

/** What people call it, by its role; else by its tag, as a browser would. */
const CALLED: Readonly<Record<string, string>> = {
  ...{
    button: 'button',
    submit: 'button',
    reset: 'button',
    link: 'link',
    a: 'link',
    tab: 'tab',
    menuitem: 'menu entry',
  },
  ...{ textbox: 'field', searchbox: 'field', spinbutton: 'field', input: 'field', textarea: 'field' },
  ...{ combobox: 'list', listbox: 'list', select: 'list', option: 'choice', radio: 'choice' },
  ...{ checkbox: 'box to tick', switch: 'switch', heading: 'heading', cell: 'cell', img: 'picture' },
};

const MOST_LETTERS = 120;

/** `the button “Add key”`. @param isRecorded its name may hold slots that a plan fills in; what a page says is never read so */
export function elementWords(described: Described, isRecorded = false): string {
  const { identity, fingerprint } = described;
  const { role, type, tag } = { ...fingerprint, ...identity };
  const called = [role, type, tag].flatMap((name) => CALLED[name ?? ''] ?? [])[0] ?? 'place';
  const name = nameOf(described);
  const neighbour = fingerprint?.neighbours?.[0];
  if (!name) return neighbour ? `the ${called} beside ${shown(neighbour)}` : `a ${called} without a name`;
  if (isRecorded && name.includes('{')) return `the ${called} for ${intentWords(name)}`;
  return `the ${called} ${shown(name)}`;
}

/** Nothing is known of it that people would call it by. */
export function isNameless(described: Described): boolean {
  return !nameOf(described);
}

function nameOf({ identity, fingerprint }: Described): string | undefined {
  const others = [fingerprint?.name, fingerprint?.text, fingerprint?.placeholder, fingerprint?.title];
  return identity?.name ?? others.find(Boolean);
}

/** A page’s own words, of which none turns or hides those around it. */
function shown(words: string): string {
  const letters = [...withoutTricks(words)];
  return quoted(letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 1).join('')}…` : letters.join(''));
}

/** A part of a step’s result: `consumer key` */
export function partWords(field: string): string {
  return field.replaceAll('_', ' ');
}

/** What a decision is about, without the words around it: `the button “Add key”, step 6 of WooCommerce: create a REST API key` */
export function whatWords({ field, found, step, workflow }: FoundElsewhere): string {
  const what = field === undefined ? elementWords(found) : `the place of the ${partWords(field)}`;
  return `${what}, step ${step.order} of ${workflow.name}`;
}
