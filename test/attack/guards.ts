import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * One guard and how to take it out: `NN-what-it-does.patch`, a unified diff against the project's root. Above the diff stand
 * two lines: `test: test/….test.ts`, whose tests of that number must fail without the guard, and `out: ` with what is
 * taken out, in words.
 */
export interface Guard {
  readonly number: number;
  readonly name: string;
  readonly path: string;
  readonly test: string;
  readonly what: string;
}

/** @throws Error for a patch without its head: it would test nothing. */
export function readGuards(folder: string): readonly Guard[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.patch'))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      const head = readFileSync(path, 'utf8').split(/^(?:---|diff) /m)[0] ?? '';
      const number = Number(/^(\d+)-/.exec(name)?.[1]);
      const test = /^test: (\S+)$/m.exec(head)?.[1];
      const what = /^out: (.+)$/m.exec(head)?.[1];
      if (!Number.isInteger(number) || test === undefined || what === undefined)
        throw new Error(`${name} lacks its number, or a line “test: …” or “out: …” above the diff`);
      return { number, name: basename(name, '.patch'), path, test, what };
    });
}
