import { z } from 'zod';
import { ready, send } from '../../agent/act.ts';
import { check } from '../../agent/check.ts';
import { isDiscarded } from '../../agent/discarded.ts';
import { NOT_LOOKED_FOR } from '../../agent/element-step.ts';
import { type Failed, failed } from '../../agent/failures.ts';
import { type Located, locate } from '../../agent/locate.ts';
import { askModel } from '../../agent/model-rung.ts';
import { takePicture } from '../../agent/picture.ts';
import { recordedPrint } from '../../agent/recorded.ts';
import { createRelocator, healOf, type RelocatedElement } from '../../agent/relocation.ts';
import type { Ending, Heal, Relocated, Stage } from '../../agent/stage.ts';
import { quoted } from '../../plain-text.ts';
import type { FoundElement } from '../../ports/browser.ts';
import type { ConversationEnd } from '../../ports/model.ts';
import { Secret } from '../../secret.ts';
import { isSameElement, wholePattern } from '../elements.ts';
import { secretSlot } from '../placeholders.ts';
import { elementBase, elementWords, type Risk, resultNameSchema, resultSchema, valueSchema } from '../step-base.ts';

/** As a click's result, with what of it a person entered: a page shows no user name beside a new password. */
const madeSchema = resultSchema.extend({
  /** Parts of the result by the sign-in secrets that they are. */
  entered: z.record(resultNameSchema, valueSchema).exactOptional(),
});

export const schema = z.strictObject({
  ...elementBase,
  kind: z.literal('extract'),
  action: z.literal('copy'),
  /** As a click's: the result stands there. */
  opensPage: z.boolean().exactOptional(),
  /**
   * An earlier step has made it; this click only shows it, as often as somebody likes. So after a crash it is clicked again,
   * and what was made is not given up.
   */
  showsAgain: z.boolean().exactOptional(),
  extract: madeSchema,
});
type ExtractStep = z.infer<typeof schema>;
type Field = ExtractStep['extract']['fields'][string];
type Reading = { readonly extract: Pick<ExtractStep['extract'], 'fields'> };

export const risk: Risk = 'creates';

export function describe(step: ExtractStep): string {
  const { fields, entered } = step.extract;
  return `click ${elementWords(step)}, keep ${Object.keys({ ...fields, ...entered }).join(' and ')}`;
}

/**
 * The one effect: waits for the trigger, commits the intent, clicks it, reads the fresh secrets and keeps them before anything else.
 * After the click it never clicks again, takes no picture until the result is kept, and clears no obstacle but the code of a
 * person that the vendor asks for before it makes anything. Once somebody has given that, it goes on in the page that waits.
 */
export async function run(step: ExtractStep, stage: Stage): Promise<Ending> {
  // Before the click: after it, nothing that may fail comes between the page and the vault.
  const entered = await openEntered(step, stage);
  const clicked = stage.run.resumeEffect ? await goOn(stage) : await begin(step, stage);
  if (clicked.kind === 'failed') return clicked;
  const { conversation, relocated: ofTrigger, heals } = clicked;
  const said = conversation === undefined ? {} : { conversation };
  const problem = await check(stage, step.extract.ready);
  if (problem !== undefined) return { ...problem, ...said };
  const read = await readFields(step, stage);
  if (read.kind === 'failed') return { ...read, ...said };
  await stage.run.keep({ ...read.found, ...entered }); // not raced with the abort: a write that has begun is not left half-way
  const relocated = ofTrigger ?? leastSure(read.relocated);
  const rung = conversation !== undefined ? 'model' : relocated === undefined ? 'replayed' : 'relocated';
  const picture = await takePicture(stage, { rung, isRevealing: true });
  const all = [...heals, ...(await healsOf(stage, read.relocated))];
  return {
    ...said,
    kind: 'done',
    rung,
    picture,
    ...(relocated ? { relocated } : {}),
    ...(all.length > 0 ? { heals: all } : {}),
  };
}

async function begin(step: ExtractStep, stage: Stage): Promise<Clicked> {
  const located = stage.run.mode === 'vision' ? NOT_LOOKED_FOR : await locate(stage, step);
  return located.kind === 'failed' ? pointedOut(step, stage, located) : clickKnown(step, stage, located);
}

/** It was clicked already, in this very page. */
async function goOn(stage: Stage): Promise<Clicked> {
  stage.hasActed = true;
  onlyAmidEffect(stage);
  await stage.during(() => stage.run.guard());
  await stage.during(async () => stage.run.resumeEffect?.());
  return { kind: 'clicked', heals: [] };
}

function onlyAmidEffect(stage: Stage): void {
  stage.obstacles = stage.obstacles.filter(({ amidEffect }) => amidEffect);
}

async function openEntered({ extract }: ExtractStep, stage: Stage): Promise<Readonly<Record<string, Secret>>> {
  const opened: Record<string, Secret> = {};
  for (const [name, value] of Object.entries(extract.entered ?? {})) {
    await stage.during(() => stage.run.guard());
    opened[name] = await stage.during(() => stage.run.secret(secretSlot(value) ?? ''));
  }
  return opened;
}

