import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createTlsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import type { HttpRequest } from '../../core/ports/http.ts';
import { Secret } from '../../core/secret.ts';
import { createLoopbackCertificate } from '../practice/woocommerce/certificate.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog as log } from '../support/silent-log.ts';

const KEY = new Secret('ck_0123456789abcdef0123456789abcdef01234567');
const SECRET = new Secret('cs_76543210fedcba9876543210fedcba9876543210');
let site: LoopbackSite;
let tls: Server;
let tlsOrigin: string;

beforeAll(async () => {
  site = await serveSite({
    '/echo': (asked, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.end(JSON.stringify({ method: asked.method, headers: asked.headers, url: asked.url }));
    },
    '/big': (_asked, response) => void response.end('x'.repeat(3 * 1024 * 1024)),
    '/moved': (_asked, response) => void response.writeHead(301, { location: '/echo' }).end(),
    '/silent': () => undefined,
  });
  const { cert, key } = createLoopbackCertificate();
  setDefaultCACertificates([...getCACertificates('default'), cert]);
  tls = createTlsServer({ cert, key }, (asked, response) => response.end(JSON.stringify(asked.headers))).listen(
    0,
    '127.0.0.1',
  );
  await once(tls, 'listening');
  tlsOrigin = `https://localhost:${(tls.address() as AddressInfo).port}`; // a listening TCP server has an AddressInfo
});
afterAll(async () => {
  tls.close();
  await site.close();
});

function send(url: string, rest: Partial<HttpRequest> = {}) {
  const privateTargets = [site.authority, new URL(tlsOrigin).host];
  const http = createHttp({ egress: createEgress({ privateTargets, log }) });
  return http.request({ method: 'GET', url, origins: [new URL(url).origin], timeoutMs: 5_000, ...rest });
}

test('gives status, headers in lower case and the body', async () => {
  const answer = await send(`${site.origin}/echo`, {
    method: 'POST',
    body: '{}',
    headers: { 'Content-Type': 'application/json' },
  });
  expect(answer).toMatchObject({ status: 200, headers: { 'set-cookie': 'a=1, b=2' } });
  expect(JSON.parse(answer.body)).toMatchObject({
    method: 'POST',
    headers: { host: site.authority, 'content-type': 'application/json' },
  });
});

test('keeps the first MiB of a body', async () => {
  expect((await send(`${site.origin}/big`)).body).toHaveLength(1024 * 1024);
});

test('gives a redirect as the answer and follows none', async () => {
  const before = site.requests.length;
  expect(await send(`${site.origin}/moved`)).toMatchObject({ status: 301, headers: { location: '/echo' } });
  expect(site.requests.slice(before)).toEqual(['GET /moved']);
});

test('sends a name and password over https, in the header alone', async () => {
  const auth = { kind: 'basic', username: KEY, password: SECRET } as const;
  const seen = JSON.parse((await send(`${tlsOrigin}/`, { auth })).body);
  expect(Buffer.from(seen.authorization.replace('Basic ', ''), 'base64').toString()).toBe(
    `${KEY.reveal()}:${SECRET.reveal()}`,
  );
});

test('refuses to send a name and password over plain http, except to this computer itself', async () => {
  const auth = { kind: 'basic', username: KEY, password: SECRET } as const;
  const origin = 'http://site.example';
  await expect(send(`${origin}/echo`, { auth, origins: [origin] })).rejects.toMatchObject({
    code: 'egress_refused',
    message: expect.stringContaining('https only'),
  });
  expect(JSON.parse((await send(`${site.origin}/echo`, { auth })).body).headers.authorization).toMatch(/^Basic /);
});

test('sends a bearer token over https and to this computer itself, in the header alone', async () => {
  const auth = { kind: 'bearer', token: SECRET } as const;
  const seen = JSON.parse((await send(`${tlsOrigin}/`, { auth })).body);
  expect(seen.authorization).toBe(`Bearer ${SECRET.reveal()}`);
  const here = `http://localhost:${new URL(site.origin).port}/echo`;
  const { headers, url } = JSON.parse((await send(here, { auth })).body);
  expect([headers.authorization, url]).toEqual([`Bearer ${SECRET.reveal()}`, '/echo']);
});

