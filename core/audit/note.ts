import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { CustomerId } from '../ids.ts';
import type { RootKeys } from '../ports/keys.ts';

/**
 * A checkpoint as a signed note (C2SP signed-note, https://c2sp.org/signed-note) in the manner of a transparency log's
 * (https://c2sp.org/tlog-checkpoint): origin, size, hash, then lines of our own. The hash is that of the last entry instead
 * of a Merkle root, since each entry holds the one before it.
 */
export interface Checkpoint {
  readonly customerId: CustomerId;
  readonly seq: bigint;
  readonly hash: Buffer;
  readonly at: Date;
  /** SHA-256 of the whole note before this one, so that none can be taken out unseen; `undefined` for the first. */
  readonly previous: Buffer | undefined;
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: string;
  /** The key that signed it, as in `Verifier.id`; `undefined`: no key that is known. */
  readonly keyId: string | undefined;
}

export interface Signer {
  readonly verifier: Verifier;
  readonly key: KeyObject;
}

export interface Verifier {
  /** 8 hex digits: the first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key). */
  readonly id: string;
  /** `<name>+<id>+<base64 of 0x01 || public key>`: how keys are exported. */
  readonly text: string;
  readonly key: KeyObject;
}

const PURPOSE = 'countersign/checkpoint/v1';
const KEY_NAME = 'countersign-audit';
const ORIGIN = 'countersign/audit/';
const ED25519 = 1; // C2SP signed-note, signature types
/** PKCS #8 and SubjectPublicKeyInfo of Ed25519 up to the 32 bytes of the key: RFC 8410, section 7 and 4. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;
const ID_BYTES = 4;

/** Ed25519 keys (RFC 8032) whose seeds are derived from the root keys: the newest one signs, and changes with the root key. */
export function checkpointSigners(rootKeys: RootKeys): readonly Signer[] {
  return rootKeys.derive(PURPOSE).map((seed) => {
    const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    return { key, verifier: verifierOf(KEY_NAME, spki.subarray(SPKI.length)) };
  });
}

/** @returns `undefined` for a text that is no exported key. */
export function parseVerifier(text: string): Verifier | undefined {
  const [, name = '', id, encoded = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text.trim()) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined;
  const verifier = verifierOf(name, bytes.subarray(1));
  return verifier.id === id ? verifier : undefined;
}

function verifierOf(name: string, publicKey: Buffer): Verifier {
  const encoded = Buffer.concat([Buffer.of(ED25519), publicKey]);
  const id = createHash('sha256')
    .update(`${name}\n`)
    .update(encoded)
    .digest('hex')
    .slice(0, 2 * ID_BYTES);
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
  return { id, text: `${name}+${id}+${encoded.toString('base64')}`, key };
}

export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
  const { customerId, seq, hash, at, previous } = checkpoint;
  const text = [
    `${ORIGIN}${customerId}`,
    String(seq),
    hash.toString('base64'),
    `time ${at.toISOString()}`,
    `previous ${previous?.toString('base64') ?? 'none'}`,
    '',
  ].join('\n');
  return signNote(text, signer);
}

/** The text, which ends with a line feed, and beneath it the signature. */
export function signNote(text: string, { key, verifier }: Signer): string {
  const signature = Buffer.concat([Buffer.from(verifier.id, 'hex'), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${KEY_NAME} ${signature.toString('base64')}\n`;
}

/** @returns whose signature of the text it is; `undefined`: of none of these keys, not good, or spelled in another way. */
export function signerOf(note: string, verifiers: readonly Verifier[]): Verifier | undefined {
  const text = note.slice(0, note.lastIndexOf('\n\n— ') + 1);
  const [, name, signed = ''] = /^\n— (\S+) ([A-Za-z0-9+/]+=*)\n$/.exec(note.slice(text.length)) ?? [];
  const bytes = Buffer.from(signed, 'base64');
  const verifier = verifiers.find(({ id }) => id === bytes.toString('hex', 0, ID_BYTES));
  if (!verifier?.text.startsWith(`${name}+`) || bytes.toString('base64') !== signed) return undefined;
  return verify(null, Buffer.from(text), verifier.key, bytes.subarray(ID_BYTES)) ? verifier : undefined;
}

const NOTE = new RegExp(
  `^${ORIGIN}([0-9a-f-]{36})\n(\\d{1,19})\n([A-Za-z0-9+/]{43}=)\ntime (\\S+)\nprevious (none|[A-Za-z0-9+/]{43}=)\n\n— \\S+ [A-Za-z0-9+/]+=*\n$`,
);

/** @returns `undefined` for a text that is no checkpoint at all; one without a good signature comes without a key. */
export function readCheckpoint(note: string, verifiers: readonly Verifier[]): SignedCheckpoint | undefined {
  const [, customerId, seq, hash, time, previous] = NOTE.exec(note) ?? [];
  if (!customerId || !seq || !hash || !time || !previous) return undefined;
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return undefined;
  return {
    customerId: customerId as CustomerId, // as written by signCheckpoint, if the signature holds
    seq: BigInt(seq),
    hash: Buffer.from(hash, 'base64'),
    at,
    previous: previous === 'none' ? undefined : Buffer.from(previous, 'base64'),
    note,
    keyId: signerOf(note, verifiers)?.id,
  };
}

/** What the next note names as `previous`. */
export function noteHash(note: string): Buffer {
  return createHash('sha256').update(note).digest();
}

/** The notes of a file in which they stand one after the other; the rest behind the last whole one is torn, and not given. */
export function splitNotes(text: string): readonly string[] {
  return text.match(/[^\n]+\n(?:[^\n]+\n)+\n— [^\n]+\n/g) ?? [];
}
