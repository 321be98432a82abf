import type { SharedLimits } from './limits.ts';

/**
 * What counts as guessing at a one-time link or a token of the API: 30 wrong ones from one source in an hour. Neither can be
 * guessed, having 256 random bits; who tries all the same is not served any more, and costs the database one look.
 */
export const MOST_GUESSES = 30;
const WINDOW_SECONDS = 3600;

export interface Guesses {
  /** Seconds until somebody from there is served again; 0: now. @throws CountersignError `database_unavailable` */
  wait(source: string): Promise<number>;
  /** Counts a wrong one. `source`: an address, or a network where somebody has many. */
  count(source: string): Promise<void>;
}

export function createGuesses(shared: SharedLimits): Guesses {
  const of = (source: string) => ({ name: `guesses ${source}`, quota: MOST_GUESSES, windowSeconds: WINDOW_SECONDS });
  return {
    async wait(source) {
      const { isAllowed, retrySeconds } = await shared.look(of(source));
      return isAllowed ? 0 : retrySeconds;
    },
    async count(source) {
      await shared.take(of(source));
    },
  };
}
