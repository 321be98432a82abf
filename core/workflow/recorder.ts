import { isVolatile, type RecordedData, recordedData } from './recorder-data.ts';
import { StepWriter } from './recorder-writer.ts';
import { annotation, RECORDER_VERSION, type Recording } from './recording.ts';
import type { Workflow } from './workflow.ts';

export interface DraftOptions {
  /** The spec's path as it shall be named, its commit and the hash of its content. */
  readonly spec: { readonly file: string; readonly commit: string; readonly contentHash: string };
  /** `2026-11-22` */
  readonly recordedOn: string;
}

export type Draft =
  | {
      readonly kind: 'draft';
      readonly workflow: Workflow;
      /** The spec names the id itself. */
      readonly hasOwnId: boolean;
      /** `GET /path` of what the pages called in the background, without what varies. */
      readonly calls: readonly string[];
      /** What was left out, each a sentence. */
      readonly notes: readonly string[];
    }
  /** Why nothing may be made of it, each a sentence. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/**
 * Turns what a test did into a workflow: one step for each action, with a claim that code can check, and with
 * placeholders for what was typed. It holds no secret and no result, or it isn't made.
 */
export function draftOf(recording: Recording, options: DraftOptions): Draft {
  const failed = failureOf(recording);
  if (failed.length > 0) return { kind: 'refused', problems: failed };
  const data = recordedData(recording);
  const writer = new StepWriter(recording, data);
  const steps = writer.steps();
  const workflow: Workflow = {
    ...headOf(recording, data),
    inputs: recording.inputs.map(({ name }) => name).filter((name) => !['label', 'base', 'basePath'].includes(name)),
    secrets: recording.secrets.map(({ name }) => name),
    preconditions: [],
    steps,
    postconditions: [],
    successIndicators: [],
    errorRecovery: [],
    provenance: {
      source: 'recorded',
      spec: { ...options.spec, line: recording.line },
      recorderVersion: RECORDER_VERSION,
      recordedOn: options.recordedOn,
      vendorVersion: annotation(recording, 'vendor') ?? recording.generators.join(', ').slice(0, 200) ?? '',
    },
  };
  if (workflow.provenance.vendorVersion === '') workflow.provenance.vendorVersion = 'unknown';
  const problems = [...writer.problems, ...leaksOf(workflow, data)];
  if (steps.length === 0) problems.push('The test did nothing that a workflow could repeat.');
  if (problems.length > 0) return { kind: 'refused', problems };
  const calls = recording.calls.filter(
    (call) => !isVolatile(call) && !/\/\d+(?:\/|$)/.test(call) && !data.mentions(call),
  );
  return {
    kind: 'draft',
    workflow,
    hasOwnId: annotation(recording, 'workflow') !== undefined,
    calls: calls.filter((call) => data.leaksIn(call).length === 0),
    notes: writer.notes,
  };
}

function failureOf({ status, errors, titles, base, events }: Recording): string[] {
  const title = `The test “${titles.at(-1) ?? ''}”`;
  if (status !== 'passed') return [`${title} did not pass (${status}).`, ...errors];
  return base === undefined || events.length === 0
    ? [`${title} opened no page by its fixtures, so there is nothing to record.`]
    : [];
}

function headOf(recording: Recording, data: RecordedData) {
  const title = data.template(recording.titles.at(-1) ?? 'Recorded');
  const service = annotation(recording, 'service') ?? serviceOf(recording.file);
  const slug = slugOf(title);
  return {
    id: annotation(recording, 'workflow') ?? (slug.startsWith(service) ? slug : `${service}_${slug}`),
    aliases: [],
    name: annotation(recording, 'name') ?? title,
    intent: annotation(recording, 'intent') ?? title,
    version: 1,
    service,
  };
}

function serviceOf(file: string): string {
  return slugOf((file.split(/[\\/]/).at(-1) ?? '').replace(/(?:\.(?:spec|test))?\.[cm]?[jt]sx?$/, ''));
}

/** `Create an API key!` → `create-an-api-key` */
export function slugOf(text: string): string {
  const slug = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return /^[a-z]/.test(slug) ? slug : `w-${slug}`.replace(/-$/, '');
}

/** Where a secret or a result stands in what would be written, whatever it is a part of. */
function leaksOf(written: unknown, data: RecordedData, path = ''): string[] {
  if (typeof written === 'string')
    return data.leaksIn(written).map((what) => `The value of ${what} would stand in ${path}: nothing was written.`);
  if (typeof written !== 'object' || written === null) return [];
  return Object.entries(written).flatMap(([key, value]: [string, unknown]) => [
    ...data.leaksIn(key).map((what) => `The value of ${what} would be a name in ${path}: nothing was written.`),
    ...leaksOf(value, data, path === '' ? key : `${path}.${key}`),
  ]);
}
