import type { Database } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import type { BrowserSession } from '../ports/browser.ts';
import { type OperationState, parseState } from './states.ts';

const MOST_PARKED = 4; // some 90 MB each
const PARKED_MS = 3 * 60_000;
const LOOK_MS = 1_000; // so that a stop ends its pages within two seconds

const WAITING: readonly OperationState[] = ['waiting_for_human', 'queued'];

/** A browser that stands at the step that asked. */
export interface Parked {
  readonly session: BrowserSession;
  readonly step: number;
}

interface Place extends Parked {
  readonly customerId: CustomerId;
  readonly timers: readonly NodeJS.Timeout[];
  /** A worker of this process has the operation's lease, and comes for it in its own time. */
  isClaimed: boolean;
}

/**
 * Browsers that wait for a person's answer, outside the worker's slots: at most four of this process, at most three
 * minutes each, and no longer than their operation waits.
 */
export interface Parking {
  park(customerId: CustomerId, id: OperationId, parked: Parked): void;
  /**
   * Whoever has just taken the operation's lease will come for it, in their own time: it waits for them, unless its own time is
   * over or the operation moves on. @returns what ends it, if nobody has taken it by then.
   */
  claim(customerId: CustomerId, id: OperationId): () => Promise<void>;
  /** Hands it out, to whoever holds the operation's lease. Ids of operations are their customer's: two customers may have the same. */
  take(customerId: CustomerId, id: OperationId): Parked | undefined;
  close(): Promise<void>;
}

export function createParking(database: Database, { parkedMs = PARKED_MS }: { parkedMs?: number } = {}): Parking {
  const places = new Map<string, Place>();

  const stateOf = (customerId: CustomerId, id: OperationId) =>
    database.withCustomer(customerId, async (tx) => {
      const where = { customerId_id: { customerId, id } };
      const row = await tx.operation.findUnique({ where, select: { status: true } });
      return row ? parseState(row.status) : undefined;
    });

  const keyOf = (customerId: CustomerId, id: OperationId) => `${customerId} ${id}`;

  function leave(key: string): Parked | undefined {
    const place = places.get(key);
    if (!place) return undefined;
    places.delete(key);
    for (const timer of place.timers) clearTimeout(timer); // of timeouts and intervals alike
    return place;
  }

  /** Of whoever has most, so that no customer's questions take the place of another one. */
  function oldestOfMost(): string {
    const keys = [...places.keys()];
    const all = [...places.values()];
    const counts = all.map(({ customerId }) => all.filter((other) => other.customerId === customerId).length);
    return keys[counts.indexOf(Math.max(...counts))] ?? '';
  }

  async function end(key: string): Promise<void> {
    await leave(key)
      ?.session.close()
      .catch(() => {}); // it may have died by itself
  }

  return {
    park(customerId, id, parked) {
      const key = keyOf(customerId, id);
      void end(key);
      let wasRunning = false;
      const look = async () => {
        const state = await stateOf(customerId, id);
        const place = places.get(key);
        if (place?.session !== parked.session || (state && WAITING.includes(state))) return;
        // A worker of this process may have it and be about to claim the browser; seen twice, it is another process's.
        if (state === 'in_progress' && (place.isClaimed || !wasRunning)) wasRunning = true;
        else await end(key);
      };
      const watch = setInterval(() => void look().catch(() => {}), LOOK_MS); // an outage ends no session
      const timers = [setTimeout(() => void end(key), parkedMs), watch];
      for (const timer of timers) timer.unref();
      places.set(key, { ...parked, customerId, timers, isClaimed: false });
      if (places.size > MOST_PARKED) void end(oldestOfMost());
    },
    claim(customerId, id) {
      const key = keyOf(customerId, id);
      const place = places.get(key);
      if (place) place.isClaimed = true;
      return async () => {
        if (place && places.get(key) === place) await end(key);
      };
    },
    take(customerId, id) {
      const place = leave(keyOf(customerId, id));
      return place && { session: place.session, step: place.step };
    },
    async close() {
      await Promise.all([...places.keys()].map(end));
    },
  };
}
