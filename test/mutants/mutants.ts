import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The rooms whose tests are tried. */
export const ROOMS = ['vault', 'consent', 'audit', 'operations', 'agent', 'queue'] as const;
export type Room = (typeof ROOMS)[number];

/**
 * A small mistake that somebody could make: `room-what-is-wrong.patch`, a unified diff of one file of `core/ROOM/` against the
 * project's root. Above the diff stand `test: test/….test.ts` and `name: `, words from the title of the test or describe in it that
 * must fail with the mistake (absent: all of them), `is: ` with what is wrong, in words, and `promise: ` with the number of
 * the promise (README, security) whose guard it weakens, if there is one.
 */
export interface Mutant {
  readonly name: string;
  readonly room: Room;
  readonly path: string;
  readonly test: string;
  readonly titles: string | undefined;
  readonly what: string;
  readonly promise: number | undefined;
}

/** @throws Error for a patch without its head, or of another room: it would test nothing. */
export function readMutants(folder: string): readonly Mutant[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => {
      const path = join(folder, file);
      const text = readFileSync(path, 'utf8');
      const [head = ''] = text.split(/^(?:---|diff) /m);
      const line = (word: string) => new RegExp(`^${word}: (.+)$`, 'm').exec(head)?.[1];
      const changed = [...text.matchAll(/^\+\+\+ b\/core\/(\w+)\/\S+$/gm)].map(([, room]) => room);
      const room = ROOMS.find((one) => file.startsWith(`${one}-`) && changed.length === 1 && changed[0] === one);
      const [test, what, promise] = [line('test'), line('is'), line('promise')];
      if (room === undefined) throw new Error(`${file} is to be named after the room of the one file that it changes`);
      if (test === undefined || what === undefined)
        throw new Error(`${file} lacks a line “test: …” or “is: …” above the diff`);
      const titles = line('name');
      return {
        name: basename(file, '.patch'),
        room,
        path,
        test,
        titles,
        what,
        promise: promise ? Number(promise) : undefined,
      };
    });
}
