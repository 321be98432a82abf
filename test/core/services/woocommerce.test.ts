import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import { Secret } from '../../../core/secret.ts';
import type { VerifyResult } from '../../../core/services/service.ts';
import { defaultPermissions, permissionProblem } from '../../../core/services/ways.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { verify } from '../../../core/services/woocommerce/verify.ts';
import { silentLog } from '../../support/silent-log.ts';

const found = woocommerce.operationTypes.api_key_generation;
if (found === undefined) throw new Error('WooCommerce has no API keys');
const type = found;

describe('the address of a shop', () => {
  test.each([
    ['shop.example.com', 'https://shop.example.com'],
    ['  Shop.Example.COM/  ', 'https://shop.example.com'],
    ['HTTPS://shop.example.com', 'https://shop.example.com'],
    ['http://shop.example.com', 'http://shop.example.com'],
    ['<https://shop.example.com>.', 'https://shop.example.com'],
    ['“shop.example.com”', 'https://shop.example.com'],
    ['shop.example.com:8443', 'https://shop.example.com:8443'],
    ['https://shop.example.com:443/', 'https://shop.example.com'],
    ['shop.example.com.', 'https://shop.example.com'],
    ['http://localhost:4001', 'http://localhost:4001'],
    ['localhost:4001', 'http://localhost:4001'],
    ['https://localhost:4001', 'https://localhost:4001'],
    ['127.0.0.1:4001', 'http://127.0.0.1:4001'],
    ['http://[::1]:4001/', 'http://[::1]:4001'],
    ['http://192.168.1.20', 'http://192.168.1.20'],
    ['localhost.example.com', 'https://localhost.example.com'],
    [`${'s'.repeat(63)}.${'shop.'.repeat(36)}example.c`, `https://${'s'.repeat(63)}.${'shop.'.repeat(36)}example.c`],
    ['münchen-shop.example', 'https://xn--mnchen-shop-thb.example'],
  ])('reads %s as %s', (text, base) => {
    expect(woocommerce.parseTarget(text)).toEqual({ kind: 'target', origin: base, base });
  });

  test.each([
    ['https://example.com/store/', '/store'],
    ['https://example.com/wp-admin/admin.php?page=wc-settings&tab=advanced', ''],
    ['https://example.com/store/wp-admin', '/store'],
    ['https://example.com/a/b/wp-login.php?redirect_to=x', '/a/b'],
    ['https://example.com/shop/', ''],
    ['https://example.com/store/shop', '/store'],
    ['https://example.com/index.php', ''],
    ['https://example.com/wp-json/wc/v3/products', ''],
    ['https://example.com/store/../other?x#y', '/other'],
    ['https://example.com/workshop', '/workshop'],
  ])('takes from %s the folder "%s"', (text, folder) => {
    expect(woocommerce.parseTarget(text)).toMatchObject({
      kind: 'target',
      origin: 'https://example.com',
      base: `https://example.com${folder}`,
    });
  });

  test.each([
    ['', 'is missing'],
    ['my shop.example.com', 'no spaces'],
    ['https://good.example\\@evil.example', 'no backslashes'],
    ['shop\u202emoc.elpmaxe', 'no spaces'],
    ['ftp://shop.example.com', 'not with ftp:'],
    ['javascript:alert(1)', 'not with javascript:'],
    ['file:///etc/passwd', 'not with file:'],
    ['https:shop.example.com', "isn't an address"],
    ['https:///shop.example.com', "isn't an address"],
    ['https://admin:hunter2@shop.example.com', 'Leave user name and password out'],
    ['https://shop.example.com@evil.example', 'Leave user name and password out'],
    ['shop.example.com:0', 'no port'],
    ['shop.example.com:70000', 'no port'],
    ['shop', 'no dot'],
    ['http://intranet/', 'no dot'],
    ['http://2130706433/', 'usual form'],
    ['http://0x7f.1', 'usual form'],
    ['http://127.1', 'usual form'],
    ['http://[::ffff:127.0.0.1]', 'usual form'],
    ['http://%6c%6fcalhost.example', 'percent sign'],
    ['https://shop..example.com', 'no dot'],
    ['https://exa mple.com', 'no spaces'],
    ['https://shop.example.com/%2e%2e%2f"x', 'the site itself'],
    [`https://shop.example.com/${'p'.repeat(2024)}`, 'at most 2048 characters'],
    [`${'shop.'.repeat(50)}example`, 'at most 253 characters'],
    [`${'s'.repeat(64)}.example.com`, '63 between two dots'],
  ])('refuses %s', (text, words) => {
    const result = woocommerce.parseTarget(text);
    expect(result).toMatchObject({ kind: 'invalid', reason: expect.stringContaining(words) });
    expect(result.kind === 'invalid' && result.reason).not.toContain('hunter2');
  });
});

