import { randomBytes } from 'node:crypto';
import type { Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';
import { associatedData, keyVersionOf, notOpened, openRecord, sealRecord } from './record.ts';

/** Seals anything of a customer under that customer's key: secrets, audit payloads, screenshots. */
export interface Sealer {
  /** `place` says where the value belongs; opening it anywhere else fails. */
  seal(tx: Transaction, customerId: CustomerId, place: readonly string[], plaintext: Buffer): Promise<Sealed>;
  /** @throws CountersignError `vault_authentication_failed`, `vault_key_missing` (also: the customer was erased). */
  open(tx: Transaction, customerId: CustomerId, place: readonly string[], record: Uint8Array): Promise<Buffer>;
}

export interface Sealed {
  readonly record: Buffer;
  /** `v1`, `v2`, …: the version of the customer's key. */
  readonly keyId: string;
}

export function createSealer(rootKeys: RootKeys): Sealer {
  const unwrap = async (customerId: CustomerId, version: number, wrapped: Uint8Array) =>
    rootKeys.unwrap(toBuffer(wrapped), keyContext(customerId, version));

  return {
    async seal(tx, customerId, place, plaintext) {
      const row = (await newestKey(tx, customerId)) ?? (await makeKey(tx, customerId, rootKeys));
      if (row.state !== 'active') throw keyGone(); // erased: it gets no new key either
      const key = await unwrap(customerId, row.version, row.wrapped);
      const record = sealRecord(key, row.version, [customerId, ...place], plaintext);
      key.fill(0);
      return { record, keyId: `v${row.version}` };
    },
    async open(tx, customerId, place, record) {
      const bytes = toBuffer(record);
      const version = keyVersionOf(bytes);
      const row =
        version > LARGEST_VERSION
          ? null
          : await tx.customerKey.findUnique({ where: { customerId_version: { customerId, version } } });
      if (!row) throw notOpened(); // keys stay as rows: a version that never was is a changed record
      if (row.state === 'destroyed') throw keyGone();
      const key = await unwrap(customerId, version, row.wrapped);
      try {
        return openRecord(key, [customerId, ...place], bytes);
      } finally {
        key.fill(0);
      }
    },
  };
}

/** The column is an `integer`. */
const LARGEST_VERSION = 2 ** 31 - 1;

function keyGone(): CountersignError {
  return new CountersignError('vault_key_missing', 'The key of this customer is gone.');
}

function newestKey(tx: Transaction, customerId: CustomerId) {
  return tx.customerKey.findFirst({ where: { customerId, state: 'active' }, orderBy: { version: 'desc' } });
}

async function makeKey(tx: Transaction, customerId: CustomerId, rootKeys: RootKeys) {
  const key = randomBytes(32);
  const wrapped = await rootKeys.wrap(key, keyContext(customerId, 1));
  key.fill(0);
  // Two first uses at once: one row wins, and both read it.
  await tx.customerKey.createMany({
    data: [{ customerId, version: 1, wrapped: Uint8Array.from(wrapped), state: 'active' }],
    skipDuplicates: true,
  });
  return tx.customerKey.findUniqueOrThrow({ where: { customerId_version: { customerId, version: 1 } } });
}

function keyContext(customerId: CustomerId, version: number): Buffer {
  return associatedData(['customer-key/v1', customerId, String(version)]);
}

/** Prisma gives bytea as a plain Uint8Array; this is the same memory. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
