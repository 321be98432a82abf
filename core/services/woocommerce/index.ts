import { defineService } from '../define-service.ts';
import type { OperationTypeDefinition } from '../service.ts';
import { signInFields } from '../sign-in.ts';
import { parseSite } from '../site-target.ts';
import { guide, revokeGuide } from './guide.ts';
import { checkPermissions, permissions, values } from './permissions.ts';
import { verify } from './verify.ts';

const signIn = signInFields({
  label: "User name or e-mail address of the shop's admin",
  help: 'What you enter on the page yourshop/wp-login.php. The account needs the role Administrator or Shop manager.',
});

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
  ],
  permissions,
  checkPermissions,
  values,
  credentialType: 'api_key',
  stores: 'The new key, both halves, goes straight from the page into the encrypted vault; nobody sees it on the way.',
  reassurance: 'The work itself changes no products, orders, payments or people.',
  result: {
    consumer_key: { label: 'Consumer key', matches: /^ck_[0-9a-f]{40}$/ },
    consumer_secret: { label: 'Consumer secret', matches: /^cs_[0-9a-f]{40}$/ },
  },
  verify,
  guide,
  revokeGuide,
};

/** WooCommerce, by its own settings pages. Pages as seen in WooCommerce 11.0.1 on WordPress 7.1, in English. */
export const woocommerce = defineService({
  id: 'woocommerce',
  name: 'WooCommerce',
  aliases: ['woo', 'woo commerce', 'woo-commerce', 'woocomerce'],
  targetWords: 'the address of your shop',
  parseTarget: (text) => parseSite(text, ['shop', 'cart', 'checkout', 'my-account']),
  operationTypes: { api_key_generation: apiKeyGeneration },
});
