import { randomBytes, randomInt } from 'node:crypto';
import { z } from 'zod';
import { type Transaction, vouchingWith } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';
import { associatedData, type CustomerKey, notOpened } from './record.ts';

/**
 * How often one version of a customer's key may wrap: half of what NIST SP 800-38D, 8.3, allows for random 96-bit IVs
 * (2^32), because the count is an estimate. Upkeep rotates at half of that again.
 */
export const MOST_SEALS = 2n ** 31n;

/**
 * One seal in this many is counted, as so many: an unbiased estimate that costs one UPDATE in 4,096 seals, over any number
 * of processes. At 2^31 its standard deviation is 2^21.5, 0.14 %.
 */
const SAMPLE = 4096;

/** A key as its row holds it. */
export interface WrappedKey {
  readonly version: number;
  readonly wrapped: Uint8Array;
  readonly state: string;
}

/** The keys of customers, versioned: their rows, and the root key that wraps them. */
export interface CustomerKeys {
  /**
   * The version to seal under, made on first use. Until `tx` ends nobody destroys it, though it may be retired.
   * @throws CountersignError `vault_key_missing` (the customer was erased), `vault_key_exhausted`.
   */
  active(tx: Transaction, customerId: CustomerId): Promise<CustomerKey>;
  /** @throws CountersignError `vault_key_missing` (destroyed), `vault_authentication_failed` (never was). */
  ofVersion(tx: Transaction, customerId: CustomerId, version: number): Promise<CustomerKey>;
  /** @throws CountersignError `vault_key_missing` (destroyed), `vault_authentication_failed` (wrapped for another place). */
  unwrap(customerId: CustomerId, key: WrappedKey): Promise<CustomerKey>;
  /** Makes a version and inserts it as the active one, unless there is one already. */
  make(tx: Transaction, customerId: CustomerId, version: number): Promise<void>;
}

const activeRows = z.array(z.object({ version: z.int(), wrapped: z.instanceof(Uint8Array), seals: z.bigint() }));

/** The column is an `integer`. */
const LARGEST_VERSION = 2 ** 31 - 1;

/** `sample`: one seal in this many is counted, as so many. */
export function createCustomerKeys(rootKeys: RootKeys, sample = SAMPLE): CustomerKeys {
  const keys: CustomerKeys = {
    async active(tx, customerId) {
      const row = (await newest(tx, customerId)) ?? (await first(tx, customerId));
      if (!row) throw keyGone(); // erased: it gets no new key either
      if (row.seals >= MOST_SEALS)
        throw new CountersignError(
          'vault_key_exhausted',
          'The key of this customer has sealed as much as one key safely can: rotate it. Nothing was sealed.',
        );
      if (randomInt(sample) === 0) await countSeals(tx, customerId, row.version, sample);
      return keys.unwrap(customerId, { ...row, state: 'active' });
    },
    async ofVersion(tx, customerId, version) {
      const row =
        version > LARGEST_VERSION
          ? null
          : await tx.customerKey.findUnique({ where: { customerId_version: { customerId, version } } });
      if (!row) throw notOpened(); // keys stay as rows: a version that never was is a changed record
      return keys.unwrap(customerId, row);
    },
    async unwrap(customerId, { version, wrapped, state }) {
      if (state === 'destroyed') throw keyGone();
      return { version, bytes: await rootKeys.unwrap(toBuffer(wrapped), keyContext(customerId, version)) };
    },
    async make(tx, customerId, version) {
      const key = randomBytes(32);
      const wrapped = await rootKeys.wrap(key, keyContext(customerId, version));
      key.fill(0);
      await vouchingWith(rootKeys)(tx, 'key', customerId, keyWord(version, 'active', wrapped));
      // Two first uses at once: one row wins, and both read it.
      await tx.customerKey.createMany({
        data: [{ customerId, version, wrapped: Uint8Array.from(wrapped), state: 'active' }],
        skipDuplicates: true,
      });
    },
  };
  return keys;

  async function first(tx: Transaction, customerId: CustomerId) {
    const isNew = (await tx.customerKey.count({ where: { customerId } })) === 0;
    if (isNew) await keys.make(tx, customerId, 1);
    return newest(tx, customerId);
  }
}

/** What a wrapped key is bound to. */
export function keyContext(customerId: CustomerId, version: number): Buffer {
  return associatedData(['customer-key/v1', customerId, String(version)]);
}

/** What is vouched for before a key's row becomes this; `wrapped` is absent where it stays, or goes. */
export function keyWord(version: number, state: string, wrapped?: Buffer): string {
  return `${version}|${state}|${wrapped?.toString('hex') ?? ''}`;
}

export async function countSeals(
  tx: Transaction,
  customerId: CustomerId,
  version: number,
  seals: number,
): Promise<void> {
  await tx.customerKey.updateMany({ where: { customerId, version }, data: { seals: { increment: seals } } });
}

/** Prisma gives bytea as a plain Uint8Array; this is the same memory. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Held until `tx` ends: see app.active_key. */
async function newest(tx: Transaction, customerId: CustomerId) {
  return activeRows.parse(await tx.$queryRaw`SELECT * FROM app.active_key(${customerId}::uuid)`)[0];
}

function keyGone(): CountersignError {
  return new CountersignError('vault_key_missing', 'The key of this customer is gone.');
}
