import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { elementBase, elementWords, type Risk } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('press'),
  action: z.literal('press'),
  /** A key or chord, such as `Enter`. */
  value: z.string().regex(/^[A-Za-z0-9+]+$/),
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `press ${step.value} on ${elementWords(step)}`;
}

/** Presses a key on one element; pictured before, since `Enter` may leave the page. */
export function run(step: Step, stage: Stage): Promise<Ending> {
  return runElementStep(stage, { ...step, action: { kind: 'press', key: step.value }, pictured: 'before' });
}
