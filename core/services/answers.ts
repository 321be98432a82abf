import { z } from 'zod';
import { CountersignError } from '../errors.ts';
import type { HttpResponse } from '../ports/http.ts';
import type { Finding, VerifyInput, VerifyResult } from './service.ts';

/** What services have in common when they read answers, and say in words what they mean. */

const errorSchema = z.object({ code: z.string(), message: z.string().optional() });
/** An error as WordPress's REST API tells it (`WP_REST_Server::error_to_response`). */
export type ApiError = z.infer<typeof errorSchema>;

/** `undefined`: the answer is no error of the REST API, such as the page of a firewall. */
export function apiError({ body }: HttpResponse): ApiError | undefined {
  return errorSchema.safeParse(parsed(body)).data;
}

/** The body as JSON; `undefined` when it is none. */
export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export type Failed = Extract<VerifyResult, { kind: 'fails' }>;

export function fails(reason: string, isRetryable = false): Failed {
  return { kind: 'fails', reason, isRetryable };
}

export function good(words: string): Finding {
  return { isGood: true, words };
}

export function bad(words: string): Finding {
  return { isGood: false, words };
}

export function hostOf({ base }: Pick<VerifyInput, 'base'>): string {
  return new URL(base).host;
}

/** Where a redirect leads. A name is the site's text, so it is said only where it is the site's own with or without `www.`. */
export function locationOf(input: Pick<VerifyInput, 'base' | 'origin'>, { headers }: HttpResponse): string {
  const url = URL.parse(headers.location ?? '', input.base);
  if (url?.origin === input.origin) return 'another of its own pages';
  const isSameSite = url?.protocol.startsWith('http') && withoutWww(url.host) === withoutWww(hostOf(input));
  return url && isSameSite ? url.origin : 'another address';
}

/** The names of one site: with and without `www.`. */
export function withoutWww(host: string): string {
  return host.replace(/^www\./, '');
}

/** No answer at all, in words. @param what was to be checked: `key`. @throws what is no outage of the site. */
export function outage(input: Pick<VerifyInput, 'base'>, what: string, error: unknown): Failed {
  if (!(error instanceof CountersignError)) throw error;
  if (error.code === 'network') return fails(`${hostOf(input)} could not be reached to check the ${what}.`, true);
  if (error.code === 'egress_refused')
    return fails(`${hostOf(input)} may not be reached from here, so the ${what} was not checked.`);
  throw error;
}
