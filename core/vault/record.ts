import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { type RandomSource, systemRandom } from './random.ts';

/**
 * One sealed value as one self-describing `bytea`:
 * `format 1 | suite 1 | key version 4 | wrap IV 12 | wrap tag 16 | wrapped data key 32 | salt 32 | commitment 32 | IV 12 | tag 16 | ciphertext`.
 * A fresh data key a value; HKDF-SHA-512 (RFC 5869) makes it an encryption key and a commitment, because AES-GCM
 * (NIST SP 800-38D) alone does not commit to its key. The wrap is bound to its place and key version, the payload to its
 * place alone, so that a new key version takes a new wrap and leaves the payload as it is.
 *
 * Format 1 bound the payload to the key version, too: it could not be rewrapped, and is retired. Nothing but this format
 * and suite is opened, so there is nothing to fall back to.
 */
const FORMAT = 2;
const SUITE_AES_256_GCM_HKDF_SHA512 = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** From here on a record is the payload, which rewrapping leaves untouched. */
const PAYLOAD_START = 1 + 1 + 4 + IV_BYTES + TAG_BYTES + KEY_BYTES;
const HEAD_BYTES = PAYLOAD_START + KEY_BYTES + KEY_BYTES + IV_BYTES + TAG_BYTES;

/** A version of a customer's key in clear, 32 bytes: whoever asked for it fills it with zeros. */
export interface CustomerKey {
  readonly version: number;
  readonly bytes: Buffer;
}

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

/**
 * Seals under a customer's key; `parts` bind the record to its place and must be given again to open it.
 * @throws CountersignError `randomness_failed`.
 */
