import { WebClient } from '@slack/web-api';
import type { Log } from '../../core/ports/log.ts';
import type { Secret } from '../../core/secret.ts';
import { retryAfterOf, silent, slackError } from './errors.ts';
import { slackLogger } from './logger.ts';

export const SLACK_API = 'https://slack.com/api/';
const TIMEOUT_MS = 10_000;
/** A trigger lives 3 s (docs.slack.dev, modals): a form that opens later would not open. */
const QUICK_MS = 2_500;

/** Slack's methods. It repeats nothing by itself: who calls knows whether twice is once. */
export interface Api {
  /** @throws what the vendor's client throws, see `slackError`; CountersignError while Slack has asked for silence. */
  raw<T>(method: string, run: (client: WebClient) => Promise<T>, options?: { isQuick?: boolean }): Promise<T>;
  /** @throws CountersignError `chat_unavailable`, retryable or not. */
  call<T>(method: string, run: (client: WebClient) => Promise<T>, options?: { isQuick?: boolean }): Promise<T>;
}

export function createApi(options: { token: Secret; apiUrl: string; log: Log }): Api {
  const { token, apiUrl, log } = options;
  const open = (timeout: number) =>
    new WebClient(token.reveal(), {
      slackApiUrl: apiUrl,
      allowAbsoluteUrls: false,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      timeout,
      logger: slackLogger(log),
    });
  const [patient, quick] = [open(TIMEOUT_MS), open(QUICK_MS)];
  /** By method: until when Slack takes none, by this process's own clock. */
  const silence = new Map<string, number>();

  async function raw<T>(
    method: string,
    run: (client: WebClient) => Promise<T>,
    { isQuick = false }: { isQuick?: boolean } = {},
  ): Promise<T> {
    const waitMs = (silence.get(method) ?? 0) - performance.now();
    if (waitMs > 0) throw silent(method, waitMs);
    try {
      return await run(isQuick ? quick : patient);
    } catch (error) {
      const seconds = retryAfterOf(error);
      if (seconds !== undefined) silence.set(method, performance.now() + seconds * 1000);
      throw error;
    }
  }

  return {
    raw,
    call: (method, run, how) =>
      raw(method, run, how).catch((error: unknown) => {
        throw slackError(error, method);
      }),
  };
}
