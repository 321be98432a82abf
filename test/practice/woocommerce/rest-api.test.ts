import { createHmac } from 'node:crypto';
import OAuth from 'oauth-1.0a';
import { Agent, type Dispatcher, fetch } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PracticeShop, startPracticeShop } from './server.ts';
import { createVisitor, type MadeKey } from './visitor.ts';

type Method = 'HMAC-SHA1' | 'HMAC-SHA256';

const PRODUCTS = '/wp-json/wc/v3/products';
const QUIET = { obstacles: { adminEmailCheck: false } };

let shop: PracticeShop;
let key: MadeKey;

beforeAll(async () => {
  shop = await startPracticeShop(QUIET);
  key = await keyOf(shop, 'read_write');
});
afterAll(() => shop.close());

async function keyOf(target: PracticeShop, permissions: string, dispatcher?: Dispatcher): Promise<MadeKey> {
  const visitor = createVisitor(target, dispatcher);
  await visitor.signIn();
  return visitor.makeKey(`Key to ${permissions}`, permissions);
}

interface Signing {
  readonly method?: string;
  readonly path?: string;
  readonly signature?: Method;
  readonly origin?: string;
  readonly consumerKey?: string;
  readonly consumerSecret?: string;
  readonly form?: Readonly<Record<string, string>>;
  /** Put into the signed parameters, in place of what the library would choose. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** Signs by the `oauth-1.0a` package: the shop checks with code that shares nothing with it. */
function sign(signing: Signing = {}): Record<string, string | number> {
  const { method = 'GET', path = PRODUCTS, signature = 'HMAC-SHA256', form = {}, parameters = {} } = signing;
  const { origin = shop.origin } = signing;
  const algorithm = signature === 'HMAC-SHA1' ? 'sha1' : 'sha256';
  const oauth = new OAuth({
    consumer: { key: signing.consumerKey ?? key.consumerKey, secret: signing.consumerSecret ?? key.consumerSecret },
    signature_method: signature,
    hash_function: (text, secret) => createHmac(algorithm, secret).update(text).digest('base64'),
  });
  const data = {
    oauth_consumer_key: oauth.consumer.key,
    oauth_nonce: oauth.getNonce(),
    oauth_signature_method: signature,
    oauth_timestamp: oauth.getTimeStamp(),
    oauth_version: '1.0',
    ...parameters,
  };
  // The library types the timestamp as a number alone, and a test may put any text there. It also writes into what it
  // is given, hence the copy.
  const oauth_signature = oauth.getSignature({ url: origin + path, method, data: form }, undefined, {
    ...data,
  } as unknown as OAuth.Data);
  return { ...data, oauth_signature };
}

function headerOf(signed: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(signed).map(([name, value]) => `${name}="${encodeURIComponent(String(value))}"`);
  return `OAuth ${parts.join(', ')}`;
}

async function call(path: string, authorization?: string, init: { method?: string; body?: string } = {}) {
  const headers = { ...(authorization && { authorization }), ...(init.body && { 'content-type': 'application/json' }) };
  const response = await fetch(shop.origin + path, { ...init, headers });
  return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
}

describe('OAuth 1.0a over plain http', () => {
  test.each<[Method, string]>([
    ['HMAC-SHA1', PRODUCTS],
    ['HMAC-SHA256', PRODUCTS],
    ['HMAC-SHA1', `${PRODUCTS}?per_page=2&search=caf%C3%A9%20%26%20(tea)`],
    ['HMAC-SHA256', `${PRODUCTS}?per_page=2&search=caf%C3%A9%20%26%20(tea)`],
  ])('accepts %s for %s, in the header and in the query', async (signature, path) => {
    const byHeader = await call(path, headerOf(sign({ signature, path })));
    const query = new URLSearchParams(
      Object.entries(sign({ signature, path })).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const byQuery = await call(`${path}${path.includes('?') ? '&' : '?'}${query}`);
    expect([byHeader.status, byQuery.status]).toEqual([200, 200]);
    expect(byHeader.headers.get('x-wp-total')).toBe('5');
  });

  test('answers system status, products and orders', async () => {
    for (const path of ['/wp-json/wc/v3/system_status', PRODUCTS, '/wp-json/wc/v3/orders']) {
      expect((await call(path, headerOf(sign({ path })))).status, path).toBe(200);
    }
  });

  test('gives a page of the list and its totals', async () => {
    const path = `${PRODUCTS}?per_page=2&page=3`;
    const { body, headers } = await call(path, headerOf(sign({ path })));
    expect(body).toMatchObject([{ name: 'Linen apron', price: '39.00', stock_status: 'instock' }]);
    expect(headers.get('x-wp-totalpages')).toBe('3');
  });

  const now = Math.floor(Date.now() / 1000);
  test.each<[string, () => Record<string, unknown>, string]>([
    ['an unknown key', () => sign({ consumerKey: `ck_${'0'.repeat(40)}` }), 'Consumer key is invalid.'],
    [
      'a wrong secret',
      () => sign({ consumerSecret: `cs_${'0'.repeat(40)}` }),
      'Invalid signature - provided signature does not match.',
    ],
    [
      'another path than was signed',
      () => sign({ path: '/wp-json/wc/v3/orders' }),
      'Invalid signature - provided signature does not match.',
    ],
    [
      'another method than was signed',
      () => sign({ method: 'POST' }),
      'Invalid signature - provided signature does not match.',
    ],
    [
      'a parameter that was not signed',
      () => ({ ...sign(), oauth_extra: '1' }),
      'Invalid signature - provided signature does not match.',
    ],
    [
      'PLAINTEXT',
      () => sign({ parameters: { oauth_signature_method: 'PLAINTEXT' } }),
      'Invalid signature - signature method is invalid.',
    ],
    [
      'a timestamp 16 minutes old',
      () => sign({ parameters: { oauth_timestamp: `${now - 960}` } }),
      'Invalid timestamp.',
    ],
    [
      'a timestamp 16 minutes ahead',
      () => sign({ parameters: { oauth_timestamp: `${now + 960}` } }),
      'Invalid timestamp.',
    ],
    ['a timestamp that is no number', () => sign({ parameters: { oauth_timestamp: 'soon' } }), 'Invalid timestamp.'],
  ])('refuses %s', async (_name, signed, message) => {
    const { status, body } = await call(PRODUCTS, headerOf(signed()));
    expect(status).toBe(401);
    expect(body).toEqual({ code: 'woocommerce_rest_authentication_error', message, data: { status: 401 } });
  });

  test('takes a timestamp of 14 minutes ago', async () => {
    const signed = sign({ parameters: { oauth_timestamp: `${Math.floor(Date.now() / 1000) - 840}` } });
    expect((await call(PRODUCTS, headerOf(signed))).status).toBe(200);
  });

  test('refuses the same request a second time', async () => {
    const header = headerOf(sign());
    expect((await call(PRODUCTS, header)).status).toBe(200);
    const again = await call(PRODUCTS, header);
    expect(again.status).toBe(401);
    expect(again.body).toMatchObject({ message: 'Invalid nonce - nonce has already been used.' });
  });

  test('names the parameters that are missing', async () => {
    const { oauth_nonce, oauth_timestamp, ...rest } = sign();
    const { status, body } = await call(PRODUCTS, headerOf(rest));
    expect(status).toBe(401);
    expect(body).toMatchObject({
      code: 'woocommerce_rest_authentication_missing_parameter',
      message: 'Missing OAuth parameters oauth_timestamp, oauth_nonce',
    });
  });

  test('covers a form by the signature, and creates a product from it', async () => {
    const form = { name: 'Tea & honey', regular_price: '6.50' };
    const signed = sign({ method: 'POST', form });
    const send = (fields: Record<string, string>, authorization: string) =>
      fetch(shop.origin + PRODUCTS, { method: 'POST', body: new URLSearchParams(fields), headers: { authorization } });
    expect((await send({ ...form, name: 'Coffee' }, headerOf(signed))).status).toBe(401);
    expect((await send(form, headerOf(signed))).status).toBe(201);
    const { body, headers } = await call(PRODUCTS, headerOf(sign()));
    expect(headers.get('x-wp-total')).toBe('6');
    expect(body).toContainEqual(expect.objectContaining(form));
  });
});

describe('what a key may do', () => {
  test.each<[permissions: string, read: number, write: number]>([
    ['read', 200, 401],
    ['write', 401, 201],
    ['read_write', 200, 201],
  ])('%s: reading gives %i, writing gives %i', async (permissions, read, write) => {
    const own = await startPracticeShop(QUIET);
    try {
      const { consumerKey, consumerSecret } = await keyOf(own, permissions);
      const send = (method: string) => {
        const authorization = headerOf(sign({ origin: own.origin, method, consumerKey, consumerSecret }));
        return fetch(own.origin + PRODUCTS, { method, headers: { authorization } });
      };
      expect([(await send('GET')).status, (await send('POST')).status]).toEqual([read, write]);
    } finally {
      await own.close();
    }
  });

  test('notes when the key was last used, and only then', async () => {
    const visitor = createVisitor(shop);
    await visitor.signIn();
    const { consumerKey, consumerSecret, keyId } = await visitor.makeKey('Seldom used');
    const lastAccess = () => shop.keys().find((one) => one.id === keyId)?.lastAccess;
    await call(PRODUCTS, headerOf(sign({ consumerKey, consumerSecret: `cs_${'1'.repeat(40)}` })));
    expect(lastAccess()).toBeUndefined();
    await call(PRODUCTS, headerOf(sign({ consumerKey, consumerSecret })));
    expect(lastAccess()).toBeInstanceOf(Date);
  });

  test('strangers are told that they cannot list or create', async () => {
    const list = await call(PRODUCTS);
    expect(list.status).toBe(401);
    expect(list.body).toEqual({
      code: 'woocommerce_rest_cannot_view',
      message: 'Sorry, you cannot list resources.',
      data: { status: 401 },
    });
    const create = await call(PRODUCTS, undefined, { method: 'POST', body: '{"name":"Nothing"}' });
    expect(create.body).toMatchObject({ code: 'woocommerce_rest_cannot_create', data: { status: 401 } });
  });

  test('a session in a browser opens nothing here', async () => {
    const visitor = createVisitor(shop);
    await visitor.signIn();
    expect((await visitor.get(PRODUCTS)).status).toBe(401);
  });
});

describe('the rest of the API', () => {
  test('the index is open, unknown routes are 404, broken JSON is 400', async () => {
    expect((await call('/wp-json/')).body).toMatchObject({ name: 'Practice Shop', namespaces: ['wc/v3', 'wp/v2'] });
    const path = '/wp-json/wc/v3/nothing';
    const unknown = await call(path, headerOf(sign({ path })));
    expect(unknown.status).toBe(404);
    expect(unknown.body).toMatchObject({ code: 'rest_no_route' });
    const broken = await call(PRODUCTS, undefined, { method: 'POST', body: '{' });
    expect([broken.status, broken.body]).toMatchObject([400, { code: 'rest_invalid_json' }]);
  });

  test('refuses a page size that WordPress refuses', async () => {
    for (const query of ['per_page=0', 'per_page=101', 'per_page=many', 'page=0']) {
      const path = `${PRODUCTS}?${query}`;
      const { status, body } = await call(path, headerOf(sign({ path })));
      expect([query, status, body]).toMatchObject([query, 400, { code: 'rest_invalid_param' }]);
    }
  });

  test('is out of service once, when told so', async () => {
    shop.failNext('rest-unavailable');
    expect((await fetch(`${shop.origin}/wp-json/`)).status).toBe(503);
    expect((await fetch(`${shop.origin}/wp-json/`)).status).toBe(200);
  });
});

describe('Basic authentication', () => {
  const basic = (pair: MadeKey) =>
    `Basic ${Buffer.from(`${pair.consumerKey}:${pair.consumerSecret}`).toString('base64')}`;

  test('is overlooked over plain http, although the key is good', async () => {
    const query = `consumer_key=${key.consumerKey}&consumer_secret=${key.consumerSecret}`;
    for (const { status, body } of [await call(PRODUCTS, basic(key)), await call(`${PRODUCTS}?${query}`)]) {
      expect([status, body]).toMatchObject([401, { code: 'woocommerce_rest_cannot_view' }]);
    }
  });

  test('is overlooked behind a proxy that only claims TLS', async () => {
    const headers = { authorization: basic(key), 'x-forwarded-proto': 'https' };
    expect((await fetch(shop.origin + PRODUCTS, { headers })).status).toBe(401);
  });

  test('works over https, in the header and in the query, and refuses a wrong secret by name', async () => {
    const secure = await startPracticeShop({ ...QUIET, https: true });
    const dispatcher = new Agent({ connect: { ca: secure.certificate ?? '' } });
    try {
      const pair = await keyOf(secure, 'read', dispatcher);
      const get = (query: string, authorization: string) =>
        fetch(`${secure.origin}${PRODUCTS}${query}`, { dispatcher, headers: { authorization } });
      expect(secure.origin).toMatch(/^https:\/\/localhost:\d+$/);
      expect((await get('', basic(pair))).status).toBe(200);
      const query = `?consumer_key=${pair.consumerKey}&consumer_secret=${pair.consumerSecret}`;
      expect((await get(query, '')).status).toBe(200);
      const wrong = await get('', basic({ ...pair, consumerSecret: `cs_${'0'.repeat(40)}` }));
      expect(wrong.status).toBe(401);
      expect(wrong.headers.get('www-authenticate')).toMatch(/^Basic realm="WooCommerce API/);
      expect(await wrong.json()).toMatchObject({ message: 'Consumer secret is invalid.' });
      const unknown = await get('', basic({ ...pair, consumerKey: `ck_${'0'.repeat(40)}` }));
      expect(await unknown.json()).toMatchObject({ code: 'woocommerce_rest_cannot_view' });
    } finally {
      await dispatcher.close();
      await secure.close();
    }
  });
});
