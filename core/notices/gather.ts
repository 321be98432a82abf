import type { Customers } from '../customers/customers.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import type { CustomerId } from '../ids.ts';
import type { Person, Standing } from '../ports/chat.ts';
import type { Log } from '../ports/log.ts';
import { createTurns } from '../turns.ts';
import { watchSteps } from '../workflow/watch.ts';
import { dayOf, mondays } from './clock.ts';
import { countersigners, isGone, tellLapsing, tellUnsupported } from './lapsing.ts';
import { onePerPerson, tell } from './notices.ts';

export interface GatherDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly customers: Customers;
  readonly log: Log;
  /** What the platform says of somebody; absent, as without a platform: nobody is gone. */
  identify?(person: Person, group?: string): Promise<Standing>;
}

/** A summary is written down this long before it is due, so that whoever looks once an hour is in time. */
const SUMMARY_AHEAD_MS = 2 * 3_600_000;
/** And so long after it was due, where nobody looked in time; later it would tell of a week that is over. */
const SUMMARY_LATE_MS = 24 * 3_600_000;
/** Customers at a time: whose platform takes its time with who somebody is keeps nobody else waiting. */
const AT_ONCE = 4;

/**
 * Looks, of every customer, for what people are to be told, and writes it down; who tells it is another matter. Done twice,
 * or by two processes at once, it changes nothing more.
 */
export async function gatherNotices(deps: GatherDeps): Promise<void> {
  const { directory, log } = deps;
  const inTurn = createTurns(AT_ONCE);
  const gathering = async (customerId: CustomerId) => {
    try {
      await inTurn('all', () => gather(deps, customerId));
    } catch (err) {
      const words = 'what people are to be told could not be gathered; it is tried again';
      log.warn({ code: 'notices', customerId, err }, words);
    }
  };
  await Promise.all((await directory.customers()).map(gathering));
}

async function gather({ database, customers, identify }: GatherDeps, customerId: CustomerId): Promise<void> {
  const signers = await database.withCustomer(customerId, async (tx) => {
    await tellLapsing(tx, customerId);
    await tellSummary(tx, customers, customerId);
    await tellSteps(tx, customers, customerId);
    return countersigners(tx, customers, customerId);
  });
  const unsupported: string[] = [];
  // Outside of any transaction: a platform takes its time.
  for (const signer of signers)
    if (!signer.isSupported || (await isGone(signer, identify))) unsupported.push(signer.consentId);
  if (unsupported.length > 0)
    await database.withCustomer(customerId, (tx) => tellUnsupported(tx, customers, customerId, unsupported));
}

async function tellSummary(tx: Transaction, customers: Customers, customerId: CustomerId): Promise<void> {
  const { hasDigest, timeZone, createdAt } = await customers.rules(tx, customerId);
  if (!hasDigest) return;
  const now = await databaseNow(tx);
  const zone = timeZone ?? 'UTC';
  const { last, next } = mondays(now, zone);
  const isNext = next.getTime() - now.getTime() <= SUMMARY_AHEAD_MS;
  const due = isNext ? next : last;
  if (now.getTime() - due.getTime() > SUMMARY_LATE_MS || createdAt > due) return;
  const about = due.toISOString();
  const admins = onePerPerson(await customers.members(tx, customerId, 'admin')).map(({ id }) => id);
  // By the Monday there: who moves to another zone meanwhile is not told twice.
  await tell(tx, customerId, admins, { kind: 'digest', about, key: `digest:${dayOf(due, zone)}`, dueAt: due });
}

async function tellSteps(tx: Transaction, customers: Customers, customerId: CustomerId): Promise<void> {
  const { opened, closed } = await watchSteps(tx, customerId);
  if (opened.length + closed.length === 0) return;
  const admins = onePerPerson(await customers.members(tx, customerId, 'admin')).map(({ id }) => id);
  for (const id of opened) await tell(tx, customerId, admins, { kind: 'failing', about: id, key: `failing:${id}` });
  for (const id of closed) {
    const told = await tx.notice.findMany({
      where: { customerId, kind: 'failing', about: id },
      select: { memberId: true },
    });
    const members = told.map(({ memberId }) => memberId);
    await tell(tx, customerId, members, { kind: 'over', about: id, key: `over:${id}` });
  }
}
