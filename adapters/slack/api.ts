import { setTimeout as wait } from 'node:timers/promises';
import { WebClient } from '@slack/web-api';
import type { SharedLimits } from '../../core/limits.ts';
import type { Log } from '../../core/ports/log.ts';
import { Secret } from '../../core/secret.ts';
import { retryAfterOf, silent, slackError } from './errors.ts';
import { rateOf } from './limits.ts';
import { slackLogger } from './logger.ts';

export const SLACK_API = 'https://slack.com/api/';
const TIMEOUT_MS = 10_000;
/** A trigger lives 3 s (docs.slack.dev, modals): a form that opens later would not open. */
const QUICK_MS = 2_500;

/** Whoever would wait longer comes back later. */
const LONGEST_WAIT_MS = 45_000;

export interface CallOptions {
  /** Nobody can wait for it: it goes at once, or not at all. */
  readonly isQuick?: boolean;
  /** For methods that Slack counts by channel. */
  readonly channel?: string;
  /** Its place in line was booked before, and its time has come. */
  readonly hasPlace?: boolean | undefined;
}

/** Slack's methods. It repeats nothing by itself: who calls knows whether twice is once. */
export interface Api {
  /** @throws what the vendor's client throws, see `slackError`; CountersignError while Slack has asked for silence. */
  raw<T>(method: string, run: (client: WebClient) => Promise<T>, options?: CallOptions): Promise<T>;
  /** @throws CountersignError `chat_unavailable`, retryable or not. */
  call<T>(method: string, run: (client: WebClient) => Promise<T>, options?: CallOptions): Promise<T>;
  /** Books the next place for the method, in line with every other process. @returns the milliseconds until then. */
  place(method: string, channel: string): Promise<number>;
}

export interface ApiOptions {
  /** One that stays; or where the one of this moment is to be had, before each call. */
  readonly token: Secret | (() => Promise<Secret>);
  readonly apiUrl: string;
  readonly log: Log;
  /** Where every process books what Slack counts; absent: for methods that it does not count. */
  readonly line?: Pick<SharedLimits, 'book'>;
  /** Once Slack has said which one we are in. */
  workspaceId?(): string;
}

export function createApi({ token, apiUrl, log, line, workspaceId = () => '' }: ApiOptions): Api {
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
    { isQuick = false, channel = '', hasPlace = isQuick }: CallOptions = {},
  ): Promise<T> {
    if (!hasPlace) await untilPlaced(method, channel);
    const waitMs = (silence.get(method) ?? 0) - performance.now();
    if (waitMs > 0) throw silent(method, waitMs);
    const { quick, patient } = await current();
    try {
      return await run(isQuick ? quick : patient);
    } catch (error) {
      const seconds = retryAfterOf(error);
      if (seconds !== undefined) silence.set(method, performance.now() + seconds * 1000);
      throw error;
    }
  }

  async function place(method: string, channel: string): Promise<number> {
    const limit = rateOf(method, workspaceId(), channel);
    const silentMs = (silence.get(method) ?? 0) - performance.now();
    return Math.max(Math.ceil(silentMs), limit && line ? await line.book(limit) : 0, 0);
  }

  async function untilPlaced(method: string, channel: string): Promise<void> {
    const limit = rateOf(method, workspaceId(), channel);
    const ms = limit && line ? await line.book(limit) : 0;
    if (ms > LONGEST_WAIT_MS) throw silent(method, ms);
    if (ms > 0) await wait(ms);
  }

  return {
    place,
    raw,
    call: (method, run, how) =>
      raw(method, run, how).catch((error: unknown) => {
        throw slackError(error, method);
      }),
  };
}
