import { readFileSync } from 'node:fs';
import { CountersignError } from '../errors.ts';
import { applyOverlay } from './overlay.ts';
import { type CheckOptions, checkWorkflows } from './validate.ts';
import { type KnowledgeBase, knowledgeBaseSchema, type Workflow } from './workflow.ts';

/** Every workflow that this installation knows, checked for meaning as it is loaded. */
export interface WorkflowRegistry {
  /** By id or alias; `undefined` when there is none. */
  get(id: string): Workflow | undefined;
  /** By id or alias. @throws CountersignError `workflow_not_found`. */
  getDefinition(id: string): Workflow;
  exists(id: string): boolean;
  list(): readonly Workflow[];
  /** Workflows that hold every word of the text in id, aliases, name, intent or service; most matches in the name first. */
  search(text: string): readonly Workflow[];
  count(): number;
  /** Reads the source again; what was loaded stays when the new one is refused. @throws CountersignError `workflow_invalid`. */
  reload(): void;
  getUICatalog(): KnowledgeBase['uiCatalog'];
  getAPIReference(): KnowledgeBase['apiReference'];
  getCommonPatterns(): KnowledgeBase['commonPatterns'];
}

/** The recorded knowledge base and the hand-written overlay, as parsed JSON. */
export type WorkflowSource = () => { readonly knowledgeBase: unknown; readonly overlay?: unknown };

/** @throws CountersignError `workflow_invalid` ("Failed to load agent knowledge base: …") with every problem. */
export function createWorkflowRegistry(
  source: WorkflowSource = readBesideThisFile,
  options: CheckOptions = {},
): WorkflowRegistry {
  let loaded = load(source, options);
  const get = (id: string) => loaded.workflows.find((workflow) => workflow.id === id || workflow.aliases.includes(id));
  return {
    get,
    getDefinition: (id) => {
      const workflow = get(id);
      if (workflow === undefined) throw new CountersignError('workflow_not_found', `Workflow not found: ${id}`);
      return workflow;
    },
    exists: (id) => get(id) !== undefined,
    list: () => loaded.workflows,
    search: (text) => search(loaded.workflows, text),
    count: () => loaded.workflows.length,
    reload: () => {
      loaded = load(source, options);
    },
    getUICatalog: () => loaded.uiCatalog,
    getAPIReference: () => loaded.apiReference,
    getCommonPatterns: () => loaded.commonPatterns,
  };
}

/** The shipped knowledge base and its overlay. */
function readBesideThisFile(): ReturnType<WorkflowSource> {
  const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
  return { knowledgeBase: read('AGENT_KNOWLEDGE_BASE.json'), overlay: read('overlay.json') };
}

function load(source: WorkflowSource, options: CheckOptions): KnowledgeBase {
  try {
    const { knowledgeBase, overlay } = source();
    const merged = overlay === undefined ? knowledgeBase : applyOverlay(knowledgeBase, overlay);
    const parsed = knowledgeBaseSchema.parse(merged);
    checkWorkflows(parsed.workflows, options);
    return parsed;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unreadable';
    throw new CountersignError('workflow_invalid', `Failed to load agent knowledge base: ${reason}`, { cause });
  }
}

function search(workflows: readonly Workflow[], text: string): readonly Workflow[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const hits = (haystack: string) => words.filter((word) => haystack.toLowerCase().includes(word)).length;
  return workflows
    .map((workflow) => {
      const { id, aliases, name, intent, service } = workflow;
      return { workflow, name: hits(name), all: hits([id, ...aliases, name, intent, service].join(' ')) };
    })
    .filter(({ all }) => words.length > 0 && all === words.length)
    .sort((a, b) => b.name - a.name)
    .map(({ workflow }) => workflow);
}
