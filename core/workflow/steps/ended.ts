import { z } from 'zod';
import { failed } from '../../agent/failures.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({ ...stepBase, kind: z.literal('ended'), action: z.literal('verify') });
type Step = z.infer<typeof schema>;

/** A vendor may go on taking a key for a while: of Stripe's, 9 s were measured (github.com/Infisical/infisical, 2026-09). */
const PAUSES_MS = [500, 1_500, 5_000, 15_000];

export const risk: Risk = 'reads';

export function describe(): string {
  return 'verify that the earlier credential is refused';
}

/**
 * Proves by the service's own reading call, outside the browser, that the earlier key is no longer taken. What left the vault
 * before can't be tried: then the steps before this one are the proof.
 */
export async function run(_: Step, stage: Stage): Promise<Ending> {
  for (let attempt = 0; ; attempt += 1) {
    await stage.during(() => stage.run.guard());
    const tried = await stage.during(async () => stage.run.earlier?.verify());
    if (tried === undefined) return { kind: 'done', rung: 'none', ended: { refusedWith: undefined } };
    if (tried.kind === 'fails' && tried.refusedWith !== undefined)
      return { kind: 'done', rung: 'none', ended: { refusedWith: tried.refusedWith } };
    const mayEndYet = tried.kind === 'works' || tried.isRetryable;
    const pauseMs = PAUSES_MS[attempt];
    if (!mayEndYet || pauseMs === undefined || pauseMs > stage.leftMs())
      return failed(
        'verification_failed',
        tried.kind === 'works'
          ? `The old key still works: ${tried.checked}.`
          : `It could not be seen that the old key has ended: ${tried.reason}`,
      );
    await stage.pause(pauseMs);
  }
}
