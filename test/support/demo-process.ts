import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { demoEnvironment, type Project } from './demo.ts';
import { inheritedEnvironment } from './environment.ts';
import type { RunDemoOptions, RunDemoReady } from './run-demo.ts';

/** The demo in a process, and a process group, of its own. */
export interface DemoProcess extends RunDemoReady {
  isRunning(): boolean;
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

/** What the demo's programs inherit, browsers included, which are given little else of its environment. */
function markOf({ folder }: Project): string {
  const tmp = join(dirname(folder), 'tmp');
  mkdirSync(tmp, { recursive: true });
  return tmp;
}

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
    env: { ...inheritedEnvironment(), ...demoEnvironment(), TMPDIR: markOf(project) },
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const ended = once(child, 'close');
  const ready = await readyOf(child);
  if (!ready) {
    await ended;
    return { exitCode: child.exitCode, said: withoutLog(said) };
  }
  return {
    ...ready,
    isRunning: () => child.exitCode === null && child.signalCode === null,
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

/** The line that run-demo.ts writes, among lines of the log; `undefined` when there is none to come. */
async function readyOf({ stdout }: ChildProcess): Promise<RunDemoReady | undefined> {
  if (!stdout) return undefined;
  const lines = createInterface({ input: stdout }); // goes on reading afterwards, so that the program never waits for us
  const { promise, resolve } = Promise.withResolvers<RunDemoReady | undefined>();
  // Nothing but run-demo.ts writes such a line.
  lines.on('line', (line) => line.startsWith('{"chatUrl"') && resolve(JSON.parse(line) as RunDemoReady));
  lines.on('close', () => resolve(undefined));
  return promise;
}

function withoutLog(said: string): string {
  return said
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"level"'))
    .join('\n');
}

/** What still runs of a project: command lines. Nothing where there is no /proc. */
export interface Running {
  /** PostgreSQL, which works in the project's data. */
  readonly databases: readonly string[];
  /** Whatever has inherited the environment of one of its programs, such as browsers. */
  readonly programs: readonly string[];
}

export function runningOf(project: Project): Running {
  const ids = process.platform === 'linux' ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  const commandsOf = (isWanted: (pid: string) => boolean) =>
    ids.flatMap((pid) => {
      try {
        return isWanted(pid) ? [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')] : [];
      } catch {
        return []; // it has ended meanwhile, or is a zombie
      }
    });
  return {
    databases: commandsOf((pid) => readlinkSync(`/proc/${pid}/cwd`).startsWith(project.postgresDir)),
    programs: commandsOf((pid) => readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TMPDIR=${markOf(project)}`)),
  };
}
