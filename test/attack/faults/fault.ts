import type { Verdict } from './oracle.ts';
import type { Asked, Lane, World } from './world.ts';

/** One kind of fault: a row of the table. */
export interface Fault {
  readonly name: string;
  /** What is done, for the reader of the table. */
  readonly words: string;
  /** `pages`: it means nothing without a real browser; `simulated`: it takes more operations than real browsers could carry out. */
  readonly on?: 'pages' | 'simulated';
  /** It hits everybody: nothing else runs meanwhile. */
  readonly isAlone?: boolean;
  cases(size: Size): readonly Case[];
}

export interface Size {
  /** A few seconds each, of those that can be that short. */
  readonly isSlice: boolean;
  /** Cases of each fault; infinite where nobody said. */
  readonly most: number;
  random(): number;
}

/** One time that the fault comes. */
export interface Case {
  readonly name: string;
  run(stage: Stage): Promise<readonly Hit[]>;
}

export interface Stage {
  readonly world: World;
  /** The case's own customer and shop. */
  readonly lane: Lane;
  random(): number;
  /** Goes on while the case is judged, such as the start of a program that was killed. */
  meanwhile(work: Promise<unknown>): void;
}

/** An operation that the fault came to. */
export interface Hit {
  readonly asked: Asked;
  /** When the fault was over, by `performance.now()`. */
  readonly overAt: number;
  /** What was seen to go wrong beside what the oracle looks at. */
  readonly doubled?: readonly string[];
}

export interface Row {
  readonly fault: Fault;
  readonly isSimulated: boolean;
  readonly verdicts: readonly Verdict[];
  /** Broken chains, and cases that came to nothing. */
  readonly gaps: readonly string[];
  readonly broken: readonly string[];
}

/** The step that makes the key, and the last one. */
export const EFFECT_STEP = 9;
export const LAST_STEP = 10;
/** For the moment to come, on a machine that is shared. */
export const MOMENT_MS = 300_000;
