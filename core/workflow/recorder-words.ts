import { secretSlot } from './placeholders.ts';
import type { Look } from './recording.ts';

type Sayable =
  | { readonly kind: 'navigate'; readonly target: string }
  | {
      readonly kind: 'click' | 'fill' | 'select' | 'check' | 'press';
      readonly name: string;
      readonly value: string;
      readonly isChecked: boolean;
      readonly look: Look;
    };

/** An action as a sentence for people, with placeholders, for specs that don't name it by a `test.step`. */
export function sentenceFor(said: Sayable): string {
  if (said.kind === 'navigate') return `Open ${said.target.replace('{base}', '').split(/[?#]/)[0] || '/'}`;
  const what = said.name === '' ? nounOf(said.look) : `“${said.name}”`;
  const slot = secretSlot(said.value);
  switch (said.kind) {
    case 'click':
      return `Click ${what}`;
    case 'fill':
      return slot === undefined
        ? `Enter “${said.value}” in ${what}`
        : `Enter the ${slot.replaceAll('_', ' ')} in ${what}`;
    case 'select':
      return `Choose “${said.value}” in ${what}`;
    case 'check':
      return said.isChecked ? `Choose ${what}` : `Untick ${what}`;
    case 'press':
      return `Press ${said.value} in ${what}`;
  }
}

function nounOf({ identity }: Look): string {
  return `the ${identity.role ?? identity.tag}`;
}
