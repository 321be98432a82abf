import { Router } from 'express';
import { html } from '../woocommerce/html.ts';
import { field } from '../woocommerce/input.ts';
import type { SignIns } from './accounts.ts';
import { page } from './pages.ts';
import type { Store } from './state.ts';

/** The store's own page that asks before an app is installed. */
export function createStoreAdmin(store: Store, signIns: SignIns, accounts: string): Router {
  const router = Router();
  router.all('/admin/oauth/install_app', (request, response) => {
    if (!signIns.isSignedIn(request)) return void response.redirect(`${accounts}/lookup`);
    const app = store.apps.find(({ number }) => String(number) === field(request.query, 'app'));
    if (!app?.scopes) return void response.status(404).send(page('Not found', html`<h1>Not found</h1>`));
    if (request.method === 'POST') {
      app.installed = app.scopes;
      return void response.send(
        page('Installed', html`<h1>${app.name}</h1><p>This app is installed on ${store.domain}.</p>`),
      );
    }
    const rows = app.scopes.map((scope) => html`<li>${scope}</li>`);
    const content = html`<h1>Install app</h1><p>${app.name} will be able to:</p><ul>${rows}</ul>
<form method="post"><button type="submit">Install</button> <button type="button">Cancel</button></form>`;
    response.send(page('Install app', content));
  });
  return router;
}
