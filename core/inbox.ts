import { z } from 'zod';
import type { Database, Transaction } from './database.ts';
import type { CustomerId } from './ids.ts';
import type { ChatEvent, ThreadRef } from './ports/chat.ts';
import type { Sealer } from './vault/sealer.ts';

/** Events of platforms that forget them once they are acknowledged, from then until they were answered. Sealed: people write passwords. */
export interface Inbox {
  /**
   * Keeps the event for whoever keeps it first, which is to answer it; with `isLater` for whoever asks `overdue` next. What
   * people say to each other outside of our threads is not kept, nor are words where too many wait already.
   */
  keep(customerId: CustomerId, event: ChatEvent, options?: { readonly isLater?: boolean }): Promise<Kept>;
  /** It was answered, or never will be: its words go. */
  settle(customerId: CustomerId, event: ChatEvent): Promise<void>;
  /**
   * What nobody answered in its time, oldest first and at most so many, now to be answered by the caller. Within an hour:
   * then people have asked again.
   */
  overdue(customerId: CustomerId, most?: number): Promise<readonly ChatEvent[]>;
  /** Takes the words that wait and come from, or speak of, a person of that id of the platform. */
  forgetFrom(customerId: CustomerId, userId: string): Promise<void>;
  /** Drops what was answered so long ago that its platform does not repeat it any more. */
  forget(customerId: CustomerId): Promise<void>;
}

/** `known`: it was kept before. `elsewhere`: it is nothing of ours. `full`: so many of their words wait that these are not taken. */
export type Kept = 'kept' | 'known' | 'elsewhere' | 'full';

/** How long the process that took an event has to answer it. */
const LEASE_SECONDS = 90;
const KEEP_SECONDS = 3_600;
/** Words of one customer that wait for their answer; a button or a command is pressed by hand, and is always kept. */
const MOST_WAITING = 500;

const rows = z.array(
  z.object({
    ...{ event_id: z.string(), platform: z.string(), sealed: z.instanceof(Uint8Array), is_late: z.boolean() },
    created_at: z.date(),
  }),
);
const counted = z.tuple([z.object({ count: z.number() })]);

/** Beside the ids of `takeEvent`, which are taken by an event's effect. */
const idOf = ({ id }: ChatEvent): string => `inbox/${id}`;

export function createInbox(deps: { database: Database; sealer: Sealer }): Inbox {
  const { database, sealer } = deps;
  return {
    keep: (customerId, event, { isLater = false } = {}) =>
      database.withCustomer(customerId, async (tx) => {
        if (isOverheard(event) && !(await isOurs(tx, customerId, event.thread))) return 'elsewhere';
        if (isWords(event) && (await waiting(tx, customerId)) >= MOST_WAITING) return 'full';
        const { platform } = event.thread;
        const bytes = Buffer.from(JSON.stringify(event));
        const { record } = await sealer.seal(tx, customerId, placeOf(platform, idOf(event)), bytes);
        const kept = await tx.$executeRaw`
          INSERT INTO chat_events (customer_id, platform, event_id, sealed, due_at)
          VALUES (${customerId}::uuid, ${platform}, ${idOf(event)}, ${record}, app.now() + make_interval(secs => ${isLater ? 0 : LEASE_SECONDS}))
          ON CONFLICT DO NOTHING`;
        return kept === 1 ? 'kept' : 'known';
      }),
    settle: (customerId, event) =>
      database.withCustomer(customerId, async (tx) => {
        await tx.chatEvent.updateMany({
          where: { customerId, platform: event.thread.platform, eventId: idOf(event) },
          data: { sealed: null, dueAt: null },
        });
      }),
    overdue: (customerId, most = 100) =>
      database.withCustomer(customerId, async (tx) => {
        const found = rows.parse(
          await tx.$queryRaw`
            UPDATE chat_events e SET due_at = app.now() + make_interval(secs => ${LEASE_SECONDS})
            WHERE e.customer_id = ${customerId}::uuid AND (e.platform, e.event_id) IN (
              SELECT platform, event_id FROM chat_events
              WHERE customer_id = ${customerId}::uuid AND sealed IS NOT NULL AND due_at <= app.now()
              ORDER BY created_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
            RETURNING e.event_id, e.platform, e.sealed, e.created_at, e.created_at < app.now() - make_interval(secs => ${KEEP_SECONDS}) AS is_late`,
        );
        const events: ChatEvent[] = [];
        found.sort((a, b) => a.created_at.getTime() - b.created_at.getTime()); // an update returns its rows as it finds them
        for (const { event_id, platform, sealed, is_late } of found) {
          if (is_late) {
            await tx.$executeRaw`
              UPDATE chat_events SET sealed = NULL, due_at = NULL
              WHERE customer_id = ${customerId}::uuid AND platform = ${platform} AND event_id = ${event_id}`;
            continue;
          }
          const bytes = await sealer.open(tx, customerId, placeOf(platform, event_id), sealed);
          // Sealed above from a ChatEvent, in this customer's name and for this id.
          events.push(JSON.parse(bytes.toString()) as ChatEvent);
        }
        return events;
      }),
    forgetFrom: (customerId, userId) =>
      database.withCustomer(customerId, async (tx) => {
        const waiting = await tx.chatEvent.findMany({ where: { customerId, sealed: { not: null } } });
        for (const { platform, eventId, sealed } of waiting) {
          const bytes = sealed && (await sealer.open(tx, customerId, placeOf(platform, eventId), sealed));
          if (!bytes?.includes(JSON.stringify(userId).slice(1, -1))) continue;
          await tx.chatEvent.updateMany({
            where: { customerId, platform, eventId },
            data: { sealed: null, dueAt: null },
          });
        }
      }),
    forget: (customerId) =>
      database.withCustomer(customerId, async (tx) => {
        await tx.$executeRaw`SELECT app.forget_answered()`;
      }),
  };
}

/** What somebody wrote, as opposed to what they pressed. */
export function isWords({ kind }: ChatEvent): boolean {
  return kind === 'message' || kind === 'edit';
}

/** Said to nobody or to others, or about that: only where our own thread is it any of our business. */
export function isOverheard(event: ChatEvent): boolean {
  return event.kind === 'edit' || (event.kind === 'message' && event.isOverheard === true);
}

/** Whether the thread is one of ours. */
export async function isOurs(tx: Transaction, customerId: CustomerId, thread: ThreadRef): Promise<boolean> {
  const { platform, workspaceId, ref } = thread;
  return (await tx.thread.count({ where: { customerId, platform, workspaceId, ref } })) > 0;
}

/** How many wait, counted no further than matters. */
async function waiting(tx: Transaction, customerId: CustomerId): Promise<number> {
  const [{ count }] = counted.parse(
    await tx.$queryRaw`
      SELECT count(*)::int AS count FROM (
        SELECT FROM chat_events WHERE customer_id = ${customerId}::uuid AND sealed IS NOT NULL LIMIT ${MOST_WAITING}) w`,
  );
  return count;
}

function placeOf(platform: string, eventId: string): readonly string[] {
  return ['chat-event', platform, eventId];
}
