import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';

/** What went wrong, for a program to tell apart; a code is never renamed. */
export const PROBLEM_CODES = [
  'answer_lost',
  'body_too_large',
  'consent_refused',
  'consent_required',
  'idempotency_key_reused',
  'idempotency_key_in_use',
  'internal',
  'media_type_unsupported',
  'method_not_allowed',
  'not_allowed',
  'not_found',
  'not_offered',
  'not_possible_now',
  'operations_limited',
  'plan_changed',
  'rate_limited',
  'request_invalid',
  'scope_missing',
  'token_invalid',
  'token_missing',
  'unavailable',
  'vendor_refused',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export interface Problem {
  readonly status: number;
  readonly code: ProblemCode;
  /** A sentence for whoever reads the program's log. */
  readonly detail: string;
  /** Of `request_invalid`: the names of what is wrong, never what was sent. */
  readonly errors?: readonly { readonly at: string; readonly detail: string }[];
  /** In whole seconds, as the header Retry-After says it. */
  readonly retryAfterSeconds?: number;
  /** The operation that it is about. */
  readonly operationId?: string;
}

/** Answers with problem details (RFC 9457): `type` is `about:blank`, `title` the status in words, `code` our own member. */
export function sendProblem(response: Response, { status, retryAfterSeconds, ...problem }: Problem): void {
  if (retryAfterSeconds !== undefined) response.set('Retry-After', String(retryAfterSeconds));
  const body = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...problem };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}
