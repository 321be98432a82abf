import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { QuietHours } from './clock.ts';

/** Where a person is told: where it belongs to a thread, there; by a message to them alone; or by the customer's webhooks. */
export const PLACES = ['thread', 'direct', 'webhook'] as const;
export type NoticePlace = (typeof PLACES)[number];

export interface NoticeChoice {
  readonly place: NoticePlace;
  /** IANA name. */
  readonly timeZone: string;
  readonly quiet: QuietHours | undefined;
}

/** Of whoever has chosen nothing. */
export const USUAL_CHOICE: NoticeChoice = { place: 'thread', timeZone: 'UTC', quiet: undefined };

/** `undefined`: this person has chosen nothing yet. */
export async function choiceOf(
  tx: Transaction,
  customerId: CustomerId,
  memberId: string,
): Promise<NoticeChoice | undefined> {
  const row = await tx.noticeChoice.findUnique({ where: { customerId_memberId: { customerId, memberId } } });
  if (!row) return undefined;
  const { place, quietFrom: from, quietTo: to, timeZone } = row;
  return {
    place: place as NoticePlace, // CHECK notice_choices_place_check
    timeZone,
    quiet: from === null || to === null ? undefined : { from, to, timeZone },
  };
}

/** From now on. What waits for the end of the hours that were quiet until now is looked at again at once. */
export async function choose(
  tx: Transaction,
  customerId: CustomerId,
  memberId: string,
  { place, timeZone, quiet }: NoticeChoice,
): Promise<void> {
  const chosen = { place, timeZone, quietFrom: quiet?.from ?? null, quietTo: quiet?.to ?? null };
  await tx.noticeChoice.upsert({
    where: { customerId_memberId: { customerId, memberId } },
    create: { customerId, memberId, ...chosen },
    update: chosen,
  });
  await tx.notice.updateMany({
    where: { customerId, memberId, sentAt: null, batch: null, heldAt: { not: null } },
    data: { dueAt: await databaseNow(tx) },
  });
}

/** Whether the customer has a webhook that a consent's notices can go to: one of operations. */
export async function hasWebhook(tx: Transaction, customerId: CustomerId): Promise<boolean> {
  return (await tx.webhook.count({ where: { customerId, removedAt: null, kinds: { has: 'operation' } } })) > 0;
}
