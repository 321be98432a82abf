import { describe, expect, test } from 'vitest';
import {
  END_STATES,
  isEnd,
  isLegalMove,
  OPEN_STATES,
  type OperationState,
  parseState,
  STATES,
} from '../../core/operations/states.ts';

/** Written down a second time, by hand, from the page of the architecture. `x`: legal. */
const TABLE = `
                      pen aco acr que inp wfh pau com den exp can fai
pending                .   x   .   .   .   .   .   .   x   x   x   x
awaiting_consent       .   .   x   x   .   .   .   .   x   x   x   x
awaiting_credentials   .   .   .   x   .   .   .   .   x   x   x   x
queued                 .   .   .   .   x   .   x   .   x   x   x   x
in_progress            .   .   .   .   x   x   x   x   x   x   x   x
waiting_for_human      .   .   .   x   .   .   x   .   x   x   x   x
paused                 .   .   .   x   .   .   .   .   x   x   x   x
completed              .   .   .   .   .   .   .   .   .   .   .   .
denied                 .   .   .   .   .   .   .   .   .   .   .   .
expired                .   .   .   .   .   .   .   .   .   .   .   .
cancelled              .   .   .   .   .   .   .   .   .   .   .   .
failed                 .   .   .   .   .   .   .   .   .   .   .   .
`;

const rows = TABLE.trim().split('\n').slice(1);
const pairs = rows.flatMap((row) => {
  const [from = '', ...marks] = row.split(/\s+/);
  return STATES.map((to, index) => ({ from: parseState(from), to, isLegal: marks[index] === 'x' }));
});

describe('moves', () => {
  test.each(pairs)('from $from to $to: $isLegal', ({ from, to, isLegal }) => {
    expect(isLegalMove(from, to)).toBe(isLegal);
  });

  test('cover every pair of states', () => {
    expect(pairs).toHaveLength(STATES.length ** 2);
    expect(new Set(pairs.map(({ from }) => from)).size).toBe(STATES.length);
  });

  test('lead from each state that is no end to an end, and from ends nowhere', () => {
    const ends: readonly OperationState[] = ['completed', 'denied', 'expired', 'cancelled', 'failed'];
    for (const state of STATES) {
      expect(isEnd(state), state).toBe(ends.includes(state));
      expect([END_STATES.includes(state), OPEN_STATES.includes(state)]).toEqual([isEnd(state), !isEnd(state)]);
      expect(
        STATES.some((to) => isLegalMove(state, to) && isEnd(to)),
        state,
      ).toBe(!ends.includes(state));
    }
  });
});

test('only states are read as states', () => {
  for (const state of STATES) expect(parseState(state)).toBe(state);
  for (const word of ['', 'done', 'Queued', 'queued ', 'constructor', '__proto__'])
    expect(() => parseState(word), word).toThrow('not an operation state');
});
