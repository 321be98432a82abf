import { describe, expect, test } from 'vitest';
import { parseLocatorCode } from '../../adapters/browser/recording/locator-code.ts';
import type { Locator } from '../../core/ports/browser.ts';

describe('a locator in Playwright’s words', () => {
  test.each<[string, Locator | undefined]>([
    [
      "getByRole('button', { name: 'It\\'s \"on\"', exact: true })",
      { by: 'role', role: 'button', name: 'It\'s "on"', exact: true },
    ],
    ["locator('iframe').contentFrame().getByText('In')", { by: 'text', text: 'In' }],
    [
      "getByRole('listitem').filter({ hasText: 'Two' }).getByRole('button').nth(1)",
      { by: 'role', role: 'button', within: { by: 'role', role: 'listitem', hasText: 'Two' }, nth: 1 },
    ],
    [
      "locator('li').filter({ has: getByRole('heading', { name: 'A' }) }).last()",
      { by: 'css', selector: 'li', hasText: 'A', nth: -1 },
    ],
    ["getByTestId('a\"b')", { by: 'css', selector: '[data-testid="a\\"b"]' }],
    ["getByRole('button', { name: /save/i })", undefined],
    ["locator('text=foo')", undefined],
    ["getByText('x').or(getByText('y'))", undefined],
  ])('%s', (code, locator) => {
    expect(parseLocatorCode(code)).toEqual(locator);
  });
});
