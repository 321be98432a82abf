import { defineService } from '../define-service.ts';
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

const half = (name: string, label: string, matches: RegExp): CredentialField => ({
  ...{ name, label, help: '', isSecret: true, autocomplete: 'off' },
  validate: (text) => (matches.test(text) ? undefined : `That is no ${label.toLowerCase()}.`),
});
const CONSUMER_KEY = /^ck_[0-9a-f]{40}$/;
const CONSUMER_SECRET = /^cs_[0-9a-f]{40}$/;
const halves: readonly CredentialField[] = [
  half('consumer_key', 'Consumer key', CONSUMER_KEY),
  half('consumer_secret', 'Consumer secret', CONSUMER_SECRET),
];

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
  examine,
  operationTypes: {
    api_key_generation: apiKeyGeneration,
    credential_rotation: credentialRotation,
    credential_revocation: credentialRevocation,
    integration_test: integrationTest,
  },
});
