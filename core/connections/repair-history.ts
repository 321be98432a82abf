import type { Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import type { PlanKey } from '../operations/key.ts';
import { type Plan, type RepairCause, readPlan } from '../operations/plan.ts';
import type { ConnectionPlace } from './place.ts';
import { RECOVERED } from './withdrawal.ts';

const DAY_MS = 86_400_000;
/** A question that nobody answered is put again after so many days, if the key is still the same. */
const ASKED_AGAIN_DAYS = 30;
/** So far back it is looked: further than any key lives that is repaired at all. */
const MOST_REPAIRS = 50;

/** An operation that the program began or asked for at a place. */
export interface PastRepair {
  readonly id: OperationId;
  /** Under a standing grant; else it asked a person. */
  readonly isTry: boolean;
  readonly createdAt: Date;
  readonly completedAt: Date | null;
  /** It was about the key that lies there now, or made it. */
  readonly isAboutKey: boolean;
  /** A try that a person ended. */
  readonly isStopped: boolean;
  /** It ran under that grant, and the platform said of whoever gave it that they may not approve any more. */
  isNotVouchedUnder(consentId: string): boolean;
  /** It put this question to people for the key that lies there now, and they said No, or it is not long ago. */
  isQuestionFor(cause: RepairCause, now: Date): boolean;
}

/** Newest first. */
export async function pastRepairs(
  tx: Transaction,
  { customerId, service, target }: ConnectionPlace,
  key: PlanKey,
): Promise<readonly PastRepair[]> {
  const rows = await tx.operation.findMany({
    where: { customerId, service, target, plan: { contains: '"repair":' } },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    take: MOST_REPAIRS,
  });
  return rows.map((row): PastRepair => {
    const plan = readPlan(row.plan);
    const isAboutKey = isAbout(plan, key) || row.id === key.operationId;
    const isTry = plan.repair?.consent !== undefined;
    return {
      id: row.id as OperationId, // an operation's own id
      ...{ isTry, isAboutKey, createdAt: row.createdAt, completedAt: row.completedAt },
      // What ended with its countersignature was not stopped: somebody took that back, and may be asked.
      isStopped: isTry && row.status === 'cancelled' && !WITHOUT_CONSENT.includes(row.errorCode ?? ''),
      isNotVouchedUnder: (consentId) => plan.repair?.consent === consentId && row.errorCode === 'not_vouched',
      isQuestionFor: (cause, now) =>
        !isTry &&
        row.errorCode !== RECOVERED &&
        isAbout(plan, key) &&
        plan.repair?.cause === cause &&
        (row.status === 'denied' || row.status === 'cancelled' || isRecent(row.createdAt, now)),
    };
  });
}

const WITHOUT_CONSENT: readonly string[] = ['consent', 'not_vouched'];

function isRecent(at: Date, now: Date): boolean {
  return now.getTime() - at.getTime() < ASKED_AGAIN_DAYS * DAY_MS;
}

function isAbout({ key, replaces }: Plan, { operationId, label }: PlanKey): boolean {
  return key ? key.operationId === operationId && key.label === label : replaces === label;
}

/** Tries at the place within a day, whatever became of them: a key that breaks again and again is for a person to look at. */
export function triesOf(past: readonly PastRepair[], now: Date): readonly PastRepair[] {
  return past.filter(({ isTry, createdAt }) => isTry && now.getTime() - createdAt.getTime() < DAY_MS);
}

/**
 * Whether it was given up, or stopped by a person, and nothing has changed since: the same key lies there, nobody has given a
 * standing grant anew, and it did not become healthy. @param grantedAt of the one that covers it
 */
export async function isHeldBack(
  tx: Transaction,
  place: ConnectionPlace,
  past: readonly PastRepair[],
  grantedAt: Date | undefined,
): Promise<boolean> {
  const about = past.filter(({ isAboutKey }) => isAboutKey);
  const isSince = (at: Date) => grantedAt !== undefined && grantedAt > at;
  if (about.some(({ isStopped, completedAt }) => isStopped && completedAt && !isSince(completedAt))) return true;
  if (about.length === 0) return false;
  const givenUp = await givenUpAt(tx, place.customerId, about);
  if (!givenUp || isSince(givenUp)) return false;
  const { customerId, service, target, credentialType } = place;
  const healthy = { customerId, service, target, credentialType, state: 'healthy', since: { gt: givenUp } };
  return (await tx.connectionHealth.count({ where: healthy })) === 0;
}

/** When somebody was last told that one of these was the last try; `undefined`: never. */
export async function givenUpAt(
  tx: Transaction,
  customerId: CustomerId,
  repairs: readonly Pick<PastRepair, 'id'>[],
): Promise<Date | undefined> {
  const row = await tx.auditEntry.findFirst({
    where: { customerId, operationId: { in: repairs.map(({ id }) => id) }, kind: 'repair.given_up' },
    orderBy: { seq: 'desc' },
    select: { at: true },
  });
  return row?.at;
}
