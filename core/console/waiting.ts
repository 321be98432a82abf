import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';

/** A question for a countersignature: of which operation, and the hash of what is asked about. */
export interface Waiting {
  readonly operationId: string;
  readonly planHash: string;
}

/** What approvers are waited for: plans, what has waited longest first, and after them repairs to come, likewise. */
export async function listWaiting(
  tx: Transaction,
  customerId: CustomerId,
  { from, most }: { readonly from: number; readonly most: number },
): Promise<{ readonly plans: readonly Waiting[]; readonly repairs: readonly Waiting[]; readonly count: number }> {
  const where = { customerId, status: 'awaiting_consent' };
  const planCount = await tx.operation.count({ where });
  const repairCount = await tx.consentRequest.count({ where: openRepairs(customerId) });
  const order = { select: { id: true, planHash: true }, orderBy: { createdAt: 'asc' } } as const;
  const rows = await tx.operation.findMany({ where, ...order, skip: from, take: most });
  const plans = rows.map(({ id, planHash }) => ({ operationId: id, planHash }));
  const repairs = await listRepairQuestions(tx, customerId, {
    from: Math.max(0, from - planCount),
    most: most - plans.length,
  });
  return { plans, repairs, count: planCount + repairCount };
}

/** Open questions for repairs to come, the oldest first. */
function listRepairQuestions(
  tx: Transaction,
  customerId: CustomerId,
  { from = 0, most }: { readonly from?: number; readonly most: number },
): Promise<readonly Waiting[]> {
  return tx.consentRequest.findMany({
    where: openRepairs(customerId),
    select: { operationId: true, planHash: true },
    orderBy: { askedAt: 'asc' },
    ...{ skip: from, take: most },
  });
}

function openRepairs(customerId: CustomerId) {
  return { customerId, terms: { not: null }, decision: null };
}
