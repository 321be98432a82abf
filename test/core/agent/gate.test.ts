import { describe, expect, test } from 'vitest';
import { isProhibited, keyRefusal, refusal } from '../../../core/agent/gate.ts';
import type { Fingerprint } from '../../../core/ports/browser.ts';

const button = (name: string, type = 'button'): Fingerprint => ({
  tag: 'button',
  type,
  role: 'button',
  name,
  text: name,
});
const link = (name: string, href = '/next'): Fingerprint => ({ tag: 'a', role: 'link', name, text: name, href });
const field = (type: string): Fingerprint => ({ tag: 'input', type, role: 'textbox', name: 'A field' });

describe('prohibited acts are refused whatever the plan says', () => {
  test.each([
    ...['Delete store', 'Delete all products', 'Pay now', 'Buy label', 'Place order', 'Transfer ownership'],
    ...['De\u00adlete', 'Del\u200bete all', 'D e l e t e now', 'Ｄｅｌｅｔｅ'],
    ...['Make owner', 'Change payouts', 'Issue refund', 'Shop löschen', 'Jetzt bezahlen', 'Supprimer', 'Pagar ahora'],
  ])('%s', (name) => {
    expect(isProhibited(button(name))).toBe(true);
    const wish = { recorded: button(name), candidate: button(name), does: 'click' } as const;
    expect(refusal({ ...wish, purpose: 'own' })).toContain('never done');
    expect(refusal({ ...wish, purpose: 'way' })).toContain('never done');
  });

  test.each(['Revoke key', 'Payment settings', 'Add key', 'Cancel', 'Generate API key', 'Log In'])(
    'but not %s',
    (name) => {
      expect(isProhibited(button(name))).toBe(false);
    },
  );
});

describe("the step's own click", () => {
  test.each([
    ['in other words', button('Sign in', 'submit'), button('Log in', 'submit'), true],
    ['in another language', button('Log In', 'submit'), button('Anmelden', 'submit'), true],
    ['as a link', button('Add key'), link('Add key'), true],
    ['that publishes instead', button('Log In', 'submit'), button('Publish', 'submit'), false],
    ['that saves instead of opening', link('Add key'), button('Save changes', 'submit'), false],
    ['that sends a form instead of opening', link('Keys'), button('Keys', 'submit'), false],
    ['that sends a form by a picture', link('Add key'), { ...button('Add key', 'image'), tag: 'input' }, false],
    ['on a field', button('Add key'), field('text'), false],
    ['in letters of two scripts', button('Add key'), button('Nеw kеy'), false],
    ['in letters of another script', button('Add key'), button('Новый ключ'), true],
    ['in a turned direction', button('Add key'), button('\u202eyek weN'), false],
    ['that agrees instead of opening', button('Add key'), button('Yes, continue'), false],
    ['that goes on with the same form', button('Log In', 'submit'), button('Continue', 'submit'), true],
    ['whose address acts', link('Add key', '/keys?new=1'), link('New key', '/plugins?action=off&_wpnonce=1a'), false],
    ['whose address creates as it did', link('Add key', '/?create-key=1'), link('New key', '/api?create-key=1'), true],
    ['that revokes instead of generating', button('Generate key', 'submit'), button('Revoke key', 'submit'), false],
  ])('%s', (_, recorded, candidate, isAllowed) => {
    const why = refusal({ recorded, candidate, purpose: 'own', does: 'click' });
    expect(why === undefined).toBe(isAllowed);
  });
});

describe('a field for the value', () => {
  test.each([
    ['password', 'password', true],
    ['password', 'text', false],
    ['text', 'password', false],
    ['text', 'email', true],
  ])('recorded as %s, pointed at %s', (recorded, found, isAllowed) => {
    const wish = { recorded: field(recorded), candidate: field(found), purpose: 'own', does: 'field' } as const;
    expect(refusal(wish) === undefined).toBe(isAllowed);
  });
});

