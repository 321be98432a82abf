import { describe, expect, test } from 'vitest';
import { type Intent, parseIntent, understand } from '../../bot/intent.ts';
import type { Wish } from '../../bot/intent-several.ts';
import type { Unclear } from '../../bot/intent-text.ts';
import { SERVICES, says, scriptedModel, unsure, WOO, wooFor } from '../support/intents.ts';

const WITH_STRIPE = [
  ...SERVICES,
  { id: 'stripe', name: 'Stripe', aliases: ['stripe payments'], home: 'https://dashboard.stripe.com' },
];

/** `woocommerce shop.example.com write`: a service, its address if it has one, and whether it may write. */
function wish(words: string): Wish {
  const [service = '', ...more] = words.split(' ');
  const address = more.find((word) => word !== 'write');
  return { service, ...(address !== undefined && { target: address }), wantsWrite: more.includes('write') };
}
const together = (
  wishes: readonly string[],
  more: { unknown?: readonly string[]; unclear?: Unclear } = {},
): Intent => ({
  kind: 'set_up_together',
  wishes: wishes.map(wish),
  ...(more.unknown && { unknownServices: more.unknown }),
  ...(more.unclear && { unclear: more.unclear }),
});
const SHOP = 'shop.example.com';
const BLOG = 'blog.example.com';
const STORE = 'my-shop.myshopify.com';
const unclearly = (wishes: readonly string[], addresses: readonly string[], unusable: readonly string[] = []) =>
  together(wishes, { unclear: { addresses, unusable } });

const SEVERAL: readonly (readonly [string, Intent])[] = [
  ['set up WooCommerce and Stripe', together(['woocommerce', 'stripe'])],
  [`set up WooCommerce and Stripe for ${SHOP}`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`Please set up Stripe & Woo for ${SHOP}!`, together(['stripe', `woocommerce ${SHOP}`])],
  [`set up WooCommerce for ${SHOP} and Stripe`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`set up WooCommerce for ${SHOP}, and connect Stripe too`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`set up Stripe and WooCommerce. WooCommerce is at ${SHOP}`, together(['stripe', `woocommerce ${SHOP}`])],
  [`Set up WooCommerce for ${SHOP}. Then set up Stripe.`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`for ${SHOP}, set up both WooCommerce and Stripe`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`connect ${SHOP} to WooCommerce and ${STORE} to Shopify`, together([`woocommerce ${SHOP}`, `shopify ${STORE}`])],
  [`connect ${SHOP} to WooCommerce, ${STORE} to Shopify`, together([`woocommerce ${SHOP}`, `shopify ${STORE}`])],
  [
    `set up WooCommerce for ${SHOP} and connect ${STORE} to Shopify`,
    together([`woocommerce ${SHOP}`, `shopify ${STORE}`]),
  ],
  [`set up Woo for ${SHOP} and Shopify for ${STORE}`, together([`woocommerce ${SHOP}`, `shopify ${STORE}`])],
  [`at ${SHOP} set up WooCommerce, at ${BLOG} WordPress`, together([`woocommerce ${SHOP}`, `wordpress ${BLOG}`])],
  [`set up Woo for ${SHOP} and Shopify for my-shop`, together([`woocommerce ${SHOP}`, 'shopify my-shop'])],
  ['set up Stripe and Shopify for my-shop', together(['stripe', 'shopify my-shop'])],
  [`set up WooCommerce and connect ${BLOG} to WordPress`, together(['woocommerce', `wordpress ${BLOG}`])],
  ['set up WooCommerce, WordPress and Stripe', together(['woocommerce', 'wordpress', 'stripe'])],
  [
    `set up WooCommerce, WordPress and Stripe for ${SHOP}`,
    together([`woocommerce ${SHOP}`, `wordpress ${SHOP}`, 'stripe']),
  ],
  [
    `set up WooCommerce and WordPress for ${SHOP} and Shopify for ${STORE}`,
    together([`woocommerce ${SHOP}`, `wordpress ${SHOP}`, `shopify ${STORE}`]),
  ],
  ['set up WooCommerce, WordPress, Shopify and Stripe', together(['woocommerce', 'wordpress', 'shopify', 'stripe'])],
  [
    `set up WooCommerce for ${SHOP} and Stripe for http://localhost:4003`,
    together([`woocommerce ${SHOP}`, 'stripe http://localhost:4003']),
  ],
  [`WooCommerce and Stripe for ${SHOP}`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`WooCommerce at ${SHOP} and Shopify at ${STORE}`, together([`woocommerce ${SHOP}`, `shopify ${STORE}`])],
  [`WooCommerce is at ${SHOP}, Shopify is ${STORE}`, together([`woocommerce ${SHOP}`, `shopify ${STORE}`])],
  ['I need WooCommerce and I need Stripe', together(['woocommerce', 'stripe'])],
  [`Bitte WooCommerce und Stripe für ${SHOP} einrichten`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`configura WooCommerce y Stripe para ${SHOP}`, together([`woocommerce ${SHOP}`, 'stripe'])],
  [`installez WooCommerce et Stripe pour ${SHOP}`, together([`woocommerce ${SHOP}`, 'stripe'])],
  // Each its own right to write
  ['set up WooCommerce and Stripe with write access', together(['woocommerce write', 'stripe write'])],
  ['set up WooCommerce with write access and Stripe', together(['woocommerce write', 'stripe'])],
  ['set up WooCommerce with write access and Stripe read-only', together(['woocommerce write', 'stripe'])],
  ['set up WooCommerce and Stripe, read/write for both', together(['woocommerce write', 'stripe write'])],
  // What can't be set up is named
  ['set up WooCommerce, Xero and Stripe', together(['woocommerce', 'stripe'], { unknown: ['Xero'] })],
  [
    `set up WooCommerce for ${SHOP}, Google Analytics and Stripe`,
    together([`woocommerce ${SHOP}`, 'stripe'], { unknown: ['Google Analytics'] }),
  ],
  // Whose address it is can't be told
  [`set up WooCommerce and WordPress for ${SHOP} and ${BLOG}`, unclearly(['woocommerce', 'wordpress'], [SHOP, BLOG])],
  [`${SHOP} and ${BLOG}: set up WooCommerce and WordPress`, unclearly(['woocommerce', 'wordpress'], [SHOP, BLOG])],
  [
    'set up WooCommerce and Stripe for ftp://shop.example.com',
    unclearly(['woocommerce', 'stripe'], [], ['ftp://shop.example.com']),
  ],
  // One of them alone
  ['set up WooCommerce, not Stripe', WOO],
  [`set up WooCommerce but not Stripe for ${SHOP}`, wooFor(SHOP)],
  ['set up WooCommerce without Stripe', WOO],
  ['set up WooCommerce instead of Shopify', WOO],
  ['WooCommerce einrichten, ohne Stripe', WOO],
  ['not Stripe: set up WooCommerce', WOO],
  ['set up WooCommerce and WordPress, not Stripe', together(['woocommerce', 'wordpress'])],
  // No request for several
  ['WooCommerce or Stripe?', unsure('woocommerce')],
  ['set up WooCommerce or Stripe', unsure('woocommerce')],
  ['set up either Stripe or WooCommerce', unsure('stripe')],
  ['set up WooCommerce and/or Stripe', unsure('woocommerce')],
  [`set up WooCommerce for ${SHOP} or ${BLOG} and WordPress`, unsure('woocommerce')],
  ["don't set up WooCommerce and Stripe", unsure('woocommerce')],
  ["set up WooCommerce and don't connect Stripe", unsure('woocommerce')],
  ['should I set up WooCommerce and Stripe?', unsure('woocommerce')],
  ['what is the difference between WooCommerce and Stripe?', unsure('woocommerce')],
  ['we already connected WooCommerce and Stripe', unsure('woocommerce')],
  ['set up WooCommerce now and Stripe later', unsure('woocommerce')],
  ['set up WooCommerce, Stripe works', unsure('woocommerce')],
  ['set up WooCommerce, and Stripe is connected', unsure('woocommerce')],
  ['set up WooCommerce, we use Stripe', unsure('woocommerce')],
  ['our WooCommerce and Stripe orders look great', unsure('woocommerce')],
];

