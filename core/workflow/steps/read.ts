import { z } from 'zod';
import { check } from '../../agent/check.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { type Risk, resultSchema, stepBase } from '../step-base.ts';
import { readFields } from './extract.ts';

export const schema = z.strictObject({
  ...stepBase,
  kind: z.literal('read'),
  action: z.literal('copy'),
  extract: resultSchema,
});
type ReadStep = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: ReadStep): string {
  return `read ${Object.keys(step.extract.fields).join(' and ')}`;
}

/**
 * Reads what the page shows already, and changes nothing. What is read counts as secret all the same. Of workflows that no
 * operation runs: `checkWorkflows` refuses it in others.
 */
export async function run(step: ReadStep, stage: Stage): Promise<Ending> {
  const problem = await check(stage, step.extract.ready);
  if (problem !== undefined) return problem;
  const read = await readFields(step, stage);
  if (read.kind === 'failed') return read;
  await stage.run.keep(read.found);
  return { kind: 'done', rung: 'none', picture: await takePicture(stage, { rung: 'none', isRevealing: true }) };
}
