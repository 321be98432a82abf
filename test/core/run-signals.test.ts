import { afterEach, describe, expect, test } from 'vitest';
import { createDrain, type RunSignals, signalsOf } from '../../core/operations/run-signals.ts';

const never = new AbortController().signal;
const opened: RunSignals[] = [];
afterEach(() => {
  for (const signals of opened.splice(0)) signals.release();
});

function signals({ lease = never, drain = createDrain(), leftMs = 60_000 } = {}): RunSignals {
  const made = signalsOf(lease, drain, leftMs);
  opened.push(made);
  return made;
}

const aborted = ({ effect, step, wait }: RunSignals) => [effect, step, wait].map((signal) => signal.aborted);

describe('what ends the work on an operation', () => {
  test('is felt by nothing as long as it is not there', () => {
    const all = signals();
    expect(aborted(all)).toEqual([false, false, false]);
    expect(() => all.throwIfOver()).not.toThrow();
  });

  test('is the end of its time, which the one effect is not interrupted by', () => {
    const all = signals({ leftMs: 0 });
    expect(aborted(all)).toEqual([false, true, true]);
    expect(() => all.throwIfOver()).toThrow(expect.objectContaining({ why: 'overtime' }));
  });

  test('is a process that is to stop: nothing more is begun or waited for, and what is under way goes on', () => {
    const drain = createDrain();
    const all = signals({ drain });
    drain.begin();
    expect(aborted(all)).toEqual([false, false, true]);
    expect(() => all.throwIfOver()).toThrow(expect.objectContaining({ why: 'drained' }));
  });

  test('is the loss of its lease, which everything feels', () => {
    const lease = new AbortController();
    const all = signals({ lease: lease.signal });
    lease.abort(new Error('moved'));
    expect(aborted(all)).toEqual([true, true, true]);
  });
});
