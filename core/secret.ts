import { inspect } from 'node:util';

/**
 * A value that must not be printed: `toString`, `toJSON` and inspection say `[secret]`.
 * The text is only to be had by `reveal()`, so each place that uses one can be found by that word.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  /** The last characters of a long secret, for people to recognise it by; `null` when too short to show any. */
  lastFour(): string | null {
    return this.#text.length >= 16 ? this.#text.slice(-4) : null;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
