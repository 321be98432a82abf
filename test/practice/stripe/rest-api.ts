import { type Request, Router } from 'express';
import type { StripeKey, StripeState } from './state.ts';

/** The calls that are answered, and the right that each takes: `rak_…` without `_read`. */
const LISTS: Readonly<Record<string, string>> = {
  '/v1/charges': 'charge',
  '/v1/customers': 'customer',
  '/v1/payment_intents': 'payment_intent',
  '/v1/refunds': 'refund',
  '/v1/disputes': 'dispute',
  '/v1/payouts': 'payout',
  '/v1/products': 'product',
  '/v1/prices': 'plan',
  '/v1/invoices': 'invoice',
  '/v1/subscriptions': 'subscription',
  '/v1/webhook_endpoints': 'webhook',
  '/v1/transfers': 'transfer',
  '/v1/files': 'file',
  '/v1/coupons': 'coupon',
};
const ACCOUNT_RIGHT = 'accounts_kyc_basic';

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export function createRestRoutes(state: StripeState): Router {
  const router = Router();
  router.all(/^\/v1\/.*/, (request, response) => {
    const { status, body } = answerTo(state, request);
    if (status === 401) response.set('WWW-Authenticate', 'Basic realm="Stripe"');
    if (status === 429) response.set('Stripe-Rate-Limited-Reason', 'global-rate');
    response.status(status).json(body);
  });
  return router;
}

function answerTo(state: StripeState, request: Request): Answer {
  const { fault } = state;
  state.fault = undefined;
  if (fault === 'outage') return refusal(500, { type: 'api_error', message: 'An unknown error occurred' });
  if (fault === 'rate_limit')
    return refusal(429, { type: 'rate_limit_error', code: 'rate_limit', message: 'Request rate limit exceeded.' });
  const given = /^Bearer (\S+)$/.exec(request.get('authorization') ?? '')?.[1] ?? '';
  const key = state.keys.find(({ value }) => value === given);
  const shown = `${given.slice(0, 8)}${'*'.repeat(12)}${given.slice(-4)}`;
  if (!key) return unauthorised({ message: `Invalid API Key provided: ${shown}` });
  if (key.isExpired) return unauthorised({ code: 'api_key_expired', message: `Expired API Key provided: ${shown}` });
  if (state.refusesAddress)
    return unauthorised({ message: 'The API key provided does not allow requests from your IP address.' });
  key.uses += 1;
  return request.method === 'POST' ? answerToChange(state, key, request.path) : answerFor(state, key, request.path);
}

function answerFor(state: StripeState, key: StripeKey, path: string): Answer {
  const right = path === '/v1/balance' ? 'balance' : path === '/v1/account' ? ACCOUNT_RIGHT : LISTS[path];
  if (right === undefined)
    return refusal(404, { type: 'invalid_request_error', message: `Unrecognized request URL (GET: ${path}).` });
  if (!mayRead(key, right)) return forbidden(state, key, right);
  const livemode = key.mode === 'live';
  if (path === '/v1/account') return { status: 200, body: { id: state.account, object: 'account' } };
  if (path !== '/v1/balance') return { status: 200, body: { object: 'list', data: [], has_more: false, url: path } };
  const available = [{ amount: 0, currency: 'eur' }];
  return { status: 200, body: { object: 'balance', available, livemode, pending: available } };
}

/** A change of one object, `/v1/customers/cus_…`: there is none in a practice account. Rights are looked at first. */
function answerToChange(state: StripeState, key: StripeKey, path: string): Answer {
  const [, list = '', id = ''] = /^(\/v1\/[a-z_]+)\/([^/]+)$/.exec(path) ?? [];
  const right = LISTS[list];
  if (right === undefined)
    return refusal(404, { type: 'invalid_request_error', message: `Unrecognized request URL (POST: ${path}).` });
  if (state.looksFirst || key.raks.includes(`rak_${right}_write`))
    return refusal(404, {
      type: 'invalid_request_error',
      code: 'resource_missing',
      message: `No such object: '${id}'`,
    });
  return forbidden(state, key, right, 'write');
}

/** Write includes Read. */
function mayRead({ raks }: StripeKey, right: string): boolean {
  return raks.includes(`rak_${right}_read`) || raks.includes(`rak_${right}_write`);
}

function forbidden({ account }: StripeState, { value }: StripeKey, right: string, level = 'read'): Answer {
  const shown = `${value.slice(0, 8)}${'*'.repeat(20)}${value.slice(-6)}`;
  return refusal(403, {
    type: 'invalid_request_error',
    message: `The provided key '${shown}' does not have the required permissions for this endpoint on account '${account}'. Having the 'rak_${right}_${level}' permission would allow this request to continue.`,
  });
}

function unauthorised(error: { readonly code?: string; readonly message: string }): Answer {
  return refusal(401, { type: 'invalid_request_error', ...error });
}

function refusal(status: number, error: Readonly<Record<string, string>>): Answer {
  return { status, body: { error } };
}
