import type { SharedLimits } from './limits.ts';

/**
 * What counts as guessing at a one-time link or a token of the API: 30 wrong ones from one source in an hour. Neither can be
 * guessed, having 256 random bits; who tries all the same is not served any more, and costs the database one look.
 */
export const MOST_GUESSES = 30;
const WINDOW_SECONDS = 3600;
/** Whoever was served is served again for so long without another look: programs ask many times a second. */
const SERVED_MS = 1_000;
const MOST_SERVED = 10_000;

export interface Guesses {
  /** Seconds until somebody from there is served again; 0: now. @throws CountersignError `database_unavailable` */
  wait(source: string): Promise<number>;
  /** Counts a wrong one. `source`: an address, or a network where somebody has many. */
  count(source: string): Promise<void>;
}

export function createGuesses(shared: SharedLimits): Guesses {
  /** Until when, by `performance.now()`. */
  const served = new Map<string, number>();
  let counts = 0;
  const of = (source: string) => ({ name: `guesses ${source}`, quota: MOST_GUESSES, windowSeconds: WINDOW_SECONDS });
  return {
    async wait(source) {
      if ((served.get(source) ?? 0) > performance.now()) return 0;
      const before = counts;
      const { isAllowed, retrySeconds } = await shared.look(of(source));
      if (served.size >= MOST_SERVED) served.clear();
      if (isAllowed && counts === before) served.set(source, performance.now() + SERVED_MS); // else it may be one too many by now
      return isAllowed ? 0 : retrySeconds;
    },
    async count(source) {
      counts++;
      await shared.take(of(source)).finally(() => served.delete(source));
    },
  };
}
