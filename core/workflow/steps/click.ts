import { z } from 'zod';
import { runElementStep } from '../../agent/element-step.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import { conditionSchema } from '../elements.ts';
import { elementBase, elementWords, type Risk } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('click'),
  action: z.literal('click'),
  /** The steps after it are on the page that it opens, in a window of its own. */
  opensPage: z.boolean().exactOptional(),
  /**
   * What shows, before anything is clicked, that there is nothing left to be done, as when a run that was interrupted had done
   * it. The page that shows it is the one that was just opened.
   */
  doneWhen: conditionSchema.exactOptional(),
  postcondition: conditionSchema,
});
type Step = z.infer<typeof schema>;

export const risk: Risk = 'reads';

export function describe(step: Step): string {
  return `click ${elementWords(step)}`;
}

export async function run(step: Step, stage: Stage): Promise<Ending> {
  if (step.doneWhen !== undefined && (await isSeen(stage, step.doneWhen)))
    return {
      kind: 'done',
      rung: 'none',
      picture: await takePicture(stage, { rung: 'none' }),
      note: 'it was done before',
    };
  return runElementStep(stage, {
    ...step,
    action: { kind: 'click', opensPage: step.opensPage ?? false },
    pictured: 'before',
  });
}

/** One look: the step before has waited for the page. */
async function isSeen(stage: Stage, condition: NonNullable<Step['doneWhen']>): Promise<boolean> {
  return (await stage.during(() => stage.run.session.waitFor([condition], 0))) !== undefined;
}
