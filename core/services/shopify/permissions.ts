import type { Permission } from '../service.ts';

/** A thing in a store, and what Shopify's two scopes for it are good for. */
interface Subject {
  readonly id: string;
  readonly words: string;
  readonly reads: string;
  readonly writes: string;
}

const SUBJECTS: readonly Subject[] = [
  {
    id: 'products',
    words: 'products',
    reads: 'An integration needs to see what is sold in the store.',
    writes: 'Only for an integration that adds or changes what is sold.',
  },
  {
    id: 'inventory',
    words: 'stock',
    reads: 'To see how many of each there are.',
    writes: 'Only for an integration that keeps stock up to date.',
  },
  {
    id: 'locations',
    words: 'locations',
    reads: 'To see in which places stock lies.',
    writes: 'Only for an integration that adds or changes those places.',
  },
  {
    id: 'orders',
    words: 'orders of the last 60 days',
    reads: 'To see what was sold, and to whom.',
    writes: 'Only for an integration that changes or fulfils orders.',
  },
  {
    id: 'customers',
    words: 'customers',
    reads: 'To see who buys: names and addresses are personal data.',
    writes: 'Only for an integration that adds or changes customers.',
  },
];

const scopePermissions: readonly Permission[] = SUBJECTS.flatMap(({ id, words, reads, writes }) => [
  {
    id: `read_${id}`,
    words: `The app may read ${words}`,
    reason: reads,
    detail: `read_${id}`,
    risk: 'reads' as const,
    isRequired: false,
    isDefault: id === 'products',
  },
  {
    id: `write_${id}`,
    words: `The app may change ${words}`,
    reason: writes,
    detail: `write_${id}, includes reading`,
    risk: 'changes' as const,
    isRequired: false,
    isDefault: false,
  },
]);

export const permissions: readonly Permission[] = [
  {
    id: 'sign_in',
    words: "Sign in to Shopify's Dev Dashboard",
    reason: 'Apps can only be made by somebody who is signed in.',
    detail: 'once, password deleted afterwards',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'create_app',
    words: 'Make one app, release it and install it on your store',
    reason: 'It is what connects your store; its name says which operation made it.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'keep_keys',
    words: "Keep the app's Client ID and secret in the vault",
    reason: 'You enter them on a one-time page; they are sealed at once.',
    detail: 'only after Shopify has confirmed them',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['entered'],
  },
  ...scopePermissions,
  {
    id: 'check_key',
    words: 'Check the app with two requests',
    reason: 'So that you know it works, and may do no more than is shown here.',
    detail: 'one token, one question about store and scopes',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
];

/** The scopes among granted permissions, in Shopify's own names and in its order of writing. */
export function scopesOf(granted: readonly string[]): readonly string[] {
  return scopePermissions.map(({ id }) => id).filter((id) => granted.includes(id));
}

/** With what they include: writing includes reading. Source: shopify.dev, “Access scopes”. */
export function withImplied(scopes: Iterable<string>): ReadonlySet<string> {
  const all = new Set(scopes);
  for (const scope of [...all]) if (scope.startsWith('write_')) all.add(`read_${scope.slice('write_'.length)}`);
  return all;
}

/** Refuses what a granted app could do nothing with. */
export function checkPermissions(granted: readonly string[]): string | undefined {
  return scopesOf(granted).length > 0
    ? undefined
    : 'Choose at least one thing that the app may read or change: an app that may do nothing is of no use.';
}

const DASHBOARD = 'https://dev.shopify.com';

/** `scopes` as they are pasted into Shopify's form; where the dashboard is. */
export function values(granted: readonly string[]): Readonly<Record<string, string>> {
  return { scopes: scopesOf(granted).join(','), dashboardBase: DASHBOARD };
}

export const revocationPermissions: readonly Permission[] = [
  {
    id: 'uninstall_app',
    words: 'Uninstall the app from your store',
    reason:
      'With it every token of it ends: whatever uses it can’t reach your store any more. The app does it by its own power.',
    detail: 'one, named below; installing it again takes a person',
    risk: 'changes',
    isRequired: true,
    isDefault: true,
  },
];
