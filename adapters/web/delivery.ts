import { setTimeout as wait } from 'node:timers/promises';
import type { ChatEvent, ChatListener, ChatReply } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from './store.ts';

/** How long after a failure the same event is tried again. */
const RETRY_AFTER_MS = [300, 2_000, 10_000];
/** After a restart older events are let go: by then the person has asked again. */
const KEEP_MS = 3_600_000;

/** Brings stored events to the listener: at least once, each with the same id whenever it comes again. */
export interface Delivery {
  listen(listener: ChatListener): void;
  /** Settles when the listener has taken the event. @throws when it failed every time. */
  deliver(event: ChatEvent): Promise<ChatReply>;
  /** Delivers what the last run left undone. */
  resume(): void;
  stop(): void;
}

export interface DeliveryDeps {
  readonly store: Store;
  readonly log: Log;
  readonly now: () => Date;
  /** Tells the person that their words did not arrive. */
  readonly onLost: (event: ChatEvent) => void;
}

export function createDelivery(deps: DeliveryDeps): Delivery {
  const { store, log } = deps;
  const underWay = new Map<string, Promise<ChatReply>>();
  const stopping = new AbortController();
  let listener: ChatListener | undefined;

  async function attempt(event: ChatEvent): Promise<ChatReply> {
    for (let tries = 0; ; tries++) {
      try {
        if (!listener) throw new Error('nobody listens to web chat yet');
        return await listener(event);
      } catch (cause) {
        const delayMs = RETRY_AFTER_MS[tries];
        log.error({ kind: event.kind, tries: tries + 1, err: cause }, 'web chat: an event was not taken');
        if (delayMs === undefined) throw cause;
        await wait(delayMs, undefined, { signal: stopping.signal, ref: false });
      }
    }
  }

  async function run(event: ChatEvent): Promise<ChatReply> {
    try {
      const reply = await attempt(event);
      settle(event);
      return reply;
    } catch (cause) {
      if (!stopping.signal.aborted) {
        settle(event);
        deps.onLost(event);
      }
      throw cause;
    } finally {
      underWay.delete(event.id);
    }
  }

  // A stop between the listener's answer and this line leaves the event unsettled: it comes again, with the same id.
  function settle(event: ChatEvent): void {
    if (!stopping.signal.aborted) store.append({ kind: 'settled', eventId: event.id });
  }

  function deliver(event: ChatEvent): Promise<ChatReply> {
    if (store.event(event.id)?.isSettled) return Promise.resolve(undefined);
    const running = underWay.get(event.id) ?? run(event);
    underWay.set(event.id, running);
    return running;
  }

  function resume(): void {
    for (const { event, at } of store.unsettled()) {
      if (deps.now().getTime() - at.getTime() > KEEP_MS) settle(event);
      else deliver(event).catch(() => undefined); // logged where it failed
    }
  }

  function listen(given: ChatListener): void {
    listener = given;
  }

  return { listen, deliver, resume, stop: () => stopping.abort() };
}
