import type { HttpAuth, HttpResponse } from '../../ports/http.ts';
import { Secret } from '../../secret.ts';
import { type ApiError, apiError, fails, hostOf, locationOf, outage, parsed } from '../answers.ts';
import type { VerifyInput, VerifyResult } from '../service.ts';
import { scopeOf } from './permissions.ts';

const TIMEOUT_MS = 20_000;
const MANY = 10_000;

/**
 * Proves a key by reading one product: Basic over https, OAuth 1.0a (HMAC-SHA256) over http, since WooCommerce takes a key
 * and its secret in clear over TLS alone. A key that may only write is proven by *how* its reading is refused. What a key may
 * write is never tried out. Codes: WooCommerce REST API, `WC_REST_Authentication`.
 */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const { consumer_key: key, consumer_secret: secret } = input.credential;
  if (key === undefined || secret === undefined) return fails('Consumer key or consumer secret is missing.');
  try {
    const answer = await ask(input, key, secret);
    return scopeOf(input.permissions) === 'write'
      ? await proveWriteOnly(input, key, answer)
      : proveReading(input, answer);
  } catch (error) {
    return outage(input, 'key', error);
  }
}

function ask(input: VerifyInput, key: Secret, secret: Secret): Promise<HttpResponse> {
  return input.http.request({
    method: 'GET',
    url: `${input.base}/wp-json/wc/v3/products?per_page=1`,
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

function proveReading(input: VerifyInput, answer: HttpResponse): VerifyResult {
  if (answer.status !== 200) return refused(input, answer);
  if (!isList(answer.body))
    return fails(
      `${hostOf(input)} answered 200, but with something else than products; a cache or a closed shop may stand before the REST API.`,
    );
  return { kind: 'works', checked: `${hostOf(input)} answered 200${countWords(answer)}`, method: methodOf(input) };
}

/** The header is the site's text: a count that people can use, and no long number, which could be a password in digits. */
function countWords({ headers }: HttpResponse): string {
  const total = headers['x-wp-total'] ?? '';
  if (!/^\d{1,9}$/.test(total)) return '';
  if (Number(total) >= MANY) return `, ${MANY} products or more`;
  return `, ${Number(total)} ${Number(total) === 1 ? 'product' : 'products'}`;
}

/**
 * A key without the right to read is refused when it reads, with the same code as a wrong secret: the two differ in their
 * message alone, which the shop may have translated. So when the message isn't the English one, it is compared with the
 * answer to a secret that is wrong for sure.
 */
async function proveWriteOnly(input: VerifyInput, key: Secret, answer: HttpResponse): Promise<VerifyResult> {
  if (answer.status === 200)
    return fails('The key may also read, which is more than was approved. Revoke it and make a new one.');
  const error = apiError(answer);
  if (answer.status !== 401 || error?.code !== 'woocommerce_rest_authentication_error') return refused(input, answer);
  const isKnown = error.message === 'The API key provided does not have read permissions.';
  if (isKnown || (await differsFromWrongSecret(input, key, error))) {
    const checked = `${hostOf(input)} knows the key and refuses to let it read, as it should; changing was not tried`;
    return { kind: 'works', checked, method: methodOf(input) };
  }
  return refused(input, answer);
}

async function differsFromWrongSecret(input: VerifyInput, key: Secret, error: ApiError): Promise<boolean> {
  const wrong = apiError(await ask(input, key, new Secret(`cs_${'0'.repeat(40)}`)));
  return wrong?.code === error.code && wrong.message !== error.message;
}

function refused(input: VerifyInput, answer: HttpResponse): VerifyResult {
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
      : `${host} does not accept the signed request (401). The key may be good: the clocks may differ by more than 15 minutes, or the shop may know itself by another address.`;
  return isOverTls
    ? `${host} answered as if no key had been sent (401). The key may be good: a server before the shop may keep the key from WordPress, or not tell it that the connection is encrypted.`
    : `${host} answered as if no key had been sent (401). The key may be good: over http the shop must read a signature, which a server before it may keep away. Try the address with https.`;
}

function isList(body: string): boolean {
  return Array.isArray(parsed(body));
}

function methodOf({ origin }: VerifyInput): string {
  return origin.startsWith('https:') ? 'GET products, Basic over https' : 'GET products, OAuth 1.0a over http';
}
