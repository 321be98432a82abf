import type { Secret } from '../secret.ts';

/** One `https:` or `http:` origin as `new URL(…).origin` writes it, such as `https://shop.example.com` or `http://localhost:4001`. */
export type Origin = string;

/** Whether what is typed at this origin travels as it is, for everybody on the way to read. Not so on this computer itself. */
export function isUnencrypted(origin: Origin): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'http:' && !/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/**
 * Our own calls to a service's API. They leave through the egress proxy, which allows `origins` alone, refuses private
 * addresses unless configured, and connects to the address that it checked.
 */
export interface Http {
  /**
   * Redirects are never followed. @throws CountersignError `egress_refused` (not allowed: nothing was sent) or
   * `network` (retryable: unreachable, TLS, time-out).
   */
  request(request: HttpRequest): Promise<HttpResponse>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly origins: readonly Origin[];
  readonly auth?: HttpAuth;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

/** `bearer`: RFC 6750, over TLS or to this computer itself. `oauth1`: RFC 5849 one-legged, HMAC-SHA256, in the Authorization header: a secret never goes into a URL. */
export type HttpAuth =
  | { readonly kind: 'basic'; readonly username: Secret; readonly password: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret }
  | { readonly kind: 'oauth1'; readonly consumerKey: Secret; readonly consumerSecret: Secret };

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as UTF-8, at most 1 MiB of it. */
  readonly body: string;
}
