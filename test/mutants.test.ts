import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ROOMS, readMutants } from './mutants/mutants.ts';

const ROOT = join(import.meta.dirname, '..');
const PROMISES = 9; // the rows of docs/security.md that say what the program does, one number each
const mutants = readMutants(join(import.meta.dirname, 'mutants'));

describe('the mistakes of `npm run mutants`', () => {
  test('are at least sixty, some in each room, and one against each promise', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(60);
    for (const room of ROOMS) expect(mutants.filter((mutant) => mutant.room === room).length, room).toBeGreaterThan(5);
    const promises = Array.from({ length: PROMISES }, (_, index) => index + 1);
    for (const promise of promises) expect(mutants.map((mutant) => mutant.promise)).toContain(promise);
  });

  test('name tests that are there', () => {
    for (const { name, test: file } of mutants) expect(existsSync(join(ROOT, file)), `${name}: ${file}`).toBe(true);
  });

  test('fit the code as it is', async () => {
    const check = async ({ name, path }: (typeof mutants)[number]) => {
      const isFitting = promisify(execFile)('git', ['apply', '--check', path], { cwd: ROOT }).then(() => true);
      return (await isFitting.catch(() => false)) ? [] : [name];
    };
    expect((await Promise.all(mutants.map(check))).flat()).toEqual([]);
  });
});
