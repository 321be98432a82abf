import { request as sendTls } from 'node:https';
import { type Request, type Response, Router } from 'express';
import { type Html, html } from './html.ts';
import { field } from './input.ts';
import type { KeyPermissions } from './keys.ts';
import { sessionOf, signInError, startSession } from './login.ts';
import { diePage } from './pages/shell.ts';
import { page, type Reply, redirect, sendReply } from './reply.ts';
import type { Shop } from './state.ts';

const SCOPES: Readonly<Record<KeyPermissions, string>> = {
  read: 'View coupons, customers, orders, products and reports',
  write: 'Create webhooks, coupons, customers, orders and products',
  read_write: 'View and manage coupons, customers, orders, products and reports',
};
/** WordPress posts to these alone. Source: `wp_http_validate_url`. */
const PORTS = ['', '80', '443', '8080'];
const TIMEOUT_MS = 60_000; // as `WC_Auth`

/**
 * `/wc-auth/v1/…`: a program asks for a key, the owner says yes, and the shop's server posts it to the program. What it
 * refuses and in which words was seen; that it refuses private addresses is left out, since everything here is one.
 */
export function createGrantRoutes(shop: Shop): Router {
  const router = Router();
  router.all('/wc-auth/v1/:step', async (request, response) => {
    sendReply(response, await answer(shop, request, response));
  });
  return router;
}

interface Asked {
  readonly app: string;
  readonly scope: KeyPermissions;
  readonly reference: string;
  readonly returnUrl: string;
  readonly callbackUrl: string;
  /** The same question, for the next page. */
  readonly query: string;
}

async function answer(shop: Shop, request: Request, response: Response): Promise<Reply> {
  const asked = askedIn(request);
  if (typeof asked === 'string') return refusal(asked);
  const here = (step: string) => `${shop.origin}/wc-auth/v1/${step}/?${asked.query}`;
  const { step } = request.params;
  if (step === 'login') {
    if (request.method !== 'POST') return page(loginPage(shop, asked));
    const error = signInError(shop, field(request.body, 'username').trim(), field(request.body, 'password'));
    if (error) return page(loginPage(shop, asked, error));
    startSession(shop, response);
    return redirect(here('authorize'));
  }
  const session = sessionOf(shop, request);
  if (session === undefined) return redirect(here('login'));
  if (step === 'authorize')
    return page(
      approvePage(
        shop,
        asked,
        `${here('access_granted')}&wc_auth_nonce=${shop.sessions.nonce(session, 'wc_auth_grant_access')}`,
      ),
    );
  if (step !== 'access_granted') return page(diePage('Page not found.'), 404);
  if (field(request.query, 'wc_auth_nonce') !== shop.sessions.nonce(session, 'wc_auth_grant_access'))
    return refusal('Invalid nonce verification');
  return grant(shop, asked);
}

/** @returns a sentence when something is wrong with it. */
function askedIn(request: Request): Asked | string {
  const names = ['app_name', 'user_id', 'return_url', 'callback_url', 'scope'] as const;
  const given = Object.fromEntries(names.map((name) => [name, field(request.query, name)]));
  const missing = names.find((name) => given[name] === '');
  if (missing) return `Missing parameter ${missing}`;
  const {
    app_name: app = '',
    user_id: reference = '',
    return_url: returnUrl = '',
    callback_url: callbackUrl = '',
    scope = '',
  } = given;
  if (!(scope in SCOPES)) return `Invalid scope ${scope}`;
  const callback = URL.parse(callbackUrl);
  if (!callback || !URL.canParse(returnUrl))
    return `The ${callback ? 'return_url' : 'callback_url'} is not a valid URL`;
  if (callback.protocol !== 'https:') return 'The callback_url needs to be over SSL';
  // Just compared with the scopes that there are.
  return {
    app,
    reference,
    returnUrl,
    callbackUrl,
    scope: scope as KeyPermissions,
    query: new URLSearchParams(given).toString(),
  };
}

