import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import { Stopped } from '../operations/stopped.ts';
import type { Secret } from '../secret.ts';
import { binding, type CredentialType, placeOf, type StoredCredential, toStored } from './credential.ts';
import { asSecrets, decodeFields, encodeFields, type OpenedFields, type SecretFields } from './fields.ts';
import { toBuffer } from './keys.ts';
import { notOpened } from './record.ts';
import {
  fieldsOf,
  type NewCredential,
  only,
  put,
  recordsIn,
  targetRequired,
  type VaultRecords,
  type Where,
} from './records.ts';
import type { Sealer } from './sealer.ts';

export type { CredentialPlace, CredentialType, StoredCredential } from './credential.ts';
export { asSecrets, type OpenedFields, type SecretFields } from './fields.ts';
export type { NewCredential, VaultRecords, Where } from './records.ts';

/** Who reads, and what for: on record with the reading. */
export interface Reader {
  readonly actor?: MemberId;
  /** The operation that it is read for. */
  readonly forOperation?: OperationId;
  /** The fence that the reader holds on that operation: with another one nothing is read. */
  readonly fence?: bigint;
  /** Such as `step 2`: in the chain for good, so nothing personal. */
  readonly why: string;
  /** `credential.revealed` where a person sees it. */
  readonly kind?: 'credential.opened' | 'credential.revealed';
}

export interface CredentialRef extends Where, Reader {
  readonly customerId: CustomerId;
  readonly service: string;
  readonly type: CredentialType;
}

export interface RevealedCredential extends StoredCredential {
  /** The field `value`, or the first of several. */
  readonly value: Secret;
  readonly fields: SecretFields;
}

/**
 * Sealed secrets of customers. Called by themselves, these methods are a transaction each, with an audit entry for each
 * change; `within` gives the same ones inside a transaction of the caller's.
 */
export interface Vault extends Omit<VaultRecords, 'hold' | 'exchange' | 'copySignIn'> {
  within(tx: Transaction): VaultRecords;
  /**
   * Opens a secret for as long as `use` runs; then its bytes are filled with zeros. One round trip: row, key and audit
   * entry, which is committed before anything is opened. `null` when absent or expired, by the database's clock.
   * @throws CountersignError `credential_target_required`, `vault_authentication_failed`, `vault_key_missing`;
   * Stopped `moved` when the fence is another one.
   */
  open<T>(
    ref: CredentialRef,
    use: (fields: OpenedFields, stored: StoredCredential) => T | Promise<T>,
  ): Promise<T | null>;
  /** As `open`, for whoever needs text that outlives a callback. */
  get(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    options?: Where & Partial<Reader>,
  ): Promise<RevealedCredential | null>;
  /**
   * Seals the secret anew: under a fresh data key and the customer's newest key, as its next version; with `value`, the
   * vendor's new one takes its place. @throws CountersignError `credential_not_found`, `credential_target_required`.
   */
  rotate(
    customerId: CustomerId,
    service: string,
    type: CredentialType,
    options?: Where & Partial<Pick<NewCredential, 'value'>> & Pick<Partial<Reader>, 'actor'>,
  ): Promise<StoredCredential>;
  /** Whether it is there, has not expired and opens. */
  verify(customerId: CustomerId, service: string, type: CredentialType, where?: Where): Promise<boolean>;
  /** Marks results of all customers that were sealed longer ago than that. @returns how many were marked. */
  markStaleCredentialsForRotation(days?: number): Promise<number>;
  /** Of all customers, or of one. */
  getCredentialsRequiringRotation(customerId?: CustomerId): Promise<readonly StoredCredential[]>;
}

const DEFAULT_ROTATION_DAYS = 90;
/** The function of the database puts the row's id in its place. */
const ID_TO_COME = '00000000-0000-0000-0000-000000000000';

