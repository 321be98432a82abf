import { z } from 'zod';
import { failed } from '../../agent/failures.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { type Risk, stepBase } from '../step-base.ts';
import { tryVerify } from './verify.ts';

export const schema = z.strictObject({ ...stepBase, kind: z.literal('receive'), action: z.literal('receive') });
type Step = z.infer<typeof schema>;

/** Longer than for a key that is kept in any case: one that is refused here has to be made anew. */
const PAUSES_MS = [500, 1_500, 5_000, 15_000, 30_000];

export const risk: Risk = 'creates';

export function describe(): string {
  return 'keep the credential that was entered';
}

/** The one effect where a person makes the key: what they entered is proven first, and kept only when it is what was consented to. */
export async function run(_: Step, stage: Stage): Promise<Ending> {
  await stage.during(() => stage.run.guard());
  const entered = await stage.during(async () => stage.run.entered?.());
  if (entered === 'known')
    return failed(
      'format_mismatch',
      'What was entered is the key that is in the vault already. It stays there as it was, and nothing else was kept.',
    );
  if (entered === undefined)
    return failed('format_mismatch', 'What was entered is not what was asked for. Nothing was kept.');
  const verified = await tryVerify(stage, PAUSES_MS, entered);
  if (verified.kind === 'fails')
    return failed('verification_failed', `${verified.reason.replace(/\.$/, '')}. It was not kept.`);
  await stage.run.keep(entered); // not raced with the abort: a write that has begun is not left half-way
  return { kind: 'done', rung: 'none' };
}
