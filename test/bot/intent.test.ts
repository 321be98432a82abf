import { describe, expect, test } from 'vitest';
import { type Intent, parseIntent, understand } from '../../bot/intent.ts';
import type { Unclear } from '../../bot/intent-text.ts';
import { CountersignError } from '../../core/errors.ts';
import { SERVICES, says, scriptedModel, setUp, unsure, WOO, wooFor } from '../support/intents.ts';

const target = (address: string): Intent => ({ kind: 'target', target: address });
const OP = 'op-abcd2345';

const ofKey = (type: 'rotation' | 'revocation', service: string, where?: string, unclear?: Unclear): Intent => ({
  kind: 'key',
  type: `credential_${type}`,
  service,
  target: where,
  ...(unclear && { unclear }),
});

const wooUnclear = (addresses: readonly string[], unusable: readonly string[] = []) =>
  setUp('woocommerce', { unclear: { addresses, unusable } });

const SENTENCES: readonly (readonly [string, Intent])[] = [
  // A target without a dot, of a service that has such
  ['set up Shopify for my-shop', setUp('shopify', { target: 'my-shop' })],
  ['Set up Shopify for “My-Shop”.', setUp('shopify', { target: 'my-shop' })],
  ['please connect my-shop to Shopify', setUp('shopify', { target: 'my-shop' })],
  [
    'set up shopify for our store bluebird2 with write access',
    setUp('shopify', { target: 'bluebird2', wantsWrite: true }),
  ],
  ['set up Shopify for bluebird', setUp('shopify', { target: 'bluebird' })],
  [
    'set up Shopify for admin.shopify.com/store/my-shop',
    setUp('shopify', { target: 'admin.shopify.com/store/my-shop' }),
  ],
  ['set up Shopify for my-shop.myshopify.com', setUp('shopify', { target: 'my-shop.myshopify.com' })],
  ['set up Shopify for my shop', setUp('shopify')],
  ['set up Shopify for us today', setUp('shopify')],
  ['set up Shopify for reporting and accounting', setUp('shopify')],
  ['set-up Shopify read-only', setUp('shopify')],
  ['set up Shopify for my-shop and for other-shop', setUp('shopify')],
  ['set up WooCommerce for my-shop', WOO],
  // What is done with a stored key
  ['rotate the WooCommerce key for shop.example.com', ofKey('rotation', 'woocommerce', 'shop.example.com')],
  ['Please rotate our WooCommerce API key.', ofKey('rotation', 'woocommerce')],
  ['can you renew the woo commerce key?', ofKey('rotation', 'woocommerce')],
  [
    'replace the old WooCommerce key at shop.example.com/shop',
    ofKey('rotation', 'woocommerce', 'shop.example.com/shop'),
  ],
  ['renew the WordPress application password', ofKey('rotation', 'wordpress')],
  ['rotate the Shopify credentials for my-shop', ofKey('rotation', 'shopify', 'my-shop')],
  ['revoke the WooCommerce key for shop.example.com', ofKey('revocation', 'woocommerce', 'shop.example.com')],
  ['Hi, I want to revoke the WordPress password', ofKey('revocation', 'wordpress')],
  ['widerrufe bitte den WooCommerce Schlüssel', ofKey('revocation', 'woocommerce')],
  [
    'rotate the woo key for a.example.com and b.example.com',
    ofKey('rotation', 'woocommerce', undefined, { addresses: ['a.example.com', 'b.example.com'], unusable: [] }),
  ],
  ["don't rotate the WooCommerce key", unsure('woocommerce')],
  ['replace WooCommerce with Shopify', unsure('woocommerce')],
  ['end the WooCommerce sale', unsure('woocommerce')],
  ['should I revoke the WooCommerce key?', unsure('woocommerce')],
  // Asking for a set-up
  ['set up WooCommerce for http://localhost:4001', wooFor('http://localhost:4001')],
  ['Set up WooCommerce for http://localhost:4001.', wooFor('http://localhost:4001')],
  ['can you connect my woo store?', WOO],
  ['setup woocommerce pls', WOO],
  ['set-up Woo Commerce', WOO],
  ['pls integrate woo commerce @ shop.example.com/shop with write access', wooFor('shop.example.com/shop', true)],
  ['woocommerce shop.example.com', wooFor('shop.example.com')],
  ['woocommerce', WOO],
  ['WooCommerce please!', WOO],
  ['woo-commerce', WOO],
  ['hey @Countersign could you please set up woo?', WOO],
  ['<@U0123ABCD> set up WooCommerce', WOO],
  ['<@U0123ABCD|countersign>: set up WooCommerce', WOO],
  ['<at>Countersign</at>&nbsp;set up WooCommerce', WOO],
  ['Countersign, set up WooCommerce', WOO],
  ['/countersign set up woocommerce', WOO],
  ['set up woocommerce for <https://shop.example.com|shop.example.com>', wooFor('shop.example.com')],
  ['set up woocommerce for <https://shop.example.com/a?b=1&amp;c=2>', wooFor('https://shop.example.com/a?b=1&c=2')],
  ['set up woocommerce for <https://shop.example.com|our shop>', wooFor('https://shop.example.com')],
  ['Set up “WooCommerce” for ‘https://shop.example.com’!', wooFor('https://shop.example.com')],
  ['set up *WooCommerce* for `shop.example.com`', wooFor('shop.example.com')],
  ['_set up WooCommerce_', WOO],
  ['set up woocommerce (https://shop.example.com/shop/)', wooFor('https://shop.example.com/shop/')],
  ['Hi there! I need a WooCommerce API key for shop.example.com, thanks', wooFor('shop.example.com')],
  ['I want woocommerce', WOO],
  ['get me a woocommerce key', WOO],
  ['We’d like to hook our shop up to WooCommerce', WOO],
  ['let’s set my woocommerce store up', WOO],
  ['would you mind setting up woocommerce?', WOO],
  ['is it possible to connect my woocommerce store?', WOO],
  ['SET UP WOOCOMMERCE FOR SHOP.EXAMPLE.COM', wooFor('SHOP.EXAMPLE.COM')],
  ['set up wocommerce', WOO],
  ['set up woocomerce for shop.example.com', wooFor('shop.example.com')],
  ['connect woocommmerce', WOO],
  ['connect wooc0mmerce now', WOO],
  ['please conect shopfy', setUp('shopify')],
  ['intergrate word press', setUp('wordpress')],
  ['set up woocommerce on 192.168.1.20:8080', wooFor('192.168.1.20:8080')],
  ['set up woocommerce for bücher.example', wooFor('bücher.example')],
  ['set up woocommerce for shop.xn--p1ai', wooFor('shop.xn--p1ai')],
  ['set up woocommerce, my mail is owner@example.com', WOO],
  [
    'set up woocommerce for shop.example.com and other.example.com',
    wooUnclear(['shop.example.com', 'other.example.com']),
  ],
  ['set up woocommerce for ftp://shop.example.com', wooUnclear([], ['ftp://shop.example.com'])],
  ['set up woocommerce for shop.example.com, not (http://)', wooUnclear(['shop.example.com'], ['http://'])],
  [
    'set up woocommerce on shop..example.com or my_shop.example.com',
    wooUnclear([], ['shop..example.com', 'my_shop.example.com']),
  ],
  ['set up woocommerce for 1.2.3.4.5', wooUnclear([], ['1.2.3.4.5'])],
  [`set up woocommerce for ${'s'.repeat(64)}.example.com`, wooUnclear([], [`${'s'.repeat(64)}.example.com`])],
  ['set up woocommerce 9.4.1 (e.g. with Node.js, cf. setup.txt) for shop.example.com', wooFor('shop.example.com')],
  [
    `set up woocommerce for https://shop.example.com/${'p'.repeat(2500)}`,
    wooFor(`https://shop.example.com/${'p'.repeat(2500)}`),
  ],
  ['set up woocommerce for shop.example.com, yes https://shop.example.com/', wooFor('shop.example.com')],
  ['set up something else', setUp(undefined)],
  ['set it up', setUp(undefined)],
  ['connect my store', setUp(undefined)],
  ['set up shop.example.com', setUp(undefined, { target: 'shop.example.com' })],
  ['I need an API key', setUp(undefined)],
  // Things that can't be set up
  ['set up stripe', setUp(undefined, { unknownService: 'stripe' })],
  [
    'Please set up the Google Analytics integration for shop.example.com',
    setUp(undefined, { unknownService: 'Google Analytics', target: 'shop.example.com' }),
  ],
  ['connect my shop to Xero', setUp(undefined, { unknownService: 'Xero' })],
  ['connect us with Mailchimp please', setUp(undefined, { unknownService: 'Mailchimp' })],
  // Writing
  ['set up woocommerce with read/write permissions', setUp('woocommerce', { wantsWrite: true })],
  ['set up woocommerce, read & write', setUp('woocommerce', { wantsWrite: true })],
  ['set up woocommerce with full access', setUp('woocommerce', { wantsWrite: true })],
  ['set up woocommerce without write access', WOO],
  ['set up woocommerce, I don’t need write access', WOO],
  ['set up woocommerce read-only', WOO],
  ['set up woocommerce and write me when it is done', WOO],
  // Other languages
  ['Bitte WooCommerce für shop.example.de einrichten', wooFor('shop.example.de')],
  ['Kannst du bitte meinen WooCommerce-Shop verbinden?', WOO],
  ['Richte WooCommerce für shop.example.de ein', wooFor('shop.example.de')],
  ['WooCommerce mit Schreibzugriff einrichten', setUp('woocommerce', { wantsWrite: true })],
  ['configura woocommerce por favor', WOO],
  ['Installez WooCommerce pour boutique.example.fr', wooFor('boutique.example.fr')],
  // No request, though a service and a verb stand in it
  ["don't set up woo", unsure('woocommerce')],
  ['do not connect woocommerce', unsure('woocommerce')],
  ['don’t ever set up woocommerce for shop.example.com', unsure('woocommerce')],
  ['please no longer integrate woocommerce', unsure('woocommerce')],
  ["I don't want woocommerce", unsure('woocommerce')],
  ['Verbinde WooCommerce bitte nicht', unsure('woocommerce')],
  ['what is woocommerce?', unsure('woocommerce')],
  ['is woocommerce supported?', unsure('woocommerce')],
  ['why did you set up woocommerce?', unsure('woocommerce')],
  ['hey, who set up woocommerce?', unsure('woocommerce')],
  ['should we connect woocommerce?', unsure('woocommerce')],
  ['I already set up woocommerce yesterday', unsure('woocommerce')],
  ['the woocommerce setup failed', unsure('woocommerce')],
  ['our woocommerce orders look great today', unsure('woocommerce')],
  ['make woocommerce faster', unsure('woocommerce')],
  ['set up a meeting with Bob', unsure()],
  ['set up woocomrz', unsure('woocommerce')],
  ['something else', unsure()],
  ['the weather is fine', unsure()],
  ['see Node.js and keys.txt', unsure()],
  // An address
  ['shop.example.com', target('shop.example.com')],
  ['<https://shop.example.com>', target('https://shop.example.com')],
  ['http://localhost:4001', target('http://localhost:4001')],
  ['localhost:4001/shop', target('localhost:4001/shop')],
  ["it's https://shop.example.com/shop.", target('https://shop.example.com/shop')],
  ['my shop is at shop.example.com', target('shop.example.com')],
  ['«shop.example.com»', target('shop.example.com')],
  ['owner@example.com', unsure()],
  ['<mailto:owner@example.com|owner@example.com>', unsure()],
  ['is shop.example.com down?', unsure()],
  // Audit and cancelling
  [`/audit ${OP}`, { kind: 'audit', operationId: OP as never }],
  [`audit ${OP.toUpperCase()}.`, { kind: 'audit', operationId: OP as never }],
  [OP, { kind: 'audit', operationId: OP as never }],
  [`what happened with ${OP}?`, { kind: 'audit', operationId: OP as never }],
  [`show me the audit trail for ${OP}`, { kind: 'audit', operationId: OP as never }],
  ['audit', { kind: 'audit' }],
  ['audit op-123', { kind: 'audit' }],
  ['what did you do?', { kind: 'audit' }],
  ['test WooCommerce', { kind: 'test', service: 'woocommerce' }],
  ['please check woo for shop.example.com', { kind: 'test', service: 'woocommerce', target: 'shop.example.com' }],
  ['can you test the woocommerce keys again?', { kind: 'test', service: 'woocommerce' }],
  ['cancel', { kind: 'cancel' }],
  ['please stop!', { kind: 'cancel' }],
  ['stop all', { kind: 'cancel' }],
  ['stop setting up woocommerce', { kind: 'cancel' }],
  ['can you cancel that?', { kind: 'cancel' }],
  [`cancel ${OP}`, { kind: 'cancel', operationId: OP as never }],
  [`hmm, better abort ${OP}`, { kind: 'cancel', operationId: OP as never }],
  ['never mind', { kind: 'cancel' }],
  ['Abbrechen bitte', { kind: 'cancel' }],
  [`don't cancel ${OP}`, unsure()],
  ['pause', { kind: 'pause' }],
  ['Please pause it for now.', { kind: 'pause' }],
  [`pause ${OP}`, { kind: 'pause', operationId: OP as never }],
  ['can you resume that?', { kind: 'resume' }],
  [`resume ${OP}`, { kind: 'resume', operationId: OP as never }],
  ['try again', { kind: 'retry' }],
  ['try it again please', { kind: 'retry' }],
  [`retry ${OP}`, { kind: 'retry', operationId: OP as never }],
  [`don't pause ${OP}`, { kind: 'audit', operationId: OP as never }],
  ['why did you pause?', unsure()],
  ['stop sending newsletters to our customers', unsure()],
  // Help and greetings
  ['console', { kind: 'console' }],
  ['open the console', { kind: 'console' }],
  ['Could you please give me a link to the console?', { kind: 'console' }],
  ['zeig mir die Konsole bitte', { kind: 'console' }],
  ['how do I open the console?', { kind: 'help' }],
  [
    'set up the console',
    { kind: 'set_up', service: undefined, unknownService: 'console', target: undefined, wantsWrite: false },
  ],
  ['help', { kind: 'help' }],
  ['?', { kind: 'help' }],
  ['Hilfe!', { kind: 'help' }],
  ['what can you do?', { kind: 'help' }],
  ['how do I connect woocommerce?', { kind: 'help' }],
  ['do you support stripe?', { kind: 'help' }],
  ['<@U0123ABCD>', { kind: 'greeting' }],
  ['', { kind: 'greeting' }],
  ['Hi!', { kind: 'greeting' }],
  ['good morning everyone', { kind: 'greeting' }],
  ['Thanks a lot 🙂', { kind: 'greeting' }],
  ['Guten Tag', { kind: 'greeting' }],
  // Secrets
  [`here: ck_${'0123456789abcdef'.repeat(2)}01234567`, { kind: 'secret_pasted', what: 'a WooCommerce API key' }],
  ['set up woocommerce, the password is hunter2', { kind: 'secret_pasted', what: 'a password' }],
  [
    'set up woocommerce for https://admin:hunter2@shop.example.com',
    { kind: 'secret_pasted', what: 'an address with a password in it' },
  ],
];

