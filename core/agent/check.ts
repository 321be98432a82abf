import { quoted } from '../plain-text.ts';
import type { LiveCondition } from '../ports/browser.ts';
import type { Values } from '../workflow/placeholders.ts';
import { boundToKnown, mentionsKnown } from './bind.ts';
import { type Failed, failed, notDone } from './failures.ts';
import { clear } from './obstacles.ts';
import type { Stage } from './stage.ts';

/**
 * Waits until code sees that the step did what it should. What settles that it failed, and the obstacles that are known,
 * are watched at the same time: the first are told at once, the second are cleared, each at most once.
 */
export async function check(stage: Stage, postcondition: LiveCondition): Promise<Failed | undefined> {
  const sliceMs = mentionsKnown(postcondition, stage.known) ? SLICE_MS : Number.POSITIVE_INFINITY;
  let expected = postcondition;
  for (;;) {
    const seen = await see(stage, expected, Math.min(sliceMs, stage.leftMs()));
    if (seen.kind === 'expected') return undefined;
    if (seen.kind === 'nothing') {
      if (stage.leftMs() === 0) return unmet(stage);
      const bound = await boundToKnown(stage, postcondition);
      expected = bound === undefined ? postcondition : { kind: 'any', of: [postcondition, bound] };
      continue;
    }
    if (seen.kind === 'failed') return seen;
    const problem = await clear(stage, seen.obstacle);
    if (problem !== undefined) return problem;
  }
}

/** A page that was slow to answer and draws is there by then; known elements that aren't are looked for elsewhere on it. */
const SLICE_MS = 2_000;

/** A look at what hinders the step now: a failure to tell, or an obstacle that it clears. */
export async function hindrance(stage: Stage): Promise<Failed | 'cleared' | undefined> {
  if (stage.step.failsWhen.length + stage.obstacles.length === 0) return undefined;
  const seen = await see(stage, undefined, LOOK_MS);
  if (seen.kind === 'failed') return seen;
  if (seen.kind !== 'obstacle') return undefined;
  return (await clear(stage, seen.obstacle)) ?? 'cleared';
}

const LOOK_MS = 50; // one look at a page that is at rest; the search for the element waits by itself

type Seen =
  | { readonly kind: 'expected' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'obstacle'; readonly obstacle: Stage['obstacles'][number] }
  | Failed;

async function see(stage: Stage, expected: LiveCondition | undefined, timeoutMs: number): Promise<Seen> {
  const { failsWhen } = stage.step;
  const { obstacles } = stage;
  const first = expected === undefined ? [] : [expected];
  const conditions = [...first, ...failsWhen.map((fails) => fails.condition), ...obstacles.map(({ when }) => when)];
  const index = await stage.during(() => stage.run.session.waitFor(conditions, timeoutMs));
  if (index === undefined) return { kind: 'nothing' };
  if (index < first.length) return { kind: 'expected' };
  const fails = failsWhen[index - first.length];
  if (fails !== undefined) return { ...failed(fails.failure, fails.words), isSettled: true };
  const obstacle = obstacles[index - first.length - failsWhen.length];
  return obstacle === undefined ? { kind: 'nothing' } : { kind: 'obstacle', obstacle };
}

/** Tells "another page came" from "the page is there, but not what it should show". */
async function unmet(stage: Stage): Promise<Failed> {
  const { step, sentence } = stage;
  const rest = notDone(stage.hasActed, step.isMutating);
  const { url } = await stage.during(() => stage.run.session.state());
  const isElsewhere = !isOnSite(url, stage.run.values) || (step.kind === 'navigate' && !isSamePath(url, step.target));
  if (isElsewhere) return failed('wrong_page', `${quoted(sentence)} ended on another page than expected. ${rest}`);
  const seconds = Math.round(step.timeoutMs / 1000);
  return failed(
    'postcondition_failed',
    `${quoted(sentence)} did not lead to what was expected within ${seconds} s. ${rest}`,
  );
}

/** At the target, or at another of the addresses that a workflow's pages begin with. */
function isOnSite(url: string, values: Values): boolean {
  const bases = Object.entries(values).flatMap(([name, value]) => (/(?:^b|B)ase$/.test(name) ? [value] : []));
  return bases.length === 0 || bases.some((base) => new URL(url).origin === new URL(base).origin);
}

function isSamePath(url: string, target: string): boolean {
  return new URL(url).pathname === new URL(target).pathname;
}
