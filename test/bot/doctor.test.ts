// `countersign doctor SERVICE ADDRESS`, as an operator runs it.
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { runCli } from '../../bot/cli.ts';
import { type Listening, listenOnLoopback } from '../../core/http-listen.ts';
import { shopify } from '../../core/services/shopify/index.ts';
import { type PracticeStripe, startPracticeStripe } from '../practice/stripe/server.ts';
import { createLoopbackCertificate } from '../practice/woocommerce/certificate.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog } from '../support/silent-log.ts';

let shop: PracticeShop;
let site: LoopbackSite;
let stranger: Listening;
let stripe: PracticeStripe;

/** WordPress' list of its own interfaces. */
const index =
  (namespaces: readonly string[], date = new Date(), more: object = {}) =>
  (_: unknown, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json', date: date.toUTCString() });
    response.end(JSON.stringify({ name: 'Shop', namespaces, ...more }));
  };
const status = (code: number) => (_: unknown, response: ServerResponse) => response.writeHead(code).end();

beforeAll(async () => {
  shop = await startPracticeShop();
  site = await serveSite({
    '/plain/': index(['wc/v3']),
    '/closed/': 'a shop',
    '/closed/wp-json/': status(401),
    '/blog/': 'a blog',
    '/blog/wp-json/': index(['wp/v2']),
    '/blog/wp-login.php': '<input id="user_login"><input id="user_pass">',
    '/late/': 'a shop',
    '/late/wp-json/': index(['wc/v3'], new Date(Date.now() - 20 * 60_000)),
    '/none/': 'a page',
    '/frozen/': status(402),
    '/held/': 'a site',
    '/held/wp-json/': status(503),
    '/moved/': 'a site',
    '/moved/wp-json/': index(['wp/v2', 'wc/v3'], new Date(), {
      url: 'https://elsewhere.example/wp',
      authentication: [],
    }),
  });
  stripe = await startPracticeStripe();
  const server = createServer(createLoopbackCertificate(), (_request, response) => response.end());
  stranger = await listenOnLoopback(server, 0);
});
afterAll(async () => {
  await shop.close();
  await site.close();
  await stranger.close();
  await stripe.close();
});

async function doctor(service: string, address: string, isListed = true) {
  const [said, complained]: [string[], string[]] = [[], []];
  const listed = [
    new URL(shop.origin).host,
    new URL(stripe.origin).host,
    site.authority,
    `localhost:${stranger.port}`,
  ].join(',');
  const env = isListed ? { ALLOW_PRIVATE_TARGETS: listed } : {};
  const sinks = { say: (line: string) => said.push(line), complain: (line: string) => complained.push(line) };
  const code = await runCli(['doctor', service, address], { env, ...sinks });
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}

describe('countersign doctor', () => {
  test('finds a good shop good, but for http', async () => {
    const { code, said } = await doctor('woocommerce', shop.origin);
    expect(said.split('\n')).toEqual([
      `ok     ${new URL(shop.origin).host} answers.`,
      'WRONG  It is reached over http: a password and a key can be read on the way. Have it use https.',
      'ok     Its clock is right.',
      'ok     Its REST API answers.',
      'ok     WooCommerce is active.',
      'ok     Its sign-in page is where WordPress has it.',
    ]);
    expect(code).toBe(1);
  });

  test.each([
    ['plain', /REST API has no address.*Permalinks/],
    ['closed', /closed to strangers \(401\)/],
    ['blog', /WooCommerce is not active/],
    ['late', /clock is 20 minutes off/],
    ['none', /no REST API of WordPress here \(404\)/],
    ['none', /sign-in page is not at \/wp-login.php.*\(404\)/],
  ])('says what is wrong with the shop /%s', async (folder, words) => {
    const { code, said } = await doctor('woocommerce', `${site.origin}/${folder}`);
    expect(
      said
        .split('\n')
        .filter((line) => line.startsWith('WRONG'))
        .join('\n'),
    ).toMatch(words);
    expect(code).toBe(1);
  });

  test.each([
    ['held', /in maintenance, or overloaded \(503\)[^\n]*\.maintenance/],
    ['moved', /knows itself by another address/],
    ['moved', /makes no application passwords/],
    ['moved', /hides accounts from its REST API \(404\)/],
    ['late', /clock is 20 minutes off/],
    ['closed', /closed to strangers \(401\)[^\n]* A password may still work/],
    ['none', /no REST API of WordPress here \(404\). Is this the site's own address/],
  ])('says what is wrong with the site /%s', async (folder, words) => {
    const { code, said } = await doctor('wordpress', `${site.origin}/${folder}`);
    expect(said).toMatch(words);
    expect(said).not.toContain('elsewhere.example'); // the site's own text
    expect(code).toBe(1);
  });

  test('says whether Stripe’s API can be reached', async () => {
    const words = async (origin: string) => (await doctor('stripe', origin)).said.split('\n').slice(1);
    expect(await words(stripe.origin)).toEqual(['ok     Its API answers, and asks for a key.']);
    expect(await words(site.origin)).toEqual([expect.stringMatching(/^WRONG {2}Its API answers 404 where/)]);
  });

  test.each([
    ['none', true, 'Shopify knows a store of this name.'],
    ['no-such-store', false, 'Shopify has no store of this name, or it is closed (404).'],
    ['frozen', false, 'Shopify has closed this store for now (402).'],
  ])('says what Shopify has under the name of /%s', async (folder, isGood, words) => {
    const http = createHttp({ egress: createEgress({ privateTargets: [site.authority], log: silentLog }) });
    const { origin } = site; // Shopify's own addresses are not reached from a test
    const found = await shopify.examine?.({ base: `${origin}/${folder}`, origin, http });
    expect(found).toEqual([{ isGood, words: expect.stringContaining(words) }]);
  });

  test('says why an address can’t be reached', async () => {
    const words = async (address: string, isListed?: boolean) => (await doctor('woocommerce', address, isListed)).said;
    expect(await words('no-such-name.invalid')).toMatch(/WRONG {2}no-such-name\.invalid does not exist/);
    expect(await words(site.origin, false)).toMatch(/has a private address.*ALLOW_PRIVATE_TARGETS/);
    expect(await words(`https://localhost:${stranger.port}`)).toMatch(/certificate/);
    expect(await words('two words')).toMatch(/An address has no spaces/);
  });

  test('knows the services by name, and says which', async () => {
    expect(await doctor('xero', site.origin)).toMatchObject({
      code: 2,
      complained: expect.stringContaining('woocommerce'),
    });
  });
});
