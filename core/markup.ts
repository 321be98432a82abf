declare const safe: unique symbol;

/** Text that is markup already. Only `html` makes it, so every word from outside has been escaped on the way. */
export interface Html {
  readonly [safe]: true;
  readonly markup: string;
}

type Part = Html | string | number | undefined | null | false | readonly Html[];

/** Builds markup: strings and numbers are escaped (in text and in double-quoted attributes), `Html` goes in as it is. */
export function html(pieces: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const markup = pieces.reduce((whole, piece, index) => whole + insert(parts[index - 1]) + piece);
  // The cast is the one place where markup is declared safe: `insert` has escaped every part.
  return { markup } as Html;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function insert(part: Part): string {
  if (part === undefined || part === null || part === false) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  if ('markup' in part) return part.markup;
  return part.map(({ markup }) => markup).join('');
}
