import type { OperationState } from '../operations/states.ts';
import type { Platform } from './chat.ts';
import type { ConversationEnd } from './model.ts';

/**
 * What the program counts and times, for whoever watches over many processes at once: of no customer, person or operation in
 * particular. Nothing here can fail or be waited for.
 */
export interface Metrics {
  operationEnded(ended: OperationEnded): void;
  /** `rung`: how the element was found; absent where the step failed. */
  stepFinished(step: { readonly rung?: string; readonly isDone: boolean; readonly durationMs: number }): void;
  modelConversed(end: ConversationEnd): void;
  /** `throttled`: the platform, or our own place in line before it, asked to come back later. */
  chatCalled(platform: Platform, outcome: 'ok' | 'failed' | 'throttled'): void;
  /** From the question to the opened secret. */
  secretOpened(durationMs: number): void;
  auditAppended(durationMs: number): void;
}

/** The same of the live stream's connections. */
export interface StreamMetrics {
  streamClients(change: 1 | -1): void;
  streamSent(events: number): void;
  /** `why`: one of a few words. */
  streamClosed(why: string): void;
}

/** The same of messages to webhooks. */
export interface WebhookMetrics {
  webhookTried(outcome: 'delivered' | 'refused' | 'unreachable' | 'removed'): void;
}

export interface OperationEnded {
  readonly service: string;
  readonly outcome: OperationState;
  /** That workers had it. */
  readonly machineMs: number;
  /** From the request to the end. */
  readonly totalMs: number;
  /** Of these, how long it waited for people: for a countersignature, a sign-in, an answer, or while somebody held it. */
  readonly peopleMs: number;
}

/** Of what is no process that stays, such as the command line. */
export const noMetrics: Metrics = {
  operationEnded() {},
  stepFinished() {},
  modelConversed() {},
  chatCalled() {},
  secretOpened() {},
  auditAppended() {},
};
