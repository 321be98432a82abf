import type { BrowserSession, Description, Shot } from '../ports/browser.ts';
import type { ConversationEnd, ModelHands, PageModel } from '../ports/model.ts';
import type { Secret } from '../secret.ts';
import type { RevokeResult, VerifyResult } from '../services/service.ts';
import { type Discarded, fillKnown, type KnownElement, type Proposal } from '../workflow/known.ts';
import type { Values } from '../workflow/placeholders.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Obstacle } from '../workflow/workflow.ts';
import type { Failed } from './failures.ts';

/** `replay`: the recorded locators alone; `ladder`: every rung there is; `vision`: the model at every step. */
export type AgentMode = 'ladder' | 'replay' | 'vision';

/** What one step may use of its operation. Errors that these calls throw are not the step's: they reach the caller. */
export interface StepRun {
  readonly session: BrowserSession;
  /** `{ base, label, scope, … }`: what the workflow's placeholders stand for. */
  readonly values: Readonly<Record<string, string>>;
  /** The workflow's `errorRecovery`. */
  readonly obstacles: readonly Obstacle[];
  /** How steps are decided; the ladder when absent. */
  readonly mode?: AgentMode;
  /** The workflow's elements with fingerprints: what they are looked for by when their locators don't find them. */
  readonly known?: readonly KnownElement[];
  /** What those elements had become in this target's earlier runs: tried after everything that was recorded. */
  readonly proposals?: readonly Proposal[];
  /** What an admin has discarded of them, for this step, as of now; nothing is, when absent. */
  discarded?(): Promise<readonly Discarded[]>;
  /** Aborting it ends the step at once: `runStep` then rejects with its reason. */
  readonly signal: AbortSignal;
  /** The clock of captions and durations; the system's when absent. */
  now?(): Date;
  /** Opens one sign-in secret for this one fill; on record. */
  secret(slot: string): Promise<Secret>;
  /** Fence, consent, plan hash, permission. Called immediately before every action; throws when it may not happen. */
  guard(): Promise<void>;
  /** Throws when what the guard saw is too old to act upon, as after a freeze of this process. Asks nobody. */
  requireSight(): void;
  /** The one-time code that a person has just entered, once; `undefined` when there is none. */
  code?(): Promise<Secret | undefined>;
  /** A person was asked about this step and has answered, with a code or with "go on": it may be done already. */
  readonly wasAnswered?: boolean;
  /** Commits the intent of the one effect, with its unique label, before the click that causes it. */
  intend(): Promise<void>;
  /**
   * Set where the one effect was clicked before, in this very browser, and its page waits for a code that a person has given
   * since: nothing is clicked again. Dates the intent anew, since from now on it may come true.
   */
  resumeEffect?(): Promise<void>;
  /** Vault, end of the intent and step record in one transaction, before anything else is done with the result. */
  keep(found: Readonly<Record<string, Secret>>): Promise<void>;
  /** What a person entered as the result, in its format; `undefined`: it is not there, or in another one. `known`: it is stored already. */
  entered?(): Promise<Readonly<Record<string, Secret>> | 'known' | undefined>;
  /** Proves that the kept credential works; or this one, before it is kept. */
  verify(credential?: Readonly<Record<string, Secret>>): Promise<VerifyResult>;
  /** The stored key that the operation is about; absent where it makes the first one. */
  readonly earlier?: EarlierKey;
  /** Told of every part of a result that a page shows, before anything else is done with it. */
  learn(secret: Secret, field: string): void;
  /** Every secret that was opened or learned: it may show on the pages, and pictures hide it. */
  knownSecrets(): readonly Secret[];
  /** The model that may be asked where an element is; absent where plan, customer or configuration have none. */
  readonly model?: StepModel;
}

/** A key that was stored before: the one that is rotated, revoked or tried. Each is harmless when it is done again. */
export interface EarlierKey {
  /** Tries it by the service's own reading call; `undefined`: it is not in the vault any more. */
  verify(): Promise<VerifyResult | undefined>;
  /** Ends it at the vendor by its API; `undefined` as above. */
  revoke(): Promise<RevokeResult | undefined>;
  /** Puts the new key in its place in the vault, and it in the new one's. @returns why that can't be, as a sentence. */
  replace(): Promise<string | undefined>;
}

