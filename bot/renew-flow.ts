import type { Offered } from '../core/connections/repair-offer.ts';
import { lackOfApprovers } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import type { Transaction } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { isRenewed } from '../core/notices/lapsing.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { Context } from './context.ts';
import { eventRef, whisperWords } from './speak.ts';

const NOTHING = 'Nothing was asked.';
const ASKED = 'Asked again, in its thread. It holds once somebody who may has countersigned it.';

/** What came of it, beside the card in the thread. */
const SAID: Readonly<Record<Offered['kind'], string>> = {
  asked: ASKED,
  repeated: ASKED,
  open: `That question is open already: its card is in the thread. ${NOTHING}`,
  not_possible: `This key can’t be repaired by itself any more. ${NOTHING}`,
  not_allowed: `Only whoever asked for the key, an approver or an admin can ask for it again. ${NOTHING}`,
  unknown: `I know no such consent any more. ${NOTHING}`,
};

/**
 * Renew: asks for the same consent once more, in its thread and under the name of whoever pressed. It prolongs nothing; who
 * may approve countersigns what the new card shows.
 */
export async function renewConsent(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const found = await context.database.withCustomer(customerId, (tx) =>
    find(tx, context, customerId, member, event.value),
  );
  if (typeof found === 'string') return whisperWords(context, event, found);
  const { kind } = await context.repairOffers.offer(customerId, found.id, member, eventRef(event));
  if (kind === 'asked' || kind === 'repeated') await context.progress.refresh(customerId, found.threadId);
  await whisperWords(context, event, SAID[kind]);
}

/** The operation whose key it would keep working now; or why there is nothing to ask. */
async function find(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  member: Member,
  id: string,
): Promise<Operation | string> {
  const known = await context.consents.getById(tx, customerId, id);
  const consent = known && (await tx.consent.findUnique({ where: { customerId_id: { customerId, id: known.id } } }));
  if (!consent?.templateHash) return SAID.unknown;
  if (consent.revokedAt) return `It was taken back, so there is nothing to renew. ${NOTHING}`;
  const { service, target } = consent;
  const alike = await tx.consent.findMany({ where: { customerId, service, target, revokedAt: null } });
  if (isRenewed(consent, alike)) return `It was renewed already. ${NOTHING}`;
  const operation = await holderOf(tx, context, customerId, service, target);
  if (!operation) return SAID.not_possible;
  const members = await context.customers.members(tx, customerId);
  const question = { workspace: operation.workspace, requester: member, widened: [] };
  const lack = lackOfApprovers(members, question, await context.customers.rules(tx, customerId));
  if (lack === undefined || lack === 'too_few') return operation;
  return `If you ask, nobody is left who could countersign it. Have whoever asked for it first, or another approver, press Renew. ${NOTHING}`;
}

/** So many of the newest operations at one address are looked at: the key is that of the last one, but for a few failures. */
const LATEST = 20;

/** The operation that made the key which is in use there: repairs since then have replaced the one that was asked for. */
async function holderOf(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  service: string,
  target: string,
): Promise<Operation | undefined> {
  const rows = await tx.operation.findMany({
    where: { customerId, service, target, status: 'completed' },
    ...{ orderBy: { completedAt: 'desc' }, take: LATEST, select: { id: true } },
  });
  for (const { id } of rows) {
    const operation = await context.operations.get(tx, customerId, id);
    if (operation?.isKeyStored) return operation;
  }
  return undefined;
}
