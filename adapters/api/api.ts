import { randomUUID } from 'node:crypto';
import { type ErrorRequestHandler, type Request, type Response, Router, raw } from 'express';
import type { z } from 'zod';
import {
  type ApiAnswers,
  eventOf,
  type KeptAnswer,
  type KeyedRequest,
  keyedRequest,
} from '../../core/customers/api-answers.ts';
import { CountersignError } from '../../core/errors.ts';
import type { EventRef } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import { type AdmissionDeps, type Admitted, admit } from './admission.ts';
import { reportFailure, unansweredWords } from './errors.ts';
import { openApiDocument } from './openapi.ts';
import { type Problem, sendProblem } from './problem.ts';
import { type ApiRoute, NOTHING, type Reply } from './route.ts';

export interface ApiDeps extends AdmissionDeps {
  readonly apiAnswers: ApiAnswers;
  /** Where the server is reached. */
  publicUrl(): string;
  readonly log: Log;
}

/** A year, in seconds (RFC 6797). Of this host alone: what else its owner runs below it is not ours to say. */
const HSTS = 'max-age=31536000';
const NOTHING_HERE = { status: 404, code: 'not_found', detail: 'There is nothing here.' } as const;
/** The longest thing that is sent is a key of a few kilobytes. */
const BODY_LIMIT_BYTES = 65_536;
/** draft-ietf-httpapi-idempotency-key-header-07 asks for a string; visible characters, so that it passes through every proxy. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The HTTP API: bearer tokens alone and no cookies, for programs and not for pages of other sites. Logs no request. */
export function apiRoutes(deps: ApiDeps, routes: readonly ApiRoute[]): Router {
  const api = Router({ caseSensitive: true });
  api.use((_request, response, next) => {
    sayHow(deps, response);
    next();
  });
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const allowed = here.map(({ method }) => method.toUpperCase()).join(', ');
    const refuse = (_request: Request, response: Response) => {
      response.set('Allow', allowed);
      const detail = `This address takes ${allowed} alone.`;
      sendProblem(response, { status: 405, code: 'method_not_allowed', detail });
    };
    // Express would take a HEAD for a GET, which would read the secret for nobody.
    const at = api.route(path).head(refuse);
    for (const route of here) at[route.method]((request, response) => serve(deps, route, request, response));
    at.all(refuse);
  }
  api.use((_request, response) => sendProblem(response, NOTHING_HERE));
  api.use(failed(deps.log));
  let document: string | undefined;
  return Router({ caseSensitive: true })
    .get('/api/openapi.json', (_request, response) => {
      sayHow(deps, response);
      document ??= JSON.stringify(openApiDocument(routes, deps.publicUrl()));
      response.type('application/json').send(document);
    })
    .use('/api/autonomous', api);
}

function sayHow({ publicUrl }: Pick<ApiDeps, 'publicUrl'>, response: Response): void {
  response.set({
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Robots-Tag': 'noindex',
  });
  // Browsers take it over TLS alone, and so it is said only where the address is such.
  if (publicUrl().startsWith('https:')) response.set('Strict-Transport-Security', HSTS);
}

async function serve(deps: ApiDeps, route: ApiRoute, request: Request, response: Response): Promise<void> {
  const admitted = await admit(deps, route, request, response);
  if (!admitted) return;
  const params = route.params.safeParse(request.params);
  const query = route.query.safeParse(request.query);
  const issues = [...issuesOf(params, ''), ...issuesOf(query, 'query')];
  if (!params.success || !query.success) return sendProblem(response, invalid(issues));
  const call = { caller: admitted.caller, params: params.data, query: query.data };
  if (route.method !== 'post') {
    const event: EventRef = { platform: 'api', id: randomUUID() };
    const reply = await route.answer({ ...call, body: {}, event }, response);
    return reply && send(response, reply);
  }
  const sent = await bodyOf(request, response);
  if ('problem' in sent) return sendProblem(response, sent.problem);
  const keyed = keyOf(request, admitted, sent.bytes);
  if (keyed && 'problem' in keyed) return sendProblem(response, keyed.problem);
  const body = (route.body ?? NOTHING).safeParse(sent.json);
  if (!body.success) return sendProblem(response, invalid(issuesOf(body, '')));
  const answer = (event: EventRef) => route.answer({ ...call, body: body.data, event }, response);
  const reply = keyed
    ? await once(deps.apiAnswers, keyed, response, () => answer(eventOf(keyed)))
    : await answer({ platform: 'api', id: randomUUID() });
  if (reply) send(response, reply);
}