export function createVault(deps: { database: Database; directory: Directory; sealer: Sealer; audit: Audit }): Vault {
  const { database, directory, sealer, audit } = deps;
  const alone = <T>(customerId: CustomerId, work: (tx: Transaction, records: VaultRecords) => Promise<T>) =>
    database.withCustomer(customerId, (tx) => work(tx, recordsIn(tx, deps)));

  const open: Vault['open'] = async (ref, use) => {
    const found = await read(database, audit, ref);
    if (!found) return null;
    const { stored, record, secretVersion, key } = found;
    const place = binding(stored.id, placeOf(stored), secretVersion, stored.expiresAt);
    const plain = await sealer.openUnder(ref.customerId, key, place, record);
    try {
      return await use(decodeFields(plain), stored);
    } finally {
      plain.fill(0);
    }
  };

  return {
    open,
    within: (tx) => recordsIn(tx, deps),
    store: (customerId, service, type, secret) =>
      alone(customerId, async (tx, records) => {
        const stored = await records.store(customerId, service, type, secret);
        await audit.append(tx, customerId, entryOf('credential.stored', stored));
        return stored;
      }),
    delete: (customerId, service, type, where) =>
      alone(customerId, async (tx, records) => {
        const row = await only(tx, customerId, service, type, where ?? {});
        if (!row || !(await records.delete(customerId, service, type, { ...where, target: row.target }))) return false;
        await audit.append(tx, customerId, entryOf('credential.deleted', toStored(row)));
        return true;
      }),
    find: (customerId, ...rest) => alone(customerId, (_, records) => records.find(customerId, ...rest)),
    list: (customerId, service) => alone(customerId, (_, records) => records.list(customerId, service)),
    byId: (customerId, id) => alone(customerId, (_, records) => records.byId(customerId, id)),
    resultOf: (customerId, id) => alone(customerId, (_, records) => records.resultOf(customerId, id)),
    deleteSignIn: (customerId, id) => alone(customerId, (_, records) => records.deleteSignIn(customerId, id)),
    get: (customerId, service, type, options = {}) =>
      open({ why: 'get', ...options, customerId, service, type }, (opened, stored) => {
        const fields = asSecrets(opened);
        const value = fields.value ?? Object.values(fields)[0];
        if (!value) throw notOpened();
        return { ...stored, value, fields };
      }),
    rotate: (customerId, service, type, { value, actor, ...where } = {}) =>
      alone(customerId, async (tx) => {
        const row = await lockedRow(tx, customerId, service, type, where);
        const place = placeOf(toStored(row));
        const { id, secretVersion, expiresAt, encryptedCredential } = row;
        const plain =
          value === undefined
            ? await sealer.open(tx, customerId, binding(id, place, secretVersion, expiresAt), encryptedCredential)
            : encodeFields(fieldsOf(value));
        const { metadata } = toStored(row);
        const stored = await put(tx, deps, customerId, place, plain, { old: row, expiresAt, metadata }).finally(() =>
          plain.fill(0),
        );
        await audit.append(tx, customerId, { ...entryOf('credential.rotated', stored), ...(actor ? { actor } : {}) });
        return stored;
      }),
    verify: (customerId, service, type, where = {}) =>
      open({ ...where, customerId, service, type, why: 'check' }, () => true).then(
        (isOpen) => isOpen ?? false,
        (error: unknown) => {
          if (error instanceof CountersignError && UNREADABLE.includes(error.code)) return false;
          throw error;
        },
      ),
    async markStaleCredentialsForRotation(days = DEFAULT_ROTATION_DAYS) {
      let marked = 0;
      for (const customerId of await directory.customers())
        marked += await alone(
          customerId,
          (tx) => tx.$executeRaw`
            UPDATE autonomous_credentials SET rotation_required = true
            WHERE customer_id = ${customerId}::uuid AND operation_id IS NULL AND NOT rotation_required
              AND coalesce(last_rotated_at, created_at) < app.now() - make_interval(days => ${days}::int)`,
        );
      return marked;
    },
    async getCredentialsRequiringRotation(customerId) {
      const due: StoredCredential[] = [];
      for (const id of customerId === undefined ? await directory.customers() : [customerId])
        due.push(...(await alone(id, (_, records) => records.list(id))).filter((stored) => stored.rotationRequired));
      return due;
    },
  };
}

