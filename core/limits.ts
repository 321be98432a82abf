import { z } from 'zod';
import type { Transaction } from './database.ts';
import type { CustomerId } from './ids.ts';

/** How often something may happen: a bucket of `quota` that is full again after `windowSeconds`. */
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

const bucket = z.array(z.object({ remaining: z.number() })).max(1);

/**
 * Takes one from a customer's bucket, by the database's clock: of however many at once, in whatever process, no more than the
 * quota are allowed. What is refused takes nothing.
 */
export async function take(tx: Transaction, customerId: CustomerId, limit: Limit): Promise<Taken> {
  const { name, quota, windowSeconds } = limit;
  const rate = quota / windowSeconds;
  // The row's lock makes one wait for the other; a transaction that began earlier but waited takes nothing back from the clock.
  const [taken] = bucket.parse(
    await tx.$queryRaw`
      INSERT INTO limits AS l (customer_id, name, remaining, at)
      VALUES (${customerId}::uuid, ${name}, ${quota}::float8 - 1, app.now())
      ON CONFLICT (customer_id, name) DO UPDATE SET
        remaining = least(${quota}::float8, l.remaining + ${rate}::float8 * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8) - 1,
        at = greatest(app.now(), l.at)
      WHERE least(${quota}::float8, l.remaining + ${rate}::float8 * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8) >= 1
      RETURNING l.remaining`,
  );
  const [left] = taken
    ? [taken]
    : bucket.parse(
        await tx.$queryRaw`
          SELECT l.remaining + ${rate}::float8 * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8 AS remaining
          FROM limits l WHERE l.customer_id = ${customerId}::uuid AND l.name = ${name}`,
      );
  const remaining = left?.remaining ?? 0;
  return {
    isAllowed: taken !== undefined,
    remaining: Math.floor(remaining),
    resetSeconds: Math.ceil((quota - remaining) / rate),
    retrySeconds: Math.ceil(Math.max(0, 1 - remaining) / rate),
  };
}
