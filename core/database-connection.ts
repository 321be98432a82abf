import { Socket } from 'node:net';
import pg from 'pg';
import { z } from 'zod';
import { CountersignError } from './errors.ts';
import type { Log } from './ports/log.ts';

/** As long as a transaction waits for its connection, be it a new one or one of the pool's. */
export const CONNECT_MS = 10_000;
/**
 * A connection on which nothing came and went for so long is given up. It is longer than the longest transaction (30 s), and
 * much shorter than the quarter of an hour for which the kernel waits for an answer on a line that was cut.
 */
const SILENCE_MS = 40_000;
const FIRST_PROBE_MS = 10_000;
/**
 * A process that freezes in the middle of a transaction holds its locks for as long as it is frozen, and the kernel goes on
 * answering for it: the database itself has to end that, so that another worker can take over.
 */
const IDLE_IN_TRANSACTION_MS = 15_000;

/**
 * What every connection of the program is opened with: one that was cut without a word is found out, also in a pool.
 * @param silenceMs how long there may be no word at all; `0`: as long as it likes
 */
export function connectionConfig(url: string, name: string, silenceMs = SILENCE_MS): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: CONNECT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: FIRST_PROBE_MS,
    stream: () => {
      const socket = new Socket();
      if (silenceMs > 0)
        socket.setTimeout(silenceMs, () =>
          socket.destroy(new Error('Connection terminated: the database said nothing for too long')),
        );
      return socket;
    },
  };
}

