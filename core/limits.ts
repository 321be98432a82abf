import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Prisma } from '../prisma/generated/client.ts';
import type { Database, Transaction } from './database.ts';
import type { CustomerId } from './ids.ts';

/** How often something may happen: a bucket of `quota` that fills up evenly, and is full again after `windowSeconds`. */
export interface Limit {
  /** What is limited, unique within the customer, such as `api token 1f…`. */
  readonly name: string;
  readonly quota: number;
  readonly windowSeconds: number;
}

export interface Taken {
  readonly isAllowed: boolean;
  /** Whole ones that are left. */
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly resetSeconds: number;
  /** Until the next one is allowed; 0 where one is left. */
  readonly retrySeconds: number;
}

const rows = z.array(z.object({ remaining: z.number() })).max(1);

/**
 * Takes one, or `amount` (never more than the quota), from a customer's bucket, by the database's clock: of however many at once, in whatever process, no
 * more than the quota are allowed. What is refused takes nothing. @throws CountersignError `database_unavailable`: what the
 * database can't count is not allowed.
 */
export async function take(tx: Transaction, customerId: CustomerId, limit: Limit, amount = 1): Promise<Taken> {
  return takeBy((statement) => tx.$queryRaw(statement), bucketOf(customerId, limit), limit, amount);
}

/** What `take` would say, without taking anything. */
export async function look(tx: Transaction, customerId: CustomerId, limit: Limit, amount = 1): Promise<Taken> {
  return lookBy((statement) => tx.$queryRaw(statement), bucketOf(customerId, limit), limit, amount);
}

/** Buckets that belong to no customer and that every process draws from; empty ones are forgotten after a day. */
export interface SharedLimits {
  take(limit: Limit): Promise<Taken>;
  look(limit: Limit): Promise<Taken>;
  /**
   * Books the next place in line, such as for a message to a channel that takes one a second. Whoever is given one goes at
   * its time and asks nobody again. @returns the milliseconds to wait until then.
   */
  book(limit: Limit): Promise<number>;
  /** Drops what has long been full again. */
  prune(): Promise<void>;
}

/** No window is longer. */
const FORGOTTEN_SECONDS = 86_400;

/** @throws CountersignError `database_unavailable`, as `take` does. */
export function createSharedLimits(database: Database): SharedLimits {
  const ask: Ask = (statement) => database.shared(statement);
  return {
    take: (limit) => takeBy(ask, sharedBucket(limit), limit, 1),
    look: (limit) => lookBy(ask, sharedBucket(limit), limit, 1),
    async book(limit) {
      const [booked] = rows.parse(await ask(takeFrom(sharedBucket(limit), limit, 1, Prisma.empty)));
      const owed = Math.max(0, -(booked?.remaining ?? 0));
      return Math.ceil((owed * limit.windowSeconds * 1000) / limit.quota);
    },
    async prune() {
      const longest = Prisma.sql`app.now() - make_interval(secs => ${FORGOTTEN_SECONDS}::float8)`;
      await ask(
        Prisma.sql`WITH gone AS (DELETE FROM app.shared_limits WHERE at < ${longest} RETURNING 1) SELECT count(*)::int FROM gone`,
      );
    },
  };
}

/** By a hash: a name may hold somebody's address. */
function sharedBucket({ name }: Limit): Bucket {
  const hash = Uint8Array.from(createHash('sha256').update(name, 'utf8').digest());
  return { table: Prisma.sql`app.shared_limits`, columns: Prisma.sql`name`, values: Prisma.sql`${hash}` };
}

function bucketOf(customerId: CustomerId, { name }: Limit): Bucket {
  return {
    table: Prisma.sql`limits`,
    columns: Prisma.sql`customer_id, name`,
    values: Prisma.sql`${customerId}::uuid, ${name}`,
  };
}

/** Where a bucket lies, and how it is named there. */
interface Bucket {
  readonly table: Prisma.Sql;
  readonly columns: Prisma.Sql;
  readonly values: Prisma.Sql;
}
type Ask = (statement: Prisma.Sql) => Promise<unknown>;

async function takeBy(ask: Ask, bucket: Bucket, limit: Limit, amount: number): Promise<Taken> {
  const isEnough = Prisma.sql`WHERE ${content(limit)} >= ${amount}::float8`;
  const [taken] = rows.parse(await ask(takeFrom(bucket, limit, amount, isEnough)));
  if (taken) return takenOf(limit, { isAllowed: true, remaining: taken.remaining });
  return takenOf(limit, { ...(await lookBy(ask, bucket, limit, amount)), isAllowed: false }, amount);
}

/** What a bucket says that was asked for one, or for `amount`. @param left what is in it now */
export function takenOf(
  limit: Limit,
  { isAllowed, remaining }: { readonly isAllowed: boolean; readonly remaining: number },
  amount = 1,
): Taken {
  const said = answer(limit, remaining, isAllowed ? 1 : amount);
  return isAllowed ? said : { ...said, isAllowed, retrySeconds: Math.max(1, said.retrySeconds) }; // it may have filled up since
}

async function lookBy(ask: Ask, { table, columns, values }: Bucket, limit: Limit, amount: number): Promise<Taken> {
  const statement = Prisma.sql`SELECT ${content(limit)} AS remaining FROM ${table} l WHERE (${columns}) = (${values})`;
  const [left] = rows.parse(await ask(statement));
  const remaining = left?.remaining ?? limit.quota;
  return { ...answer(limit, remaining, amount), isAllowed: remaining >= amount };
}

/** One statement, whose lock on the row makes one wait for the other. No row comes back where the condition does not hold. */
function takeFrom({ table, columns, values }: Bucket, limit: Limit, amount: number, condition: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`
    INSERT INTO ${table} AS l (${columns}, remaining, at) VALUES (${values}, ${limit.quota}::float8 - ${amount}::float8, app.now())
    ON CONFLICT (${columns}) DO UPDATE SET remaining = ${content(limit)} - ${amount}::float8, at = greatest(app.now(), l.at)
    ${condition}
    RETURNING l.remaining`;
}

/** What a bucket holds now. A transaction that began earlier but waited for the row's lock takes nothing back from the clock. */
function content({ quota, windowSeconds }: Limit): Prisma.Sql {
  const rate = quota / windowSeconds;
  return Prisma.sql`least(${quota}::float8, l.remaining + ${rate}::float8 * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8)`;
}

function answer({ quota, windowSeconds }: Limit, remaining: number, amount: number): Taken {
  const rate = quota / windowSeconds;
  return {
    isAllowed: true,
    remaining: Math.max(0, Math.floor(remaining)),
    resetSeconds: Math.ceil((quota - remaining) / rate),
    retrySeconds: Math.ceil(Math.max(0, amount - remaining) / rate),
  };
}
