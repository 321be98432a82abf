import type { HttpResponse } from '../../ports/http.ts';
import { apiError } from '../answers.ts';

/**
 * Whether a key may change something, without changing anything: a POST to a route that there is not. WooCommerce judges a
 * key's permissions by the method alone, before it looks for the route (`WC_REST_Authentication::check_user_permissions`, a
 * filter of `rest_pre_dispatch`).
 */
export const WRITE_PROBE = { method: 'POST', path: '/wp-json/wc/v3/countersign-may-write' } as const;

/** `unknown`: something else than WooCommerce answered, such as a firewall that lets nobody send. */
export function mayWrite(answer: HttpResponse): boolean | 'unknown' {
  const code = apiError(answer)?.code;
  if (answer.status === 404 && code === 'rest_no_route') return true;
  // The same key and secret were taken a moment ago, so it is its permissions that are refused.
  if (answer.status === 401 && code === 'woocommerce_rest_authentication_error') return false;
  return 'unknown';
}