/** The same answer to the same request, however often it comes: its effect is had once, and what failed is tried again. */
async function once(
  answers: ApiAnswers,
  keyed: KeyedRequest,
  response: Response,
  answer: () => Promise<Reply | undefined>,
): Promise<Reply | undefined> {
  const begun = await answers.begin(keyed);
  switch (begun.kind) {
    case 'known':
      sendKept(response, begun.answer);
      return undefined;
    case 'other':
      return {
        problem: {
          ...{ status: 422, code: 'idempotency_key_reused' },
          detail: 'This Idempotency-Key belongs to another request. Nothing was done.',
        },
      };
    case 'under_way':
      return {
        problem: {
          ...{ status: 409, code: 'idempotency_key_in_use', retryAfterSeconds: 1 },
          detail: 'The request with this Idempotency-Key is still being answered.',
        },
      };
    case 'new':
      break;
    default:
      return begun satisfies never;
  }
  try {
    const reply = await answer();
    if (reply && isForGood(reply)) await answers.keep(keyed, keptAs(reply));
    else await answers.drop(keyed);
    return reply;
  } catch (error) {
    await answers.drop(keyed).catch(() => {}); // after two minutes it counts as given up by itself
    throw error;
  }
}

/** Whoever asked too often, or at a bad moment, may ask the same again. */
function isForGood(reply: Reply): boolean {
  return !('problem' in reply) || (reply.problem.status < 500 && reply.problem.status !== 429);
}

function keptAs(reply: Reply): KeptAnswer {
  if (!('problem' in reply)) {
    const { status, body, location } = reply;
    return { status, body: JSON.stringify(body), ...(location === undefined ? {} : { location }) };
  }
  return { status: reply.problem.status, body: JSON.stringify(reply.problem) };
}

function sendKept(response: Response, { status, body, location }: KeptAnswer): void {
  response.set('Idempotency-Replayed', 'true');
  // What `keptAs` kept of a problem is that problem.
  if (status >= 400) sendProblem(response, JSON.parse(body) as Problem);
  else sendText(response, status, body, location);
}

function send(response: Response, reply: Reply): void {
  if ('problem' in reply) sendProblem(response, reply.problem);
  else sendText(response, reply.status, JSON.stringify(reply.body), reply.location);
}

function sendText(response: Response, status: number, body: string, location: string | undefined): void {
  if (location !== undefined) response.set('Location', location);
  response.status(status).type('application/json').send(body);
}

function keyOf(
  request: Request,
  { caller, token }: Admitted,
  body: Buffer,
): KeyedRequest | { problem: Problem } | undefined {
  const key = request.get('idempotency-key');
  if (key === undefined) return undefined;
  if (IDEMPOTENCY_KEY.test(key))
    return keyedRequest(caller, token, key, { method: request.method, path: request.path, body });
  return { problem: invalid([{ at: 'Idempotency-Key', detail: 'invalid_format' }]) };
}

const readBytes = raw({ type: () => true, limit: BODY_LIMIT_BYTES, inflate: false });

/** Read once it is known who sends it. No body is an empty object. */
async function bodyOf(
  request: Request,
  response: Response,
): Promise<{ readonly bytes: Buffer; readonly json: unknown } | { readonly problem: Problem }> {
  await new Promise<void>((resolve, reject) => {
    readBytes(request, response, (error: unknown) => (error ? reject(error) : resolve()));
  });
  // Without a body there is nothing that was read.
  const bytes: Buffer = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  if (bytes.length === 0) return { bytes, json: {} };
  if (!request.is('application/json')) {
    const detail = 'The body has to be JSON, and its Content-Type application/json.';
    return { problem: { status: 415, code: 'media_type_unsupported', detail } };
  }
  try {
    return { bytes, json: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return { problem: invalid([{ at: 'body', detail: 'invalid_json' }]) };
  }
}

interface Issue {
  readonly at: string;
  readonly detail: string;
}

/** Names and kinds alone: what was sent may be a secret. */
function issuesOf({ error }: { readonly error?: z.ZodError | undefined }, otherwise: string): readonly Issue[] {
  return (error?.issues ?? []).map(({ path, code }) => ({
    at: path.map(String).join('.') || otherwise || 'body',
    detail: code,
  }));
}

function invalid(errors: readonly Issue[]): Problem {
  const detail = 'This request is not one that the API knows. Nothing was read.';
  return { status: 400, code: 'request_invalid', detail, errors };
}

function failed(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    const status = reportFailure(error, log);
    if (response.headersSent) return next(error);
    if (status === 413) {
      const detail = `The body may have ${BODY_LIMIT_BYTES} bytes. Nothing was read.`;
      return sendProblem(response, { status, code: 'body_too_large', detail });
    }
    if (status === 415) {
      const detail = 'The body has to be sent as it is, without a Content-Encoding.';
      return sendProblem(response, { status, code: 'media_type_unsupported', detail });
    }
    if (status < 500)
      return sendProblem(response, { status, code: 'request_invalid', detail: 'This request could not be read.' });
    if (error instanceof CountersignError && (error.isRetryable || error.code === 'chat_unavailable')) {
      const detail = error.isRetryable
        ? unansweredWords(error)
        : 'The chat does not take it: is Countersign still in the channel that an admin chose?';
      return sendProblem(response, { status: 503, code: 'unavailable', detail });
    }
    const detail = 'Something went wrong on our side. The operator was told.';
    sendProblem(response, { status: 500, code: 'internal', detail });
  };
}