const UNREADABLE: readonly string[] = ['vault_authentication_failed', 'vault_format_unknown', 'vault_key_missing'];

function entryOf(kind: 'credential.stored' | 'credential.deleted' | 'credential.rotated', stored: StoredCredential) {
  return { kind, credentialId: stored.id, credentialType: stored.credentialType } as const;
}

async function lockedRow(tx: Transaction, customerId: CustomerId, service: string, type: CredentialType, where: Where) {
  const seen = await only(tx, customerId, service, type, where);
  // Two rotations, or one and a rewrap: the second waits, and seals what the first has left.
  await tx.$executeRaw`
    SELECT FROM autonomous_credentials WHERE customer_id = ${customerId}::uuid AND id = ${seen?.id ?? ID_TO_COME}::uuid FOR UPDATE`;
  const row = seen && (await tx.credential.findUnique({ where: { customerId_id: { customerId, id: seen.id } } }));
  if (!row) throw new CountersignError('credential_not_found', 'Credential not found for rotation');
  return row;
}

const bytes = z.instanceof(Uint8Array);
const foundRow = z.object({
  outcome: z.literal('found'),
  id: z.string(),
  service: z.string(),
  target: z.string(),
  credential_type: z.string(),
  operation_id: z.string().nullable(),
  record: bytes,
  secret_version: z.int(),
  expires_at: z.date().nullable(),
  last_rotated_at: z.date().nullable(),
  rotation_required: z.boolean(),
  metadata: z.record(z.string(), z.string()),
  created_at: z.date(),
  /** All null where the row names a key that never was. */
  key_version: z.int().nullable(),
  key_wrapped: bytes.nullable(),
  key_state: z.string().nullable(),
});
const readRows = z.tuple([
  z.discriminatedUnion('outcome', [
    foundRow,
    ...(['absent', 'several', 'moved'] as const).map((outcome) => z.object({ outcome: z.literal(outcome) })),
  ]),
]);

/** Row, key and audit entry in one round trip: see app.open_credential. */
async function read(database: Database, audit: Audit, ref: CredentialRef) {
  const { customerId, service, type, target, operationId = null, forOperation, actor, fence, why } = ref;
  const entry = audit.headerOnly(customerId, {
    kind: ref.kind ?? 'credential.opened',
    ...(forOperation ? { operationId: forOperation } : {}),
    ...(actor ? { actor } : {}),
    ...{ credentialId: ID_TO_COME, credentialType: type, why },
  });
  const rows = await database.callAs(
    customerId,
    (context) => Prisma.sql`SELECT * FROM app.open_credential(${context}, ${service}, ${target ?? null}, ${type},
      ${operationId}, ${forOperation ?? null}, ${fence ?? null}::bigint, ${entry.header})`,
  );
  const [row] = readRows.parse(rows);
  switch (row.outcome) {
    case 'absent':
      return undefined;
    case 'several':
      throw targetRequired();
    case 'moved':
      throw new Stopped('moved', 'Somebody else moved the operation');
    case 'found':
      break;
    default:
      return row satisfies never;
  }
  entry.appended();
  if (row.key_version === null || row.key_wrapped === null || row.key_state === null) throw notOpened();
  return {
    stored: toStored({
      ...row,
      customerId,
      credentialType: row.credential_type,
      operationId: row.operation_id,
      secretVersion: row.secret_version,
      credentialMetadata: row.metadata,
      expiresAt: row.expires_at,
      lastRotatedAt: row.last_rotated_at,
      rotationRequired: row.rotation_required,
      createdAt: row.created_at,
    }),
    record: toBuffer(row.record),
    secretVersion: row.secret_version,
    key: { version: row.key_version, wrapped: row.key_wrapped, state: row.key_state },
  };
}
