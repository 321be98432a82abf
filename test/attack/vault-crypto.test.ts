import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gcm } from '@noble/ciphers/aes.js';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createRandomSource, systemRandom } from '../../core/vault/random.ts';
import { associatedData, decrypt, derive, encrypt, openRecord, sealRecord } from '../../core/vault/record.ts';

const SLOW_MS = 240_000; // a million draws, on a machine that may be busy
const REFUSED = { code: 'vault_authentication_failed' };
const PARTS = ['customer', 'credential', 'id'];
const AAD = associatedData(['vault/v2/payload', ...PARTS]);

describe('5 a ciphertext that opens under two keys', () => {
  // The "invisible salamander" (Dodis, Grubbs, Ristenpart, Woodage: Fast Message Franking, 2018): AES-GCM does not commit to
  // its key. Whoever may wrap data keys makes one payload that reads differently under each of two of them.
  const customerKey = { version: 1, bytes: randomBytes(32) };
  const salt = randomBytes(32);
  const iv = randomBytes(12);
  const dataKeys = [randomBytes(32), randomBytes(32)] as const;
  const derived = dataKeys.map((dataKey) => derive(dataKey, salt, AAD));
  const [one, two] = derived.map(({ key }) => key) as [Buffer, Buffer]; // of two data keys come two
  const { ciphertext, tag } = salamander(one, two, iv, AAD);

  function record(dataKey: Buffer, commitment: Buffer): Buffer {
    const wrapIv = randomBytes(12);
    const aad = associatedData(['vault/v2/wrap', ...PARTS, '1']);
    const wrapped = encrypt(customerKey.bytes, wrapIv, aad, dataKey);
    const head = Buffer.from([2, 1, 0, 0, 0, 1]);
    return Buffer.concat([head, wrapIv, wrapped.tag, wrapped.ciphertext, salt, commitment, iv, tag, ciphertext]);
  }

  test('5 is made: the same bytes and tag are valid under both, and read differently', () => {
    const texts = [one, two].map((key) => decrypt(key, iv, AAD, tag, ciphertext).toString('hex'));
    expect(texts[0]).not.toBe(texts[1]);
  });

  test('5 opens under the data key that its commitment names, and under no other', () => {
    const commitment = derived[0]?.commitment ?? Buffer.alloc(0);
    expect(openRecord(customerKey.bytes, PARTS, record(dataKeys[0], commitment))).toHaveLength(ciphertext.length);
    expect(() => openRecord(customerKey.bytes, PARTS, record(dataKeys[1], commitment))).toThrow(
      expect.objectContaining(REFUSED),
    );
  });
});

/** Two blocks of ciphertext, of which the second makes the tags under both keys the same. */
function salamander(one: Buffer, two: Buffer, iv: Buffer, aad: Buffer): { ciphertext: Buffer; tag: Buffer } {
  const keys = [one, two].map((key) => {
    const block = (input: Buffer) => createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(input);
    const hash = toField(block(Buffer.alloc(16)));
    return { hash, mask: toField(block(Buffer.concat([iv, Buffer.from([0, 0, 0, 1])]))) };
  });
  const first = randomBytes(16);
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64BE(BigInt(aad.length) * 8n, 0);
  lengths.writeBigUInt64BE(32n * 8n, 8);
  const padded = Buffer.concat([aad, Buffer.alloc((16 - (aad.length % 16)) % 16)]);
  // With the free block zero; it would be multiplied by H², being followed by the lengths alone.
  const open = keys.map(({ hash, mask }) => ({
    square: multiply(hash, hash),
    sum: ghash(hash, Buffer.concat([padded, first, Buffer.alloc(16), lengths])) ^ mask,
  }));
  const [a, b] = open as [(typeof open)[0], (typeof open)[0]]; // of two keys come two
  const free = fromField(multiply(a.sum ^ b.sum, inverse(a.square ^ b.square)));
  return { ciphertext: Buffer.concat([first, free]), tag: fromField(a.sum ^ multiply(toField(free), a.square)) };
}

function toField(block: Buffer): bigint {
  return BigInt(`0x${block.toString('hex')}`);
}

function fromField(element: bigint): Buffer {
  return Buffer.from(element.toString(16).padStart(32, '0'), 'hex');
}

/** GF(2^128) as GCM has it: the leftmost bit is the coefficient of 1 (NIST SP 800-38D, 6.3). */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n;
  let v = y;
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= v;
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n;
  }
  return product;
}

