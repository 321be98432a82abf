import { type Response, Router } from 'express';
import { field } from '../woocommerce/input.ts';
import { giveToken, type PracticeApp, type Store, TOKEN_SECONDS, takeFault, uninstall } from './state.ts';

/** The token endpoint and the Admin API of the one store. */
export function createStoreApi(store: Store): Router {
  const router = Router();
  router.use('/admin', (_request, response, next) => {
    if (takeFault(store, 'api_unavailable')) return void response.status(503).type('html').send('Unavailable');
    if (takeFault(store, 'api_throttled')) return void response.status(429).set('retry-after', '2.0').send('');
    if (takeFault(store, 'store_moved')) return void response.redirect(301, 'https://elsewhere.invalid/admin');
    next();
  });
  router.post('/admin/oauth/access_token', (request, response) => {
    const { body } = request;
    if (field(body, 'grant_type') !== 'client_credentials')
      return void response.status(400).json({ error: 'invalid_request' });
    const app = store.apps.find(({ clientId }) => clientId === field(body, 'client_id'));
    const refusal = refusalOf(store, app, field(body, 'client_secret'));
    if (refusal === 'invalid_client') return void response.status(400).json({ error: refusal });
    if (refusal !== undefined || app?.installed === undefined)
      return oauthError(response, refusal ?? 'invalid_request');
    response.json({
      access_token: giveToken(store, app),
      scope: app.installed.join(','),
      expires_in: TOKEN_SECONDS,
    });
  });
  router.post('/admin/api/:version/graphql.json', (request, response) => {
    const app = store.tokens.get(request.get('x-shopify-access-token') ?? '');
    if (!app?.installed)
      return void response
        .status(401)
        .json({ errors: '[API] Invalid API key or access token (unrecognized login or wrong password)' });
    const query = field(request.body, 'query');
    if (/\bappUninstall\b/.test(query)) {
      uninstall(store, app);
      return void response.json({ data: { appUninstall: { userErrors: [] } } });
    }
    if (!/\bcurrentAppInstallation\b/.test(query))
      return void response.json({ errors: [{ message: 'No such field', extensions: { code: 'undefinedField' } }] });
    const accessScopes = app.installed.map((handle) => ({ handle }));
    const shop = { name: 'Practice Store', myshopifyDomain: store.domain };
    response.json({ data: { shop, currentAppInstallation: { accessScopes } } });
  });
  return router;
}

function refusalOf(store: Store, app: PracticeApp | undefined, secret: string): string | undefined {
  if (app && app.unfindable > 0) {
    app.unfindable -= 1;
    return 'application_cannot_be_found';
  }
  if (!app) return 'application_cannot_be_found';
  if (app.clientSecret !== secret) return 'invalid_client';
  if (app.organisation !== store.organisation) return 'shop_not_permitted';
  return app.installed === undefined ? 'app_not_installed' : undefined;
}

const WORDS: Readonly<Record<string, string>> = {
  shop_not_permitted: 'Client credentials cannot be performed on this shop.',
  app_not_installed: 'The application is not installed on this shop.',
  application_cannot_be_found: 'The application cannot be found.',
};

/** A whole page, of which the title alone says what is wrong. */
function oauthError(response: Response, code: string): void {
  const title = `400 - Oauth error ${code}: ${WORDS[code] ?? 'The request is invalid.'}`;
  response
    .status(400)
    .type('html')
    .send(
      `<!DOCTYPE html><html lang="en"><head><title>${title}</title></head><body><h1>Oauth error</h1></body></html>`,
    );
}
