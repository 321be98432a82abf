import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import type { Consents } from '../consent/consent.ts';
import { isSamePerson, type Member } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import { tokenPlace } from '../vault/tokens.ts';
import type { StoredCredential, Vault } from '../vault/vault.ts';
import { lockedOperation } from './locked.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import { type OperationResult, unproven } from './result.ts';

export interface RevocationDeps {
  readonly vault: Vault;
  readonly operations: Operations;
  readonly consents: Pick<Consents, 'revokeWithKey'>;
  readonly audit: Audit;
}

/** What came of ending a key at its service: it is not taken any more; or what was in the way, as a sentence. */
export type Ended = z.infer<typeof endedSchema>;
const endedSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('revoked') }),
  z.object({ kind: z.literal('fails'), reason: z.string() }),
]);

/**
 * Deletes the key that an operation made from the vault, with the token that goes with it, and takes its countersignature back,
 * as well as the consents to its repairs with what they keep.
 * A new key takes the row of the one that it replaces, so nothing is deleted on the word of what was read before its place
 * was held. The place before the operation's row, as whoever stores a key there takes them; both before the chain's head.
 * @param ended goes on record with it; absent: its service was not asked to end it.
 * @returns false when the operation's key is not in the vault.
 */
export async function deleteKeyOf(
  tx: Transaction,
  deps: RevocationDeps,
  { customerId, id }: Pick<Operation, 'customerId'> & { readonly id: OperationId },
  by: Member,
  ended?: Ended,
): Promise<boolean> {
  const vault = deps.vault.within(tx);
  const found = await vault.resultOf(customerId, id);
  if (!found) return false;
  const place = { target: found.target };
  await vault.hold(customerId, found.service, found.credentialType, place);
  const operation = await lockedOperation(tx, deps.operations, customerId, id);
  const stored = await vault.resultOf(customerId, id);
  if (!operation || !stored) return false;
  await vault.delete(customerId, stored.service, stored.credentialType, place);
  const token = tokenPlace(stored);
  if (token) await vault.delete(customerId, token.service, token.type, token);
  const result = revoked(operation, stored, await databaseNow(tx));
  await tx.operation.update({ where: { customerId_id: { customerId, id: operation.id } }, data: { result } });
  await deps.consents.revokeWithKey(tx, operation, by);
  await deps.audit.append(tx, customerId, {
    kind: 'credential.deleted',
    operationId: operation.id,
    actor: by.id,
    credentialId: stored.id,
    credentialType: stored.credentialType,
    payload: { credentialId: stored.id, ...(ended ? { ended: endedSchema.parse(ended) } : {}) },
  });
  return true;
}

/** What `deleteKeyOf` has put on record of its end at the service. */
export async function endOnRecord(
  tx: Transaction,
  audit: Audit,
  { customerId, id }: Pick<Operation, 'customerId' | 'id'>,
): Promise<Ended | undefined> {
  const entries = await audit.entriesOf(tx, customerId, id);
  const deleted = entries.findLast(({ kind, credentialId }) => kind === 'credential.deleted' && credentialId);
  return endedSchema.safeParse(deleted?.payload?.ended).data;
}

/** Who may take a key away: whoever asked for it, approvers and admins; of one that no operation made, the latter two. */
export function mayRevoke(operation: Pick<Operation, 'requester'> | undefined, member: Member): boolean {
  const isTheirs = operation !== undefined && isSamePerson(operation.requester, member);
  return isTheirs || member.roles.includes('approver') || member.roles.includes('admin');
}

/** Deletes a stored result by its own id, whoever made it. `unknown`: there is none, or not any more. */
export async function deleteCredential(
  tx: Transaction,
  deps: RevocationDeps,
  customerId: CustomerId,
  credentialId: string,
  by: Member,
): Promise<'deleted' | 'unknown' | 'not_allowed'> {
  const vault = deps.vault.within(tx);
  const stored = await vault.byId(customerId, credentialId);
  if (!stored) return 'unknown';
  const made = parseOperationId(stored.metadata.operationId ?? '');
  const operation = made && (await deps.operations.get(tx, customerId, made));
  if (!mayRevoke(operation, by)) return 'not_allowed';
  if (operation) return (await deleteKeyOf(tx, deps, operation, by)) ? 'deleted' : 'unknown';
  const { service, credentialType, target } = stored;
  if (!(await vault.delete(customerId, service, credentialType, { target }))) return 'unknown';
  const entry = { kind: 'credential.deleted', credentialId, credentialType, actor: by.id } as const;
  await deps.audit.append(tx, customerId, entry);
  return 'deleted';
}

/** Also an operation that did not complete may have left a key in the vault; it becomes no success by this. */
function revoked(operation: Operation, stored: StoredCredential, at: Date): OperationResult {
  const { success, data } = operation.result ?? unproven(stored);
  return { success, data: { ...data, revokedAt: at.toISOString() } };
}
