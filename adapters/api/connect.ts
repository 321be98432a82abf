import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import express, { type Request, type Response, Router } from 'express';
import { type TakenTrail, TRAIL_FORMATS, type TrailFormat } from '../../core/audit/export.ts';
import type { Guesses } from '../../core/guesses.ts';
import { LOOK } from '../../core/look.ts';
import type { ConnectPages, ConnectView } from '../../core/ports/connect.ts';
import {
  answeredPage,
  codePage,
  gonePage,
  grantedPage,
  grantPage,
  keyPage,
  revealedPage,
  revealPage,
  signInPage,
  thanksPage,
  trailPage,
} from './connect-page.ts';
import { sourceOf } from './source.ts';

const FORM_LIMIT_BYTES = 16_384;

/**
 * The one-time pages. A GET shows what for, where and for whom, and spends nothing, so that link previews do no harm; a
 * POST from the page itself spends the link. Nothing of it is logged or cached.
 */
export function connectRoutes(deps: { pages: ConnectPages; guesses?: Guesses; publicUrl(): string }): Router {
  const { pages, guesses } = deps;
  const gone = async (request: Request, response: Response) => {
    await guesses?.count(sourceOf(request));
    html(response, 410, gonePage());
  };
  const css = `${LOOK}\n${readFileSync(new URL('./assets/connect.css', import.meta.url), 'utf8')}`;
  const script = readFileSync(new URL('./assets/connect.js', import.meta.url), 'utf8');
  const router = Router();
  router.get('/connect.css', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').type('text/css').send(css);
  });
  router.get('/connect.js', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').type('text/javascript').send(script);
  });
  router.use('/connect', (_request, response, next) => {
    response.set({
      'Content-Security-Policy':
        "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      // Not `no-referrer`: under that a browser sends `Origin: null` even to the page's own server.
      'Referrer-Policy': 'same-origin',
      'X-Frame-Options': 'DENY',
      'X-Robots-Tag': 'noindex',
    });
    next();
  });
  router.use('/connect', async (request, response, next) => {
    const seconds = (await guesses?.wait(sourceOf(request))) ?? 0;
    if (seconds === 0) return next();
    response.set('Retry-After', String(seconds));
    html(response, 429, gonePage(tooManyWords(seconds)));
  });
  router.get('/connect/:token', async (request, response) => {
    const view = await pages.look(request.params.token);
    if (!view) return gone(request, response);
    html(response, 200, pageOf(view, request));
  });
  router.post(
    '/connect/:token',
    express.urlencoded({ extended: false, limit: FORM_LIMIT_BYTES, parameterLimit: 20 }),
    async (request, response) => {
      if (!isSameOrigin(request, new URL(deps.publicUrl()).origin))
        return html(
          response,
          403,
          gonePage('This form was sent from another page, so it was not taken. Open your link again.'),
        );
      const { token } = request.params;
      if (typeof token !== 'string') return gone(request, response);
      const fields = textFields(request.body);
      const outcome = await pages.submit(token, fields);
      switch (outcome.kind) {
        case 'entered':
          return html(response, 200, thanksPage(outcome.what));
        case 'answered':
          return html(response, 200, answeredPage());
        case 'gone':
          return gone(request, response);
        case 'trail':
          return download(response, outcome.operationId, outcome.take, formatOf(request));
        case 'revealed':
          return html(response, 200, revealedPage(outcome.fields));
        case 'invalid': {
          const view = await pages.look(token);
          if (view?.kind === 'sign_in') return html(response, 422, signInPage(view, outcome.errors, fields));
          if (view?.kind === 'key') return html(response, 422, keyPage(view, outcome.errors, fields));
          if (view?.kind === 'code') return html(response, 422, codePage(view, outcome.errors.code));
          return html(response, 410, gonePage());
        }
        default:
          return outcome satisfies never;
      }
    },
  );
  router.use('/granted', async (request, response, next) => {
    const seconds = (await guesses?.wait(sourceOf(request))) ?? 0;
    if (seconds === 0) return next();
    response.set('Retry-After', String(seconds)).status(429).type('text/plain').send('Too many.\n');
  });
  // Where the vendor sends the person's browser back to: it says how it went, and decides nothing.
  router.get('/granted', (request, response) => html(response, 200, grantedPage(request.query.success === '1')));
  // The vendor's server: no browser, no origin, and nothing but the token says whose key it is.
  router.post('/granted/:token', express.json({ limit: FORM_LIMIT_BYTES }), async (request, response) => {
    const { token } = request.params;
    const isTaken = typeof token === 'string' && (await pages.granted(token, request.body));
    if (!isTaken) await guesses?.count(sourceOf(request));
    response
      .status(isTaken ? 200 : 410)
      .type('text/plain')
      .send(isTaken ? 'taken\n' : 'not taken\n');
  });
  return router;
}

function tooManyWords(seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  return `Too many links that lead nowhere were opened from where you are. Nothing was done. Open yours again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`;
}

function pageOf(view: ConnectView, request: Request): string {
  switch (view.kind) {
    case 'trail':
      return trailPage(view, formatOf(request));
    case 'reveal':
      return revealPage(view);
    case 'sign_in':
      return signInPage(view, {}, {});
    case 'key':
      return keyPage(view, {}, {});
    case 'grant':
      return grantPage(view);
    case 'code':
      return codePage(view);
    default:
      return view satisfies never;
  }
}

/** Browsers send Origin with every POST; a page elsewhere can't forge it. */
function isSameOrigin(request: Request, origin: string): boolean {
  const site = request.get('sec-fetch-site');
  return request.get('origin') === origin && (site === undefined || site === 'same-origin');
}

function formatOf(request: Request): TrailFormat {
  return request.query.format === 'csv' ? 'csv' : request.query.format === 'jsonl' ? 'jsonl' : 'json';
}

function textFields(body: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(body ?? {}).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function html(response: Response, status: number, page: string): void {
  response.status(status).type('text/html').send(page);
}

async function download(response: Response, operationId: string, take: TakenTrail, format: TrailFormat): Promise<void> {
  const text = await take(format);
  response
    .set('Content-Disposition', `attachment; filename="countersign-${operationId}.${format}"`)
    .type(TRAIL_FORMATS[format]);
  await pipeline(Readable.from(text), response);
}
