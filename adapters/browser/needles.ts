import type { Secret } from '../../core/secret.ts';

/** What to look for, ready for searching: every form in which a page may show one of the secrets. */
export interface Needles {
  /** Start and end in `text` of each place where a form shows. The text is folded by `folded`. */
  rangesIn(text: string): readonly (readonly [number, number])[];
  /** Whether a value as it is in the page holds a form, or is a secret too short to be searched for. */
  isIn(value: string): boolean;
}

/** Below this many characters a secret is only recognised as a whole field or text: inside words it would be everywhere. */
const SHORTEST_SEARCHED = 6;

// White space, soft hyphen, zero-width characters, direction marks, hyphens and dashes: what is put between groups of a key.
const INVISIBLE = /[\s\u00ad\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060-\u2064\ufeff-]/;

/** Text without separators and capitals. `origin[i]` is where its i-th character stood. */
export function folded(text: string): { readonly text: string; readonly origin: readonly number[] } {
  let out = '';
  const origin: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const letter = text.charAt(i);
    if (INVISIBLE.test(letter)) continue;
    const lower = letter.toLowerCase();
    out += lower.length === 1 ? lower : letter; // a few capitals fold to two characters, which would shift the rest
    origin.push(i);
  }
  return { text: out, origin };
}

export function createNeedles(secrets: readonly Secret[]): Needles {
  const all = [
    ...new Set(
      secrets
        .map((secret) => secret.reveal())
        .flatMap(forms)
        .map((form) => folded(form).text),
    ),
  ];
  const searched = all.filter((form) => form.length >= SHORTEST_SEARCHED);
  const short = new Set(
    secrets
      .map((secret) => folded(secret.reveal()).text)
      .filter((text) => text !== '' && text.length < SHORTEST_SEARCHED),
  );
  return {
    rangesIn: (text) => searched.flatMap((form) => occurrences(text, form)),
    isIn(value) {
      const { text } = folded(value);
      return short.has(text) || searched.some((form) => text.includes(form));
    },
  };
}

function forms(secret: string): string[] {
  return [secret, [...secret].reverse().join(''), encodeURIComponent(secret), ...base64Forms(secret)];
}

/**
 * Base64 as it looks in the middle of a longer text: three alignments (RFC 4648 section 4), each without the characters
 * at its ends that also depend on the neighbours; both alphabets.
 */
function base64Forms(secret: string): string[] {
  return [0, 1, 2].flatMap((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret, 'utf8')]);
    const end = Math.floor((bytes.length * 8) / 6);
    const text = bytes.toString('base64').slice(Math.ceil((shift * 8) / 6), end);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function occurrences(text: string, form: string): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) found.push([at, at + form.length]);
  return found;
}
