import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { inheritedEnvironment } from '../support/environment.ts';

const PROGRAM = join(import.meta.dirname, '../../bot/main.ts');
const START_LIMIT_MS = 120_000;
const READY = /Countersign is ready(?: at (http:\S+?))?\.\n/;

/** The program as a process of its own. */
export interface Program {
  readonly pid: number;
  /** Where it listens. */
  readonly url: string;
  end(): Promise<void>;
}

/** @throws Error with what it said, when it does not start. */
export async function startProgram(env: Readonly<Record<string, string>>, file = PROGRAM): Promise<Program> {
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...inheritedEnvironment(), ...env },
  });
  const closed = once(child, 'close');
  let said = '';
  const { promise: ready, resolve } = Promise.withResolvers<string>();
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
    const found = READY.exec(said);
    if (found) resolve(found[1] ?? '');
  });
  const ended = closed.then(() => Promise.reject(new Error(`the program did not start: ${said}`)));
  const late = wait(START_LIMIT_MS, undefined, { ref: false }).then(() =>
    Promise.reject(new Error(`the program was not ready after ${START_LIMIT_MS / 1000} s: ${said}`)),
  );
  ended.catch(() => {}); // after it was ready it is meant to end
  late.catch(() => {});
  return {
    url: await Promise.race([ready, ended, late]),
    pid: child.pid ?? Number.NaN,
    async end() {
      child.kill('SIGTERM');
      await closed;
    },
  };
}
