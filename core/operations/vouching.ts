import { mayDecide } from '../consent/policy.ts';
import type { Database } from '../database.ts';
import type { Person, Standing } from '../ports/chat.ts';
import type { Log } from '../ports/log.ts';
import { attributed } from './attribution.ts';
import type { Operation } from './operation.ts';

/** A worker waits no longer for a platform: who pressed Approve was made sure of then. */
const PATIENCE_MS = 3_000;

export interface VouchingDeps {
  readonly database: Database;
  readonly log: Log;
  /** What the chat platform says of somebody right now; absent where no platform is connected. */
  readonly identify?: (person: Person, group?: string) => Promise<Standing>;
}

/**
 * Asks the platform once more about whoever countersigned, when the work begins: somebody may have left the workspace, or the
 * group of approvers, since. What can't be asked right now is as it was at the click. @returns why it must not begin.
 */
export async function notVouchedFor(deps: VouchingDeps, operation: Operation): Promise<string | undefined> {
  const { identify } = deps;
  if (!identify || !operation.grant) return undefined;
  const { customerId, grant } = operation;
  const rules = await deps.database.withCustomer(customerId, (tx) =>
    tx.customer.findUniqueOrThrow({ where: { customerId } }),
  );
  const approvers = new Map([grant.approver, ...operation.approvals.map(({ by }) => by)].map((by) => [by.id, by]));
  for (const member of approvers.values()) {
    const asked = identify(member.person, rules.approverGroup ?? undefined);
    const standing = await inTime(asked).catch(() => undefined);
    if (!standing) {
      deps.log.info({ operationId: operation.id }, 'the platform could not be asked once more about an approver');
      continue;
    }
    // Only whether they may decide at all: that it was not their own request was judged at the click, by the rules of then.
    const permitted = mayDecide(member, operation, { ...rules, mayWorkAlone: true }, standing);
    if (!permitted.isPermitted) return attributed('approver_left', member.person.name);
  }
  return undefined;
}

async function inTime<T>(asked: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), PATIENCE_MS);
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
