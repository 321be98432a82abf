import { z } from 'zod';
import type { Database } from './database.ts';
import type { CustomerId } from './ids.ts';
import type { ChatEvent } from './ports/chat.ts';
import type { Sealer } from './vault/sealer.ts';

/** Events of platforms that forget them once they are acknowledged, from then until they were answered. Sealed: people write passwords. */
export interface Inbox {
  /** Keeps the event for whoever keeps it first, which is to answer it. @returns false when it was kept before. */
  keep(customerId: CustomerId, event: ChatEvent): Promise<boolean>;
  /** It was answered, or never will be: its words go. */
  settle(customerId: CustomerId, event: ChatEvent): Promise<void>;
  /** What nobody answered in its time, oldest first, now to be answered by the caller. Within an hour: then people have asked again. */
  overdue(customerId: CustomerId): Promise<readonly ChatEvent[]>;
}

/** How long the process that took an event has to answer it. */
const LEASE_SECONDS = 90;
const KEEP_SECONDS = 3_600;

const rows = z.array(
  z.object({ event_id: z.string(), platform: z.string(), sealed: z.instanceof(Uint8Array), is_late: z.boolean() }),
);

/** Beside the ids of `takeEvent`, which are taken by an event's effect. */
const idOf = ({ id }: ChatEvent): string => `inbox/${id}`;

export function createInbox(deps: { database: Database; sealer: Sealer }): Inbox {
  const { database, sealer } = deps;
  return {
    keep: (customerId, event) =>
      database.withCustomer(customerId, async (tx) => {
        const { platform } = event.thread;
        const bytes = Buffer.from(JSON.stringify(event));
        const { record } = await sealer.seal(tx, customerId, placeOf(platform, idOf(event)), bytes);
        const kept = await tx.$executeRaw`
          INSERT INTO chat_events (customer_id, platform, event_id, sealed, due_at)
          VALUES (${customerId}::uuid, ${platform}, ${idOf(event)}, ${record}, app.now() + make_interval(secs => ${LEASE_SECONDS}))
          ON CONFLICT DO NOTHING`;
        return kept === 1;
      }),
    settle: (customerId, event) =>
      database.withCustomer(customerId, async (tx) => {
        await tx.chatEvent.updateMany({
          where: { customerId, platform: event.thread.platform, eventId: idOf(event) },
          data: { sealed: null, dueAt: null },
        });
      }),
    overdue: (customerId) =>
      database.withCustomer(customerId, async (tx) => {
        const found = rows.parse(
          await tx.$queryRaw`
            UPDATE chat_events e SET due_at = app.now() + make_interval(secs => ${LEASE_SECONDS})
            WHERE e.customer_id = ${customerId}::uuid AND (e.platform, e.event_id) IN (
              SELECT platform, event_id FROM chat_events
              WHERE customer_id = ${customerId}::uuid AND sealed IS NOT NULL AND due_at < app.now()
              ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)
            RETURNING e.event_id, e.platform, e.sealed, e.created_at < app.now() - make_interval(secs => ${KEEP_SECONDS}) AS is_late`,
        );
        const events: ChatEvent[] = [];
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
  };
}

function placeOf(platform: string, eventId: string): readonly string[] {
  return ['chat-event', platform, eventId];
}
