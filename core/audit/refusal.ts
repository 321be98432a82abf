import { z } from 'zod';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import type { Audit } from './audit.ts';

/** What a person asked for without the role that it needs. */
export type Asked =
  | 'answer'
  | 'audit'
  | 'console'
  | 'credentials'
  | 'export'
  | 'pause'
  | 'renew'
  | 'resume'
  | 'retry'
  | 'reveal'
  | 'revoke'
  | 'settings'
  | 'stop'
  | 'stop_all'
  | 'test';

const QUIET_MS = 60_000; // one entry of a kind a minute and person: whoever repeats it can't flood the chain

const refusedHeader = z.object({ actor: z.string(), asked: z.string() });

/** Puts a refusal on record, unless the same person was refused the same thing within the last minute. */
export async function recordRefusal(
  tx: Transaction,
  audit: Audit,
  customerId: CustomerId,
  refusal: { readonly by: MemberId; readonly asked: Asked; readonly about?: OperationId },
): Promise<void> {
  const { by, asked, about } = refusal;
  // Of two at once, the second waits here and then sees the first one's entry.
  await tx.$executeRaw`SELECT 1 FROM members WHERE customer_id = ${customerId}::uuid AND id = ${by}::uuid FOR NO KEY UPDATE`;
  const since = new Date((await databaseNow(tx)).getTime() - QUIET_MS);
  const recent = await tx.auditEntry.findMany({
    where: { customerId, kind: 'access.refused', at: { gt: since } },
    select: { header: true },
  });
  const isKnown = recent.some(({ header }) => {
    const earlier = refusedHeader.parse(JSON.parse(header));
    return earlier.actor === by && earlier.asked === asked;
  });
  if (isKnown) return;
  await audit.append(tx, customerId, {
    kind: 'access.refused',
    actor: by,
    asked,
    success: false,
    ...(about ? { operationId: about } : {}),
  });
}
