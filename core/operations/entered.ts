import type { Transaction } from '../database.ts';
import { Secret } from '../secret.ts';
import type { SecretFields } from '../vault/fields.ts';
import type { CredentialType, Vault } from '../vault/vault.ts';
import type { Operation } from './operation.ts';

type Subject = Pick<Operation, 'customerId' | 'id' | 'service' | 'type' | 'way' | 'plan'>;

/** Where a sign-in secret lies until its operation ends. */
export function signInPlace({ service, plan, id }: Pick<Subject, 'service' | 'plan' | 'id'>, type: CredentialType) {
  return { service: service.id, target: plan.base, type, operationId: id } as const;
}

/**
 * Where a key lies beside the stored ones until its operation ends: one that a person entered, until it has been proven; of a
 * rotation the new one until it takes the old one's place, and the old one from then on.
 */
export function besidePlace({ service, type, plan, id }: Pick<Subject, 'service' | 'type' | 'plan' | 'id'>) {
  return { service: service.id, target: plan.base, type: type.credentialType, operationId: id } as const;
}

/** Whether everything that is entered for the operation lies in the vault. */
export async function hasEntered(tx: Transaction, vault: Vault, operation: Subject): Promise<boolean> {
  for (const { at } of partsOf(operation, {})) {
    const { service, type, ...place } = at;
    if (!(await vault.within(tx).find(operation.customerId, service, type, place))) return false;
  }
  return true;
}

/** Seals what was entered, every field of the operation's way by its name. */
export async function storeEntered(
  tx: Transaction,
  vault: Vault,
  operation: Subject,
  fields: Readonly<Record<string, string>>,
): Promise<void> {
  for (const { at, value } of partsOf(operation, fields)) {
    const { service, type, ...place } = at;
    await vault.within(tx).store(operation.customerId, service, type, { ...place, value });
  }
}

/** A sign-in is a credential a field, opened one by one as it is typed; a key is one credential, however many fields it has. */
function partsOf(operation: Subject, fields: Readonly<Record<string, string>>) {
  const { way } = operation;
  const secrets: SecretFields = Object.fromEntries(
    way.fields.map(({ name }) => [name, new Secret(fields[name] ?? '')]),
  );
  if (way.kind === 'stored') return [];
  if (way.kind !== 'browser') return [{ at: besidePlace(operation), value: secrets }];
  return Object.entries(secrets).map(([name, value]) => ({
    // Sign-in fields are named after credential types; CHECK autonomous_credentials_type_check holds them to it.
    at: signInPlace(operation, name as CredentialType),
    value,
  }));
}
