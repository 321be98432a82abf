import { z } from 'zod';
import { failed } from '../../agent/failures.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({ ...stepBase, kind: z.literal('revoke'), action: z.literal('revoke') });
type Step = z.infer<typeof schema>;

const PAUSES_MS = [500, 1_500, 5_000]; // between tries: what has ended stays ended

export const risk: Risk = 'changes';

export function describe(): string {
  return 'end the earlier credential by the service’s API';
}

/** Ends the earlier key by its own power, where the service's API lets it. */
export async function run(_: Step, stage: Stage): Promise<Ending> {
  for (let attempt = 0; ; attempt += 1) {
    await stage.during(() => stage.run.guard());
    const outcome = await stage.during(async () => stage.run.earlier?.revoke());
    if (outcome === undefined)
      return failed('verification_failed', 'The key is not in the vault, so it was not ended.');
    if (outcome.kind === 'revoked') return { kind: 'done', rung: 'none' };
    if (outcome.isNotTaken && (await isNewOneTaken(stage))) return { kind: 'done', rung: 'none' };
    const pauseMs = PAUSES_MS[attempt];
    if (!outcome.isRetryable || pauseMs === undefined || pauseMs > stage.leftMs())
      return failed('verification_failed', `${outcome.reason.replace(/\.$/, '')}. The key may still live there.`);
    await stage.pause(pauseMs);
  }
}

/** By the same way and at the same time, so nothing on the way is at fault; no other operation than a rotation has a new one. */
async function isNewOneTaken(stage: Stage): Promise<boolean> {
  const verified = await stage.during(() => stage.run.verify());
  return verified.kind === 'works';
}
