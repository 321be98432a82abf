import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { demoEnvironment, type Project } from './demo.ts';
import type { RunDemoOptions, RunDemoReady } from './run-demo.ts';

/** The demo in a process, and a process group, of its own. */
export interface DemoProcess extends RunDemoReady {
  /** `kill -9` of the program alone, as the kernel's out-of-memory killer does it. */
  kill(): Promise<void>;
  /** Ctrl-C: the signal goes to the whole process group. @returns the exit code. */
  interrupt(): Promise<number | null>;
}

/** A start that did not come to anything. */
export interface FailedStart {
  readonly exitCode: number | null;
  /** What stood on standard error, but for log lines. */
  readonly said: string;
}

export type DemoProcessOptions = Pick<RunDemoOptions, 'shopHost'> & Partial<RunDemoOptions>;

const MARK = 'COUNTERSIGN_TEST_PROJECT';

/** Starts the demo in that project. @throws Error with what it said, when it ends instead. */
export async function startDemoProcess(project: Project, options: DemoProcessOptions): Promise<DemoProcess> {
  const started = await tryDemoProcess(project, options);
  if ('said' in started) throw new Error(`the demo did not start: ${started.said}`);
  return started;
}

/** Starts the demo in that project, and says how it ended when it did. */
export async function tryDemoProcess(
  project: Project,
  options: DemoProcessOptions,
): Promise<DemoProcess | FailedStart> {
  const { folder } = project;
  const all: RunDemoOptions = { folder, chatPort: 0, httpPort: 0, ...options };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run-demo.ts'), JSON.stringify(all)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...demoEnvironment(), [MARK]: folder },
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const ended = once(child, 'close');
  const ready = await Promise.race([readyOf(child), ended.then(() => undefined)]);
  if (!ready) return { exitCode: child.exitCode, said: withoutLog(said) };
  return {
    ...ready,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async interrupt() {
      process.kill(-(child.pid ?? Number.NaN), 'SIGINT');
      await ended;
      return child.exitCode;
    },
  };
}

async function readyOf({ stdout }: ChildProcess): Promise<RunDemoReady | undefined> {
  if (!stdout) return undefined;
  for await (const line of createInterface({ input: stdout })) {
    // run-demo.ts writes this line; the log writes lines with a level.
    if (line.startsWith('{"chatUrl"')) return JSON.parse(line) as RunDemoReady;
  }
  return undefined;
}

function withoutLog(said: string): string {
  return said
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"level"'))
    .join('\n');
}

/**
 * What still runs of a project: PostgreSQL, which works in the project's data, and whatever has inherited the
 * environment of one of its programs, such as browsers. Empty where there is no /proc.
 */
export function processesOf(project: Project): readonly string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const isPostgres = readlinkSync(`/proc/${pid}/cwd`).startsWith(project.postgresDir);
        const isMarked = readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${project.folder}`);
        return isPostgres || isMarked ? [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')] : [];
      } catch {
        return []; // it has ended meanwhile, or is a zombie
      }
    });
}
