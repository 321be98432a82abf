import type { Consent } from '../../prisma/generated/client.ts';
import { toRecord } from '../consent/records.ts';
import { stillApproved } from '../consent/verdict.ts';
import type { Customers } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { Person, Standing } from '../ports/chat.ts';
import { onePerPerson, tell } from './notices.ts';

/**
 * So many days before a consent lapses its owner is asked, each time once: the first leaves two weeks to find somebody who
 * countersigns, as a known expiry of a key is announced; the last comes before a weekend could swallow it. A consent that
 * was given for no longer than that is not announced so: its owner has just seen how long it holds.
 */
const LAPSING_DAYS = [14, 3] as const;

const DAY_MS = 86_400_000;

/** Consents that are good at this moment and were given for longer than a few days: standing ones, as things are. */
export async function lastingConsents(tx: Transaction, customerId: CustomerId): Promise<readonly Consent[]> {
  const now = await databaseNow(tx);
  const rows = await tx.consent.findMany({
    where: { customerId, revokedAt: null, expiresAt: { gt: now } },
    orderBy: [{ expiresAt: 'asc' }, { id: 'asc' }],
  });
  return rows.filter(({ grantedAt, expiresAt }) => expiresAt !== null && daysBetween(grantedAt, expiresAt) > 3);
}

/** Whether a later one holds for the same connection, or operation: then nobody has to do anything about this one. */
export function isRenewed(consent: Consent, all: readonly Consent[]): boolean {
  const { service, target, templateHash } = consent;
  return all.some(
    (other) =>
      other.id !== consent.id &&
      other.service === service &&
      other.target === target &&
      (templateHash === null ? other.operationId === consent.operationId : other.templateHash !== null) &&
      (other.expiresAt?.getTime() ?? 0) > (consent.expiresAt?.getTime() ?? 0),
  );
}

/** Asks the owners of those that are about to lapse. */
export async function tellLapsing(tx: Transaction, customerId: CustomerId): Promise<void> {
  const now = await databaseNow(tx);
  const all = await lastingConsents(tx, customerId);
  for (const consent of all) {
    const { id, userId, grantedAt, expiresAt } = consent;
    if (expiresAt === null || isRenewed(consent, all)) continue;
    const left = daysBetween(now, expiresAt);
    // Of several that are due, as after a pause of the program, the nearest says it all.
    const due = LAPSING_DAYS.filter((days) => left <= days && daysBetween(grantedAt, expiresAt) > days).at(-1);
    if (due !== undefined)
      await tell(tx, customerId, [userId], { kind: 'lapsing', about: id, key: `lapsing:${id}:${due}` });
  }
}

export interface Countersigner {
  readonly consentId: string;
  readonly person: Person;
  readonly isSupported: boolean;
  /** By being in which they could. */
  readonly group: string | undefined;
}

/** Who countersigned what lasts, and whether that word still counts by our own record. */
export async function countersigners(
  tx: Transaction,
  customers: Customers,
  customerId: CustomerId,
): Promise<readonly Countersigner[]> {
  const now = await databaseNow(tx);
  const found: Countersigner[] = [];
  for (const consent of await lastingConsents(tx, customerId)) {
    const granted = { hasConsent: true, consentRecord: toRecord(consent, now) } as const;
    const { hasConsent: isSupported } = await stillApproved(tx, customers, consent, granted);
    const { person } = await customers.memberById(tx, customerId, consent.userId);
    const { requestId, userId: memberId } = consent;
    const where = { customerId, requestId, memberId, kind: 'approved' };
    const { basis } = (await tx.consentEvent.findFirst({ where, select: { basis: true } })) ?? {};
    found.push({ consentId: consent.id, person, isSupported, group: basis?.match(/^group:(.+)$/)?.[1] });
  }
  return found;
}

/** Tells the admins, once, of those whose countersigner may no longer approve, or is gone by the platform's word. */
export async function tellUnsupported(
  tx: Transaction,
  customers: Customers,
  customerId: CustomerId,
  consentIds: readonly string[],
): Promise<void> {
  const admins = onePerPerson(await customers.members(tx, customerId, 'admin')).map(({ id }) => id);
  for (const id of consentIds)
    await tell(tx, customerId, admins, { kind: 'unsupported', about: id, key: `unsupported:${id}` });
}

/**
 * Whether the platform says that somebody is no full member any more, or has left the group that made them an approver; where it
 * says nothing just now, nobody is gone.
 */
export async function isGone(
  { person, group }: Pick<Countersigner, 'person' | 'group'>,
  identify: ((person: Person, group?: string) => Promise<Standing>) | undefined,
): Promise<boolean> {
  const standing = await identify?.(person, group).catch(() => undefined);
  if (standing === undefined) return false;
  return standing.kind !== 'member' || (group !== undefined && !standing.isInGroup);
}

function daysBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / DAY_MS;
}
