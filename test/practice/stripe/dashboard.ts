import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import express, { type Request, type Response, Router } from 'express';
import { cookiesOf, field, fields } from '../woocommerce/input.ts';
import { codePage, createPage, type FormOptions, homePage, keysPage, loginPage, refusedPage } from './pages.ts';
import { makeKey, type StripeMode, type StripeState } from './state.ts';

export interface DashboardOptions
  extends Pick<FormOptions, 'wording' | 'asksPurpose' | 'offersTemplates' | 'asksAgain'> {
  readonly email: string;
  readonly password: string;
  readonly oneTimeCode: string | undefined;
  readonly twoFactor: boolean;
  /** Opens every page in this mode, whatever its address says, as an account does that was left in it. */
  readonly stuckIn: StripeMode | undefined;
}

const LOCKED = 'Incorrect email or password. Too many attempts: this account is locked for an hour.';

/** The pages that somebody sees who makes a key. */
export function createDashboardRoutes(state: StripeState, options: DashboardOptions): Router {
  const { sessions } = state;
  const half = new Set<string>(); // signed in, with the code still to come
  const router = Router();
  const script = readFileSync(new URL('./assets/create-key.js', import.meta.url), 'utf8');
  const session = (request: Request) => cookiesOf(request.get('cookie')).get('session') ?? '';
  const open = (into: Set<string>, response: Response) => {
    const token = randomBytes(16).toString('hex');
    into.add(token);
    response.cookie('session', token, { httpOnly: true, sameSite: 'lax' });
  };
  const target = (text: string) => (text.startsWith('/') && !text.startsWith('//') ? text : '/');

  router.use(express.urlencoded({ extended: false }), express.json());
  router.use((_, response, next) => {
    if (state.obstacle !== 'closed') return next();
    return void response.status(503).set('Retry-After', '600').send('Down for maintenance');
  });
  router.get('/assets/create-key.js', (_, response) => void response.type('js').send(script));
  router.get('/login', (request, response) => {
    if (state.obstacle === 'elsewhere') return void response.redirect('http://identity.invalid/saml');
    response.send(loginPage(field(request.query, 'redirect')));
  });
  router.get('/captcha', (_, response) => void response.send('<p>Which of these are bicycles?</p>'));
  router.post('/login', (request, response) => {
    const [email, password, redirect] = [
      field(request.body, 'email'),
      field(request.body, 'password'),
      field(request.body, 'redirect'),
    ];
    const hasCaptcha = state.obstacle === 'captcha';
    if (password === '' || hasCaptcha) return void response.send(loginPage(redirect, { email, hasCaptcha }));
    state.signIns += 1;
    if (state.obstacle === 'locked')
      return void response.status(401).send(loginPage(redirect, { email, problem: LOCKED }));
    if (email !== options.email || password !== options.password)
      return void response.status(401).send(loginPage(redirect, { email, problem: 'Incorrect email or password.' }));
    open(options.twoFactor ? half : sessions, response);
    return void response.redirect(
      options.twoFactor ? `/two-step?redirect=${encodeURIComponent(redirect)}` : target(redirect),
    );
  });
  router.get('/two-step', (request, response) => void response.send(codePage(field(request.query, 'redirect'))));
  router.post('/two-step', (request, response) => {
    const redirect = field(request.body, 'redirect');
    if (!half.has(session(request))) return void response.redirect('/login');
    if (field(request.body, 'code') !== options.oneTimeCode)
      return void response.status(401).send(codePage(redirect, 'That code isn’t right. Try again.'));
    half.delete(session(request));
    open(sessions, response);
    return void response.redirect(target(redirect));
  });
  router.use((request, response, next) => {
    if (sessions.has(session(request))) return next();
    return void response.redirect(`/login?redirect=${encodeURIComponent(request.originalUrl)}`);
  });
  for (const mode of ['test', 'live'] as const) {
    const root = mode === 'test' ? '/test' : '';
    const shown = options.stuckIn ?? mode;
    router.get(`${root}/`, (_, response) => void response.send(homePage(shown)));
    router.get(
      `${root}/apikeys`,
      (request, response) => void response.send(keysPage(state, shown, field(request.query, 'search'))),
    );
    router.get(`${root}/apikeys/create`, (request, response) => {
      if (state.obstacle === 'no-role') return void response.status(403).send(refusedPage(shown));
      const given = { name: field(request.query, 'name'), raks: fields(request.query, 'permissions[]') };
      response.send(createPage(shown, { ...options, ...given }));
    });
    router.post(`${root}/apikeys/keys`, async (request, response) => {
      if (options.asksAgain && field(request.body, 'code') !== options.oneTimeCode)
        return void response.status(403).json({});
      const raks = fields(request.body, 'raks');
      await state.creations.pass('before');
      const { value } = makeKey(state, { name: field(request.body, 'name'), mode: shown, raks });
      await state.creations.pass('after');
      return void (state.obstacle === 'answer-lost' ? response.status(500).send('Error') : response.json({ value }));
    });
  }
  return router;
}
