import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import type { Http } from '../../../core/ports/http.ts';
import { Secret } from '../../../core/secret.ts';
import { services } from '../../../core/services/index.ts';
import { wordpress } from '../../../core/services/wordpress/index.ts';
import { revoke } from '../../../core/services/wordpress/revoke.ts';
import { verify } from '../../../core/services/wordpress/verify.ts';
import { silentLog } from '../../support/silent-log.ts';

const PASSWORD = 'aB3d eF6h iJ9l mN2p qR5t uV8x';
const UUID = '0c3e4c52-7a0e-4b0f-9d0e-2f1a6b7c8d9e';
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
const page = (status: number, headers: Readonly<Record<string, string>> = {}): Answer => ({
  ...{ status, headers },
  body: '<html>',
});
const error = (status: number, code: string): Answer => ({ status, body: { code, message: 'words of the site' } });
const me = (own: object = {}): Answer => ({
  status: 200,
  body: { id: 1, username: 'Ada', email: 'ada@example.com', roles: ['administrator'], ...own },
});

/** A site that gives these answers, the last one again and again, and what it was asked. */
async function site(answers: readonly Answer[], username = 'ada') {
  const asked: string[] = [];
  const authorizations = new Set<string | undefined>();
  const server = createServer((request, response) => {
    const { status, headers, body } = answers[Math.min(asked.length, answers.length - 1)] ?? page(500);
    asked.push(`${request.method} ${request.url}`);
    authorizations.add(request.headers.authorization);
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const http = createHttp({ egress: createEgress({ privateTargets: [host], log: silentLog }) });
  const credential = { application_password: new Secret(PASSWORD), username: new Secret(username) };
  const origin = `http://${host}`;
  return { input: { base: `${origin}/blog`, origin, credential, permissions: [], http }, asked, authorizations };
}

describe('the address of a site', () => {
  test.each([
    ['blog.example.com', 'https://blog.example.com'],
    ['https://example.com/blog/wp-admin/profile.php', 'https://example.com/blog'],
    ['https://example.com/shop', 'https://example.com/shop'],
    ['localhost:8080', 'http://localhost:8080'],
  ])('reads %s as %s', (text, base) => {
    expect(wordpress.parseTarget(text)).toMatchObject({ kind: 'target', base });
  });

  test('refuses http, over which WordPress makes no application passwords', () => {
    expect(wordpress.parseTarget('http://blog.example.com')).toMatchObject({
      kind: 'invalid',
      reason: expect.stringContaining('for https alone'),
    });
  });
});

describe('checking a password', () => {
  test('asks whose it is, with nothing of it in the address, and tells the role', async () => {
    const { input, asked, authorizations } = await site([me()]);
    expect(await verify(input)).toMatchObject({
      kind: 'works',
      checked: expect.stringMatching(/^127\.0\.0\.1:\d+ answered 200 and knows the account, role Administrator$/),
    });
    expect(asked).toEqual(['GET /blog/wp-json/wp/v2/users/me?context=edit']);
    expect([...authorizations]).toEqual([`Basic ${Buffer.from(`ada:${PASSWORD}`).toString('base64')}`]);
  });

  test.each([page(404), page(200), page(301, { location: '/' })])(
    'asks by ?rest_route= where permalinks are plain',
    async (first) => {
      const { input, asked } = await site([first, me({ roles: ['something of its own'] })], 'ADA@example.com');
      expect(await verify(input)).toMatchObject({
        kind: 'works',
        checked: expect.stringContaining('of the site’s own'),
      });
      expect(asked[1]).toBe('GET /blog/?rest_route=%2Fwp%2Fv2%2Fusers%2Fme&context=edit');
    },
  );

  test.each([
    { what: 'a wrong password', answer: error(401, 'incorrect_password'), words: 'does not accept', retry: false },
    { what: 'none that arrived', answer: error(401, 'rest_not_logged_in'), words: 'does not take', retry: false },
    {
      what: 'application passwords that are off',
      answer: error(401, 'application_passwords_disabled'),
      words: 'switched off',
      retry: false,
    },
    { what: 'a closed REST API', answer: error(403, 'rest_disabled'), words: 'refuses its REST API', retry: false },
    { what: 'a closed part of it', answer: error(404, 'rest_no_route'), words: 'not this part', retry: false },
    { what: 'no REST API', answer: page(404), words: 'has no REST API', retry: false },
    { what: 'a firewall', answer: page(403), words: 'firewall', retry: false },
    { what: 'another account', answer: me({ username: 'bob', email: '' }), words: 'another account', retry: false },
    { what: 'something else', answer: { status: 200, body: {} }, words: 'not with an account', retry: false },
    {
      what: 'a redirect',
      answer: page(301, { location: 'https://evil.example/x' }),
      words: 'another address',
      retry: false,
    },
    { what: 'an outage', answer: page(503), words: 'could not be asked now', retry: true },
  ])('says in words what $what means', async ({ answer, words, retry }) => {
    const { input } = await site([answer]);
    const result = await verify(input);
    expect(result).toMatchObject({ kind: 'fails', reason: expect.stringContaining(words), isRetryable: retry });
    expect(JSON.stringify(result)).not.toMatch(/words of the site|evil\.example/);
  });

  test('sends nothing over http to another computer', async () => {
    const { input } = await site([me()]);
    const origin = 'http://blog.example.com';
    expect(await verify({ ...input, origin, base: origin })).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('was not sent'),
    });
  });
});

describe('ending a password', () => {
  const own: Answer = { status: 200, body: { uuid: UUID, name: 'Countersign op-1' } };

  test('asks which one it is, and deletes that one', async () => {
    const { input, asked } = await site([own, { status: 200, body: { deleted: true } }]);
    expect(await revoke(input)).toEqual({ kind: 'revoked' });
    expect(asked).toEqual([
      'GET /blog/wp-json/wp/v2/users/me/application-passwords/introspect',
      `DELETE /blog/wp-json/wp/v2/users/me/application-passwords/${UUID}`,
    ]);
  });

  test('takes one that is refused for one that was ended before', async () => {
    expect(await revoke((await site([error(401, 'incorrect_password')])).input)).toEqual({ kind: 'revoked' });
  });

  test.each([
    { what: 'cannot be asked', answers: [page(503)], retry: true, not: false },
    { what: 'is not told', answers: [error(401, 'rest_not_logged_in')], retry: false, not: true },
    {
      what: 'is switched off like all of them',
      answers: [error(401, 'application_passwords_disabled')],
      retry: false,
      not: false,
    },
    {
      what: 'is not deleted',
      answers: [own, error(403, 'rest_cannot_delete_application_password')],
      retry: false,
      not: false,
    },
  ])('says that it may live on when it $what', async ({ answers, retry, not }) => {
    const fails = { kind: 'fails', isRetryable: retry, isNotTaken: not };
    expect(await revoke((await site(answers)).input)).toMatchObject(fails);
  });
});

test('what a site says of itself, and what a person sends as an address, holds nobody up however long it is', async () => {
  const slashes = '/'.repeat(900_000); // as much as an answer may hold: tried anew at each, it would take hours
  const body = JSON.stringify({ namespaces: [], url: `https://x.example/${slashes}x` });
  const http: Http = { request: async () => ({ status: 200, headers: {}, body }) };
  const findings = await wordpress.examine?.({ base: 'https://x.example', origin: 'https://x.example', http });
  expect(findings?.map(({ words }) => words).join(' ')).toContain('knows itself by another address');
  for (const service of services)
    expect(service.parseTarget(`x.example/${'.'.repeat(900_000)}x`)).toMatchObject({ kind: 'invalid' });
});
