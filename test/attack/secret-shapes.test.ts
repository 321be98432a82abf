// Keys that nobody has registered are known by their shape alone; and no text, however hostile, holds the redactor up.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findSecrets, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { leftOver } from '../support/encodings.ts';

const SEED = Number(process.env.LEAKS_SEED ?? Date.now() % 2 ** 31);
const SAMPLES = 40;
/** Of each kind's samples, in each surrounding. */
const FLOOR = 0.95;

const DIGITS = '0123456789';
const HEX = `${DIGITS}abcdef`;
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const ALNUM = DIGITS + LOWER + UPPER;
const URL64 = `${ALNUM}_-`;

const run = (alphabet: string, length: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: length, maxLength: length });
const key = (prefix: string, alphabet: string, length: number) => run(alphabet, length).map((body) => prefix + body);
const joined = (...parts: (string | fc.Arbitrary<string>)[]) =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(''));
/** As `wp_generate_password` makes them: never all of one kind. */
const jumbled = run(ALNUM, 24).filter(
  (text) => /[0-9]/.test(text) && /[A-Z].*[A-Z].*[A-Z]/.test(text) && /[a-z].*[a-z].*[a-z]/.test(text),
);
const base64 = (text: fc.Arbitrary<string>) => text.map((plain) => Buffer.from(plain).toString('base64'));

/** Kind → what it looks like, and what stands before it where it is known by that alone. */
const SHAPES: Readonly<Record<string, readonly [fc.Arbitrary<string>, before?: string, after?: string]>> = {
  'WooCommerce consumer key': [key('ck_', HEX, 40)],
  'WooCommerce consumer secret': [key('cs_', HEX, 40)],
  'Stripe live secret key': [key('sk_live_', ALNUM, 24)],
  'Stripe restricted key': [key('rk_live_', ALNUM, 99)],
  'Stripe test key': [key('sk_test_', ALNUM, 24)],
  'Stripe webhook secret': [key('whsec_', ALNUM, 32)],
  'Shopify access token': [key('shpat_', HEX, 32)],
  'Shopify shared secret': [key('shpss_', HEX, 32)],
  'Shopify custom app token': [key('shpca_', HEX, 32)],
  'Shopify private app token': [key('shppa_', HEX, 32)],
  'WordPress application password': [jumbled.map((text) => text.match(/.{4}/g)?.join(' ') ?? '')],
  'WordPress application password in one piece': [jumbled],
  'Slack bot token': [joined('xoxb-', run(DIGITS, 12), '-', run(DIGITS, 13), '-', run(ALNUM, 24))],
  'Slack user token': [joined('xoxp-', run(DIGITS, 12), '-', run(DIGITS, 12), '-', run(HEX, 32))],
  'Slack app token': [joined('xapp-1-A', run(DIGITS + UPPER, 10), '-', run(DIGITS, 13), '-', run(HEX, 64))],
  'Slack refresh token': [key('xoxe-1-', ALNUM, 146)],
  'Slack webhook address': [
    joined('services/T', run(DIGITS + UPPER, 8), '/B', run(DIGITS + UPPER, 8), '/', run(ALNUM, 24)),
    'https://hooks.slack.com/',
  ],
  'Anthropic key': [key('sk-ant-api03-', URL64, 95)],
  'OpenAI project key': [key('sk-proj-', URL64, 48)],
  'Google API key': [key('AIza', URL64, 35)],
  'Hugging Face token': [key('hf_', ALNUM, 34)],
  'Groq key': [key('gsk_', ALNUM, 52)],
  'AWS access key id': [key('AKIA', DIGITS + UPPER, 16)],
  'AWS session key id': [key('ASIA', DIGITS + UPPER, 16)],
  'AWS secret access key': [key('', `${ALNUM}+/`, 40).filter((text) => /[0-9]/.test(text)), 'AWS_SECRET_ACCESS_KEY='],
  'Google OAuth token': [key('ya29.', URL64, 80)],
  'Google OAuth client secret': [key('GOCSPX-', URL64, 28)],
  'Azure storage key': [
    joined(run(`${ALNUM}+/`, 86), '=='),
    'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=',
  ],
  'GitHub personal token': [key('ghp_', ALNUM, 36)],
  'GitHub app token': [key('ghs_', ALNUM, 36)],
  'GitHub fine-grained token': [joined('github_pat_', run(ALNUM, 22), '_', run(ALNUM, 59))],
  'GitLab token': [key('glpat-', URL64, 20)],
  'npm token': [key('npm_', ALNUM, 36)],
  'PyPI token': [key('pypi-AgEIcHlwaS5vcmc', URL64, 80)],
  'SendGrid key': [joined('SG.', run(URL64, 22), '.', run(URL64, 43))],
  'Mailchimp key': [joined(run(HEX, 32), '-us', fc.integer({ min: 1, max: 21 }).map(String))],
  'Mailgun key': [key('key-', HEX, 32)],
  'Twilio key': [key('SK', HEX, 32)],
  'DigitalOcean token': [key('dop_v1_', HEX, 64)],
  'Meta access token': [key('EAA', ALNUM, 100)],
  'Trello token': [key('ATTA', HEX, 72)],
  'JSON Web Token': [joined('eyJhbGciOiJIUzI1NiJ9.eyJ', run(URL64, 60), '.', run(URL64, 43))],
  'Basic header': [base64(joined(run(LOWER, 6), ':', run(ALNUM, 12))), 'Authorization: Basic '],
  'Bearer header': [run(URL64, 40), 'Authorization: Bearer '],
  'curl sign-in': [joined(run(LOWER, 6), ':', run(ALNUM, 12)), 'curl -u '],
  'address with a password': [joined(run(LOWER, 5), ':', run(ALNUM, 12)), 'https://', '@shop.example.com/'],
  'database address': [joined(run(LOWER, 5), ':', run(ALNUM, 16)), 'postgresql://', '@db.example:5432/app'],
  'private key': [run(`${ALNUM}+/`, 64), '-----BEGIN PRIVATE KEY-----\n', '\n-----END PRIVATE KEY-----'],
  'labelled password': [
    run(`${ALNUM}!?%`, 12).filter((text) => /[0-9]/.test(text) && !/[!?%]$/.test(text)),
    'password: ',
  ],
  'labelled API key': [run(HEX, 32).filter((text) => /[0-9]/.test(text)), 'api_key='],
  'one-time code': [run(DIGITS, 6), 'the 2FA code is '],
  'session cookie': [joined('wordpress_logged_in=', run(HEX, 40)), 'Cookie: '],
};

