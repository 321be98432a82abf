import type { CustomerId } from './ids.ts';
import { createTurns } from './turns.ts';

export interface RoundsConfig {
  readonly everyMs: number;
  /** Customers at a time. */
  readonly atOnce: number;
  /** Those with something to do now. */
  customers(): Promise<readonly CustomerId[]>;
  work(customerId: CustomerId): Promise<void>;
  /** What one customer's failed with; absent: nobody's in particular, since it could not be seen who is due. */
  failed(err: unknown, customerId?: CustomerId): void;
}

/** What is done for customers by the clock of one process: side by side, and for each of them one thing at a time. */
export interface Rounds {
  start(): void;
  /** Begins nothing more, and waits for what is under way. */
  stop(): Promise<void>;
  /** Does what is due now. */
  once(): Promise<void>;
}

/** A customer whose work takes long keeps nobody else waiting, in this round or in the next one. */
export function createRounds({ everyMs, atOnce, customers, work, failed }: RoundsConfig): Rounds {
  const inTurn = createTurns(atOnce);
  const underWay = new Map<CustomerId, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let asking: Promise<unknown> | undefined;
  let isStopped = false;

  const workFor = (customerId: CustomerId): Promise<void> => {
    const before = underWay.get(customerId);
    if (before) return before;
    const working = inTurn('all', async () => (isStopped ? undefined : work(customerId)))
      .catch((err: unknown) => failed(err, customerId))
      .finally(() => underWay.delete(customerId));
    underWay.set(customerId, working);
    return working;
  };
  const look = () => {
    asking ??= customers()
      .then((due) => void due.map(workFor))
      .catch((err: unknown) => failed(err))
      .finally(() => {
        asking = undefined;
      });
  };
  return {
    start() {
      timer = setInterval(look, everyMs).unref();
    },
    async stop() {
      clearInterval(timer);
      isStopped = true;
      await asking;
      await Promise.all(underWay.values());
    },
    async once() {
      await Promise.all((await customers()).map(workFor));
    },
  };
}
