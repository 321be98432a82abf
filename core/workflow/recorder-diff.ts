import type { Step } from './steps/index.ts';
import type { Workflow } from './workflow.ts';

/** What differs between two versions of a workflow, for a person to read: `+` is new, `-` is gone, `~` is changed. */
export function diffWorkflows(old: Workflow | undefined, fresh: Workflow): readonly string[] {
  if (old === undefined)
    return [`+ ${fresh.id}: ${fresh.name}`, ...fresh.steps.map((step) => `  + step ${step.order} ${words(step)}`)];
  const { steps: oldSteps, provenance: oldProvenance, ...oldHead } = old;
  const { steps: freshSteps, provenance: freshProvenance, ...freshHead } = fresh;
  const lines = [
    ...differences(oldHead, freshHead).map((line) => `  ~ ${line}`),
    ...diffSteps(oldSteps, freshSteps),
    ...differences(oldProvenance, freshProvenance).map((line) => `  ~ provenance ${line}`),
  ];
  return lines.length === 0 ? [] : [`~ ${fresh.id}: ${fresh.name}`, ...lines];
}

function diffSteps(old: readonly Step[], fresh: readonly Step[]): readonly string[] {
  const lines: string[] = [];
  let at = 0;
  for (const step of fresh) {
    const match = old.findIndex((candidate, i) => i >= at && isCounterpart(candidate, step));
    if (match < 0) {
      lines.push(`  + step ${step.order} ${words(step)}`);
      continue;
    }
    lines.push(...old.slice(at, match).map(gone));
    at = match + 1;
    const changed = differences(old[match], step);
    if (changed.length > 0)
      lines.push(`  ~ step ${step.order} ${words(step)}`, ...changed.map((line) => `      ${line}`));
  }
  return [...lines, ...old.slice(at).map(gone)];
}

function gone(step: Step): string {
  return `  - step ${step.order} ${words(step)}`;
}

function words(step: Step): string {
  return `${step.kind}: ${step.intent}`;
}

/** The same step, whatever became of its words or of its other locators. */
function isCounterpart(a: Step, b: Step): boolean {
  const where = (step: Step) =>
    'locators' in step ? JSON.stringify(step.locators[0]) : 'target' in step ? step.target : undefined;
  const place = where(a);
  return a.kind === b.kind && (a.intent === b.intent || (place !== undefined && place === where(b)));
}

function differences(old: unknown, fresh: unknown): readonly string[] {
  const [before, after] = [flat(old), flat(fresh)];
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  return paths.flatMap((path) => {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) return [];
    if (was === undefined) return [`${path}: + ${is}`];
    return is === undefined ? [`${path}: - ${was}`] : [`${path}: ${was} → ${is}`];
  });
}

/** Every value by its path; where an element stood, in pixels, is no news. */
function flat(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null)
    return new Map(value === undefined ? [] : [[path, JSON.stringify(value)]]);
  const entries = Object.entries(value).filter(([key]) => key !== 'box');
  if (entries.length === 0) return new Map([[path, Array.isArray(value) ? '[]' : '{}']]);
  return new Map(
    entries.flatMap(([key, part]: [string, unknown]) => [...flat(part, path === '' ? key : `${path}.${key}`)]),
  );
}
