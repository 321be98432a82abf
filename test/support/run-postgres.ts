import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresServer, startPostgres } from '../../adapters/postgres/index.ts';

/** The one server of a test run. */
export interface RunServer extends PostgresServer {
  /** Stops it as a failing machine would have it, and starts it again in the same place. */
  restart(whileAway: () => Promise<void>): Promise<void>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

const PREFIX = 'countersign-test-';
const ROOM_BYTES = 1024 ** 3; // a server takes 40 MB, its log of changes, and 9 MB a database

/** Starts a run's server, and removes what killed runs left. */
export async function startRunServer(): Promise<RunServer> {
  const folder = fastFolder();
  await removeAbandoned(folder);
  const dir = join(folder, `${PREFIX}${randomUUID()}`);
  let server = await open(dir);
  const whenInterrupted = () => removeLater(dir);
  process.once('exit', whenInterrupted);
  return {
    ...server,
    stop: () => server.stop(),
    async restart(whileAway) {
      await server.stop();
      await whileAway();
      server = await open(dir);
    },
    remove: async () => {
      await remove(server, dir);
      process.off('exit', whenInterrupted);
    },
  };
}

/** Removes the server in `dir` as soon as the process that holds it has ended. */
export async function removeAbandonedServer(dir: string): Promise<void> {
  await remove(await open(dir), dir);
}

function open(dir: string): Promise<PostgresServer> {
  return startPostgres({ dir, isDurable: false, settings: { max_connections: '200' } });
}

async function remove(server: PostgresServer, dir: string): Promise<void> {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}

/** Memory where there is enough of it: copying a template takes a fifth of the time there. */
function fastFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize >= ROOM_BYTES) return '/dev/shm';
  } catch {
    // there is none on this system
  }
  return tmpdir();
}

/** A run that was killed leaves its server behind; one that still runs holds the folder's lock, and keeps it. */
async function removeAbandoned(folder: string): Promise<void> {
  const aMinuteAgo = Date.now() - 60_000; // a younger one may not have its lock yet
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(PREFIX))) {
    const dir = join(folder, name);
    const { mtimeMs } = statSync(dir, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (mtimeMs < aMinuteAgo) await removeAbandonedServer(dir).catch(() => {}); // it is in use, or another run removes it
  }
}

/** At a Ctrl-C vitest ends without a teardown; a process of its own waits for that end and cleans up. */
function removeLater(dir: string): void {
  const program = join(import.meta.dirname, 'remove-postgres.ts');
  spawn(process.execPath, [program, dir], { detached: true, stdio: 'ignore' }).unref();
}
