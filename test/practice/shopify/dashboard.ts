import { type Response, Router } from 'express';
import { type Html, html } from '../woocommerce/html.ts';
import { field } from '../woocommerce/input.ts';
import type { SignIns } from './accounts.ts';
import { page } from './pages.ts';
import { addApp, newSecret, type Obstacles, type PracticeApp, type Store, takeFault } from './state.ts';

const ORGANISATION = '/dashboard/1234';

/** dev.shopify.com: apps, their versions, installs and settings. */
export function createDashboard(
  store: Store,
  { wording, hasTwoOrganisations }: Obstacles,
  signIns: SignIns,
  origins: { readonly accounts: string; readonly store: string },
): Router {
  const router = Router();
  const words =
    wording === 'new'
      ? { create: 'Create app', home: 'Overview', settings: 'App settings', secret: 'Client secret' }
      : { create: 'Create', home: 'Home', settings: 'Settings', secret: 'Secret' };
  router.use('/dashboard', (request, response, next) => {
    if (store.obstacle === 'closed') return void response.status(503).set('Retry-After', '600').send('Back soon');
    if (!signIns.isSignedIn(request)) return void response.redirect(`${origins.accounts}/lookup`);
    if (takeFault(store, 'dashboard_5xx')) return void response.status(502).type('html').send('Bad gateway');
    next();
  });
  router.get('/dashboard', (_request, response) => {
    if (!hasTwoOrganisations) return void response.redirect(`${ORGANISATION}/apps`);
    const content = html`<h1>Select an organization</h1><ul><li><a href="${ORGANISATION}/apps">${store.organisation}</a></li>
<li><a href="/dashboard/5678/apps">Another organisation</a></li></ul>`;
    response.send(page('Select an organization', content));
  });
  router.get(`${ORGANISATION}/apps`, (_request, response) => {
    const rows = store.apps.map(
      ({ number, name, installed }) =>
        html`<li><a href="${ORGANISATION}/apps/${number}/">${name}</a> <span>${installed ? 1 : 0} installs</span></li>`,
    );
    if (store.obstacle === 'no-role')
      return void response.send(page('Apps', html`<h1>Apps</h1><p>You don't have permission to create apps.</p>`));
    const content = html`<h1>Apps</h1><p><a href="${ORGANISATION}/apps/new">Create app</a></p><ul class="apps">${rows}</ul>`;
    response.send(page('Apps', content));
  });
  router.get(`${ORGANISATION}/apps/new`, (_request, response) => {
    const content = html`<h1>Create an app</h1><section><h2>Start with Shopify CLI</h2><pre>shopify app init</pre></section>
<section><h2>Start from Dev Dashboard</h2><form method="post" action="${ORGANISATION}/apps/new">
<label for="app_name">App name</label><input type="text" id="app_name" name="name"><button type="submit">${words.create}</button>
</form></section>`;
    response.send(page('Create an app', content));
  });
  router.post(`${ORGANISATION}/apps/new`, async (request, response) => {
    await store.creations.pass('before');
    const { number } = addApp(store, { name: field(request.body, 'name'), unfindable: 1 });
    await store.creations.pass('after');
    if (store.obstacle === 'answer-lost') return void response.status(500).type('html').send('Something went wrong');
    response.redirect(`${ORGANISATION}/apps/${number}/versions/new`);
  });
  const ofApp = (path: string, answer: (app: PracticeApp, response: Response, body: unknown) => void) => {
    router.all(`${ORGANISATION}/apps/:number/${path}`, (request, response) => {
      const app = store.apps.find(({ number }) => String(number) === request.params.number);
      if (!app) return void response.status(404).send(page('Not found', html`<h1>Not found</h1>`));
      answer(app, response, request.method === 'POST' ? request.body : undefined);
    });
  };
  const send = (app: PracticeApp, response: Response, title: string, content: Html) => {
    const base = `${ORGANISATION}/apps/${app.number}`;
    const nav = html`<nav aria-label="App"><a href="${base}/">${words.home}</a> <a href="${base}/versions">Versions</a>
<a href="${base}/settings">${words.settings}</a></nav>`;
    response.send(page(title, html`<p>${app.name}</p>${nav}<h1>${title}</h1>${content}`));
  };
  ofApp('', (app, response) =>
    send(
      app,
      response,
      words.home,
      html`<section><h2>Installs</h2><p>${app.installed ? 1 : 0} installs</p>
<a href="${ORGANISATION}/apps/${app.number}/install">Install app</a></section>`,
    ),
  );
  ofApp('install', (app, response) =>
    send(
      app,
      response,
      'Install app',
      html`<p>Choose a store</p><ul><li><a href="${origins.store}/admin/oauth/install_app?app=${app.number}">${store.domain}</a></li></ul>`,
    ),
  );
  ofApp('versions', (app, response) =>
    send(
      app,
      response,
      'Versions',
      html`<table><tr><td>${app.name} 1</td><td>${app.scopes ? 'Active' : 'Draft'}</td></tr></table>`,
    ),
  );
  ofApp('versions/new', (app, response, body) => {
    if (body === undefined) return send(app, response, 'Create version', versionForm());
    app.scopes = field(body, 'scopes')
      .split(',')
      .map((scope) => scope.trim())
      .filter((scope) => scope !== '');
    response.redirect(`${ORGANISATION}/apps/${app.number}/versions`);
  });
  ofApp('settings', (app, response) => send(app, response, words.settings, settings(app, words.secret)));
  ofApp('rotate', (app, response) => {
    app.clientSecret = newSecret();
    store.counts.rotations += 1;
    response.redirect(`${ORGANISATION}/apps/${app.number}/settings`);
  });
  ofApp('automation-token', (_app, response) => {
    store.counts.automationTokens += 1;
    response.send(page('Token', html`<p>Generated</p>`));
  });
  return router;
}

function versionForm(): Html {
  return html`<form method="post"><label for="app_url">App URL</label>
<input type="url" id="app_url" name="url" value="https://shopify.dev/apps/default-app-home">
<label><input type="checkbox" name="embed">Embed app in Shopify admin</label>
<h2>Access</h2><label for="scopes">Scopes</label><textarea id="scopes" name="scopes"></textarea>
<label for="optional">Optional scopes</label><textarea id="optional" name="optional"></textarea>
<label><input type="checkbox" name="legacy">Use legacy install flow</label>
<button type="button" onclick="document.getElementById('sure').showModal()">Release</button>
<dialog id="sure" aria-labelledby="sure-title"><h2 id="sure-title">Release this new version?</h2>
<label for="version_name">Version name</label><input type="text" id="version_name" name="version_name">
<button type="submit">Release</button> <button type="button" onclick="document.getElementById('sure').close()">Cancel</button>
</dialog></form>`;
}

function settings({ number, clientId, clientSecret }: PracticeApp, secretLabel: string): Html {
  const base = `${ORGANISATION}/apps/${number}`;
  return html`<section><h2>Credentials</h2><label for="client_id">Client ID</label>
<input type="text" id="client_id" readonly value="${clientId}">
<label for="client_secret">${secretLabel}</label><input type="text" id="client_secret" readonly value="••••••••" data-value="${clientSecret}">
<button type="button" aria-label="Show secret" onclick="const f=document.getElementById('client_secret');f.value=f.dataset.value">&#128065;</button>
<form method="post" action="${base}/rotate"><button type="submit">Rotate</button></form></section>
<section><h2>App Automation Token</h2><form method="post" action="${base}/automation-token">
<button type="submit">Create token</button></form></section>`;
}
