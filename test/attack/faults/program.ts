import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** A program of ours in a process of its own, which is killed and started again. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  /** `kill -9`, as the kernel's out-of-memory killer does it. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it is ready. */
  start(): Promise<void>;
  /** What a supervisor does: starts it as soon as it has ended. */
  killAndStart(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** SIGTERM. @returns the exit code. */
  stop(): Promise<number | null>;
}

export interface ProgramOptions {
  readonly name: string;
  /** Of `node`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Takes everything that it says. */
  readonly logFile: string;
}

const READY = 'Countersign is ready';
const START_MS = 180_000;

export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { name, args, env, logFile } = options;
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();

  async function launch(): Promise<void> {
    const started = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    child = started;
    ended = once(started, 'close');
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`${name} was not ready in time`)), START_MS);
    const hear = (text: Buffer) => {
      appendFileSync(logFile, text);
      if (text.includes(READY)) resolve();
    };
    started.stdout?.on('data', hear);
    started.stderr?.on('data', hear);
    started.once('close', () => resolve()); // killed while it started: whoever did that knows
    try {
      await ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One change at a time: of two lanes that kill the same program at once, each finds it started. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = turn.then(work);
    turn = next.catch(() => {});
    return next;
  };
  const kill = async () => {
    child?.kill('SIGKILL');
    await ended;
  };
  await launch();
  return {
    name,
    get pid() {
      return child?.pid ?? 0;
    },
    kill: () => inTurn(kill),
    start: () => inTurn(launch),
    async killAndStart() {
      child?.kill('SIGKILL'); // now: nobody's turn is waited for
      await inTurn(async () => {
        await kill();
        await launch();
      });
    },
    signal: (signal) => void child?.kill(signal),
    stop: () =>
      inTurn(async () => {
        child?.kill('SIGTERM');
        await ended;
        return child?.exitCode ?? null;
      }),
  };
}

/** The processes below one, by what their command line holds. Linux alone: elsewhere there are none to see. */
export function descendants(pid: number, command: RegExp): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      // `pid (command) state ppid …`; a command may hold anything, so the last bracket counts.
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // it has ended meanwhile
    }
  }
  const isBelow = (one: number): boolean => {
    for (let at = parents.get(one); at !== undefined && at > 1; at = parents.get(at)) if (at === pid) return true;
    return false;
  };
  return [...parents.keys()].filter((one) => isBelow(one) && command.test(commandLine(one)));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Ends one process that is ours, if it still runs. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}

/** Waits until the condition holds. @returns what it gave; `undefined` after `timeoutMs`. */
export async function until<T>(
  timeoutMs: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  everyMs = 50,
): Promise<T | undefined> {
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endsAt) return undefined;
    await wait(everyMs);
  }
}
