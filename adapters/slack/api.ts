import { WebClient } from '@slack/web-api';
import { CountersignError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/log.ts';
import { Secret } from '../../core/secret.ts';
import { retryAfterOf, slackError } from './errors.ts';
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

/** `token`: one that stays; or where the one of this moment is to be had, before each call. */
export function createApi(options: { token: Secret | (() => Promise<Secret>); apiUrl: string; log: Log }): Api {
  const { token, apiUrl, log } = options;
  const open = (text: string, timeout: number) =>
    new WebClient(text === '' ? undefined : text, {
      slackApiUrl: apiUrl,
      allowAbsoluteUrls: false,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      timeout,
      logger: slackLogger(log),
    });
  const clientsOf = (text: string) => ({ text, patient: open(text, TIMEOUT_MS), quick: open(text, QUICK_MS) });
  let clients: ReturnType<typeof clientsOf> | undefined;
  const current = async () => {
    const text = (token instanceof Secret ? token : await token()).reveal();
    if (clients?.text !== text) clients = clientsOf(text);
    return clients;
  };
  /** By method: until when Slack takes none, by this process's own clock. */
  const silence = new Map<string, number>();

  async function raw<T>(
    method: string,
    run: (client: WebClient) => Promise<T>,
    { isQuick = false }: { isQuick?: boolean } = {},
  ): Promise<T> {
    const waitMs = (silence.get(method) ?? 0) - performance.now();
    if (waitMs > 0) throw silent(method, Math.ceil(waitMs / 1000));
    const { quick, patient } = await current();
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

function silent(method: string, seconds: number): CountersignError {
  const words = `Slack takes no ${method} for another ${seconds} s.`;
  return new CountersignError('chat_unavailable', words, { isRetryable: true });
}
