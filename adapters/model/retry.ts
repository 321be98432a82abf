import type { Log } from '../../core/ports/log.ts';
import { askedDelayMs, factsOf, isRetryable, translate } from './errors.ts';

/** When a call must have ended: the signal aborts then at the latest. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** By `performance.now()`. */
  readonly endsAt: number;
}

/** As the SDK would: 0.5 s, doubled, up to 8 s, with up to 25 % less. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8000;

/** @param signal what may end it sooner. */
export function deadlineIn(timeoutMs: number, signal?: AbortSignal): Deadline {
  const clock = AbortSignal.timeout(timeoutMs);
  return {
    signal: signal ? AbortSignal.any([signal, clock]) : clock,
    endsAt: performance.now() + timeoutMs,
  };
}

/**
 * Calls again while that may help and a next attempt could begin before the deadline: a service that asks for a longer
 * pause is not waited for. @throws CountersignError `model_unavailable`, or one that the call itself threw.
 */
export async function withRetries<T>(log: Log, deadline: Deadline, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const delayMs = askedDelayMs(error, new Date()) ?? backoffMs(attempt);
      const isWorthIt = isRetryable(error) && !deadline.signal.aborted && performance.now() + delayMs < deadline.endsAt;
      if (!isWorthIt) throw translate(error);
      log.info({ ...factsOf(error), attempt, delayMs: Math.round(delayMs) }, 'asking the model again');
      await pause(delayMs, deadline.signal);
    }
  }
}

function backoffMs(attempt: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS) * (1 - Math.random() / 4);
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, delayMs);
    signal.addEventListener('abort', finish);
  });
}
