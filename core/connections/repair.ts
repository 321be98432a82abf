import type { StandingGrants } from '../consent/standing.ts';
import type { Transaction } from '../database.ts';
import { isUniqueViolation } from '../database-errors.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { Operations } from '../operations/operations.ts';
import type { RepairCause } from '../operations/plan.ts';
import { Refused, type RequestDeps } from '../operations/request.ts';
import type { Vault } from '../vault/vault.ts';
import type { ConnectionPlace } from './place.ts';
import { begin } from './repair-begin.ts';
import { dueForRotation } from './repair-due.ts';

/** Keys that are replaced by the program itself: under a standing grant at once, else after a person countersigned that. */
export interface Repairs {
  /**
   * Looks at a connection whose key is broken, has run out, is about to, or is old. Begins a repair, or asks for one, or does
   * nothing, as things stand; however often and from however many processes it is called, there is one of them at a place.
   */
  consider(place: ConnectionPlace, cause: RepairCause): Promise<void>;
  /**
   * Considers the keys whose age has come, a few of each customer at a time.
   * @returns how many were begun or asked for, and the customers of whose keys one could not be: the next look tries again.
   */
  rotateDue(): Promise<{ readonly count: number; readonly failed: readonly FailedFor[] }>;
}

export interface FailedFor {
  readonly customerId: CustomerId;
  readonly error: unknown;
}

export interface RepairDeps extends RequestDeps {
  readonly directory: Directory;
  readonly operations: Pick<Operations, 'get'>;
  readonly standingGrants: Pick<StandingGrants, 'verify'>;
  readonly vault: Vault;
  /** `KEY_ROTATION_DAYS`: of which age a key is replaced. */
  readonly rotationDays: number;
}

/** What came of looking at a connection; nothing: `undefined`. */
export type Considered = 'begun' | 'asked' | 'given_up' | undefined;

/** Of one customer in one look, so that what was set up on one day is not all in work at once. */
const MOST_AT_ONCE = 3;

export function createRepairs(deps: RepairDeps): Repairs {
  const { database, directory } = deps;

  const consider = async (place: ConnectionPlace, cause: RepairCause): Promise<Considered> => {
    const look = (tx: Transaction) => begin(tx, deps, place, cause);
    for (let tries = 0; ; tries++) {
      try {
        return await database.withCustomer(place.customerId, look);
      } catch (error) {
        if (error instanceof Refused) return undefined; // the customer's limits: a later look finds room
        if (tries >= 3 || !isUniqueViolation(error)) throw error; // the id was taken: draw again
      }
    }
  };

  const rotateFor = async (customerId: CustomerId, failed: FailedFor[]): Promise<number> => {
    const due = await database.withCustomer(customerId, (tx) => dueForRotation(tx, customerId, deps.rotationDays));
    let count = 0;
    for (const { service, target, credentialType } of due) {
      const place = { customerId, service, target, credentialType };
      try {
        if (await consider(place, 'rotation_due')) count++;
      } catch (error) {
        if (error instanceof CountersignError && error.isRetryable) throw error;
        failed.push({ customerId, error }); // what is wrong with one key keeps the younger ones from nothing
      }
      if (count >= MOST_AT_ONCE) break;
    }
    return count;
  };

  return {
    async consider(place, cause) {
      await consider(place, cause);
    },
    async rotateDue() {
      await deps.vault.markStaleCredentialsForRotation(deps.rotationDays);
      let count = 0;
      const failed: FailedFor[] = [];
      for (const customerId of await directory.customers())
        try {
          count += await rotateFor(customerId, failed);
        } catch (error) {
          failed.push({ customerId, error });
        }
      return { count, failed };
    },
  };
}
