import { nextMove } from '../agent/failures.ts';
import { CountersignError } from '../errors.ts';
import type { BrowserSession } from '../ports/browser.ts';
import type { Log } from '../ports/log.ts';
import type { Screenshots } from '../ports/screenshots.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Secret } from '../secret.ts';
import type { Proposal } from '../workflow/known.ts';
import { proposalsFor } from '../workflow/proposals.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import { needsPage, type Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { type EffectState, effectState } from './effect.ts';
import { endOperation } from './ending.ts';
import { MACHINE_MS } from './execution.ts';
import { leftToOthers } from './hand-back.ts';
import { forgetSession, type HandOverDeps, handOver, type Seat, takeSeat } from './hand-over.ts';
import { type Lease, type LeaseDeps, takeLease } from './lease.ts';
import type { Operation } from './operation.ts';
import { fitsPlan, planText } from './plan.ts';
import { onRecord, signInSteps, type Way, wayOn } from './resume.ts';
import { createRunSecrets, type RunSecrets } from './run-secrets.ts';
import { createDrain, type Drain, type RunSignals, signalsOf } from './run-signals.ts';
import { signInRefusal } from './sign-in-limit.ts';
import { type StepRunDeps, stepRun } from './step-run.ts';
import { type Outcome, type RunWith, runSteps } from './steps.ts';
import { Stopped } from './stopped.ts';
import { effectIndex, lookFor, orphaned, settle } from './uncertain.ts';
import { notVouchedFor, type VouchingDeps } from './vouching.ts';

/** What carries out countersigned operations. */
export interface Runner {
  /** One job: from taking the operation to a state that says the truth. Rejects only for an outage that a later try may survive. */
  run(job: OperationJob, signal: AbortSignal): Promise<void>;
  /**
   * From now on no step is begun: each job ends once its step under way is over, at the latest after 12 s, and rejects, so
   * that the queue hands it to another worker at once.
   */
  drain(): void;
}

export interface RunnerDeps
  extends LeaseDeps,
    HandOverDeps,
    VouchingDeps,
    Omit<StepRunDeps, 'proposals' | 'operations'> {
  readonly workflows: WorkflowRegistry;
  readonly screenshots: Screenshots;
  readonly log: Log;
  /** Hides a secret from every log line, from its opening until everything about the run was logged. */
  readonly secrets: { add(secret: Secret): void; remove(secret: Secret): void };
}

/** What one attempt works with. */
type AttemptDeps = RunnerDeps & StepRunDeps;

const RESTARTS = 2; // in another browser; what may be repeated is the effect's and the way's to say

export function createRunner(given: Omit<RunnerDeps, 'leave'>): Runner {
  const deps: RunnerDeps = { ...given, leave: (tx, job, row) => leftToOthers(tx, given, job, row) };
  const drain = createDrain();
  return {
    async run(job, signal) {
      const secrets = createRunSecrets(deps.secrets);
      try {
        for (let restarts = 0; ; restarts++) {
          const isOver = await runOnce(deps, job, { job: signal, drain }, secrets, restarts < RESTARTS);
          if (isOver) return;
        }
      } finally {
        secrets.release();
      }
    },
    drain: () => drain.begin(),
  };
}

/** What may end a job from outside. */
interface FromOutside {
  readonly job: AbortSignal;
  readonly drain: Drain;
}

