import type { Shop } from '../state.ts';

/** One request of a signed-in person to an admin page. */
export interface Visit {
  readonly shop: Shop;
  /** The session's token. */
  readonly session: string;
  /** Path with query, as it was asked for. */
  readonly path: string;
  /** The parsed query string; read it with `field`. */
  readonly query: unknown;
  /** The parsed form of a POST, else an empty object. */
  readonly form: unknown;
}

export const KEYS_PATH = '/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys';

export function nonceOf(visit: Visit, action: string): string {
  return visit.shop.sessions.nonce(visit.session, action);
}

/** WooCommerce's GET link that revokes at once, without a question. */
export function revokeUrl(visit: Visit, keyId: number): string {
  return `${visit.shop.origin}${KEYS_PATH}&revoke-key=${keyId}&_wpnonce=${nonceOf(visit, 'revoke')}`;
}

const DATE = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' });
const TIME = new Intl.DateTimeFormat('en-US', { timeStyle: 'short', timeZone: 'UTC' });

/** `November 22, 2026 at 3:04 pm`, in UTC. */
export function dateAndTime(date: Date): string {
  return `${DATE.format(date)} at ${TIME.format(date).toLowerCase()}`;
}

export function dayOf(date: Date): string {
  return DATE.format(date);
}