describe('several services', () => {
  test.each(SEVERAL)('understands «%s»', (text, intent) => {
    expect(parseIntent(text, WITH_STRIPE).intent).toEqual(intent);
  });

  test.each([
    ['set up WooCommerce and Stripe', true],
    ['WooCommerce or Stripe?', true],
    ['set up WooCommerce, not Stripe', true],
    ['set up WooCommerce, we use Stripe', false],
    ['set up WooCommerce and our Stripe dashboard', false],
    ['connect WooCommerce to Stripe', false],
  ])('says of «%s» whether it is sure: %s', (text, isSure) => {
    expect(parseIntent(text, WITH_STRIPE).isSure).toBe(isSure);
  });

  const VAGUE_LIST = `our WooCommerce thing at ${SHOP} and the Stripe thing ought to talk to you`;

  test('takes several services from the model when they stand in the text, and each address from the words alone', async () => {
    const all = says({ service: 'woocommerce', others: ['stripe'], target: 'evil.example' });
    expect(await understand(VAGUE_LIST, WITH_STRIPE, scriptedModel(all))).toEqual(
      together([`woocommerce ${SHOP}`, 'stripe']),
    );
    const two = `our WooCommerce and WordPress things, ${SHOP} and ${BLOG}, ought to talk to you`;
    const both = says({ service: 'woocommerce', others: ['wordpress'], target: SHOP });
    expect(await understand(two, WITH_STRIPE, scriptedModel(both))).toEqual(
      unclearly(['woocommerce', 'wordpress'], [SHOP, BLOG]),
    );
  });

  test('takes no further service from the model that the text does not name, or names to leave out', async () => {
    const evil = says({ service: 'woocommerce', others: ['shopify', 'evil'], target: SHOP });
    expect(await understand(VAGUE_LIST, WITH_STRIPE, scriptedModel(evil))).toEqual(wooFor(SHOP));
    const without = 'set up WooCommerce, we use Stripe, not Shopify';
    const both = says({ service: 'woocommerce', others: ['shopify'] });
    expect(await understand(without, WITH_STRIPE, scriptedModel(both))).toEqual(WOO);
  });
});