/** @returns false when the operation is to go on in another browser. */
async function runOnce(
  deps: RunnerDeps,
  job: OperationJob,
  outside: FromOutside,
  secrets: RunSecrets,
  mayRestart: boolean,
): Promise<boolean> {
  let lease: Lease | undefined;
  let endParked: (() => Promise<void>) | undefined;
  const ids = { operationId: job.operationId };
  try {
    outside.drain.begun.throwIfAborted();
    lease = await takeLease(deps, job, outside.job);
    if (!lease) return true;
    endParked = deps.parking.claim(job.customerId, job.operationId); // platforms take their time
    const notVouched = await notVouchedFor(deps, lease.operation);
    if (notVouched) throw new Stopped('not_vouched', notVouched);
    secrets.showed(planText(lease.operation.plan));
    const outcome = await attempt(deps, lease, outside.drain, secrets);
    if (outcome.kind === 'waiting') return true;
    if (outcome.kind === 'failed') {
      deps.log.warn({ ...ids, code: outcome.code }, 'an operation could not go on');
      if (mayRestart && !outcome.mayHaveChanged && (await isGoingOn(deps, lease, outcome.code))) return false;
    }
    await endOperation(deps, lease, outcome, secrets);
    return true;
  } catch (error) {
    return await afterError(deps, job, outside.job, { lease, secrets }, error);
  } finally {
    await endParked?.();
    lease?.release();
  }
}

/** Whether what failed is worth another browser. */
async function isGoingOn(deps: RunnerDeps, lease: Lease, code: string): Promise<boolean> {
  const move = nextMove(code);
  if (move === 'sign_in') await forgetSession(deps, lease);
  return move === 'sign_in' || move === 'other_browser';
}