export interface Listener {
  stop(): Promise<void>;
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_LONGEST_MS = 5_000;
const HEARTBEAT_MS = 10_000;

/** Half of `ms` and up to as much again by chance, so that many processes don't come back in one moment. */
function jittered(ms: number): number {
  return ms / 2 + (Math.random() * ms) / 2;
}

/** See `Database.listen`. */
export function listen(url: string, channel: string, onWake: (payload: string | undefined) => void): Listener {
  let isStopped = false;
  let current: pg.Client | undefined;
  let waitMs = RECONNECT_FIRST_MS;
  let retry: NodeJS.Timeout | undefined;
  const connect = async (): Promise<void> => {
    if (isStopped) return;
    const client = new pg.Client(connectionConfig(url, `countersign ${channel}`));
    current = client;
    client.on('notification', (message) => onWake(message.payload));
    client.on('error', () => {}); // `end` follows, and reconnects
    client.once('end', () => {
      if (!isStopped) retry = setTimeout(() => void connect(), jittered(waitMs));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      waitMs = RECONNECT_FIRST_MS;
      onWake(undefined); // anything may have been missed
    } catch {
      waitMs = Math.min(waitMs * 2, RECONNECT_LONGEST_MS);
      await client.end().catch(() => {});
    }
  };
  const beat = setInterval(() => {
    // A half-open connection hears nothing and says nothing: only a question finds it out.
    const config = { text: 'SELECT 1', query_timeout: 5_000 };
    current?.query(config).catch(() => current?.end().catch(() => {}));
  }, HEARTBEAT_MS);
  beat.unref();
  void connect();
  return {
    stop: async () => {
      isStopped = true;
      clearInterval(beat);
      clearTimeout(retry);
      await current?.end().catch(() => {});
    },
  };
}

const AWAY =
  /ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|not queryable|Can't reach database/i;
/**
 * Of a connection (08), a server that stops or starts (57P0x), one with no connection left, a lock that was not to be had,
 * a transaction that fell silent (25P03).
 */
const AWAY_STATES = /^(?:08|57P0|53300|55P03|25P03)/;

/** Whether an error says that the database is not there, or not now, and the same may succeed later. */
export function isAway(state: string | undefined, error: unknown): boolean {
  return (state !== undefined && AWAY_STATES.test(state)) || AWAY.test(`${codeOf(error)} ${String(error)}`);
}

/** node:net's code, also of the first of several addresses that were tried. */
function codeOf(error: unknown): string | undefined {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return first instanceof Error && 'code' in first ? String(first.code) : undefined;
}

export interface Needs {
  /** The newest migration that the database has to have: `migrate` leaves its name. */
  readonly version?: string;
  /** How many connections this process may open. */
  readonly connections?: number;
  readonly log: Log;
  /** How long a database that is away, or not migrated yet, is waited for; 0: not at all. */
  readonly limitMs: number;
}

const WAIT_FIRST_MS = 250;
const WAIT_LONGEST_MS = 5_000;

/**
 * Waits until the database is there and of this version, with growing pauses and one line in the log; and looks whether it
 * has room for what this process may open.
 * @throws CountersignError `database_unavailable` when the patience is at its end, or at once where the login is refused;
 * `config_invalid` where there could never be room.
 */
export async function untilReady(url: string, needs: Needs): Promise<void> {
  const { log, limitMs } = needs;
  const began = performance.now();
  for (let waitMs = WAIT_FIRST_MS, hasSaid = false; ; waitMs = Math.min(waitMs * 2, WAIT_LONGEST_MS)) {
    const lack = await lackOf(url, needs);
    if (lack === undefined) {
      if (hasSaid) log.info({ seconds: secondsSince(began) }, 'the database is there');
      return;
    }
    const left = limitMs - (performance.now() - began);
    if (left <= 0) {
      const words =
        limitMs === 0 ? `The database ${lack}.` : `After ${secondsSince(began)} s the database still ${lack}.`;
      throw new CountersignError('database_unavailable', words, { isRetryable: true });
    }
    if (!hasSaid) log.warn({ code: 'database_away', lack, limitSeconds: limitMs / 1000 }, 'waiting for the database');
    hasSaid = true;
    await new Promise((resolve) => setTimeout(resolve, Math.min(jittered(waitMs), left)));
  }
}

function secondsSince(began: number): number {
  return Math.round((performance.now() - began) / 1000);
}

/** What the database lacks, in words that end a sentence; nothing when it is ready. */
async function lackOf(url: string, { version, connections, log }: Needs): Promise<string | undefined> {
  const client = new pg.Client({ ...connectionConfig(url, 'countersign start'), query_timeout: CONNECT_MS });
  client.on('error', () => {}); // the query under way fails with it
  try {
    await client.connect();
    if (version !== undefined && !(await hasVersion(client, version)))
      return 'is not of this version: start one process with DATABASE_OWNER_URL, which migrates it';
    if (connections !== undefined) await requireRoom(client, connections, log);
    return undefined;
  } catch (cause) {
    if (cause instanceof CountersignError) throw cause;
    const code = codeOf(cause);
    const reason = (cause instanceof Error && cause.message) || code || String(cause);
    if (isAway(code, cause)) return `can't be reached: ${reason}`;
    throw new CountersignError('database_unavailable', `The database refused: ${reason}`, { cause });
  } finally {
    await client.end().catch(() => {});
  }
}

/** Asked by every process at its start and for its readiness: Prisma's own table is none of the program's. */
export const VERSION = "SELECT obj_description(to_regnamespace('app'), 'pg_namespace') AS version";
export const versionRows = z.tuple([z.object({ version: z.string().nullable() })]);

/** A later version is none of ours to refuse: while processes are replaced one by one, a few old ones go on for a while. */
async function hasVersion(client: pg.Client, version: string): Promise<boolean> {
  const [{ version: found }] = versionRows.parse((await client.query(VERSION)).rows);
  return found !== null && found >= version;
}

const roomRows = z.tuple([z.object({ most: z.coerce.number(), taken: z.coerce.number() })]);
/** What the server, the database and the role allow, whichever is the fewest; and what is taken but for this connection. */
const ROOM = `
  SELECT least(
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
      nullif(d.datconnlimit, -1), nullif(r.rolconnlimit, -1)) AS most,
    (SELECT coalesce(sum(numbackends), 0) FROM pg_stat_database) - 1 AS taken
  FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user`;

async function requireRoom(client: pg.Client, connections: number, log: Log): Promise<void> {
  const [{ most, taken }] = roomRows.parse((await client.query(ROOM)).rows);
  const needed = `this process may need ${connections}: raise max_connections, or lower WORKER_CONCURRENCY`;
  if (connections > most)
    throw new CountersignError('config_invalid', `PostgreSQL takes ${most} connections, and ${needed}.`);
  if (connections > most - taken)
    log.warn(
      { code: 'connections', most, taken, connections },
      `PostgreSQL has ${most - taken} connections left, and ${needed}`,
    );
}
