import { z } from 'zod';
import { ready, send } from '../../agent/act.ts';
import { check } from '../../agent/check.ts';
import { type Failed, failed } from '../../agent/failures.ts';
import { locate } from '../../agent/locate.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Stage } from '../../agent/stage.ts';
import type { FoundElement } from '../../ports/browser.ts';
import { Secret } from '../../secret.ts';
import { wholePattern } from '../elements.ts';
import { elementBase, elementWords, type Risk, resultSchema } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('extract'),
  action: z.literal('copy'),
  extract: resultSchema,
});
type ExtractStep = z.infer<typeof schema>;

export const risk: Risk = 'creates';

export function describe(step: ExtractStep): string {
  return `click ${elementWords(step)}, keep ${Object.keys(step.extract.fields).join(' and ')}`;
}

/**
 * The one effect: waits for the trigger, commits the intent, clicks it, reads the fresh secrets and keeps them before anything else.
 * After the click it never clicks again, clears no obstacle and takes no picture until the result is kept.
 */
export async function run(step: ExtractStep, stage: Stage): Promise<Ending> {
  const located = await locate(stage, step);
  if (located.kind === 'failed') return located;
  const problem = await trigger(step, stage, located.element);
  if (problem !== undefined) return problem;
  const read = await readFields(step, stage);
  if (read.kind === 'failed') return read;
  await stage.run.keep(read.found); // not raced with the abort: a write that has begun is not left half-way
  return { kind: 'done', rung: 'replayed', picture: await takePicture(stage, { rung: 'replayed', isRevealing: true }) };
}

async function trigger(step: ExtractStep, stage: Stage, element: FoundElement): Promise<Failed | undefined> {
  const click = { kind: 'click' } as const;
  const problem = await ready(stage, element, click);
  if (problem !== undefined) return problem;
  stage.restartDeadline(); // the whole of it is for the result: what is begun here counts as under way for that long
  stage.obstacles = [];
  await stage.during(() => stage.run.guard());
  await stage.during(() => stage.run.intend());
  // A click that wasn't answered in time may have been made all the same, so its result is looked for all the same.
  await send(stage, element, click);
  return check(stage, step.extract.ready);
}

type Read = { readonly kind: 'read'; readonly found: Readonly<Record<string, Secret>> } | Failed;

/** Reads every field; all of them fit their format, or none is handed on. */
export async function readFields(step: Pick<ExtractStep, 'extract'>, stage: Stage): Promise<Read> {
  const found: Record<string, Secret> = {};
  const misfits: string[] = [];
  for (const [name, field] of Object.entries(step.extract.fields)) {
    const { session } = stage.run;
    const result = await stage.during(() => session.find(field.locators, { timeoutMs: stage.leftMs() }));
    if (result.kind !== 'found') return failed('element_missing', lost(stage, `the ${words(name)} isn't on the page`));
    const value = new Secret(await stage.during(() => session.read(result.element)));
    stage.run.learn(value);
    found[name] = value;
    if (!wholePattern(field.matches).test(value.reveal())) misfits.push(words(name));
  }
  if (misfits.length === 0) return { kind: 'read', found };
  return failed('format_mismatch', lost(stage, `the ${misfits.join(' and the ')} on the page doesn't look like one`));
}

function lost(stage: Stage, what: string): string {
  if (!stage.step.isMutating) return `For “${stage.sentence}”, ${what}. Nothing was changed.`;
  return `“${stage.sentence}” was clicked, but ${what}. Nothing was stored, and a new key may exist that nobody holds.`;
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