const SURROUNDINGS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `It said ${text} and went on`,
  (text) => `{"value":${JSON.stringify(text)}}`,
  (text) => `one\n${text}\ntwo`,
];

describe('66 by its shape alone', () => {
  test('more than forty kinds are listed', () => {
    expect(Object.keys(SHAPES).length).toBeGreaterThan(40);
  });

  test.each(Object.entries(SHAPES))(`is known: %s (seed ${SEED})`, (_, [shape, before = '', after = '']) => {
    const samples = fc.sample(shape, { seed: SEED, numRuns: SAMPLES });
    for (const around of SURROUNDINGS) {
      const missed = samples.filter((secret) => {
        const text = around(`${before}${secret}${after}`);
        return leftOver(secret, redact(text, []), secret.length) !== undefined;
      });
      expect(1 - missed.length / SAMPLES, `${around('…')}: missed ${missed[0]}`).toBeGreaterThanOrEqual(FLOOR);
    }
  });
});

/** What patterns begin, repeat and end with. */
const PARTS = [
  ...[
    'a',
    'A1b2',
    ' ',
    '\n',
    '"',
    "'",
    '\\',
    '\\"',
    ':',
    '=',
    '=>',
    '@',
    '://',
    'https://',
    '/',
    '?',
    '&',
    '.',
    '-',
    '_',
    ',',
    '{',
    '}',
  ],
  ...[
    'password',
    'password is ',
    'pw:',
    'pass for the ',
    'secret',
    'token=',
    'api key',
    'consumer_secret: ',
    'login: a/',
    'credentials are ',
  ],
  ...[
    'ck_',
    'sk_live_',
    'xoxb-',
    'eyJ',
    'eyJa.',
    'SG.',
    'bearer ',
    'basic ',
    'authorization: ',
    'cookie: a=',
    ' -u a:',
    '2fa code is ',
  ],
  ...[
    '-----BEGIN PRIVATE KEY-----',
    '-----END',
    '&#99;',
    '%63',
    '\u200b',
    '\u00ad',
    'Ö',
    'İ',
    '🏬',
    '[secret]',
    'deadbeef',
    'AKIA',
  ],
];

describe('66 in bounded time', () => {
  const LENGTH = 20_000;
  const known = ['a', 'password', 'A1b2A1b2A1b2', 'deadbeef'.repeat(5), 'Öä/+"<&>', '&#99;&#99;'].map(
    (text) => new Secret(text),
  );

  test(`20 KB of whatever patterns are made of take no seconds (seed ${SEED})`, () => {
    const text = fc
      .tuple(
        fc.array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 4 }),
        fc.array(fc.constantFrom(...PARTS), { maxLength: 3 }),
      )
      .map(([repeated, last]) => repeated.join('').repeat(LENGTH).slice(0, LENGTH) + last.join(''));
    fc.assert(
      fc.property(text, (hostile) => {
        expect(quickest(() => redact(hostile, known))).toBeLessThan(1000); // a few milliseconds
      }),
      { seed: SEED, numRuns: 500, interruptAfterTimeLimit: 12_000 },
    );
  }, 60_000);

  test('no hostile text of 80 KB takes seconds, as one does whose time grows with the square', () => {
    for (const part of PARTS) {
      const text = part.repeat(4 * LENGTH).slice(0, 4 * LENGTH);
      expect(
        quickest(() => findSecrets(text)),
        part,
      ).toBeLessThan(2000);
    }
  });

  /** Processor time in milliseconds, so that a busy machine does not count; the best of up to three. */
  function quickest(work: () => unknown): number {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3 && best > 100; round++) {
      const before = process.cpuUsage();
      work();
      best = Math.min(best, process.cpuUsage(before).user / 1000);
    }
    return best;
  }
});
