import { Stopped } from './stopped.ts';

/** What ends the work on an operation besides its lease, and how soon each kind of work feels it. */
export interface RunSignals {
  /** Of a step that changes nothing for good: at once. */
  readonly step: AbortSignal;
  /** Of the one effect and of what reads its result: not by the end of the operation's time, which waits for it. */
  readonly effect: AbortSignal;
  /** Of a wait in which nothing is done: also as soon as the process is to stop. */
  readonly wait: AbortSignal;
  /** Before each step. @throws Stopped */
  throwIfOver(): void;
  release(): void;
}

/** A process that is to stop. */
export interface Drain {
  /** No further step is begun. */
  readonly begun: AbortSignal;
  /** A step that is still under way is let go of. */
  readonly isDue: AbortSignal;
}

/**
 * How long a drained process waits for the step under way: with closing the browser and handing the job back it stays below
 * the 20 s after which whoever stops programs kills them.
 */
const LAST_STEP_MS = 12_000;

export interface Draining extends Drain {
  begin(): void;
}

export function createDrain(): Draining {
  const begun = new AbortController();
  const due = new AbortController();
  const why = new Stopped('drained', 'The process stops');
  return {
    begun: begun.signal,
    isDue: due.signal,
    begin() {
      if (begun.signal.aborted) return;
      begun.abort(why);
      setTimeout(() => due.abort(why), LAST_STEP_MS).unref();
    },
  };
}

/** @param leftMs machine time that the operation still has. */
export function signalsOf(lease: AbortSignal, drain: Drain, leftMs: number): RunSignals {
  const over = new AbortController();
  const end = () => over.abort(new Stopped('overtime', 'The time for this operation is over'));
  const timer = leftMs > 0 ? setTimeout(end, leftMs) : undefined;
  if (timer === undefined) end();
  const effect = AbortSignal.any([lease, drain.isDue]);
  const step = AbortSignal.any([effect, over.signal]);
  const wait = AbortSignal.any([step, drain.begun]);
  return { effect, step, wait, throwIfOver: () => wait.throwIfAborted(), release: () => clearTimeout(timer) };
}
