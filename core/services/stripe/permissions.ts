import type { Permission } from '../service.ts';
import { type Level, levelOf, RESOURCES, type Resource } from './resources.ts';

export type Mode = 'test' | 'live';

export const permissions: readonly Permission[] = [
  {
    id: 'sign_in',
    words: 'Sign in to your Stripe dashboard',
    reason: 'Keys can only be made by somebody who is signed in; where Stripe wants a code, you are asked for it.',
    detail: 'once, password deleted afterwards',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'say_own_integration',
    words: 'Tell Stripe that the key powers an integration of your own',
    reason: 'Stripe asks what a key is for. If another answer is true, make the key yourself.',
    detail: 'the answer to its question',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'create_api_key',
    words: 'Create one restricted key',
    reason: 'It is what connects your account; its name says which operation made it.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['browser'],
  },
  {
    id: 'keep_key',
    words: 'Keep the one restricted key that you make and enter',
    reason: 'You make it in your own Stripe account; nobody else signs in there.',
    detail: 'one, named after this operation',
    risk: 'creates',
    isRequired: true,
    isDefault: true,
    ways: ['entered'],
  },
  {
    id: 'test_mode',
    words: 'Test mode: no real money, no real customers',
    reason: 'A key of test mode can be tried without any harm.',
    detail: 'rk_test_…',
    risk: 'reads',
    isRequired: false,
    isDefault: true,
  },
  {
    id: 'live_mode',
    words: 'LIVE MODE: real money and real customers',
    reason: 'What the key may do, it may do to real payments.',
    detail: 'rk_live_…',
    // More than reading, but nothing that a wish to write would bring along.
    risk: 'creates',
    isRequired: false,
    isDefault: false,
  },
  ...RESOURCES.flatMap(permissionsOf),
  {
    id: 'check_key',
    words: 'Check the key with requests that change nothing',
    reason: 'So that you know that it works, and may do what was approved and no more.',
    detail: 'one entry each read, changes sent to nothing, api.stripe.com',
    risk: 'reads',
    isRequired: true,
    isDefault: true,
  },
];

function permissionsOf({ id, words, writes, isDefault }: Resource): readonly Permission[] {
  const read: Permission = {
    id: `read_${id}`,
    words: `The key may read ${words}`,
    reason: id === 'balance' ? 'Every key is checked by this.' : 'An integration needs to see what it works with.',
    detail: 'read',
    risk: 'reads',
    isRequired: id === 'balance',
    isDefault,
  };
  if (!writes) return [read];
  const write: Permission = {
    id: `write_${id}`,
    words: `The key may ${writes.words}`,
    reason: writes.reason,
    detail: 'write, and read',
    risk: 'changes',
    isRequired: false,
    isDefault: false,
  };
  return [read, write];
}

/** One mode, never both: a key of one is worth nothing, or too much, in the other. */
export function checkPermissions(granted: readonly string[]): string | undefined {
  const isOne = granted.includes('live_mode') !== granted.includes('test_mode');
  return isOne ? undefined : 'Choose either test mode or live mode: a key is for one of them.';
}

export function modeOf(granted: readonly string[]): Mode {
  return granted.includes('live_mode') && !granted.includes('test_mode') ? 'live' : 'test';
}

/** What Stripe calls the rights of a key: `rak_balance_read,rak_customer_write`. */
function raksOf(granted: readonly string[]): readonly string[] {
  return RESOURCES.flatMap((resource) => {
    const level = levelOf(resource, granted);
    return level === 'none' ? [] : [`rak_${resource.rak}_${level}`];
  });
}

const LEVEL_WORDS: Readonly<Record<Level, string>> = { none: 'None', read: 'Read', write: 'Write' };

/** `rows`: every row of Stripe's form that is to be set, as it reads there. */
export function values(granted: readonly string[]): Readonly<Record<string, string>> {
  const mode = modeOf(granted);
  const set = RESOURCES.filter((resource) => levelOf(resource, granted) !== 'none');
  const marks = { test: 'Test mode', live: 'Live mode' };
  return {
    mode,
    // Of addresses: a dot is the folder itself.
    folder: mode === 'test' ? 'test' : '.',
    modeMark: marks[mode],
    otherMark: marks[mode === 'test' ? 'live' : 'test'],
    ...Object.fromEntries(
      RESOURCES.map((resource) => [`${resource.id}_level`, LEVEL_WORDS[levelOf(resource, granted)]]),
    ),
    scope: granted.some((id) => id.startsWith('write_')) ? 'read_write' : 'read',
    raks: raksOf(granted).join(','),
    rows: set.map((resource) => `${resource.row}: ${LEVEL_WORDS[levelOf(resource, granted)]}`).join(', '),
  };
}
