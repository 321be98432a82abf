import type { Transaction } from '../database.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import { isEnd, type OperationState } from '../operations/states.ts';

/** An operation stands still until somebody does something. */
const WAITS: readonly OperationState[] = ['awaiting_credentials', 'waiting_for_human'];

/** Whoever asked and wants to be told directly hears of the end, and of what waits for them, once each. */
export async function tellMove(
  tx: Transaction,
  customerId: CustomerId,
  {
    operationId,
    to,
    fence,
  }: { readonly operationId: OperationId; readonly to: OperationState; readonly fence: bigint },
): Promise<void> {
  const kind = isEnd(to) ? 'result' : WAITS.includes(to) ? 'waiting' : undefined;
  if (kind === undefined) return;
  const key = kind === 'result' ? `result:${operationId}` : `waiting:${operationId}:${fence}`;
  await tx.$executeRaw`
    INSERT INTO notices (customer_id, id, member_id, kind, about, key)
    SELECT o.customer_id, ${newUuid()}::uuid, o.user_id, ${kind}, o.id, ${key}
    FROM autonomous_operations o JOIN notice_choices c ON c.customer_id = o.customer_id AND c.member_id = o.user_id
    WHERE o.customer_id = ${customerId}::uuid AND o.id = ${operationId} AND c.place = 'direct'
    ON CONFLICT DO NOTHING`;
}
