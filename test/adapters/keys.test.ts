import { hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys, loadOrMakeRootKey } from '../../adapters/keys/index.ts';

const base64 = () => randomBytes(32).toString('base64');
const CURRENT = base64();
const OLD = base64();
const KEY = randomBytes(32);
const CONTEXT = Buffer.from('customer 1, version 1');
const keys = createEnvironmentRootKeys({ current: CURRENT, old: [OLD] });

const WRAPPED_BYTES = 1 + 8 + 12 + 16 + 32;
const UNREADABLE = { code: 'vault_authentication_failed', message: 'Failed to decrypt data' };

describe('createEnvironmentRootKeys', () => {
  test('unwraps what it wrapped, in 69 bytes that differ each time', async () => {
    const [one, two] = [await keys.wrap(KEY, CONTEXT), await keys.wrap(KEY, CONTEXT)];
    expect(await keys.unwrap(one, CONTEXT)).toEqual(KEY);
    expect(one).toHaveLength(WRAPPED_BYTES);
    expect(one.subarray(9).equals(two.subarray(9))).toBe(false);
    expect(one.subarray(0, 9)).toEqual(two.subarray(0, 9));
  });

  test('refuses the blob with any one bit flipped', async () => {
    const wrapped = await keys.wrap(KEY, CONTEXT);
    for (let bit = 0; bit < WRAPPED_BYTES * 8; bit++) {
      const flipped = Buffer.from(wrapped);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const isInId = bit >> 3 >= 1 && bit >> 3 < 9;
      await expect(keys.unwrap(flipped, CONTEXT)).rejects.toMatchObject(
        isInId ? { code: 'vault_key_missing' } : UNREADABLE,
      );
    }
  });

  test('refuses a shortened tag and every other length', async () => {
    const wrapped = await keys.wrap(KEY, CONTEXT);
    for (let tagBytes = 0; tagBytes < 16; tagBytes++) {
      const cut = Buffer.concat([wrapped.subarray(0, 21 + tagBytes), wrapped.subarray(37)]);
      await expect(keys.unwrap(cut, CONTEXT)).rejects.toMatchObject(UNREADABLE);
    }
    for (let length = 0; length < WRAPPED_BYTES; length++) {
      await expect(keys.unwrap(wrapped.subarray(0, length), CONTEXT)).rejects.toMatchObject(UNREADABLE);
    }
    await expect(keys.unwrap(Buffer.concat([wrapped, Buffer.of(0)]), CONTEXT)).rejects.toMatchObject(UNREADABLE);
  });

  test.each([['another one'], [''], [`${CONTEXT.toString()} `]])('refuses the context «%s»', async (context) => {
    await expect(keys.unwrap(await keys.wrap(KEY, CONTEXT), Buffer.from(context))).rejects.toMatchObject(UNREADABLE);
  });

  test('says that the root key is missing when it is unknown', async () => {
    const others = createEnvironmentRootKeys({ current: base64(), old: [] });
    await expect(others.unwrap(await keys.wrap(KEY, CONTEXT), CONTEXT)).rejects.toMatchObject({
      code: 'vault_key_missing',
    });
  });

  test('still opens what the old key sealed, and seals with the new one', async () => {
    const before = createEnvironmentRootKeys({ current: OLD, old: [] });
    const sealedBefore = await before.wrap(KEY, CONTEXT);
    expect(await keys.unwrap(sealedBefore, CONTEXT)).toEqual(KEY);
    const sealedAfter = await keys.wrap(KEY, CONTEXT);
    await expect(before.unwrap(sealedAfter, CONTEXT)).rejects.toMatchObject({ code: 'vault_key_missing' });
    const withoutOld = createEnvironmentRootKeys({ current: CURRENT, old: [] });
    await expect(withoutOld.unwrap(sealedBefore, CONTEXT)).rejects.toMatchObject({ code: 'vault_key_missing' });
    expect(await withoutOld.unwrap(sealedAfter, CONTEXT)).toEqual(KEY);
  });

  test('derives one key a purpose and root key, newest first', () => {
    const [first, second, ...rest] = keys.derive('audit checkpoints');
    expect(rest).toEqual([]);
    const expected = (root: string) =>
      Buffer.from(
        hkdfSync('sha512', Buffer.from(root, 'base64'), '', 'countersign/root-key/v1/purpose\0audit checkpoints', 32),
      );
    expect(first).toEqual(expected(CURRENT));
    expect(second).toEqual(expected(OLD));
    expect(keys.derive('context tokens')[0]).not.toEqual(first);
  });

  test('keeps ids and purposes apart from the keys that wrap', async () => {
    const id = (await keys.wrap(KEY, CONTEXT)).subarray(1, 9);
    for (const purpose of ['', 'id', 'wrap']) expect(keys.derive(purpose)[0]?.includes(id)).toBe(false);
  });

  test.each([
    ['31 bytes', 31],
    ['no bytes', 0],
    ['64 bytes', 64],
  ])('wraps no key of %s', async (_, length) => {
    await expect(keys.wrap(randomBytes(length), CONTEXT)).rejects.toThrow(TypeError);
  });

  test.each([
    '',
    'short',
    randomBytes(31).toString('base64'),
    randomBytes(32).toString('hex'),
    CURRENT.replace('=', ''),
  ])('takes no root key like «%s»', (key) => {
    expect(() => createEnvironmentRootKeys({ current: key, old: [] })).toThrow(/exactly 32 bytes/);
    expect(() => createEnvironmentRootKeys({ current: CURRENT, old: [key] })).toThrow(/exactly 32 bytes/);
  });
});

describe('loadOrMakeRootKey', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('makes a key once, for the owner alone, and leaves nothing else behind', async () => {
    const file = join(folder, 'new', 'root.key');
    const key = await loadOrMakeRootKey(file);
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, 'new'))).toEqual(['root.key']);
    expect(await loadOrMakeRootKey(file)).toBe(key);
    expect(() => createEnvironmentRootKeys({ current: key, old: [] })).not.toThrow();
  });

  test('gives everybody the same key when many make it at once', async () => {
    const file = join(folder, 'race', 'root.key');
    const made = await Promise.all(Array.from({ length: 20 }, () => loadOrMakeRootKey(file)));
    expect(new Set(made).size).toBe(1);
    expect(readFileSync(file, 'utf8').trim()).toBe(made[0]);
    expect(readdirSync(join(folder, 'race'))).toEqual(['root.key']);
  });

  test.each([
    ['empty', ''],
    ['cut', base64().slice(0, 20)],
    ['hexadecimal', randomBytes(32).toString('hex')],
    ['two keys', `${base64()}\n${base64()}`],
  ])('refuses a file that is %s, and leaves it as it is', async (name, content) => {
    const file = join(folder, `${name}.key`);
    writeFileSync(file, content);
    await expect(loadOrMakeRootKey(file)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^The root key file .*\.$/),
    });
    expect(existsSync(file) && readFileSync(file, 'utf8')).toBe(content);
  });
});
