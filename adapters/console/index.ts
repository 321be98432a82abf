import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import { countOpen } from '../../core/console/listing.ts';
import { CountersignError } from '../../core/errors.ts';
import { type Html, html } from '../../core/markup.ts';
import { createAssets } from './assets.ts';
import { plainDocument, wholePage } from './layout.ts';
import { notice } from './notice.ts';
import { approvalRoutes } from './pages/approvals.ts';
import { auditRoutes } from './pages/audit.ts';
import { connectionRoutes } from './pages/connections.ts';
import { healthRoutes } from './pages/health.ts';
import { operationRoutes } from './pages/operation.ts';
import { operationListRoutes } from './pages/operations.ts';
import { peopleRoutes } from './pages/people.ts';
import { queueRoutes } from './pages/queue.ts';
import { workflowRoutes } from './pages/workflows.ts';
import { type Answer, type Call, type ConsoleDeps, type ConsoleRoute, hasRole } from './routes.ts';
import { clearSession, csrfToken, isCsrfToken, isSameOrigin, sessionToken } from './session.ts';
import { signInRoutes } from './sign-in.ts';

export { consoleCallers } from './callers.ts';
export type { ConsoleDeps, ConsoleRoute } from './routes.ts';

/** From where something did not work. */
const BACK = html`<p><a class="button" href="/console/operations">To the console</a></p>`;

const FORM_LIMIT_BYTES = 32_768;

/** Everything that somebody who has signed in can ask for; tests go through all of it. */
export const CONSOLE_ROUTES: readonly ConsoleRoute[] = [
  ...operationListRoutes,
  ...operationRoutes,
  ...approvalRoutes,
  ...connectionRoutes,
  ...workflowRoutes,
  ...auditRoutes,
  ...peopleRoutes,
  ...queueRoutes,
  ...healthRoutes,
  // What every page asks for by itself: the counts stand in the headers.
  {
    method: 'get',
    path: '/counts',
    role: 'merchant',
    isByItself: true,
    answer: async () => ({ kind: 'part', body: html`` }),
  },
];

/** The console at `/console`: pages made here, one style sheet, a little script, and nothing from elsewhere. It logs no request. */
export function consoleRoutes(deps: ConsoleDeps): Router {
  const assets = createAssets();
  const router = Router({ caseSensitive: true });
  router.use(assets.routes);
  const pages = Router({ caseSensitive: true });
  pages.use(headers(deps));
  pages.use(express.urlencoded({ extended: false, limit: FORM_LIMIT_BYTES, parameterLimit: 50 }));
  pages.use(signInRoutes(deps, assets.path));
  pages.get('/', (_request, response) => response.redirect(303, '/console/operations'));
  for (const route of CONSOLE_ROUTES)
    pages[route.method](route.path, (request, response) => serve(deps, assets.path, route, request, response));
  // The address of something pressed, opened again, leads to the page that it was pressed on.
  for (const { method, path } of CONSOLE_ROUTES)
    if (method === 'post')
      pages.get(path, ({ path: asked }, response) =>
        response.redirect(
          303,
          path.startsWith('/approvals/') ? '/console/approvals' : `/console${asked.replace(/\/[^/]+\/?$/, '')}`,
        ),
      );
  pages.post('/sign-out', async (request, response) => {
    const call = await enter(deps, assets.path, { isByItself: true, isUnasked: true }, request, response);
    if (!call || !isOurForm(deps, call, request, response, assets.path)) return;
    await deps.sessions.leave(call.session);
    clearSession(response, deps.publicUrl());
    send(
      response,
      200,
      plainDocument(
        assets.path,
        'You are signed out',
        html`<p class="quiet">Write “console” in chat for another link.</p>`,
      ),
    );
  });
  pages.use(async (request, response) => {
    const call = await enter(deps, assets.path, {}, request, response);
    if (call) await nothing(call, response);
  });
  pages.use(failed(deps, assets.path));
  router.use('/console', pages);
  return router;
}

