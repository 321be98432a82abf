import { type Proof, runStep, type StepResult } from '../agent/engine.ts';
import { questionFor } from '../agent/failures.ts';
import type { Secret } from '../secret.ts';
import type { VerifyResult } from '../services/service.ts';
import { fillText, withDerivedValues } from '../workflow/placeholders.ts';
import { needsPage, type Step } from '../workflow/steps/index.ts';
import type { Workflow } from '../workflow/workflow.ts';
import type { Ending } from './ending.ts';
import { type Asked, keepSession, sessionToKeep } from './hand-over.ts';
import type { Lease } from './lease.ts';
import { signInSteps } from './resume.ts';
import { recordBegin, recordEnd, type StepRecordDeps } from './step-record.ts';
import { type StepRunDeps, type StepRunWith, stepRun } from './step-run.ts';

/** How steps ended. */
export type Outcome =
  | Extract<Ending, { kind: 'completed' }>
  | (Extract<Ending, { kind: 'failed' }> & {
      /** Something may have been changed that no intent tells of, so nothing is gone through again. */
      readonly mayHaveChanged?: boolean;
    })
  | ({ readonly kind: 'asks' } & Asked);

export interface StepsDeps extends StepRunDeps, StepRecordDeps {}

/** What all steps of one attempt share. */
export interface RunWith extends StepRunWith {
  /** The step that a person was asked about and has answered. */
  readonly answered?: number;
}

/** Runs steps one after the other, each on record, until one fails. @throws Stopped */
export async function runSteps(
  deps: StepsDeps,
  lease: Lease,
  workflow: Workflow,
  steps: readonly Step[],
  using: RunWith,
): Promise<Outcome> {
  const { session, secrets, answered, signals } = using;
  const lastOfSignIn = signInSteps(workflow).at(-1)?.order;
  let verified: VerifyResult | undefined;
  let ended: Proof | undefined;
  let recording = Promise.resolve();
  const alsoRecord = (writing: Promise<void>) => {
    recording = bothOf(recording, writing);
    recording.catch(() => {}); // told where it is waited for
  };
  try {
    for (const step of steps) {
      signals.throwIfOver();
      const surroundings = stepRun(deps, lease, workflow, step, using);
      const run = step.order === answered ? { ...surroundings, wasAnswered: true } : surroundings;
      // Written while the step looks at the page: whether it may act is the guard's to say, not this record's.
      alsoRecord(recordBegin(deps, lease, step));
      if (step.isMutating) await recording; // an effect comes after what led to it is on record
      const result = await runStep(step, run);
      await recording;
      // Drawn, sealed and written while the next step begins.
      alsoRecord(
        recordEnd(deps, lease, workflow, step, fillText(step.intent, withDerivedValues(run.values)), result, secrets),
      );
      // A pause that was asked for during the effect waits for its record, and nothing else comes before it.
      if (result.kind === 'failed' || step.isMutating) await recording;
      if (result.kind === 'failed') {
        if (needsPage(step)) logIncidents(deps, lease, step, using);
        return failureOf(step, result, using.label);
      }
      // Read before anything else is done in it, since a page that is left answers nothing.
      if (step.order === lastOfSignIn) recording = recordSession(deps, lease, await sessionToKeep(session), recording);
      verified = result.verified ?? verified;
      ended = result.ended ?? ended;
    }
    await recording;
  } finally {
    await recording.catch(() => {}); // whatever ended the steps, nothing is still being written behind it
  }
  return {
    kind: 'completed',
    ...(verified ? { verified } : {}),
    ...(ended ? { ended } : {}),
  };
}

/** Ends when both have, whatever came of them. @throws what the first, or else the second, failed with. */
async function bothOf(first: Promise<void>, second: Promise<void>): Promise<void> {
  const [one, other] = await Promise.allSettled([first, second]);
  if (one.status === 'rejected') throw one.reason;
  if (other.status === 'rejected') throw other.reason;
}

/** What its pages did until then that was refused, or closed unseen, may be why. */
function logIncidents({ log }: StepsDeps, { operation }: Lease, step: Step, { session, secrets }: RunWith): void {
  const incidents = secrets.hideIn([...session.incidents()]);
  if (incidents.length === 0) return;
  log.info({ operationId: operation.id, step: step.order, incidents }, 'what the pages of a failed step did beside it');
}

function failureOf(step: Step, result: Extract<StepResult, { kind: 'failed' }>, label: string): Outcome {
  const question = questionFor(step, result);
  if (question) return { kind: 'asks', step: step.order, question, words: result.words };
  const mayHaveChanged = step.isMutating && step.kind !== 'extract' && result.hasActed;
  // No intent tells of it, and so no card will.
  const words = mayHaveChanged ? `${result.words} If it made anything, that is named “${label}”.` : result.words;
  return { kind: 'failed', code: result.failure, words, mayHaveChanged };
}

/** The session of a browser that has just signed in; `undefined`: there is none to keep. */
function recordSession(
  deps: StepsDeps,
  lease: Lease,
  storage: Secret | undefined,
  recorded: Promise<void>,
): Promise<void> {
  if (!storage) return recorded;
  const { operation } = lease;
  const keeping = recorded.then(() =>
    deps.database.withCustomer(operation.customerId, async (tx) => {
      await lease.hold(tx);
      await keepSession(tx, deps, operation, storage);
    }),
  );
  keeping.catch(() => {}); // told where it is waited for
  return keeping;
}
