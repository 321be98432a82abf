import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import type { Http, HttpRequest } from '../../../core/ports/http.ts';
import { Secret } from '../../../core/secret.ts';
import type { VerifyInput } from '../../../core/services/service.ts';
import { shopify } from '../../../core/services/shopify/index.ts';
import { parseTarget } from '../../../core/services/shopify/target.ts';
import { revoke, token, verify } from '../../../core/services/shopify/verify.ts';
import { type PracticeApp, type PracticeShopify, startPracticeShopify } from '../../practice/shopify/server.ts';
import { silentLog } from '../../support/silent-log.ts';

const type = shopify.operationTypes.api_key_generation;
if (!type) throw new Error('Shopify has no keys');
const BASE = 'https://my-shop.myshopify.com';

describe('the name of a store', () => {
  test.each([
    'my-shop',
    'My-Shop',
    'my-shop.myshopify.com',
    ' MY-SHOP.myshopify.com. ',
    'https://my-shop.myshopify.com',
    'https://my-shop.myshopify.com/admin/products?selectedView=all#top',
    'my-shop.myshopify.com/admin',
    'admin.shopify.com/store/my-shop',
    'https://admin.shopify.com/store/My-Shop/settings/domains',
    '<https://my-shop.myshopify.com>',
    '“my-shop”',
  ])('is read from %s', (text) => {
    expect(parseTarget(text)).toEqual({ kind: 'target', origin: BASE, base: BASE });
  });

  test.each(['0', '7-eleven', 'a', 's'.repeat(63)])('may be %s', (name) => {
    const base = `https://${name}.myshopify.com`;
    expect(parseTarget(name)).toEqual({ kind: 'target', origin: base, base });
  });

  test.each([
    ['', /is missing.*Settings › Domains/],
    ['shop.example.com', /can't be told from a domain of its own.*Settings › Domains shows it/],
    ['https://bluebird.shop/collections', /Settings › Domains shows it/],
    ['http://my-shop.myshopify.com', /https:\/\/ alone/],
    ['ftp://my-shop.myshopify.com', /https:\/\/ alone/],
    ['javascript:alert(1)', /no colon/],
    ['my-shop.myshopify.com:8443', /no port/],
    ['owner:pw@my-shop.myshopify.com', /Leave user names and passwords out/],
    ['https://my-shop.myshopify.com@evil.example', /Leave user names and passwords out/],
    ['192.0.2.7', /a name, not a number/],
    ['https://192.0.2.7/admin', /a name, not a number/],
    ['[::1]', /no colon/],
    ['my-shop.myshopify.com.evil.example', /domain of its own/],
    ['evil.example/my-shop.myshopify.com', /domain of its own/],
    ['evil.example#.myshopify.com', /domain of its own/],
    ['a.b.myshopify.com', /can't be a store's name/],
    ['-shop.myshopify.com', /can't be a store's name/],
    ['my_shop', /can't be a store's name/],
    ['.myshopify.com', /can't be a store's name/],
    ['myshopify.com', /Shopify's own pages/],
    ['admin.shopify.com', /admin without a store/],
    ['admin.shopify.com/store/', /admin without a store/],
    ['admin.shopify.com/store/evil.example', /can't be a store's name/],
    ['admin.shopify.com/store/..%2f', /can't be a store's name/],
    ['partners.shopify.com/123/stores', /Shopify's own pages/],
    ['dev.shopify.com', /Shopify's own pages/],
    ['my-shop/admin', /name of the store alone/],
    ['my shop', /nothing else/],
    ['my-ſhop', /nothing else/],
    ['\u212Aing-shop', /nothing else/],
    ['my-shop\\@evil.example', /nothing else/],
    [`https://my-shop.myshopify.com/${'a'.repeat(3000)}`, /too long/],
    ['s'.repeat(64), /can't be a store's name/],
  ])('is refused in “%s”, with words that help', (text, words) => {
    expect(parseTarget(text)).toEqual({ kind: 'invalid', reason: expect.stringMatching(words) });
  });
});

describe('what is entered', () => {
  const [way] = type.ways;
  const problem = (name: string, text: string) => way.fields.find((field) => field.name === name)?.validate(text, {});
  const hex = '0123456789abcdef'.repeat(2);

  test('is taken when it looks like the keys of an app', () => {
    expect(problem('client_id', ` ${hex} `)).toBeUndefined();
    expect(problem('client_secret', `shpss_${hex}`)).toBeUndefined();
  });

  test.each([
    ['client_id', `shpss_${hex}`, /belongs into the other field/],
    ['client_id', 'my-app', /32 of the digits/],
    ['client_secret', `shpat_${hex}`, /access token, not the secret/],
    ['client_secret', `shpss_${hex.slice(1)}`, /not whole/],
    ['client_secret', hex, /App Automation Token/],
    ['client_secret', 'atkn_2.abcdef', /App Automation Token/],
  ])('is refused as %s when it is something else: %s', (name, text, words) => {
    expect(problem(name, text)).toMatch(words);
    expect(problem(name, text)).not.toContain(text);
  });
});

describe('an app on a store', () => {
  let practice: PracticeShopify;
  let http: Http;
  beforeAll(async () => {
    practice = await startPracticeShopify();
    const privateTargets = [new URL(practice.origin).host];
    http = createHttp({ egress: createEgress({ privateTargets, log: silentLog }) });
  });
  afterAll(() => practice.close());

  const input = (
    app: PracticeApp,
    permissions: readonly string[],
    changes: Partial<VerifyInput> = {},
  ): VerifyInput => ({
    base: practice.origin,
    origin: practice.origin,
    credential: { client_id: new Secret(app.clientId), client_secret: new Secret(app.clientSecret) },
    permissions: ['keep_keys', 'check_key', ...permissions],
    http,
    ...changes,
  });
  const installed = (...scopes: readonly string[]) => practice.makeApp({ scopes, isInstalled: true });

  test('works when it may do exactly what was approved', async () => {
    const app = installed('read_products', 'read_orders');
    expect(await verify(input(app, ['read_orders', 'read_products']))).toMatchObject({
      kind: 'works',
      checked: `${new URL(practice.origin).host} answered; the app has read_products and read_orders, and nothing beyond that`,
    });
  });

  test.each([
    { name: 'the read scope is listed beside the write scope', scopes: ['read_products', 'write_products'] },
    { name: 'the write scope is listed alone', scopes: ['write_products'] },
  ])('takes reading as part of writing when $name', async ({ scopes }) => {
    const app = installed(...scopes);
    expect(await verify(input(app, ['write_products']))).toMatchObject({ kind: 'works' });
    expect(await verify(input(app, ['read_products', 'write_products']))).toMatchObject({ kind: 'works' });
    expect(await verify(input(app, ['read_products']))).toMatchObject({
      kind: 'fails',
      isRetryable: false,
      reason: expect.stringMatching(
        /more than was approved: write_products\..*exactly these scopes.*: read_products\./,
      ),
    });
  });

  test('is refused when it may do more, and fails when it may do less', async () => {
    const app = installed('read_products', 'read_all_orders');
    expect(await verify(input(app, ['read_products']))).toMatchObject({
      kind: 'fails',
      isRetryable: false,
      reason: expect.stringContaining('may do more than was approved: read_all_orders.'),
    });
    expect(await verify(input(installed('read_products'), ['read_products', 'write_inventory']))).toMatchObject({
      kind: 'fails',
      isRetryable: false,
      reason: expect.stringMatching(/may not do all that was approved: write_inventory is missing/),
    });
  });

  test.each<[string, Parameters<PracticeShopify['makeApp']>[0], RegExp, boolean]>([
    ['not installed', { scopes: ['read_products'] }, /not installed on .*“Install app”/, false],
    [
      'of another organisation',
      { scopes: ['read_products'], isInstalled: true, organisation: 'Another' },
      /different organisations/,
      false,
    ],
    [
      'a moment old',
      { scopes: ['read_products'], isInstalled: true, unfindable: 1 },
      /knows no app with this Client ID/,
      true,
    ],
  ])('is told by what Shopify answers when it is %s', async (_, app, words, isRetryable) => {
    const made = practice.makeApp(app);
    const verdict = await verify(input(made, ['read_products']));
    expect(verdict).toMatchObject({ kind: 'fails', isRetryable, reason: expect.stringMatching(words) });
    if (isRetryable) expect(await verify(input(made, ['read_products']))).toMatchObject({ kind: 'works' });
  });

  test('is told apart from a wrong secret, and from a missing one', async () => {
    const app = installed('read_products');
    const credential = { client_id: new Secret(app.clientId), client_secret: new Secret(`shpss_${'0'.repeat(32)}`) };
    expect(await verify(input(app, ['read_products'], { credential }))).toMatchObject({
      kind: 'fails',
      isRetryable: false,
      reason: expect.stringMatching(/does not take this secret.*App Automation Token/),
    });
    expect(await verify(input(app, ['read_products'], { credential: {} }))).toMatchObject({ kind: 'fails' });
  });

  test.each([
    { fault: 'api_unavailable', words: /answered 503/, isRetryable: true },
    { fault: 'api_throttled', words: /answered 429/, isRetryable: true },
    { fault: 'store_moved', words: /sends the request elsewhere \(301\)/, isRetryable: false },
  ] as const)('is not judged by an answer like $fault', async ({ fault, words, isRetryable }) => {
    practice.failNext(fault);
    const verdict = await verify(input(installed('read_products'), ['read_products']));
    expect(verdict).toMatchObject({ kind: 'fails', isRetryable, reason: expect.stringMatching(words) });
  });

  test('is not judged where the store answers under another name', async () => {
    const elsewhere = practice.origin.replace('localhost', '127.0.0.1');
    const other = createHttp({
      egress: createEgress({ privateTargets: [new URL(elsewhere).host], log: silentLog }),
    });
    const changes = { base: elsewhere, origin: elsewhere, http: other };
    expect(await verify(input(installed('read_products'), ['read_products'], changes))).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('for another store'),
    });
  });

  test('says in words that a store is away, and that it may not be reached', async () => {
    const app = installed('read_products');
    const closed = createHttp({ egress: createEgress({ privateTargets: [], log: silentLog }) });
    expect(await verify(input(app, ['read_products'], { http: closed }))).toMatchObject({
      kind: 'fails',
      isRetryable: false,
      reason: expect.stringContaining('may not be reached'),
    });
    const gone = await startPracticeShopify();
    await gone.close();
    const away = createHttp({
      egress: createEgress({ privateTargets: [new URL(gone.origin).host], log: silentLog }),
    });
    const changes = { base: gone.origin, origin: gone.origin, http: away };
    expect(await verify(input(app, ['read_products'], changes))).toMatchObject({ kind: 'fails', isRetryable: true });
  });

  test('sends its secret in the body of one form, and nowhere else', async () => {
    const sent: HttpRequest[] = [];
    const watched: Http = {
      request(request) {
        sent.push(request);
        return http.request(request);
      },
    };
    const app = installed('read_products');
    await verify(input(app, ['read_products'], { http: watched }));
    expect(sent).toHaveLength(2);
    expect(sent[0]?.headers).toEqual({ 'content-type': 'application/x-www-form-urlencoded' });
    expect(sent[0]?.body).toContain(app.clientSecret);
    expect(JSON.stringify({ ...sent[0], body: '' }) + JSON.stringify(sent[1])).not.toContain(app.clientSecret);
  });

  test('gives a token for a day', async () => {
    const given = await token(input(installed('read_products'), []));
    expect(given).toMatchObject({ kind: 'token', expiresInSeconds: 86_399 });
  });

  test('is revoked by its own token, once and for all', async () => {
    const app = installed('read_products');
    expect(await revoke(input(app, ['read_products']))).toEqual({ kind: 'revoked' });
    expect(practice.apps().find(({ clientId }) => clientId === app.clientId)?.installed).toBeUndefined();
    expect(await verify(input(app, ['read_products']))).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('app_not_installed'),
    });
    expect(await revoke(input(app, ['read_products']))).toEqual({ kind: 'revoked' });
  });

  test('is not taken for revoked when Shopify does not say so', async () => {
    practice.failNext('api_unavailable');
    const app = installed('read_products');
    expect(await revoke(input(app, ['read_products']))).toMatchObject({ kind: 'fails', isRetryable: true });
    const credential = { client_id: new Secret('0'.repeat(32)), client_secret: new Secret(app.clientSecret) };
    expect(await revoke(input(app, ['read_products'], { credential }))).toMatchObject({ kind: 'fails' });
  });
});

describe('what is asked for', () => {
  test('is the least by default, and never nothing', () => {
    expect(type.values(['read_orders', 'write_products', 'read_products'])).toEqual({
      scopes: 'read_products,write_products,read_orders',
      dashboardBase: 'https://dev.shopify.com',
    });
    expect(type.checkPermissions(['keep_keys', 'check_key'])).toMatch(/at least one/);
    expect(type.permissions.filter(({ id, isDefault }) => isDefault && /^(read|write)_/.test(id))).toHaveLength(1);
  });

  test('stands in the guide as it is pasted', () => {
    const steps = type.guide(BASE, { label: 'Countersign op-1', scopes: 'read_products,write_products' });
    expect(steps.join('\n')).toContain('exactly: read_products,write_products');
    expect(steps.join('\n')).toContain('“Countersign op-1”');
    expect(type.revokeGuide(BASE, 'x')[0]).toContain('https://admin.shopify.com/store/my-shop/settings/apps');
  });
});
