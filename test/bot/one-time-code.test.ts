import { describe, expect, test } from 'vitest';
import { readCode } from '../../core/operations/questions.ts';

describe('a one-time code', () => {
  test.each([
    ['123456', '123456'],
    [' 123 456\n', '123456'],
    ['12\u200b34\u200e56\ufeff', '123456'],
    ['123\u00a0456', '123456'],
    ['G-123456', 'G-123456'],
    ['abcd efgh', 'abcd efgh'],
    ['12\u000034', '1234'],
    ['１２３', '１２３'],
  ])('that is written as %j is %j', (written, code) => {
    expect(readCode(written)).toEqual({ code });
  });

  test.each(['', '  \t\n', '\u0000', '\u200b\u2060\u202e', '9'.repeat(65)])('is not %j', (written) => {
    expect(readCode(written)).toHaveProperty('problem');
  });
});
