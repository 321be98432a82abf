import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { ADMIN_ROLE, type Folder, socketLockFile } from './data-folder.ts';
import { CLEAN_ENVIRONMENT } from './os-user.ts';

const CANNOT_CONNECT_NOW = '57P03'; // the server is starting or recovering

/**
 * Whether the server takes connections; the only proof that counts. Within `withinMs` it is asked again, and as long as
 * it says that it is recovering, for up to a minute.
 */
export async function answers(folder: Folder, withinMs: number): Promise<boolean> {
  const startedAt = Date.now();
  for (;;) {
    const code = await connectError(folder);
    if (code === undefined) return true;
    const patience = code === CANNOT_CONNECT_NOW ? 60_000 : withinMs;
    if (Date.now() - startedAt >= patience) return false;
    await wait(50);
  }
}

async function connectError(folder: Folder): Promise<string | undefined> {
  const client = new pg.Client(adminConnection(folder.socketDir));
  client.on('error', () => {}); // said again by the call that fails
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  } finally {
    await client.end().catch(() => {});
  }
}

/** Everything spelled out: PGPORT or PGSSLMODE in the environment mean another server. */
export function adminConnection(socketDir: string, database = 'postgres'): pg.ClientConfig {
  return { host: socketDir, port: 5432, user: ADMIN_ROLE, database, ssl: false, connectionTimeoutMillis: 5_000 };
}

/**
 * Whether the process of postmaster.pid is this folder's server. A process id alone proves nothing: it may have gone to
 * another program, or be a zombie for ever where process 1 doesn't reap. A zombie has no working directory.
 */
export function postmasterLives(folder: Folder): boolean {
  const file = join(folder.data, 'postmaster.pid');
  if (!existsSync(file)) return false;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isInteger(pid) && workingDirectory(pid) === folder.data;
}

/**
 * Makes the folder free for a start, once it is known that no postmaster lives: a killed one's busy backends don't notice
 * and keep its shared memory for seconds; its lock files name a process that PostgreSQL would believe alive.
 */
export function clearRemains(folder: Folder): void {
  for (const pid of processesIn(folder.data)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone by itself
    }
  }
  rmSync(join(folder.data, 'postmaster.pid'), { force: true });
  rmSync(socketLockFile(folder), { force: true });
}

function processesIn(dir: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => workingDirectory(pid) === dir);
}

function workingDirectory(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // gone, a zombie, or somebody else's
  }
  const asked = ['-a', '-d', 'cwd', '-p', String(pid), '-Fn'];
  const said = spawnSync('lsof', asked, { encoding: 'utf8', env: CLEAN_ENVIRONMENT }).stdout ?? '';
  return /^n(.*)$/m.exec(said)?.[1];
}
