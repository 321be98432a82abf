import { z } from 'zod';
import { type Failed, fails, hostOf, outage } from '../answers.ts';
import type { RevokeResult, TokenResult, VerifyInput, VerifyResult } from '../service.ts';
import { type App, type Grant, grant, graphql } from './api.ts';
import { scopesOf, withImplied } from './permissions.ts';

const METHOD = 'client credentials grant and one GraphQL question';

const QUESTION = {
  query: '{ shop { myshopifyDomain } currentAppInstallation { accessScopes { handle } } }',
  data: z.object({
    shop: z.object({ myshopifyDomain: z.string() }),
    currentAppInstallation: z.object({ accessScopes: z.array(z.object({ handle: z.string() })) }),
  }),
};
const UNINSTALL = {
  query: 'mutation { appUninstall { userErrors { message } } }',
  data: z.object({ appUninstall: z.object({ userErrors: z.array(z.unknown()) }) }),
};

/**
 * Proves an app by one token and one question: which store answers, and what the app may do there. Both must be what was
 * countersigned: an app that may do more is refused, one that may do less fails.
 */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const app = appOf(input);
  if ('kind' in app) return app;
  return withoutOutage(app, async () => {
    const granted = await grant(app);
    if (granted.kind === 'refused') return notGranted(app, granted);
    const answer = await graphql(app, granted.token, QUESTION);
    if (answer.kind === 'refused') return notAnswered(app, answer);
    const { shop, currentAppInstallation: installation } = answer.data;
    if (shop.myshopifyDomain.toLowerCase() !== hostOf(app))
      return fails(
        `The app answered for another store than ${hostOf(app)}. Ask again with the name that Shopify shows under Settings › Domains.`,
      );
    return compare(
      app,
      scopesOf(input.permissions),
      installation.accessScopes.map(({ handle }) => handle),
    );
  });
}

/** Writing includes reading, on both sides. */
function compare(app: App, consented: readonly string[], found: readonly string[]): VerifyResult {
  const [allowed, held] = [withImplied(consented), withImplied(found)];
  // Handles are the vendor's text: only what looks like one is repeated.
  const more = [...held]
    .filter((scope) => !allowed.has(scope))
    .map((scope) => (HANDLE.test(scope) ? scope : 'another'));
  if (more.length > 0)
    return fails(
      `The app may do more than was approved: ${more.slice(0, 8).join(', ')}. Release a version with exactly these scopes and install it again: ${consented.join(',')}. Or ask again with those permissions.`,
    );
  const missing = consented.filter((scope) => !held.has(scope));
  if (missing.length > 0)
    return fails(
      `The app may not do all that was approved: ${missing.join(', ')} is missing on ${hostOf(app)}. Release a version with exactly these scopes and approve it in the store: ${consented.join(',')}.`,
    );
  const list = consented.length === 1 ? consented[0] : `${consented.slice(0, -1).join(', ')} and ${consented.at(-1)}`;
  return {
    kind: 'works',
    checked: `${hostOf(app)} answered; the app has ${list}, and nothing beyond that`,
    method: METHOD,
  };
}

const HANDLE = /^[a-z_]{1,60}$/;

/** The token that everything else is asked with; Shopify gives out one for 24 hours. */
export async function token(input: VerifyInput): Promise<TokenResult> {
  const app = appOf(input);
  if ('kind' in app) return app;
  return withoutOutage(app, async () => {
    const granted = await grant(app);
    return granted.kind === 'granted'
      ? { kind: 'token', token: granted.token, expiresInSeconds: granted.expiresInSeconds }
      : notGranted(app, granted);
  });
}

/** Takes the app off the store, by its own token; ended is only what gets no token any more. */
export async function revoke(input: VerifyInput): Promise<RevokeResult> {
  const app = appOf(input);
  if ('kind' in app) return app;
  return withoutOutage(app, async () => {
    const granted = await grant(app);
    if (isUninstalled(granted)) return { kind: 'revoked' };
    if (granted.kind === 'refused') return notGranted(app, granted);
    const answer = await graphql(app, granted.token, UNINSTALL);
    if (answer.kind === 'refused') return notAnswered(app, answer);
    if (answer.data.appUninstall.userErrors.length > 0)
      return fails(`${hostOf(app)} did not let the app be uninstalled.`);
    return isUninstalled(await grant(app))
      ? { kind: 'revoked' }
      : fails(`${hostOf(app)} was told to uninstall the app, but still gives it tokens.`, true);
  });
}

function isUninstalled(granted: Grant): boolean {
  return granted.kind === 'refused' && granted.code === 'app_not_installed';
}

function appOf({ credential, base, origin, http }: VerifyInput): App | Failed {
  const { client_id: clientId, client_secret: clientSecret } = credential;
  if (clientId === undefined || clientSecret === undefined) return fails('Client ID or client secret is missing.');
  return { base, origin, clientId, clientSecret, http };
}

/** Why there is no token, and what to do about it. */
function notGranted(app: App, { status, code }: Grant & { kind: 'refused' }): Failed {
  const host = hostOf(app);
  switch (code) {
    case 'shop_not_permitted':
      return fails(
        `Shopify gives this app no token for ${host} (shop_not_permitted): app and store belong to different organisations. Make the app in the organisation whose Dev Dashboard lists this store; an app of a partner can't do this.`,
      );
    case 'app_not_installed':
      return {
        ...fails(
          `The app is not installed on ${host} (app_not_installed). In the Dev Dashboard open the app, “Home”, “Install app”, and choose this store.`,
        ),
        refusedWith: code,
      };
    case 'application_cannot_be_found':
      // Also of an app that was made a moment ago: Shopify's own browser suite tries again for 15 s (Shopify/cli, packages/e2e).
      return fails(
        'Shopify knows no app with this Client ID (application_cannot_be_found). Copy it once more from Settings of the app.',
        true,
      );
    case 'invalid_client':
    case 'invalid_request':
      return {
        ...fails(
          `Shopify does not take this secret for this app (${code}). Copy Client ID and secret once more from Settings of the app, both from the same one; an “App Automation Token” is something else.`,
        ),
        refusedWith: code,
      };
    default:
      return elsewhere(app, status, 'gave no token');
  }
}

function notAnswered(
  app: App,
  { status, code }: { readonly status: number; readonly code: string | undefined },
): Failed {
  const host = hostOf(app);
  if (status === 401) return fails(`${host} does not take the token that it gave a moment ago (401).`, true);
  if (code === 'THROTTLED') return fails(`${host} asks for patience, so the app could not be checked now.`, true);
  if (code === 'ACCESS_DENIED') return fails(`${host} does not let the app see its own scopes (ACCESS_DENIED).`);
  return elsewhere(app, status, 'did not answer the question');
}

function elsewhere(app: App, status: number, what: string): Failed {
  const host = hostOf(app);
  if (status === 404) return fails(`Shopify has no store ${host}, or it is closed (404).`);
  if (status >= 300 && status < 400)
    return fails(
      `${host} sends the request elsewhere (${status}). Ask again with the name that Settings › Domains shows.`,
    );
  if (status === 402 || status === 423) return fails(`Shopify has closed ${host} for now (${status}).`);
  if (status === 429 || status >= 500)
    return fails(`${host} answered ${status}, so the app could not be checked now.`, true);
  return fails(`${host} ${what} (${status}).`);
}

async function withoutOutage<T>(app: App, work: () => Promise<T>): Promise<T | Failed> {
  try {
    return await work();
  } catch (error) {
    return outage(app, 'app', error);
  }
}
