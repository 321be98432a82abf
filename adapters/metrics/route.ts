import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Router } from 'express';
import type { Secret } from '../../core/secret.ts';

export interface MetricsRouteDeps {
  /** `METRICS_TOKEN`; absent: programs on this computer alone are answered. */
  readonly token?: Secret;
  readonly contentType: string;
  scrape(): Promise<string>;
}

/** `GET /metrics`, in Prometheus' text format, for this computer or whoever has the token: to others it is not there. */
export function metricsRoute({ token, contentType, scrape }: MetricsRouteDeps): Router {
  const router = Router({ caseSensitive: true });
  router.get('/metrics', async (request, response, next) => {
    const isAllowed = isFromHere(request) || (token !== undefined && hasToken(request, token));
    if (isAllowed)
      return void response
        .status(200)
        .set('Content-Type', contentType)
        .send(await scrape());
    if (token === undefined) return next();
    response.status(401).set('WWW-Authenticate', 'Bearer realm="countersign metrics"').type('text/plain');
    response.send('This needs Authorization: Bearer and the METRICS_TOKEN.\n');
  });
  return router;
}

/** What a proxy adds: its requests come from this computer, too, and are somebody else's. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** Under another name a page of somebody else's may ask, in a browser of this computer (DNS rebinding), or a proxy that adds nothing. */
const OWN_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const isLoopback = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/.test(socket.remoteAddress ?? '');
  return isLoopback && OWN_NAME.test(headers.host ?? '') && FORWARDED.every((name) => headers[name] === undefined);
}

/** Compared by hashes of one length, so that the time says nothing. */
function hasToken({ headers }: IncomingMessage, token: Secret): boolean {
  const given = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const hash = (text: string) => createHash('sha256').update(text, 'utf8').digest();
  return given !== undefined && timingSafeEqual(hash(given), hash(token.reveal()));
}
