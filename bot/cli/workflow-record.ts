import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { type Draft, draftOf } from '../../core/workflow/recorder.ts';
import { mergeRecorded, type RecordedWorkflow } from '../../core/workflow/recorder-merge.ts';
import type { Recording } from '../../core/workflow/recording.ts';
import type { Call } from './command.ts';
import { checkBeforeWriting, originOfSpec, readRecorded, SHIPPED, writeRecorded } from './workflow-files.ts';
import { baseOf } from './workflow-site.ts';

/** Runs a spec, shows what would change, and writes it once somebody has said yes. */
export async function record(call: Call): Promise<number> {
  const spec = resolve(call.args[0] ?? '');
  if (!existsSync(spec)) return refuse(call, [`There is no file ${spec}.`]);
  const base = typeof call.values.base === 'string' ? baseOf(call.values.base) : undefined;
  const file = typeof call.values.out === 'string' ? resolve(call.values.out) : SHIPPED;
  const known = readRecorded(file);
  call.complain(`Running ${spec} …`);
  const { recordings, output, exitCode } = await call.recordSpec(spec, base);
  if (recordings.length === 0)
    return refuse(call, [
      told(output, recordings),
      'No test of the spec ran with the recording fixture, so nothing was recorded.',
    ]);
  const recordedOn = new Date().toISOString().slice(0, 10);
  const origin = await originOfSpec(spec);
  const drafts = recordings.map((recording) => draftOf(recording, { spec: origin, recordedOn }));
  const problems = drafts.flatMap((draft, i) =>
    draft.kind === 'refused' ? placed(draft.problems, recordings, i) : [],
  );
  if (problems.length > 0) return refuse(call, problems);
  if (exitCode !== 0) return refuse(call, [told(output, recordings), 'The spec did not pass as a whole.']);
  for (const note of drafts.flatMap((draft) => (draft.kind === 'draft' ? draft.notes : []))) call.complain(note);
  return merge(call, file, known, drafts.filter(isDraft));
}

/** Of several tests, each problem says whose it is. */
function placed(problems: readonly string[], recordings: readonly Recording[], at: number): readonly string[] {
  const title = `“${recordings[at]?.titles.at(-1) ?? ''}”`;
  const isClear = (problem: string) => recordings.length === 1 || problem.includes(title);
  return problems.map((problem) => (isClear(problem) ? problem : `In the test ${title}: ${problem}`));
}

/** What the runner said, without what it may have printed of a secret. */
function told(output: string, recordings: readonly Recording[]): string {
  const known = recordings.flatMap(({ secrets, results }) =>
    [...secrets, ...results].map(({ value }) => new Secret(value)),
  );
  return redact(output.trim(), known);
}

function isDraft(draft: Draft): draft is Extract<Draft, { kind: 'draft' }> {
  return draft.kind === 'draft';
}

async function merge(
  call: Call,
  file: string,
  known: ReturnType<typeof readRecorded>,
  drafts: readonly RecordedWorkflow[],
): Promise<number> {
  const { knowledgeBase, changes } = mergeRecorded(known, drafts, new Date().toISOString());
  checkBeforeWriting(file, knowledgeBase);
  for (const { diff } of changes) for (const line of diff) call.say(line);
  const unchanged = changes.filter(({ kind }) => kind === 'same').map(({ id }) => id);
  if (unchanged.length > 0) call.say(`Unchanged: ${unchanged.join(', ')}.`);
  if (changes.every(({ kind }) => kind === 'same')) return 0;
  const isOverwriting = existsSync(file);
  if (isOverwriting && call.values.yes !== true && !(await isAgreed(call, file))) {
    call.complain(`Nothing was written. With --yes ${file} is written.`);
    return 1;
  }
  writeRecorded(file, knowledgeBase);
  call.say(`Written: ${file} (${changes.map(({ id, kind }) => `${id} ${kind}`).join(', ')}).`);
  return 0;
}

async function isAgreed(call: Call, file: string): Promise<boolean> {
  const answer = await call.ask(`Write this to ${file}? [y/N] `);
  return /^y(?:es)?$/i.test(answer?.trim() ?? '');
}

function refuse(call: Call, problems: readonly string[]): number {
  for (const problem of problems) call.complain(problem);
  call.complain('No workflow was written.');
  return 1;
}
