import { lockedOperation } from '../../core/consent/decisions.ts';
import type { Member } from '../../core/customers/customers.ts';
import { databaseNow, type Transaction } from '../../core/database.ts';
import { type CustomerId, parseOperationId } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type OperationResult, unproven } from '../../core/operations/result.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { bold, capital, sideOf, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { eventRef, reply, whisperWords } from '../speak.ts';

/** Revoke on a result: the key leaves the vault for good, the countersignature is taken back; the shop's side is told. */
export async function revokeResult(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, event.value);
    if (!operation) return 'unknown';
    if (!(await takeEvent(tx, customerId, eventRef(event))))
      return operation.result?.data.revokedAt ? operation : 'repeated';
    if (operation.requester.id !== member.id && !member.roles.some((role) => role === 'approver' || role === 'admin'))
      return 'not_allowed';
    return (await deleteResult(tx, context, operation, member)) ? operation : 'gone';
  });
  if (outcome === 'repeated') return;
  if (outcome === 'unknown' || outcome === 'gone')
    return whisperWords(context, event, 'That key is not in the vault any more. Nothing was changed.');
  if (outcome === 'not_allowed') {
    const about = parseOperationId(event.value);
    return refuse(context, customerId, member, event, {
      asked: 'revoke',
      words: 'Only whoever asked, an approver or an admin can revoke it. Nothing was changed.',
      ...(about ? { about } : {}),
    });
  }
  const label = outcome.result?.data.label ?? outcome.plan.label;
  const words = `${member.person.name} revoked the key of ${outcome.id}. It is deleted from the vault.`;
  await reply(
    context,
    event,
    {
      summary: words,
      blocks: [
        { kind: 'text', text: [text(words)] },
        {
          kind: 'text',
          tone: 'warning',
          text: [bold(`${capital(sideOf(outcome.service))} still knows it. `), text('To end it there, too:')],
        },
        {
          kind: 'list',
          isNumbered: true,
          items: outcome.type.revokeGuide(outcome.plan.base, label).map((step) => ({ text: [text(step)] })),
        },
      ],
    },
    'revoked',
  );
  await context.progress.refresh(customerId, outcome.threadId);
}

/**
 * A new key takes the row of the one that it replaces, so nothing is deleted on the word of what was read before its place
 * was held. The place before the operation's row, as whoever stores a key there takes them; both before the chain's head.
 * @returns false when the operation's key is not in the vault.
 */
async function deleteResult(tx: Transaction, context: Context, seen: Operation, member: Member): Promise<boolean> {
  const { customerId } = seen;
  const vault = context.vault.within(tx);
  const found = await vault.resultOf(customerId, seen.id);
  if (!found) return false;
  const place = { target: found.target };
  await vault.hold(customerId, found.service, found.credentialType, place);
  const operation = await lockedOperation(tx, context.operations, customerId, seen.id);
  const stored = await vault.resultOf(customerId, seen.id);
  if (!operation || !stored) return false;
  await vault.delete(customerId, stored.service, stored.credentialType, place);
  const result = revoked(operation, stored, await databaseNow(tx));
  await tx.operation.update({ where: { customerId_id: { customerId, id: operation.id } }, data: { result } });
  await context.consents.revoke(tx, operation, member);
  await context.audit.append(tx, customerId, {
    kind: 'credential.deleted',
    operationId: operation.id,
    actor: member.id,
    payload: { credentialId: stored.id },
  });
  return true;
}

/** Also an operation that did not complete may have left a key in the vault; it becomes no success by this. */
function revoked(operation: Operation, stored: StoredCredential, at: Date): OperationResult {
  const { success, data } = operation.result ?? unproven(stored);
  return { success, data: { ...data, revokedAt: at.toISOString() } };
}
