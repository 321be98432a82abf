import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { osUser } from '../../adapters/postgres/os-user.ts';

/** A PostgreSQL of the system, with its pg_dump, which npm's does not have. */
export interface InstalledPostgres {
  /** Where its programs lie. */
  readonly binDir: string;
  readonly socketDir: string;
  url(role: string, database: string): string;
  remove(): void;
}

const PROGRAMS = ['initdb', 'pg_ctl', 'pg_dump', 'pg_restore', 'createdb'];

/** The newest that is installed as a whole; where Debian and others put it, or in the PATH. */
function findBinDir(): string | undefined {
  const DEBIAN = '/usr/lib/postgresql';
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(DEBIAN, version, 'bin')), ...(process.env.PATH ?? '').split(':')];
  return folders.find((folder) => PROGRAMS.every((program) => existsSync(join(folder, program))));
}

/** Starts a server of its own; `undefined` where no PostgreSQL is installed. */
export async function startInstalledPostgres(): Promise<InstalledPostgres | undefined> {
  const binDir = findBinDir();
  if (binDir === undefined) return undefined;
  const runAs = await osUser();
  const socketDir = mkdtempSync(join(tmpdir(), 'installed-postgres-'));
  if (runAs) chownSync(socketDir, runAs.uid, runAs.gid);
  const run = (program: string, ...args: string[]) => {
    // Not a pipe for what is said: a server that is started keeps it open.
    const { status } = spawnSync(join(binDir, program), args, { ...runAs, cwd: socketDir, stdio: 'ignore' });
    if (status !== 0) throw new Error(`${program} ended with ${status}`);
  };
  const data = join(socketDir, 'data');
  run('initdb', '-D', data, '-U', ADMIN_ROLE, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync');
  run(
    'pg_ctl',
    'start',
    '-w',
    '-s',
    '-D',
    data,
    '-l',
    join(socketDir, 'log'),
    '-o',
    `-k ${socketDir} -c listen_addresses='' -F`,
  );
  return {
    ...{ binDir, socketDir },
    url: (role, database) => `postgresql://${role}@localhost:5432/${database}?host=${encodeURIComponent(socketDir)}`,
    remove() {
      run('pg_ctl', 'stop', '-w', '-s', '-D', data, '-m', 'fast');
      rmSync(socketDir, { recursive: true, force: true });
    },
  };
}