test('refuses to send a bearer token over plain http to anybody else', async () => {
  const auth = { kind: 'bearer', token: SECRET } as const;
  await expect(send('http://shop.example.com/echo', { auth })).rejects.toMatchObject({
    code: 'egress_refused',
    message: expect.stringContaining('https only'),
  });
});

test('signs by OAuth 1.0a so that the other side computes the same signature, with a fresh nonce', async () => {
  const auth = { kind: 'oauth1', consumerKey: KEY, consumerSecret: SECRET } as const;
  const url = `${site.origin}/echo?b=x%20y&a=1`;
  const answers = await Promise.all([send(url, { auth }), send(url, { auth })]);
  const nonces = answers.map(({ body }) => {
    const seen = JSON.parse(body);
    expect(seen.url).toBe('/echo?b=x%20y&a=1'); // nothing of the signature in the address
    const fields = oauthFields(seen.headers.authorization);
    expect(fields.get('oauth_signature_method')).toBe('HMAC-SHA256');
    expect(fields.get('oauth_signature')).toBe(
      signature(
        'GET',
        `${site.origin}/echo`,
        [
          ['a', '1'],
          ['b', 'x y'],
        ],
        fields,
      ),
    );
    return fields.get('oauth_nonce');
  });
  expect(new Set(nonces).size).toBe(2);
});

test.each([
  ['another origin than the listed ones', () => ({ url: 'https://example.com/', origins: [site.origin] })],
  ['a private address that is not configured', () => ({ url: 'http://127.0.0.1:9/', origins: ['http://127.0.0.1:9'] })],
  ['another scheme', () => ({ url: 'file:///etc/passwd', origins: ['file://'] })],
])('refuses %s, for good', async (_what, where) => {
  const { url, origins } = where();
  await expect(send(url, { origins })).rejects.toMatchObject({ code: 'egress_refused', isRetryable: false });
});

test('calls silence, an unknown name and a closed port network errors, worth another try', async () => {
  const closed = await serveSite({});
  await closed.close();
  const egress = createEgress({ privateTargets: [closed.authority], log });
  const refused = createHttp({ egress }).request({
    method: 'GET',
    url: `${closed.origin}/`,
    origins: [closed.origin],
    timeoutMs: 5_000,
  });
  await expect(refused).rejects.toMatchObject({ code: 'network', isRetryable: true });
  await expect(send(`${site.origin}/silent`, { timeoutMs: 300 })).rejects.toMatchObject({
    code: 'network',
    isRetryable: true,
    message: expect.stringContaining('300 ms'),
  });
  await expect(send('https://shop.invalid/')).rejects.toMatchObject({ code: 'network', isRetryable: true });
});

test('refuses a certificate that nobody vouches for', async () => {
  const stranger = createTlsServer(createLoopbackCertificate(), (_asked, response) => response.end()).listen(
    0,
    '127.0.0.1',
  );
  await once(stranger, 'listening');
  const origin = `https://localhost:${(stranger.address() as AddressInfo).port}`; // a listening TCP server has an AddressInfo
  const http = createHttp({ egress: createEgress({ privateTargets: [new URL(origin).host], log }) });
  await expect(
    http.request({ method: 'GET', url: `${origin}/`, origins: [origin], timeoutMs: 5_000 }),
  ).rejects.toMatchObject({ code: 'network' });
  stranger.close();
});

test('no error says the secret', async () => {
  const auth = { kind: 'oauth1', consumerKey: KEY, consumerSecret: SECRET } as const;
  const error = await send(`${site.origin}/silent`, { auth, timeoutMs: 200 }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Error);
  expect(`${error} ${JSON.stringify(error)} ${(error as Error).cause}`).not.toContain(SECRET.reveal()); // an Error, as just checked
});

function oauthFields(header: string): Map<string, string> {
  const pairs = [...header.matchAll(/(\w+)="([^"]*)"/g)].map(
    ([, name = '', value = '']) => [name, decodeURIComponent(value)] as const,
  );
  return new Map(pairs);
}

/** RFC 5849 section 3.4, written out once more. */
function signature(
  method: string,
  url: string,
  query: readonly (readonly [string, string])[],
  fields: ReadonlyMap<string, string>,
): string {
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const all = [...query, ...[...fields].filter(([name]) => name !== 'oauth_signature')];
  const parameters = all
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const base = [method, encode(url), encode(parameters)].join('&');
  return createHmac('sha256', `${encode(SECRET.reveal())}&`)
    .update(base)
    .digest('base64');
}
