import { setTimeout as wait } from 'node:timers/promises';
import type { Directory } from '../core/directory.ts';
import type { CustomerId } from '../core/ids.ts';
import { type Inbox, isWords } from '../core/inbox.ts';
import type { ChatEvent, ChatListener } from '../core/ports/chat.ts';
import { type AnsweringDeps, createAnswering } from './answering.ts';

/** How often what a process that is gone left unanswered is looked for. */
const LOOK_MS = 30_000;
/**
 * So many events of one customer are answered at once by this process: what people write beyond that waits on record. What
 * they press has places that words can't take, and a stop waits for none.
 */
const WORDS_AT_ONCE = 8;
const AT_ONCE = 24;
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

export interface ReceptionDeps extends AnsweringDeps {
  readonly inbox: Inbox;
  readonly directory: Pick<Directory, 'customerOfWorkspace' | 'customers'>;
}

export function createReception(deps: ReceptionDeps): Reception {
  const { inbox, directory, log, converse } = deps;
  const pending = new Set<Promise<void>>();
  /** By thread: what was said there last, as long as it is being answered. */
  const turns = new Map<string, Promise<void>>();
  const later = new Set<NodeJS.Timeout>();
  /** By customer: the events that are being answered here. */
  const atWork = new Map<CustomerId, Set<string>>();
  /** Customers of whom more is on record, whether somebody looks for it now, and whether there is reason to look again. */
  const waiting = new Map<CustomerId, { isLooking: boolean; again: boolean }>();
  const stopping = new AbortController();
  const answering = createAnswering(deps, stopping.signal);
  let timer: NodeJS.Timeout | undefined;

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

  /** Words of one thread one after the other, since an edit is about what was said before; a click waits for nothing. */
  function begin(customerId: CustomerId, event: ChatEvent): void {
    const { platform, workspaceId, ref } = event.thread;
    const thread = [platform, workspaceId, ref].join(' ');
    const before = (isWords(event) ? turns.get(thread) : undefined) ?? Promise.resolve();
    take(customerId, event);
    const work = before
      .then(() => answering.answer(customerId, event))
      .then((laterMs) => {
        if (laterMs !== undefined) putOff(customerId, event, laterMs);
      })
      .catch((err: unknown) => log.error({ err }, 'an event could not be settled: it is answered once more'))
      .finally(() => {
        pending.delete(work);
        if (turns.get(thread) === work) turns.delete(thread);
        release(customerId, event);
      });
    pending.add(work);
    if (isWords(event)) turns.set(thread, work);
  }

  const placesOf = (customerId: CustomerId) => atWork.get(customerId)?.size ?? 0;
  function take(customerId: CustomerId, { id }: ChatEvent): void {
    atWork.set(customerId, (atWork.get(customerId) ?? new Set()).add(id));
  }
  function release(customerId: CustomerId, { id }: ChatEvent): void {
    const taken = atWork.get(customerId);
    taken?.delete(id);
    if (taken?.size === 0) atWork.delete(customerId);
    if (waiting.has(customerId)) void lookFor(customerId);
  }

  /** Whether it may be answered at once: nothing that was written waits before it, and there is a place. */
  function hasPlace(customerId: CustomerId, event: ChatEvent): boolean {
    if (event.kind === 'stop') return true;
    if (!isWords(event)) return placesOf(customerId) < AT_ONCE;
    return !waiting.has(customerId) && placesOf(customerId) < WORDS_AT_ONCE;
  }

  /** As many of the events that wait on record as there are places for, oldest first. */
  async function lookFor(customerId: CustomerId): Promise<void> {
    const state = waiting.get(customerId) ?? { isLooking: false, again: false };
    waiting.set(customerId, state);
    state.again = true;
    if (state.isLooking) return;
    state.isLooking = true;
    try {
      while (state.again && !stopping.signal.aborted) {
        state.again = false;
        const places = WORDS_AT_ONCE - placesOf(customerId);
        if (places <= 0) return; // whoever gives one up looks again
        const found = await inbox.overdue(customerId, places);
        if (stopping.signal.aborted) return; // the next start, or another process, answers it
        // What is still being answered here after its time is found as well: that has given it new time.
        const taken = atWork.get(customerId);
        for (const event of found.filter(({ id }) => !taken?.has(id))) begin(customerId, event);
        if (found.length === places) state.again = true;
        else if (!state.again) waiting.delete(customerId);
      }
    } catch (err) {
      waiting.delete(customerId); // what is said next does not wait for that
      log.warn({ customerId, err }, 'overdue events of a customer could not be looked for'); // the others' can
    } finally {
      state.isLooking = false;
    }
  }

  async function look(): Promise<void> {
    for (const customerId of await directory.customers()) await lookFor(customerId);
  }

  async function keep(customerId: CustomerId, event: ChatEvent): Promise<void> {
    if (atWork.get(customerId)?.has(event.id)) return;
    if (!hasPlace(customerId, event)) {
      const kept = await inbox.keep(customerId, event, { isLater: true });
      if (kept === 'full') await answering.refuse(customerId, event);
      if (kept === 'kept') void lookFor(customerId);
      return;
    }
    take(customerId, event); // before others see the place that is free
    let isBegun = false;
    try {
      const kept = await inbox.keep(customerId, event);
      isBegun = kept === 'kept';
      if (isBegun) begin(customerId, event);
      else if (kept === 'full') await answering.refuse(customerId, event);
    } finally {
      if (!isBegun) release(customerId, event);
    }
  }

  return {
    async listen(event) {
      if (event.kind === 'form' || event.kind === 'home') return converse(event);
      const customerId = await directory.customerOfWorkspace(event.thread.platform, event.thread.workspaceId);
      if (!customerId) return converse(event);
      await keep(customerId, event);
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
