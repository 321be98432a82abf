import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import type { Http } from '../../../core/ports/http.ts';
import { Secret } from '../../../core/secret.ts';
import type { VerifyResult } from '../../../core/services/service.ts';
import { stripe } from '../../../core/services/stripe/index.ts';
import { defaultPermissions, permissionProblem, permissionsIn } from '../../../core/services/ways.ts';
import { type PracticeStripe, startPracticeStripe } from '../../practice/stripe/server.ts';
import { silentLog } from '../../support/silent-log.ts';

const type = stripe.operationTypes.api_key_generation;
const [entered] = type.ways;
const TEST = defaultPermissions(type);
const LIVE = TEST.map((id) => (id === 'test_mode' ? 'live_mode' : id));
const raksOf = (permissions: readonly string[]) => (type.values(permissions).raks ?? '').split(',');

let practice: PracticeStripe;
let check: (value: string, permissions?: readonly string[]) => Promise<VerifyResult>;

beforeAll(async () => {
  practice = await startPracticeStripe();
  const egress = createEgress({ privateTargets: [new URL(practice.origin).host], log: silentLog });
  const http = createHttp({ egress });
  check = (value, permissions = TEST) =>
    type.verify({
      ...{ base: practice.origin, origin: practice.origin, permissions, http },
      credential: { restricted_key: new Secret(value) },
    });
});
afterAll(() => practice?.close());
beforeEach(() => practice.refuseAddress(false));

const made = (permissions = TEST, more: readonly string[] = [], mode: 'test' | 'live' = 'test') =>
  practice.makeKey({ name: 'a key', mode, raks: [...raksOf(permissions), ...more] });

describe('where Stripe is', () => {
  test.each([
    'dashboard.stripe.com',
    'https://dashboard.stripe.com/test/apikeys',
    'stripe.com',
    'WWW.Stripe.com.',
    '<https://dashboard.stripe.com>',
  ])('is one address, as in %s', (text) => {
    expect(stripe.parseTarget(text)).toEqual({ kind: 'target', origin: stripe.home, base: stripe.home });
  });

  test('is this computer where a practice account stands', () => {
    const base = 'http://localhost:4002';
    for (const text of ['localhost:4002', `${base}/apikeys`])
      expect(stripe.parseTarget(text)).toEqual({ kind: 'target', origin: base, base });
  });

  test.each([
    'shop.example.com',
    'http://dashboard.stripe.com',
    'dashboard.stripe.com.evil.example',
    'https://me@dashboard.stripe.com',
    'dashboard.stripe.com:8443',
    '10.0.0.7:80',
    'http://localhost:1@evil.example',
    '',
  ])('is not %s', (text) => {
    expect(stripe.parseTarget(text)).toMatchObject({
      kind: 'invalid',
      reason: expect.stringContaining('“set up Stripe”'),
    });
  });
});

describe('the permissions', () => {
  test('ask for test mode and for reading what is useful, unless somebody chooses more', () => {
    expect(permissionProblem(type, entered, TEST)).toBeUndefined();
    expect(type.values(TEST)).toMatchObject({ mode: 'test', scope: 'read' });
    expect(raksOf(TEST)).toEqual(
      ['balance', 'charge', 'customer', 'payment_intent', 'product', 'plan'].map((name) => `rak_${name}_read`),
    );
  });

  test('live mode is a permission of its own, which says so, and no wish to write brings it along', () => {
    const live = permissionsIn(type, entered).find(({ id }) => id === 'live_mode');
    expect(live).toMatchObject({ isDefault: false, words: expect.stringContaining('LIVE MODE') });
    expect(live?.risk).not.toBe('changes');
    expect(permissionProblem(type, entered, [...TEST, 'live_mode'])).toContain('either test mode or live mode');
    expect(
      permissionProblem(
        type,
        entered,
        TEST.filter((id) => id !== 'test_mode'),
      ),
    ).toContain('either');
    expect(type.values(LIVE).mode).toBe('live');
  });

  test('write includes read', () => {
    expect(raksOf([...TEST, 'write_customers'])).toContain('rak_customer_write');
    expect(raksOf([...TEST, 'write_customers'])).not.toContain('rak_customer_read');
  });

  test('of the steps by hand fill the form in by a link', () => {
    const [open = '', mode = ''] = type.guide(stripe.home, { ...type.values(LIVE), label: 'Countersign op-7k3f9q2m' });
    const link = new URL(/https:\S+/.exec(open)?.[0] ?? '');
    expect(link.pathname).toBe('/apikeys/create');
    expect(link.searchParams.get('name')).toBe('Countersign op-7k3f9q2m');
    expect(link.searchParams.getAll('permissions[]')).toEqual(raksOf(LIVE));
    expect(mode).toContain('live account');
    expect(type.guide(stripe.home, type.values(TEST))[0]).toContain('/test/apikeys/create?');
  });
});

describe('what is entered', () => {
  const problem = (text: string, mode: string) => entered.fields[0]?.validate(text, { mode });
  const signs = 'A1b2'.repeat(25);

  test.each([
    { text: `rk_test_${signs}`, mode: 'test', words: undefined },
    { text: `rk_live_${signs}`, mode: 'live', words: undefined },
    { text: `rk_live_${signs}`, mode: 'test', words: 'for live mode, with real money' },
    { text: `rk_test_${signs}`, mode: 'live', words: 'for test mode, and live mode' },
    { text: `sk_test_${signs}`, mode: 'test', words: 'a secret key (sk_…), which may do everything' },
    { text: `pk_test_${signs}`, mode: 'test', words: 'a publishable key' },
    { text: `whsec_${signs}`, mode: 'test', words: 'the secret of a webhook' },
    { text: 'rk_test_***abcd', mode: 'test', words: 'does not look like a restricted key' },
    { text: '', mode: 'test', words: 'Enter the key' },
  ])('$mode mode and “$text”: $words', ({ text, mode, words }) => {
    if (words === undefined) expect(problem(text, mode)).toBeUndefined();
    else expect(problem(text, mode)).toContain(words);
    if (text.length > 20) expect(problem(text, mode) ?? '').not.toContain(signs.slice(0, 8));
  });
});

