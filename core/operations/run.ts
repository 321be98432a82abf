import { type ModelLimits, stepBudget } from '../agent/budget.ts';
import {
  type AgentMode,
  type ProbeResult,
  pause,
  probe,
  runStep,
  type StepResult,
  type StepRun,
} from '../agent/engine.ts';
import type { Failure } from '../agent/failures.ts';
import { signInPlace } from '../consent/consent.ts';
import { databaseNow } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { OperationId } from '../ids.ts';
import type { BrowserSession } from '../ports/browser.ts';
import type { Http } from '../ports/http.ts';
import type { Log } from '../ports/log.ts';
import type { PageModel } from '../ports/model.ts';
import type { Screenshots } from '../ports/screenshots.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Secret } from '../secret.ts';
import type { VerifyResult } from '../services/service.ts';
import {
  asSecrets,
  type CredentialType,
  type OpenedFields,
  type SecretFields,
  type StoredCredential,
} from '../vault/vault.ts';
import { knownElements, type Proposal } from '../workflow/known.ts';
import { fillText } from '../workflow/placeholders.ts';
import { proposalsFor } from '../workflow/proposals.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import { absentFrom, type EffectState, effectState, keepResult, settleIntent, writeIntent } from './effect.ts';
import { type Ending, endOperation } from './ending.ts';
import { type Asked, type HandOverDeps, handOver, type Seat, signInSteps, takeOnce, takeSeat } from './hand-over.ts';
import { type Lease, type LeaseDeps, takeLease } from './lease.ts';
import { fitsPlan, planText } from './plan.ts';
import { codePlace, type QuestionKind } from './questions.ts';
import { createRunSecrets, type RunSecrets } from './run-secrets.ts';
import { recordBegin, recordEnd } from './step-record.ts';
import { Stopped } from './stopped.ts';

/** What carries out countersigned operations. */
export interface Runner {
  /** One job: from taking the operation to a state that says the truth. Rejects only for an outage that a later try may survive. */
  run(job: OperationJob, signal: AbortSignal): Promise<void>;
}

export interface RunnerDeps extends LeaseDeps, HandOverDeps {
  readonly workflows: WorkflowRegistry;
  /** How steps are decided; the ladder when absent. */
  readonly agentMode?: AgentMode;
  readonly http: Http;
  readonly screenshots: Screenshots;
  /** Asked where an element is when no record tells; absent: a person is. */
  readonly pages?: {
    readonly model: PageModel;
    readonly limits: ModelLimits;
  };
  readonly log: Log;
  /** Hides a secret from every log line, from its opening until everything about the run was logged. */
  readonly secrets: { add(secret: Secret): void; remove(secret: Secret): void };
}

type Outcome =
  | Exclude<Ending, { kind: 'stopped' }>
  | ({ readonly kind: 'asks' } & Asked)
  /** What was kept of an earlier browser is no sign-in any more, and is gone: the operation begins with its first step. */
  | { readonly kind: 'signed_out' };

/** What one attempt works with. */
interface AttemptDeps extends RunnerDeps {
  /** What the workflow's elements had become on this target before. */
  readonly proposals: readonly Proposal[];
}

const RESTARTS = 2; // after a crash of the browser or the network; what may be repeated is the effect's to say
const RESTARTABLE: readonly string[] = ['browser_crashed', 'network'] satisfies readonly Failure[];

export function createRunner(deps: RunnerDeps): Runner {
  return {
    async run(job, signal) {
      const secrets = createRunSecrets(deps.secrets);
      try {
        for (let restarts = 0; ; restarts++) {
          const isOver = await runOnce(deps, job, signal, secrets, restarts < RESTARTS);
          if (isOver) return;
        }
      } finally {
        secrets.release();
      }
    },
  };
}

