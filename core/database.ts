import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { z } from 'zod';
import { Prisma, PrismaClient } from '../prisma/generated/client.ts';
import { CONNECT_MS, connectionConfig, type Listener, listen, VERSION, versionRows } from './database-connection.ts';
import { type Place, translated, undisturbed } from './database-errors.ts';
import { CountersignError } from './errors.ts';
import type { CustomerId } from './ids.ts';
import type { RootKeys } from './ports/keys.ts';
import { createTurns } from './turns.ts';

/** What runs inside one customer's transaction; row level security shows that customer's rows alone. */
export type Transaction = Prisma.TransactionClient;

/** The only way to the tables. The client itself is not exported. */
export interface Database {
  /**
   * Runs `work` in one transaction under the customer's signed context. An operation's row is locked before what belongs to
   * it, and the audit chain is appended to last: its head stays locked until the commit. What the database rolls
   * back for the sake of another transaction (SQLSTATE 40P01, 40001) is run again, three times in all, and once what lost its
   * connection before its commit: so `work` does
   * nothing that a rollback does not undo, and leaves the rest to `afterCommit`. It opens no second transaction: of one
   * customer no more run at a time than leave some of this process's connections to others.
   * @throws CountersignError `context_refused`, `database_unavailable` (retryable).
   */
  withCustomer<T>(customerId: CustomerId, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * One statement that is its own transaction, and one round trip: it calls a function of the database that begins by
   * entering `context`, its first three arguments (`customer uuid, expires bigint, token bytea`). Errors as above.
   */
  callAs(customerId: CustomerId, statement: (context: Prisma.Sql) => Prisma.Sql): Promise<readonly unknown[]>;
  /** The same of a function that changes nothing: it is called once more where its connection was lost. */
  readAs(customerId: CustomerId, statement: (context: Prisma.Sql) => Prisma.Sql): Promise<readonly unknown[]>;
  /**
   * The program's word in this transaction for the one thing that it is about to do: the database takes what retention and
   * erasure trust, what may destroy what is sealed, and what countersigns or decides who may, with that alone, so that no
   * smuggled statement does any of it. One word at a time.
   * @param text of an entry: its header; of a checkpoint: `seq|hash in hex|note`; of a key: `version|state|wrapped in hex`,
   * the last empty where it stays; of credentials: see core/vault/records.ts; of a customer: `erased`; of the others: beside
   * the statement that it goes with
   */
  vouch(tx: Transaction, what: Vouched, customerId: CustomerId, text: string): Promise<void>;
  /**
   * `value` as part of the very statement that the word is for, which goes with it, without a round trip. The database has
   * to look at the value before it does what was vouched for.
   */
  vouched(what: Vouched, customerId: CustomerId, text: string, value: Prisma.Sql): Prisma.Sql;
  /** Calls a function that belongs to no customer: one of schema `directory`, which returns ids only, or of the standstill. */
  directory(sql: Prisma.Sql): Promise<readonly unknown[]>;
  /** One statement on what belongs to no customer: the buckets of core/limits.ts, the queue's own tables. Errors as above. */
  shared(sql: Prisma.Sql): Promise<readonly unknown[]>;
  /**
   * Runs `work` while nobody else, in whatever process, runs any under the same name. A session's advisory lock, on a
   * connection apart: it ends with its process. @throws CountersignError `database_unavailable` (retryable), also when the
   * lock was lost on the way, or so many other names are held that there was no connection for 10 s.
   */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Listens on a channel with one connection of its own, reconnecting; `onWake` also after every (re)connect. */
  listen(channel: string, onWake: (payload: string | undefined) => void): Listener;
  /** Says to the listeners of a channel that something changed. Sent outside of transactions: NOTIFY serialises commits. */
  notify(channel: string, payloads: readonly string[]): Promise<void>;
  /**
   * The kinds of processes that are connected to this database now, this one's included (`DatabaseConfig.name`), each once: the
   * question is also how one finds out whether it answers. @throws CountersignError `database_unavailable` within 5 s
   */
  processes(): Promise<readonly string[]>;
  /** The newest migration that the database has, as `migrate` left its name. Errors as above. */
  version(): Promise<string | undefined>;
  close(): Promise<void>;
}

export type { Listener };

export type Vouched =
  | 'audit'
  | 'checkpoint'
  | 'key'
  | 'credential'
  | 'customer'
  | 'question'
  | 'approval'
  | 'consent'
  | 'member'
  | 'rules'
  | 'token'
  | 'link'
  | 'installation'
  | 'console'
  | 'pause'
  | 'repair'
  | 'webhook';

export interface DatabaseConfig {
  /** Login of a member of `countersign_program`. */
  readonly url: string;
  readonly rootKeys: RootKeys;
  /** Of the pool; `connectionsBeside` says what else is opened. */
  readonly poolSize: number;
  /** What this process is to others that look at the database, such as `worker`. */
  readonly name?: string;
}

/** Connections of one process beside the pool and what listens: for NOTIFY and questions, and for locks where it takes any. */
export function connectionsBeside(takesLocks: boolean): number {
  return 1 + (takesLocks ? LOCK_CONNECTIONS : 0);
}

const hooks = new WeakMap<Transaction, (() => void)[]>();

/** Runs `call` once this transaction is committed; never when it is rolled back. */
export function afterCommit(tx: Transaction, call: () => void): void {
  const calls = hooks.get(tx);
  if (calls) calls.push(call);
  else hooks.set(tx, [call]);
}

/**
 * Whoever waits for a lock then has to see what its holder committed: a countersignature that was taken back, a place that
 * was taken. In another isolation it goes on seeing what was there when its transaction began.
 */
const ISOLATION = 'read committed';
const CONTEXT_PURPOSE = 'countersign/context/v1';
const CONTEXT_SECONDS = 300; // the program's and the database's clocks meet here
const OTHERS = 3; // connections that one customer's transactions leave to the others
const LOCK_CONNECTIONS = 4; // as many names at a time in one process
const LOCK_WAIT_MS = 60_000; // longer than a call to a chat platform takes, with its retries
const QUESTION_MS = 5_000; // a NOTIFY, or whether the database answers
const PROCESS_PREFIX = 'countersign as ';

/** Connects lazily. @throws nothing by itself: the first call finds out. */
export function createDatabase(config: DatabaseConfig): Database {
  const contextKey = contextKeyOf(config.rootKeys);
  const names = new Map<string, string>();
  const name = config.name === undefined ? 'countersign' : `${PROCESS_PREFIX}${config.name}`;
  const pool = new pg.Pool({ ...connectionConfig(config.url, name), max: config.poolSize });
  pool.on('error', () => {}); // the next call reconnects
  const adapter = new PrismaPg(pool, {
    statementNameGenerator: (query) => statementName(names, query),
    onPoolError: () => {},
    onConnectionError: () => {},
  });
  const client = new PrismaClient({ adapter });
  /** A statement alone, which needs none of what Prisma does for a transaction: on its connections, and checked as its statements are. */
  const ask = ({ text, values }: Prisma.Sql): Promise<readonly unknown[]> =>
    translated(async () => {
      const statement = { text, values, name: statementName(names, { sql: text, args: values }), types: AS_PRISMA };
      return (await pool.query(statement)).rows;
    });
  /** @returns `undefined` where the isolation was another one: with this commit its connection has the right one again. */
  const transact = <T>(customerId: CustomerId, work: (tx: Transaction) => Promise<T>, at: (place: Place) => void) =>
    client.$transaction(
      async (tx) => {
        const [{ now, isolation }] = entryRows.parse(
          await tx.$queryRaw`
            SELECT sec.enter(${contextOf(contextKey, customerId)}) IS NULL,
              set_config('search_path', 'public, pg_temp', true), set_config('datestyle', 'ISO, MDY', true),
              set_config('timezone', 'UTC', true), set_config('default_transaction_isolation', ${ISOLATION}, false),
              current_setting('transaction_isolation') AS isolation, ${NOW}`, // whatever an earlier customer left behind on this connection
        );
        if (isolation !== ISOLATION) return undefined;
        clocks.set(tx, now);
        at('work');
        const value = await work(tx);
        at('commit');
        return { tx, value };
      },
      { maxWait: CONNECT_MS, timeout: 30_000 },
    );
  const inTurn = createTurns(Math.max(1, config.poolSize - OTHERS));
  const notifier = new pg.Pool({
    ...connectionConfig(config.url, name),
    max: 1,
    connectionTimeoutMillis: QUESTION_MS,
    query_timeout: QUESTION_MS,
  });
  notifier.on('error', () => {}); // the next call reconnects
  const locks = new pg.Pool({
    ...connectionConfig(config.url, name, 0), // whoever holds a lock says nothing meanwhile
    max: LOCK_CONNECTIONS,
    lock_timeout: LOCK_WAIT_MS,
  });
  locks.on('error', () => {});

  return {
    withCustomer: (customerId, work) =>
      inTurn(customerId, () =>
        undisturbed(async (at) => {
          for (let left = config.poolSize; left >= 0; left--) {
            const outcome = await transact(customerId, work, at);
            if (outcome) return outcome;
          }
          throw new CountersignError('context_refused', 'Every connection was left in another isolation.');
        }),
      ).then((outcome) => {
        for (const call of hooks.get(outcome.tx) ?? []) call();
        return outcome.value;
      }),
    callAs: (customerId, statement) => ask(statement(contextOf(contextKey, customerId))),
    readAs: (customerId, statement) =>
      undisturbed((at) => {
        at('work');
        return ask(statement(contextOf(contextKey, customerId)));
      }),
    vouch: (...word) => vouchWith(contextKey, ...word),
    vouched(what, customerId, text, value) {
      const word = wordOf(contextKey, what, customerId, text);
      return Prisma.sql`CASE WHEN set_config('app.vouched', ${word}, true) <> '' THEN ${value} END`;
    },
    directory: ask,
    shared: ask,
    exclusively: (name, work) => exclusively(locks, name, work),
    listen: (channel, onWake) => listen(config.url, channel, onWake),
    notify: async (channel, payloads) => {
      await notifier.query('SELECT pg_notify($1, p) FROM unnest($2::text[]) p', [channel, payloads]);
    },
    processes: async () => {
      const { rows } = await translated(() => notifier.query(PROCESSES, [`${PROCESS_PREFIX}%`]));
      return processRows.parse(rows).map(({ name: found }) => found.slice(PROCESS_PREFIX.length));
    },
    version: async () => {
      const [{ version }] = versionRows.parse((await translated(() => notifier.query(VERSION))).rows);
      return version ?? undefined;
    },
    close: async () => {
      await Promise.allSettled([client.$disconnect().then(() => pool.end()), notifier.end(), locks.end()]);
    },
  };
}

/** One type is one in TypeScript, whichever way a row came: `pg` alone would give a `bigint` as text. */
const AS_PRISMA: pg.CustomTypesConfig = {
  getTypeParser: (type, format) =>
    type === pg.types.builtins.INT8 ? BigInt : (pg.types.getTypeParser(type, format) as (text: string) => unknown),
};

const PROCESSES = `SELECT DISTINCT application_name AS name FROM pg_stat_activity
  WHERE datname = current_database() AND application_name LIKE $1 ORDER BY 1`;
const processRows = z.array(z.object({ name: z.string() }));

/** Made once: taking a key's bytes in takes longer than what is done with them. */
function contextKeyOf(rootKeys: RootKeys): KeyObject {
  const [key] = contextKeys(rootKeys);
  if (key) return createSecretKey(key);
  throw new CountersignError('vault_key_missing', 'There is no root key, so no customer can be entered.');
}

/** `Database.vouch` for who holds the root keys and no database. */
export function vouchingWith(rootKeys: RootKeys): Database['vouch'] {
  return (...word) => vouchWith(contextKeyOf(rootKeys), ...word);
}

async function vouchWith(contextKey: KeyObject, ...[tx, what, customerId, text]: Parameters<Database['vouch']>) {
  await tx.$executeRaw`SELECT set_config('app.vouched', ${wordOf(contextKey, what, customerId, text)}, true)`;
}

function contextOf(contextKey: KeyObject, customerId: CustomerId): Prisma.Sql {
  const { expires, token } = contextToken(contextKey, customerId);
  return Prisma.sql`${customerId}::uuid, ${expires}::bigint, ${token}`;
}

/** What the program signs a customer's context with, and `sec.enter` checks: of the newest root key first. */
export function contextKeys(rootKeys: RootKeys): readonly Buffer[] {
  return rootKeys.derive(CONTEXT_PURPOSE);
}

/** What `sec.enter` takes: the program's word for this customer until `expires`, in seconds since 1970. */
export function contextToken(contextKey: KeyObject | Buffer, customerId: string) {
  const expires = Math.floor(Date.now() / 1000) + CONTEXT_SECONDS;
  return { expires, token: createHmac('sha256', contextKey).update(`${customerId}|${expires}`).digest() };
}

/** What `sec.refuse_unvouched` asks for. A context's text begins with a UUID, so that neither passes for the other. */
function wordOf(contextKey: KeyObject, what: Vouched, customerId: CustomerId, text: string): string {
  return createHmac('sha256', contextKey).update(`${what}|${customerId}|${text}`).digest('hex');
}

async function exclusively<T>(locks: pg.Pool, name: string, work: () => Promise<T>): Promise<T> {
  const client = await translated(() => locks.connect());
  const ignore = () => {}; // the unlock below finds it out
  client.on('error', ignore);
  let isFree = false;
  try {
    await translated(() => client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [name]));
    const result = await work();
    await translated(() => client.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [name]));
    isFree = true;
    return result;
  } finally {
    client.off('error', ignore);
    client.release(!isFree); // a connection that may still hold the lock is closed
  }
}

