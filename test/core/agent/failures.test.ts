import { describe, expect, test } from 'vitest';
import { type Failure, questionFor } from '../../../core/agent/failures.ts';

interface Case {
  readonly what: string;
  readonly failure: Failure;
  readonly order?: number;
  readonly isMutating?: boolean;
  readonly hasActed?: boolean;
  readonly isSettled?: boolean;
  readonly question: 'code' | 'help' | undefined;
}

describe('a person is asked', () => {
  const cases: readonly Case[] = [
    { what: 'what is not found', failure: 'element_missing', question: 'help' },
    { what: 'what was clicked and changes nothing', failure: 'timeout', hasActed: true, question: 'help' },
    { what: 'an effect that was not sent', failure: 'timeout', isMutating: true, question: 'help' },
    { what: 'an effect that was sent', failure: 'timeout', isMutating: true, hasActed: true, question: undefined },
    { what: 'what the first step finds', failure: 'wrong_page', order: 1, question: undefined },
    { what: 'what is known to be hopeless', failure: 'wrong_page', isSettled: true, question: undefined },
    {
      what: 'a code, also in the middle of the effect',
      failure: 'code_wanted',
      isMutating: true,
      hasActed: true,
      question: 'code',
    },
    { what: 'what ends the operation', failure: 'captcha', question: undefined },
    { what: 'what another browser may get over', failure: 'network', question: undefined },
  ];
  test.each(cases)(
    'about $what: $question',
    ({ question, failure, order = 3, isMutating = false, hasActed = false, isSettled = false }) => {
      expect(questionFor({ order, isMutating }, { failure, hasActed, isSettled })).toBe(question);
    },
  );
});
