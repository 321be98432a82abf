import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import type { Secret } from '../../secret.ts';
import { conditionSchema } from '../elements.ts';
import { secretSlot } from '../placeholders.ts';
import { elementBase, elementWords, type Risk, valueSchema } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('fill'),
  action: z.literal('fill'),
  value: valueSchema,
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `fill ${elementWords(step)} with ${step.value}`;
}

export function run(step: Step, stage: Stage): Promise<Ending> {
  const slot = secretSlot(step.value);
  const value = slot === undefined ? step.value : undefined;
  return runElementStep(stage, {
    ...step,
    action: async () => ({ kind: 'fill', value: value ?? (await open(stage, slot ?? '')) }),
    pictured: 'after',
  });
}

/** The guard is asked before the vault is, so that nothing is opened for a step that may not happen. */
async function open(stage: Stage, slot: string): Promise<Secret> {
  await stage.during(() => stage.run.guard());
  return stage.during(() => stage.run.secret(slot));
}
