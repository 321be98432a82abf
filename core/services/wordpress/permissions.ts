import type { Permission } from '../service.ts';

export const permissions: readonly Permission[] = [
  {
    id: 'sign_in',
    words: 'Sign in to your site as the account that you name',
    reason: 'An application password can only be made by the account that it is for.',
    detail: 'once, password deleted afterwards',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
  {
    id: 'create_password',
    words: 'Create one application password',
    reason: 'It is what connects your site; its name says which operation made it.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
  },
  {
    id: 'act_as_account',
    words: 'The password may do everything that this account may do',
    reason:
      'WordPress has no narrower ones: by the API it reads, writes and deletes whatever the account may, for an Administrator the whole site. So choose an account that may do no more than the integration needs.',
    detail: 'the account’s whole power',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
  {
    id: 'check_password',
    words: 'Check the password with one request',
    reason: 'So that you know it works before you rely on it.',
    detail: 'GET users/me',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
];

export const rotationPermissions: readonly Permission[] = [
  ...permissions,
  {
    id: 'end_old_password',
    words: 'End the old application password, once the new one works',
    reason: 'A password that nobody uses any more is one that somebody else could. It ends itself, by its own power.',
    detail: 'one, named below',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
];

export const revocationPermissions: readonly Permission[] = [
  {
    id: 'end_password',
    words: 'End one application password',
    reason: 'Whatever uses it can’t reach your site any more from then on. It ends itself, by its own power.',
    detail: 'one, named below; it can’t be brought back',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
];
