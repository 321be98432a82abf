import { z } from 'zod';
import { failed } from '../../agent/failures.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import type { Secret } from '../../secret.ts';
import type { VerifyResult } from '../../services/service.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({ ...stepBase, kind: z.literal('verify'), action: z.literal('verify') });

const PAUSES_MS = [500, 1_500]; // between tries: reading twice harms nothing

type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(): string {
  return 'verify the stored credential';
}

/** Proves the kept credential by the service's own calls, which change nothing, outside the browser. */
export async function run(_: Step, stage: Stage): Promise<Ending> {
  const verified = await tryVerify(stage, PAUSES_MS);
  return verified.kind === 'works'
    ? { kind: 'done', rung: 'none', verified }
    : failed('verification_failed', `${verified.reason.replace(/\.$/, '')}. The key stays in the vault.`);
}

/** Proves the kept credential, or this one; what may be mended by waiting is tried again after each pause that there is time for. */
export async function tryVerify(
  stage: Stage,
  pausesMs: readonly number[],
  credential?: Readonly<Record<string, Secret>>,
): Promise<VerifyResult> {
  for (let attempt = 0; ; attempt += 1) {
    await stage.during(() => stage.run.guard());
    const verified = await stage.during(() => stage.run.verify(credential));
    const pauseMs = pausesMs[attempt];
    if (verified.kind === 'works' || !verified.isRetryable || pauseMs === undefined || pauseMs > stage.leftMs())
      return verified;
    await stage.pause(pauseMs);
  }
}
