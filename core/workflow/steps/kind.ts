import type { z } from 'zod';
import type { Ending, Stage } from '../../agent/stage.ts';
import type { Risk } from '../step-base.ts';

/** What a step kind is: its shape, its words for the audit trail, the least risk it carries, and how it runs. */
export interface StepKindDefinition<S> {
  readonly schema: z.ZodType<S>;
  /** For operators and the audit trail; placeholders stay unfilled, so no value and no secret is in it. */
  readonly describe: (step: S) => string;
  /** A step of this kind may claim no less than this. */
  readonly risk: Risk;
  /** Runs the step, its placeholders filled. @throws what the run's own calls throw, and the signal's reason. */
  readonly run: (step: S, stage: Stage) => Promise<Ending>;
}
