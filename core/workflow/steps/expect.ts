import { z } from 'zod';
import { check } from '../../agent/check.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({
  ...stepBase,
  kind: z.literal('expect'),
  action: z.literal('wait'),
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `wait for ${step.expectedResult}`;
}

/** Waits for a sight and does nothing. */
export async function run(step: Step, stage: Stage): Promise<Ending> {
  const problem = await check(stage, step.postcondition);
  return problem ?? { kind: 'done', rung: 'none', picture: await takePicture(stage, { rung: 'none' }) };
}
