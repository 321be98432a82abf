/**
 * What a restricted key may be allowed, one row of Stripe's form each. Names of permissions as third parties use them in
 * prefilled links and as Stripe's own refusals spell them (`rak_plan_read` is the row “Prices”).
 */
export interface Resource {
  /** Ours, in ids of permissions: `read_customers`. */
  readonly id: string;
  /** The row in Stripe's form. */
  readonly row: string;
  /** `rak_…_read`, `rak_…_write` */
  readonly rak: string;
  /** In plain words, after “may read”. */
  readonly words: string;
  /** After “may”, where writing makes sense. */
  readonly writes?: { readonly words: string; readonly reason: string };
  /** A reading call that needs this row alone and tells no more than one entry. */
  readonly path: string;
  /** Another row that gives the same right to read, as far as anybody outside knows: then its reading proves no excess. */
  readonly impliedBy?: string;
  readonly isDefault: boolean;
}

/** The order of Stripe's API reference, which people know. */
export const RESOURCES: readonly Resource[] = [
  {
    ...{ id: 'balance', row: 'Balance', rak: 'balance', path: '/v1/balance', isDefault: true },
    words: 'the balance',
  },
  {
    ...{ id: 'charges', row: 'Charges', rak: 'charge', path: '/v1/charges?limit=1', isDefault: true },
    words: 'charges',
    writes: { words: 'charge customers', reason: 'Only for an integration that takes payments by itself.' },
  },
  {
    ...{ id: 'customers', row: 'Customers', rak: 'customer', path: '/v1/customers?limit=1', isDefault: true },
    words: 'customers, with their names and addresses',
    writes: {
      words: 'create and change customers',
      reason: 'Only for an integration that keeps customers up to date.',
    },
  },
  {
    ...{ id: 'payment_intents', row: 'PaymentIntents', rak: 'payment_intent', isDefault: true },
    path: '/v1/payment_intents?limit=1',
    words: 'payments under way',
    writes: {
      words: 'start, confirm and cancel payments',
      reason: 'Only for an integration that takes payments by itself.',
    },
  },
  {
    ...{ id: 'refunds', row: 'Refunds', rak: 'refund', path: '/v1/refunds?limit=1', isDefault: false },
    words: 'refunds',
    writes: { words: 'give money back to customers', reason: 'Only for an integration that refunds by itself.' },
    impliedBy: 'charges',
  },
  {
    ...{ id: 'disputes', row: 'Disputes', rak: 'dispute', path: '/v1/disputes?limit=1', isDefault: false },
    words: 'disputes',
    writes: { words: 'answer and close disputes', reason: 'Only for an integration that handles disputes.' },
    impliedBy: 'charges',
  },
  {
    ...{ id: 'payouts', row: 'Payouts', rak: 'payout', path: '/v1/payouts?limit=1', isDefault: false },
    words: 'payouts to your bank',
    writes: { words: 'pay money out to your bank', reason: 'Only for an integration that starts payouts.' },
  },
  {
    ...{ id: 'products', row: 'Products', rak: 'product', path: '/v1/products?limit=1', isDefault: true },
    words: 'products',
    writes: { words: 'create and change products', reason: 'Only for an integration that keeps the catalogue.' },
  },
  {
    ...{ id: 'prices', row: 'Prices', rak: 'plan', path: '/v1/prices?limit=1', isDefault: true },
    words: 'prices',
    writes: { words: 'create and change prices', reason: 'Only for an integration that keeps the catalogue.' },
  },
  {
    ...{ id: 'invoices', row: 'Invoices', rak: 'invoice', path: '/v1/invoices?limit=1', isDefault: false },
    words: 'invoices',
    writes: { words: 'create, send and void invoices', reason: 'Only for an integration that invoices.' },
  },
  {
    ...{ id: 'subscriptions', row: 'Subscriptions', rak: 'subscription', isDefault: false },
    path: '/v1/subscriptions?limit=1',
    words: 'subscriptions',
    writes: {
      words: 'start, change and end subscriptions',
      reason: 'Only for an integration that runs subscriptions.',
    },
  },
  {
    ...{ id: 'webhooks', row: 'Webhook Endpoints', rak: 'webhook', isDefault: false },
    path: '/v1/webhook_endpoints?limit=1',
    words: 'webhook endpoints',
    writes: {
      words: 'create and change webhook endpoints',
      reason: 'Only for an integration that registers itself for events.',
    },
  },
];

/** What no choice here gives: a key that may read one of these has more power than anybody can have consented to. */
export const OUTSIDE: readonly Pick<Resource, 'words' | 'path'>[] = [
  { words: 'transfers', path: '/v1/transfers?limit=1' },
  { words: 'files', path: '/v1/files?limit=1' },
  { words: 'coupons', path: '/v1/coupons?limit=1' },
  { words: 'the account itself', path: '/v1/account' },
];

export type Level = 'none' | 'read' | 'write';

/** Write includes Read, in Stripe's form as here. */
export function levelOf({ id }: Resource, permissions: readonly string[]): Level {
  if (permissions.includes(`write_${id}`)) return 'write';
  return permissions.includes(`read_${id}`) ? 'read' : 'none';
}
