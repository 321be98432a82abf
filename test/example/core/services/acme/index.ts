import { defineService } from '../define-service.ts';
import { emailField, passwordField } from '../fields.ts';
import type { CredentialField, OperationTypeDefinition } from '../service.ts';
import { parseSite } from '../site-target.ts';
import { guide, revokeGuide } from './guide.ts';
import { permissions } from './permissions.ts';
import { verify } from './verify.ts';

const signIn: readonly CredentialField[] = [
  emailField({
    label: 'E-mail address',
    help: 'With which you sign in to Acme. The token will be able to do whatever this account may.',
  }),
  passwordField('Acme’s own sign-in page'),
];

const apiKeyGeneration: OperationTypeDefinition = {
  type: 'api_key_generation',
  title: 'Create an Acme token',
  ways: [
    {
      id: 'browser',
      kind: 'browser',
      standing: 'beta',
      label: 'Do it for me',
      workflowId: 'acme_token',
      fields: signIn,
      typicalSeconds: 10,
    },
  ],
  permissions,
  // There is nothing to choose: a token has the whole power of its account.
  checkPermissions: () => undefined,
  values: () => ({ scope: 'account' }),
  credentialType: 'api_key',
  stores: 'The new token goes straight from the page into the encrypted vault; nobody sees it on the way.',
  reassurance: 'The work itself changes nothing else at Acme.',
  result: { token: { label: 'Token', matches: /^tok_[0-9a-f]{40}$/ } },
  verify,
  guide,
  revokeGuide,
};

/** Acme, invented: the smallest service that can be set up. docs/add-a-service.md goes through it. */
export const acme = defineService({
  id: 'acme',
  name: 'Acme',
  aliases: ['acme inc'],
  targetWords: 'the address of your Acme',
  side: 'Acme',
  parseTarget: (text) => parseSite(text),
  frontPage: (base) => `${base}/sign-in`,
  operationTypes: { api_key_generation: apiKeyGeneration },
});
