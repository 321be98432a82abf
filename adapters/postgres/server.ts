import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CountersignError } from '../../core/errors.ts';
import { type Folder, initialise, openFolder, readConfig, renderConfig, writeConfig } from './data-folder.ts';
import { type Lock, takeLock } from './lock.ts';
import { type OsUser, osUser } from './os-user.ts';
import { answers, clearRemains, postmasterLives } from './postmaster.ts';
import { type Programs, preparePrograms } from './programs.ts';

export interface PostgresOptions {
  /** The folder of this server alone; made when absent. As root, its parents must be open to the account `countersign`. */
  readonly dir: string;
  /** `false` gives up what survives a crash of the computer, for speed: for tests. Default `true`. */
  readonly isDurable?: boolean;
  /** Further settings of postgresql.conf, such as `{ max_connections: '200' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  /** A folder that only PostgreSQL's account, and root, can enter; there is no network port. */
  readonly socketDir: string;
  /** Whether it was already running, left behind by a program that was killed. */
  readonly isAdopted: boolean;
  /** Connection string for `pg`, Prisma and pg-boss. */
  url(role: string, database: string): string;
  /** Stops it in order and gives the folder free. Once is enough; a second call waits for the first. */
  stop(): Promise<void>;
}

const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
/** A file of the log of changes that is done with is deleted, and not kept under another name with what was erased in it. */
const DURABLE = { wal_recycle: 'off' };
const JOIN_MS = 10_000;
const LONGEST_LOG_BYTES = 10 * 1024 * 1024;

/**
 * Starts PostgreSQL from npm's binaries, or adopts the server of a program that was killed. It runs apart from our
 * process group, so that a Ctrl-C reaches us alone and we can still write while we drain; it outlives us if we are killed.
 * @throws CountersignError `already_running` (another process holds the folder), `database_unavailable`.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const runAs = await osUser();
  const folder = openFolder(options.dir, runAs);
  const lock = await takeLock(join(folder.socketDir, 'lock.sock'), folder.dir);
  try {
    const programs = await preparePrograms(folder.dir, runAs);
    const isAdopted = await run(folder, programs, runAs, options);
    return serverOf(folder, programs, lock, isAdopted);
  } catch (error) {
    lock.release();
    if (error instanceof CountersignError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CountersignError('database_unavailable', `PostgreSQL did not start in ${folder.dir}: ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Starts PostgreSQL, or uses the server that another living process of ours runs in this folder; `stop` then leaves that
 * one alone. For command lines beside a running program. @throws CountersignError `database_unavailable`.
 */
export async function joinPostgres(options: PostgresOptions): Promise<PostgresServer> {
  try {
    return await startPostgres(options);
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'already_running') throw error;
    const folder = openFolder(options.dir, await osUser());
    if (await answers(folder, JOIN_MS)) return { ...addressOf(folder), isAdopted: true, stop: async () => {} };
    throw new CountersignError(
      'database_unavailable',
      `Another process is just starting or stopping the database in ${folder.dir}: try again in a moment.`,
      { isRetryable: true, cause: error },
    );
  }
}

/** Leaves a server running, and says whether it was running before. */
async function run(
  folder: Folder,
  programs: Programs,
  runAs: OsUser | undefined,
  options: PostgresOptions,
): Promise<boolean> {
  const isDurable = options.isDurable ?? true;
  await initialise(folder, programs, isDurable);
  const config = renderConfig(folder, programs, { ...(isDurable ? DURABLE : NOT_DURABLE), ...options.settings });
  if (postmasterLives(folder)) {
    // With other settings, or other programs, it is not the server that was asked for.
    if (readConfig(folder) === config && (await answers(folder, 10_000))) return true;
    await stop(folder, programs);
  }
  clearRemains(folder);
  writeConfig(folder, config, runAs);
  await start(folder, programs);
  return false;
}

async function start(folder: Folder, programs: Programs): Promise<void> {
  if (existsSync(folder.log) && statSync(folder.log).size > LONGEST_LOG_BYTES) rmSync(folder.log);
  for (let attempt = 0; ; attempt++) {
    const before = existsSync(folder.log) ? statSync(folder.log).size : 0;
    try {
      await programs.run('pg_ctl', ['start', '-w', '-t', '60', '-s', '-D', 'data', '-l', 'postgres.log']);
      return;
    } catch (cause) {
      const said = existsSync(folder.log) ? readFileSync(folder.log).subarray(before).toString().trim() : '';
      // The kernel takes a moment to free what killed processes held.
      const isHeld = /shared memory block|still in use/.test(said);
      if (!isHeld || attempt >= 30) throw new Error(said.slice(-1000) || String(cause), { cause });
      await wait(200);
    }
  }
}

/** In order where possible; a server that doesn't end within half a minute is cut off, and recovers at its next start. */
async function stop(folder: Folder, programs: Programs): Promise<void> {
  if (!postmasterLives(folder)) return clearRemains(folder); // it was killed: pg_ctl would wait for a minute
  const end = (mode: string) => programs.run('pg_ctl', ['stop', '-w', '-t', '30', '-s', '-D', 'data', '-m', mode]);
  try {
    await end('fast');
  } catch (error) {
    if (postmasterLives(folder)) await end('immediate').catch(() => Promise.reject(error));
  }
}

function serverOf(folder: Folder, programs: Programs, lock: Lock, isAdopted: boolean): PostgresServer {
  let stopping: Promise<void> | undefined;
  return {
    ...addressOf(folder),
    isAdopted,
    stop: () => {
      stopping ??= stop(folder, programs).finally(() => lock.release());
      return stopping;
    },
  };
}

function addressOf({ socketDir }: Folder): Pick<PostgresServer, 'socketDir' | 'url'> {
  return {
    socketDir,
    url: (role, database) => {
      const [as, to, at] = [role, database, socketDir].map(encodeURIComponent);
      return `postgresql://${as}@localhost:5432/${to}?host=${at}&sslmode=disable`;
    },
  };
}