describe('the check', () => {
  test('reads what was approved, sees the rest refused, and names the account', async () => {
    const key = made();
    const result = await check(key.value);
    expect(result).toMatchObject({
      kind: 'works',
      checked: expect.stringContaining('Stripe answered 200 in test mode'),
    });
    if (result.kind === 'works') expect(result.checked).toContain(practice.account);
    expect(key.uses).toBeGreaterThan(10);
  });

  test('says that writing could not be seen where Stripe looks for a thing before it looks at the rights', async () => {
    const permissions = [...TEST, 'write_customers'];
    practice.lookFirst(true);
    try {
      for (const key of [made(permissions), made(TEST)])
        expect(await check(key.value, permissions)).toMatchObject({
          checked: expect.stringContaining('; whether it may change anything could not be seen'),
        });
    } finally {
      practice.lookFirst(false);
    }
  });

  test.each([
    { of: 'transfers', status: 429, isRetryable: true, why: 'before Stripe can be asked what it may change' },
    { of: 'customers', status: 400, isRetryable: false, why: 'where another answer says nothing' },
  ])('keeps no key that may change charges, $why', async ({ of, status, isRetryable }) => {
    const reply = (code: number, body: unknown) => ({ status: code, headers: {}, body: JSON.stringify(body) });
    const forbidden = { error: { message: 'The provided key does not have the required permissions.' } };
    const http: Http = {
      request: async ({ method, url }) => {
        const { pathname } = new URL(url);
        if (method === 'POST' && pathname.startsWith(`/v1/${of}/`)) return reply(status, { error: { code: 'other' } });
        if (method === 'POST')
          return /^\/v1\/(?:charges|customers)\//.test(pathname)
            ? reply(404, { error: { code: 'resource_missing' } })
            : reply(403, forbidden);
        if (pathname === '/v1/balance') return reply(200, { object: 'balance', livemode: false });
        return ['/v1/charges', '/v1/customers'].includes(pathname)
          ? reply(200, { object: 'list', data: [] })
          : reply(403, forbidden);
      },
    };
    const credential = { restricted_key: new Secret(`rk_test_${'a'.repeat(24)}`) };
    const permissions = [
      'enter_key',
      'keep_key',
      'check_key',
      'read_balance',
      'read_charges',
      'read_customers',
      'test_mode',
    ];
    const at = { base: 'http://localhost:1', origin: 'http://localhost:1' } as const;
    expect(await type.verify({ ...at, http, credential, permissions })).toMatchObject({ kind: 'fails', isRetryable });
  });

  test.each([
    { more: ['rak_payout_read'], words: 'it also reads payouts to your bank' },
    { more: ['rak_invoice_write', 'rak_transfer_read'], words: 'it also reads invoices and transfers' },
    { more: ['rak_accounts_kyc_basic_read'], words: 'the account itself' },
  ])('refuses a key that may also do $more', async ({ more, words }) => {
    const result = await check(made(TEST, more).value);
    expect(result).toMatchObject({ kind: 'fails', isRetryable: false });
    if (result.kind === 'fails') {
      expect(result.reason).toContain('more than was approved');
      expect(result.reason).toContain(words);
    }
  });

  test('refuses a key that may do less, and one that may not read the balance', async () => {
    const less = practice.makeKey({
      name: 'less',
      mode: 'test',
      raks: raksOf(TEST).filter((rak) => rak !== 'rak_plan_read'),
    });
    expect(await check(less.value)).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('it does not read prices'),
    });
    const none = practice.makeKey({ name: 'none', mode: 'test', raks: ['rak_charge_read'] });
    expect(await check(none.value)).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining(`of account ${practice.account}, but it may not read the balance`),
    });
  });

  test('does not take refunds for excess where charges were approved, since one right may give both', async () => {
    expect(await check(made(TEST, ['rak_refund_read', 'rak_dispute_read']).value)).toMatchObject({ kind: 'works' });
  });

  test('refuses the other mode by the key itself, before anything is asked', async () => {
    const key = made(LIVE, [], 'live');
    expect(await check(key.value, TEST)).toMatchObject({ kind: 'fails', reason: expect.stringContaining('live mode') });
    expect(key.uses).toBe(0);
    expect(await check(key.value, LIVE)).toMatchObject({
      kind: 'works',
      checked: expect.stringContaining('in live mode'),
    });
  });

  test('says an address that is refused is no bad key, and tells it from an unknown and from an expired one', async () => {
    const key = made();
    practice.refuseAddress(true);
    expect(await check(key.value)).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('The key itself may be good'),
    });
    practice.refuseAddress(false);
    key.isExpired = true;
    expect(await check(key.value)).toMatchObject({ kind: 'fails', reason: expect.stringContaining('has expired') });
    expect(await check(`rk_test_${'x'.repeat(99)}`)).toMatchObject({
      kind: 'fails',
      reason: expect.stringContaining('does not know the key'),
    });
  });

  test.each(['outage', 'rate_limit'] as const)('is worth another try after %s', async (fault) => {
    practice.failNext(fault);
    expect(await check(made().value)).toMatchObject({ kind: 'fails', isRetryable: true });
  });
});