function headers({ publicUrl }: ConsoleDeps): RequestHandler {
  /** The live stream is named apart: not every browser takes a WebSocket of the same host for 'self'. */
  const policy = () =>
    [
      ...["default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self'"],
      `connect-src 'self' ${new URL(publicUrl()).origin.replace(/^http/, 'ws')}`,
      ...["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"],
    ].join('; ');
  return (_request, response, next) => {
    response.set({
      'Content-Security-Policy': policy(),
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
      // Not `no-referrer`: under that a browser sends `Origin: null` even to the page's own server.
      'Referrer-Policy': 'same-origin',
      'X-Frame-Options': 'DENY',
      'X-Robots-Tag': 'noindex',
    });
    if (publicUrl().startsWith('https:')) response.set('Strict-Transport-Security', 'max-age=31536000');
    next();
  };
}

async function serve(
  deps: ConsoleDeps,
  assetsPath: string,
  route: ConsoleRoute,
  request: Request,
  response: Response,
): Promise<void> {
  const call = await enter(deps, assetsPath, route, request, response);
  if (!call) return;
  if (route.method === 'post' && !isOurForm(deps, call, request, response, assetsPath)) return;
  if (!hasRole(call.member, route.role)) return nothing(call, response);
  await answer(call, await route.answer(call, response), response);
}

/** Stands where the rest of a page comes: what comes from outside is escaped, and holds no such thing. */
const REST = html`<!-- rest -->`;

async function answer(call: Call, given: Answer, response: Response): Promise<void> {
  switch (given.kind) {
    case 'page':
      if (given.later) return sendInParts(call, given, given.later, response);
      return send(response, 200, await inFrame(call, given));
    case 'part':
      response.set(await countHeaders(call));
      return send(response, 200, given.body.markup);
    case 'go':
      return void response.redirect(303, given.to);
    case 'sent':
      return;
    case 'nothing':
      return nothing(call, response);
    default:
      return given satisfies never;
  }
}

async function sendInParts(
  call: Call,
  page: Parameters<typeof wholePage>[1],
  later: () => Promise<Html>,
  response: Response,
): Promise<void> {
  const whole = await inFrame(call, { ...page, body: html`${page.body}${REST}` });
  const [above, beneath] = whole.split(REST.markup) as [string, string];
  response.status(200).type('text/html').write(above);
  const rest = await later().catch((error: unknown) => {
    logFailure(call.deps, error);
    return html`<div class="panel" role="alert"><p>The rest of this page could not be made. What stands above is true; please load the page again in a moment.</p></div>`;
  });
  response.end(rest.markup + beneath);
}

/** The counts beside the names of pages, for a page that keeps itself as things are. */
async function countHeaders({ read, customerId, member }: Call): Promise<Record<string, string>> {
  const { open, waiting } = await read((tx) => countOpen(tx, customerId, member));
  return { 'Countersign-Open': String(open), 'Countersign-Waiting': String(waiting) };
}

async function inFrame(call: Call, page: Parameters<typeof wholePage>[1]): Promise<string> {
  const counts = await call.read((tx) => countOpen(tx, call.customerId, call.member));
  const said = await notice(call);
  return wholePage(call, said ? { ...page, body: html`${said}${page.body}` } : page, counts);
}

/** The same for what is not there, for what is somebody else's, and for what needs another role. */
async function nothing(call: Call, response: Response): Promise<void> {
  const body = html`<div class="heading"><div><h1>There is nothing here</h1><p class="quiet">It does not exist, or it is not yours to see.</p></div></div><p><a class="button" href="/console/operations">All operations</a></p>`;
  send(response, 404, await inFrame(call, { title: 'Nothing here', nav: 'none', body }));
}

