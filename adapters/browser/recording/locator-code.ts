import type { Locator } from '../../../core/ports/browser.ts';

type Value = string | number | boolean | RegExp | readonly Call[] | Options;
interface Options {
  readonly [name: string]: Value;
}
interface Call {
  readonly name: string;
  readonly args: readonly Value[];
}

/**
 * A locator as Playwright prints it (`getByRole('row').filter({ hasText: 'x' }).getByRole('button')`) as data; `undefined`
 * for what the port's `Locator` can't say, such as regular expressions. What stands before the last frame is left out.
 */
export function parseLocatorCode(code: string, testIdAttribute = 'data-testid'): Locator | undefined {
  const calls = read(code);
  if (calls === undefined) return undefined;
  const frame = calls.findLastIndex(({ name }) => name === 'contentFrame');
  let locator: Locator | undefined;
  for (const call of calls.slice(frame + 1)) {
    locator = apply(locator, call, testIdAttribute);
    if (locator === undefined) return undefined;
  }
  return locator;
}

function apply(outer: Locator | undefined, { name, args }: Call, testIdAttribute: string): Locator | undefined {
  const [first, second] = args;
  const within = outer === undefined ? {} : { within: outer };
  const options = isOptions(second) ? second : {};
  const exact = options.exact === true ? { exact: true } : {};
  switch (name) {
    case 'getByRole':
      return roleLocator(first, options, { ...exact, ...within });
    case 'getByLabel':
      return typeof first === 'string' ? { by: 'label', text: first, ...exact, ...within } : undefined;
    case 'getByPlaceholder':
      return typeof first === 'string' ? { by: 'placeholder', text: first, ...exact, ...within } : undefined;
    case 'getByText':
      return typeof first === 'string' ? { by: 'text', text: first, ...exact, ...within } : undefined;
    case 'getByAltText':
      return typeof first === 'string' ? css(`[alt=${quoted(first)} ${exact.exact ? 's' : 'i'}]`, within) : undefined;
    case 'getByTitle':
      return typeof first === 'string' ? css(`[title=${quoted(first)} ${exact.exact ? 's' : 'i'}]`, within) : undefined;
    case 'getByTestId':
      return typeof first === 'string' ? css(`[${testIdAttribute}=${quoted(first)}]`, within) : undefined;
    case 'locator':
      return cssLocator(first, options, within);
    case 'filter':
      return outer && isOptions(first) ? holding(outer, first) : undefined;
    case 'nth':
      return outer && typeof first === 'number' ? atPlace(outer, first) : undefined;
    case 'first':
      return outer && atPlace(outer, 0);
    case 'last':
      return outer && atPlace(outer, -1);
    case 'describe':
      return outer;
    default:
      return undefined;
  }
}

function roleLocator(role: Value | undefined, options: Options, rest: object): Locator | undefined {
  const known = Object.keys(options).every((key) => ['name', 'exact'].includes(key));
  if (typeof role !== 'string' || !known) return undefined;
  if (options.name !== undefined && typeof options.name !== 'string') return undefined;
  return { by: 'role', role, ...(options.name === undefined ? {} : { name: options.name }), ...rest };
}

function cssLocator(selector: Value | undefined, options: Options, within: object): Locator | undefined {
  if (typeof selector !== 'string') return undefined;
  const plain = selector.replace(/^css=/, '');
  const isOther = /^(?:xpath=|\/\/|\.\.|text=|id=|internal:|_|['"])/.test(plain) || plain.includes('>>');
  return isOther ? undefined : holding(css(plain, within), options);
}

function css(selector: string, within: object): Locator {
  return { by: 'css', selector, ...within };
}

/** Of `has` the words of what is held are taken: nearly the same, and checked on the page before it is used. */
function holding(locator: Locator, options: Options): Locator | undefined {
  const { hasText, has, visible, ...others } = options;
  if (Object.keys(others).length > 0 || visible === false) return undefined;
  const inner = Array.isArray(has) ? innerWords(has) : undefined;
  if ((has !== undefined && inner === undefined) || (hasText !== undefined && typeof hasText !== 'string'))
    return undefined;
  const text = hasText ?? inner;
  if (text === undefined) return locator;
  if (locator.hasText !== undefined || locator.nth !== undefined) return undefined;
  return { ...locator, hasText: text };
}

function innerWords(calls: readonly Call[]): string | undefined {
  const last = calls.at(-1);
  const [first, options] = last?.args ?? [];
  if (last?.name === 'getByText' && typeof first === 'string') return first;
  return last?.name === 'getByRole' && isOptions(options) && typeof options.name === 'string'
    ? options.name
    : undefined;
}

function atPlace(locator: Locator, nth: number): Locator | undefined {
  return locator.nth !== undefined || nth < -1 ? undefined : { ...locator, nth };
}

function isOptions(value: Value | undefined): value is Options {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof RegExp);
}

/** A string of CSS: its quotes and backslashes, and line ends by their number. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/[\n\r\f]/g, (sign) => `\\${sign.charCodeAt(0).toString(16)} `)}"`;
}

function read(code: string): readonly Call[] | undefined {
  const reader = new Reader(code);
  try {
    const calls = reader.chain();
    return reader.isAtEnd() ? calls : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the small part of JavaScript that Playwright prints locators in. */
class Reader {
  readonly #code: string;
  #at = 0;

  constructor(code: string) {
    this.#code = code;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#code.length;
  }

  chain(): readonly Call[] {
    const calls: Call[] = [];
    do {
      const name = this.#take(/[A-Za-z]+/y);
      this.#take(/\(\s*/y);
      const args: Value[] = [];
      while (!this.#maybe(/\s*\)/y)) {
        if (args.length > 0) this.#take(/\s*,\s*/y);
        args.push(this.#value());
      }
      calls.push({ name, args });
    } while (this.#maybe(/\./y));
    return calls;
  }

  #value(): Value {
    const next = this.#code.charAt(this.#at);
    if (next === "'" || next === '"' || next === '`') return this.#text(next);
    if (next === '{') return this.#options();
    if (next === '/') return this.#pattern();
    const word = this.#maybe(/-?\d+|true|false/y);
    if (word === undefined) return this.chain();
    return word === 'true' || word === 'false' ? word === 'true' : Number(word);
  }

  #text(quote: string): string {
    const body = this.#take(
      quote === "'" ? /'(?:[^'\\]|\\.)*'/sy : quote === '"' ? /"(?:[^"\\]|\\.)*"/sy : /`(?:[^`\\]|\\.)*`/sy,
    );
    const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
    return body
      .slice(1, -1)
      .replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, hex: string | undefined, sign: string | undefined) =>
        hex === undefined ? (escapes[sign ?? ''] ?? sign ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
      );
  }

  #pattern(): RegExp {
    const [, source = '', flags] = /^\/((?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+)\/([a-z]*)$/s.exec(
      this.#take(/\/(?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+\/[a-z]*/sy),
    ) ?? [''];
    return new RegExp(source, flags);
  }

  #options(): Options {
    const options: Record<string, Value> = {};
    this.#take(/\{\s*/y);
    while (!this.#maybe(/\s*\}/y)) {
      if (Object.keys(options).length > 0) this.#take(/\s*,\s*/y);
      const name = this.#take(/[A-Za-z]+/y);
      this.#take(/\s*:\s*/y);
      options[name] = this.#value();
    }
    return options;
  }

  #maybe(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#code) ?? [];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #take(pattern: RegExp): string {
    const found = this.#maybe(pattern);
    if (found === undefined) throw new Error(`unreadable at ${this.#at}`);
    return found;
  }
}
