import type { ReplayReport } from '../../core/workflow/replay.ts';

/** A replay for people: a line for the workflow, one for each step, one for each part of the result. */
export function linesOf({ workflow, version, success, durationMs, steps, results }: ReplayReport): readonly string[] {
  const rows = steps.map(({ order, intent, outcome, rung, durationMs: stepMs, failure, words }) => {
    const how = outcome === 'done' ? (rung ?? '') : [outcome.replace('_', ' '), failure].filter(Boolean).join(' ');
    return `  ${String(order).padStart(2)}  ${how.padEnd(10)} ${String(stepMs).padStart(6)} ms  ${intent}${words === undefined ? '' : `\n      ${words}`}`;
  });
  const found = Object.entries(results).map(
    ([name, { lastFour }]) => `  ${name}: captured${lastFour === undefined ? '' : `, …${lastFour}`}`,
  );
  return [`${workflow} v${version}  ${success ? 'passed' : 'FAILED'} in ${durationMs} ms`, ...rows, ...found];
}
