import { slugOf } from './recorder.ts';
import { diffWorkflows } from './recorder-diff.ts';
import type { Step } from './steps/index.ts';
import { type KnowledgeBase, knowledgeBaseSchema, type Workflow } from './workflow.ts';

export interface RecordedWorkflow {
  readonly workflow: Workflow;
  /** The spec names the id itself. */
  readonly hasOwnId: boolean;
  /** `GET /path` of what its pages called in the background, without what varies. */
  readonly calls: readonly string[];
}

export interface Change {
  readonly id: string;
  readonly kind: 'new' | 'changed' | 'same';
  /** What differs, line by line. */
  readonly diff: readonly string[];
}

export interface Merged {
  readonly knowledgeBase: KnowledgeBase;
  readonly changes: readonly Change[];
}

export const EMPTY_KNOWLEDGE_BASE: KnowledgeBase = {
  workflows: [],
  uiCatalog: [],
  apiReference: [],
  commonPatterns: [],
  generatedAt: '1970-01-01T00:00:00Z',
};

/** Of two recordings of one test, at least this part of the steps is the same. */
const ALIKE = 0.6;

/**
 * Puts what was recorded in the place of what was recorded before. A test that was given another title keeps its
 * workflow's id; the slug of the old title becomes an alias.
 */
export function mergeRecorded(base: KnowledgeBase, recorded: readonly RecordedWorkflow[], generatedAt: string): Merged {
  const workflows = [...base.workflows];
  const changes: Change[] = [];
  const taken = new Set<string>();
  for (const one of recorded) {
    const existing = earlier(workflows, one, recorded, taken);
    const merged = existing === undefined ? one.workflow : succeed(existing, one.workflow);
    taken.add(merged.id);
    const at = existing === undefined ? workflows.length : workflows.indexOf(existing);
    workflows[at] = merged;
    const diff = diffWorkflows(existing, merged);
    changes.push({ id: merged.id, kind: existing === undefined ? 'new' : diff.length > 0 ? 'changed' : 'same', diff });
  }
  const fresh = workflows.filter(({ id }) => taken.has(id));
  const knowledgeBase = {
    workflows,
    uiCatalog: catalogOf(base.uiCatalog, fresh),
    apiReference: apiOf(base.apiReference, recorded, changes),
    commonPatterns: patternsOf(base.commonPatterns, workflows),
    generatedAt,
  };
  return { knowledgeBase: knowledgeBaseSchema.parse(knowledgeBase), changes };
}

/** The workflow that this test made before: by its id, else the most alike one of the same spec that no other test has. */
function earlier(
  workflows: readonly Workflow[],
  { workflow, hasOwnId }: RecordedWorkflow,
  recorded: readonly RecordedWorkflow[],
  taken: ReadonlySet<string>,
): Workflow | undefined {
  const named = workflows.find(({ id, aliases }) => id === workflow.id || (!hasOwnId && aliases.includes(workflow.id)));
  if (named || hasOwnId) return named;
  const file = workflow.provenance.spec?.file;
  const isFree = ({ id, provenance }: Workflow) =>
    provenance.spec?.file === file && !taken.has(id) && !recorded.some((other) => other.workflow.id === id);
  const [best] = workflows
    .filter(isFree)
    .map((candidate) => ({ candidate, likeness: likeness(candidate.steps, workflow.steps) }))
    .toSorted((a, b) => b.likeness - a.likeness);
  return best !== undefined && best.likeness >= ALIKE ? best.candidate : undefined;
}

/** The part of their steps that two workflows have in common, in order. */
function likeness(a: readonly Step[], b: readonly Step[]): number {
  const key = (step: Step) => {
    const where = 'locators' in step ? JSON.stringify(step.locators[0]) : 'target' in step ? step.target : '';
    return `${step.kind} ${where}`;
  };
  const [one, other] = [a.map(key), b.map(key)];
  const row = new Array<number>(other.length + 1).fill(0);
  for (const left of one) {
    let diagonal = 0;
    for (const [j, right] of other.entries()) {
      const above = row[j + 1] ?? 0;
      row[j + 1] = left === right ? diagonal + 1 : Math.max(above, row[j] ?? 0);
      diagonal = above;
    }
  }
  return (row.at(-1) ?? 0) / Math.max(1, one.length, other.length);
}

function succeed(old: Workflow, fresh: Workflow): Workflow {
  const renamed = old.name === fresh.name ? [] : [slugOf(old.name)];
  const aliases = [...new Set([...old.aliases, ...renamed])].filter((alias) => alias !== old.id);
  const isSame = JSON.stringify(old.steps.map(doing)) === JSON.stringify(fresh.steps.map(doing));
  return { ...fresh, id: old.id, aliases, version: isSame ? old.version : old.version + 1 };
}

/** What a run does of a step; where an element stood on the day is not part of it. */
function doing(step: Step): object {
  if (!('locators' in step)) return step;
  const { fingerprint: _, place: __, ...rest } = step;
  return rest;
}

function catalogOf(known: KnowledgeBase['uiCatalog'], fresh: readonly Workflow[]): KnowledgeBase['uiCatalog'] {
  const catalog = known.map((entry) => ({ ...entry }));
  for (const { id, steps } of fresh) {
    for (const step of steps) {
      if (!('locators' in step) || step.target === undefined) continue;
      const entry = catalog.find(({ selector }) => selector === step.target);
      if (entry) entry.usedInWorkflows = [...new Set([...entry.usedInWorkflows, id])];
      else
        catalog.push({
          selector: step.target,
          semanticName: step.identities[0]?.name ?? step.intent,
          purpose: step.intent,
          usedInWorkflows: [id],
          interactionType: step.action,
        });
    }
  }
  return catalog;
}

function apiOf(
  known: KnowledgeBase['apiReference'],
  recorded: readonly RecordedWorkflow[],
  changes: readonly Change[],
): KnowledgeBase['apiReference'] {
  const api = known.map((entry) => ({ ...entry }));
  for (const [i, { workflow, calls }] of recorded.entries()) {
    const id = changes[i]?.id ?? workflow.id;
    for (const endpoint of calls) {
      const entry = api.find((one) => one.endpoint === endpoint);
      if (entry) entry.usedInWorkflows = [...new Set([...entry.usedInWorkflows, id])];
      else api.push({ endpoint, purpose: `Called by the pages of “${workflow.name}”`, usedInWorkflows: [id] });
    }
  }
  return api;
}

function patternsOf(
  known: KnowledgeBase['commonPatterns'],
  workflows: readonly Workflow[],
): KnowledgeBase['commonPatterns'] {
  const signIns = workflows.filter(({ steps }) => steps.some(({ permission }) => permission === 'sign_in'));
  const [first] = signIns;
  if (first === undefined) return known;
  const example = first.steps.filter(({ permission }) => permission === 'sign_in').map(({ intent }) => intent);
  const pattern = {
    name: 'Sign in',
    description: 'Secrets are typed into the site’s own form before anything else',
    example: example.join(' · '),
    frequency: signIns.length,
  };
  return [...known.filter(({ name }) => name !== pattern.name), pattern];
}
