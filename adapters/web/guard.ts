import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { Refusal } from './errors.ts';

/** The three names under which this computer, and nobody else, reaches the listener. */
function ownHosts(port: number): ReadonlySet<string> {
  return new Set([`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]);
}

export function ownOrigins(port: number): ReadonlySet<string> {
  return new Set([...ownHosts(port)].map((host) => `http://${host}`));
}

/**
 * Why a request, or an upgrade to a WebSocket, is not answered; `undefined` when it is.
 * A foreign Host is a name that an attacker pointed here (DNS rebinding); a foreign Origin is another site's page.
 */
export function refusalFor(request: IncomingMessage, port: number): Refusal | undefined {
  const { host, origin } = request.headers;
  if (host === undefined || !ownHosts(port).has(host)) {
    return new Refusal(403, `Refused: this page is served at http://localhost:${port} only.`);
  }
  if (origin !== undefined && !ownOrigins(port).has(origin)) {
    return new Refusal(403, 'Refused: the request came from a page of another site.');
  }
  return undefined;
}

export function checkHostAndOrigin(port: () => number): RequestHandler {
  return (request, _response, next) => next(refusalFor(request, port()));
}

/** What changes anything must come from our own page: browsers say so in Sec-Fetch-Site, or in Origin. */
export const checkSameOrigin: RequestHandler = (request, _response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') return next();
  const site = request.get('sec-fetch-site');
  const isOurs = site === undefined ? request.get('origin') !== undefined : site === 'same-origin';
  next(isOurs ? undefined : new Refusal(403, 'Refused: only a page of this chat may send this.'));
};

/** No inline script or style, no framing, nothing kept. `ws:` is named for browsers whose 'self' leaves it out; a policy
 * can't name an IPv6 address. */
export function securityHeaders(port: () => number, pictureOrigins: readonly string[]): RequestHandler {
  const pictures = pictureOrigins.map((url) => new URL(url).origin).join(' ');
  return (_request, response, next) => {
    const sockets = `ws://localhost:${port()} ws://127.0.0.1:${port()}`;
    response.set({
      'Content-Security-Policy': [
        "default-src 'self'",
        `img-src 'self' ${pictures}`.trim(),
        `connect-src 'self' ${sockets}`,
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
      ].join('; '),
      'Cache-Control': 'no-store',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'same-origin', // with no-referrer browsers would send `Origin: null` with our own forms
      'X-Content-Type-Options': 'nosniff',
    });
    next();
  };
}
