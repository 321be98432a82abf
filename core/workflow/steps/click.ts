import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { elementBase, elementWords, type Risk } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('click'),
  action: z.literal('click'),
  /** The steps after it are on the page that it opens, in a window of its own. */
  opensPage: z.boolean().exactOptional(),
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `click ${elementWords(step)}`;
}

export function run(step: Step, stage: Stage): Promise<Ending> {
  return runElementStep(stage, {
    ...step,
    action: { kind: 'click', opensPage: step.opensPage ?? false },
    pictured: 'before',
  });
}
