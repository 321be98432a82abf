import type { Chat, ThreadRef } from '../core/ports/chat.ts';

/** A place that nobody used in this time is given up: held-back ones used all at once would be more than the platform takes. */
const KEPT_MS = 2_000;
/** So many are held at most before those that were given up are forgotten. */
const MANY = 1_000;

type What = Parameters<NonNullable<Chat['place']>>[1];

/**
 * Places in a platform's line that this process has booked, by what they are for. Whoever finds that it isn't their turn yet
 * goes away and comes back with what is newest then: nothing old is sent late, and nobody keeps others waiting meanwhile.
 */
export interface Places {
  /** @returns 0 when it may be sent now, `hasPlace`; else the milliseconds until it may, and that place is kept. */
  wait(chat: Chat, thread: ThreadRef, slot: string, what: What): Promise<number>;
}

export function createPlaces(): Places {
  const booked = new Map<string, number>();
  return {
    async wait(chat, thread, slot, what) {
      if (!chat.place) return 0;
      const now = performance.now();
      const name = [thread.platform, thread.workspaceId, thread.ref, slot, what].join(' ');
      if (booked.size > MANY) for (const [other, at] of booked) if (now > at + KEPT_MS) booked.delete(other);
      const known = booked.get(name);
      const isKept = known !== undefined && now <= known + KEPT_MS;
      const at = isKept ? known : now + (await chat.place(thread, what));
      const left = at - performance.now();
      if (left <= 0) booked.delete(name);
      else booked.set(name, at);
      return Math.max(0, Math.ceil(left));
    },
  };
}
