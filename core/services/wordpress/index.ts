import { defineService } from '../define-service.ts';
import { revocationOf, rotationOf, STORED, testOf } from '../key-types.ts';
import type { OperationTypeDefinition } from '../service.ts';
import { signInFields } from '../sign-in.ts';
import { examine } from './examine.ts';
import { guide, revokeGuide } from './guide.ts';
import { permissions, revocationPermissions, rotationPermissions } from './permissions.ts';
import { revoke } from './revoke.ts';
import { parseTarget } from './target.ts';
import { verify } from './verify.ts';

const signIn = signInFields({
  label: 'User name or e-mail address of the account',
  help: 'What you enter on the page yoursite/wp-login.php. The new password will be able to do whatever this account may.',
});

const apiKeyGeneration: OperationTypeDefinition = {
  type: 'api_key_generation',
  title: 'Create a WordPress application password',
  ways: [
    {
      id: 'profile',
      kind: 'browser',
      standing: 'proven',
      label: 'On the profile page',
      workflowId: 'wordpress_application_password',
      fields: signIn,
      typicalSeconds: 15,
    },
    {
      id: 'authorize',
      kind: 'browser',
      standing: 'proven',
      label: 'On WordPress’s page for connecting applications',
      workflowId: 'wordpress_authorize_application',
      fields: signIn,
      typicalSeconds: 15,
    },
  ],
  permissions,
  // There is nothing to choose: an application password has no scope.
  checkPermissions: () => undefined,
  values: () => ({ scope: 'account' }),
  credentialType: 'password',
  stores:
    'The new application password, with the user name, goes straight from the page into the encrypted vault; nobody sees it on the way.',
  reassurance:
    'The work itself changes no posts, pages, settings or people. The password that comes of it could: it may do everything that the account may.',
  result: {
    // Six groups of four (`WP_Application_Passwords::chunk_password`); WordPress takes it without the spaces, too.
    application_password: { label: 'Application password', matches: /^[A-Za-z0-9]{4}(?: ?[A-Za-z0-9]{4}){5}$/ },
    username: { label: 'User name', matches: /^\S.{0,99}$/, isPublic: true },
  },
  verify,
  revoke,
  guide,
  revokeGuide,
};

const credentialRotation = rotationOf(apiKeyGeneration, {
  title: 'Rotate the WordPress application password',
  ways: [
    {
      id: 'profile',
      kind: 'browser',
      // The pages were seen; this order of steps has run on Debian's WordPress alone.
      standing: 'beta',
      label: 'On the profile page',
      workflowId: 'wordpress_credential_rotation',
      fields: signIn,
      typicalSeconds: 20,
    },
  ],
  permissions: rotationPermissions,
  reassurance: apiKeyGeneration.reassurance,
});

const credentialRevocation = revocationOf(apiKeyGeneration, {
  title: 'Revoke the WordPress application password',
  ways: [{ ...STORED, standing: 'beta', workflowId: 'wordpress_credential_revocation' }],
  permissions: revocationPermissions,
  reassurance: 'The work itself changes no posts, pages, settings or people, and no other password.',
});

const integrationTest = testOf(apiKeyGeneration, {
  title: 'Test the WordPress application password',
  workflowId: 'wordpress_integration_test',
  standing: 'beta',
});

/** WordPress, by the profile page of an account. Pages as seen in WordPress 6.1 and 7.1. */
export const wordpress = defineService({
  id: 'wordpress',
  name: 'WordPress',
  aliases: ['wp', 'word press', 'word-press'],
  targetWords: 'the address of your site',
  side: 'the site',
  parseTarget,
  frontPage: (base) => `${base}/`,
  examine,
  operationTypes: {
    api_key_generation: apiKeyGeneration,
    credential_rotation: credentialRotation,
    credential_revocation: credentialRevocation,
    integration_test: integrationTest,
  },
});
