import { readFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A process, told from a later one with the same id by when it started. */
export interface ProcessMark {
  readonly pid: number;
  /** In the kernel's ticks; `undefined` where there is no /proc. */
  readonly startedAt: string | undefined;
}

/** What a browser needs to find its libraries, fonts, folders and screen. */
const NEEDED =
  /^(PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|FONTCONFIG_\w+|XDG_\w+|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY)$/;

/**
 * The environment of programs that we start. Ours holds the root key and passwords, and every process of this account
 * can read a child's environment, so nothing is passed on that isn't named.
 */
export function childEnvironment(also?: RegExp, env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const named = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && (NEEDED.test(name) || also?.test(name)) ? [[name, value] as const] : [],
  );
  return Object.fromEntries(named);
}

const DAY_MS = 24 * 60 * 60_000;

export async function processMark(pid: number): Promise<ProcessMark> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return { pid, startedAt: startTime(text) };
}

/** Kills the process group of this very process; nothing happens when the id has passed to another one. */
export function killGroup(mark: ProcessMark): void {
  if (mark.startedAt !== undefined && mark.startedAt !== currentStart(mark.pid)) return;
  try {
    process.kill(-mark.pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

function currentStart(pid: number): string | undefined {
  try {
    return startTime(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Field 22 of proc(5) `stat`; the name in field 2 may hold spaces and brackets. */
function startTime(text: string | undefined): string | undefined {
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** Removes profile folders that a killed program left behind: our own account's, untouched for a day. */
export async function sweepProfiles(folder = tmpdir()): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const removed = await Promise.all(
    names
      .filter((name) => name.startsWith('playwright_chromiumdev_profile-'))
      .map((name) => removeOld(join(folder, name))),
  );
  return removed.filter(Boolean).length;
}

async function removeOld(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    if (found.uid !== process.getuid?.() || Date.now() - found.mtimeMs < DAY_MS) return false;
    await rm(path, { recursive: true, force: true });
    return true;
  } catch {
    return false; // another process was quicker
  }
}
