import { z } from 'zod';
import { check } from '../../agent/check.ts';
import { openPage } from '../../agent/open-page.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { ADDRESS_START } from '../placeholders.ts';
import { type Risk, stepBase } from '../step-base.ts';

export const schema = z.strictObject({
  ...stepBase,
  kind: z.literal('navigate'),
  action: z.literal('navigate'),
  /** The address, beginning with `{base}` or another origin of the plan's, such as `{dashboardBase}`. */
  target: z.string().regex(ADDRESS_START),
  postcondition: conditionSchema,
});
type NavigateStep = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: NavigateStep): string {
  return `navigate ${step.target}`;
}

/** Opens an address, unless the page before led there already. */
export async function run(step: NavigateStep, stage: Stage): Promise<Ending> {
  const isThere = stage.run.session.address() === new URL(step.target).href;
  const tries = isThere ? 0 : await open(step, stage);
  const problem = await check(stage, step.postcondition);
  if (problem !== undefined) return problem;
  const note = isThere ? { note: 'the page was open already' } : tries > 1 ? { note: `it took ${tries} tries` } : {};
  return { kind: 'done', rung: 'none', picture: await takePicture(stage, { rung: 'none' }), ...note };
}

async function open(step: NavigateStep, stage: Stage): Promise<number> {
  const { leftMs, restartDeadline: restart } = stage;
  const guard = async () => {
    await stage.run.guard();
    stage.hasActed = true; // from here on something is sent
  };
  return openPage({ ...stage.run, guard }, step.target, { leftMs, restart });
}
