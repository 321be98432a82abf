import { type Lease, takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Core } from './core.ts';

/** Takes operations as workers do, and lets go of them all at the end of a test. */
export interface Leases {
  take(operation: Operation, signal?: AbortSignal): Promise<Lease | undefined>;
  /** @throws Error when it is not to be had. */
  taken(operation: Operation): Promise<Lease>;
  /** Lets go of what was taken in another way, too. */
  add(lease: Lease): Lease;
  release(): void;
}

export const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });
export const never = new AbortController().signal;

export function createLeases(core: Core): Leases {
  const leases: Lease[] = [];
  const add = (lease: Lease) => {
    leases.push(lease);
    return lease;
  };
  const take = async (operation: Operation, signal = never) => {
    const lease = await takeLease(core, jobOf(operation), signal);
    return lease && add(lease);
  };
  return {
    ...{ add, take },
    async taken(operation) {
      const lease = await take(operation);
      if (!lease) throw new Error('the lease was not to be had');
      return lease;
    },
    release: () => {
      for (const lease of leases.splice(0)) lease.release();
    },
  };
}
