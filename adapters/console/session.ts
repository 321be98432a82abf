import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import { SESSION_HOURS } from '../../core/console/sessions.ts';

/**
 * The session's cookie: for this host alone, of no script, and sent with no request that another site begins. `__Host-`
 * (RFC 6265bis) wants https, which an installation on this computer does without.
 */
function cookieName(publicUrl: string): string {
  return isSecure(publicUrl) ? '__Host-countersign' : 'countersign';
}

function isSecure(publicUrl: string): boolean {
  return publicUrl.startsWith('https:');
}

export function setSession(response: Response, publicUrl: string, token: string): void {
  response.cookie(cookieName(publicUrl), token, { ...attributes(publicUrl), maxAge: SESSION_HOURS * 3_600_000 });
}

export function clearSession(response: Response, publicUrl: string): void {
  response.clearCookie(cookieName(publicUrl), attributes(publicUrl));
}

function attributes(publicUrl: string) {
  return { httpOnly: true, sameSite: 'strict', secure: isSecure(publicUrl), path: '/' } as const;
}

/** The token that the request brings; of several cookies of that name none, for one of them was planted. */
export function sessionToken({ headers }: Pick<IncomingMessage, 'headers'>, publicUrl: string): string | undefined {
  const prefix = `${cookieName(publicUrl)}=`;
  const [first, second] = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(prefix));
  return second === undefined ? first?.slice(prefix.length) : undefined;
}

/** What a form of this session holds: nobody makes it without the cookie, which no script reads. */
export function csrfToken(token: string): string {
  return createHash('sha256').update(`countersign/console/csrf/v1\0${token}`).digest('base64url');
}

export function isCsrfToken(given: string | undefined, token: string): boolean {
  const [one, other] = [Buffer.from(given ?? ''), Buffer.from(csrfToken(token))];
  return one.length === other.length && timingSafeEqual(one, other);
}

/** Browsers say with every POST which page it comes from; no page can say it is another one. */
export function isSameOrigin(request: Request, publicUrl: string): boolean {
  const site = request.get('sec-fetch-site');
  return request.get('origin') === new URL(publicUrl).origin && (site === undefined || site === 'same-origin');
}
