import { randomBytes } from 'node:crypto';
import { type CookieOptions, type Request, type Response, Router } from 'express';
import { type Html, html } from './html.ts';
import { cookiesOf, field } from './input.ts';
import {
  captchaFrame,
  captchaPage,
  codePage,
  emailCheckPage,
  lockedOutPage,
  loginPage,
  lostPasswordPage,
} from './pages/login-page.ts';
import { page, type Reply, redirect, sendReply } from './reply.ts';
import { type Shop, SIGN_IN_TRIES } from './state.ts';

const TEST_COOKIE = 'wordpress_test_cookie';
const TEST_VALUE = 'WP Cookie check';
/** "Remember Me": 14 days, as in WordPress. */
const REMEMBERED_MS = 14 * 86_400_000;

/** `/wp-login.php`: sign in and out, the one-time code, the lost password, and the check of the administration email. */
export function createLoginRoutes(shop: Shop): Router {
  const router = Router();
  router.get('/captcha-frame', (_request, response) => sendReply(response, page(captchaFrame())));
  router.all('/wp-login.php', (request, response) => {
    setCookie(shop, response, TEST_COOKIE, TEST_VALUE, {});
    sendReply(response, answer(shop, request, response));
  });
  return router;
}

/** `response` only takes the cookies here. */
function answer(shop: Shop, request: Request, response: Response): Reply {
  switch (field(request.query, 'action')) {
    case 'confirm_admin_email':
      return emailCheck(shop, request);
    case 'lostpassword':
      return page(lostPasswordPage(shop));
    case 'logout':
      return signOut(shop, request, response);
    case 'validate_2fa':
      return checkCode(shop, request, response);
    default:
      return request.method === 'POST' ? signIn(shop, request, response) : showForm(shop, request, response);
  }
}

/** The open session of this request, if any. */
export function sessionOf(shop: Shop, request: Request): string | undefined {
  const value = cookiesOf(request.headers.cookie).get(`wordpress_logged_in_${shop.cookieHash}`);
  const token = value?.split('|')[2] ?? '';
  return shop.sessions.isOpen(token) ? token : undefined;
}

export function loginUrl(shop: Shop, path: string): string {
  const target = encodeURIComponent(shop.origin + path);
  return `${shop.origin}/wp-login.php?redirect_to=${target}&reauth=1`;
}

function showForm(shop: Shop, request: Request, response: Response): Reply {
  if (shop.hasCaptcha) return page(captchaPage(shop));
  const redirectTo = safeTarget(shop, field(request.query, 'redirect_to'));
  if (field(request.query, 'reauth') === '1') clearCookies(shop, response);
  else if (sessionOf(shop, request)) return redirect(redirectTo);
  if (shop.failedSignIns >= SIGN_IN_TRIES) return page(lockedOutPage(shop), 429);
  const message = field(request.query, 'loggedout') === 'true' ? 'You are now logged out.' : undefined;
  return page(loginPage(shop, { redirectTo, username: '', message }));
}

function signIn(shop: Shop, request: Request, response: Response): Reply {
  if (shop.failedSignIns >= SIGN_IN_TRIES) return page(lockedOutPage(shop), 429);
  const form: unknown = request.body;
  const redirectTo = safeTarget(shop, field(form, 'redirect_to'));
  const username = field(form, 'log').trim();
  const error = formError(shop, request, form);
  // WordPress answers 200 to a wrong password: only the page says that it failed.
  if (error) return page(loginPage(shop, { redirectTo, username, error }));
  shop.failedSignIns = 0;
  const isRemembered = field(form, 'rememberme') === 'forever';
  if (shop.oneTimeCode !== undefined) return askForCode(shop, { redirectTo, isRemembered });
  return open(shop, response, { redirectTo, isRemembered });
}

interface Wanted {
  readonly redirectTo: string;
  readonly isRemembered: boolean;
}

/** Its nonce stands for the password that was right. */
function askForCode(shop: Shop, wanted: Wanted, error?: Html): Reply {
  const nonce = randomBytes(16).toString('hex');
  shop.halfSignIns.add(nonce);
  return page(codePage(shop, { ...wanted, nonce, error }));
}

function checkCode(shop: Shop, request: Request, response: Response): Reply {
  const form: unknown = request.body;
  const wanted = {
    redirectTo: safeTarget(shop, field(form, 'redirect_to')),
    isRemembered: field(form, 'rememberme') === '1',
  };
  if (!shop.halfSignIns.delete(field(form, 'wp-auth-nonce'))) return redirect(`${shop.origin}/wp-login.php`);
  const isRight = field(form, 'authcode').replaceAll(' ', '') === shop.oneTimeCode;
  if (!isRight) return askForCode(shop, wanted, html`<strong>Error:</strong> Invalid verification code.`);
  return open(shop, response, wanted);
}