describe('parseIntent', () => {
  test.each(SENTENCES)('understands «%s»', (text, intent) => {
    expect(parseIntent(text, SERVICES).intent).toEqual(intent);
  });

  test.each([
    ['set up WooCommerce for http://localhost:4001', true],
    ['set up stripe', true],
    ["don't set up woo", true],
    ['what is woocommerce?', true],
    ['shop.example.com', true],
    ['cancel', true],
    ['connect woocommerce to shopify', false],
    ['our woocommerce orders look great today', false],
    ['set up woocomrz', false],
    ['have a look at shop.example.com', false],
    ['the weather is fine', false],
  ])('says of «%s» whether it is sure: %s', (text, isSure) => {
    expect(parseIntent(text, SERVICES).isSure).toBe(isSure);
  });

  test('knows no service when there is none', () => {
    expect(parseIntent('set up woocommerce', []).intent).toEqual(setUp(undefined, { unknownService: 'woocommerce' }));
  });

  test.each([
    'set ',
    'a.',
    'a@',
    'http://',
    'set up not ',
    "don't a ",
    '<a|',
    '<@',
    'op-',
    '(',
    'wooc ',
    '_',
    'woo, ',
    'woo and a.de ',
  ])('takes little time over 100 KB of «%s»', (part) => {
    const text = part.repeat(Math.ceil(100_000 / part.length));
    // Processor time, so that a busy machine does not count.
    const times = [1, 2, 3].map(() => {
      const before = process.cpuUsage();
      parseIntent(text, SERVICES);
      return process.cpuUsage(before).user / 1000;
    });
    expect(Math.min(...times)).toBeLessThan(2000); // a few milliseconds; seconds and minutes where time grows with the square
  });
});

