import { setTimeout as wait } from 'node:timers/promises';
import type { Directory } from '../core/directory.ts';
import { CountersignError } from '../core/errors.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Inbox } from '../core/inbox.ts';
import type { Chat, ChatEvent, ChatListener, ChatReply, Platform } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import { note } from './cards/text.ts';

/** How long after a failure the same event is tried again. */
const RETRY_AFTER_MS = [300, 2_000, 10_000];
/** How often what a process that is gone left unanswered is looked for. */
const LOOK_MS = 30_000;

/**
 * Between a platform that waits no second for an answer and the conversation: an event is on record before it is acknowledged,
 * and is answered after that, once, by this process or, when it dies, by another one.
 */
export interface Reception {
  /** Settles when the event is kept. A form's answer is waited for, since its window is still open. */
  readonly listen: ChatListener;
  start(): void;
  /** Waits for what is being answered, for at most `timeoutMs`; the rest is answered after the next start. */
  stop(timeoutMs: number): Promise<void>;
}

export interface ReceptionDeps {
  readonly inbox: Inbox;
  readonly directory: Pick<Directory, 'customerOfWorkspace' | 'customers'>;
  readonly log: Log;
  readonly converse: ChatListener;
  chat(platform: Platform): Chat;
}

export function createReception(deps: ReceptionDeps): Reception {
  const { inbox, directory, log, converse } = deps;
  const pending = new Set<Promise<void>>();
  /** By thread: what was said there last, as long as it is being answered. */
  const turns = new Map<string, Promise<void>>();
  const later = new Set<NodeJS.Timeout>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  async function attempt(event: ChatEvent): Promise<ChatReply> {
    for (let tries = 0; ; tries++) {
      try {
        return await converse(event);
      } catch (error) {
        const delayMs = RETRY_AFTER_MS[tries];
        log.error({ kind: event.kind, tries: tries + 1, err: error }, 'an event could not be answered');
        const isHopeless = error instanceof CountersignError && !error.isRetryable;
        if (delayMs === undefined || isHopeless) throw error;
        await wait(delayMs, undefined, { signal: stopping.signal, ref: false });
      }
    }
  }

  async function run(customerId: CustomerId, event: ChatEvent): Promise<void> {
    try {
      const reply = await attempt(event);
      if (reply && 'laterMs' in reply) return putOff(customerId, event, reply.laterMs);
    } catch (error) {
      if (stopping.signal.aborted) return; // it stays, for the next start
      if (isAway(error)) return; // it stays as well: it is tried again when its lease is over, for an hour
      await tell(event, error);
    }
    await inbox.settle(customerId, event);
  }

  /** It stays on record meanwhile, so that another process takes it up when this one is gone. Others of its thread go first. */
  function putOff(customerId: CustomerId, event: ChatEvent, ms: number): void {
    const next = event.kind === 'message' ? { ...event, attempt: (event.attempt ?? 0) + 1 } : event;
    const timer = setTimeout(() => {
      later.delete(timer);
      begin(customerId, next);
    }, ms);
    timer.unref();
    later.add(timer);
  }

  /** Whoever spoke is never left without a word; when not even that arrives, the log has it. */
  async function tell(event: ChatEvent, error: unknown): Promise<void> {
    if (event.kind === 'home' || (event.kind === 'message' && event.isOverheard)) return;
    const chat = deps.chat(event.thread.platform);
    // Such as a form that Slack gave no time to open: said where the button was.
    if (event.kind === 'action' && error instanceof CountersignError && error.code === 'chat_unavailable') {
      const isTold = await chat.ephemeral(event.thread, event.from, note(error.message, 'warning')).then(
        () => true,
        () => false,
      );
      if (isTold) return;
    }
    const isChat = error instanceof CountersignError && error.code === 'chat_unavailable' && !error.isRetryable;
    const words = isChat
      ? `I could not answer you where you wrote to me. ${error.message}`
      : 'I could not take what you just sent me. Please look at its thread, then send it again.';
    await chat
      .directMessage(event.from, note(words, 'warning'))
      .catch((err: unknown) => log.error({ err }, 'somebody could not be told that they were not answered'));
  }

  /** Words of one thread one after the other, since an edit is about what was said before; a click waits for nothing. */
  function begin(customerId: CustomerId, event: ChatEvent): void {
    const { platform, workspaceId, ref } = event.thread;
    const thread = [platform, workspaceId, ref].join(' ');
    const isWords = event.kind === 'message' || event.kind === 'edit';
    const before = (isWords ? turns.get(thread) : undefined) ?? Promise.resolve();
    const work = before
      .then(() => run(customerId, event))
      .catch((err: unknown) => log.error({ err }, 'an event could not be settled: it is answered once more'))
      .finally(() => {
        pending.delete(work);
        if (turns.get(thread) === work) turns.delete(thread);
      });
    pending.add(work);
    if (isWords) turns.set(thread, work);
  }

  async function look(): Promise<void> {
    for (const customerId of await directory.customers())
      try {
        for (const event of await inbox.overdue(customerId)) begin(customerId, event);
      } catch (err) {
        log.warn({ customerId, err }, 'overdue events of a customer could not be looked for'); // the others' can
      }
  }

  return {
    async listen(event) {
      if (event.kind === 'form' || event.kind === 'home') return converse(event);
      const customerId = await directory.customerOfWorkspace(event.thread.platform, event.thread.workspaceId);
      if (!customerId) return converse(event);
      if (await inbox.keep(customerId, event)) begin(customerId, event);
      return undefined;
    },
    start() {
      const again = () => look().catch((err: unknown) => log.warn({ err }, 'overdue events could not be looked for'));
      void again();
      timer = setInterval(again, LOOK_MS);
      timer.unref();
    },
    async stop(timeoutMs) {
      clearInterval(timer);
      for (const each of later) clearTimeout(each);
      stopping.abort();
      await Promise.race([Promise.allSettled([...pending]), wait(timeoutMs, undefined, { ref: false })]);
    },
  };
}

/** The platform itself does not answer, or wants silence: that passes, and nobody could be told anything now either. */
function isAway(error: unknown): boolean {
  return error instanceof CountersignError && error.code === 'chat_unavailable' && error.isRetryable;
}
