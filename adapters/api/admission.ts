import type { Request, Response } from 'express';
import { z } from 'zod';
import { type ApiCaller, type ApiTokens, SCOPES_OF_MEMBERS, TOKEN_LIMITS } from '../../core/customers/api-tokens.ts';
import type { Guesses } from '../../core/guesses.ts';
import type { Taken } from '../../core/limits.ts';
import { sendProblem } from './problem.ts';
import type { ApiRoute } from './route.ts';
import { sourceOf } from './source.ts';

export interface AdmissionDeps {
  readonly apiTokens: ApiTokens;
  /** Counts wrong tokens; absent: nobody does. */
  readonly guesses?: Guesses;
  /** What the chat platform says now of the token's member. Absent: nobody is asked. */
  standing?(caller: ApiCaller): Promise<'member' | 'gone' | 'away'>;
}

const CHALLENGE = 'Bearer realm="countersign"'; // RFC 6750, section 3
const authorization = z
  .string()
  .regex(/^bearer +\S+$/i)
  .transform((header) => header.slice('bearer'.length).trim());

export interface Admitted {
  readonly caller: ApiCaller;
  /** As it was sent. */
  readonly token: string;
}

/** Who calls, by the token alone, if they may use this route now; otherwise it has been answered. */
export async function admit(
  deps: AdmissionDeps,
  route: ApiRoute,
  request: Request,
  response: Response,
): Promise<Admitted | undefined> {
  const { apiTokens, guesses } = deps;
  const { scope, limit = 'other' } = route;
  const header = request.get('authorization');
  if (header === undefined) {
    response.set('WWW-Authenticate', CHALLENGE);
    const detail = 'This address needs a token: Authorization: Bearer and then the token.';
    sendProblem(response, { status: 401, code: 'token_missing', detail });
    return undefined;
  }
  const seconds = (await guesses?.wait(sourceOf(request))) ?? 0;
  if (seconds > 0) {
    const detail = 'Too many unknown tokens came from this address. Nothing was read.';
    sendProblem(response, { status: 429, code: 'rate_limited', detail, retryAfterSeconds: seconds });
    return undefined;
  }
  const given = authorization.safeParse(header);
  const admitted = given.success ? await apiTokens.admit(given.data, limit) : undefined;
  if (!given.success || !admitted) {
    await guesses?.count(sourceOf(request));
    response.set('WWW-Authenticate', `${CHALLENGE}, error="invalid_token"`);
    const detail = 'This token is unknown, has expired or was revoked.';
    sendProblem(response, { status: 401, code: 'token_invalid', detail });
    return undefined;
  }
  const { caller, taken } = admitted;
  sayLimit(response, limit, taken);
  if (!taken.isAllowed) {
    const { quota, windowSeconds } = TOKEN_LIMITS[limit];
    const detail = `This token may be used ${quota} times in ${windowSeconds} seconds. Nothing was read.`;
    sendProblem(response, { status: 429, code: 'rate_limited', detail, retryAfterSeconds: taken.retrySeconds });
    return undefined;
  }
  // The database makes no token with such a scope and without a member: this is for whoever could change a row.
  if (caller.scopes.includes(scope) && (caller.memberId || !SCOPES_OF_MEMBERS.includes(scope)))
    return (await isThere(deps, route, caller, response)) ? { caller, token: given.data } : undefined;
  response.set('WWW-Authenticate', `${CHALLENGE}, error="insufficient_scope", scope="${scope}"`);
  sendProblem(response, { status: 403, code: 'scope_missing', detail: `This token lacks the scope ${scope}.` });
  return undefined;
}

/** Whoever has left the workspace does nothing there any more, in the chat nor by a token that was made for them before. */
async function isThere(
  { standing }: AdmissionDeps,
  { scope, isUnasked }: ApiRoute,
  caller: ApiCaller,
  response: Response,
): Promise<boolean> {
  if (isUnasked || !SCOPES_OF_MEMBERS.includes(scope)) return true;
  const found = (await standing?.(caller)) ?? 'member';
  if (found === 'gone') {
    const detail = 'The chat platform knows the member of this token no more, or as a guest. Nothing was changed.';
    sendProblem(response, { status: 403, code: 'not_allowed', detail });
  } else if (found === 'away') {
    const detail = 'The chat platform did not say whether the member of this token is there still. Please try again.';
    sendProblem(response, { status: 503, code: 'unavailable', detail });
  }
  return found === 'member';
}

/** draft-ietf-httpapi-ratelimit-headers-10: what the policy is, and what is left of it. */
function sayLimit(response: Response, limit: keyof typeof TOKEN_LIMITS, { remaining, resetSeconds }: Taken): void {
  const { quota, windowSeconds } = TOKEN_LIMITS[limit];
  response.set({
    'RateLimit-Policy': `"token";q=${quota};w=${windowSeconds}`,
    RateLimit: `"token";r=${remaining};t=${resetSeconds}`,
  });
}
