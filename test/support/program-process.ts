import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { vi } from 'vitest';
import { z } from 'zod';
import { inheritedEnvironment } from './environment.ts';

/** `npm start` as a process of its own, such as one of `ROLE=worker`. */
export interface ProgramProcess {
  /** Lines of the log so far, newest last. */
  readonly log: readonly LogLine[];
  /** Where it listens, once it says that it is ready. @throws Error with what it said when it ends instead. */
  url(): Promise<string>;
  /** SIGTERM, as whoever replaces a process sends it. */
  terminate(): void;
  /** Its exit code and what it said to its operator, once it has ended. */
  ended(): Promise<{ readonly code: number | null; readonly said: string }>;
}

const logLine = z.looseObject({ level: z.union([z.string(), z.number()]), msg: z.string() });
export type LogLine = z.infer<typeof logLine>;

const READY = /Countersign is ready at (http:\S+?)\.?\n/;
const READY_MS = 180_000; // on a computer that is busy with other tests

/** Starts it with these variables and no others but those that every program here inherits. */
export function startProgram(env: Readonly<Record<string, string>>): ProgramProcess {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, '../../bot/main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inheritedEnvironment(), PORT: '0', ...env },
  });
  const closed = once(child, 'close');
  const log: LogLine[] = [];
  let said = '';
  let rest = '';
  const hear = (bytes: Buffer) => {
    const lines = `${rest}${bytes.toString()}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{')) log.push(logLine.parse(JSON.parse(line)));
      else said += `${line}\n`;
    }
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  return {
    log,
    async url() {
      const found = vi.waitUntil(() => READY.exec(said), { timeout: READY_MS, interval: 50 });
      const ended = closed.then(() => Promise.reject(new Error(`it did not start: ${said}`)));
      return (await Promise.race([found, ended]))?.[1] ?? '';
    },
    terminate: () => void child.kill('SIGTERM'),
    ended: async () => {
      await closed;
      return { code: child.exitCode, said };
    },
  };
}
