import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';

const SLOT = 'consent:';
const BETWEEN = '+';

/** What a message shows that has its place in the thread and was never posted. */
export const RESERVED = 'reserved';

/** The place in its thread of the card that asks about one operation, or about several together. */
export function consentSlot(ids: readonly string[]): string {
  return `${SLOT}${ids.join(BETWEEN)}`;
}

/** Operations that one card asks about together. */
export interface Together {
  /** In the order in which they were asked for. */
  readonly ids: readonly string[];
  /** Each has a card of its own since somebody wanted that. */
  readonly isSplit: boolean;
}

/** Keeps a place for the card about these operations; whoever shows the thread fills it. */
export async function keepPlace(
  tx: Transaction,
  customerId: CustomerId,
  threadId: string,
  ids: readonly string[],
): Promise<void> {
  await tx.threadMessage.createMany({
    data: [{ customerId, threadId, slot: consentSlot(ids), ref: '', shown: RESERVED }],
    skipDuplicates: true,
  });
}

/** From now on each of them has a card of its own. */
export async function split(
  tx: Transaction,
  customerId: CustomerId,
  threadId: string,
  { ids }: Pick<Together, 'ids'>,
): Promise<void> {
  for (const id of ids) await keepPlace(tx, customerId, threadId, [id]);
}

/** Of each card of the thread that asks about several operations, or did: which. */
export async function askedTogether(
  tx: Transaction,
  customerId: CustomerId,
  threadId: string,
): Promise<readonly Together[]> {
  const rows = await tx.threadMessage.findMany({
    where: { customerId, threadId, slot: { startsWith: SLOT } },
    select: { slot: true },
  });
  const slots = new Set(rows.map(({ slot }) => slot));
  return [...slots]
    .map((slot) => slot.slice(SLOT.length).split(BETWEEN))
    .filter((ids) => ids.length > 1)
    .map((ids) => ({ ids, isSplit: ids.some((id) => slots.has(consentSlot([id]))) }));
}