/** x^(2^128 - 2) */
function inverse(x: bigint): bigint {
  let result = 1n << 127n; // the field's 1
  let power = x;
  for (let bit = 1; bit < 128; bit++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

function ghash(hash: bigint, blocks: Buffer): bigint {
  let sum = 0n;
  for (let at = 0; at < blocks.length; at += 16) sum = multiply(sum ^ toField(blocks.subarray(at, at + 16)), hash);
  return sum;
}

describe('7 nothing random is used twice', () => {
  /** Whether any two of these agree in their first 8 bytes: by chance once in 4 × 10^7 runs for a million of them. */
  function hasTwins(starts: BigUint64Array): boolean {
    starts.sort();
    return starts.some((start, at) => at > 0 && start === starts[at - 1]);
  }

  test(
    '7 in a million draws: data key, salt and both nonces differ each time',
    () => {
      const count = 1_000_000;
      const parts = [0, 32, 44, 56].map((at) => ({ at, starts: new BigUint64Array(count) }));
      for (let n = 0; n < count; n++) {
        const drawn = systemRandom(88);
        for (const { at, starts } of parts) starts[n] = drawn.readBigUInt64BE(at);
      }
      for (const { at, starts } of parts) expect([at, hasTwins(starts)]).toEqual([at, false]);
    },
    SLOW_MS,
  );

  test('7 in the records themselves, the wrapped key and the text included', () => {
    const key = { version: 1, bytes: randomBytes(32) };
    const records = Array.from({ length: 20_000 }, () => sealRecord(key, PARTS, Buffer.from('the same text')));
    for (const at of [6, 18, 34, 66, 98, 130, 142]) {
      const starts = BigUint64Array.from(records, (record) => record.readBigUInt64BE(at));
      expect([at, hasTwins(starts)]).toEqual([at, false]);
    }
  });

  test.each([
    ['stands still', 1],
    ['goes in a circle of two', 2],
    ['goes in a circle of a thousand', 1_000],
  ])('7 a generator that %s is refused: nothing is sealed twice with the same', (_, period) => {
    const circle = Array.from({ length: period }, () => randomBytes(88));
    let drawn = 0;
    const stuck = createRandomSource((bytes) => Buffer.from(circle[drawn++ % period]?.subarray(0, bytes) ?? ''));
    const key = { version: 1, bytes: randomBytes(32) };
    const seal = () => sealRecord(key, PARTS, Buffer.from('text'), stuck);
    for (let n = 0; n < period; n++) seal();
    expect(seal).toThrow(expect.objectContaining({ code: 'randomness_failed' }));
  });

  test('7 a generator that gives too few bytes is refused', () => {
    const short = createRandomSource(() => randomBytes(20));
    expect(() => sealRecord({ version: 1, bytes: randomBytes(32) }, PARTS, Buffer.from('x'), short)).toThrow(
      expect.objectContaining({ code: 'randomness_failed' }),
    );
  });
});

describe('8 the ciphers are the standard ones', () => {
  test('8 AES-256-GCM agrees with another implementation, both ways, from no byte to 4 KiB', () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 255, 1024, 4096]) {
      const [key, iv, aad, text] = [randomBytes(32), randomBytes(12), randomBytes(length % 40), randomBytes(length)];
      const ours = encrypt(key, iv, aad, text);
      const theirs = Buffer.from(gcm(key, iv, aad).encrypt(text));
      expect(Buffer.concat([ours.ciphertext, ours.tag])).toEqual(theirs);
      expect(decrypt(key, iv, aad, theirs.subarray(length), theirs.subarray(0, length))).toEqual(text);
      const changed = Buffer.from(theirs);
      changed.writeUInt8(changed.readUInt8(length) ^ 1, length); // in the tag
      expect(() => gcm(key, iv, aad).decrypt(changed)).toThrow();
      expect(() => decrypt(key, iv, aad, changed.subarray(length), changed.subarray(0, length))).toThrow(
        expect.objectContaining(REFUSED),
      );
    }
  });

  test('8 the derivation agrees with the extract and expand of RFC 5869, spelled out by WebCrypto', async () => {
    for (let n = 0; n < 20; n++) {
      const [dataKey, salt, info] = [randomBytes(32), randomBytes(32), randomBytes(n * 7)];
      const imported = await crypto.subtle.importKey('raw', dataKey, 'HKDF', false, ['deriveBits']);
      const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-512', salt, info }, imported, 512);
      const { key, commitment } = derive(dataKey, salt, info);
      expect(Buffer.concat([key, commitment])).toEqual(Buffer.from(bits));
    }
  });

  const vectors = readVectors();
  if (!vectors) {
    test('8 the Wycheproof vectors do not lie beside this project, so only the other implementations were asked', () => {
      expect(vectors).toBeUndefined();
    });
  } else {
    test('8 Wycheproof, AES-GCM: every vector of our sizes gives what it says', () => {
      let strict = 0;
      for (const { keySize, ivSize, tagSize, tests } of vectors.gcm.testGroups)
        for (const each of tests) {
          const [key, iv, aad, tag] = [bytes(each.key), bytes(each.iv), bytes(each.aad), bytes(each.tag)];
          const open = () => decrypt(key, iv, aad, tag, bytes(each.ct)).toString('hex');
          if (keySize === 256 && ivSize === 96 && tagSize === 128) strict++;
          // Other sizes of key, nonce or tag are none of ours, valid or not.
          const isOurs = keySize === 256 && ivSize === 96 && tagSize === 128 && each.result === 'valid';
          if (!isOurs) {
            expect(open, `tcId ${each.tcId}`).toThrow(expect.objectContaining(REFUSED));
            continue;
          }
          expect(open(), `tcId ${each.tcId}`).toBe(each.msg);
          const sealed = encrypt(key, iv, aad, bytes(each.msg));
          expect([sealed.ciphertext.toString('hex'), sealed.tag.toString('hex')]).toEqual([each.ct, each.tag]);
        }
      expect(strict).toBe(66);
    });

    test('8 Wycheproof, HKDF-SHA-512: every vector gives what it says', () => {
      let count = 0;
      for (const { tests } of vectors.hkdf.testGroups)
        for (const { ikm, salt, info, size, okm, result, tcId } of tests) {
          count++;
          const expand = () => hkdfSync('sha512', bytes(ikm), bytes(salt), bytes(info), size);
          if (result !== 'valid') expect(expand, `tcId ${tcId}`).toThrow();
          else expect(Buffer.from(expand()).toString('hex'), `tcId ${tcId}`).toBe(okm);
          if (result !== 'valid' || size < 64) continue;
          const { key, commitment } = derive(bytes(ikm), bytes(salt), bytes(info));
          expect(okm.startsWith(Buffer.concat([key, commitment]).toString('hex')), `tcId ${tcId}`).toBe(true);
        }
      expect(count).toBe(83);
    });
  }
});

