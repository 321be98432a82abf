import { describe, expect, test } from 'vitest';
import { isSameElement } from '../../../core/workflow/elements.ts';
import {
  fillCondition,
  fillLocator,
  fillText,
  fillUrl,
  secretSlot,
  withDerivedValues,
} from '../../../core/workflow/placeholders.ts';

const values = withDerivedValues({ base: 'https://shop.example.com/store', label: 'Countersign & Söhne "x"' });

describe('placeholders', () => {
  test('stand for values in sentences', () => {
    expect(fillText('Name it “{label}”', values)).toBe('Name it “Countersign & Söhne "x"”');
  });

  test('are refused without a value, also by the names that every object has', () => {
    expect(() => fillText('{shoe}', values)).toThrow('No value for the placeholder {shoe}');
    expect(() => fillText('{constructor}', values)).toThrow('No value for the placeholder {constructor}');
  });

  test('are encoded in addresses, except the base at their beginning', () => {
    expect(fillUrl('{base}/list?s={label}&back={base}', values)).toBe(
      'https://shop.example.com/store/list?s=Countersign%20%26%20S%C3%B6hne%20%22x%22&back=https%3A%2F%2Fshop.example.com%2Fstore',
    );
  });

  test('are filled once: a value that looks like a placeholder stays text', () => {
    expect(fillText('{label}', { ...values, label: '{base}' })).toBe('{base}');
  });

  test('never become a selector', () => {
    const locator = { by: 'css', selector: '[title="{label}"]' } as const;
    expect(fillLocator(locator, values)).toEqual(locator);
  });

  test('are filled in nested locators and conditions', () => {
    const condition = {
      kind: 'any',
      of: [
        { kind: 'url', path: '{basePath}/wp-admin/', query: { s: '{label}' } },
        { kind: 'visible', locator: { by: 'text', text: 'x', within: { by: 'role', role: 'row', name: '{label}' } } },
      ],
    } as const;
    expect(fillCondition(condition, { ...values, label: 'L' })).toEqual({
      kind: 'any',
      of: [
        { kind: 'url', path: '/store/wp-admin/', query: { s: 'L' } },
        { kind: 'visible', locator: { by: 'text', text: 'x', within: { by: 'role', role: 'row', name: 'L' } } },
      ],
    });
  });

  test('tell a secret slot from a value', () => {
    expect(secretSlot('{secret:admin_password}')).toBe('admin_password');
    expect(secretSlot('{admin_password}')).toBeUndefined();
    expect(secretSlot('x {secret:admin_password}')).toBeUndefined();
  });
});

describe('the recorded identity', () => {
  const recorded = { tag: 'a', role: 'link', name: 'Add key' };

  test.each([
    { what: 'the same', found: { tag: 'a', role: 'link', name: 'Add key' }, same: true },
    { what: 'other case and white space', found: { tag: 'A', role: 'link', name: ' add\n key ' }, same: true },
    { what: 'another name', found: { tag: 'a', role: 'link', name: 'Add keys' }, same: false },
    { what: 'another role', found: { tag: 'a', role: 'button', name: 'Add key' }, same: false },
    { what: 'another tag', found: { tag: 'button', role: 'link', name: 'Add key' }, same: false },
    { what: 'no name', found: { tag: 'a', role: 'link' }, same: false },
  ])('compared with $what: $same', ({ found, same }) => {
    expect(isSameElement(recorded, found)).toBe(same);
  });

  test('compares the type where one was recorded, and a pattern with the whole name', () => {
    expect(isSameElement({ tag: 'input', type: 'password' }, { tag: 'input', type: 'text' })).toBe(false);
    const pattern = { tag: 'input', nameMatches: 'Description\\b.*' };
    expect(isSameElement(pattern, { tag: 'input', name: 'Description Friendly name for identifying this key.' })).toBe(
      true,
    );
    expect(isSameElement(pattern, { tag: 'input', name: 'Short Description' })).toBe(false);
  });
});
