import { setTimeout as wait } from 'node:timers/promises';
import { CountersignError, isHopeless } from '../core/errors.ts';
import type { CustomerId } from '../core/ids.ts';
import { type Inbox, isOverheard } from '../core/inbox.ts';
import type { Chat, ChatEvent, ChatListener, ChatReply, Platform } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import { note } from './cards/text.ts';

/** How long after a failure the same event is tried again. */
const RETRY_AFTER_MS = [300, 2_000, 10_000];
/** How often a customer's people are told that too much waits. */
const TOLD_MS = 60_000;

/** One event that is on record → the conversation, until it is answered or whoever spoke knows that it was not. */
export interface Answering {
  /** @returns after how many ms it is to be answered anew, where the conversation says so; it stays on record until then. */
  answer(customerId: CustomerId, event: ChatEvent): Promise<number | undefined>;
  /** Nobody is left without a word, and a flood of words is not answered with another one. */
  refuse(customerId: CustomerId, event: ChatEvent): Promise<void>;
}

export interface AnsweringDeps {
  readonly inbox: Pick<Inbox, 'settle'>;
  readonly log: Log;
  readonly converse: ChatListener;
  chat(platform: Platform): Chat;
}

export function createAnswering(deps: AnsweringDeps, stopping: AbortSignal): Answering {
  const { inbox, log, converse } = deps;
  const told = new Map<CustomerId, number>();

  async function attempt(event: ChatEvent): Promise<ChatReply> {
    for (let tries = 0; ; tries++) {
      try {
        return await converse(event);
      } catch (error) {
        const delayMs = RETRY_AFTER_MS[tries];
        log.error({ kind: event.kind, tries: tries + 1, err: error }, 'an event could not be answered');
        const isForGood = error instanceof CountersignError && !error.isRetryable;
        if (delayMs === undefined || isForGood) throw error;
        await wait(delayMs, undefined, { signal: stopping, ref: false });
      }
    }
  }

  /** Whoever spoke is never left without a word; when not even that arrives, the log has it. */
  async function tell(event: ChatEvent, error: unknown): Promise<void> {
    if (event.kind === 'home' || (event.kind === 'message' && event.isOverheard)) return;
    const chat = deps.chat(event.thread.platform);
    // Such as a form that Slack gave no time to open: said where the button was, or the command.
    const hasForm = event.kind === 'action' || event.kind === 'command';
    if (hasForm && error instanceof CountersignError && error.code === 'chat_unavailable') {
      const isTold = await chat.ephemeral(event.thread, event.from, note(error.message, 'warning')).then(
        () => true,
        () => false,
      );
      if (isTold) return;
    }
    const words = isHopeless(error)
      ? `I could not answer you where you wrote to me. ${error.message}`
      : 'I could not take what you just sent me. Please look at its thread, then send it again.';
    await chat
      .directMessage(event.from, note(words, 'warning'))
      .catch((err: unknown) => log.error({ err }, 'somebody could not be told that they were not answered'));
  }

  return {
    async answer(customerId, event) {
      try {
        const reply = await attempt(event);
        if (reply && 'laterMs' in reply) return reply.laterMs;
      } catch (error) {
        if (stopping.aborted) return undefined; // it stays, for the next start
        if (isAway(error)) return undefined; // it stays as well: it is tried again when its lease is over, for an hour
        await tell(event, error);
      }
      await inbox.settle(customerId, event);
      return undefined;
    },

    async refuse(customerId, event) {
      log.warn({ customerId }, 'so many words of a customer wait that more are not taken');
      const now = performance.now();
      if (isOverheard(event) || now < (told.get(customerId) ?? 0)) return;
      told.set(customerId, now + TOLD_MS);
      const words =
        'So much that was written here waits for me that I did not take this. Please write it again in some minutes.';
      await deps
        .chat(event.thread.platform)
        .ephemeral(event.thread, event.from, note(words, 'warning'))
        .catch((err: unknown) => log.error({ err }, 'somebody could not be told that they were not answered'));
    },
  };
}

/** The platform itself does not answer, or wants silence: that passes, and nobody could be told anything now either. */
function isAway(error: unknown): boolean {
  return error instanceof CountersignError && error.code === 'chat_unavailable' && error.isRetryable;
}
