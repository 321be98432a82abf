import type { Origin } from '../../ports/http.ts';
import type { TargetResult } from '../service.ts';
import { unwrapped } from '../site-target.ts';

export const HOME = 'https://dashboard.stripe.com';
const API: Origin = 'https://api.stripe.com';
const NAMES: readonly string[] = ['dashboard.stripe.com', 'stripe.com', 'www.stripe.com'];

/**
 * Every Stripe account is at one address. A practice Stripe on this computer is the one other that is taken, at which
 * dashboard and API are together; like every private address it is reached only where `ALLOW_PRIVATE_TARGETS` names it.
 */
export function parseTarget(text: string): TargetResult {
  const written = unwrapped(text);
  const isLoopback = /^(?:http:\/\/)?(?:localhost|127\.0\.0\.1):\d{1,5}(?:\/|$)/i.test(written);
  const url = URL.parse(/^https?:\/\//i.test(written) ? written : `${isLoopback ? 'http' : 'https'}://${written}`);
  if (url && isLoopback && url.username === '') return { kind: 'target', origin: url.origin, base: url.origin };
  const isStripe = url?.protocol === 'https:' && NAMES.includes(url.host) && url.username === '';
  if (isStripe) return { kind: 'target', origin: HOME, base: HOME };
  return {
    kind: 'invalid',
    reason:
      'Every Stripe account is at dashboard.stripe.com, so no other address is needed: “set up Stripe” is enough.',
  };
}

/** Where the API of what is at this base answers. */
export function apiOf(base: string): Origin {
  return base === HOME ? API : base;
}