test('4 node:crypto itself takes a tag of four bytes, so it is our code that refuses it', () => {
  const [key, iv] = [randomBytes(32), randomBytes(12)];
  const { ciphertext, tag } = encrypt(key, iv, AAD, Buffer.from('text'));
  const lax = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 4 }).setAAD(AAD).setAuthTag(tag.subarray(0, 4));
  expect(Buffer.concat([lax.update(ciphertext), lax.final()]).toString()).toBe('text');
  for (let length = 0; length < 16; length++)
    expect(() => decrypt(key, iv, AAD, tag.subarray(0, length), ciphertext)).toThrow(expect.objectContaining(REFUSED));
});

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

const gcmVectors = z.object({
  testGroups: z.array(
    z.object({
      ...{ keySize: z.int(), ivSize: z.int(), tagSize: z.int() },
      tests: z.array(
        z.object({
          ...{ tcId: z.int(), key: z.string(), iv: z.string(), aad: z.string(), msg: z.string(), ct: z.string() },
          ...{ tag: z.string(), result: z.string() },
        }),
      ),
    }),
  ),
});
const hkdfVectors = z.object({
  testGroups: z.array(
    z.object({
      tests: z.array(
        z.object({
          ...{ tcId: z.int(), ikm: z.string(), salt: z.string(), info: z.string(), size: z.int() },
          ...{ okm: z.string(), result: z.string() },
        }),
      ),
    }),
  ),
});

/** Project Wycheproof's own files, which are no part of this project; a copy of it links to the same modules. */
function readVectors() {
  const project = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'node_modules')));
  const [gcm, hkdf] = (['aes_gcm', 'hkdf_sha512'] as const).map((name) =>
    join(project, '..', 'shared', 'data', `wycheproof-${name}_test.json`),
  );
  if (!gcm || !hkdf || !existsSync(gcm) || !existsSync(hkdf)) return undefined;
  const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
  return { gcm: gcmVectors.parse(read(gcm)), hkdf: hkdfVectors.parse(read(hkdf)) };
}
