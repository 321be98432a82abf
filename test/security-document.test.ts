import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TABLES } from '../core/rights/tables.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');

describe('docs/security.md', () => {
  const text = read('docs/security.md');

  test('names only files that are there', () => {
    const paths = [...text.matchAll(/`((?:adapters|bot|core|docs|prisma|test)\/[^`]+|Dockerfile)`/g)].map(
      (m) => m[1] ?? '',
    );
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('names only tests that are there, by their titles', () => {
    const named = [...text.matchAll(/`(test\/[^`]+\.test\.ts)` “([^”]+)”/g)].map(([, file = '', title = '']) => ({
      file,
      title,
    }));
    expect(named.length).toBeGreaterThan(35);
    expect(named.filter(({ file, title }) => !read(file).includes(title))).toEqual([]);
  });

  test('names a test for every control, and an attack for every promise', () => {
    const rows = text.split('\n').filter((line) => /^\| (?:CC|A1|PI|C1|P4)/.test(line));
    expect(rows.length).toBeGreaterThan(15);
    expect(rows.filter((row) => !/`test\/[^`]+` “/.test(row))).toEqual([]);
  });
});

test('docs/privacy.md names every table that holds anything of a person, but for the parts of an operation', () => {
  const text = read('docs/privacy.md');
  const ofPeople = Object.entries(TABLES).filter(
    ([, { person, kept }]) => person !== undefined && kept !== 'operation',
  );
  expect(ofPeople.length).toBeGreaterThan(10);
  expect(ofPeople.filter(([table]) => !text.includes(`\`${table}\``)).map(([table]) => table)).toEqual([]);
});