describe('the permissions', () => {
  test.each([
    { granted: ['read_shop'], scope: 'read', scopeWords: 'Read' },
    { granted: ['write_shop'], scope: 'write', scopeWords: 'Write' },
    { granted: ['read_shop', 'write_shop'], scope: 'read_write', scopeWords: 'Read/Write' },
  ])('$granted make a key for $scopeWords', ({ granted, scope, scopeWords }) => {
    const all = ['sign_in', 'create_api_key', 'check_key', ...granted];
    expect(permissionProblem(type, type.ways[0], all)).toBeUndefined();
    expect(type.values(all)).toEqual({ scope, scopeWords });
  });

  test.each([
    { granted: ['sign_in', 'create_api_key', 'check_key'], words: 'at least one' },
    { granted: ['sign_in', 'create_api_key', 'read_shop'], words: 'Check the key' },
    { granted: ['create_api_key', 'check_key', 'read_shop'], words: 'Sign in' },
    { granted: ['sign_in', 'create_api_key', 'check_key', 'read_shop', 'delete_shop'], words: 'no permission' },
  ])('$granted are refused', ({ granted, words }) => {
    expect(permissionProblem(type, type.ways[0], granted)).toContain(words);
  });

  test('ask for no more than reading unless somebody chooses more', () => {
    expect(type.values(defaultPermissions(type))).toEqual({ scope: 'read', scopeWords: 'Read' });
  });
});

test('the guides name the shop, the key and its power', () => {
  const guide = type.guide('https://shop.example.com', { label: 'Countersign op-1', scopeWords: 'Read' }).join(' ');
  for (const words of ['https://shop.example.com/wp-login.php', 'Countersign op-1', '“Read”'])
    expect(guide).toContain(words);
  expect(type.revokeGuide('https://shop.example.com', 'Countersign op-1').join(' ')).toContain('Countersign op-1');
});