/** The key lives on only when the program has taken it. */
async function grant(shop: Shop, asked: Asked): Promise<Reply> {
  const { app, scope, reference, callbackUrl, returnUrl } = asked;
  const { id, consumerKey, consumerSecret } = shop.keys.create({
    description: `${app} - API (${new Date().toISOString()})`,
    permissions: scope,
  });
  const body = {
    key_id: id,
    user_id: reference,
    consumer_key: consumerKey,
    consumer_secret: consumerSecret,
    key_permissions: scope,
  };
  const { port } = new URL(callbackUrl);
  const status = PORTS.includes(port) ? await post(shop, callbackUrl, JSON.stringify(body)) : undefined;
  if (status !== 200) {
    shop.keys.revoke(id);
    return refusal(
      status === undefined
        ? 'A valid URL was not provided.'
        : 'An error occurred in the request and at the time were unable to send the consumer data',
    );
  }
  const back = new URL(returnUrl);
  back.searchParams.set('success', '1');
  back.searchParams.set('user_id', reference);
  return redirect(back.href);
}

/** @returns the status, or `undefined` when nobody answered. */
function post(shop: Shop, url: string, body: string): Promise<number | undefined> {
  return new Promise((done) => {
    const headers = { 'content-type': 'application/json;charset=utf-8', 'user-agent': `WordPress/7.1; ${shop.origin}` };
    const sent = sendTls(url, {
      method: 'POST',
      headers,
      timeout: TIMEOUT_MS,
      ...(shop.trusted ? { ca: shop.trusted } : {}),
    });
    sent.on('response', (answered) => {
      answered.resume();
      done(answered.statusCode);
    });
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => done(undefined));
    sent.end(body);
  });
}

function refusal(words: string): Reply {
  return page(diePage(`Error: ${words}.`.replace('..', '.')), 401);
}

function loginPage(shop: Shop, asked: Asked, error?: Html): Html {
  return shell(
    shop,
    html`<h1>${asked.app} would like to connect to your store</h1>
${error === undefined ? '' : html`<ul class="woocommerce-error" role="alert"><li>${error}</li></ul>`}
<p>To connect to ${asked.app} you need to be logged in. Log in to your store below, or <a href="${denied(asked)}">cancel and return to ${asked.app}</a>.</p>
<form method="post" class="wc-auth-login">
<p class="form-row"><label for="username">Username or email address <span class="required">*</span></label> <input type="text" class="input-text" name="username" id="username"></p>
<p class="form-row"><label for="password">Password <span class="required">*</span></label> <input class="input-text" type="password" name="password" id="password"></p>
<p class="wc-auth-actions"><button type="submit" class="button button-large button-primary wc-auth-login-button" name="login" value="Login">Login</button></p>
</form>`,
  );
}

function approvePage(shop: Shop, asked: Asked, yes: string): Html {
  return shell(
    shop,
    html`<h1>${asked.app} would like to connect to your store</h1>
<p>This will give "${asked.app}" <strong>${asked.scope.replace('_', '/')}</strong> access which will allow it to:</p>
<ul class="wc-auth-permissions"><li>${SCOPES[asked.scope]}</li></ul>
<div class="wc-auth-logged-in-as"><p>Logged in as ${shop.owner.username} <a href="/wp-login.php?action=logout" class="wc-auth-logout">Logout</a></p></div>
<p class="wc-auth-actions">Approving will share credentials with ${new URL(asked.callbackUrl).host}. Do not proceed if this looks suspicious in any way.</p>
<p class="wc-auth-actions"><a href="${denied(asked)}" class="button wc-auth-deny">Deny</a> <a href="${yes}" class="button button-primary wc-auth-approve">Approve</a></p>`,
  );
}

function denied({ returnUrl, reference }: Asked): string {
  const back = new URL(returnUrl);
  back.searchParams.set('success', '0');
  back.searchParams.set('user_id', reference);
  return back.href;
}

/** No theme and no admin bar: a page of its own. */
function shell(shop: Shop, content: Html): Html {
  return html`<!DOCTYPE html>
<html lang="en-US"><head><meta charset="UTF-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex, nofollow">
<title>Application authentication request ‹ ${shop.name}</title></head>
<body class="wc-auth wp-core-ui"><div class="wc-auth-content">${content}</div></body></html>`;
}
