import type { Audit } from '../audit/audit.ts';
import type { Member } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { CredentialType, StoredCredential } from './credential.ts';
import type { SecretFields } from './fields.ts';
import type { Vault } from './vault.ts';

/** What a customer may bring along; sign-in secrets belong to an operation. */
export const GIVEN_TYPES = [
  'api_key',
  'oauth_token',
  'password',
  'session',
] as const satisfies readonly CredentialType[];

export interface Given {
  readonly service: string;
  readonly type: (typeof GIVEN_TYPES)[number];
  readonly target: string;
  readonly value: SecretFields;
  readonly expiresAt: Date | null;
  readonly label: string;
}

/**
 * Seals a secret that a customer brings along, on record; nobody has tried it. What lies in that place is never replaced.
 * Approvers and admins may.
 */
export async function storeGiven(
  tx: Transaction,
  { vault, audit }: { readonly vault: Vault; readonly audit: Audit },
  customerId: CustomerId,
  { service, type, target, value, expiresAt, label }: Given,
  by: Member,
): Promise<StoredCredential | 'taken' | 'not_allowed'> {
  if (!by.roles.some((role) => role === 'approver' || role === 'admin')) return 'not_allowed';
  const records = vault.within(tx);
  await records.hold(customerId, service, type, { target });
  if ((await records.list(customerId, service)).some((one) => one.credentialType === type && one.target === target))
    return 'taken';
  const stored = await records.store(customerId, service, type, { target, value, expiresAt, metadata: { label } });
  const entry = { kind: 'credential.stored', credentialId: stored.id, credentialType: type, actor: by.id } as const;
  await audit.append(tx, customerId, entry);
  return stored;
}
