import { z } from 'zod';
import { ready, send } from '../../agent/act.ts';
import { check } from '../../agent/check.ts';
import { NOT_LOOKED_FOR, recordedPrint } from '../../agent/element-step.ts';
import { type Failed, failed } from '../../agent/failures.ts';
import { locate } from '../../agent/locate.ts';
import { askModel } from '../../agent/model-rung.ts';
import { takePicture } from '../../agent/picture.ts';
import type { Ending, Rung, Stage } from '../../agent/stage.ts';
import type { FoundElement } from '../../ports/browser.ts';
import type { ConversationEnd } from '../../ports/model.ts';
import { Secret } from '../../secret.ts';
import { conditionSchema, wholePattern } from '../elements.ts';
import { elementBase, elementWords, fieldSchema, type Risk } from '../step-base.ts';

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('extract'),
  action: z.literal('copy'),
  extract: z.strictObject({
    /** What is seen once the result is on the page. */
    ready: conditionSchema,
    /** The parts of the result by the names under which they are kept. */
    fields: z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), fieldSchema),
  }),
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
  const located = stage.run.asksModel === 'always' ? NOT_LOOKED_FOR : await locate(stage, step);
  const clicked =
    located.kind === 'failed' ? await pointedOut(step, stage, located) : await clickKnown(stage, located.element);
  if (clicked.kind === 'failed') return clicked;
  const { rung, conversation } = clicked;
  const said = conversation === undefined ? {} : { conversation };
  const problem = await check(stage, step.extract.ready);
  if (problem !== undefined) return { ...problem, ...said };
  const read = await readFields(step, stage);
  if (read.kind === 'failed') return { ...read, ...said };
  await stage.run.keep(read.found); // not raced with the abort: a write that has begun is not left half-way
  return { ...said, kind: 'done', rung, picture: await takePicture(stage, { rung, isRevealing: true }) };
}

type Clicked =
  | { readonly kind: 'clicked'; readonly rung: Rung; readonly conversation?: ConversationEnd }
  | (Failed & { readonly conversation?: ConversationEnd });

async function clickKnown(stage: Stage, element: FoundElement): Promise<Clicked> {
  return (await trigger(stage, element)) ?? { kind: 'clicked', rung: 'replayed' };
}

/** The model may point the trigger out; its conversation ends at the one click, whatever came of it. */
async function pointedOut(step: ExtractStep, stage: Stage, lost: Failed): Promise<Clicked> {
  const answer = await askModel(stage, {
    recorded: recordedPrint(step),
    instruction: 'click it',
    does: 'click',
    isFinal: true,
    expected: step.expectedResult,
    isSettled: async () => false, // nothing settles it before its one click
    perform: (element) => trigger(stage, element),
  });
  if (answer === undefined) return lost;
  const { conversation } = answer;
  if (answer.kind === 'unsure') return { ...lost, conversation };
  if (answer.kind === 'failed') return { ...answer.failed, conversation };
  return { kind: 'clicked', rung: 'model', conversation };
}

/** @returns why it was not clicked. */
async function trigger(stage: Stage, element: FoundElement): Promise<Failed | undefined> {
  const click = { kind: 'click' } as const;
  const problem = await ready(stage, element, click);
  if (problem !== undefined) return problem;
  stage.restartDeadline(); // the whole of it is for the result: what is begun here counts as under way for that long
  stage.obstacles = [];
  await stage.during(() => stage.run.guard());
  await stage.during(() => stage.run.intend());
  // A click that wasn't answered in time may have been made all the same, so its result is looked for all the same.
  await send(stage, element, click);
  return undefined;
}

type Read = { readonly kind: 'read'; readonly found: Readonly<Record<string, Secret>> } | Failed;

/** Reads every field; all of them fit their format, or none is handed on. */
async function readFields(step: ExtractStep, stage: Stage): Promise<Read> {
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
  return `“${stage.sentence}” was clicked, but ${what}. Nothing was stored, and a new key may exist that nobody holds.`;
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
