import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { killGroup, type ProcessMark } from './process.ts';

const markSchema = z.strictObject({ pid: z.int().min(2), startedAt: z.string() });

/** Which browser of this machine belongs to whom, over all processes of this account. */
export interface Predecessors {
  /** Ends the browser that an earlier session of this owner left running, such as that of a frozen worker. */
  end(owner: string): Promise<void>;
  /** Says that this browser is the owner's from now on. @returns what takes that back. */
  put(owner: string, mark: ProcessMark): Promise<() => Promise<void>>;
}

/**
 * One small file an owner, in a folder that only this account may write: what stands there names a process to kill. Never
 * throws: it is a help, and what keeps two workers apart is the fence.
 */
export function createPredecessors(folder: string): Predecessors {
  const fileOf = (owner: string) => join(folder, `${owner.replaceAll(/[^\w-]/g, '_')}.json`);
  const read = async (owner: string) => {
    if (!(await isOurs(folder))) return undefined;
    const text = await readFile(fileOf(owner), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : markSchema.safeParse(parsed(text)).data;
  };
  return {
    async end(owner) {
      const mark = await read(owner);
      if (!mark) return;
      killGroup(mark);
      await rm(fileOf(owner), { force: true }).catch(() => {});
    },
    async put(owner, mark) {
      if (mark.startedAt === undefined) return async () => {}; // nothing tells it from a later process
      await mkdir(folder, { recursive: true, mode: 0o700 }).catch(() => {});
      if (await isOurs(folder)) await writeFile(fileOf(owner), JSON.stringify(mark), { mode: 0o600 }).catch(() => {});
      return async () => {
        if ((await read(owner))?.pid === mark.pid) await rm(fileOf(owner), { force: true }).catch(() => {});
      };
    },
  };
}

async function isOurs(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  return found?.uid === process.getuid?.() && ((found?.mode ?? 0o777) & 0o022) === 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
