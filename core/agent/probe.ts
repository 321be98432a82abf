import { CountersignError } from '../errors.ts';
import type { Condition } from '../ports/browser.ts';
import { fillCondition, fillUrl, withDerivedValues } from '../workflow/placeholders.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { failureOfCode } from './failures.ts';
import { openPage } from './open-page.ts';
import { pause, type StepRun, untilAborted } from './stage.ts';

/** Whether a thing with the run's label exists at the vendor's. `unsure`: a list could not be seen whole. */
export type ProbeResult = 'found' | 'absent' | 'unsure';

const PAUSE_MS = 300; // between two looks, for a list that is written a moment later than it is read

/**
 * Looks for `{label}` by reading alone: opens each of the workflow's lists in turn. One sighting is enough for `found`;
 * `absent` needs every list to have been shown whole without it. Needs a session that is signed in.
 * @throws as `runStep` does.
 */
export async function probe(workflow: Workflow, run: StepRun): Promise<ProbeResult> {
  if (workflow.probe === undefined) return 'unsure';
  const values = withDerivedValues(run.values);
  const found = fillCondition(workflow.probe.found, values);
  const complete = fillCondition(workflow.probe.complete, values);
  const seen: ProbeResult[] = [];
  for (const { target, timeoutMs } of workflow.probe.looks) {
    if (seen.length > 0) await pause(run.signal, PAUSE_MS);
    const result = await look(run, fillUrl(target, values), { found, complete, timeoutMs });
    if (result === 'found') return 'found';
    seen.push(result);
  }
  return seen.every((result) => result === 'absent') ? 'absent' : 'unsure';
}

interface Look {
  readonly found: Condition;
  readonly complete: Condition;
  readonly timeoutMs: number;
}

async function look(run: StepRun, url: string, wanted: Look): Promise<ProbeResult> {
  const { session, signal } = run;
  try {
    const until = performance.now() + wanted.timeoutMs;
    await openPage(run, url, { leftMs: () => Math.max(0, until - performance.now()) });
    const first = await untilAborted(signal, () => session.waitFor([wanted.found, wanted.complete], wanted.timeoutMs));
    if (first === 0) return 'found';
    return first === undefined ? 'unsure' : 'absent';
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CountersignError && failureOfCode(error.code) !== undefined) return 'unsure';
    throw error;
  }
}
