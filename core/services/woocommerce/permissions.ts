import { permissionsOfWay } from '../key-types.ts';
import type { Permission } from '../service.ts';

export const permissions: readonly Permission[] = [
  {
    id: 'sign_in',
    words: "Sign in to your shop's admin",
    reason: 'API keys can only be made by somebody who is signed in.',
    detail: 'once, password deleted afterwards',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'create_api_key',
    words: 'Create one API key',
    reason: 'It is what connects your shop; its name says which operation made it.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'keep_key',
    words: 'Keep the one API key that you approve in WooCommerce',
    reason: 'It is what connects your shop; its name says which operation it is for.',
    detail: 'no password asked for',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['granted'],
  },
  {
    id: 'enter_key',
    words: 'Keep the one API key that you make and enter',
    reason: 'You make it in your own shop; nobody else signs in there.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['entered'],
  },
  {
    id: 'read_shop',
    words: 'The key may read products, orders and customers',
    reason: 'An integration needs to see what is in the shop.',
    detail: 'read',
    risk: 'reads',
    isRequired: false,
    isDefault: true,
  },
  {
    id: 'write_shop',
    words: 'The key may change products, orders and customers',
    reason: 'Only for an integration that writes, such as one that keeps stock up to date.',
    detail: 'write',
    risk: 'changes',
    isRequired: false,
    isDefault: false,
  },
  {
    id: 'check_key',
    words: 'Check the key with two requests',
    reason: 'So that you know that it works, and may do what was approved and no more.',
    detail: 'reads products, changes nothing',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
];

const signIn: Permission = {
  id: 'sign_in',
  words: "Sign in to your shop's admin",
  reason: 'API keys can only be ended by somebody who is signed in.',
  detail: 'once, password deleted afterwards',
  risk: 'reads',
  isRequired: true,
  isDefault: true,
};

/** In the order of the work: the new key, then the end of the old one. */
export const rotationPermissions: readonly Permission[] = [
  ...permissionsOfWay(permissions, 'browser'),
  {
    id: 'end_old_key',
    words: 'End the old API key in your shop, once the new one works',
    reason:
      'A key that nobody uses any more is one that somebody else could. Only the one that is named below is ended.',
    detail: 'one, named below',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
];

export const revocationPermissions: readonly Permission[] = [
  signIn,
  {
    id: 'end_key',
    words: 'End one API key in your shop',
    reason:
      'Whatever uses that key can’t reach your shop any more from then on. Only the one that is named below is ended.',
    detail: 'one, named below; it can’t be brought back',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
];

/** Refuses what a granted key could do nothing with. */
export function checkPermissions(granted: readonly string[]): string | undefined {
  return granted.includes('read_shop') || granted.includes('write_shop')
    ? undefined
    : 'Choose at least one of reading and changing: a key that may do neither is of no use.';
}

export type Scope = 'read' | 'write' | 'read_write';

/** The power of a key, as WooCommerce's form calls it. */
export function scopeOf(granted: readonly string[]): Scope {
  if (!granted.includes('write_shop')) return 'read';
  return granted.includes('read_shop') ? 'read_write' : 'write';
}

const SCOPE_WORDS: Readonly<Record<Scope, string>> = { read: 'Read', write: 'Write', read_write: 'Read/Write' };

export function values(granted: readonly string[]): Readonly<Record<string, string>> {
  const scope = scopeOf(granted);
  return { scope, scopeWords: SCOPE_WORDS[scope] };
}
