/**
 * The root key that seals every customer's keys. The shape fits a cloud KMS: the key itself never crosses this port.
 * Reference: NIST SP 800-57 part 1 (key-encrypting keys).
 */
export interface RootKeys {
  /** Wraps a 32-byte key under the newest root key; `context` is authenticated, not stored. */
  wrap(key: Buffer, context: Buffer): Promise<Buffer>;
  /** @throws CountersignError `vault_key_missing` (root key unknown) or `vault_authentication_failed`. */
  unwrap(wrapped: Buffer, context: Buffer): Promise<Buffer>;
  /** Whether this was wrapped under the newest root key, so that an older one is not needed for it. */
  isUnderNewest(wrapped: Buffer): boolean;
  /** Whether the root key that this was wrapped under is known here; it may still not unwrap. */
  canUnwrap(wrapped: Buffer): boolean;
  /** 32 bytes for one named purpose (HKDF-SHA-512 of the root key), newest root key first, then the older ones. */
  derive(purpose: string): readonly Buffer[];
}
