import { lockedOperation } from '../../core/consent/decisions.ts';
import type { Member } from '../../core/customers/customers.ts';
import { databaseNow, type Transaction } from '../../core/database.ts';
import { type CustomerId, parseOperationId } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type OperationResult, unproven } from '../../core/operations/result.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import type { RevokeResult } from '../../core/services/service.ts';
import { tokenPlace } from '../../core/vault/tokens.ts';
import { asSecrets, type StoredCredential } from '../../core/vault/vault.ts';
import { bold, capital, sideOf, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { eventRef, reply, whisperWords } from '../speak.ts';

/**
 * Revoke on a result: the key ends at the service where an API can do that, leaves the vault for good, and the
 * countersignature is taken back; how the other side is told by hand is said where no API did it.
 */
export async function revokeResult(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const ended = await endAtService(context, customerId, member, event.value);
  if (ended?.kind === 'fails' && ended.isRetryable)
    return whisperWords(
      context,
      event,
      `${ended.reason} So the key was not revoked. Nothing was changed: try again later.`,
    );
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, event.value);
    if (!operation) return 'unknown';
    if (!(await takeEvent(tx, customerId, eventRef(event))))
      return operation.result?.data.revokedAt ? operation : 'repeated';
    if (!mayRevoke(operation, member)) return 'not_allowed';
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
      blocks: [{ kind: 'text', text: [text(words)] }, ...otherSide(outcome, label, ended)],
    },
    'revoked',
  );
  await context.progress.refresh(customerId, outcome.threadId);
}

function mayRevoke({ requester }: Operation, member: Member): boolean {
  return requester.id === member.id || member.roles.some((role) => role === 'approver' || role === 'admin');
}

/**
 * Has the service end the key, by whoever may; that it was opened for this, and by whom, is on record before. The place of a
 * key that another one took is left alone. `undefined`: no API of this service does it, or there is nothing to end.
 */
async function endAtService(
  context: Context,
  customerId: CustomerId,
  member: Member,
  id: string,
): Promise<RevokeResult | undefined> {
  const found = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, id);
    const stored = operation && (await context.vault.within(tx).resultOf(customerId, operation.id));
    return stored && mayRevoke(operation, member) ? { operation, stored } : undefined;
  });
  const { revoke } = found?.operation.type ?? {};
  if (!found || !revoke) return undefined;
  const { operation, stored } = found;
  const { base, origin, permissions } = operation.plan;
  const ref = { customerId, service: stored.service, type: stored.credentialType, target: stored.target };
  const credential = await context.vault.open(
    { ...ref, actor: member.id, forOperation: operation.id, why: 'revoke' },
    (opened, { metadata }) => (metadata.operationId === operation.id ? asSecrets(opened) : undefined),
  );
  return credential ? revoke({ base, origin, credential, permissions, http: context.http }) : undefined;
}

function otherSide(
  { service, type, plan }: Operation,
  label: string,
  ended: RevokeResult | undefined,
): readonly Block[] {
  const side = capital(sideOf(service));
  if (ended?.kind === 'revoked')
    return [{ kind: 'text', text: [text(`${side} has confirmed that it takes the key no more.`)] }];
  const why = ended ? `${ended.reason} ` : '';
  return [
    {
      kind: 'text',
      tone: 'warning',
      text: [text(why), bold(`${side} still knows it. `), text('To end it there, too:')],
    },
    {
      kind: 'list',
      isNumbered: true,
      items: type.revokeGuide(plan.base, label).map((step) => ({ text: [text(step)] })),
    },
  ];
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
  const token = tokenPlace(stored);
  if (token) await vault.delete(customerId, token.service, token.type, token);
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
