import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { CountersignError } from '../../core/errors.ts';
import type { RootKeys } from '../../core/ports/keys.ts';

export { loadOrMakeRootKey } from './file.ts';

export interface EnvironmentRootKeysConfig {
  /** 32 bytes in base64. New keys are wrapped under this one. */
  readonly current: string;
  /** Earlier ones, newest first: they unwrap, and never wrap. */
  readonly old: readonly string[];
}

interface RootKey {
  readonly id: Buffer;
  /** Wraps; derived, so that the root key itself is used for nothing but deriving. */
  readonly wrapping: Buffer;
  readonly root: Buffer;
}

/** The wrapped form: `format 1 | key id 8 | IV 12 | tag 16 | sealed key 32`. */
const FORMAT = 1;
const ID_BYTES = 8;
/** NIST SP 800-38D: 96-bit IV, 128-bit tag; node:crypto takes shorter tags unless told not to. */
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const IV_START = 1 + ID_BYTES;
const TAG_START = IV_START + IV_BYTES;
const SEALED_START = TAG_START + TAG_BYTES;
const WRAPPED_BYTES = SEALED_START + KEY_BYTES;

/**
 * Root keys that live in the environment (or in a file that the demo keeps). Random IVs under one key are safe for
 * 2^32 wraps (NIST SP 800-38D, 8.3); customers' keys number far fewer.
 * @throws CountersignError `config_invalid` when a key is not 32 bytes in base64.
 */
export function createEnvironmentRootKeys(config: EnvironmentRootKeysConfig): RootKeys {
  const current = rootKey(config.current);
  const keys = [current, ...config.old.map(rootKey)];
  return {
    wrap: async (key, context) => wrap(current, key, context),
    unwrap: async (wrapped, context) => unwrap(keys, wrapped, context),
    isUnderNewest: (wrapped) => isUnder(current, wrapped),
    canUnwrap: (wrapped) => keys.some((key) => isUnder(key, wrapped)),
    derive: (purpose) => keys.map(({ root }) => derive(root, `purpose\0${purpose}`)),
  };
}

function isUnder(key: RootKey, wrapped: Buffer): boolean {
  return wrapped[0] === FORMAT && key.id.equals(wrapped.subarray(1, IV_START));
}

function rootKey(base64: string): RootKey {
  const root = Buffer.from(base64, 'base64');
  if (root.length !== KEY_BYTES || root.toString('base64') !== base64) {
    throw new CountersignError('config_invalid', 'A root key must be exactly 32 bytes long in base64.');
  }
  // The id says nothing about the key: it is a hash of a value derived from it.
  const id = createHash('sha256').update(derive(root, 'id')).digest().subarray(0, ID_BYTES);
  return { id, wrapping: derive(root, 'wrap'), root };
}

/** HKDF-SHA-512 (RFC 5869); the root key is uniformly random, so no salt is needed (section 3.1). */
function derive(root: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha512', root, Buffer.alloc(0), `countersign/root-key/v1/${info}`, KEY_BYTES));
}

function wrap(rootKey: RootKey, key: Buffer, context: Buffer): Buffer {
  if (key.length !== KEY_BYTES) throw new TypeError('only keys of 32 bytes are wrapped');
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', rootKey.wrapping, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated(rootKey.id, context));
  const sealed = Buffer.concat([cipher.update(key), cipher.final()]);
  return Buffer.concat([Buffer.of(FORMAT), rootKey.id, iv, cipher.getAuthTag(), sealed]);
}

function unwrap(keys: readonly RootKey[], wrapped: Buffer, context: Buffer): Buffer {
  if (wrapped.length !== WRAPPED_BYTES || wrapped[0] !== FORMAT) throw unreadable();
  const id = wrapped.subarray(1, IV_START);
  const key = keys.find((candidate) => candidate.id.equals(id));
  if (!key) throw new CountersignError('vault_key_missing', 'No root key with this id is configured.');
  const iv = wrapped.subarray(IV_START, TAG_START);
  const decipher = createDecipheriv('aes-256-gcm', key.wrapping, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated(key.id, context));
  decipher.setAuthTag(wrapped.subarray(TAG_START, SEALED_START));
  const opened = decipher.update(wrapped.subarray(SEALED_START));
  try {
    return Buffer.concat([opened, decipher.final()]);
  } catch {
    throw unreadable();
  } finally {
    opened.fill(0);
  }
}

/** One text for every way of being wrong, so that it tells nobody which one it was. */
function unreadable(): CountersignError {
  return new CountersignError('vault_authentication_failed', 'Failed to decrypt data');
}

/** Length-prefixed, never joined by a separator: ("ab", "c") and ("a", "bc") differ. */
function authenticated(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from('countersign/wrap/v1'), ...parts].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}
