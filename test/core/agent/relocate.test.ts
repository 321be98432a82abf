import { describe, expect, test } from 'vitest';
import { type Fingerprint, holdsWords, relocate } from '../../../core/agent/relocate.ts';

/** "Generate API key" on a settings form, as it was recorded. */
const recorded: Fingerprint = {
  tag: 'button',
  type: 'submit',
  role: 'button',
  name: 'Generate API key',
  text: 'Generate API key',
  id: 'update_api_key',
  fieldName: 'update_api_key',
  classes: ['button', 'button-primary', 'button-large'],
  neighbours: ['Permissions', 'Key details'],
  path: ['main Settings', 'form'],
  box: { x: 210, y: 520, width: 140, height: 34 },
};
const other: Fingerprint = {
  tag: 'button',
  type: 'button',
  role: 'button',
  name: 'Screen Options',
  text: 'Screen Options',
  id: 'show-settings-link',
  classes: ['button', 'show-settings'],
  box: { x: 1100, y: 30, width: 120, height: 28 },
};
const without = <K extends keyof Fingerprint>(print: Fingerprint, ...keys: K[]): Fingerprint => {
  const copy: Record<string, unknown> = { ...print };
  for (const key of keys) delete copy[key];
  return copy as unknown as Fingerprint; // the keys that a test takes out are optional ones
};

describe('finds the recorded element', () => {
  const found: readonly (readonly [string, Fingerprint])[] = [
    ['when nothing changed', recorded],
    ['with another id and other classes', { ...recorded, id: 'btn-7f3a', classes: ['wc-button'] }],
    [
      'moved to the other end of the page',
      { ...recorded, box: { x: 900, y: 90, width: 180, height: 40 }, path: ['dialog'] },
    ],
    ['as another tag of the same use', { ...recorded, tag: 'a', type: 'submit', href: '#' }],
    ['with a word more', { ...recorded, name: 'Generate new API key', text: 'Generate new API key' }],
    ['with other words, its identifier kept', { ...recorded, name: 'Create credentials', text: 'Create credentials' }],
    [
      'in another language, its identifier kept',
      { ...recorded, name: 'API-Schlüssel erzeugen', text: 'API-Schlüssel erzeugen' },
    ],
    [
      'spelt a little differently',
      { ...recorded, id: 'x', fieldName: 'y', name: 'Generate API keys', text: 'Generate API keys' },
    ],
  ];
  test.each(found)('%s', (_, candidate) => {
    expect(relocate(recorded, [other, candidate])).toMatchObject({ kind: 'found', index: 1 });
  });

  test('by little, when little was recorded and it is the only one like it', () => {
    const little: Fingerprint = {
      tag: 'a',
      role: 'link',
      name: 'Add key',
      text: 'Add key',
      href: '/wp-admin/admin.php?page=wc-settings&create-key=1',
    };
    const now = { ...little, href: 'https://shop.example.com/wp-admin/admin.php?create-key=1&page=wc-settings' };
    expect(relocate(little, [other, now])).toMatchObject({ kind: 'found', index: 1 });
  });
});

describe('abstains', () => {
  const cases: readonly (readonly [string, readonly Fingerprint[], string])[] = [
    ['before an empty page', [], 'none'],
    [
      'when only other sorts of elements are there',
      [{ ...recorded, tag: 'input', type: 'checkbox', role: 'checkbox' }],
      'none',
    ],
    ['when nothing is like it', [other], 'unlike'],
    ['between two alike', [recorded, { ...recorded, box: { x: 210, y: 560, width: 140, height: 34 } }], 'close'],
    [
      'from its opposite in its place',
      [{ ...recorded, name: 'Revoke API key', text: 'Revoke API key' }],
      'other_words',
    ],
    [
      'from other words without an identifier that stayed',
      [{ ...recorded, id: 'a', fieldName: 'b', name: 'Regenerate webhook', text: 'Regenerate webhook' }],
      'other_words',
    ],
    [
      'from a denial that holds all its words',
      [{ ...recorded, name: 'Do not generate API key', text: 'Do not generate API key' }],
      'other_words',
    ],
  ];
  test.each(cases)('%s', (_, candidates, reason) => {
    expect(relocate(recorded, candidates)).toMatchObject({ kind: 'abstain', reason });
  });

  test('from a password field that only looks like a text field', () => {
    const user: Fingerprint = { tag: 'input', type: 'text', role: 'textbox', name: 'Username', id: 'user_login' };
    const password: Fingerprint = { tag: 'input', type: 'password', name: 'Username', id: 'user_login' };
    expect(relocate(user, [password])).toMatchObject({ kind: 'abstain', reason: 'none' });
  });

  test('at a margin that a mutating step sets higher', () => {
    const near = without({ ...recorded, id: 'second' }, 'fieldName');
    const loose = relocate(recorded, [recorded, near], { margin: 0.05 });
    expect(loose).toMatchObject({ kind: 'found', index: 0 });
    expect(relocate(recorded, [recorded, near], { margin: 0.9999 })).toMatchObject({
      kind: 'abstain',
      reason: 'close',
    });
  });
});

test.each([
  ['Ian', { name: 'Ian' }, true],
  ['Ian', { name: 'Ask Ian, please' }, true],
  ['Ian', { name: 'Ask', neighbours: ['Owner', 'ian'] }, true],
  ['Ian', { name: 'Adriana' }, false],
  ['Ian', { name: 'Mediant', neighbours: ['Ians', 'Vivian'] }, false],
  ['test shop', { name: 'Open the test shop' }, true],
  ['test shop', { name: 'Open the test', neighbours: ['shop'] }, false],
])('“%s” stands in %o: %s', (words, print, isThere) => {
  expect(holdsWords({ tag: 'button', ...print }, words)).toBe(isThere);
});

test('a page of two thousand candidates with long texts is scored all the same', () => {
  const long = 'word '.repeat(5_000);
  const many = Array.from({ length: 2_000 }, (_, i) => ({
    ...other,
    name: `${i} ${long}`,
    text: long,
    id: String(i),
  }));
  expect(relocate(recorded, [...many, recorded])).toMatchObject({ kind: 'found', index: 2_000 });
});