/** Who has signed in; whoever has not is told so, and nothing else. */
async function enter(
  deps: ConsoleDeps,
  assetsPath: string,
  route: Partial<Pick<ConsoleRoute, 'isByItself' | 'isUnasked' | 'method'>>,
  request: Request,
  response: Response,
): Promise<Call | undefined> {
  const publicUrl = deps.publicUrl();
  const token = sessionToken(request, publicUrl);
  const session = token === undefined ? undefined : await deps.sessions.find(token, !route.isByItself);
  const standing = session && !route.isUnasked ? await deps.desk.standing(session.member.person) : 'member';
  if (token === undefined || !session || standing === 'gone') {
    if (session) await deps.sessions.leave(session);
    if (token !== undefined) clearSession(response, publicUrl);
    else if (mayComeAgain(request)) return void send(response, 200, again(request));
    send(response, 401, signedOutPage(assetsPath, request.method === 'POST'));
    return undefined;
  }
  if (standing === 'away') {
    const words = html`<p>Your chat platform can’t be asked just now whether you still belong to the workspace. Nothing was changed; please try again in a moment.</p>${BACK}`;
    send(response, 503, plainDocument(assetsPath, 'One moment', words));
    return undefined;
  }
  return {
    ...{ deps, session, assetsPath, request, customerId: session.customerId, member: session.member },
    csrf: csrfToken(token),
    params: texts(request.params),
    query: texts(request.query),
    fields: texts(request.body),
    read: (work) => deps.database.withCustomer(session.customerId, work),
  };
}

/**
 * A link in chat leads here without the cookie, which goes along with no request that another site begins. The same address,
 * asked for once more by our own page, brings it.
 */
function mayComeAgain(request: Request): boolean {
  return (
    request.method === 'GET' &&
    request.get('sec-fetch-site') === 'cross-site' &&
    request.get('sec-fetch-dest') === 'document'
  );
}

function again(request: Request): string {
  const page = html`<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${request.originalUrl}"><title>Countersign</title></head><body><p><a href="${request.originalUrl}">To the console</a></p></body></html>`;
  return `<!doctype html>\n${page.markup}\n`;
}

function signedOutPage(assetsPath: string, isPress: boolean): string {
  const words = html`${isPress && html`<p>Your session is over, so what you pressed was not done.</p>`}<p>Write <code>console</code> to Countersign in chat, or <code>/countersign console</code> in Slack. You then get a link of your own, which signs you in once.</p>`;
  return plainDocument(assetsPath, 'Please sign in', words);
}

/** What changes anything comes from a page of this very session; nothing else is taken. */
function isOurForm(deps: ConsoleDeps, call: Call, request: Request, response: Response, assetsPath: string): boolean {
  const token = sessionToken(request, deps.publicUrl()) ?? '';
  if (isSameOrigin(request, deps.publicUrl()) && isCsrfToken(call.fields.csrf, token)) return true;
  const words = html`<p>This was sent from another page, so it was not taken. Nothing was changed.</p>${BACK}`;
  send(response, 403, plainDocument(assetsPath, 'Not taken', words));
  return false;
}

/** What is no text, or holds what no text in the database does, was not sent by a page of ours. */
function texts(values: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values ?? {}).flatMap(([name, value]) =>
      typeof value === 'string' && !value.includes('\0') ? [[name, value]] : [],
    ),
  );
}

function send(response: Response, status: number, page: string): void {
  response.status(status).type('text/html').send(page);
}

function logFailure({ log }: Pick<ConsoleDeps, 'log'>, error: unknown): void {
  log.error(
    { code: 'console', cause: error instanceof Error ? (error.stack ?? error.message) : 'unknown' },
    'a page of the console failed',
  );
}

function failed({ log }: ConsoleDeps, assetsPath: string): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    const given = Number((error as { status?: unknown } | null)?.status ?? 500);
    const status =
      given >= 400 && given < 500 ? given : error instanceof CountersignError && error.isRetryable ? 503 : 500;
    if (status >= 500) logFailure({ log }, error);
    if (response.headersSent) return next(error);
    const words =
      status >= 500
        ? html`<p>Something went wrong on our side. What you see in chat is true; please try again in a moment.</p>${BACK}`
        : html`<p>This request could not be read. Nothing was changed.</p>${BACK}`;
    send(response, status, plainDocument(assetsPath, 'That did not work', words));
  };
}
