import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A copy of the project to break things in. */
export interface Scratch {
  readonly root: string;
  /** @throws Error when the patch doesn't fit any more: the guard has moved, and its patch must follow. */
  apply(patch: string): void;
  restore(patch: string): void;
}

const NOT_COPIED = ['.git', 'node_modules', '.countersign', 'coverage', 'docs'];

export function createScratch(project: string, root: string): Scratch {
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
    restore: (patch) => void git('apply', '--unidiff-zero', '--reverse', patch),
  };
}
