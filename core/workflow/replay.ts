import { runStep, type StepResult } from '../agent/engine.ts';
import { CountersignError } from '../errors.ts';
import type { BrowserSession } from '../ports/browser.ts';
import { redact } from '../redaction.ts';
import type { Secret } from '../secret.ts';
import type { VerifyResult } from '../services/service.ts';
import { knownElements } from './known.ts';
import { fillText, withDerivedValues } from './placeholders.ts';
import type { Step } from './steps/index.ts';
import type { Workflow } from './workflow.ts';

export interface ReplayInput {
  readonly session: BrowserSession;
  /** `base`, `label` and the workflow's inputs. */
  readonly values: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, Secret>>;
  readonly signal: AbortSignal;
  /** Proves what was made; without it a step that verifies is skipped. */
  verify?(kept: Readonly<Record<string, Secret>>): Promise<VerifyResult>;
}

export interface ReplayedStep {
  readonly order: number;
  readonly intent: string;
  readonly kind: Step['kind'];
  /** How its element was found; null for a step that did not run. */
  readonly rung: string | null;
  readonly outcome: 'done' | 'failed' | 'skipped' | 'not_run';
  readonly durationMs: number;
  readonly failure?: string;
  /** What happened and what was not done. */
  readonly words?: string;
}

/** What a replay has to tell; of results the name alone, and the last four signs of long ones. */
export interface ReplayReport {
  readonly workflow: string;
  readonly version: number;
  readonly base: string;
  readonly success: boolean;
  readonly durationMs: number;
  readonly steps: readonly ReplayedStep[];
  readonly results: Readonly<Record<string, { readonly captured: true; readonly lastFour?: string }>>;
}

/** Of a shorter result, four signs would tell too much. */
const SHORTEST_TOLD = 8;

/** Runs a workflow on a site without any operation: nothing is countersigned, stored or put on record. */
export async function replayWorkflow(workflow: Workflow, input: ReplayInput): Promise<ReplayReport> {
  const kept: Record<string, Secret> = {};
  const learned: Secret[] = Object.values(input.secrets);
  const values = withDerivedValues(input.values);
  const run = {
    // Nobody would see the pictures.
    session: { ...input.session, picture: async () => ({ kind: 'withheld', reason: 'nobody asked for it' }) as const },
    values: input.values,
    obstacles: workflow.errorRecovery,
    known: knownElements(workflow),
    signal: input.signal,
    async secret(slot: string) {
      const secret = input.secrets[slot];
      if (secret === undefined) throw new CountersignError('workflow_invalid', `No value for the secret ${slot}`);
      return secret;
    },
    guard: async () => {},
    requireSight() {},
    intend: async () => {},
    async keep(found: Readonly<Record<string, Secret>>) {
      Object.assign(kept, found);
    },
    verify: async (): Promise<VerifyResult> =>
      (await input.verify?.(kept)) ?? { kind: 'fails', reason: 'Nothing can prove it', isRetryable: false },
    learn: (secret: Secret) => void learned.push(secret),
    knownSecrets: () => learned,
  };
  const startedAt = performance.now();
  const steps: ReplayedStep[] = [];
  for (const step of workflow.steps) {
    const told = { order: step.order, intent: redact(fillText(step.intent, values), learned), kind: step.kind };
    const isOver = steps.some(({ outcome }) => outcome === 'failed');
    if (isOver || (step.kind === 'verify' && input.verify === undefined))
      steps.push({ ...told, rung: null, outcome: isOver ? 'not_run' : 'skipped', durationMs: 0 });
    else steps.push({ ...told, ...outcomeOf(await runStep(step, run), learned) });
  }
  return {
    workflow: workflow.id,
    version: workflow.version,
    base: input.values.base ?? '',
    success: steps.every(({ outcome }) => outcome === 'done' || outcome === 'skipped'),
    durationMs: Math.round(performance.now() - startedAt),
    steps,
    results: Object.fromEntries(Object.entries(kept).map(([name, secret]) => [name, toldOf(secret)])),
  };
}

function outcomeOf(result: StepResult, secrets: readonly Secret[]): Omit<ReplayedStep, 'order' | 'intent' | 'kind'> {
  const { durationMs } = result;
  if (result.kind === 'done') return { rung: result.rung, outcome: 'done', durationMs };
  return { rung: null, outcome: 'failed', durationMs, failure: result.failure, words: redact(result.words, secrets) };
}

function toldOf(secret: Secret): { captured: true; lastFour?: string } {
  const value = secret.reveal();
  return value.length >= SHORTEST_TOLD ? { captured: true, lastFour: value.slice(-4) } : { captured: true };
}
