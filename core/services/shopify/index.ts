import { defineService } from '../define-service.ts';
import { emailField, keyField, passwordField } from '../fields.ts';
import { revocationOf, STORED, testOf } from '../key-types.ts';
import type { CredentialField, OperationTypeDefinition } from '../service.ts';
import { examine } from './examine.ts';
import { guide, revokeGuide } from './guide.ts';
import { checkPermissions, permissions, revocationPermissions, values } from './permissions.ts';
import { parseTarget, STORE_NAME } from './target.ts';
import { revoke, token, verify } from './verify.ts';

const CLIENT_ID = /^[0-9a-f]{32}$/;
/** 38 characters: shopify.dev changelog, “App secret key length has increased”. */
const CLIENT_SECRET = /^shpss_[0-9A-Za-z]{32}$/;

/** Where one signs in, where apps are made, the store's admin, and what the pages of all three are drawn with. */
const ORIGINS = [
  'https://accounts.shopify.com',
  'https://dev.shopify.com',
  'https://admin.shopify.com',
  'https://cdn.shopify.com',
] as const;

const appKeys: readonly CredentialField[] = [
  keyField({
    name: 'client_id',
    label: 'Client ID',
    help: 'In the Dev Dashboard: the app, Settings, Credentials. 32 letters and digits.',
    isSecret: false,
    validate: (text) => idProblem(text.trim()),
  }),
  keyField({
    name: 'client_secret',
    label: 'Client secret',
    help: 'Beside the Client ID, shown by the eye. It begins with shpss_. Not the App Automation Token, and do not press Rotate.',
    validate: (text) => secretProblem(text.trim()),
  }),
];

function idProblem(text: string): string | undefined {
  if (CLIENT_ID.test(text)) return undefined;
  return text.startsWith('shp')
    ? 'That is a secret, not the Client ID: it belongs into the other field.'
    : 'A Client ID is 32 of the digits 0 to 9 and the letters a to f.';
}

function secretProblem(text: string): string | undefined {
  if (CLIENT_SECRET.test(text)) return undefined;
  if (/^shp(?:at|ca|pa)_/.test(text))
    return 'That is an access token, not the secret of the app: the secret begins with shpss_.';
  if (/^shpss_/.test(text)) return 'That secret is not whole: shpss_ is followed by 32 letters and digits.';
  return 'The secret begins with shpss_. An “App Automation Token”, on the same page, is another thing and will not do; a secret without shpss_ is one of an old app.';
}

const signIn: readonly CredentialField[] = [
  emailField({
    label: 'E-mail address of the Shopify account',
    help: 'Of the owner of the store, or of staff with the role Apps Developer.',
  }),
  passwordField('accounts.shopify.com', ' For a code or a passkey you are asked in the thread.'),
];

const apiKeyGeneration: OperationTypeDefinition = {
  type: 'api_key_generation',
  title: 'Connect a Shopify app',
  ways: [
    {
      id: 'entered',
      kind: 'entered',
      standing: 'beta',
      label: 'I make the app myself',
      workflowId: 'shopify_app_entered',
      fields: appKeys,
      typicalSeconds: 5,
    },
    {
      id: 'browser',
      kind: 'browser',
      standing: 'beta',
      label: 'Do it for me',
      workflowId: 'shopify_app_credentials',
      origins: ORIGINS,
      fields: signIn,
      typicalSeconds: 60,
    },
  ],
  permissions,
  checkPermissions,
  values,
  credentialType: 'api_key',
  stores: 'The app’s Client ID and secret go into the encrypted vault, once Shopify has confirmed what they may do.',
  reassurance: 'The work itself changes no products, stock, orders or customers.',
  result: {
    client_id: { label: 'Client ID', matches: CLIENT_ID },
    client_secret: { label: 'Client secret', matches: CLIENT_SECRET },
  },
  verify,
  token,
  revoke,
  guide,
  revokeGuide,
};

const credentialRevocation = revocationOf(apiKeyGeneration, {
  title: 'Revoke the Shopify app',
  ways: [{ ...STORED, standing: 'beta', workflowId: 'shopify_credential_revocation' }],
  permissions: revocationPermissions,
  reassurance: 'The work itself changes no products, stock, orders or customers, and no other app.',
});

const integrationTest = testOf(apiKeyGeneration, {
  title: 'Test the Shopify app',
  workflowId: 'shopify_integration_test',
  standing: 'beta',
});

/**
 * Shopify, by an app of the store's own organisation. Modelled after Shopify's documentation of 2026 and its own browser suite
 * (Shopify/cli, packages/e2e): never seen on a real account.
 */
export const shopify = defineService({
  id: 'shopify',
  name: 'Shopify',
  aliases: ['shopfy', 'shopify plus', 'my shopify', 'myshopify'],
  targetWords: "your store's myshopify.com name",
  side: 'Shopify',
  targetExample: 'my-shop.myshopify.com',
  targetName: STORE_NAME,
  parseTarget,
  examine,
  operationTypes: {
    api_key_generation: apiKeyGeneration,
    credential_revocation: credentialRevocation,
    integration_test: integrationTest,
  },
});