function leastSure(found: Readonly<Record<string, RelocatedElement>>): Relocated | undefined {
  const [least] = Object.values(found).sort((a, b) => a.margin - b.margin);
  return least && { by: 'fingerprint', score: least.score, margin: least.margin };
}

type Clicked =
  | {
      readonly kind: 'clicked';
      readonly relocated?: Relocated;
      readonly heals: readonly Heal[];
      readonly conversation?: ConversationEnd;
    }
  | (Failed & { readonly conversation?: ConversationEnd });

async function clickKnown(step: ExtractStep, stage: Stage, located: Located & { kind: 'located' }): Promise<Clicked> {
  const { element, relocated } = located;
  const isKept = relocated?.by === 'fingerprint' && step.bound === undefined; // as in every step on an element
  const heals = isKept ? await healOf(stage, { element, ...relocated }) : [];
  return (await trigger(step, stage, element)) ?? { kind: 'clicked', heals, ...(relocated ? { relocated } : {}) };
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
    perform: (element) => trigger(step, stage, element),
  });
  if (answer === undefined) return lost;
  const { conversation } = answer;
  if (answer.kind === 'unsure') return { ...lost, conversation };
  if (answer.kind === 'failed') return { ...answer.failed, conversation };
  return { kind: 'clicked', heals: [], conversation };
}

/** @returns why it was not clicked. */
async function trigger(step: ExtractStep, stage: Stage, element: FoundElement): Promise<Failed | undefined> {
  const click = { kind: 'click', opensPage: step.opensPage ?? false } as const;
  const problem = await ready(stage, element, click);
  if (problem !== undefined) return problem;
  stage.restartDeadline(); // the whole of it is for the result: what is begun here counts as under way for that long
  onlyAmidEffect(stage);
  await stage.during(() => stage.run.guard());
  await stage.during(() => stage.run.intend());
  // A click that wasn't answered in time may have been made all the same, so its result is looked for all the same.
  await send(stage, element, click);
  return undefined;
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
export async function readFields(step: Reading, stage: Stage): Promise<Read> {
  const found: Record<string, Secret> = {};
  const relocated: Record<string, RelocatedElement> = {};
  const misfits: string[] = [];
  for (const [name, field] of Object.entries(step.extract.fields)) {
    const at = await locateField(stage, name, field);
    if (at === undefined || at === 'discarded') return failed('element_missing', lost(stage, absent(name, at)));
    if ('score' in at) relocated[name] = at;
    const value = new Secret(await stage.during(() => stage.run.session.read(at.element)));
    stage.run.learn(value, name);
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
): Promise<RelocatedElement | { readonly element: FoundElement } | 'discarded' | undefined> {
  const mayRelocate = fingerprint !== undefined && stage.run.mode !== 'replay';
  const relocator = mayRelocate ? createRelocator(stage, { fingerprint, field: name }) : undefined;
  let found: Awaited<ReturnType<typeof locateField>>;
  do {
    const timeoutMs = relocator === undefined ? stage.leftMs() : Math.min(SLICE_MS, stage.leftMs());
    const result = await stage.during(() => stage.run.session.find(locators, { timeoutMs, isOnlyRead: true }));
    if (result.kind === 'found') return result;
    found = (await asProposed(stage, name)) ?? (await relocator?.());
    if (found !== undefined && found !== 'discarded') return found;
  } while (stage.leftMs() > 0);
  return found;
}

/** Where an earlier run had found it, if what stands there is still that. */
async function asProposed(stage: Stage, name: string): Promise<{ readonly element: FoundElement } | undefined> {
  for (const { locators, identity } of stage.proposals.filter(({ field }) => field === name)) {
    const result = await stage.during(() => stage.run.session.find(locators, { timeoutMs: 0 }));
    if (result.kind !== 'found' || !isSameElement(identity, result.element.identity)) continue;
    if (!(await isDiscarded(stage, result.element, name))) return result;
  }
  return undefined;
}

async function healsOf(stage: Stage, relocated: Readonly<Record<string, RelocatedElement>>): Promise<readonly Heal[]> {
  const heals: Heal[] = [];
  for (const [name, found] of Object.entries(relocated)) heals.push(...(await healOf(stage, found, name)));
  return heals;
}

function absent(name: string, at: 'discarded' | undefined): string {
  return at === undefined
    ? `the ${words(name)} isn't on the page`
    : `the ${words(name)} stands only where an admin discarded it on the console’s page Workflows, where “Try it again” takes that back`;
}

function lost(stage: Stage, what: string): string {
  if (!stage.step.isMutating) return `For ${quoted(stage.sentence)}, ${what}. Nothing was changed.`;
  return `${quoted(stage.sentence)} was clicked, but ${what}. Nothing was stored, and a new key may exist that nobody holds.`;
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
