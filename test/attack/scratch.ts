import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sideBySide } from '../support/suite.ts';

/** A copy of the project to break things in. */
export interface Scratch {
  readonly root: string;
  /** @throws Error when the patch doesn't fit any more: the guard has moved, and its patch must follow. */
  apply(patch: string): void;
  restore(patch: string): void;
}

const COPIES = 2; // as many as there are cores on a small machine
const NOT_COPIED = ['.git', 'node_modules', '.countersign', 'coverage', 'docs'];

function createScratch(project: string, root: string): Scratch {
  mkdirSync(root, { recursive: true });
  for (const name of readdirSync(project).filter((entry) => !NOT_COPIED.includes(entry)))
    cpSync(join(project, name), join(root, name), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  // Without a repository around it, git applies a patch as `patch` would, and it is there wherever the clone came from.
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: root, env: { ...process.env, GIT_CEILING_DIRECTORIES: root }, stdio: 'pipe' });
  return {
    root,
    apply: (patch) => void git('apply', '--unidiff-zero', patch),
    // Not in reverse: what a patch without context took out would come back at the line that it had when it was written.
    restore(patch) {
      for (const [, path = ''] of readFileSync(patch, 'utf8').matchAll(/^(?:---|\+\+\+) [ab]\/(.+)$/gm))
        if (existsSync(join(project, path))) cpSync(join(project, path), join(root, path));
        else rmSync(join(root, path), { force: true });
    },
  };
}

/** Does the work for each item in one of a few copies of the project, side by side. */
export async function inCopies<T>(
  project: string,
  items: readonly T[],
  work: (item: T, scratch: Scratch) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-copies-'));
  try {
    const names = Array.from({ length: Math.min(COPIES, items.length) }, (_, index) => String(index));
    const copies = names.map((name) => createScratch(project, join(folder, name)));
    await sideBySide(items, copies, work);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
