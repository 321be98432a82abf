import { type ProbeResult, pause, probe, type StepRun } from '../agent/engine.ts';
import { databaseNow } from '../database.ts';
import type { Log } from '../ports/log.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { absentFrom, type EffectState, settleIntent } from './effect.ts';
import type { HandOverDeps } from './hand-over.ts';
import type { Lease } from './lease.ts';
import type { RunSignals } from './run-signals.ts';
import type { Outcome } from './steps.ts';

type Uncertain = Extract<EffectState, { kind: 'uncertain' }>;
type Deps = Pick<HandOverDeps, 'database' | 'audit'> & { readonly log: Log };

const WAIT_MS = 1_000; // between two looks at the database's clock

/**
 * Looks for the label of an intent that was left open. One sighting settles it at once; its absence counts only when it
 * was read after whoever wrote the intent can no longer act on it: that worker may be alive, and only cut off from here.
 */
export async function lookFor(
  deps: Deps,
  lease: Lease,
  workflow: Workflow,
  { intent }: Uncertain,
  run: StepRun,
  signals: RunSignals,
): Promise<ProbeResult> {
  const { customerId, id: operationId } = lease.operation;
  const timeoutMs = workflow.steps[effectIndex(workflow)]?.timeoutMs ?? 0;
  const settledAt = absentFrom(intent, timeoutMs);
  const leftMs = async () =>
    settledAt.getTime() - (await deps.database.withCustomer(customerId, databaseNow)).getTime();
  for (;;) {
    signals.throwIfOver();
    const isSettled = (await leftMs()) <= 0;
    const found = await probe(workflow, run);
    if (found !== 'absent' || isSettled) return found;
    deps.log.info({ operationId, until: settledAt }, 'an interrupted effect is waited for before it counts as absent');
    for (let left = await leftMs(); left > 0; left = await leftMs()) await pause(signals.wait, Math.min(left, WAIT_MS));
  }
}

/** The key was made and its secret is lost, or nobody can tell: never a second click on a guess. */
export async function orphaned(
  deps: Deps,
  lease: Lease,
  { intent }: Uncertain,
  found: 'found' | 'unsure',
): Promise<Outcome> {
  await settle(deps, lease, intent, 'uncertain');
  const { label } = intent;
  const { side = 'the shop' } = lease.operation.service;
  const words =
    found === 'found'
      ? `The work was interrupted just after a key named “${label}” was made, before it could be stored, and nobody can read it again. No second key was made. Revoke “${label}” in ${side}'s list of keys, then ask again.`
      : `The work was interrupted while a key named “${label}” was being made, and ${side}'s list of keys could not be read for sure. No second key was made. Look for “${label}” in the list, revoke it if it is there, then ask again.`;
  return { kind: 'failed', code: 'effect_unsure', words };
}

export async function settle(
  deps: Deps,
  lease: Lease,
  intent: Uncertain['intent'],
  state: 'absent' | 'uncertain',
): Promise<void> {
  await deps.database.withCustomer(lease.operation.customerId, async (tx) => {
    await lease.hold(tx);
    await settleIntent(tx, deps.audit, intent, lease.operation, state);
  });
}

export function effectIndex(workflow: Workflow): number {
  return workflow.steps.findIndex(({ kind }) => kind === 'extract' || kind === 'receive');
}
