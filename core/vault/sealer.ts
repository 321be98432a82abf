import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';
import { createCustomerKeys, toBuffer, type WrappedKey } from './keys.ts';
import { type CustomerKey, keyVersionOf, openRecord, sealRecord } from './record.ts';

/** Seals anything of a customer under that customer's key: secrets, audit payloads, screenshots. */
export interface Sealer {
  /**
   * `place` says where the value belongs; opening it anywhere else fails.
   * @throws CountersignError `vault_key_missing` (the customer was erased), `vault_key_exhausted`, `randomness_failed`.
   */
  seal(tx: Transaction, customerId: CustomerId, place: readonly string[], plaintext: Buffer): Promise<Sealed>;
  /** @throws CountersignError `vault_authentication_failed`, `vault_format_unknown`, `vault_key_missing` (also: erased). */
  open(tx: Transaction, customerId: CustomerId, place: readonly string[], record: Uint8Array): Promise<Buffer>;
  /** The same where record and key were read together. */
  openUnder(customerId: CustomerId, key: WrappedKey, place: readonly string[], record: Uint8Array): Promise<Buffer>;
}

export interface Sealed {
  readonly record: Buffer;
  /** `v1`, `v2`, …: the version of the customer's key. */
  readonly keyId: string;
}

/** No key is kept between two calls: one that is retired, destroyed or replaced is so for the very next value. */
export function createSealer(rootKeys: RootKeys): Sealer {
  const keys = createCustomerKeys(rootKeys);
  return {
    async seal(tx, customerId, place, plaintext) {
      const key = await keys.active(tx, customerId);
      return using(key, () => ({
        record: sealRecord(key, [customerId, ...place], plaintext),
        keyId: `v${key.version}`,
      }));
    },
    async open(tx, customerId, place, record) {
      const bytes = toBuffer(record);
      const key = await keys.ofVersion(tx, customerId, keyVersionOf(bytes));
      return using(key, () => openRecord(key.bytes, [customerId, ...place], bytes));
    },
    async openUnder(customerId, wrapped, place, record) {
      const bytes = toBuffer(record);
      keyVersionOf(bytes); // an unknown format is refused before any key is asked for
      const key = await keys.unwrap(customerId, wrapped);
      return using(key, () => openRecord(key.bytes, [customerId, ...place], bytes));
    },
  };
}

function using<T>(key: CustomerKey, work: () => T): T {
  try {
    return work();
  } finally {
    key.bytes.fill(0);
  }
}
