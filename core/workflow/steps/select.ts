import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { elementBase, elementWords, type Risk, valueSchema } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('select'),
  action: z.literal('selectOption'),
  value: valueSchema,
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `select ${step.value} in ${elementWords(step)}`;
}

/** Chooses an option of the real `select`, which widgets such as select2 hide behind themselves. */
export function run(step: Step, stage: Stage): Promise<Ending> {
  return runElementStep(stage, {
    ...step,
    action: { kind: 'select', option: step.value },
    hiddenIsFine: true,
    pictured: 'after',
  });
}
