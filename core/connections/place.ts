import type { CustomerId } from '../ids.ts';
import type { RepairCause } from '../operations/plan.ts';

/** Where the stored key of a connection lies in the vault: a customer has at most one key in each. */
export interface ConnectionPlace {
  readonly customerId: CustomerId;
  /** The service's id, such as `woocommerce`. */
  readonly service: string;
  /** The base URL that the key is for, as the vault names it. */
  readonly target: string;
  readonly credentialType: string;
}

/** Of what a look finds amiss: the key is refused, it ran out, or it does so soon (within `EXPIRY_WARNING_DAYS`). */
export type HealthCause = Exclude<RepairCause, 'rotation_due'>;

/** Told after each look at a connection that is not to stay as it is; telling it twice does no harm. */
export type Repair = (place: ConnectionPlace, cause: HealthCause) => Promise<void>;

/** Days ahead of a known expiry at which people are told, and from the first of which on a repair is considered. */
export const EXPIRY_WARNING_DAYS = [14, 7, 1] as const;

/** What the opening of a key for a look at it is on record with. */
export const HEALTH_CHECK = 'health check';
