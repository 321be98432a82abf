import { CountersignError } from '../errors.ts';
import { pause, type StepRun, untilAborted } from './stage.ts';

/** Pauses between two tries: half a second, then twice as long each time, at most 8 s; see `backoff`. */
const BASE_MS = 500;
const FACTOR = 2;
const CAP_MS = 8_000;
/** A site that asks to wait is waited for, but not for so long that nothing could be done afterwards. */
const LONGEST_ORDERED_MS = 2 * 60_000;
const MOST_ORDERED = 5;

export interface OpenPageOptions {
  /** Milliseconds that are left for it. */
  leftMs(): number;
  /** The site itself asked to wait: the time for it begins anew. */
  restart?(): void;
}

/**
 * Opens a page, and again where the network or the site refused it for now: asking for a page changes nothing, however
 * often. The guard is asked before each try. @returns how many tries it took. @throws what the last one threw.
 */
export async function openPage(
  { session, signal, guard }: Pick<StepRun, 'session' | 'signal' | 'guard'>,
  url: string,
  { leftMs, restart }: OpenPageOptions,
): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    await untilAborted(signal, () => guard());
    try {
      await untilAborted(signal, () => session.navigate(url, leftMs()));
      return tries;
    } catch (error) {
      signal.throwIfAborted();
      const waitMs = waitAfter(error, tries, leftMs());
      if (waitMs === undefined) throw error;
      await pause(signal, waitMs);
      if (isOrdered(error)) restart?.();
    }
  }
}

/** `undefined`: it is not worth another try, or there is no time for one. */
function waitAfter(error: unknown, tries: number, leftMs: number): number | undefined {
  if (isOrdered(error)) {
    const waitMs = error.retryAfterMs ?? backoff(tries);
    return tries > MOST_ORDERED || waitMs > LONGEST_ORDERED_MS ? undefined : waitMs;
  }
  if (!(error instanceof CountersignError) || error.code !== 'network') return undefined;
  const waitMs = backoff(tries);
  return waitMs < leftMs ? waitMs : undefined;
}

function isOrdered(error: unknown): error is CountersignError {
  return error instanceof CountersignError && error.code === 'rate_limited';
}

/** Between half of the pause and all of it, by chance: workers that were refused together don't come back together. */
function backoff(tries: number, random = Math.random()): number {
  return Math.min(CAP_MS, BASE_MS * FACTOR ** (tries - 1)) * (0.5 + random / 2);
}
