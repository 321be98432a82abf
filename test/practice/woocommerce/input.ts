/** One text of a parsed query string or form; an absent or repeated one reads as ''. */
export function field(source: unknown, name: string): string {
  const value = property(source, name);
  return typeof value === 'string' ? value : '';
}

/** All texts of that name: `key[]=1&key[]=2` gives two. */
export function fields(source: unknown, name: string): readonly string[] {
  const value = property(source, name);
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((text) => typeof text === 'string');
}

/** The Cookie header as a map, values decoded. */
export function cookiesOf(header: string | undefined): ReadonlyMap<string, string> {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim().split('='));
  return new Map(pairs.map(([name = '', ...value]) => [name, decode(value.join('='))]));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function property(source: unknown, name: string): unknown {
  return typeof source === 'object' && source !== null ? Reflect.get(source, name) : undefined;
}
