import type { Endings } from './endings.ts';
import type { Rig } from './rig.ts';
import type { Samples } from './samples.ts';

/** One thing that is timed: a file each, listed in main.ts. */
export interface Benchmark {
  /** What `--only` names. */
  readonly name: string;
  /** Where the slice has no time for it. */
  readonly isLeftOutOfSlice?: boolean;
  /** @throws when it could not run. A benchmark without a single value counts as failed, too. */
  run(bench: Bench): Promise<readonly Measure[]>;
}

/** What a benchmark is given. */
export interface Bench {
  /** A small part, for CI: few repetitions and little time for them. */
  readonly isSlice: boolean;
  /** Core on a durable PostgreSQL of its own, started when the first benchmark asks for it. */
  rig(): Promise<Rig>;
  /** Says in the report what could not be measured, and why; no failure. */
  note(words: string): void;
  /** Starts something that ends with the run at the latest, also when that is interrupted. */
  readonly open: Endings['open'];
}

export interface Measure {
  readonly what: string;
  readonly unit: 'ms' | '/s' | '/h' | 'kB' | 'MB' | '×' | 'calls' | 'tokens' | 'USD';
  readonly values: Samples;
  /** Reported, never asserted: a shared machine has bad days. */
  readonly target?: { readonly of: 'median' | 'p99' | 'max'; readonly atMost: number };
}
