import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export type KeyPermissions = 'read' | 'write' | 'read_write';
export type SignatureMethod = 'HMAC-SHA1' | 'HMAC-SHA256';

/** What anybody may know about a key. A revoked one stays listed here; on the shop's pages it is gone. */
export interface PracticeKey {
  readonly id: number;
  readonly description: string;
  readonly permissions: KeyPermissions;
  /** The last seven characters. */
  readonly consumerKeyEnding: string;
  readonly isRevoked: boolean;
  readonly createdAt: Date;
  readonly lastAccess: Date | undefined;
}

/** The only moment at which a key is known in clear. */
export interface NewKey {
  readonly id: number;
  readonly consumerKey: string;
  readonly consumerSecret: string;
  readonly consumerKeyEnding: string;
}

export interface KeyDraft {
  readonly description: string;
  readonly permissions: KeyPermissions;
}

export interface KeyStore {
  create(draft: KeyDraft): NewKey;
  /** @returns false when there is no such live key. */
  update(id: number, draft: KeyDraft): boolean;
  revoke(id: number): boolean;
  /** Live keys, newest first, whose description contains `search`. */
  live(search?: string): readonly PracticeKey[];
  all(): readonly PracticeKey[];
  byConsumerKey(consumerKey: string): PracticeKey | undefined;
  secretMatches(id: number, consumerSecret: string): boolean;
  /** HMAC of `text` under `consumerSecret&`, in base64. */
  sign(id: number, method: SignatureMethod, text: string): string;
  /** Remembers a nonce. @returns false when this key has used it before. */
  spendNonce(id: number, nonce: string, timestamp: number): boolean;
  touch(id: number): void;
}

interface StoredKey {
  readonly id: number;
  description: string;
  permissions: KeyPermissions;
  readonly consumerKeyHash: string;
  readonly consumerKeyEnding: string;
  readonly secretHash: Buffer;
  readonly signers: Readonly<Record<SignatureMethod, (text: string) => string>>;
  readonly createdAt: Date;
  lastAccess: Date | undefined;
  isRevoked: boolean;
  /** nonce -> its timestamp in seconds. */
  readonly nonces: Map<string, number>;
}

/**
 * Keys as WooCommerce makes them: `ck_` and `cs_` with 40 hexadecimal digits. Neither is kept in clear, so that no
 * test can pass by reading the shop's memory. (WooCommerce itself hashes the consumer key only.)
 */
export function createKeyStore(now: () => Date = () => new Date()): KeyStore {
  const stored = new Map<number, StoredKey>();
  const live = (id: number): StoredKey | undefined => {
    const key = stored.get(id);
    return key?.isRevoked ? undefined : key;
  };
  const known = (id: number): StoredKey => {
    const key = live(id);
    if (!key) throw new Error(`practice shop: no live key ${id}`);
    return key;
  };
  return {
    create(draft) {
      const consumerKey = `ck_${randomBytes(20).toString('hex')}`;
      const consumerSecret = `cs_${randomBytes(20).toString('hex')}`;
      const key = seal(stored.size + 1, draft, consumerKey, consumerSecret, now());
      stored.set(key.id, key);
      return { id: key.id, consumerKey, consumerSecret, consumerKeyEnding: key.consumerKeyEnding };
    },
    update(id, draft) {
      const key = live(id);
      if (key) Object.assign(key, draft);
      return key !== undefined;
    },
    revoke(id) {
      const key = live(id);
      if (key) key.isRevoked = true;
      return key !== undefined;
    },
    live(search = '') {
      const wanted = search.toLowerCase();
      const keys = [...stored.values()].filter((key) => !key.isRevoked);
      return keys
        .filter((key) => key.description.toLowerCase().includes(wanted))
        .reverse()
        .map(view);
    },
    all: () => [...stored.values()].map(view),
    byConsumerKey(consumerKey) {
      const hash = sha256(consumerKey).toString('hex');
      const key = [...stored.values()].find((one) => one.consumerKeyHash === hash && !one.isRevoked);
      return key && view(key);
    },
    secretMatches: (id, consumerSecret) => timingSafeEqual(known(id).secretHash, sha256(consumerSecret)),
    sign: (id, method, text) => known(id).signers[method](text),
    spendNonce: (id, nonce, timestamp) => spendNonce(known(id).nonces, nonce, timestamp, now().getTime() / 1000),
    touch(id) {
      known(id).lastAccess = now();
    },
  };
}

/** A timestamp is good for 15 minutes either way, and a nonce is remembered for as long. Source: WooCommerce. */
export const TIMESTAMP_WINDOW_SECONDS = 15 * 60;

function spendNonce(nonces: Map<string, number>, nonce: string, timestamp: number, nowSeconds: number): boolean {
  for (const [old, at] of nonces) if (at < nowSeconds - TIMESTAMP_WINDOW_SECONDS) nonces.delete(old);
  if (nonces.has(nonce)) return false;
  nonces.set(nonce, timestamp);
  return true;
}

function seal(id: number, draft: KeyDraft, consumerKey: string, consumerSecret: string, createdAt: Date): StoredKey {
  const signingKey = `${consumerSecret}&`;
  return {
    id,
    description: draft.description,
    permissions: draft.permissions,
    consumerKeyHash: sha256(consumerKey).toString('hex'),
    consumerKeyEnding: consumerKey.slice(-7),
    secretHash: sha256(consumerSecret),
    signers: { 'HMAC-SHA1': createSigner('sha1', signingKey), 'HMAC-SHA256': createSigner('sha256', signingKey) },
    createdAt,
    lastAccess: undefined,
    isRevoked: false,
    nonces: new Map(),
  };
}

/**
 * HMAC (RFC 2104) of which only the two hash states after the key's block are kept: enough to check a signature, and
 * the key can't be read back from them. The block of SHA-1 and SHA-256 is 64 bytes; a signing key here has 44.
 */
function createSigner(algorithm: 'sha1' | 'sha256', key: string): (text: string) => string {
  const block = Buffer.alloc(64);
  block.write(key, 'utf8');
  const inner = createHash(algorithm).update(block.map((byte) => byte ^ 0x36));
  const outer = createHash(algorithm).update(block.map((byte) => byte ^ 0x5c));
  block.fill(0);
  return (text) => outer.copy().update(inner.copy().update(text).digest()).digest('base64');
}

function view(key: StoredKey): PracticeKey {
  const { id, description, permissions, consumerKeyEnding, isRevoked, createdAt, lastAccess } = key;
  return { id, description, permissions, consumerKeyEnding, isRevoked, createdAt, lastAccess };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
