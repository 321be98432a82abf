import { z } from 'zod';

const fields = z.record(z.string(), z.unknown());
const patchSchema = z.looseObject({
  id: z.string().min(1),
  steps: z.array(z.looseObject({ order: z.int().min(1) })).optional(),
});

/** What people wrote by hand beside the recorded knowledge base; recording never touches it. */
const overlaySchema = z.strictObject({ workflows: z.array(patchSchema) });

const recordedSchema = z.looseObject({ workflows: z.array(z.looseObject({ id: z.string() })) });
const stepsSchema = z.array(z.looseObject({ order: z.number() }));

/**
 * Lays the overlay over the recorded part. A workflow's fields replace the recorded ones; a step's fields replace those of
 * the recorded step of the same order. @throws when a patch is for a workflow or a step that isn't there.
 */
export function applyOverlay(recorded: unknown, overlay: unknown): unknown {
  const base = recordedSchema.parse(recorded);
  const patches = new Map(overlaySchema.parse(overlay).workflows.map((patch) => [patch.id, patch]));
  const workflows = base.workflows.map((workflow) => {
    const patch = patches.get(workflow.id);
    patches.delete(workflow.id);
    return patch === undefined ? workflow : patchWorkflow(workflow, patch);
  });
  const [stray] = patches.keys();
  if (stray !== undefined) throw new Error(`the overlay is for an unknown workflow: ${stray}`);
  return { ...base, workflows };
}

function patchWorkflow(workflow: Record<string, unknown>, patch: z.infer<typeof patchSchema>): unknown {
  const { steps: stepPatches = [], ...own } = patch;
  const steps = stepsSchema.parse(workflow.steps);
  for (const { order } of stepPatches) {
    if (!steps.some((step) => step.order === order)) throw new Error(`the overlay is for an unknown step: ${order}`);
  }
  const patched = steps.map((step) => ({
    ...step,
    ...fields.parse(stepPatches.find(({ order }) => order === step.order) ?? {}),
  }));
  return { ...workflow, ...own, steps: patched };
}
