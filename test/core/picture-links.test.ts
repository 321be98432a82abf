import { describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { customerId, newUuid } from '../../core/ids.ts';
import { createPictureLinks } from '../../core/vault/picture-links.ts';
import { TEST_ENCRYPTION_KEY, testRootKeys } from '../support/root-keys.ts';

const links = createPictureLinks(testRootKeys);
const customer = customerId(newUuid());
const pictureId = newUuid();
const token = links.token(customer, pictureId);
const other = Buffer.alloc(32, 9).toString('base64');

describe('the address of a picture', () => {
  test('names one picture of one customer, in 64 characters that an address may hold', () => {
    expect(links.read(token)).toEqual({ customerId: customer, pictureId });
    expect(token).toMatch(/^[A-Za-z0-9_-]{64}$/);
  });

  test('is read by no other key, and by a later key only as long as this one is kept', () => {
    const rotated = (old: readonly string[]) => createPictureLinks(createEnvironmentRootKeys({ current: other, old }));
    expect(rotated([]).read(token)).toBeUndefined();
    expect(rotated([TEST_ENCRYPTION_KEY]).read(token)).toEqual({ customerId: customer, pictureId });
    expect(links.read(rotated([TEST_ENCRYPTION_KEY]).token(customer, pictureId))).toBeUndefined();
  });

  test('is refused with any bit changed', () => {
    const bytes = Buffer.from(token, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(links.read(changed.toString('base64url')), `bit ${bit}`).toBeUndefined();
    }
  });

  test('is refused longer, shorter, empty, or as bytes without a signature', () => {
    const bytes = Buffer.from(token, 'base64url');
    for (let length = 0; length < 48; length++)
      expect(links.read(bytes.toString('base64url', 0, length)), `${length} bytes`).toBeUndefined();
    expect(links.read(Buffer.concat([bytes, Buffer.of(0)]).toString('base64url'))).toBeUndefined();
    expect(links.read(Buffer.concat([bytes.subarray(0, 32), Buffer.alloc(16)]).toString('base64url'))).toBeUndefined();
  });

  test('has one spelling', () => {
    for (const spelling of [`${token}=`, ` ${token}`, `${token.slice(0, 9)}!${token.slice(9)}`, `${token}\n`])
      expect(links.read(spelling), JSON.stringify(spelling)).toBeUndefined();
    const plain = links.token(customerId('ffffffff-ffff-4fff-bfff-ffffffffffff'), pictureId);
    expect(plain).toMatch(/[-_]/);
    expect(links.read(plain)).toBeDefined();
    expect(links.read(plain.replaceAll('-', '+').replaceAll('_', '/'))).toBeUndefined();
  });

  test('is good until its time where it has one, which nobody can move', () => {
    const until = new Date(Date.now() + 60_000);
    const short = links.token(customer, pictureId, until);
    expect(links.read(short)).toEqual({ customerId: customer, pictureId });
    expect(links.read(links.token(customer, pictureId, new Date(Date.now() - 1_000)))).toBeUndefined();
    const bytes = Buffer.from(short, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(links.read(changed.toString('base64url')), `bit ${bit}`).toBeUndefined();
    }
    // Without its time it would be good for ever.
    const bare = Buffer.concat([bytes.subarray(0, 32), bytes.subarray(36)]);
    expect(links.read(bare.toString('base64url'))).toBeUndefined();
  });

  test('does not let customer and picture change places', () => {
    const swapped = links.token(customerId(pictureId), customer);
    const [one, two] = [Buffer.from(token, 'base64url'), Buffer.from(swapped, 'base64url')];
    const mixed = Buffer.concat([one.subarray(16, 32), one.subarray(0, 16), one.subarray(32)]);
    expect(mixed.subarray(0, 32)).toEqual(two.subarray(0, 32));
    expect(links.read(mixed.toString('base64url'))).toBeUndefined();
  });
});
