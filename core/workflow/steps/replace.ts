import { z } from 'zod';
import { failed } from '../../agent/failures.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({ ...stepBase, kind: z.literal('replace'), action: z.literal('replace') });
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(): string {
  return 'put the new credential in the place of the earlier one';
}

/** The new key, proven by the step before, becomes the stored one; until then the earlier one is. */
export async function run(_: Step, stage: Stage): Promise<Ending> {
  await stage.during(() => stage.run.guard());
  const problem = await stage.run.earlier?.replace(); // not raced with the abort: a write that has begun is not left half-way
  return problem === undefined ? { kind: 'done', rung: 'none' } : failed('format_mismatch', problem);
}
