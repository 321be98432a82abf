import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSecretRegistry, findSecrets, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';

const HEX40 = '0123456789abcdef0123456789abcdef01234567';
/** Put together here, so that no scanner of this repository takes the examples for leaked keys. */
const join = (...parts: string[]) => parts.join('');

const SHAPED: readonly { kind: string; text: string; secret: string }[] = [
  { kind: 'woocommerce_key', text: `here: ck_${HEX40}, ok?`, secret: `ck_${HEX40}` },
  { kind: 'countersign_token', text: `use csk_${HEX40}01234567 for it`, secret: `csk_${HEX40}01234567` },
  { kind: 'woocommerce_key', text: `consumer_secret=cs_${HEX40}`, secret: `cs_${HEX40}` },
  {
    kind: 'stripe_key',
    text: join('use sk_', 'live_4eC39HqLyjWDarjtT1zdp7dc now'),
    secret: 'live_4eC39HqLyjWDarjtT1zdp7dc',
  },
  { kind: 'stripe_key', text: join('rk_', 'test_4eC39HqLyjWDarjtT1zdp7dc'), secret: 'test_4eC39HqLyjWDarjtT1zdp7dc' },
  {
    kind: 'stripe_key',
    text: join('whsec_', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
    secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  },
  {
    kind: 'shopify_token',
    text: join('token shpat_', '0123456789abcdef0123456789abcdef'),
    secret: '0123456789abcdef0123456789abcdef',
  },
  {
    kind: 'shopify_token',
    text: join('shpss_', '0123456789abcdef0123456789abcdef'),
    secret: '0123456789abcdef0123456789abcdef',
  },
  { kind: 'slack_token', text: join('xoxb-', '1234567890-1234567890-AbCdEfGhIjKl'), secret: 'AbCdEfGhIjKl' },
  { kind: 'slack_token', text: join('xoxe.xoxp-', '1-Mi0yLTEyMzQ1Njc4OTA'), secret: 'Mi0yLTEyMzQ1Njc4OTA' },
  {
    kind: 'slack_token',
    text: join('xapp-', '1-A0123456789-1234567890-abcdef'),
    secret: 'A0123456789-1234567890-abcdef',
  },
  {
    kind: 'slack_token',
    text: 'https://hooks.slack.com/services/T0000/B0000/AbCdEfGhIjKlMnOp',
    secret: 'AbCdEfGhIjKlMnOp',
  },
  { kind: 'model_key', text: join('sk-ant-', 'api03-abcDEF123_-abcDEF123'), secret: 'api03-abcDEF123_-abcDEF123' },
  { kind: 'model_key', text: join('sk-proj-', 'abc123def456ghi789jkl'), secret: 'abc123def456ghi789jkl' },
  { kind: 'cloud_key', text: join('AKIA', 'IOSFODNN7EXAMPLE'), secret: 'IOSFODNN7EXAMPLE' },
  {
    kind: 'cloud_key',
    text: join('AccountKey=', 'abcdefghijklmnopqrstuvwxyz0123456789+/=='),
    secret: 'abcdefghijklmnopqrstuvwxyz0123456789+/==',
  },
  {
    kind: 'source_control_token',
    text: join('ghp_', 'abcdefghijklmnopqrstuvwxyz0123456789'),
    secret: 'abcdefghijklmnopqrstuvwxyz0123456789',
  },
  { kind: 'source_control_token', text: join('glpat-', 'abcDEF123456-_abcDEF'), secret: 'abcDEF123456-_abcDEF' },
  {
    kind: 'service_key',
    text: join('SG.', 'ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr'),
    secret: 'TwL2iGABf9DHoTf',
  },
  {
    kind: 'jwt',
    text: join('eyJ', 'hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123'),
    secret: 'hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123',
  },
  { kind: 'authorization_header', text: 'Authorization: Basic YWRtaW46aHVudGVyMg==', secret: 'YWRtaW46aHVudGVyMg==' },
  { kind: 'authorization_header', text: '-H "authorization: Bearer abcdefghijklmnop"', secret: 'abcdefghijklmnop' },
  { kind: 'authorization_header', text: 'send Basic YWRtaW46aHVudGVyMg==', secret: 'YWRtaW46aHVudGVyMg==' },
  { kind: 'authorization_header', text: 'send bearer 0a1b2c3d4e5f', secret: '0a1b2c3d4e5f' },
  { kind: 'authorization_header', text: 'curl -u admin:hunter2 https://shop.example.com', secret: 'admin:hunter2' },
  {
    kind: 'authorization_header',
    text: 'Cookie: wordpress_logged_in=admin%7C1700000000%7Cabc',
    secret: 'admin%7C1700000000%7Cabc',
  },
  { kind: 'url_credentials', text: 'https://admin:hunter2@shop.example.com/wp-admin', secret: 'admin:hunter2' },
  { kind: 'url_credentials', text: 'postgres://u:pa/ss@db.example.com:5432/x', secret: 'u:pa/ss' },
  {
    kind: 'private_key',
    text: '-----BEGIN RSA PRIVATE KEY-----\nMIIB\nxyz=\n-----END RSA PRIVATE KEY-----\nbye',
    secret: 'MIIB\nxyz=',
  },
  { kind: 'private_key', text: '-----BEGIN PRIVATE KEY-----\nMIIB cut off', secret: 'MIIB cut off' },
  { kind: 'application_password', text: 'try a1Bc 2DeF gH3i Jk4L mN5o pQ6r', secret: 'a1Bc 2DeF gH3i Jk4L mN5o pQ6r' },
  { kind: 'application_password', text: 'try a1Bc2DeFgH3iJk4LmN5opQ6r', secret: 'a1Bc2DeFgH3iJk4LmN5opQ6r' },
  { kind: 'password', text: 'password: hunter2', secret: 'hunter2' },
  { kind: 'password', text: 'Password: secret', secret: 'secret' },
  { kind: 'password', text: 'my pw is hunter', secret: 'hunter' },
  { kind: 'password', text: 'the password for the shop is Tr0ub4dor&3, thanks', secret: 'Tr0ub4dor&3' },
  { kind: 'password', text: 'user admin, pass=correcthorse', secret: 'correcthorse' },
  { kind: 'password', text: 'use password hunter22', secret: 'hunter22' },
  { kind: 'password', text: 'password: "correct horse battery"', secret: 'correct horse battery' },
  { kind: 'password', text: 'password: “hunter2”', secret: 'hunter2' },
  { kind: 'password', text: 'password: password: hunter2', secret: 'hunter2' },
  { kind: 'password', text: '{"user":"a","password":"hunter2"}', secret: 'hunter2' },
  { kind: 'password', text: String.raw`"{\"password\":\"hunter2\"}"`, secret: 'hunter2' },
  { kind: 'password', text: 'Das Passwort ist Sommer2024!', secret: 'Sommer2024!' },
  { kind: 'password', text: 'Kennwort für den Shop: Geheimnis', secret: 'Geheimnis' },
  { kind: 'password', text: 'credentials: admin / hunter2', secret: 'hunter2' },
  { kind: 'service_key', text: 'api key: 9f8e7d6c5b4a', secret: '9f8e7d6c5b4a' },
  {
    kind: 'service_key',
    text: 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  },
  { kind: 'service_key', text: 'https://x.example/cb?state=1&access_token=abc123def456', secret: 'abc123def456' },
  { kind: 'one_time_code', text: 'the 2FA code is 123 456', secret: '123 456' },
];

const HARMLESS: readonly string[] = [
  'set up WooCommerce for http://localhost:4001',
  'set up a basic WooCommerce integration for shop.example.com:8443/shop',
  'the password is wrong',
  'my password is required to be changed',
  'I forgot my password: can you help me with it',
  'password is 128 bits long',
  'what is the password?',
  'token is refreshed hourly',
  'The consumer key and secret go into the vault.',
  'this shop will need some more help',
  'Sign in at https://shop.example.com/users/@me',
  'http://localhost:4001/users/@me',
  'mail me at owner@shop.example.com',
  'error code: 1234 and status code: 5000',
  'op-abcd2345 was approved by U0123ABCD',
  'plan hash 5f2a9c3b6d1e8f7a5f2a9c3b6d1e8f7a5f2a9c3b6d1e8f7a5f2a9c3b6d1e8f7a',
  '0b6f3f0e-6c1e-4e7a-9f57-1d2f3a4b5c6d',
  'login: shop.example.com/wp-admin',
  'login: localhost:4001/wp-login.php',
  'ENCRYPTION_KEY environment variable required',
  'password: [secret] and token=<your token here>',
  'password: ********',
  'click_tracking and task_management_of_things',
  'bearer of good news everyone',
  'The key ends in …4567.',
  'Create a WooCommerce API key for localhost:40971, by hand',
  'Create a WooCommerce API key for localhost:4001/shops/winter-sale-2026',
];

describe('findSecrets', () => {
  test.each(SHAPED)('finds a $kind in «$text»', ({ kind, text, secret }) => {
    const at = text.lastIndexOf(secret);
    const found = findSecrets(text).find(({ start, end }) => start <= at && end >= at + secret.length);
    expect(found?.kind).toBe(kind);
  });

  test.each(HARMLESS.map((text) => [text]))('leaves «%s» alone', (text) => {
    expect(findSecrets(text)).toEqual([]);
  });

  test('gives ranges in order that do not overlap', () => {
    const found = findSecrets(`password: ck_${HEX40} https://u:pw12345@x.example token=cs_${HEX40}`);
    expect(found.length).toBeGreaterThanOrEqual(3);
    found.slice(1).forEach((range, index) => {
      expect(range.start).toBeGreaterThanOrEqual(found[index]?.end ?? Number.NaN);
    });
  });

  test('covers a key to its last character, however long it is', () => {
    const key = `ck_${'a1'.repeat(500)}`;
    expect(redact(`x ${key} y`, [])).toBe('x [secret] y');
  });
});

const CANARY = 'ck_9f3Kq/Lm+7zR "x&Y\'<ä>';
const hexOf = (text: string) => Buffer.from(text).toString('hex');
const ENCODED: readonly { name: string; encode: (text: string) => string }[] = [
  { name: 'as it is', encode: (text) => text },
  { name: 'in capitals', encode: (text) => text.toUpperCase().replace('Ä', 'ä') },
  { name: 'base64', encode: (text) => Buffer.from(text).toString('base64') },
  { name: 'base64 behind one byte', encode: (text) => Buffer.from(`:${text}~~`).toString('base64') },
  { name: 'base64 behind two bytes', encode: (text) => Buffer.from(`a:${text}~`).toString('base64') },
  { name: 'base64url', encode: (text) => Buffer.from(`~${text}`).toString('base64url') },
  { name: 'hex', encode: (text) => Buffer.from(text).toString('hex') },
  { name: 'HEX', encode: (text) => Buffer.from(text).toString('hex').toUpperCase() },
  { name: 'URL-encoded', encode: encodeURIComponent },
  { name: 'form-encoded', encode: (text) => new URLSearchParams({ a: text }).toString().slice(2) },
  { name: 'JSON', encode: (text) => JSON.stringify(text) },
  { name: 'JSON inside JSON', encode: (text) => JSON.stringify(JSON.stringify(text)) },
  {
    name: 'HTML',
    encode: (text) =>
      text.replace(/[&<>"']/g, (sign) =>
        `&#${sign.charCodeAt(0)};`.replace('&#38;', '&amp;').replace('&#60;', '&lt;').replace('&#62;', '&gt;'),
      ),
  },
  { name: 'without spaces', encode: (text) => text.replaceAll(' ', '') },
  { name: 'broken over lines', encode: (text) => text.replace(/(.{5})/g, '$1\r\n  ') },
  { name: 'with invisible characters', encode: (text) => [...text].join('\u200b') },
  { name: 'backwards', encode: (text) => [...text].reverse().join('') },
  { name: 'as segments of a path', encode: (text) => [...text].join('/') },
  { name: 'between dots and dashes', encode: (text) => [...text].join('.-') },
  { name: 'every byte URL-encoded', encode: (text) => hexOf(text).replace(/../g, '%$&') },
  { name: 'URL-encoded twice', encode: (text) => encodeURIComponent(hexOf(text).replace(/../g, '%$&')) },
  { name: 'partly URL-encoded', encode: (text) => `%${hexOf(text).slice(0, 2)}${text.slice(1)}` },
  { name: 'every sign an entity', encode: (text) => [...text].map((s) => `&#${s.codePointAt(0)};`).join('') },
  {
    name: 'every sign an escape',
    encode: (text) => [...text].map((s) => `\\u${(s.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`).join(''),
  },
  { name: 'the first 8 characters', encode: (text) => text.slice(0, 8) },
];

describe('redact', () => {
  test.each(ENCODED)('removes a known secret, $name', ({ encode }) => {
    const code = encode(CANARY);
    const redacted = redact(`before ${code} after`, [new Secret(CANARY)]);
    expect(redacted).toMatch(/^before .*\[secret\].* after$/s);
    // What may be left are characters that mix with their neighbours at both ends of base64.
    expect(redacted.replace(/\[secret\]/g, '').length).toBeLessThanOrEqual('before  after'.length + 8);
  });

  test('removes a short secret only where it is a word of its own', () => {
    expect(redact('pad the iPad of ad', [new Secret('pad')])).toBe('[secret] the iPad of ad');
    expect(redact('a,ab,abc', [new Secret('ab')])).toBe('a,[secret],abc');
  });

  test('takes an empty secret for none', () => {
    expect(redact('nothing here', [new Secret(''), new Secret('  ')])).toBe('nothing here');
  });

  test('changes nothing when it is applied again', () => {
    const once = redact(`password: hunter2 ck_${HEX40} ${CANARY}`, [new Secret(CANARY)]);
    expect(redact(once, [new Secret(CANARY)])).toBe(once);
    expect(once).not.toMatch(/hunter2|0123456789|9f3Kq/);
  });

  test('keeps every other character', () => {
    expect(redact('İstanbul 🏬 pw: hunter2, ok', [])).toBe('İstanbul 🏬 pw: [secret], ok');
  });

  test('finds random keys in random surroundings', () => {
    for (let round = 0; round < 200; round++) {
      const secret = randomBytes(20).toString('hex');
      // A “pw” right before it would be a label, and all that follows a password.
      const around = randomBytes(30).toString('base64').replace(/w$/i, 'v');
      expect(redact(`${around} ${secret}${around}`, [new Secret(secret)])).toBe(`${around} [secret]${around}`);
    }
  });
});

const HOSTILE: readonly { name: string; part: string }[] = [
  'a',
  ' ',
  'eyJ',
  'eyJa-',
  'eyJa.',
  '://',
  'a:b@',
  '://a:',
  'password ',
  'password:',
  'password is ',
  'password for a ',
  'ck_',
  'sk_live_',
  'xoxb-',
  'bearer ',
  'basic ',
  'authorization: ',
  '-----BEGIN PRIVATE KEY',
  '-----BEGIN PRIVATE KEY-----',
  'aA1b ',
  'aaaa ',
  'a_',
  'api_key',
  'api_key ',
  'token=',
  'x-u ',
  ' -u a',
  'login: a ',
  'code ',
  '2fa code',
  'cookie:',
  'cookie: a=',
  'sk-',
  'sk-a_',
  '"',
  '\\"',
  'password"""',
  '\\',
  '\u200b',
  'SG.aaaaaaaaaaaaaaaa.',
  'hooks.slack.com/',
  'secret_secret_',
  '<',
  '1',
].map((part) => ({ name: JSON.stringify(part), part }));

describe('time', () => {
  test.each(HOSTILE)('stays linear on 20 KB of $name', ({ part }) => {
    const text = part.repeat(Math.ceil(20_480 / part.length)).slice(0, 20_480);
    const secrets = ['a'.repeat(40), 'password', part.repeat(5)].map((known) => new Secret(known));
    const times = [1, 2, 3].map(() => processorMs(() => redact(text, secrets)));
    // A few milliseconds; patterns without bounds take seconds.
    expect(Math.min(...times)).toBeLessThan(1000);
  });
});

/** What labels repeat without a value, inside one word or many: each part could be read as the label of all that follows. */
const REPEATED: readonly { name: string; part: string }[] = [
  'secret=',
  'password:',
  'authorization:',
  'api_key=<',
  `pw=${'.'.repeat(40)}x`,
  `${'secret='.repeat(36)} `,
  `pw=${'.'.repeat(250)} `,
  '%61',
  '://a:',
].map((part) => ({ name: JSON.stringify(part.slice(0, 30)), part }));

describe('time', () => {
  test.each(REPEATED)('grows no faster than the text, up to a megabyte, of $name', ({ part }) => {
    const known = [new Secret('a'.repeat(40)), new Secret(part.repeat(3))];
    const of = (length: number) => part.repeat(Math.floor(length / part.length));
    // A quarter of a second; where time grows with the square, nearly a minute. How fast it is, the benchmarks say.
    expect(processorMs(() => redact(of(400_000), known))).toBeLessThan(10_000);
    expect(redact(of(1_000_000), known)).not.toContain('a'.repeat(41));
  });
});

/** Processor time, so that a busy machine does not count. */
function processorMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user / 1000;
}

describe('createSecretRegistry', () => {
  test('knows a secret until it is removed', () => {
    const registry = createSecretRegistry();
    const [one, same] = [new Secret('one'), new Secret('one')];
    registry.add(one);
    registry.add(same);
    registry.remove(one);
    expect(registry.all()).toEqual([same]);
    registry.remove(same);
    expect(registry.all()).toEqual([]);
  });
});
