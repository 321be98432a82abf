// docs/coming-from-the-reference.md: sixty promises, and every place that it names.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const LINES = read('docs/coming-from-the-reference.md').split('\n');

/** `file#name`, a file or folder alone, or `#name` of the file before it in the same line. */
function placesIn(line: string): { readonly path: string; readonly name?: string }[] {
  let last = '';
  return Array.from(line.matchAll(/`((?:adapters|bot|core|docs|prisma|test)\/[\w./-]*)?(?:#(\w+))?`/g)).flatMap(
    ([, path = last, name]) => {
      last = path;
      return path === '' ? [] : [{ path, ...(name === undefined ? {} : { name }) }];
    },
  );
}

test('it says of each of the sixty promises where it is, or why it is not', () => {
  const rows = LINES.flatMap((line) => {
    const [, number, here] = /^\| (\d+) \| [^|]+ \| (.+) \|$/.exec(line) ?? [];
    return number === undefined || here === undefined ? [] : [{ number: Number(number), here }];
  });
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
  const unplaced = rows.filter(({ here }) => placesIn(here).length === 0 && !/not here, because/.test(here));
  expect(unplaced).toEqual([]);
});

test('every place that it names is there', () => {
  const places = LINES.flatMap(placesIn);
  expect(places.length).toBeGreaterThan(90);
  const missing = places.filter(
    ({ path, name }) =>
      !existsSync(join(ROOT, path)) || (name !== undefined && !new RegExp(`\\b${name}\\b`).test(read(path))),
  );
  expect(missing).toEqual([]);
});
