import { encode } from '../../core/redaction.ts';
import type { Secret } from '../../core/secret.ts';

/** What to look for, ready for searching: every form in which a page may show one of the secrets. */
export interface Needles {
  /** Start and end of each place in a folded text where a form shows. */
  rangesIn(folded: string): readonly (readonly [number, number])[];
  /** Whether a value as it is in the page holds a form, or is a secret too short to be searched for. */
  isIn(value: string): boolean;
}

/** Below this many characters a secret is only recognised as a whole field or text: inside words it would be everywhere. */
const SHORTEST_SEARCHED = 6;

// White space, soft hyphen, zero-width characters, direction marks, hyphens and dashes: what is put between groups of a key.
const INVISIBLE = /[\s\u00ad\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060-\u2064\ufeff-]+/g;

/** Text without separators and capitals. A final sigma counts as any other: where a word ends depends on how text is cut. */
export function folded(text: string): string {
  return text.replace(INVISIBLE, '').toLowerCase().replaceAll('ς', 'σ');
}

export function createNeedles(secrets: readonly Secret[]): Needles {
  const all = [
    ...new Set(
      secrets
        .map((secret) => secret.reveal())
        .flatMap(forms)
        .map(folded),
    ),
  ];
  const searched = all.filter((form) => form.length >= SHORTEST_SEARCHED);
  const short = new Set(
    secrets.map((secret) => folded(secret.reveal())).filter((text) => text !== '' && text.length < SHORTEST_SEARCHED),
  );
  return {
    rangesIn: (text) => searched.flatMap((form) => occurrences(text, form)),
    isIn(value) {
      const text = folded(value);
      return short.has(text) || searched.some((form) => text.includes(form));
    },
  };
}

function forms(secret: string): string[] {
  const points = [...secret].map((sign) => sign.codePointAt(0) ?? 0);
  const entities = [points.map((point) => `&#${point};`), points.map((point) => `&#x${point.toString(16)};`)];
  return [...encode(secret), ...base64Forms(secret), ...entities.map((signs) => signs.join(''))];
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
