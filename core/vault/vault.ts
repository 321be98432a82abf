import { z } from 'zod';
import type { Credential } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type MemberId, newUuid, type OperationId } from '../ids.ts';
import { Secret } from '../secret.ts';
import type { Sealer } from './sealer.ts';

export type CredentialType =
  | 'oauth_token'
  | 'api_key'
  | 'password'
  | 'session'
  | 'admin_username'
  | 'admin_password'
  | 'admin_email';

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
  readonly place: CredentialPlace;
  readonly metadata: Readonly<Record<string, string>>;
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
}

/** Sealed secrets of customers. Every opening is an audit entry. A value is a set of named fields. */
export interface Vault {
  /** Until the transaction ends nobody else stores in that place: what `find` says of it stays so. `store` does it by itself. */
  hold(tx: Transaction, customerId: CustomerId, place: CredentialPlace): Promise<void>;
  /** Replaces what lies in the same place. Doesn't append to the chain: the caller's own entry says why it was stored. */
  store(
    tx: Transaction,
    customerId: CustomerId,
    place: CredentialPlace,
    fields: Readonly<Record<string, Secret>>,
    options?: { expiresAt?: Date; metadata?: Readonly<Record<string, string>> },
  ): Promise<StoredCredential>;
  /** `undefined` when absent or expired, by the database's clock. The entry names operation and actor. */
  open(
    tx: Transaction,
    customerId: CustomerId,
    place: CredentialPlace,
    reader: { operationId?: OperationId; actor?: MemberId; why: string },
  ): Promise<Readonly<Record<string, Secret>> | undefined>;
  has(tx: Transaction, customerId: CustomerId, place: CredentialPlace): Promise<boolean>;
  /** What lies in a place, without opening it; `undefined` when absent or expired. */
  find(tx: Transaction, customerId: CustomerId, place: CredentialPlace): Promise<StoredCredential | undefined>;
  list(tx: Transaction, customerId: CustomerId): Promise<readonly StoredCredential[]>;
  /** The stored result of an operation, if it is still there. */
  resultOf(tx: Transaction, customerId: CustomerId, operationId: OperationId): Promise<StoredCredential | undefined>;
  delete(tx: Transaction, customerId: CustomerId, id: string): Promise<boolean>;
  /** @returns how many sign-in secrets of the operation were deleted. */
  deleteSignIn(tx: Transaction, customerId: CustomerId, operationId: OperationId): Promise<number>;
}

const sealedFields = z.record(z.string(), z.string());
const metadataSchema = z.record(z.string(), z.string());

export function createVault(deps: { sealer: Sealer; audit: Audit }): Vault {
  const { sealer, audit } = deps;
  return {
    hold: holdPlace,
    async store(tx, customerId, place, fields, options = {}) {
      await holdPlace(tx, customerId, place);
      const old = await tx.credential.findFirst({ where: { customerId, ...where(place) } });
      const id = old?.id ?? newUuid();
      const secretVersion = (old?.secretVersion ?? 0) + 1;
      const expiresAt = options.expiresAt ?? null;
      const plain = Buffer.from(
        JSON.stringify(Object.fromEntries(Object.entries(fields).map(([name, s]) => [name, s.reveal()]))),
      );
      const sealed = await sealer.seal(tx, customerId, binding(id, place, secretVersion, expiresAt), plain);
      plain.fill(0);
      const now = await databaseNow(tx);
      const row = {
        encryptedCredential: Uint8Array.from(sealed.record),
        encryptionKeyId: sealed.keyId,
        secretVersion,
        expiresAt,
        credentialMetadata: { ...options.metadata },
        lastRotatedAt: old ? now : null,
      };
      const data = {
        customerId,
        id,
        service: place.service,
        target: place.target,
        credentialType: place.type,
        operationId: place.operationId,
      };
      const stored = old
        ? await tx.credential.update({ where: { customerId_id: { customerId, id } }, data: { ...row, updatedAt: now } })
        : await tx.credential.create({ data: { ...data, ...row } });
      return toStored(stored);
    },
    async open(tx, customerId, place, reader) {
      const row = await live(tx, customerId, place);
      if (!row) return undefined;
      const plain = await sealer.open(
        tx,
        customerId,
        binding(row.id, place, row.secretVersion, row.expiresAt),
        row.encryptedCredential,
      );
      const fields = sealedFields.parse(JSON.parse(plain.toString('utf8')));
      plain.fill(0);
      await audit.append(tx, customerId, {
        kind: 'credential.opened',
        ...(reader.operationId ? { operationId: reader.operationId } : {}),
        ...(reader.actor ? { actor: reader.actor } : {}),
        payload: { credentialId: row.id, type: row.credentialType, why: reader.why },
      });
      return Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, new Secret(text)]));
    },
    find: async (tx, customerId, place) => {
      const row = await live(tx, customerId, place);
      return row && toStored(row);
    },
    has: async (tx, customerId, place) => (await live(tx, customerId, place)) !== undefined,
    list: async (tx, customerId) =>
      (await tx.credential.findMany({ where: { customerId, operationId: null }, orderBy: { createdAt: 'desc' } })).map(
        toStored,
      ),
    async resultOf(tx, customerId, operationId) {
      const rows = await tx.credential.findMany({
        where: { customerId, operationId: null, credentialMetadata: { path: ['operationId'], equals: operationId } },
      });
      return rows[0] && toStored(rows[0]);
    },
    delete: async (tx, customerId, id) => (await tx.credential.deleteMany({ where: { customerId, id } })).count > 0,
    deleteSignIn: async (tx, customerId, operationId) =>
      (await tx.credential.deleteMany({ where: { customerId, operationId } })).count,
  };
}

/** A place that is still empty has no row to lock. */
async function holdPlace(tx: Transaction, customerId: CustomerId, place: CredentialPlace): Promise<void> {
  const name = JSON.stringify([customerId, place.service, place.target, place.type, place.operationId]);
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
}

/** The record is bound to its row, place and expiry: swapped with another one, or kept alive by hand, it doesn't open. */
function binding(id: string, place: CredentialPlace, secretVersion: number, expiresAt: Date | null): readonly string[] {
  const { service, target, type, operationId } = place;
  const expiry = expiresAt?.toISOString() ?? '';
  return ['credential', id, service, target, type, operationId ?? '', String(secretVersion), expiry];
}

function where(place: CredentialPlace) {
  return { service: place.service, target: place.target, credentialType: place.type, operationId: place.operationId };
}

async function live(tx: Transaction, customerId: CustomerId, place: CredentialPlace): Promise<Credential | undefined> {
  const row = await tx.credential.findFirst({ where: { customerId, ...where(place) } });
  if (!row?.expiresAt) return row ?? undefined;
  const now = await databaseNow(tx);
  return row.expiresAt > now ? row : undefined;
}

function toStored(row: Credential): StoredCredential {
  return {
    id: row.id,
    place: {
      service: row.service,
      target: row.target,
      // CHECK autonomous_credentials_type_check guarantees the union; operation ids come from rows that we wrote.
      type: row.credentialType as CredentialType,
      operationId: row.operationId as OperationId | null,
    },
    metadata: metadataSchema.parse(row.credentialMetadata),
    expiresAt: row.expiresAt,
    createdAt: row.createdAt,
  };
}
