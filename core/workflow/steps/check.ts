import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { elementBase, elementWords, type Risk } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('check'),
  action: z.literal('check'),
  isChecked: z.boolean(),
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `${step.isChecked ? 'tick' : 'untick'} ${elementWords(step)}`;
}

/** Ticks or unticks a box or a radio button. */
export function run(step: Step, stage: Stage): Promise<Ending> {
  return runElementStep(stage, {
    ...step,
    action: { kind: 'check', isChecked: step.isChecked },
    hiddenIsFine: true,
    pictured: 'after',
  });
}