export interface StepModel {
  converse: PageModel['converse'];
  /** Takes the most that a request may cost out of the operation's budget. @throws CountersignError `model_budget_spent` */
  reserve: ModelHands['reserve'];
}

/** How a step found its element; `none` where it had none to find. */
export type Rung = 'replayed' | 'relocated' | 'model' | 'human' | 'none';

/** How sure it was that a relocated element is the recorded one; `proposal`: that an earlier run had found it so. */
export type Relocated =
  | { readonly by: 'fingerprint'; readonly score: number; readonly margin: number }
  | { readonly by: 'proposal'; readonly proposal: string };

/** What a relocated element is now: kept beside what was recorded once the step went well. */
export interface Heal extends Description {
  /** The result's field; absent for the step's own element. */
  readonly field?: string;
  readonly score: number;
  readonly margin: number;
}

/** That the earlier key has ended. */
export interface Proof {
  /** What the vendor answered to it, such as `401`; `undefined`: it was in no vault any more, so it could not be tried. */
  readonly refusedWith: string | undefined;
}

/** How a step kind ended. */
export type Ending =
  | {
      readonly kind: 'done';
      readonly rung: Rung;
      readonly picture?: Shot;
      readonly note?: string;
      readonly verified?: VerifyResult;
      readonly ended?: Proof;
      readonly conversation?: ConversationEnd;
      readonly relocated?: Relocated;
      readonly heals?: readonly Heal[];
    }
  | (Failed & { readonly conversation?: ConversationEnd });

/** One step while it runs: its deadline, what was done so far, and waits that feel the abort. */
export interface Stage {
  readonly run: StepRun;
  /** With every placeholder filled. */
  readonly step: Step;
  /** The run's known elements, their placeholders filled; none when nothing may be relocated. */
  readonly known: readonly KnownElement[];
  /** Those for this step. */
  readonly proposals: readonly Proposal[];
  /** The sentence that merchants read. */
  readonly sentence: string;
  /** Obstacles that may still be cleared: each at most once a step. */
  obstacles: readonly Obstacle[];
  readonly cleared: string[];
  /** Something of this step was sent to the page. */
  hasActed: boolean;
  /** What an admin has discarded of what this step needs, by now. */
  discarded(): Promise<readonly Discarded[]>;
  now(): Date;
  /** Milliseconds until the step's deadline, never below 0. */
  leftMs(): number;
  restartDeadline(): void;
  /** Starts work unless aborted, and stops waiting for it at the abort. @throws the signal's reason. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Waits, unless aborted. */
  pause(ms: number): Promise<void>;
}

/** Opens the stage of a step whose placeholders, and those of its obstacles, are filled. */
export function createStage(step: Step, obstacles: readonly Obstacle[], run: StepRun, values: Values): Stage {
  let deadline = performance.now() + step.timeoutMs;
  const during = <T>(work: () => Promise<T>): Promise<T> => untilAborted(run.signal, work);
  return {
    run,
    step,
    known: run.mode === 'replay' ? [] : fillKnown(run.known ?? [], values),
    proposals: run.mode === 'replay' ? [] : (run.proposals ?? []).filter((one) => one.step === step.order),
    sentence: step.intent,
    obstacles,
    cleared: [],
    hasActed: false,
    discarded: () => during(async () => (await run.discarded?.()) ?? []),
    now: () => run.now?.() ?? new Date(),
    leftMs: () => Math.max(0, deadline - performance.now()),
    restartDeadline: () => {
      deadline = performance.now() + step.timeoutMs;
    },
    during,
    pause: (ms) => pause(run.signal, ms),
  };
}

/** Starts work unless aborted, and stops waiting for it at the abort. @throws the signal's reason. */
export async function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Waits, unless aborted. */
export async function pause(signal: AbortSignal, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await untilAborted(signal, () => promise);
  } finally {
    clearTimeout(timer);
  }
}
