import { lockedOperation } from '../../core/consent/decisions.ts';
import type { Member } from '../../core/customers/customers.ts';
import { databaseNow, type Transaction } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
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
 * Revoke on a result: the key is ended at the vendor where an API can, leaves the vault for good, and the countersignature is
 * taken back. Where no API can, or it failed, people are told how.
 */
export async function revokeResult(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const ended = await endThere(context, customerId, member, event.value);
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
  const side = capital(sideOf(outcome.service));
  const isEnded = ended?.kind === 'revoked';
  const there = isEnded ? ` ${side} no longer takes it.` : '';
  const words = `${member.person.name} revoked the key of ${outcome.id}. It is deleted from the vault.${there}`;
  const failed = ended?.kind === 'fails' ? `${ended.reason} ` : '';
  await reply(
    context,
    event,
    {
      summary: words,
      blocks: [
        { kind: 'text', text: [text(words)] },
        ...(isEnded ? [] : byHand(outcome, label, `${failed}${side} still knows it. `)),
      ],
    },
    'revoked',
  );
  await context.progress.refresh(customerId, outcome.threadId);
}

function mayRevoke({ requester }: Operation, { id, roles }: Member): boolean {
  return requester.id === id || roles.some((role) => role === 'approver' || role === 'admin');
}

/** What is left for a person to do. */
function byHand({ type, plan }: Operation, label: string, lead: string): readonly Block[] {
  const items = type.revokeGuide(plan.base, label).map((step) => ({ text: [text(step)] }));
  return [
    { kind: 'text', tone: 'warning', text: [bold(lead), text('To end it there, too:')] },
    { kind: 'list', isNumbered: true, items },
  ];
}

/**
 * Ends the key at the vendor, while there still is one to end it with: the vault is left after that, whatever came of it.
 * `undefined`: no API can, this member may not, or the operation's key is not in the vault.
 */
async function endThere(
  context: Context,
  customerId: CustomerId,
  member: Member,
  operationId: string,
): Promise<RevokeResult | undefined> {
  const operation = await context.database.withCustomer(customerId, (tx) =>
    context.operations.get(tx, customerId, operationId),
  );
  if (!operation?.type.revoke || !mayRevoke(operation, member)) return undefined;
  const stored = await context.vault.resultOf(customerId, operation.id);
  if (!stored) return undefined;
  const { service, credentialType, target } = stored;
  const ref = { customerId, service, type: credentialType, target, actor: member.id, why: 'revoke' };
  const credential = await context.vault.open(ref, (opened, { metadata }) =>
    metadata.operationId === operation.id ? asSecrets(opened) : undefined,
  );
  if (!credential) return undefined;
  const { base, origin, permissions } = operation.plan;
  try {
    return await operation.type.revoke({ base, origin, credential, permissions, http: context.http });
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const reason = `${capital(sideOf(operation.service))} could not be reached to end it there.`;
    return { kind: 'fails', reason, isRetryable: error.isRetryable };
  }
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