describe('checking a key', () => {
  const KEY = `ck_${'0a'.repeat(20)}`;
  const SECRET = `cs_${'0b'.repeat(20)}`;
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });

  type Answer = { status: number; body: unknown; headers?: Record<string, string> };

  /** Checks against a server that gives these answers, the last one again and again. */
  async function checked(
    answers: readonly Answer[],
    scope = ['read_shop'],
  ): Promise<{ result: VerifyResult; urls: string[] }> {
    const urls: string[] = [];
    const server = createServer((request, response) => {
      const answer = answers[Math.min(urls.length, answers.length - 1)] ?? { status: 500, body: '' };
      urls.push(request.url ?? '');
      response.writeHead(answer.status, answer.headers);
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const address = server.address();
    const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const http = createHttp({ egress: createEgress({ privateTargets: [host], log: silentLog }) });
    const credential = { consumer_key: new Secret(KEY), consumer_secret: new Secret(SECRET) };
    const base = `http://${host}`;
    return { result: await verify({ base, origin: base, credential, permissions: scope, http }), urls };
  }

  const authError = (message: string) => ({
    status: 401,
    body: { code: 'woocommerce_rest_authentication_error', message },
  });
  const page = (status: number, headers?: Record<string, string>) => ({
    status,
    body: '<html>',
    ...(headers ? { headers } : {}),
  });

  const NO_WRITE = authError('The API key provided does not have write permissions.');

  test('counts the products, and writes to nowhere, with no secret in either address', async () => {
    const products = { status: 200, body: [{ id: 1 }], headers: { 'X-WP-Total': '1' } };
    const { result, urls } = await checked([products, NO_WRITE]);
    expect(result).toMatchObject({
      kind: 'works',
      checked: expect.stringMatching(
        /^127\.0\.0\.1:\d+ answered 200, 1 product; the key may read, and change nothing$/,
      ),
    });
    expect(urls).toEqual(['/wp-json/wc/v3/products?per_page=1', '/wp-json/wc/v3/countersign-nowhere']);
  });

  test.each([
    { what: 'a page instead of products', answer: page(200), words: 'something else than products', retry: false },
    { what: 'a wrong signature', answer: authError('Invalid signature'), words: 'was revoked there', retry: false },
    {
      what: 'an unread signature',
      answer: { status: 401, body: { code: 'woocommerce_rest_cannot_view' } },
      words: 'as if no key had been sent',
      retry: false,
    },
    { what: 'plain permalinks', answer: page(404), words: 'Permalinks', retry: false },
    {
      what: 'no WooCommerce',
      answer: { status: 404, body: { code: 'rest_no_route' } },
      words: 'Is WooCommerce active',
      retry: false,
    },
    {
      what: 'an owner without rights',
      answer: { status: 403, body: { code: 'woocommerce_rest_cannot_view' } },
      words: 'its owner',
      retry: false,
    },
    { what: 'a firewall', answer: page(403), words: 'firewall', retry: false },
    {
      what: 'a redirect',
      answer: page(301, { location: 'https://www.example.com/secret' }),
      words: 'sends the request to another address. Ask again',
      retry: false,
    },
    { what: 'an outage', answer: page(503), words: 'could not be checked now', retry: true },
    { what: 'too many requests', answer: page(429), words: 'could not be checked now', retry: true },
  ])('says in words what $what means', async ({ answer, words, retry }) => {
    const { result } = await checked([answer]);
    expect(result).toMatchObject({ kind: 'fails', reason: expect.stringContaining(words), isRetryable: retry });
  });

  test('says that an unreachable shop may be tried again, and a forbidden one may not', async () => {
    const credential = { consumer_key: new Secret(KEY), consumer_secret: new Secret(SECRET) };
    const base = 'http://127.0.0.1:1';
    const input = { base, origin: base, credential, permissions: ['read_shop'] };
    const open = createHttp({ egress: createEgress({ privateTargets: ['127.0.0.1:1'], log: silentLog }) });
    expect(await verify({ ...input, http: open })).toMatchObject({ kind: 'fails', isRetryable: true });
    const closed = createHttp({ egress: createEgress({ privateTargets: [], log: silentLog }) });
    expect(await verify({ ...input, http: closed })).toMatchObject({ kind: 'fails', isRetryable: false });
  });

  const NO_READ = authError('Der Schlüssel hat keine Leserechte.'); // a shop may have translated it
  const NO_ROUTE = { status: 404, body: { code: 'rest_no_route' } };
  const PRODUCTS = { status: 200, body: [] };
  const UNSEEN = { status: 401, body: { code: 'woocommerce_rest_cannot_view' } };

  test.each([
    { scope: 'read_shop', read: PRODUCTS, write: NO_WRITE, kind: 'works', words: 'may read, and change nothing' },
    { scope: 'read_shop', read: PRODUCTS, write: NO_ROUTE, kind: 'fails', words: 'more than was approved' },
    { scope: 'read_shop write_shop', read: PRODUCTS, write: NO_ROUTE, kind: 'works', words: 'may read and change' },
    { scope: 'read_shop write_shop', read: PRODUCTS, write: NO_WRITE, kind: 'fails', words: 'may only read' },
    { scope: 'write_shop', read: NO_READ, write: NO_ROUTE, kind: 'works', words: 'may change, and not read' },
    { scope: 'write_shop', read: PRODUCTS, write: NO_ROUTE, kind: 'fails', words: 'may also read' },
    { scope: 'write_shop', read: NO_READ, write: NO_WRITE, kind: 'fails', words: 'does not accept' },
    { scope: 'write_shop', read: UNSEEN, write: NO_ROUTE, kind: 'fails', words: 'as if no key had been sent' },
    { scope: 'read_shop', read: PRODUCTS, write: page(503), kind: 'fails', words: 'could not be checked now' },
    // Of a key that we made, or the vendor gave, is known what it may do.
    { scope: 'read_shop', read: PRODUCTS, write: page(403), kind: 'works', words: 'could not be told (403)' },
    { scope: 'read_shop enter_key', read: PRODUCTS, write: page(403), kind: 'fails', words: 'could not be told (403)' },
    { scope: 'write_shop', read: NO_READ, write: page(403), kind: 'fails', words: 'could not be told (403)' },
  ])(
    '126 of a key for $scope that answers $read.status to reading and $write.status to writing says: $words',
    async ({ scope, read, write, kind, words }) => {
      const { result } = await checked([read, write], scope.split(' '));
      expect(result.kind).toBe(kind);
      expect(result.kind === 'works' ? result.checked : result.reason).toContain(words);
    },
  );
});
