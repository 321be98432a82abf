import { performance } from 'node:perf_hooks';

export type Samples = readonly number[];

export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  /** Nearest rank: of fewer than 20 values it is the largest. */
  readonly p95: number;
  /** Nearest rank: of fewer than 100 values it is the largest. */
  readonly p99: number;
  readonly max: number;
}

/** @throws RangeError when there is no value. */
export function summarise(values: Samples): Summary {
  if (values.length === 0) throw new RangeError('nothing was measured');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (rank: number) => sorted[Math.min(Math.max(rank, 1), sorted.length) - 1] ?? Number.NaN; // a rank from 1 to n is there
  const n = sorted.length;
  return {
    n,
    min: at(1),
    median: (at(Math.floor((n + 1) / 2)) + at(Math.ceil((n + 1) / 2))) / 2,
    p95: at(Math.ceil(0.95 * n)),
    p99: at(Math.ceil(0.99 * n)),
    max: at(n),
  };
}

export interface Limits {
  readonly times: number;
  /** No repetition begins after this; one is always made. */
  readonly withinMs: number;
}

/** What `once` measured, time after time. */
export async function repeat(limits: Limits, once: (index: number) => Promise<number>): Promise<Samples> {
  const values: number[] = [];
  const began = performance.now();
  while (values.length < limits.times && (values.length === 0 || performance.now() - began < limits.withinMs)) {
    values.push(await once(values.length));
  }
  return values;
}

/** Milliseconds that the work took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
