import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { EventRef } from '../ports/chat.ts';

/**
 * Takes an incoming event for the transaction that has its effect: true for the first, false for every later delivery.
 * Whoever asks while another delivery is under way waits for that one's commit or rollback. Without an event it is true.
 */
export async function takeEvent(
  tx: Transaction,
  customerId: CustomerId,
  event: EventRef | undefined,
): Promise<boolean> {
  if (!event) return true;
  const { platform, id: eventId } = event;
  const { count } = await tx.chatEvent.createMany({ data: [{ customerId, platform, eventId }], skipDuplicates: true });
  return count === 1;
}

/** Whether an earlier delivery of the event has had its effect. */
export async function hadEffect(
  tx: Transaction,
  customerId: CustomerId,
  { platform, id: eventId }: EventRef,
): Promise<boolean> {
  return (await tx.chatEvent.count({ where: { customerId, platform, eventId } })) > 0;
}

/** When the event had its effect, and later ones whose ids go on from its id with `/`: the times of the transactions that had them. */
export async function effectsOf(
  tx: Transaction,
  customerId: CustomerId,
  { platform, id: eventId }: EventRef,
): Promise<readonly Date[]> {
  const where = { customerId, platform, OR: [{ eventId }, { eventId: { startsWith: `${eventId}/` } }] };
  return (await tx.chatEvent.findMany({ where, select: { createdAt: true } })).map(({ createdAt }) => createdAt);
}
