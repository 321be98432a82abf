import { createHmac, randomBytes } from 'node:crypto';
import OAuth from 'oauth-1.0a';
import { CountersignError } from '../../core/errors.ts';
import { type HttpAuth, type HttpRequest, isUnencrypted } from '../../core/ports/http.ts';

/**
 * The value of the Authorization header: the only place where credentials go, never the URL.
 * @throws CountersignError `egress_refused` for Basic or Bearer without TLS, which would show the secret to everyone on the way;
 * to this computer itself nobody is on the way.
 */
export function authorization(auth: HttpAuth, request: HttpRequest): string {
  switch (auth.kind) {
    case 'basic':
      return basic(auth, request.url);
    case 'bearer':
      return bearer(auth, request.url);
    case 'oauth1':
      return oauth1(auth, request);
    default:
      return auth satisfies never;
  }
}

/** RFC 7617, UTF-8. */
function basic({ username, password }: HttpAuth & { kind: 'basic' }, url: string): string {
  if (isUnencrypted(new URL(url).origin)) {
    throw new CountersignError(
      'egress_refused',
      'A name and password are sent over https only; this address is plain http, so nothing was sent.',
    );
  }
  return `Basic ${Buffer.from(`${username.reveal()}:${password.reveal()}`, 'utf8').toString('base64')}`;
}

/** RFC 6750. */
function bearer({ token }: HttpAuth & { kind: 'bearer' }, url: string): string {
  if (isUnencrypted(new URL(url).origin)) {
    throw new CountersignError(
      'egress_refused',
      'A token is sent over https only; this address is plain http, so nothing was sent.',
    );
  }
  return `Bearer ${token.reveal()}`;
}

/** RFC 5849 one-legged: no token. The signature covers method, URL, query and a form body. */
function oauth1({ consumerKey, consumerSecret }: HttpAuth & { kind: 'oauth1' }, request: HttpRequest): string {
  const oauth = new OAuth({
    consumer: { key: consumerKey.reveal(), secret: consumerSecret.reveal() },
    signature_method: 'HMAC-SHA256',
    hash_function: (text, key) => createHmac('sha256', key).update(text).digest('base64'),
  });
  oauth.getNonce = () => randomBytes(16).toString('hex'); // the package's own draws from Math.random
  const signed = oauth.authorize({ method: request.method, url: request.url, data: formFields(request) });
  return oauth.toHeader(signed).Authorization;
}

/** RFC 5849 section 3.4.1.3.1: body parameters count only in a form. */
function formFields({ headers = {}, body }: HttpRequest): Record<string, string[]> {
  const type = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  if (body === undefined || !/^application\/x-www-form-urlencoded\b/i.test(type)) return {};
  const fields = new URLSearchParams(body);
  return Object.fromEntries([...new Set(fields.keys())].map((name) => [name, fields.getAll(name)]));
}
