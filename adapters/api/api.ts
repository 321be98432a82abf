import { type ErrorRequestHandler, type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { type ApiCaller, type ApiTokens, type Scope, TOKEN_LIMIT } from '../../core/customers/api-tokens.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Guesses } from '../../core/guesses.ts';
import type { Taken } from '../../core/limits.ts';
import type { Log } from '../../core/ports/log.ts';
import { reportFailure } from './errors.ts';
import { sendProblem } from './problem.ts';
import { sourceOf } from './source.ts';

/** One route of the API. Who calls, how often and with which scope is seen to before `answer` is asked. */
export interface ApiRoute<Params = unknown> {
  readonly method: 'get';
  /** Below `/api/autonomous`, with `:name` for each parameter. */
  readonly path: string;
  readonly scope: Scope;
  readonly params: z.ZodType<Params>;
  answer(call: { readonly caller: ApiCaller; readonly params: Params }, response: Response): Promise<void>;
}

export interface ApiDeps {
  readonly tokens: ApiTokens;
  /** Counts wrong tokens; absent: nobody does. */
  readonly guesses?: Guesses;
  /** Where the server is reached. */
  publicUrl(): string;
  readonly log: Log;
}

/** A year, in seconds (RFC 6797). Of this host alone: what else its owner runs below it is not ours to say. */
const HSTS = 'max-age=31536000';
const NOTHING_HERE = { status: 404, code: 'not_found', detail: 'There is nothing here.' } as const;

/** The HTTP API: bearer tokens alone and no cookies, for programs and not for pages of other sites. Logs no request. */
export function apiRoutes(deps: ApiDeps, routes: readonly ApiRoute[]): Router {
  const api = Router({ caseSensitive: true });
  api.use((_request, response, next) => {
    response.set({
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'Cross-Origin-Resource-Policy': 'same-origin',
      'X-Robots-Tag': 'noindex',
    });
    // Browsers take it over TLS alone, and so it is said only where the address is such.
    if (deps.publicUrl().startsWith('https:')) response.set('Strict-Transport-Security', HSTS);
    next();
  });
  for (const route of routes) {
    const refuse = (_request: Request, response: Response) => {
      const allowed = route.method.toUpperCase();
      response.set('Allow', allowed);
      sendProblem(response, {
        status: 405,
        code: 'method_not_allowed',
        detail: `This address takes ${allowed} alone.`,
      });
    };
    // Express would take a HEAD for a GET, which would read the secret for nobody.
    api
      .route(route.path)
      .head(refuse)
      [route.method]((request, response) => serve(deps, route, request, response))
      .all(refuse);
  }
  api.use((_request, response) => sendProblem(response, NOTHING_HERE));
  api.use(failed(deps.log));
  return Router().use('/api/autonomous', api);
}

async function serve(deps: ApiDeps, route: ApiRoute, request: Request, response: Response): Promise<void> {
  const caller = await admit(deps, request, response);
  if (!caller) return;
  if (!caller.scopes.includes(route.scope)) {
    response.set('WWW-Authenticate', `${CHALLENGE}, error="insufficient_scope", scope="${route.scope}"`);
    const detail = `This token lacks the scope ${route.scope}.`;
    return sendProblem(response, { status: 403, code: 'scope_missing', detail });
  }
  const params = route.params.safeParse(request.params);
  const query = z.strictObject({}).safeParse(request.query);
  const issues = [...(params.error?.issues ?? []), ...(query.error?.issues ?? [])];
  if (!params.success || issues.length > 0) {
    const errors = issues.map(({ path, code }) => ({ at: path.join('.') || 'query', detail: code }));
    const detail = 'This request is not one that the API knows. Nothing was read.';
    return sendProblem(response, { status: 400, code: 'request_invalid', detail, errors });
  }
  await route.answer({ caller, params: params.data }, response);
}

const CHALLENGE = 'Bearer realm="countersign"'; // RFC 6750, section 3
const authorization = z
  .string()
  .regex(/^bearer +\S+$/i)
  .transform((header) => header.slice('bearer'.length).trim());

/** Who calls, by the token alone; otherwise it has been answered. */
async function admit(
  { tokens, guesses }: ApiDeps,
  request: Request,
  response: Response,
): Promise<ApiCaller | undefined> {
  const header = request.get('authorization');
  if (header === undefined) {
    response.set('WWW-Authenticate', CHALLENGE);
    const detail = 'This address needs a token: Authorization: Bearer and then the token.';
    sendProblem(response, { status: 401, code: 'token_missing', detail });
    return undefined;
  }
  const seconds = (await guesses?.wait(sourceOf(request))) ?? 0;
  if (seconds > 0) {
    response.set('Retry-After', String(seconds));
    const detail = 'Too many unknown tokens came from this address. Nothing was read.';
    sendProblem(response, { status: 429, code: 'rate_limited', detail });
    return undefined;
  }
  const given = authorization.safeParse(header);
  const admitted = given.success ? await tokens.admit(given.data) : undefined;
  if (!admitted) {
    await guesses?.count(sourceOf(request));
    response.set('WWW-Authenticate', `${CHALLENGE}, error="invalid_token"`);
    const detail = 'This token is unknown, has expired or was revoked.';
    sendProblem(response, { status: 401, code: 'token_invalid', detail });
    return undefined;
  }
  const { caller, taken } = admitted;
  sayLimit(response, taken);
  if (taken.isAllowed) return caller;
  response.set('Retry-After', String(taken.retrySeconds));
  const detail = `This token may be used ${TOKEN_LIMIT.quota} times in ${TOKEN_LIMIT.windowSeconds} seconds. Nothing was read.`;
  sendProblem(response, { status: 429, code: 'rate_limited', detail });
  return undefined;
}

/** draft-ietf-httpapi-ratelimit-headers-10: what the policy is, and what is left of it. */
function sayLimit(response: Response, { remaining, resetSeconds }: Taken): void {
  response.set({
    'RateLimit-Policy': `"token";q=${TOKEN_LIMIT.quota};w=${TOKEN_LIMIT.windowSeconds}`,
    RateLimit: `"token";r=${remaining};t=${resetSeconds}`,
  });
}

function failed(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    const status = reportFailure(error, log);
    if (response.headersSent) return next(error);
    if (status < 500)
      return sendProblem(response, { status, code: 'request_invalid', detail: 'This request could not be read.' });
    if (error instanceof CountersignError && error.isRetryable)
      return sendProblem(response, {
        ...{ status: 503, code: 'unavailable' },
        detail: 'The database did not answer. Please try again.',
      });
    const detail = 'Something went wrong on our side. The operator was told.';
    sendProblem(response, { status: 500, code: 'internal', detail });
  };
}
