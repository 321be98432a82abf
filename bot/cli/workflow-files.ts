import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { CountersignError } from '../../core/errors.ts';
import { applyOverlay } from '../../core/workflow/overlay.ts';
import { EMPTY_KNOWLEDGE_BASE } from '../../core/workflow/recorder-merge.ts';
import { createWorkflowRegistry, type WorkflowRegistry } from '../../core/workflow/registry.ts';
import { type KnowledgeBase, knowledgeBaseSchema } from '../../core/workflow/workflow.ts';

export const PROJECT = join(import.meta.dirname, '..', '..');
/** What ships; its overlay lies beside it. */
export const SHIPPED = join(PROJECT, 'core', 'workflow', 'AGENT_KNOWLEDGE_BASE.json');

const OVERLAY = 'overlay.json';

/** The recorded part alone; an empty one when the file isn't there yet. @throws CountersignError `workflow_invalid`. */
export function readRecorded(file: string): KnowledgeBase {
  if (!existsSync(file)) return EMPTY_KNOWLEDGE_BASE;
  const read = knowledgeBaseSchema.safeParse(readJson(file));
  if (read.success) return read.data;
  throw new CountersignError('workflow_invalid', `${file} is no knowledge base: it stays as it is.`, {
    cause: read.error,
  });
}

export function writeRecorded(file: string, knowledgeBase: KnowledgeBase): void {
  writeFileSync(file, recordedText(knowledgeBase));
}

/** As it is written. */
export function recordedText(knowledgeBase: KnowledgeBase): string {
  return `${JSON.stringify(knowledgeBase, null, 2)}\n`;
}

/** The overlay that lies beside a knowledge base, if there is one. */
function overlayBeside(file: string): unknown {
  const overlay = join(dirname(file), OVERLAY);
  return existsSync(overlay) ? readJson(overlay) : undefined;
}

/**
 * Every workflow of a knowledge base with its overlay. Only the shipped ones are held to what operations need; a file of
 * somebody's own may have an overlay beside it, or none. @throws CountersignError `workflow_invalid`.
 */
export function openRegistry(file: string): WorkflowRegistry {
  const read = readJson(file);
  if (file !== SHIPPED && !holdsWorkflows(read))
    throw new CountersignError(
      'workflow_invalid',
      `${file} is no knowledge base: \`workflow record --out\` makes one. Nothing was done.`,
    );
  return createWorkflowRegistry(() => sourceOf(file, read), { mayLackProbe: file !== SHIPPED });
}

/** Something else altogether is told in one sentence; a knowledge base with a mistake in it by what is wrong where. */
function holdsWorkflows(read: unknown): boolean {
  return typeof read === 'object' && read !== null && 'workflows' in read && Array.isArray(read.workflows);
}

/** Whether the program could use it, laid under its overlay. @throws CountersignError `workflow_invalid`. */
export function checkBeforeWriting(file: string, knowledgeBase: KnowledgeBase): void {
  registryOf(file, knowledgeBase);
}

/** What the program would know with this in the file. @throws CountersignError `workflow_invalid`. */
export function registryOf(file: string, knowledgeBase: KnowledgeBase): WorkflowRegistry {
  return createWorkflowRegistry(() => sourceOf(file, knowledgeBase), { mayLackProbe: file !== SHIPPED });
}

function sourceOf(file: string, knowledgeBase: unknown): { knowledgeBase: unknown; overlay?: unknown } {
  const overlay = overlayBeside(file);
  if (overlay === undefined) return { knowledgeBase };
  if (file === SHIPPED) return { knowledgeBase, overlay };
  try {
    applyOverlay(knowledgeBase, overlay);
    return { knowledgeBase, overlay };
  } catch {
    return { knowledgeBase }; // it belongs to something else in that folder
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new CountersignError('workflow_invalid', `${file} can't be read as JSON.`, { cause });
  }
}

/** Where a spec comes from, for the record. */
export async function originOfSpec(spec: string): Promise<{ file: string; commit: string; contentHash: string }> {
  const inside = relative(PROJECT, spec);
  const isOwn = !inside.startsWith('..');
  return {
    file: isOwn ? inside.split(sep).join('/') : basename(spec),
    commit: await commitOf(spec),
    contentHash: `sha256:${createHash('sha256').update(readFileSync(spec)).digest('hex')}`,
  };
}

/** The last commit that touched the file; `uncommitted` when it differs from it or none did. */
async function commitOf(spec: string): Promise<string> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', dirname(spec), ...args])).stdout.trim();
  try {
    const commit = await git('log', '-1', '--format=%H', '--', spec);
    const changes = await git('status', '--porcelain', '--', spec);
    return commit === '' || changes !== '' ? 'uncommitted' : commit;
  } catch {
    return 'uncommitted';
  }
}
