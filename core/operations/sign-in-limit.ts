import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { type Limit, look, take } from '../limits.ts';
import type { Operation } from './operation.ts';

/** Where somebody signs in. */
export interface SignInAt {
  readonly service: string;
  /** The shop's base address. */
  readonly base: string;
}

export const MOST_FAILED_SIGN_INS = 3;
const PER_HOUR_SECONDS = 3600;

/**
 * Three failed sign-ins at one target, and from then on one an hour until the bucket fills up again: so never more than
 * three within an hour, of operations that come one after the other, as `OPERATIONS_AT_ONCE=1` has them. Those of a customer that
 * run at once may all sign in before the first of them fails: two, and as many as run at once. What may have made a key before
 * a crash signs in in any case, to look for it; that it failed is counted, too.
 * Shops lock an account after four or more (Limit Login Attempts, WordPress's most used guard: 4).
 */
function limitOf({ service, base }: SignInAt): Limit {
  const windowSeconds = MOST_FAILED_SIGN_INS * PER_HOUR_SECONDS;
  return { name: `failed sign-ins ${service} ${base}`, quota: MOST_FAILED_SIGN_INS, windowSeconds };
}

/** Counts a sign-in that the shop refused. */
export async function countFailedSignIn(tx: Transaction, customerId: CustomerId, at: SignInAt): Promise<void> {
  await take(tx, customerId, limitOf(at));
}

/** Why an operation that is about to sign in does not; `undefined`: it may. */
export async function signInRefusal(
  database: Database,
  { customerId, service, plan: { base } }: Operation,
): Promise<{ readonly kind: 'failed'; readonly code: 'sign_in_refused'; readonly words: string } | undefined> {
  const until = await database.withCustomer(customerId, async (tx) => {
    const seconds = await signInWait(tx, customerId, { service: service.id, base });
    return seconds > 0 ? new Date((await databaseNow(tx)).getTime() + seconds * 1000) : undefined;
  });
  if (!until) return undefined;
  const words = `${MOST_FAILED_SIGN_INS} sign-ins at ${new URL(base).host} failed within an hour. So that the shop does not lock the account, no other was tried. Make sure of the password, and ask again after ${until.toISOString().slice(11, 16)} UTC.`;
  return { kind: 'failed', code: 'sign_in_refused', words };
}

/** Seconds until the shop may be signed in to again; 0: now. */
export async function signInWait(tx: Transaction, customerId: CustomerId, at: SignInAt): Promise<number> {
  const { isAllowed, retrySeconds } = await look(tx, customerId, limitOf(at));
  return isAllowed ? 0 : retrySeconds;
}
