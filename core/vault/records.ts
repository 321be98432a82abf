import { z } from 'zod';
import type { Credential, Prisma } from '../../prisma/generated/client.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import { Secret } from '../secret.ts';
import {
  binding,
  type CredentialPlace,
  type CredentialType,
  KEPT_TO_END,
  placeOf,
  type StoredCredential,
  toStored,
} from './credential.ts';
import { encodeFields, type SecretFields } from './fields.ts';
import type { Sealer } from './sealer.ts';

/** Which of the credentials of one service and type. */
export interface Where {
  /** Absent: the only one there is; of several, `credential_target_required`. */
  readonly target?: string;
  /** The sign-in secret of this operation; absent or `null`: a result, which belongs to none. */
  readonly operationId?: OperationId | null;
}

export interface NewCredential extends Where {
  /** One secret, kept as the field `value`, or several by name. */
  readonly value: string | Secret | SecretFields;
  readonly expiresAt?: Date | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A sign-in secret of one operation that was sealed anew for another one. */
export interface Copied {
  readonly credentialId: string;
  readonly type: CredentialType;
}

/** What is done with credentials without opening them. */
export interface VaultRecords {
  /**
   * Replaces what lies in the same place. Without a target: the place of the only one there is, or, for a service that
   * knows no targets, the empty one. @throws CountersignError `credential_target_required`.
   */
  store(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    secret: NewCredential,
  ): Promise<StoredCredential>;
  /** Until the transaction ends nobody else stores in that place: what `find` says of it stays so. `store` does it by itself. */
  hold(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    where: Where & { readonly target: string },
  ): Promise<void>;
  /**
   * The result at the target and what lies beside it under that operation, each sealed anew into the other's place.
   * @param metadata is added to that of what becomes the result, and of what lies beside it from then on. @returns the result.
   * @throws CountersignError `credential_not_found`.
   */
  exchange(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    where: { readonly target: string; readonly operationId: OperationId },
    metadata: Readonly<Record<'result' | 'beside', Readonly<Record<string, string>>>>,
  ): Promise<StoredCredential>;
  /**
   * `null` when absent or, unless that is asked for, expired by the database's clock.
   * @throws CountersignError `credential_target_required`.
   */
  find(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    where?: Where & { readonly isExpiredToo?: boolean },
  ): Promise<StoredCredential | null>;
  /** Results, newest first; sign-in secrets are nobody's business. */
  list(customerId: CustomerId, service?: string): Promise<readonly StoredCredential[]>;
  /** @returns whether there was one. @throws CountersignError `credential_target_required`. */
  delete(customerId: CustomerId, service: string, type: CredentialType, where?: Where): Promise<boolean>;
  /** A result by its own id; `null` when absent or expired, by the database's clock. */
  byId(customerId: CustomerId, id: string): Promise<StoredCredential | null>;
  /** The stored result of an operation, if it is still there. */
  resultOf(customerId: CustomerId, operationId: OperationId): Promise<StoredCredential | null>;
  /**
   * Seals sign-in secrets of an operation anew for another one at the same target, with which they end.
   * @returns which they were, or `undefined` where one of these types is not there, or not any more: then nothing was copied.
   */
  copySignIn(
    customerId: CustomerId,
    from: OperationId,
    to: { readonly service: string; readonly target: string; readonly operationId: OperationId },
    types: readonly CredentialType[],
  ): Promise<readonly Copied[] | undefined>;
  /**
   * Deletes the operation's sign-in secrets, except the types that a live standing grant of it names, and except an earlier key that
   * it did not come to end (`KEPT_TO_END`).
   * @returns how many were deleted.
   */
  deleteSignIn(customerId: CustomerId, operationId: OperationId): Promise<number>;
}

export interface RecordDeps {
  readonly sealer: Sealer;
  readonly database: Database;
}

/** Inside a transaction of the caller, whose own audit entry says why; so nothing is appended here. */
export function recordsIn(tx: Transaction, deps: RecordDeps): VaultRecords {
  return {
    async store(customerId, service, type, secret) {
      const operationId = secret.operationId ?? null;
      const target = secret.target ?? (await only(tx, customerId, service, type, secret))?.target ?? '';
      await holdPlace(tx, customerId, service, type, { target, operationId });
      const found = await only(tx, customerId, service, type, { target, operationId });
      const plain = encodeFields(fieldsOf(secret.value));
      try {
        return await put(tx, deps, customerId, { service, target, type, operationId }, plain, {
          old: found,
          expiresAt: secret.expiresAt ?? null,
          metadata: secret.metadata ?? {},
        });
      } finally {
        plain.fill(0);
      }
    },
    hold: (customerId, service, type, where) => holdPlace(tx, customerId, service, type, where),
    async exchange(customerId, service, type, { target, operationId }, metadata) {
      const result = { service, target, type, operationId: null };
      const beside = { service, target, type, operationId };
      // The result's place first, as whoever stores one takes it.
      for (const place of [result, beside]) await holdPlace(tx, customerId, service, type, place);
      const [first, second] = [await held(tx, customerId, result), await held(tx, customerId, beside)];
      const [old, fresh] = [await opened(tx, deps, first), await opened(tx, deps, second)];
      try {
        await put(tx, deps, customerId, beside, old, {
          old: second,
          expiresAt: first.expiresAt,
          metadata: { ...toStored(first).metadata, ...metadata.beside },
        });
        return await put(tx, deps, customerId, result, fresh, {
          old: first,
          expiresAt: second.expiresAt,
          metadata: { ...toStored(second).metadata, ...metadata.result },
        });
      } finally {
        old.fill(0);
        fresh.fill(0);
      }
    },
    async find(customerId, service, type, where = {}) {
      const row = await only(
        tx,
        customerId,
        service,
        type,
        where,
        where.isExpiredToo ? undefined : await databaseNow(tx),
      );
      return row ? toStored(row) : null;
    },
    list: async (customerId, service) =>
      (
        await tx.credential.findMany({
          where: { customerId, operationId: null, ...(service === undefined ? {} : { service }) },
          orderBy: { createdAt: 'desc' },
        })
      ).map(toStored),
    async delete(customerId, service, type, where = {}) {
      const row = await only(tx, customerId, service, type, where);
      return row !== undefined && (await deleteRows(tx, deps.database, customerId, [row])) > 0;
    },
    async byId(customerId, id) {
      const now = await databaseNow(tx);
      const row = await tx.credential.findFirst({
        where: { customerId, id, operationId: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
      });
      return row ? toStored(row) : null;
    },
    async resultOf(customerId, operationId) {
      const row = await tx.credential.findFirst({ where: resultWhere(customerId, operationId) });
      return row ? toStored(row) : null;
    },
    async copySignIn(customerId, from, { service, target, operationId }, types) {
      const now = await databaseNow(tx);
      const rows: Credential[] = [];
      for (const type of types) {
        const row = await only(tx, customerId, service, type, { target, operationId: from }, now);
        if (!row) return undefined;
        rows.push(row);
      }
      const copied: Copied[] = [];
      for (const row of rows) {
        const type = toStored(row).credentialType;
        const plain = await opened(tx, deps, row);
        const place = { service, target, type, operationId };
        try {
          await put(tx, deps, customerId, place, plain, { old: undefined, expiresAt: null, metadata: {} });
        } finally {
          plain.fill(0);
        }
        copied.push({ credentialId: row.id, type });
      }
      return copied;
    },
    async deleteSignIn(customerId, operationId) {
      const rows = await tx.$queryRaw`
        SELECT id FROM autonomous_credentials c WHERE c.customer_id = ${customerId}::uuid AND c.operation_id = ${operationId}
          AND NOT EXISTS (SELECT FROM autonomous_consent g WHERE g.customer_id = c.customer_id AND g.operation_id = c.operation_id
            AND c.credential_type = ANY (g.keeps) AND g.revoked_at IS NULL AND g.expires_at > app.now())
          AND NOT (c.credential_metadata ? ${KEPT_TO_END}::text AND EXISTS (SELECT FROM autonomous_operations o
            WHERE o.customer_id = c.customer_id AND o.id = c.operation_id AND o.status <> 'completed'))`;
      return deleteRows(tx, deps.database, customerId, idRows.parse(rows));
    },
  };
}

const idRows = z.array(z.object({ id: z.uuid() }));

/** Deletes those of these rows that are still there, with the program's word for exactly them. @returns how many. */
export async function deleteRows(
  tx: Transaction,
  database: Database,
  customerId: CustomerId,
  rows: readonly { readonly id: string }[],
): Promise<number> {
  const ids = rows.map(({ id }) => id);
  const held = idRows.parse(
    ids.length === 0
      ? []
      : await tx.$queryRaw`
          SELECT id FROM autonomous_credentials WHERE customer_id = ${customerId}::uuid AND id = ANY (${ids}::uuid[])
          ORDER BY id FOR UPDATE`,
  );
  if (held.length === 0) return 0;
  await database.vouch(tx, 'credential', customerId, `deleted${held.map(({ id }) => `\n${id}`).join('')}`);
  return tx.$executeRaw`
    DELETE FROM autonomous_credentials
    WHERE customer_id = ${customerId}::uuid AND id = ANY (${held.map(({ id }) => id)}::uuid[])`;
}

/** What is vouched for before rows get these records in one statement; `rows` in the order of their ids. */
export function sealedWord(
  rows: readonly {
    readonly id: string;
    readonly secretVersion: number;
    readonly expiresAt: Date | null;
    readonly record: Buffer;
  }[],
  keyId: string,
): string {
  const lines = rows.map(
    ({ id, secretVersion, expiresAt, record }) =>
      `\n${id}|${keyId}|${secretVersion}|${expiresAt?.getTime() ?? ''}|${record.toString('hex')}`,
  );
  return `sealed${lines.join('')}`;
}

/** Where the stored result of an operation is, if it is still there. */
function resultWhere(customerId: CustomerId, operationId: OperationId): Prisma.CredentialWhereInput {
  return { customerId, operationId: null, credentialMetadata: { path: ['operationId'], equals: operationId } };
}

/** A place that is still empty has no row to lock. */
async function holdPlace(
  tx: Transaction,
  customerId: CustomerId,
  service: string,
  type: CredentialType,
  { target, operationId = null }: Where,
): Promise<void> {
  const name = JSON.stringify([customerId, service, target, type, operationId]);
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
}

async function held(
  tx: Transaction,
  customerId: CustomerId,
  { service, type, target, operationId }: CredentialPlace,
): Promise<Credential> {
  const row = await only(tx, customerId, service, type, { target, operationId });
  if (!row) throw new CountersignError('credential_not_found', 'There is no credential in that place.');
  return row;
}

function opened(tx: Transaction, { sealer }: RecordDeps, row: Credential): Promise<Buffer> {
  const stored = toStored(row);
  const { id, secretVersion, expiresAt, encryptedCredential } = row;
  const place = binding(id, placeOf(stored), secretVersion, expiresAt);
  return sealer.open(tx, stored.organizationId, place, encryptedCredential);
}

interface Put {
  /** The row that is replaced. */
  readonly old: Credential | undefined;
  readonly expiresAt: Date | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Seals into the place, under a fresh data key and the customer's newest key, as the next version of the secret. */
export async function put(
  tx: Transaction,
  { sealer, database }: RecordDeps,
  customerId: CustomerId,
  place: CredentialPlace,
  plain: Buffer,
  { old, expiresAt, metadata }: Put,
): Promise<StoredCredential> {
  const id = old?.id ?? newUuid();
  const secretVersion = (old?.secretVersion ?? 0) + 1;
  const sealed = await sealer.seal(tx, customerId, binding(id, place, secretVersion, expiresAt), plain);
  const { record, keyId } = sealed;
  if (old)
    await database.vouch(tx, 'credential', customerId, sealedWord([{ id, secretVersion, expiresAt, record }], keyId));
  const now = await databaseNow(tx);
  const row = {
    encryptedCredential: Uint8Array.from(record),
    encryptionKeyId: keyId,
    secretVersion,
    expiresAt,
    credentialMetadata: { ...metadata },
    lastRotatedAt: old ? now : null,
    rotationRequired: false,
  };
  const { service, target, type, operationId } = place;
  const data = { customerId, id, service, target, credentialType: type, operationId };
  const [replaced] = old
    ? await tx.credential.updateManyAndReturn({ where: { customerId, id }, data: { ...row, updatedAt: now } })
    : [];
  // Somebody may have deleted the row since it was read: what is stored now is no less worth keeping.
  return toStored(replaced ?? (await tx.credential.create({ data: { ...data, ...row, lastRotatedAt: null } })));
}

/**
 * The one row that is meant; expired ones count unless `now` is given.
 * @throws CountersignError `credential_target_required` when several could be and none is named.
 */
export async function only(
  tx: Transaction,
  customerId: CustomerId,
  service: string,
  type: CredentialType,
  { target, operationId = null }: Where,
  now?: Date,
): Promise<Credential | undefined> {
  const rows = await tx.credential.findMany({
    where: {
      ...{ customerId, service, credentialType: type, operationId },
      ...(target === undefined ? {} : { target }),
      ...(now === undefined ? {} : { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] }),
    },
    take: 2,
  });
  if (rows.length > 1) throw targetRequired();
  return rows[0];
}

export function targetRequired(): CountersignError {
  return new CountersignError(
    'credential_target_required',
    'There are several credentials of this service and type: say for which target.',
  );
}

export function fieldsOf(value: NewCredential['value']): SecretFields {
  if (typeof value === 'string') return { value: new Secret(value) };
  return value instanceof Secret ? { value } : value;
}
