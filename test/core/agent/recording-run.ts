import type { AgentMode, StepRun } from '../../../core/agent/engine.ts';
import type { BrowserSession } from '../../../core/ports/browser.ts';
import { Secret } from '../../../core/secret.ts';
import type { VerifyResult } from '../../../core/services/service.ts';
import type { Discarded, KnownElement, Proposal } from '../../../core/workflow/known.ts';
import type { Obstacle } from '../../../core/workflow/workflow.ts';

/** A step's surroundings in memory; everything that was asked of it stands in `calls`, in order. */
export interface RecordingRun {
  readonly run: StepRun;
  readonly calls: string[];
  readonly kept: Record<string, Secret>;
}

export interface RecordingRunOptions {
  readonly session: BrowserSession;
  readonly base: string;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, string>>;
  readonly obstacles?: readonly Obstacle[];
  /** What a person entered, good once. */
  readonly code?: string;
  readonly signal?: AbortSignal;
  readonly mode?: AgentMode;
  readonly known?: readonly KnownElement[];
  readonly proposals?: readonly Proposal[];
  readonly discarded?: readonly Discarded[];
  guard?(calls: readonly string[]): void;
  intend?(): Promise<void>;
  verify?(kept: Readonly<Record<string, Secret>>): Promise<VerifyResult>;
}

export function recordingRun(options: RecordingRunOptions): RecordingRun {
  const calls: string[] = [];
  const kept: Record<string, Secret> = {};
  const opened = Object.entries(options.secrets ?? {}).map(([slot, text]) => [slot, new Secret(text)] as const);
  const secrets = new Map(opened);
  const learned: Secret[] = [];
  const codes = options.code === undefined ? [] : [new Secret(options.code)];
  const run: StepRun = {
    session: watched(options.session, calls),
    values: {
      base: options.base,
      label: 'Countersign op-7k3f9q2m',
      scope: 'read',
      scopeWords: 'Read',
      ...options.values,
    },
    obstacles: options.obstacles ?? [],
    mode: options.mode ?? 'ladder',
    known: options.known ?? [],
    proposals: options.proposals ?? [],
    discarded: async () => options.discarded ?? [],
    signal: options.signal ?? new AbortController().signal,
    now: () => new Date('2026-11-23T10:04:09Z'),
    async secret(slot) {
      calls.push(`secret ${slot}`);
      const secret = secrets.get(slot);
      if (secret === undefined) throw new Error(`no secret ${slot}`);
      return secret;
    },
    code: async () => codes.pop(),
    async guard() {
      calls.push('guard');
      options.guard?.(calls);
    },
    requireSight() {},
    async intend() {
      calls.push('intend');
      await options.intend?.();
    },
    async keep(found) {
      calls.push('keep');
      Object.assign(kept, found);
    },
    async verify() {
      calls.push('verify');
      return options.verify?.(kept) ?? { kind: 'fails', reason: 'nothing to ask', isRetryable: false };
    },
    learn: (secret) => void learned.push(secret),
    knownSecrets: () => [...secrets.values(), ...learned],
  };
  return { run, calls, kept };
}

/** The real session; what changes something and what takes a picture is written down. */
function watched(session: BrowserSession, calls: string[]): BrowserSession {
  return {
    ...session,
    navigate: (url, timeoutMs) => {
      calls.push('navigate');
      return session.navigate(url, timeoutMs);
    },
    act: (element, action, timeoutMs) => {
      calls.push(action.kind);
      return session.act(element, action, timeoutMs);
    },
    shoot: (options) => {
      calls.push(
        `picture ${options.caption?.number} ${options.caption?.detail}${options.isRevealing ? ' revealing' : ''}`,
      );
      return session.shoot(options);
    },
  };
}