/** @returns false when the operation is to be begun again with a fresh browser. */
async function runOnce(
  deps: RunnerDeps,
  job: OperationJob,
  signal: AbortSignal,
  secrets: RunSecrets,
  mayRestart: boolean,
): Promise<boolean> {
  let lease: Lease | undefined;
  const ids = { operationId: job.operationId };
  try {
    lease = await takeLease(deps, job, signal);
    if (!lease) return true;
    secrets.showed(planText(lease.operation.plan));
    const outcome = await attempt(deps, lease, secrets);
    if (outcome.kind === 'waiting') return true;
    if (outcome.kind === 'signed_out') return false;
    if (outcome.kind === 'failed') {
      deps.log.warn({ ...ids, code: outcome.code }, 'an operation could not go on');
      if (mayRestart && RESTARTABLE.includes(outcome.code)) return false;
    }
    await endOperation(deps, lease, outcome, secrets);
    return true;
  } catch (error) {
    return await afterError(deps, job, signal, { lease, secrets }, error);
  } finally {
    lease?.release();
  }
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
    if (error.why === 'consent')
      await endOperation(deps, { ...job, fence: lease?.fence }, { kind: 'stopped', words: error.message }, secrets);
    return true;
  }
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
  const effect = await deps.database.withCustomer(operation.customerId, (tx) => effectState(tx, operation));
  if (effect.kind === 'done') {
    const rest = workflow.steps.slice(effectIndex(workflow) + 1);
    const after = { ...deps, proposals: [] };
    return failedIfAsking(await runSteps(after, lease, workflow, rest, { session: noSession, label: '', secrets }));
  }
  const seat = await takeSeat(deps, lease, workflow, effect, secrets);
  const { session } = seat;
  let isParked = false;
  try {
    const outcome = await withBrowser(
      { ...deps, proposals: await proposalsOf(deps, lease, workflow) },
      lease,
      workflow,
      effect,
      seat,
      secrets,
    );
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

async function withBrowser(
  deps: AttemptDeps,
  lease: Lease,
  workflow: Workflow,
  effect: Exclude<EffectState, { kind: 'done' }>,
  seat: Seat,
  secrets: RunSecrets,
): Promise<Outcome> {
  const { session } = seat;
  const steps = workflow.steps;
  const at = (label: string) => ({ session, label, secrets });
  if (effect.kind === 'fresh') return runFrom(deps, lease, workflow, seat, at(effect.label));
  // A crash left an intent open: sign in, and look for the label before anything else.
  const before = signInSteps(workflow);
  const signedIn = await runSteps(deps, lease, workflow, before, at(effect.intent.label));
  if (signedIn.kind !== 'completed') return signedIn;
  const run = stepRun(deps, lease, workflow, undefined, session, effect.intent.label, secrets);
  const found = await lookFor(deps, lease, workflow, effect, run);
  if (found !== 'absent') return orphaned(deps, lease, effect, found);
  await deps.database.withCustomer(lease.operation.customerId, async (tx) => {
    await lease.hold(tx);
    await settleIntent(tx, deps.audit, effect.intent, lease.operation, 'absent');
  });
  const next = await deps.database.withCustomer(lease.operation.customerId, (tx) => effectState(tx, lease.operation));
  if (next.kind !== 'fresh') return { kind: 'failed', code: 'internal', words: 'Something went wrong on our side.' };
  return runSteps(deps, lease, workflow, steps.slice(before.length), at(next.label));
}

/** From the seat's step on. */
async function runFrom(
  deps: AttemptDeps,
  lease: Lease,
  workflow: Workflow,
  { from, isKept, answered }: Seat,
  run: RunWith,
): Promise<Outcome> {
  const steps = workflow.steps.slice(from - 1);
  const outcome = await runSteps(deps, lease, workflow, steps, { ...run, ...(answered ? { answered } : {}) });
  const isSignedOut =
    outcome.kind === 'asks'
      ? outcome.step === from && from !== answered
      : outcome.kind === 'failed' && outcome.code === 'signed_out';
  return isKept && isSignedOut ? { kind: 'signed_out' } : outcome;
}

const WAIT_MS = 1_000; // between two looks at the database's clock

/**
 * Looks for the label of an intent that was left open. One sighting settles it at once; its absence counts only when it
 * was read after whoever wrote the intent can no longer act on it: that worker may be alive, and only cut off from here.
 */
async function lookFor(
  deps: RunnerDeps,
  lease: Lease,
  workflow: Workflow,
  { intent }: Extract<EffectState, { kind: 'uncertain' }>,
  run: StepRun,
): Promise<ProbeResult> {
  const { customerId, id: operationId } = lease.operation;
  const timeoutMs = workflow.steps[effectIndex(workflow)]?.timeoutMs ?? 0;
  const settledAt = absentFrom(intent, timeoutMs);
  const leftMs = async () =>
    settledAt.getTime() - (await deps.database.withCustomer(customerId, databaseNow)).getTime();
  for (;;) {
    const isSettled = (await leftMs()) <= 0;
    const found = await probe(workflow, run);
    if (found !== 'absent' || isSettled) return found;
    deps.log.info({ operationId, until: settledAt }, 'an interrupted effect is waited for before it counts as absent');
    for (let left = await leftMs(); left > 0; left = await leftMs()) await pause(run.signal, Math.min(left, WAIT_MS));
  }
}

/** The key was made and its secret is lost, or nobody can tell: never a second click on a guess. */
async function orphaned(
  deps: RunnerDeps,
  lease: Lease,
  effect: Extract<EffectState, { kind: 'uncertain' }>,
  found: 'found' | 'unsure',
): Promise<Outcome> {
  await deps.database.withCustomer(lease.operation.customerId, async (tx) => {
    await lease.hold(tx);
    await settleIntent(tx, deps.audit, effect.intent, lease.operation, 'uncertain');
  });
  const { label } = effect.intent;
  const words =
    found === 'found'
      ? `The work was interrupted just after a key named “${label}” was made, before it could be stored, and nobody can read it again. No second key was made. Revoke “${label}” in the shop's list of keys, then ask again.`
      : `The work was interrupted while a key named “${label}” was being made, and the shop's list of keys could not be read for sure. No second key was made. Look for “${label}” in the list, revoke it if it is there, then ask again.`;
  return { kind: 'failed', code: 'effect_unsure', words };
}

async function runSteps(
  deps: AttemptDeps,
  lease: Lease,
  workflow: Workflow,
  steps: readonly Step[],
  { session, label, secrets, answered }: RunWith,
): Promise<Outcome> {
  let verified: VerifyResult | undefined;
  let recording = Promise.resolve();
  const alsoRecord = (writing: Promise<void>) => {
    recording = bothOf(recording, writing);
    recording.catch(() => {}); // told where it is waited for
  };
  try {
    for (const step of steps) {
      const surroundings = stepRun(deps, lease, workflow, step, session, label, secrets);
      const run = step.order === answered ? { ...surroundings, wasAnswered: true } : surroundings;
      // Written while the step looks at the page: whether it may act is the guard's to say, not this record's.
      alsoRecord(recordBegin(deps, lease, step));
      if (step.isMutating) await recording; // an effect comes after what led to it is on record
      const result = await runStep(step, run);
      await recording;
      // Drawn, sealed and written while the next step begins.
      alsoRecord(recordEnd(deps, lease, workflow, step, fillText(step.intent, run.values), result, secrets));
      if (result.kind === 'failed') {
        await recording;
        const question = questionFor(step, result);
        if (question) return { kind: 'asks', step: step.order, question, words: result.words };
        return { kind: 'failed', code: result.failure, words: result.words };
      }
      verified = result.verified ?? verified;
    }
    await recording;
  } finally {
    await recording.catch(() => {}); // whatever ended the steps, nothing is still being written behind it
  }
  return {
    kind: 'completed',
    verified: verified ?? { kind: 'fails', reason: 'The key was not checked', isRetryable: false },
  };
}

/** Ends when both have, whatever came of them. @throws what the first, or else the second, failed with. */
async function bothOf(first: Promise<void>, second: Promise<void>): Promise<void> {
  const [one, other] = await Promise.allSettled([first, second]);
  if (one.status === 'rejected') throw one.reason;
  if (other.status === 'rejected') throw other.reason;
}

interface RunWith {
  readonly session: BrowserSession;
  readonly label: string;
  readonly secrets: RunSecrets;
  /** The step that a person was asked about and has answered. */
  readonly answered?: number;
}

/**
 * What a person could put right. Not what the first step finds: that site is another one than was meant, or broken, and
 * nothing was begun that is worth a wait. And never after an effect was sent, which is not to be tried again on anybody's word. */
const HELPABLE: readonly Failure[] = [
  ...(['element_missing', 'element_ambiguous', 'identity_mismatch'] as const),
  ...(['wrong_page', 'postcondition_failed', 'timeout'] as const),
];

function questionFor(step: Step, result: Extract<StepResult, { kind: 'failed' }>): QuestionKind | undefined {
  if (result.failure === 'code_wanted') return 'code';
  if (step.order === 1 || result.isSettled || (step.isMutating && result.hasActed)) return undefined;
  return HELPABLE.includes(result.failure) ? 'help' : undefined;
}

/** What the engine may use for one step, and nothing else. */
function stepRun(
  deps: AttemptDeps,
  lease: Lease,
  workflow: Workflow,
  step: Step | undefined,
  session: BrowserSession,
  label: string,
  secrets: RunSecrets,
): StepRun {
  const { operation } = lease;
  const { customerId } = operation;
  const permission = step?.permission ?? 'sign_in';
  const reader = { customerId, forOperation: operation.id, fence: lease.fence };
  return {
    session,
    mode: deps.agentMode ?? 'ladder',
    known: knownElements(workflow),
    proposals: deps.proposals,
    obstacles: workflow.errorRecovery,
    values: { ...operation.plan.values, base: operation.plan.base, label: label || operation.plan.label },
    signal: lease.signal,
    ...(deps.pages && step && operation.plan.asksModel
      ? {
          model: {
            converse: deps.pages.model.converse,
            reserve: stepBudget(deps.database, deps.pages.limits, {
              customerId,
              operationId: operation.id,
              step: step.order,
            }),
          },
        }
      : {}),
    guard: () => lease.guard(permission),
    requireSight: () => lease.requireSight(),
    async code() {
      const code = await takeOnce(deps, lease, codePlace(operation), 'code');
      if (code) secrets.learn(code, 'secret');
      return code;
    },
    learn: (secret) => secrets.learn(secret, 'secret'),
    knownSecrets: () => secrets.all(),
    async secret(slot) {
      // Slots are named after the service's sign-in fields, which are credential types.
      const place = signInPlace(operation, slot as CredentialType);
      const fields = await deps.vault.open({ ...place, ...reader, why: `step ${step?.order ?? 0}` }, asSecrets);
      if (!fields?.value)
        throw new CountersignError('vault_key_missing', `The sign-in secret ${slot} is not in the vault.`);
      const isSecret = operation.service.signIn.find(({ name }) => name === slot)?.isSecret ?? true;
      secrets.learn(fields.value, isSecret ? 'secret' : 'public');
      return fields.value;
    },
    intend: () =>
      deps.database.withCustomer(customerId, async (tx) => {
        await lease.holdToAct(tx, permission);
        await writeIntent(tx, deps.audit, operation, step?.order ?? 0, label, lease.fence);
      }),
    async keep(found) {
      for (const secret of Object.values(found)) secrets.learn(secret, 'secret');
      await deps.database.withCustomer(customerId, async (tx) => {
        await lease.holdToKeep(tx);
        await keepResult(tx, deps, operation, { step: step?.order ?? 0, fence: lease.fence, label, fields: found });
      });
    },
    async verify() {
      const { service, type, plan } = operation;
      const place = { service: service.id, target: plan.base, type: type.credentialType };
      const stored = await deps.vault.find(customerId, place.service, place.type, place);
      const owner = stored?.metadata.operationId ?? operation.id;
      const credential =
        owner === operation.id
          ? await deps.vault.open({ ...place, ...reader, why: 'verify' }, ownedBy(operation.id))
          : owner;
      if (typeof credential === 'string') {
        const reason = `The key of ${credential} took the new one's place in the vault before this one was checked. The shop still knows both: revoke “${label || plan.label}” there if nothing uses it.`;
        return { kind: 'fails', reason, isRetryable: false };
      }
      if (!credential) return { kind: 'fails', reason: 'The new key is not in the vault', isRetryable: false };
      for (const secret of Object.values(credential)) secrets.learn(secret, 'secret');
      const { base, origin, permissions } = plan;
      return type.verify({ base, origin, credential, permissions, http: deps.http });
    },
  };
}

/** The fields of this operation's own key, or whose it is that took its place since it was looked for. */
function ownedBy(id: OperationId) {
  return (fields: OpenedFields, { metadata }: StoredCredential): SecretFields | string =>
    metadata.operationId === undefined || metadata.operationId === id ? asSecrets(fields) : metadata.operationId;
}

function effectIndex(workflow: Workflow): number {
  return workflow.steps.findIndex((step) => step.kind === 'extract');
}

/** Steps after the effect need no page; one that asks for a page all the same finds none. */
const noSession: BrowserSession = new Proxy({} as BrowserSession, {
  get() {
    throw new CountersignError('workflow_invalid', 'A step after the effect asks for a page.');
  },
});
