import type { HttpAuth, HttpRequest, HttpResponse } from '../../ports/http.ts';
import type { Secret } from '../../secret.ts';
import { type ApiError, apiError, type Failed, fails, hostOf, locationOf, outage, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';
import { type Scope, scopeOf } from './permissions.ts';

const TIMEOUT_MS = 20_000;
const MANY = 10_000;
const PRODUCTS = 'products?per_page=1';
/**
 * No route of anybody's, so nothing can come of a POST to it. WooCommerce judges what a key may do by the method alone, before
 * WordPress looks for the route (`rest_pre_dispatch`): a key that may write is told that there is no such route, another one
 * that it may not write. Source: `WC_REST_Authentication::check_user_permissions`, `WP_REST_Server::dispatch`.
 */
const NOWHERE = 'countersign-nowhere';

/**
 * Proves a key by reading one product and by writing to nowhere: it works, and may do exactly what was approved. Basic over
 * https, OAuth 1.0a (HMAC-SHA256) over http, since WooCommerce takes a key and its secret in clear over TLS alone. Codes:
 * WooCommerce REST API, `WC_REST_Authentication`.
 */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const { consumer_key: key, consumer_secret: secret } = input.credential;
  if (key === undefined || secret === undefined) return fails('Consumer key or consumer secret is missing.');
  try {
    const scope = scopeOf(input.permissions);
    const read = await ask(input, key, secret, 'GET', PRODUCTS);
    const problem = scope === 'write' ? readingWhereForbidden(input, read) : readingProblem(input, read);
    if (problem) return problem;
    return proveWriting(input, scope, read, await ask(input, key, secret, 'POST', NOWHERE));
  } catch (error) {
    return outage(input, 'key', error);
  }
}

function ask(
  input: VerifyInput,
  key: Secret,
  secret: Secret,
  method: HttpRequest['method'],
  route: string,
): Promise<HttpResponse> {
  return input.http.request({
    method,
    url: `${input.base}/wp-json/wc/v3/${route}`,
    origins: [input.origin],
    auth: authOf(input, key, secret),
    timeoutMs: TIMEOUT_MS,
  });
}

function authOf({ origin }: VerifyInput, key: Secret, secret: Secret): HttpAuth {
  return origin.startsWith('https:')
    ? { kind: 'basic', username: key, password: secret }
    : { kind: 'oauth1', consumerKey: key, consumerSecret: secret };
}

function readingProblem(input: VerifyInput, answer: HttpResponse): Failed | undefined {
  if (answer.status !== 200) return refused(input, answer);
  if (isList(answer.body)) return undefined;
  return fails(
    `${hostOf(input)} answered 200, but with something else than products; a cache or a closed shop may stand before the REST API.`,
  );
}

/** A key without the right to read is refused as a wrong secret is; which of the two it was, its writing tells. */
function readingWhereForbidden(input: VerifyInput, answer: HttpResponse): Failed | undefined {
  if (answer.status === 200) return fails(`The key may also read, which is more than was approved. ${AGAIN}`);
  return isNotTaken(answer) ? undefined : refused(input, answer);
}

/** Whether the key may write, and whether it should. */
function proveWriting(input: VerifyInput, scope: Scope, read: HttpResponse, answer: HttpResponse): VerifyResult {
  const host = hostOf(input);
  const reads = `${host} answered 200${countWords(read)}`;
  const works = (checked: string): VerifyResult => ({ kind: 'works', checked, method: methodOf(input) });
  if (answer.status === 404 && apiError(answer)?.code === 'rest_no_route') {
    if (scope === 'read')
      return fails(`The key may also change what is in the shop, which is more than was approved. ${AGAIN}`);
    return works(
      scope === 'write'
        ? `${host} knows the key: it may change, and not read`
        : `${reads}; the key may read and change`,
    );
  }
  if (isNotTaken(answer)) {
    if (scope === 'read') return works(`${reads}; the key may read, and change nothing`);
    if (scope === 'write') return refused(input, answer); // neither: the secret is wrong
    return fails(`The key may only read, and changing was approved, too. ${AGAIN}`);
  }
  const { status } = answer;
  if (status === 429 || status >= 500) return refused(input, answer);
  // What its owner entered is taken on no word but the shop's. Else our own form or the vendor has said what the key may do.
  const untold = `what it may change could not be told (${status})`;
  if (scope === 'write' || input.permissions.includes('enter_key'))
    return fails(
      `${host} knows the key, but ${untold}; a firewall or a security plugin may stand before its REST API.`,
    );
  return works(`${reads}; ${untold}`);
}

const AGAIN = 'Revoke it, and make one with the permission that was approved.';

function isNotTaken(answer: HttpResponse): boolean {
  return answer.status === 401 && apiError(answer)?.code === 'woocommerce_rest_authentication_error';
}

/** The header is the site's text: a count that people can use, and no long number, which could be a password in digits. */
function countWords({ headers }: HttpResponse): string {
  const total = headers['x-wp-total'] ?? '';
  if (!/^\d{1,9}$/.test(total)) return '';
  if (Number(total) >= MANY) return `, ${MANY} products or more`;
  return `, ${Number(total)} ${Number(total) === 1 ? 'product' : 'products'}`;
}

function refused(input: VerifyInput, answer: HttpResponse): Failed {
  const host = hostOf(input);
  const error = apiError(answer);
  const { status } = answer;
  if (status === 401) return { ...fails(unauthorised(input, error)), refusedWith: '401' };
  if (status === 403)
    return fails(
      error?.code.startsWith('woocommerce_rest_')
        ? `${host} knows the key, but its owner may not read products (403).`
        : `${host} refuses the request (403); a firewall or a security plugin may stand before its REST API.`,
    );
  if (status === 404)
    return fails(
      error === undefined
        ? `${host} has no REST API at /wp-json (404). In WordPress under Settings › Permalinks, choose anything but “Plain”.`
        : `${host} answers, but without WooCommerce's REST API (404). Is WooCommerce active?`,
    );
  if (status >= 300 && status < 400)
    return fails(`${host} sends the request to ${locationOf(input, answer)}. Ask again with the address it leads to.`);
  if (status === 429 || status >= 500)
    return fails(`${host} answered ${status}, so the key could not be checked now.`, true);
  return fails(`${host} answered ${status}, so the key could not be checked.`);
}

/** Why a 401 need not mean a bad key. */
function unauthorised(input: VerifyInput, error: ApiError | undefined): string {
  const host = hostOf(input);
  const isOverTls = input.origin.startsWith('https:');
  if (error?.code === 'woocommerce_rest_authentication_error')
    return isOverTls
      ? `${host} does not accept the key and its secret (401).`
      : `${host} does not accept the signed request (401): the key was revoked there or is not whole, or the clocks differ by more than 15 minutes, or the shop knows itself by another address.`;
  return isOverTls
    ? `${host} answered as if no key had been sent (401): it was revoked there, or a server before the shop keeps the key from WordPress or does not tell it that the connection is encrypted.`
    : `${host} answered as if no key had been sent (401). The key may be good: over http the shop must read a signature, which a server before it may keep away. Try the address with https.`;
}

function isList(body: string): boolean {
  return Array.isArray(parsed(body));
}

function methodOf({ origin }: VerifyInput): string {
  return origin.startsWith('https:')
    ? 'GET products and POST to nowhere, Basic over https'
    : 'GET products and POST to nowhere, OAuth 1.0a over http';
}
