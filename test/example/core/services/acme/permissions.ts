import type { Permission } from '../service.ts';

export const permissions: readonly Permission[] = [
  {
    id: 'sign_in',
    words: 'Sign in to Acme as the account that you name',
    reason: 'Tokens can only be made by somebody who is signed in.',
    detail: 'once, password deleted afterwards',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
  {
    id: 'create_token',
    words: 'Create one token, which may do everything that this account may',
    reason: 'It is what connects Acme; its name says which operation made it.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
  },
  {
    id: 'check_token',
    words: 'Check the token with one request',
    reason: 'So that you know it works before you rely on it.',
    detail: 'GET me',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
];
