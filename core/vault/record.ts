import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { CountersignError } from '../errors.ts';

/**
 * One sealed value as one self-describing `bytea`:
 * `format 1 | suite 1 | key version 4 | wrap IV 12 | wrap tag 16 | wrapped data key 32 | salt 32 | commitment 32 | IV 12 | tag 16 | ciphertext`.
 * A fresh data key a value; HKDF-SHA-512 (RFC 5869) makes it an encryption key and a commitment, because AES-GCM
 * (NIST SP 800-38D) alone does not commit to its key.
 */
const FORMAT = 1;
const SUITE_AES_256_GCM_HKDF_SHA512 = 1;
const HEAD_BYTES = 1 + 1 + 4 + 12 + 16 + 32 + 32 + 32 + 12 + 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Length-prefixed, so that ("ab", "c") and ("a", "bc") differ. Each part at most 2^32-1 bytes of UTF-8. */
export function associatedData(parts: readonly string[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** Seals under a customer's 32-byte key; `parts` bind the record to its place and must be given again to open it. */
export function sealRecord(
  customerKey: Buffer,
  keyVersion: number,
  parts: readonly string[],
  plaintext: Buffer,
): Buffer {
  const aad = associatedData(['vault/v1', ...parts, String(keyVersion)]);
  const dataKey = randomBytes(KEY_BYTES);
  const salt = randomBytes(KEY_BYTES);
  const wrapped = encrypt(customerKey, aad, dataKey);
  const { key, commitment } = derive(dataKey, salt, aad);
  const sealed = encrypt(key, aad, plaintext);
  const version = Buffer.alloc(4);
  version.writeUInt32BE(keyVersion);
  const record = Buffer.concat([
    Buffer.from([FORMAT, SUITE_AES_256_GCM_HKDF_SHA512]),
    version,
    wrapped.iv,
    wrapped.tag,
    wrapped.ciphertext,
    salt,
    commitment,
    sealed.iv,
    sealed.tag,
    sealed.ciphertext,
  ]);
  for (const secret of [dataKey, key]) secret.fill(0);
  return record;
}

/** Which version of the customer's key opens this record. @throws CountersignError `vault_format_unknown`. */
export function keyVersionOf(record: Buffer): number {
  if (record.length < HEAD_BYTES || record[0] !== FORMAT || record[1] !== SUITE_AES_256_GCM_HKDF_SHA512)
    throw new CountersignError(
      'vault_format_unknown',
      'This sealed value has a format that this version does not open.',
    );
  return record.readUInt32BE(2);
}

/** @throws CountersignError `vault_authentication_failed` for a wrong key, place, or a changed bit: always the same words. */
export function openRecord(customerKey: Buffer, parts: readonly string[], record: Buffer): Buffer {
  const aad = associatedData(['vault/v1', ...parts, String(keyVersionOf(record))]);
  let at = 6;
  const take = (length: number) => {
    const part = record.subarray(at, at + length);
    at += length;
    return part;
  };
  const wrapIv = take(IV_BYTES);
  const wrapTag = take(TAG_BYTES);
  const wrappedKey = take(KEY_BYTES);
  const salt = take(KEY_BYTES);
  const commitment = take(KEY_BYTES);
  const iv = take(IV_BYTES);
  const tag = take(TAG_BYTES);
  const ciphertext = record.subarray(at);
  const used: Buffer[] = [];
  try {
    const dataKey = decrypt(customerKey, aad, wrapIv, wrapTag, wrappedKey);
    const derived = derive(dataKey, salt, aad);
    used.push(dataKey, derived.key);
    if (!timingSafeEqual(derived.commitment, commitment)) throw notOpened();
    return decrypt(derived.key, aad, iv, tag, ciphertext);
  } catch {
    throw notOpened();
  } finally {
    for (const secret of used) secret.fill(0);
  }
}

/** No cause: which of the checks failed is nobody's business. */
export function notOpened(): CountersignError {
  return new CountersignError('vault_authentication_failed', 'A sealed value could not be opened. Nothing was read.');
}

function derive(dataKey: Buffer, salt: Buffer, info: Buffer): { key: Buffer; commitment: Buffer } {
  const bytes = Buffer.from(hkdfSync('sha512', dataKey, salt, info, 2 * KEY_BYTES));
  return { key: bytes.subarray(0, KEY_BYTES), commitment: bytes.subarray(KEY_BYTES) };
}

function encrypt(key: Buffer, aad: Buffer, plaintext: Buffer): { iv: Buffer; tag: Buffer; ciphertext: Buffer } {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { iv, tag: cipher.getAuthTag(), ciphertext };
}

function decrypt(key: Buffer, aad: Buffer, iv: Buffer, tag: Buffer, ciphertext: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const unverified = decipher.update(ciphertext);
  try {
    return Buffer.concat([unverified, decipher.final()]);
  } finally {
    unverified.fill(0);
  }
}
