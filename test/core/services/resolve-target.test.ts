import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import type { Http } from '../../../core/ports/http.ts';
import { resolveTarget, UNREACHABLE_MS } from '../../../core/services/resolve-target.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { type LoopbackSite, serveSite } from '../../support/loopback-site.ts';
import { silentLog } from '../../support/silent-log.ts';

let site: LoopbackSite;
let other: LoopbackSite;

const to = (location: string) => (_: unknown, response: ServerResponse) => {
  response.writeHead(302, { location });
  response.end();
};

beforeAll(async () => {
  other = await serveSite({ '/': 'another shop' });
  site = await serveSite({
    '/shop/': 'a shop in a folder',
    '/moved/': to('/shop/'),
    '/circle/': to('/circle/'),
    '/away/': to(`${other.origin}/`),
    '/script/': to('javascript:alert(1)'),
    '/as-somebody/': (_, response) => to(`http://admin:secret@${site.authority}/shop/`)(_, response),
    '/broken/': (_, response) => response.writeHead(503).end(),
  });
});
afterAll(async () => {
  await site.close();
  await other.close();
});

function resolved(base: string, privateTargets = [site.authority, other.authority]) {
  const egress = createEgress({ privateTargets, log: silentLog });
  return resolveTarget({ egress, http: createHttp({ egress }) }, woocommerce, { origin: new URL(base).origin, base });
}

test.each([
  ['a page', '/shop'],
  ['a page elsewhere on the same site: the folder stays as it was written', '/moved'],
  ['a page that is broken, which the work itself will find out', '/broken'],
])('an address that answers with %s is the target', async (_, folder) => {
  const base = site.origin + folder;
  expect(await resolved(base)).toEqual({ kind: 'target', origin: site.origin, base });
});

test.each([
  ['away', /sends its visitors on to another site/],
  ['script', /sends its visitors on to another site/],
  ['as-somebody', /sends its visitors on to another site/],
  ['circle', /sends its visitors in a circle/],
])('a site that leads %s is left to a person, and no name of the site’s own is repeated', async (folder, words) => {
  const outcome = await resolved(`${site.origin}/${folder}`);
  expect(outcome).toMatchObject({ kind: 'invalid', reason: expect.stringMatching(words) });
  expect(JSON.stringify(outcome)).not.toContain(other.authority);
});

test('125 closed, private and unknown addresses get the same words, and none of them sooner than another', async () => {
  const closed = createServer();
  await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
  const { port } = closed.address() as { port: number }; // a listening TCP server has one
  await new Promise((done) => closed.close(done));
  const timed = async (base: string, listed: string[]) => {
    const began = performance.now();
    const outcome = await resolved(base, listed);
    // A timer may fire a millisecond early by this clock.
    expect(performance.now() - began).toBeGreaterThan(UNREACHABLE_MS - 5);
    return outcome.kind === 'invalid' ? outcome.reason.replace(/open \S+ from/, 'open … from') : '';
  };
  const words = await Promise.all([
    timed(`http://localhost:${port}`, [`localhost:${port}`]),
    timed(`http://localhost:${port}`, []),
    timed('http://no-such-name.invalid', []),
  ]);
  expect(new Set(words)).toEqual(
    new Set(["I can't open … from here: it does not exist, does not answer, or is not a public address."]),
  );
});

/** A port of public names, which no test can reach. */
function answering(redirects: Readonly<Record<string, string>>): Http {
  return {
    request: async ({ url }) => {
      const location = redirects[url];
      return location === undefined
        ? { status: 200, headers: {}, body: '' }
        : { status: 301, headers: { location }, body: '' };
    },
  };
}
const everywhere = { check: async () => ({ isAllowed: true }) as const };

test.each([
  [{ 'http://shop.example.com/': 'https://shop.example.com/' }, 'https://shop.example.com'],
  [{ 'http://shop.example.com/': 'https://www.shop.example.com/' }, 'https://www.shop.example.com'],
  [
    {
      'http://shop.example.com/': 'http://www.shop.example.com/',
      'http://www.shop.example.com/': 'https://www.shop.example.com/de/',
    },
    'https://www.shop.example.com',
  ],
])('https, and the name with and without www., are the same site', async (redirects, origin) => {
  const target = { origin: 'http://shop.example.com', base: 'http://shop.example.com' };
  const outcome = await resolveTarget({ egress: everywhere, http: answering(redirects) }, woocommerce, target);
  expect(outcome).toEqual({ kind: 'target', origin, base: origin });
});

test.each([
  ['https://shop.example.com/', 'http://shop.example.com/', /back to http/],
  ['https://shop.example.com/', 'https://shop.example.com:8443/', /another site/],
  ['https://shop.example.com/', 'https://shop.example.org/', /another site/],
  ['https://shop.example.com/', 'https://www.shop.example.com.evil.example/', /another site/],
])('from %s it does not go to %s', async (from, location, words) => {
  const { origin } = new URL(from);
  const http = answering({ [from]: location });
  expect(await resolveTarget({ egress: everywhere, http }, woocommerce, { origin, base: origin })).toMatchObject({
    kind: 'invalid',
    reason: expect.stringMatching(words),
  });
});

test('the address that a name leads to is looked at before anything is sent there', async () => {
  const asked: string[] = [];
  const egress = {
    check: async (origin: string) => {
      asked.push(origin);
      return origin.includes('www')
        ? ({ isAllowed: false, reason: 'private_address' } as const)
        : ({ isAllowed: true } as const);
    },
  };
  const http = answering({ 'https://shop.example.com/': 'https://www.shop.example.com/' });
  const target = { origin: 'https://shop.example.com', base: 'https://shop.example.com' };
  expect(await resolveTarget({ egress, http }, woocommerce, target)).toMatchObject({ kind: 'invalid' });
  expect(asked).toEqual(['https://shop.example.com', 'https://www.shop.example.com']);
});

test.each([
  { what: 'a shop of its own in it', pages: { '/shop/wp-login.php': '<input id="user_login">' }, path: '/shop' },
  { what: 'a page of the site', pages: {}, path: '' },
  { what: 'a page of a site that answers everything', pages: { '/shop/wp-login.php': 'Welcome' }, path: '' },
])('a last part that is usually a page, with $what', async ({ pages, path }) => {
  const here = await serveSite({ '/': 'a site', ...pages });
  try {
    const egress = createEgress({ privateTargets: [here.authority], log: silentLog });
    const deps = { egress, http: createHttp({ egress }) };
    const target = woocommerce.parseTarget(`${here.origin}/shop/`);
    if (target.kind !== 'target') throw new Error(target.reason);
    expect(await resolveTarget(deps, woocommerce, target)).toMatchObject({ base: here.origin + path });
  } finally {
    await here.close();
  }
});