export function sealRecord(
  customerKey: CustomerKey,
  parts: readonly string[],
  plaintext: Buffer,
  random: RandomSource = systemRandom,
): Buffer {
  const drawn = random(KEY_BYTES + IV_BYTES + IV_BYTES + KEY_BYTES);
  const salt = drawn.subarray(0, KEY_BYTES);
  const wrapIv = drawn.subarray(KEY_BYTES, KEY_BYTES + IV_BYTES);
  const iv = drawn.subarray(KEY_BYTES + IV_BYTES, KEY_BYTES + 2 * IV_BYTES);
  const dataKey = drawn.subarray(KEY_BYTES + 2 * IV_BYTES);
  const wrapped = encrypt(customerKey.bytes, wrapIv, wrapData(parts, customerKey.version), dataKey);
  const aad = payloadData(parts);
  const { key, commitment } = derive(dataKey, salt, aad);
  const sealed = encrypt(key, iv, aad, plaintext);
  const record = Buffer.concat([
    head(customerKey.version),
    ...[wrapIv, wrapped.tag, wrapped.ciphertext],
    ...[salt, commitment],
    ...[iv, sealed.tag, sealed.ciphertext],
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

/**
 * The value, in a buffer of its own: whoever asked for it fills it with zeros.
 * @throws CountersignError `vault_authentication_failed` for a wrong key, place, or a changed bit: always the same words.
 */
export function openRecord(customerKey: Buffer, parts: readonly string[], record: Buffer): Buffer {
  const version = keyVersionOf(record);
  let at = PAYLOAD_START;
  const take = (length: number) => {
    const part = record.subarray(at, at + length);
    at += length;
    return part;
  };
  const [salt, commitment, iv, tag] = [take(KEY_BYTES), take(KEY_BYTES), take(IV_BYTES), take(TAG_BYTES)];
  const ciphertext = record.subarray(at);
  const aad = payloadData(parts);
  const used: Buffer[] = [];
  try {
    const dataKey = unwrapDataKey(customerKey, parts, version, record);
    const derived = derive(dataKey, salt, aad);
    used.push(dataKey, derived.key);
    if (!timingSafeEqual(derived.commitment, commitment)) throw notOpened();
    return decrypt(derived.key, iv, aad, tag, ciphertext);
  } catch {
    throw notOpened();
  } finally {
    for (const secret of used) secret.fill(0);
  }
}

/**
 * The same record with its data key wrapped under another version of the customer's key; its payload's bytes stay.
 * @throws CountersignError `vault_authentication_failed` when `from` does not unwrap it in this place, `vault_format_unknown`.
 */
export function rewrapRecord(
  from: Buffer,
  to: CustomerKey,
  parts: readonly string[],
  record: Buffer,
  random: RandomSource = systemRandom,
): Buffer {
  const dataKey = unwrapDataKey(from, parts, keyVersionOf(record), record);
  try {
    const wrapIv = random(KEY_BYTES).subarray(0, IV_BYTES);
    const wrapped = encrypt(to.bytes, wrapIv, wrapData(parts, to.version), dataKey);
    return Buffer.concat([
      head(to.version),
      ...[wrapIv, wrapped.tag, wrapped.ciphertext],
      record.subarray(PAYLOAD_START),
    ]);
  } finally {
    dataKey.fill(0);
  }
}

/** No cause: which of the checks failed is nobody's business. */
export function notOpened(): CountersignError {
  return new CountersignError('vault_authentication_failed', 'A sealed value could not be opened. Nothing was read.');
}

function head(keyVersion: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt8(FORMAT, 0);
  bytes.writeUInt8(SUITE_AES_256_GCM_HKDF_SHA512, 1);
  bytes.writeUInt32BE(keyVersion, 2);
  return bytes;
}

function wrapData(parts: readonly string[], keyVersion: number): Buffer {
  return associatedData(['vault/v2/wrap', ...parts, String(keyVersion)]);
}

function payloadData(parts: readonly string[]): Buffer {
  return associatedData(['vault/v2/payload', ...parts]);
}

function unwrapDataKey(customerKey: Buffer, parts: readonly string[], keyVersion: number, record: Buffer): Buffer {
  const iv = record.subarray(6, 6 + IV_BYTES);
  const tag = record.subarray(6 + IV_BYTES, 6 + IV_BYTES + TAG_BYTES);
  const wrapped = record.subarray(6 + IV_BYTES + TAG_BYTES, PAYLOAD_START);
  return decrypt(customerKey, iv, wrapData(parts, keyVersion), tag, wrapped);
}

/** HKDF-SHA-512 (RFC 5869): 32 bytes to encrypt with and 32 that commit to the data key. */
export function derive(dataKey: Buffer, salt: Buffer, info: Buffer): { key: Buffer; commitment: Buffer } {
  const bytes = Buffer.from(hkdfSync('sha512', dataKey, salt, info, 2 * KEY_BYTES));
  return { key: bytes.subarray(0, KEY_BYTES), commitment: bytes.subarray(KEY_BYTES) };
}

/** AES-256-GCM as everything here uses it: 96-bit IV, 128-bit tag. */
export function encrypt(key: Buffer, iv: Buffer, aad: Buffer, plaintext: Buffer): { tag: Buffer; ciphertext: Buffer } {
  requireIv(iv);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { tag: cipher.getAuthTag(), ciphertext };
}

/** The other way round. @throws CountersignError `vault_authentication_failed`; no unverified byte is left behind. */
export function decrypt(key: Buffer, iv: Buffer, aad: Buffer, tag: Buffer, ciphertext: Buffer): Buffer {
  requireIv(iv);
  try {
    // node:crypto takes shorter tags unless it is told their length.
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad);
    decipher.setAuthTag(tag);
    const unverified = decipher.update(ciphertext); // all of it: GCM holds nothing back for final()
    try {
      decipher.final();
      return unverified;
    } catch (error) {
      unverified.fill(0);
      throw error;
    }
  } catch {
    throw notOpened();
  }
}

/** NIST SP 800-38D, 5.2.1.1: other lengths are hashed, which brings collisions nearer. */
function requireIv(iv: Buffer): void {
  if (iv.length !== IV_BYTES) throw notOpened();
}
