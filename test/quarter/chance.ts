import type { Outage } from '../practice/woocommerce/server.ts';
import { randomFrom } from '../support/chance.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** Test time goes on by at least this; the program makes a pass a minute. */
export const STEP_MS = 4 * 60_000;

/** Something that happens in the quarter, `atMs` of test time after its beginning. */
export type Mishap =
  /** Somebody ends the key of a connection at the service. */
  | { readonly kind: 'revoked'; readonly atMs: number; readonly connection: number }
  /** The key of a connection has a known end, at which the service stops taking it. */
  | { readonly kind: 'expires'; readonly atMs: number; readonly connection: number }
  /** From then on a shop's pages name their buttons otherwise, as after an update. */
  | { readonly kind: 'pages'; readonly atMs: number; readonly shop: number }
  /** A shop is out of order until `endsMs`. */
  | {
      readonly kind: 'outage';
      readonly atMs: number;
      readonly endsMs: number;
      readonly shop: number;
      readonly how: Outage;
    };

export interface QuarterSize {
  readonly connections: number;
  readonly shops: number;
  readonly days: number;
  readonly seed: number;
}

/** Of a hundred connections, how many are revoked and how many expire; and how often each shop is away. */
const REVOKED_SHARE = 0.15;
const EXPIRING_SHARE = 0.15;
const OUTAGES_A_SHOP = 3;
/** A shop that refuses everybody for some minutes is not to alarm anybody. */
const BLIP_MS = 4 * 60_000;
const LONGEST_OUTAGE_MS = 30 * HOUR_MS;
/** Its pages may work for as long while it takes nobody's key: what is made meanwhile is refused, too. */
const LONGEST_REFUSAL_MS = 6 * HOUR_MS;
/** The last of them comes early enough to be found within the quarter. */
const LAST_SHARE = 0.9;
const FIRST_MS = 2 * DAY_MS;

/** What goes wrong, in order, the same for a seed for ever. */
export function mishaps({ connections, shops, days, seed }: QuarterSize): readonly Mishap[] {
  const random = randomFrom(seed);
  const between = (least: number, most: number) => least + random() * (most - least);
  const lastMs = days * DAY_MS * LAST_SHARE;
  const order = Array.from({ length: connections }, (_, n) => ({ n, at: random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ n }) => n);
  const revoked = Math.max(1, Math.round(connections * REVOKED_SHARE));
  const expiring = Math.max(1, Math.round(connections * EXPIRING_SHARE));
  const all: Mishap[] = [
    ...order
      .slice(0, revoked)
      .map((connection) => ({ kind: 'revoked', atMs: between(FIRST_MS, lastMs), connection }) as const),
    ...order
      .slice(revoked, revoked + expiring)
      // All three warnings have their day where the quarter is long enough for them.
      .map(
        (connection) =>
          ({ kind: 'expires', atMs: between(Math.min(16 * DAY_MS, lastMs / 2), lastMs), connection }) as const,
      ),
  ];
  for (let shop = 0; shop < shops; shop++) {
    all.push({ kind: 'pages', atMs: between(DAY_MS, lastMs), shop });
    for (let n = 0; n < OUTAGES_A_SHOP; n++) {
      const atMs = between(DAY_MS, lastMs);
      const how = (['unavailable', 'hang-up'] as const)[n % 2] ?? 'unavailable';
      all.push({ kind: 'outage', atMs, endsMs: atMs + between(0.1, 1) ** 3 * LONGEST_OUTAGE_MS, shop, how });
    }
    const atMs = between(DAY_MS, lastMs);
    all.push({ kind: 'outage', atMs, endsMs: atMs + BLIP_MS, shop, how: 'unauthorised' });
    const refusedMs = between(DAY_MS, lastMs);
    const endsMs = refusedMs + between(0.1, 1) * LONGEST_REFUSAL_MS;
    all.push({ kind: 'outage', atMs: refusedMs, endsMs, shop, how: 'keys-refused' });
  }
  return all.sort((one, other) => one.atMs - other.atMs);
}
