import type { Audit } from '../audit/audit.ts';
import type { Member } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { takeEvent } from '../operations/events.ts';

/**
 * That somebody reads a trail is on record: once a session and trail, since a page that is looked at again tells nobody more.
 * @param operationId absent: of everything
 */
export async function recordReading(
  tx: Transaction,
  audit: Audit,
  customerId: CustomerId,
  reader: { readonly member: Member; readonly sessionId: string },
  operationId?: OperationId,
): Promise<void> {
  const { member, sessionId } = reader;
  const event = { platform: member.person.platform, id: `console/read/${sessionId}/${operationId ?? 'all'}` };
  if (!(await takeEvent(tx, customerId, event))) return;
  await audit.append(tx, customerId, {
    kind: 'trail.read',
    actor: member.id,
    ...(operationId ? { operationId } : {}),
    payload: { how: 'console' },
  });
}