const VAGUE = 'our woocommerce thing at shop.example.com ought to talk to your side one of these days';

describe('understand', () => {
  test('asks no model when the grammar is sure', async () => {
    const model = scriptedModel(says({}));
    expect(await understand('set up woocommerce', SERVICES, model)).toEqual(WOO);
    expect(await understand("don't set up woo", SERVICES, model)).toEqual(unsure('woocommerce'));
    expect(model.texts).toEqual([]);
  });

  test('never shows a model a text with a secret in it', async () => {
    const model = scriptedModel(says({}));
    const intent = await understand('our woocommerce thing ought to talk, password: hunter2', SERVICES, model);
    expect(intent).toEqual({ kind: 'secret_pasted', what: 'a password' });
    expect(model.texts).toEqual([]);
  });

  test('takes the service and the address from the model when they stand in the text', async () => {
    const model = scriptedModel(says({ service: 'woocommerce', target: 'https://SHOP.example.com/' }));
    expect(await understand(VAGUE, SERVICES, model)).toEqual(wooFor('shop.example.com'));
    expect(model.texts).toEqual([VAGUE]);
  });

  test('takes neither a service nor an address nor a right to write that the text does not hold', async () => {
    const model = scriptedModel(says({ service: 'shopify', target: 'evil.example', unknownService: 'Evil' }));
    expect(await understand(VAGUE, SERVICES, model)).toEqual(setUp(undefined));
    expect(await understand(VAGUE, SERVICES, scriptedModel(says({ wantsWrite: true })))).toEqual(
      parseIntent(VAGUE, SERVICES).intent,
    );
  });

  test('takes the name of an unknown service word for word', async () => {
    const model = scriptedModel(says({ unknownService: 'XERO books' }));
    expect(await understand('our Xero books ought to talk to you', SERVICES, model)).toEqual(
      setUp(undefined, { unknownService: 'Xero books' }),
    );
  });

  test.each([
    ['a target elsewhere', { kind: 'target', service: null, unknownService: null, target: 'evil.example' }, unsure()],
    ['help', { kind: 'help', service: null, unknownService: null, target: null }, { kind: 'help' }],
    ['cancel', { kind: 'cancel', service: null, unknownService: null, target: null }, { kind: 'cancel' }],
    ['an unknown kind', { kind: 'run_shell' }, parseIntent(VAGUE, SERVICES).intent],
    ['nothing', undefined, parseIntent(VAGUE, SERVICES).intent],
  ])('copes with a model that answers %s', async (_, answer, intent) => {
    expect(await understand(VAGUE, SERVICES, scriptedModel(answer))).toEqual(intent);
  });

  test('falls back on the grammar when the model is unavailable, and hides no bug', async () => {
    const down = scriptedModel(new CountersignError('model_unavailable', 'overloaded', { isRetryable: true }));
    expect(await understand(VAGUE, SERVICES, down)).toEqual(unsure('woocommerce'));
    await expect(understand(VAGUE, SERVICES, scriptedModel(new TypeError('bug')))).rejects.toThrow(TypeError);
  });

  test('shows the model no e-mail address', async () => {
    const model = scriptedModel(undefined);
    await understand('our woocommerce thing, ask owner@example.com about it sometime', SERVICES, model);
    expect(model.texts).toEqual(['our woocommerce thing, ask [e-mail] about it sometime']);
  });
});
