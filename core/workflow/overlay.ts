import { z } from 'zod';

const fields = z.record(z.string(), z.unknown());
const list = z.array(z.unknown());
const partSchema = z.looseObject({ steps: z.array(z.looseObject({ order: z.int().min(1) })).optional() });
const patchSchema = partSchema.extend({
  id: z.string().min(1),
  /** Names of shared parts that this workflow has, too. */
  shares: z.array(z.string()).optional(),
});
type Patch = z.infer<typeof partSchema>;

/** What people wrote by hand beside the recorded knowledge base; recording never touches it. */
const overlaySchema = z.strictObject({
  /** What several workflows have in common, such as a sign-in, by a name. */
  shared: z.record(z.string(), partSchema).optional(),
  workflows: z.array(patchSchema),
});

const recordedSchema = z.looseObject({ workflows: z.array(z.looseObject({ id: z.string() })) });
const stepsSchema = z.array(z.looseObject({ order: z.number() }));

/** Of a step and of a workflow: what a shared part says comes first, and what the workflow itself says is added to it. */
const ADDED = ['failsWhen', 'errorRecovery'];

/**
 * Lays the overlay over the recorded part: what a workflow shares with others, then its own. A workflow's fields replace the
 * recorded ones; a step's fields replace those of the recorded step of the same order. @throws when a patch is for a workflow
 * or a step that isn't there, or shares what isn't.
 */
export function applyOverlay(recorded: unknown, overlay: unknown): unknown {
  const base = recordedSchema.parse(recorded);
  const { shared = {}, workflows: all } = overlaySchema.parse(overlay);
  const patches = new Map(all.map((patch) => [patch.id, patch]));
  const workflows = base.workflows.map((workflow) => {
    const patch = patches.get(workflow.id);
    patches.delete(workflow.id);
    if (patch === undefined) return workflow;
    const { shares = [], ...own } = patch;
    return [...shares.map((name) => partNamed(shared, name)), own].reduce(patchWorkflow, workflow);
  });
  const [stray] = patches.keys();
  if (stray !== undefined) throw new Error(`the overlay is for an unknown workflow: ${stray}`);
  return { ...base, workflows };
}

function partNamed(shared: Readonly<Record<string, Patch>>, name: string): Patch {
  const part = Object.hasOwn(shared, name) ? shared[name] : undefined;
  if (part === undefined) throw new Error(`the overlay shares no part of this name: ${name}`);
  return part;
}

function patchWorkflow<W extends Record<string, unknown>>(workflow: W, patch: Patch): W {
  const { steps: stepPatches = [], ...own } = patch;
  const steps = stepsSchema.parse(workflow.steps);
  for (const { order } of stepPatches) {
    if (!steps.some((step) => step.order === order)) throw new Error(`the overlay is for an unknown step: ${order}`);
  }
  const patched = steps.map((step) =>
    laid(step, fields.parse(stepPatches.find(({ order }) => order === step.order) ?? {})),
  );
  return { ...laid(workflow, own), steps: patched };
}

function laid<T extends Record<string, unknown>>(under: T, over: Record<string, unknown>): T {
  const added = ADDED.filter((name) => name in over).map((name) => [
    name,
    [...list.parse(under[name] ?? []), ...list.parse(over[name])],
  ]);
  return { ...under, ...over, ...Object.fromEntries(added) };
}
