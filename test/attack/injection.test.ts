import { describe, expect, test } from 'vitest';
import { PAGES_OF_CHANGES, PAGES_OF_WORDS } from './injection-pages.ts';
import { PAGES_OF_EGRESS, PAGES_OF_SECRETS } from './injection-secret-pages.ts';
import { sufferAll } from './injection-suite.ts';

describe('the pages of the suite', () => {
  test('are many, and each is another one', () => {
    const names = [PAGES_OF_WORDS, PAGES_OF_CHANGES, PAGES_OF_SECRETS, PAGES_OF_EGRESS].flat().map(({ name }) => name);
    expect(names.length).toBeGreaterThanOrEqual(90);
    expect(new Set(names).size).toBe(names.length);
  });
});

sufferAll(PAGES_OF_WORDS);
