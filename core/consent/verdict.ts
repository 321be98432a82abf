import type { Consent } from '../../prisma/generated/client.ts';
import { sha256Hex } from '../canonical.ts';
import type { Customers } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { countedApprovals } from './events.ts';
import { type ConsentRecord, toRecord } from './records.ts';

export type ConsentVerdict =
  | { readonly hasConsent: true; readonly consentRecord: ConsentRecord }
  | { readonly hasConsent: false; readonly reason: string };

/** Longer than transactions that overlap: a clock that is this far behind what is on record has gone back. */
const CLOCK_TOLERANCE_MS = 60_000;

/** What is to be carried out, as it stands in its row. */
export interface PlannedRow {
  readonly plan: string;
  readonly planHash: string;
  readonly updatedAt: Date;
}

/** The text itself is what is carried out, so its own hash counts beside the one in the row. */
export function isPlanOf({ plan, planHash }: PlannedRow, hash = planHash): boolean {
  return hash === planHash && hash === sha256Hex(plan);
}

/** Whether the operation may act by this countersignature of its very plan. */
export function verdictOn(
  operation: PlannedRow,
  grant: Consent | null,
  now: Date,
  permission?: string,
): ConsentVerdict {
  if (!grant) return refusal('No consent granted for this operation');
  if (!isPlanOf(operation, grant.planHash)) return refusal('The plan is not the one that was countersigned');
  return liveness(grant, operation.updatedAt, now, permission);
}

/** Whether a grant lives at this moment and holds the permission. `lastSeen`: a moment that has been. */
export function liveness(grant: Consent, lastSeen: Date, now: Date, permission?: string): ConsentVerdict {
  const consentRecord = toRecord(grant, now);
  if (grant.revokedAt) return refusal('Consent was revoked');
  // Otherwise a clock that is set back would bring an expired consent back to life.
  if (Math.max(grant.grantedAt.getTime(), lastSeen.getTime()) - now.getTime() > CLOCK_TOLERANCE_MS)
    return refusal('The clock of the database went back');
  if (!consentRecord.isActive) return refusal('Consent has expired');
  if (permission !== undefined && !consentRecord.permissions.includes(permission))
    return refusal(`Permission ${permission} was not granted`);
  return { hasConsent: true, consentRecord };
}

export function refusal(reason: string): ConsentVerdict {
  return { hasConsent: false, reason };
}

/** Whether those who countersigned still may, and are still enough. */
export async function stillApproved(
  tx: Transaction,
  customers: Customers,
  grant: Consent,
  verdict: ConsentVerdict,
): Promise<ConsentVerdict> {
  const customerId = grant.customerId as CustomerId; // a row of this customer's own transaction
  const approvals = await countedApprovals(tx, customerId, grant.requestId);
  const { approvalsRequired } = await customers.rules(tx, customerId);
  return approvals.length >= approvalsRequired ? verdict : refusal('Whoever countersigned may no longer approve');
}
