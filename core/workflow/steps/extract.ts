import { z } from 'zod';
import { ready, send } from '../../agent/act.ts';
import { check } from '../../agent/check.ts';
import { type Failed, failed } from '../../agent/failures.ts';
import { locate } from '../../agent/locate.ts';
import { takePicture } from '../../agent/picture.ts';
import { createRelocator, healOf, type RelocatedElement } from '../../agent/relocation.ts';
import type { Ending, Heal, Relocated, Stage } from '../../agent/stage.ts';
import type { FoundElement } from '../../ports/browser.ts';
import { Secret } from '../../secret.ts';
import { conditionSchema, isSameElement, wholePattern } from '../elements.ts';
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
type Field = ExtractStep['extract']['fields'][string];

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
  const { element, relocated: ofTrigger } = located;
  const heals = ofTrigger?.by === 'fingerprint' ? await healOf(stage, { element, ...ofTrigger }) : [];
  const problem = await trigger(step, stage, element);
  if (problem !== undefined) return problem;
  const read = await readFields(step, stage);
  if (read.kind === 'failed') return read;
  await stage.run.keep(read.found); // not raced with the abort: a write that has begun is not left half-way
  const relocated = ofTrigger ?? leastSure(read.relocated);
  const rung = relocated === undefined ? 'replayed' : 'relocated';
  const picture = await takePicture(stage, { rung, isRevealing: true });
  const all = [...heals, ...(await healsOf(stage, read.relocated))];
  return {
    kind: 'done',
    rung,
    picture,
    ...(relocated ? { relocated } : {}),
    ...(all.length > 0 ? { heals: all } : {}),
  };
}

function leastSure(found: Readonly<Record<string, RelocatedElement>>): Relocated | undefined {
  const [least] = Object.values(found).sort((a, b) => a.margin - b.margin);
  return least && { by: 'fingerprint', score: least.score, margin: least.margin };
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

type Read =
  | {
      readonly kind: 'read';
      readonly found: Readonly<Record<string, Secret>>;
      /** Those of the fields that no locator found. */
      readonly relocated: Readonly<Record<string, RelocatedElement>>;
    }
  | Failed;

/** Reads every field; all of them fit their format, or none is handed on. */
async function readFields(step: ExtractStep, stage: Stage): Promise<Read> {
  const found: Record<string, Secret> = {};
  const relocated: Record<string, RelocatedElement> = {};
  const misfits: string[] = [];
  for (const [name, field] of Object.entries(step.extract.fields)) {
    const at = await locateField(stage, name, field);
    if (at === undefined) return failed('element_missing', lost(stage, `the ${words(name)} isn't on the page`));
    if ('score' in at) relocated[name] = at;
    const value = new Secret(await stage.during(() => stage.run.session.read(at.element)));
    stage.run.learn(value);
    found[name] = value;
    if (!wholePattern(field.matches).test(value.reveal())) misfits.push(words(name));
  }
  if (misfits.length === 0) return { kind: 'read', found, relocated };
  return failed('format_mismatch', lost(stage, `the ${misfits.join(' and the ')} on the page doesn't look like one`));
}

const SLICE_MS = 1_000; // for the recorded locators alone: the result is on the page already

/** Where a field of the result stands: by its locators, else by its fingerprint. Its format is checked in any case. */
async function locateField(
  stage: Stage,
  name: string,
  { locators, fingerprint }: Field,
): Promise<RelocatedElement | { readonly element: FoundElement } | undefined> {
  const mayRelocate = fingerprint !== undefined && stage.run.mode !== 'replay';
  const relocator = mayRelocate ? createRelocator(stage, { fingerprint }) : undefined;
  do {
    const timeoutMs = relocator === undefined ? stage.leftMs() : Math.min(SLICE_MS, stage.leftMs());
    const result = await stage.during(() => stage.run.session.find(locators, { timeoutMs }));
    if (result.kind === 'found') return result;
    const found = (await asProposed(stage, name)) ?? (await relocator?.());
    if (found !== undefined) return found;
  } while (stage.leftMs() > 0);
  return undefined;
}

/** Where an earlier run had found it, if what stands there is still that. */
async function asProposed(stage: Stage, name: string): Promise<{ readonly element: FoundElement } | undefined> {
  for (const { locators, identity } of stage.proposals.filter(({ field }) => field === name)) {
    const result = await stage.during(() => stage.run.session.find(locators, { timeoutMs: 0 }));
    if (result.kind === 'found' && isSameElement(identity, result.element.identity)) return result;
  }
  return undefined;
}

async function healsOf(stage: Stage, relocated: Readonly<Record<string, RelocatedElement>>): Promise<readonly Heal[]> {
  const heals: Heal[] = [];
  for (const [name, found] of Object.entries(relocated)) heals.push(...(await healOf(stage, found, name)));
  return heals;
}

function lost(stage: Stage, what: string): string {
  return `“${stage.sentence}” was clicked, but ${what}. Nothing was stored, and a new key may exist that nobody holds.`;
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
