import { z } from 'zod';
import type { Credential } from '../../prisma/generated/client.ts';
import { type CustomerId, customerId, type OperationId } from '../ids.ts';

export const CREDENTIAL_TYPES = [
  'oauth_token',
  'api_key',
  'password',
  'session',
  'admin_username',
  'admin_password',
  'admin_email',
  'one_time_code',
] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/**
 * In the metadata of an earlier key that lies beside the one which took its place: until it has ended at the service it is kept,
 * since it ends itself by its own power.
 */
export const KEPT_TO_END = 'keptToEnd';

/** Where a credential belongs; its record opens nowhere else. */
export interface CredentialPlace {
  readonly service: string;
  /** The shop's base address. */
  readonly target: string;
  readonly type: CredentialType;
  /** Sign-in secrets belong to one operation and die with it; `null` for a result, which stays. */
  readonly operationId: OperationId | null;
}

/** What may be shown of a credential: never its value. */
export interface StoredCredential {
  readonly id: string;
  /** The customer. */
  readonly organizationId: CustomerId;
  readonly service: string;
  readonly target: string;
  readonly credentialType: CredentialType;
  readonly operationId: OperationId | null;
  /** How many secrets have lain in this place, this one included. */
  readonly version: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly expiresAt: Date | null;
  readonly lastRotatedAt: Date | null;
  readonly rotationRequired: boolean;
  readonly createdAt: Date;
}

/** The record is bound to its row, place and expiry: swapped with another one, or kept alive by hand, it doesn't open. */
export function binding(
  id: string,
  place: Readonly<Record<'service' | 'target' | 'type', string>> & { readonly operationId: string | null },
  secretVersion: number,
  expiresAt: Date | null,
): readonly string[] {
  const { service, target, type, operationId } = place;
  const expiry = expiresAt?.toISOString() ?? '';
  return ['credential', id, service, target, type, operationId ?? '', String(secretVersion), expiry];
}

const metadataSchema = z.record(z.string(), z.string());

type Row = Pick<
  Credential,
  | 'id'
  | 'service'
  | 'target'
  | 'credentialType'
  | 'operationId'
  | 'secretVersion'
  | 'credentialMetadata'
  | 'expiresAt'
  | 'lastRotatedAt'
  | 'rotationRequired'
  | 'createdAt'
> & { readonly customerId: string };

export function toStored(row: Row): StoredCredential {
  const { id, service, target, expiresAt, lastRotatedAt, rotationRequired, createdAt } = row;
  return {
    ...{ id, service, target, expiresAt, lastRotatedAt, rotationRequired, createdAt },
    organizationId: customerId(row.customerId),
    // CHECK autonomous_credentials_type_check guarantees the union; operation ids come from rows that we wrote.
    credentialType: row.credentialType as CredentialType,
    operationId: row.operationId as OperationId | null,
    version: row.secretVersion,
    metadata: metadataSchema.parse(row.credentialMetadata),
  };
}

export function placeOf(stored: StoredCredential): CredentialPlace {
  const { service, target, credentialType: type, operationId } = stored;
  return { service, target, type, operationId };
}

/** The binding of the tokens of an installed chat platform: they open nowhere else, and not under another date. */
export function installationPlace(workspaceId: string, expiresAt: Date | null): readonly string[] {
  return ['slack-installation', workspaceId, expiresAt?.toISOString() ?? ''];
}
