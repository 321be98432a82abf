/**
 * Characters that show nothing or turn the direction of what stands around them, so that words read as others than they
 * are (Unicode TR 36): controls, format characters, whatever is ignored by default. Not so the selector of emoji.
 */
const TRICKS = /(?!\t|\n|\ufe0f)[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu;

/** Every string in it with such characters made visible, as U+FFFD; for what somebody else's words are shown in. */
export function withoutTricks<T>(value: T): T {
  // What comes back has the shape of what was given: strings stay strings, and dates are handed on as they are.
  return shown(value) as T;
}

function shown(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(TRICKS, '\ufffd');
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shown(each)]));
}

/** The text as it is seen: without the characters that show nothing, which may stand in the middle of a word. */
export function withoutHidden(text: string): string {
  return text.replaceAll(TRICKS, '');
}

/** In quotation marks; those inside become single ones. */
export function quoted(text: string): string {
  return `“${text.replaceAll('“', '‘').replaceAll('”', '’')}”`;
}

/** At most so many UTF-16 units, as Slack and Teams count; what was longer ends in `…`, and no character is cut in two. */
export function clip(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = most - 1;
  const isPair = /[\uD800-\uDBFF]/.test(text.charAt(end - 1));
  return `${text.slice(0, isPair ? end - 1 : end)}…`;
}
