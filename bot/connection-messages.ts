import type { Audit } from '../core/audit/audit.ts';
import type { Transaction } from '../core/database.ts';
import { inOrder, type Operation } from '../core/operations/operation.ts';
import { connectionCard } from './cards/connection-card.ts';
import type { Wanted } from './showing.ts';

/** So many of the newest changes of a key are kept as the trail says them; older messages stay as they are. */
const LATEST = 5;

/**
 * What was told of the health of the operation's key, a message each. Of several that a thread has not shown yet, as after a time
 * in which its platform was away, the newest alone: the others only change what is there.
 */
export async function connectionMessages(
  tx: Transaction,
  { audit }: { readonly audit: Pick<Audit, 'read'> },
  operation: Operation,
): Promise<readonly Wanted[]> {
  const { customerId, id: operationId } = operation;
  const rows = await tx.auditEntry.findMany({
    where: { customerId, operationId, kind: { startsWith: 'connection.' } },
    orderBy: { seq: 'desc' },
    take: LATEST,
  });
  const newest = rows[0]?.seq;
  return inOrder(rows.toReversed(), async (row) => {
    const isNewest = row.seq === newest;
    const card = connectionCard({ operation, entry: await audit.read(tx, customerId, row), isNewest });
    return { slot: `connection:${operationId}:${row.seq}`, card, ...(isNewest ? {} : { isChangeOnly: true }) };
  });
}
