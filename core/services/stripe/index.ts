import { defineService } from '../define-service.ts';
import { emailField, keyField, passwordField } from '../fields.ts';
import { permissionsOfWay, rotationOf, testOf } from '../key-types.ts';
import type { CredentialField, OperationTypeDefinition } from '../service.ts';
import { examine } from './examine.ts';
import { guide, revokeGuide } from './guide.ts';
import { checkPermissions, permissions, values } from './permissions.ts';
import { HOME, parseTarget } from './target.ts';
import { prefixProblem, verify } from './verify.ts';

const key: readonly CredentialField[] = [
  keyField({
    name: 'restricted_key',
    label: 'Restricted key',
    help: 'It begins with rk_test_ or rk_live_, whichever was approved. Stripe shows a live one once.',
    validate: (text, { mode }) =>
      text === '' ? 'Enter the key.' : prefixProblem(text, mode === 'live' ? 'live' : 'test'),
  }),
];

const signIn: readonly CredentialField[] = [
  emailField({
    label: 'E-mail address',
    help: 'With which you sign in to dashboard.stripe.com. The account needs the role Administrator or Developer.',
  }),
  passwordField('Stripe’s own sign-in page'),
];

const apiKeyGeneration: OperationTypeDefinition = {
  type: 'api_key_generation',
  title: 'Create a Stripe restricted key',
  ways: [
    {
      id: 'entered',
      kind: 'entered',
      standing: 'beta',
      label: 'I make the key myself',
      workflowId: 'stripe_restricted_key_entered',
      fields: key,
      typicalSeconds: 10,
    },
    {
      id: 'browser',
      kind: 'browser',
      standing: 'beta',
      label: 'Do it for me',
      workflowId: 'stripe_restricted_key',
      fields: signIn,
      typicalSeconds: 60,
    },
  ],
  permissions,
  checkPermissions,
  values,
  credentialType: 'api_key',
  stores: 'The new key goes into the encrypted vault, and nowhere else.',
  reassurance: 'The work itself touches no payments, customers or settings.',
  // Today's keys have about 107 characters, older ones 32; Stripe promises no length.
  result: { restricted_key: { label: 'Restricted key', matches: /^rk_(?:test|live)_[A-Za-z0-9]{16,240}$/ } },
  verify,
  guide,
  revokeGuide,
};

const credentialRotation = rotationOf(apiKeyGeneration, {
  title: 'Rotate the Stripe restricted key',
  ways: [
    {
      id: 'entered',
      kind: 'entered',
      standing: 'beta',
      label: 'I make the key myself',
      workflowId: 'stripe_credential_rotation_entered',
      fields: key,
      typicalSeconds: 10,
    },
  ],
  permissions: permissionsOfWay(permissions, 'entered'),
  reassurance:
    'The work itself touches no payments, customers or settings. No API of Stripe’s ends a key: that is left to a person.',
});

const integrationTest = testOf(apiKeyGeneration, {
  title: 'Test the Stripe restricted key',
  workflowId: 'stripe_integration_test',
  standing: 'beta',
});

/** Stripe, by a restricted key. Modelled on documentation and public guides as of 2026-11; nothing was seen in a real account. */
export const stripe = defineService({
  id: 'stripe',
  name: 'Stripe',
  aliases: ['stripe payments', 'stripe account', 'stripe.com'],
  targetWords: 'the address of your Stripe account',
  home: HOME,
  side: 'Stripe',
  parseTarget,
  examine,
  operationTypes: {
    api_key_generation: apiKeyGeneration,
    credential_rotation: credentialRotation,
    integration_test: integrationTest,
  },
});