async function afterError(
  deps: RunnerDeps,
  job: OperationJob,
  signal: AbortSignal,
  { lease, secrets }: { lease: Lease | undefined; secrets: RunSecrets },
  error: unknown,
): Promise<boolean> {
  const ids = { operationId: job.operationId };
  if (error instanceof Stopped) {
    deps.log.info({ ...ids, why: error.why }, 'an operation was stopped');
    if (error.why === 'consent' || error.why === 'not_vouched') {
      const stopped = { kind: 'stopped', code: error.why, words: error.message } as const;
      await endOperation(deps, { ...job, fence: lease?.fence }, stopped, secrets);
    }
    if (error.why === 'overtime')
      await endOperation(deps, { ...job, fence: lease?.fence }, { kind: 'overtime' }, secrets);
    if (error.why === 'drained') throw forQueue(error, secrets); // handed back: another worker takes it at once
    return true;
  }
  // Its turn comes: the queue puts the job back where it was.
  if (error instanceof CountersignError && error.code === 'customer_busy') throw forQueue(error, secrets);
  // The queue took the job away, or an outage: it is handed out again, and goes on from what is on record.
  if (signal.aborted || (error instanceof CountersignError && error.isRetryable)) {
    deps.log.warn({ ...ids, cause: error }, 'an operation was interrupted and is handed out again');
    throw forQueue(error, secrets);
  }
  deps.log.error(
    { ...ids, cause: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    'an operation met a fault of ours',
  );
  await endOperation(
    deps,
    { ...job, fence: lease?.fence },
    { kind: 'failed', code: 'internal', words: 'Something went wrong on our side.' },
    secrets,
  );
  return true;
}

/** The queue keeps what a job failed with, causes and all: it gets the sentence alone. */
function forQueue(error: unknown, secrets: RunSecrets): Error {
  const bare =
    error instanceof CountersignError
      ? new CountersignError(error.code, secrets.hide(error.message), { isRetryable: error.isRetryable })
      : new Error('The job was taken away.');
  bare.stack = `${bare.name}: ${bare.message}`;
  return bare;
}

/** Runs the steps that are still to be done, in one browser; `waiting`: a person was asked, and the job is over. */
async function attempt(
  deps: RunnerDeps,
  lease: Lease,
  drain: Drain,
  secrets: RunSecrets,
): Promise<Exclude<Outcome, { kind: 'asks' }> | { readonly kind: 'waiting' }> {
  const { operation } = lease;
  const workflow = deps.workflows.getDefinition(operation.plan.workflowId);
  if (!fitsPlan(workflow, operation.plan))
    return {
      kind: 'failed',
      code: 'workflow_changed',
      words: 'The way to do this has changed since it was approved. Ask again to see the new plan.',
    };
  const {
    execution,
    steps,
    effect: onRecordEffect,
  } = await deps.database.withCustomer(operation.customerId, (tx) => onRecord(tx, operation));
  const effect = asBefore(workflow, onRecordEffect);
  const signals = signalsOf(lease.signal, drain, MACHINE_MS - execution.machineMs);
  try {
    if (effect.kind === 'done') return await afterEffect(deps, lease, { workflow, effect }, signals, secrets);
    if (effect.kind === 'fresh' && (await isKeyAnother(deps, operation))) return keyChanged;
    if (operation.way.kind !== 'browser') {
      // Its intent is written in the transaction that keeps the key: it is never left open.
      if (effect.kind !== 'fresh') return noWay(operation.plan.label);
      const using = { session: noSession, label: effect.label, secrets, signals };
      return failedIfAsking(await runSteps({ ...deps, proposals: [] }, lease, workflow, workflow.steps, using));
    }
    const way = wayOn(workflow, steps);
    if (!way) return noWay(operation.plan.label);
    return await inBrowser(deps, lease, { workflow, way, effect }, signals, secrets);
  } finally {
    signals.release();
  }
}

/** Of what is only shown, nothing is uncertain: it is shown again, under the name that it has. */
function asBefore({ steps }: Workflow, effect: EffectState): EffectState {
  if (effect.kind !== 'uncertain') return effect;
  const { label, step } = effect.intent;
  const isShownAgain = steps.some((each) => each.kind === 'extract' && each.order === step && each.showsAgain);
  return isShownAgain ? { kind: 'fresh', label, attempt: 1 } : effect;
}

/** The key that it is about is no longer the stored one: nothing is begun. */
async function isKeyAnother({ database, operations }: RunnerDeps, operation: Operation): Promise<boolean> {
  if (!operation.plan.key) return false;
  return database.withCustomer(
    operation.customerId,
    async (tx) => !(await operations.saysWhatItReplaces(tx, operation)),
  );
}

const keyChanged = {
  kind: 'failed',
  code: 'key_changed',
  words:
    'Another key was stored, or this one deleted, since it was approved. Nothing was done. Ask again to see what is there now.',
} as const satisfies Outcome;

/**
 * The result is in the vault, and what comes after it harms nothing when it is done again: first what needs no page, then, from
 * where a page is opened by its address, the rest in a browser that is signed in.
 */
async function afterEffect(
  deps: RunnerDeps,
  lease: Lease,
  { workflow, effect }: { workflow: Workflow; effect: Extract<EffectState, { kind: 'done' }> },
  signals: RunSignals,
  secrets: RunSecrets,
): ReturnType<typeof attempt> {
  const rest = workflow.steps.slice(effectIndex(workflow) + 1);
  const paged = rest.findIndex(needsPage);
  const first = paged < 0 ? rest : rest.slice(0, paged);
  const using = { session: noSession, label: effect.label, secrets, signals };
  const outcome = failedIfAsking(await runSteps({ ...deps, proposals: [] }, lease, workflow, first, using));
  if (outcome.kind !== 'completed' || paged < 0) return outcome;
  const way = { signIn: signInSteps(workflow), rest: rest.slice(paged) };
  return inBrowser(deps, lease, { workflow, way, effect }, signals, secrets);
}

function noWay(label: string) {
  const words = `The work was interrupted at a step that changes something, and there is no way on from there that would not do it again. Nothing was repeated. Look at what the last steps have left, named “${label}” if they made anything, then ask again.`;
  return { kind: 'failed', code: 'effect_unsure', words } as const satisfies Outcome;
}

/** What is to be done. */
interface Goal {
  readonly workflow: Workflow;
  readonly way: Way;
  readonly effect: EffectState;
}

async function inBrowser(
  deps: RunnerDeps,
  lease: Lease,
  goal: Goal,
  signals: RunSignals,
  secrets: RunSecrets,
): ReturnType<typeof attempt> {
  const { workflow } = goal;
  signals.throwIfOver();
  const seat = await takeSeat(deps, lease, goal.way, goal.effect, secrets);
  const { session } = seat;
  let isParked = false;
  try {
    const isSigningIn = goal.effect.kind !== 'uncertain' && !seat.isKept && seat.answered === undefined;
    const refusal = isSigningIn ? await signInRefusal(deps.database, lease.operation) : undefined;
    if (refusal) return refusal;
    const proposals = await proposalsOf(deps, lease, workflow);
    const outcome = await atSeat({ ...deps, proposals }, lease, goal, seat, { session, secrets, signals });
    if (outcome.kind !== 'asks') return outcome;
    isParked = await handOver(deps, lease, workflow, outcome, session, secrets);
    return isParked ? { kind: 'waiting' } : failedIfAsking(outcome);
  } finally {
    if (!isParked) await session.close().catch(() => {});
  }
}

/** Where nobody may be asked, or not again, the step has failed. */
function failedIfAsking(outcome: Outcome): Exclude<Outcome, { kind: 'asks' }> {
  return outcome.kind === 'asks' ? { kind: 'failed', code: 'unanswered', words: outcome.words } : outcome;
}

async function proposalsOf(
  { database, agentMode }: RunnerDeps,
  { operation }: Lease,
  workflow: Workflow,
): Promise<readonly Proposal[]> {
  if (agentMode === 'replay') return [];
  const place = { workflowId: workflow.id, workflowVersion: workflow.version, target: operation.plan.base };
  return database.withCustomer(operation.customerId, (tx) => proposalsFor(tx, operation.customerId, place));
}

async function atSeat(
  deps: AttemptDeps,
  lease: Lease,
  { workflow, way, effect }: Goal,
  seat: Seat,
  using: Omit<RunWith, 'label'>,
): Promise<Outcome> {
  const { steps, isKept, answered, isUnderWay = false } = seat;
  const run = (label: string, some: readonly Step[]) =>
    runSteps(deps, lease, workflow, some, { ...using, label, isUnderWay, ...(answered ? { answered } : {}) });
  if (effect.kind !== 'uncertain') {
    const outcome = await run(effect.label, steps);
    const hasLostItsWay = outcome.kind === 'asks' && outcome.step === steps[0]?.order && outcome.step !== answered;
    return isKept && hasLostItsWay ? signedOut(outcome.words) : outcome;
  }
  const { intent } = effect;
  if (isUnderWay) return run(intent.label, steps);
  // A crash left an intent open: its label is looked for before anything else, signed in.
  const signedIn = isKept ? undefined : await run(intent.label, way.signIn);
  if (signedIn && signedIn.kind !== 'completed') return signedIn;
  const looking = stepRun(deps, lease, workflow, undefined, { ...using, label: intent.label });
  const found = await lookFor(deps, lease, workflow, effect, looking, using.signals);
  if (found === 'unsure' && isKept) return signedOut(`The list that would show “${intent.label}” did not open.`);
  if (found !== 'absent') return orphaned(deps, lease, effect, found);
  await settle(deps, lease, intent, 'absent');
  const next = await deps.database.withCustomer(lease.operation.customerId, (tx) => effectState(tx, lease.operation));
  if (next.kind !== 'fresh') return { kind: 'failed', code: 'internal', words: 'Something went wrong on our side.' };
  if (await isKeyAnother(deps, lease.operation)) return keyChanged;
  return run(next.label, way.rest);
}

/** What was kept of an earlier browser is no sign-in any more. */
function signedOut(words: string): Outcome {
  return { kind: 'failed', code: 'signed_out', words };
}

/** Steps after the effect need no page, nor does a key that a person entered; a step that asks for a page all the same finds none. */
const noSession: BrowserSession = new Proxy({} as BrowserSession, {
  get() {
    throw new CountersignError('workflow_invalid', 'A step that has no page asks for one.');
  },
});
