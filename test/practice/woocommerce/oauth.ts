import { timingSafeEqual } from 'node:crypto';
import { type KeyStore, type PracticeKey, type SignatureMethod, TIMESTAMP_WINDOW_SECONDS } from './keys.ts';

/** What a signature covers. `url` has no query; `parameters` are those of the query and of a form. */
export interface SignedRequest {
  readonly method: string;
  readonly url: string;
  readonly parameters: readonly Parameter[];
  readonly authorization: string;
}

export type Parameter = readonly [name: string, value: string];

/** Who a REST request comes from. `refused` is final: WooCommerce doesn't fall back to "nobody" then. */
export type Caller =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'key'; readonly key: PracticeKey }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

const REQUIRED = ['oauth_consumer_key', 'oauth_timestamp', 'oauth_nonce', 'oauth_signature', 'oauth_signature_method'];

/**
 * OAuth 1.0a without a token (RFC 5849), parameters in the Authorization header, the query or a form. The order of the
 * checks and their words are WooCommerce's: key, signature, time, nonce. One difference: this shop remembers every
 * nonce, where WooCommerce keeps one for each second.
 */
export function checkOAuth(request: SignedRequest, keys: KeyStore, nowSeconds: number): Caller {
  const header = headerParameters(request.authorization);
  const all = [...request.parameters.filter(([name]) => !header.has(name)), ...header];
  const given = new Map(all);
  const missing = REQUIRED.filter((name) => !given.get(name));
  if (missing.length === REQUIRED.length) return { kind: 'nobody' };
  if (missing.length > 0) return missingParameters(missing);
  const key = keys.byConsumerKey(given.get('oauth_consumer_key') ?? '');
  if (!key) return refused('Consumer key is invalid.');
  const method = given.get('oauth_signature_method') ?? '';
  if (!isMethod(method)) return refused('Invalid signature - signature method is invalid.');
  const expected = keys.sign(key.id, method, baseString(request, all));
  if (!sameText(expected, signatureOf(given))) {
    return refused('Invalid signature - provided signature does not match.');
  }
  const timestamp = Number(given.get('oauth_timestamp'));
  const isTimely = Math.abs(nowSeconds - timestamp) <= TIMESTAMP_WINDOW_SECONDS;
  if (!isTimely) return refused('Invalid timestamp.');
  const isFresh = keys.spendNonce(key.id, given.get('oauth_nonce') ?? '', timestamp);
  return isFresh ? { kind: 'key', key } : refused('Invalid nonce - nonce has already been used.');
}

export function refused(message: string, code = 'woocommerce_rest_authentication_error'): Caller {
  return { kind: 'refused', code, message };
}

function missingParameters(names: readonly string[]): Caller {
  const noun = names.length === 1 ? 'parameter' : 'parameters';
  return refused(`Missing OAuth ${noun} ${names.join(', ')}`, 'woocommerce_rest_authentication_missing_parameter');
}

/** RFC 5849, 3.4.1: method, address and sorted parameters, each percent-encoded, joined by ampersands. */
function baseString(request: SignedRequest, all: readonly Parameter[]): string {
  const pairs = all
    .filter(([name]) => name !== 'oauth_signature' && name !== 'realm')
    .map(([name, value]): Parameter => [percentEncode(name), percentEncode(value)])
    .toSorted(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`);
  return [request.method.toUpperCase(), request.url, pairs.join('&')].map(percentEncode).join('&');
}

/** RFC 5849, 3.5.1: `OAuth name="value", …`, values percent-encoded. */
function headerParameters(authorization: string): ReadonlyMap<string, string> {
  const text = authorization.trim();
  if (!text.startsWith('OAuth ')) return new Map();
  const found = text.matchAll(/(oauth_[a-z_-]*)="([^"]*)"/g);
  return new Map([...found].map(([, name = '', value = '']) => [name, percentDecode(value)]));
}

/** A plus that was sent bare in a query arrives as a space. */
function signatureOf(given: ReadonlyMap<string, string>): string {
  return percentDecode((given.get('oauth_signature') ?? '').replaceAll(' ', '+'));
}

function isMethod(text: string): text is SignatureMethod {
  return text === 'HMAC-SHA1' || text === 'HMAC-SHA256';
}

/** RFC 5849, 3.6: only letters, digits, `-`, `.`, `_` and `~` stay as they are. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