function open(shop: Shop, response: Response, { redirectTo, isRemembered }: Wanted): Reply {
  const lifeMs = isRemembered ? REMEMBERED_MS : undefined;
  startSession(shop, response, lifeMs);
  const check = `${shop.origin}/wp-login.php?action=confirm_admin_email&wp_lang=en_US&redirect_to=`;
  return redirect(shop.isEmailCheckDue ? check + encodeURIComponent(redirectTo) : redirectTo);
}

/** Signed in from now on, for this browser. */
export function startSession(shop: Shop, response: Response, lifeMs?: number): void {
  setAuthCookies(shop, response, shop.sessions.open(), lifeMs);
}

function formError(shop: Shop, request: Request, form: unknown): Html | undefined {
  if (field(form, 'testcookie') !== '' && !cookiesOf(request.headers.cookie).has(TEST_COOKIE)) {
    return html`<strong>Error:</strong> Cookies are blocked or not supported by your browser. You must <a href="#cookies">enable cookies</a> to use WordPress.`;
  }
  return signInError(shop, field(form, 'log').trim(), field(form, 'pwd'));
}

/** What WordPress says to a name and a password that don't fit; counts them. */
export function signInError(shop: Shop, username: string, password: string): Html | undefined {
  const { owner } = shop;
  if (username === '') return html`<strong>Error:</strong> The username field is empty.`;
  if (password === '') return html`<strong>Error:</strong> The password field is empty.`;
  if (username !== owner.username && username.toLowerCase() !== owner.email) {
    shop.failedSignIns += 1;
    return html`<strong>Error:</strong> The username <strong>${username}</strong> is not registered on this site. If you are unsure of your username, try your email address instead.`;
  }
  if (owner.passwordMatches(password)) return undefined;
  shop.failedSignIns += 1;
  return html`<strong>Error:</strong> The password you entered for the username <strong>${username}</strong> is incorrect. <a href="/wp-login.php?action=lostpassword">Lost your password?</a>`;
}

/** By its address this looks like a sign-in page, although the person is signed in already. */
function emailCheck(shop: Shop, request: Request): Reply {
  const session = sessionOf(shop, request);
  if (!session) return redirect(`${shop.origin}/wp-login.php`);
  const source: unknown = request.method === 'POST' ? request.body : request.query;
  const redirectTo = safeTarget(shop, field(source, 'redirect_to'));
  const remindNonce = shop.sessions.nonce(session, 'remind_me_later_nonce');
  const confirmNonce = shop.sessions.nonce(session, 'confirm_admin_email');
  const isReminder = field(source, 'remind_me_later') === remindNonce;
  if (isReminder || field(source, 'confirm_admin_email_nonce') === confirmNonce) {
    shop.isEmailCheckDue = false;
    return redirect(redirectTo);
  }
  const remindUrl = `/wp-login.php?action=confirm_admin_email&remind_me_later=${remindNonce}&redirect_to=${encodeURIComponent(redirectTo)}`;
  return page(emailCheckPage(shop, { redirectTo, nonce: confirmNonce, remindUrl }));
}

function signOut(shop: Shop, request: Request, response: Response): Reply {
  const session = sessionOf(shop, request);
  if (session && field(request.query, '_wpnonce') === shop.sessions.nonce(session, 'log-out')) {
    shop.sessions.close(session);
    clearCookies(shop, response);
  }
  return redirect(`${shop.origin}/wp-login.php?loggedout=true&wp_lang=en_US`);
}

/** Like `wp_safe_redirect`: another host is never a target. */
function safeTarget(shop: Shop, target: string): string {
  const fallback = `${shop.origin}/wp-admin/`;
  if (!URL.canParse(target, shop.origin)) return fallback;
  const url = new URL(target, shop.origin);
  return target !== '' && url.origin === shop.origin ? url.href : fallback;
}

function setAuthCookies(shop: Shop, response: Response, token: string, lifeMs: number | undefined): void {
  const expires = new Date(Date.now() + (lifeMs ?? 2 * 86_400_000));
  const value = `${shop.owner.username}|${Math.floor(expires.getTime() / 1000)}|${token}|practice`;
  const life = lifeMs === undefined ? {} : { expires };
  const prefix = shop.isSecure ? 'wordpress_sec_' : 'wordpress_';
  setCookie(shop, response, prefix + shop.cookieHash, value, { path: '/wp-admin', httpOnly: true, ...life });
  setCookie(shop, response, `wordpress_logged_in_${shop.cookieHash}`, value, { httpOnly: true, ...life });
  setCookie(shop, response, 'wp-settings-time-1', String(Math.floor(Date.now() / 1000)), {});
}

function clearCookies(shop: Shop, response: Response): void {
  const expires = new Date(0);
  const prefix = shop.isSecure ? 'wordpress_sec_' : 'wordpress_';
  setCookie(shop, response, prefix + shop.cookieHash, ' ', { path: '/wp-admin', expires });
  setCookie(shop, response, `wordpress_logged_in_${shop.cookieHash}`, ' ', { expires });
}

function setCookie(shop: Shop, response: Response, name: string, value: string, options: CookieOptions): void {
  response.cookie(name, value, { path: '/', secure: shop.isSecure, encode: encodeURIComponent, ...options });
}
