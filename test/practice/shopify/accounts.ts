import { randomBytes } from 'node:crypto';
import { type Request, type Response, Router } from 'express';
import { html, when } from '../woocommerce/html.ts';
import { cookiesOf, field } from '../woocommerce/input.ts';
import { page } from './pages.ts';
import type { Account, Obstacles, Store } from './state.ts';

const COOKIE = 'practice_session';

/** Who is signed in; pages of all three origins ask it, since cookies of one host name know no ports. */
export interface SignIns {
  isSignedIn(request: Request): boolean;
}

export function createSignIns(): SignIns & { open(response: Response): void; closeAll(): void } {
  const open = new Set<string>();
  return {
    isSignedIn: (request) => open.has(cookiesOf(request.get('cookie')).get(COOKIE) ?? ''),
    open(response) {
      const token = randomBytes(24).toString('base64url');
      open.add(token);
      response.cookie(COOKIE, token, { httpOnly: true, sameSite: 'lax' });
    },
    closeAll: () => open.clear(),
  };
}

/** accounts.shopify.com: e-mail, passkey page, password, second factor. */
export function createAccounts(
  account: Account,
  store: Pick<Store, 'obstacle'>,
  { passkeyFirst, accountPicker }: Obstacles,
  signIns: ReturnType<typeof createSignIns>,
  dashboard: string,
): Router {
  const router = Router();
  let hasEmail = false;
  let hasPassword = false;
  const done = (response: Response) => {
    signIns.open(response);
    response.redirect(`${dashboard}/dashboard`);
  };
  router.get('/lookup', (request, response) => {
    if (store.obstacle === 'elsewhere') return void response.redirect('http://identity.invalid/saml');
    if (accountPicker && field(request.query, 'other') === '')
      return void response.send(
        page(
          'Choose an account',
          html`<h1>Choose an account</h1><p><a href="/lookup?other=1">Log in with a different account</a></p>`,
        ),
      );
    response.send(
      page(
        'Log in',
        html`<h1>Log in</h1><form method="post" action="/lookup">
<label for="account_email">Email</label><input type="email" id="account_email" name="account[email]" autocomplete="username">
<button type="submit">Continue with email</button></form>`,
      ),
    );
  });
  router.post('/lookup', (request, response) => {
    hasEmail = field(request.body, 'account[email]') === account.email;
    response.redirect(passkeyFirst ? '/login/passkey' : '/login');
  });
  router.get('/login/passkey', (_request, response) => {
    response.send(
      page(
        'Log in with your passkey',
        html`<h1>Log in with your passkey</h1><button type="button">Log in with passkey</button>
<p><a href="/login/methods">Log in using a different method</a></p>`,
      ),
    );
  });
  router.get('/login/methods', (_request, response) => {
    response.send(
      page('Choose a method', html`<h1>Choose a method</h1><p><a href="/login">Continue with password</a></p>`),
    );
  });
  const passwordPage = (isWrong: boolean) =>
    page(
      'Log in',
      html`<h1>Log in</h1>${when(isWrong, html`<p class="error" role="alert">Incorrect email or password.${when(store.obstacle === 'locked', html` Too many attempts: the account is locked for an hour.`)}</p>`)}
${when(store.obstacle === 'captcha', html`<iframe title="hCaptcha challenge" src="/captcha"></iframe>`)}<form method="post" action="/login"><label for="account_password">Password</label>
<input type="password" id="account_password" name="account[password]" autocomplete="current-password">
<button type="submit">Log in</button></form>`,
    );
  router.get('/captcha', (_request, response) => void response.send('<p>Which of these are bicycles?</p>'));
  router.get('/login', (_request, response) => void response.send(passwordPage(false)));
  router.post('/login', (request, response) => {
    if (store.obstacle === 'captcha') return void response.redirect('/login');
    const isRight = field(request.body, 'account[password]') === account.password;
    hasPassword = hasEmail && isRight && store.obstacle !== 'locked';
    if (!hasPassword) {
      account.failedSignIns += 1;
      return void response.send(passwordPage(true));
    }
    if (account.oneTimeCode !== undefined) return void response.redirect('/login/two-factor');
    done(response);
  });
  const codePage = (isWrong: boolean) =>
    page(
      'Two-step authentication',
      html`<h1>Two-step authentication</h1>${when(isWrong, html`<p class="error" role="alert">This code is not valid.</p>`)}
<form method="post" action="/login/two-factor"><label for="code">Authentication code</label>
<input type="text" id="code" name="code" autocomplete="one-time-code"><button type="submit">Log in</button></form>`,
    );
  router.get('/login/two-factor', (_request, response) => void response.send(codePage(false)));
  router.post('/login/two-factor', (request, response) => {
    if (!hasPassword || field(request.body, 'code') !== account.oneTimeCode) return void response.send(codePage(true));
    done(response);
  });
  return router;
}
