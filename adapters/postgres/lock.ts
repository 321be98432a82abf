import { randomUUID } from 'node:crypto';
import { linkSync, renameSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { CountersignError } from '../../core/errors.ts';

/** Held until released or until this process dies, however it dies. */
export interface Lock {
  release(): void;
}

/**
 * Takes the folder for this process by listening on a socket in it. The kernel closes the socket of a dead process, which
 * nobody does for a file with a process id. @throws CountersignError `already_running`.
 */
export async function takeLock(path: string, dir: string): Promise<Lock> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const held = await listen(path);
    if (held) return held;
    await clearIfDead(path, dir);
  }
  throw alreadyRunning(dir);
}

async function listen(path: string): Promise<Lock | undefined> {
  const server = net.createServer((connection) => connection.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve({ release: () => server.close() }));
  });
}

/**
 * Removes the socket that a dead process left. It is moved aside first: should another start have replaced it since we
 * knocked, what we moved is that start's live socket and goes back.
 */
async function clearIfDead(path: string, dir: string): Promise<void> {
  const knocked = identity(path);
  if (knocked === undefined) return;
  if (await isAnswered(path)) throw alreadyRunning(dir);
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another start moved it
  }
  if (identity(aside) !== knocked) linkSync(aside, path);
  rmSync(aside, { force: true });
}

function identity(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.mtimeNs}`;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(path);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}

function alreadyRunning(dir: string): CountersignError {
  return new CountersignError(
    'already_running',
    `Countersign is already running on ${dir}: stop it first, or use another folder.`,
  );
}