/**
 * What the program sends begins like this. PREPARE, DECLARE, SET, CREATE TEMP and the like outlive their transaction, on a
 * connection that the next customer is given: text that somebody smuggles in must not be able to begin one.
 */
const STATEMENT = /^\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b|(?:BEGIN|COMMIT|ROLLBACK)$)/i;
/** IN-lists of many lengths must not fill the server's memory. */
const MOST_NAMES = 500;

/**
 * Names the prepared statement. One without values always has a name: PostgreSQL takes a named statement alone, while an
 * unnamed one without values would be sent as a script, in which a second statement could follow.
 * @throws CountersignError `context_refused` for a statement of another kind.
 */
function statementName(names: Map<string, string>, { sql, args }: { sql: string; args: readonly unknown[] }): string {
  if (!STATEMENT.test(sql))
    throw new CountersignError('context_refused', 'A statement that could outlive its transaction was not sent.');
  const known = names.get(sql);
  if (known) return known;
  if (names.size >= MOST_NAMES && args.length > 0) return ''; // unnamed
  const name = `cs_${names.size}`;
  names.set(sql, name);
  return name;
}

/**
 * The database's clock in this transaction: the only one that decisions are made by. In milliseconds, rounded as a column
 * rounds it whose default is the same clock.
 */
export async function databaseNow(tx: Transaction): Promise<Date> {
  const known = clocks.get(tx); // it stands still while the transaction runs
  if (known) return known;
  const [row] = clockRows.parse(await tx.$queryRaw`SELECT ${NOW}`);
  return row.now;
}

const NOW = Prisma.sql`app.now()::timestamptz(3) AS now`;
const clocks = new WeakMap<Transaction, Date>();
const clockRows = z.tuple([z.object({ now: z.date() })]);
const entryRows = z.tuple([z.object({ now: z.date(), isolation: z.string() })]);
