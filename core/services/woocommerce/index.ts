import { defineService } from '../define-service.ts';
import { keyField } from '../fields.ts';
import { revocationOf, rotationOf, testOf } from '../key-types.ts';
import type { CredentialField, OperationTypeDefinition } from '../service.ts';
import { signInFields } from '../sign-in.ts';
import { parseSite } from '../site-target.ts';
import { examine } from './examine.ts';
import { grant } from './grant.ts';
import { guide, revokeGuide } from './guide.ts';
import { checkPermissions, permissions, revocationPermissions, rotationPermissions, values } from './permissions.ts';
import { verify } from './verify.ts';

const signIn = signInFields({
  label: "User name or e-mail address of the shop's admin",
  help: 'What you enter on the page yourshop/wp-login.php. The account needs the role Administrator or Shop manager.',
});

const CONSUMER_KEY = /^ck_[0-9a-f]{40}$/;
const CONSUMER_SECRET = /^cs_[0-9a-f]{40}$/;
const halves: readonly CredentialField[] = [
  keyField({
    name: 'consumer_key',
    label: 'Consumer key',
    help: 'It begins with ck_. WooCommerce shows it once, with its secret.',
    validate: (text) => halfProblem(text, CONSUMER_KEY, 'consumer key', 'ck_'),
  }),
  keyField({
    name: 'consumer_secret',
    label: 'Consumer secret',
    help: 'It begins with cs_.',
    validate: (text) => halfProblem(text, CONSUMER_SECRET, 'consumer secret', 'cs_'),
  }),
];

function halfProblem(text: string, matches: RegExp, name: string, start: string): string | undefined {
  if (matches.test(text)) return undefined;
  if (text === '') return `Enter the ${name}.`;
  return CONSUMER_KEY.test(text) || CONSUMER_SECRET.test(text)
    ? `That is the other half: the ${name} begins with ${start}.`
    : `That is no ${name}: one is ${start} with 40 of the digits 0 to 9 and the letters a to f behind it, and nothing of it is left out.`;
}

const apiKeyGeneration: OperationTypeDefinition = {
  type: 'api_key_generation',
  title: 'Create a WooCommerce API key',
  ways: [
    {
      id: 'browser',
      kind: 'browser',
      // The pages were seen as they are; this workflow itself has run on the practice shop alone.
      standing: 'beta',
      label: 'Do it for me',
      workflowId: 'woocommerce_api_key_generation',
      fields: signIn,
      typicalSeconds: 20,
    },
    {
      id: 'granted',
      kind: 'granted',
      // The vendor's page was seen; what it sends was received from the practice shop alone.
      standing: 'beta',
      label: 'I approve it in WooCommerce myself',
      workflowId: 'woocommerce_key_granted',
      fields: halves,
      grant,
      typicalSeconds: 5,
    },
    {
      id: 'entered',
      kind: 'entered',
      // The pages of the guide were seen; what a key may do was tried on the practice shop alone.
      standing: 'beta',
      label: 'I make the key myself',
      workflowId: 'woocommerce_key_entered',
      fields: halves,
      typicalSeconds: 5,
    },
  ],
  permissions,
  checkPermissions,
  values,
  credentialType: 'api_key',
  stores: 'The new key, both halves, goes straight from the shop into the encrypted vault; nobody sees it on the way.',
  reassurance: 'The work itself changes no products, orders, payments or people.',
  result: {
    consumer_key: { label: 'Consumer key', matches: CONSUMER_KEY },
    consumer_secret: { label: 'Consumer secret', matches: CONSUMER_SECRET },
  },
  verify,
  guide,
  revokeGuide,
};

const browser = { id: 'browser', kind: 'browser', standing: 'beta', label: 'Do it for me', fields: signIn } as const;

const credentialRotation = rotationOf(apiKeyGeneration, {
  title: 'Rotate the WooCommerce API key',
  ways: [{ ...browser, workflowId: 'woocommerce_credential_rotation', typicalSeconds: 30 }],
  permissions: rotationPermissions,
  reassurance: 'The work itself changes no products, orders, payments or people, and no other key.',
});

const credentialRevocation = revocationOf(apiKeyGeneration, {
  title: 'Revoke the WooCommerce API key',
  ways: [{ ...browser, workflowId: 'woocommerce_credential_revocation', typicalSeconds: 20 }],
  permissions: revocationPermissions,
  reassurance: 'The work itself changes no products, orders, payments or people, and no other key.',
});

const integrationTest = testOf(apiKeyGeneration, {
  title: 'Test the WooCommerce API key',
  workflowId: 'woocommerce_integration_test',
  standing: 'beta',
});

/** WooCommerce, by its own settings pages. Pages as seen in WooCommerce 11.0.1 on WordPress 7.1, in English. */
export const woocommerce = defineService({
  id: 'woocommerce',
  name: 'WooCommerce',
  aliases: ['woo', 'woo commerce', 'woo-commerce', 'woocomerce'],
  targetWords: 'the address of your shop',
  parseTarget: (text) => parseSite(text, ['shop', 'cart', 'checkout', 'my-account']),
  frontPage: (base) => `${base}/`,
  rootPage: (base) => ({ url: `${base}/wp-login.php`, shows: 'user_login' }),
  examine,
  operationTypes: {
    api_key_generation: apiKeyGeneration,
    credential_rotation: credentialRotation,
    credential_revocation: credentialRevocation,
    integration_test: integrationTest,
  },
});
