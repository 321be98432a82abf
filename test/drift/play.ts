import { type AgentMode, type Failure, runStep } from '../../core/agent/engine.ts';
import type { Rung } from '../../core/agent/stage.ts';
import { alterationOf } from './alteration.ts';
import type { Mutation } from './mutations.ts';
import { openScene, workflow } from './scene.ts';

/** Longer than a step takes on a slow machine; what isn't found by then is handed to the next rung. */
const STEP_MS = 25_000;

/** How the workflow fared on the mutated pages. */
export interface Played {
  readonly mutation: Mutation;
  /** Of the steps that were done, in their order. */
  readonly rungs: readonly Rung[];
  /** Where and why it was left to the model or a person. */
  readonly left?: { readonly step: number; readonly failure: Failure; readonly words: string };
  /** What was clicked or filled that was not meant, and what it did. */
  readonly wrong: readonly string[];
}

/** Runs the whole workflow in a real browser on a shop whose pages the mutation changed. */
export async function play(mutation: Mutation, mode: AgentMode = 'ladder'): Promise<Played> {
  const played = await playOnce(mutation, mode);
  // A browser on a busy machine may not answer: a real run begins again then, too.
  const isOutage = played.left?.failure === 'network' || played.left?.failure === 'browser_crashed';
  return isOutage && played.wrong.length === 0 ? playOnce(mutation, mode) : played;
}

async function playOnce(mutation: Mutation, mode: AgentMode): Promise<Played> {
  const scene = await openScene({ obstacles: { adminEmailCheck: false }, alteration: alterationOf(mutation) });
  const { shop } = scene;
  const run = { ...scene.run, mode };
  const rungs: Rung[] = [];
  let left: Played['left'];
  try {
    for (const step of workflow.steps) {
      const result = await runStep({ ...step, timeoutMs: Math.min(STEP_MS, step.timeoutMs) }, run);
      if (result.kind === 'failed') {
        left = { step: step.order, failure: result.failure, words: result.words };
        break;
      }
      rungs.push(result.rung);
    }
    const clicked = shop.requests.flatMap(({ path }) => (path.startsWith('/drift?') ? [path.slice(14)] : []));
    const led = shop.requests.filter(({ path }) => path.startsWith('/drift-decoy')).map(({ path }) => path);
    const wanted = { description: run.values.label, permissions: 'read', isRevoked: false };
    const isRight = shop
      .keys()
      .every((key) =>
        Object.entries(wanted).every(([name, value]) =>
          Object.entries(key).some(([own, is]) => own === name && is === value),
        ),
      );
    const made = shop.keys().length > 1 || !isRight ? [`keys: ${JSON.stringify(shop.keys())}`] : [];
    return { mutation, rungs, ...(left ? { left } : {}), wrong: [...clicked, ...led, ...made] };
  } finally {
    await scene.close();
  }
}
