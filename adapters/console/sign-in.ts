import { type Request, type Response, Router } from 'express';
import type { SignIn } from '../../core/console/sessions.ts';
import { html } from '../../core/markup.ts';
import { plainDocument } from './layout.ts';
import type { ConsoleDeps } from './routes.ts';
import { isSameOrigin, sessionToken, setSession } from './session.ts';
import { counted, time } from './words.ts';

/** The one-time link: a GET says whom it is for and spends nothing, so that previews do no harm; a POST of that very page spends it. */
export function signInRoutes(deps: ConsoleDeps, assetsPath: string): Router {
  const router = Router({ caseSensitive: true });
  const page = (response: Response, status: number, title: string, body: ReturnType<typeof html>) =>
    void response
      .status(status)
      .type('text/html')
      .send(plainDocument(assetsPath, title, body));
  const gone = async (request: Request, response: Response) => {
    const { token } = request.params;
    if (typeof token === 'string' && (await deps.sessions.wasSpent(token))) {
      const words = html`<p>A link signs in once, and this one has. Whoever is signed in in this browser goes on here:</p><p><a class="button" href="/console/operations">To the console</a></p><p>For a new link write <code>console</code> to Countersign in chat, or <code>/countersign console</code> in Slack.</p>`;
      return page(response, 410, 'This link was used', words);
    }
    await deps.guesses?.count(deps.sourceOf(request));
    const words = html`<p>It has expired, or never existed. Write <code>console</code> in chat for another one.</p>`;
    page(response, 410, 'This link does not work', words);
  };
  router.use('/sign-in', async (request, response, next) => {
    const seconds = (await deps.guesses?.wait(deps.sourceOf(request))) ?? 0;
    if (seconds === 0) return next();
    response.set('Retry-After', String(seconds));
    page(
      response,
      429,
      'Not now',
      html`<p>Too many links that lead nowhere were opened from where you are. Nothing was done. Open yours again in ${counted(Math.ceil(seconds / 60), 'minute')}.</p>`,
    );
  });
  router.get('/sign-in/:token', async (request, response) => {
    const found = await deps.sessions.look(request.params.token);
    if (!found) return gone(request, response);
    page(response, 200, 'Open the console', await question(deps, request, found));
  });
  router.post('/sign-in/:token', async (request, response) => {
    const publicUrl = deps.publicUrl();
    if (!isSameOrigin(request, publicUrl))
      return page(
        response,
        403,
        'Not taken',
        html`<p>This was sent from another page, so it was not taken. Open your link again.</p>`,
      );
    const { token } = request.params;
    const opened = typeof token === 'string' ? await deps.sessions.open(token) : undefined;
    if (!opened) return gone(request, response);
    const before = await current(deps, request);
    if (before) await deps.sessions.leave(before);
    setSession(response, publicUrl, opened.token);
    response.redirect(303, '/console/operations');
  });
  return router;
}

async function question(deps: ConsoleDeps, request: Request, { member, expiresAt }: SignIn) {
  const before = await current(deps, request);
  const other = before !== undefined && before.member.id !== member.id ? before.member.person.name : undefined;
  return html`<dl class="facts"><div><dt>For</dt><dd><b>${member.person.name}</b>, and nobody else</dd></div><div><dt>Good</dt><dd>once, until ${time(expiresAt, 'time')}</dd></div></dl>
${other !== undefined && html`<p class="warning">${other} is signed in here. That ends when you go on.</p>`}
<form method="post"><button class="button primary" autofocus>Sign in as ${member.person.name}</button></form>
<p class="quiet">You stay signed in for eight hours, or until an hour passes without a look. That you came in goes on record.</p>`;
}

function current(deps: ConsoleDeps, request: Request) {
  const token = sessionToken(request, deps.publicUrl());
  return token === undefined ? undefined : deps.sessions.find(token, false);
}
