import express, { type ErrorRequestHandler, type Express, type Request, type Response, type Router } from 'express';
import { z } from 'zod';
import { html } from '../../core/markup.ts';
import type { Person } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { WebChatConfig } from './config.ts';
import { Refusal, refusalOf } from './errors.ts';
import { createFormRoutes } from './form-routes.ts';
import { checkHostAndOrigin, checkSameOrigin, securityHeaders } from './guard.ts';
import { createMessageRoutes } from './message-routes.ts';
import type { Pages } from './page.ts';
import type { Reception } from './reception.ts';
import { isFromScript, personNamed, read, readerOf, rememberReader } from './request.ts';
import type { Store } from './store.ts';
import { NEW_THREAD } from './thread.ts';
import type { Views } from './views.ts';

const personChosen = z.object({ person: z.string(), thread: z.string() });

export interface ReceiverDeps {
  readonly config: WebChatConfig;
  readonly people: readonly Person[];
  readonly store: Store;
  readonly views: Views;
  readonly pages: Pages;
  readonly reception: Reception;
  readonly assets: Router;
  readonly extraRoutes: Router | undefined;
  readonly port: () => number;
  readonly markSeen: (threadId: string, userId: string) => void;
  readonly log: Log;
}

/** The page's own server: what a browser asks for, and what it sends turned into events of the port. */
export function createReceiver(deps: ReceiverDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(securityHeaders(deps.port, deps.config.pictureOrigins), checkHostAndOrigin(deps.port), checkSameOrigin);
  app.use(deps.assets);
  if (deps.extraRoutes) app.use(deps.extraRoutes);
  app.use(express.json({ limit: '64kb' }), express.urlencoded({ extended: false, limit: '64kb' }));
  app.use(createPageRoutes(deps), createMessageRoutes(deps), createFormRoutes(deps));
  app.use(() => {
    throw new Refusal(404, 'There is no such page.');
  });
  app.use(sayWhatWentWrong(deps));
  return app;
}

function createPageRoutes({ people, views, pages, markSeen }: ReceiverDeps): Router {
  const routes = express.Router();

  function show(response: Response, me: Person, threadId: string, isWaiting: boolean): void {
    markSeen(threadId, me.userId);
    response.send(pages.thread({ me, threadId, isWaiting }));
  }

  routes.get('/', (request, response) => {
    const me = readerOf(request, people);
    const newest = views.threads(me.userId)[0]?.id;
    show(response, me, newest ?? NEW_THREAD, newest === undefined);
  });

  routes.get('/t/:thread', (request, response) => {
    const me = readerOf(request, people);
    const { thread } = request.params;
    const isKnown = thread === NEW_THREAD || views.hasThread(thread, me.userId);
    if (!isKnown) throw new Refusal(404, 'There is no such thread.');
    show(response, me, thread, false);
  });

  routes.post('/person', (request, response) => {
    const { person, thread } = read(personChosen, request.body);
    const me = personNamed(person, people);
    rememberReader(response, me);
    const stays = thread === NEW_THREAD || (thread !== '' && views.hasThread(thread, me.userId));
    response.redirect(303, stays ? `/t/${thread}` : '/');
  });

  return routes;
}

function sayWhatWentWrong({ pages, log }: ReceiverDeps): ErrorRequestHandler {
  // Express knows a function for errors by its four parameters.
  return (error: unknown, request: Request, response: Response, next) => {
    const refusal = refusalOf(error);
    if (refusal.status >= 500) log.error({ err: error, path: request.path }, 'web chat: a request failed');
    if (response.headersSent) {
      next(error);
      return;
    }
    response.status(refusal.status);
    const back = html`<p class="text">${refusal.message}</p><p class="actions"><a class="button plain" href="/">Back to the thread</a></p>`;
    if (isFromScript(request)) response.json({ message: refusal.message });
    else response.send(pages.alone('That did not work', back));
  };
}
