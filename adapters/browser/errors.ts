import { CountersignError } from '../../core/errors.ts';

/** How much longer than Playwright's own time-out a call may hang before it is no longer waited for. */
export const GRACE_MS = 1_500;

/**
 * Waits for a call at most so long: `evaluate` and CDP calls have no limit of their own, and a page in an endless loop
 * never answers them. @throws CountersignError `network` (retryable) when time is up.
 */
export async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new TookTooLong(what, limitMs)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Our own limit ran out: whoever was asked did not answer at all. */
export class TookTooLong extends CountersignError {
  constructor(what: string, limitMs: number) {
    super('network', `${what} took longer than ${limitMs} ms.`, { isRetryable: true });
  }
}

/** A frame changed, or would not be looked into: nothing sure can be said about the picture. */
export class UnseenFrame extends Error {}

/** More is on the page than can be searched for secrets in reasonable time: there is no picture of it. */
export class TooMuch extends Error {}

/**
 * Playwright's error in our words. Its message is not passed on: call logs quote typed text and whole addresses.
 */
export function translated(error: unknown, what: string): CountersignError {
  if (error instanceof CountersignError) return error;
  const text = error instanceof Error ? error.message : '';
  if (isCrash(text))
    return new CountersignError('browser_crashed', `${what} failed: the page or browser ended.`, { isRetryable: true });
  const code = /net::(ERR_[A-Z0-9_]+)/.exec(text)?.[1];
  const why =
    code ??
    (isTimeout(error) ? 'no success in time' : isGone(text) ? 'the page changed meanwhile' : 'the browser refused');
  return new CountersignError('network', `${what} failed: ${why}.`, { isRetryable: true });
}

/** Playwright's words for a page that ended, by itself or not, before it had answered. */
export function isEnded(error: unknown): boolean {
  return error instanceof Error && !(error instanceof CountersignError) && isCrash(error.message);
}

function isCrash(text: string): boolean {
  return /(target|page) crashed|has been closed|browser closed|connection closed/i.test(text);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** Playwright's words for a page or a part of it that was replaced meanwhile. */
export function isGone(text: string): boolean {
  return /context was destroyed|cannot find context|detached|not attached|no longer|different document|is disposed|interrupted by another navigation/i.test(
    text,
  );
}

/** Whether a question to the page failed only because the page was changing: the same question may be asked again. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof CountersignError) && error instanceof Error && (isGone(error.message) || isTimeout(error));
}