describe('a click on the way', () => {
  test.each([
    ['a link', link('Settings'), true],
    ['a tab', { ...button('Advanced'), role: 'tab' }, true],
    ['a menu', button('More actions'), true],
    ['a notice to close', button('Dismiss'), true],
    ['a cookie banner to refuse', button('Reject all'), true],
    ['a cookie banner to accept', button('Accept all'), false],
    ['a button that is no opener', button('Run'), false],
    ['a form to send', button('Continue', 'submit'), false],
    ['a link to another site', link('Elsewhere', 'https://elsewhere.test/'), false],
    ['a link that runs a script', link('Go', 'javascript:go()'), false],
    ['a link that changes something', link('Activate'), false],
  ])('%s', (_, candidate, isAllowed) => {
    const why = refusal({ recorded: button('Add key'), candidate, purpose: 'way', does: 'click' });
    expect(why === undefined).toBe(isAllowed);
  });
});

describe('a box to tick', () => {
  const box = (name: string): Fingerprint => ({ tag: 'input', type: 'checkbox', role: 'checkbox', name });
  test.each([
    ['in other words', 'Show more fields', true],
    ['that allows something', 'Allow full access', false],
  ])('%s', (_, name, isAllowed) => {
    const wish = { recorded: box('Advanced fields'), candidate: box(name), purpose: 'own', does: 'field' } as const;
    expect(refusal(wish) === undefined).toBe(isAllowed);
  });
});

describe('a choice of a group', () => {
  const choice = (name: string, group?: string, type = 'radio'): Fingerprint => ({
    ...{ tag: 'input', type, role: type, name },
    ...(group === undefined ? {} : { group }),
  });
  test.each([
    ['the one on record', choice('Read', 'Orders'), choice('READ', 'Orders'), true],
    ['other words', choice('Read', 'Orders'), choice('Write', 'Orders'), false],
    ['more words', choice('Read', 'Orders'), choice('Read and write', 'Orders'), false],
    ['another group', choice('Read', 'Orders'), choice('Read', 'Payouts'), false],
    ['a group that says more', choice('Read', 'Orders'), choice('Read', 'Orders, all of them'), false],
    ['no group', choice('Read', 'Orders'), choice('Read'), false],
    ['a box of another group', choice('Read', 'Orders', 'checkbox'), choice('Read', 'Payouts', 'checkbox'), false],
    ['of no group on record', choice('Read'), choice('Read', 'Orders'), true],
  ])('%s', (_, recorded, candidate, isAllowed) => {
    expect(refusal({ recorded, candidate, purpose: 'own', does: 'field' }) === undefined).toBe(isAllowed);
  });
});

describe('a link on the way', () => {
  test.each([
    ['/settings?tab=keys', true],
    ['//evil.test/', false],
    ['\\\\evil.test/', false],
    ['https://shop.test/keys', false],
    ['java\tscript:run()', false],
    ['\u0001javascript:run()', false],
    ['/plugins?action=deactivate&plugin=a&_wpnonce=1a2b', false],
    ['/store/delete-all', false],
  ])('%s', (href, isAllowed) => {
    const wish = {
      recorded: button('Add key'),
      candidate: link('Overview', href),
      purpose: 'way',
      does: 'click',
    } as const;
    expect(refusal(wish) === undefined).toBe(isAllowed);
  });
});

describe('a key that moves about', () => {
  test.each([
    ['ArrowDown', { tag: 'button', role: 'button' }, true],
    ['ArrowDown', { tag: 'select', role: 'combobox' }, false],
    ['ArrowRight', { tag: 'input', type: 'radio', role: 'radio' }, false],
    ['Home', { tag: 'input', type: 'range', role: 'slider' }, false],
    ['ArrowUp', { tag: 'input', type: 'number', role: 'spinbutton' }, false],
    ['Shift+Tab', { tag: 'select', role: 'combobox' }, true],
    ['Escape', { tag: 'input', type: 'number', role: 'spinbutton' }, true],
  ])('%s on %o', (key, focused, isAllowed) => {
    expect(keyRefusal(key, focused) === undefined).toBe(isAllowed);
  });
});
