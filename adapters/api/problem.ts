import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';

/** What went wrong, for a program to tell apart; a code is never renamed. */
export type ProblemCode =
  | 'internal'
  | 'method_not_allowed'
  | 'not_found'
  | 'rate_limited'
  | 'request_invalid'
  | 'scope_missing'
  | 'token_invalid'
  | 'token_missing'
  | 'unavailable'
  | 'vendor_refused';

export interface Problem {
  readonly status: number;
  readonly code: ProblemCode;
  /** A sentence for whoever reads the program's log. */
  readonly detail: string;
  /** Of `request_invalid`: the names of what is wrong, never what was sent. */
  readonly errors?: readonly { readonly at: string; readonly detail: string }[];
}

/** Answers with problem details (RFC 9457): `type` is `about:blank`, `title` the status in words, `code` our own member. */
export function sendProblem(response: Response, { status, ...problem }: Problem): void {
  const body = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...problem };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}
