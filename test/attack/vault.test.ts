import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../core/errors.ts';
import { newUuid } from '../../core/ids.ts';
import { Secret } from '../../core/secret.ts';
import { associatedData, keyVersionOf, openRecord, sealRecord } from '../../core/vault/record.ts';
import type { CredentialPlace, StoredCredential } from '../../core/vault/vault.ts';
import { asCustomer, type Core, grantedOperation, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const CANARY = 'cs_canary_0a1b2c3d4e5f607182933f9q2m';
const REFUSED = {
  code: 'vault_authentication_failed',
  message: 'A sealed value could not be opened. Nothing was read.',
};

/** Offsets in a record: see core/vault/record.ts. */
const AT = { version: 2, wrapTag: 18, wrappedKey: 34, salt: 66, commitment: 98, iv: 130, tag: 142, ciphertext: 158 };

type Placed = { readonly shop: Shop; readonly place: CredentialPlace; readonly stored: StoredCredential };

async function place(owner: Shop, changes: Partial<CredentialPlace> = {}): Promise<Placed> {
  const target = `https://${newUuid()}.example.com`;
  const where: CredentialPlace = { service: 'woocommerce', target, type: 'api_key', operationId: null, ...changes };
  const stored = await core.database.withCustomer(owner.customerId, (tx) =>
    core.vault.store(tx, owner.customerId, where, { value: new Secret(CANARY) }),
  );
  return { shop: owner, place: where, stored };
}

async function open({ shop: owner, place: where }: Placed): Promise<string | undefined> {
  const fields = await core.database.withCustomer(owner.customerId, (tx) =>
    core.vault.open(tx, owner.customerId, where, { why: 'attack' }),
  );
  return fields?.value?.reveal();
}

/** As a superuser: no policy, no constraint stops the attacker, only the seal. */
const tamper = (text: string, values: unknown[]) => sql(testDatabase.adminUrl, text, values);

async function recordOf({ stored }: Placed): Promise<Buffer> {
  const rows = await sql<{ encrypted_credential: Buffer }>(
    testDatabase.adminUrl,
    'SELECT encrypted_credential FROM autonomous_credentials WHERE id = $1',
    [stored.id],
  );
  const [row] = rows;
  if (!row) throw new Error('no such row');
  return row.encrypted_credential;
}

const putRecord = (record: Buffer, { stored }: Placed) =>
  tamper('UPDATE autonomous_credentials SET encrypted_credential = $1 WHERE id = $2', [record, stored.id]);

describe('a record opens nowhere but in its own place', () => {
  test.each<[string, () => Promise<[Placed, Placed]>]>([
    ["another row's", async () => [await place(shop), await place(shop)]],
    ["another service's", async () => pair({ service: 'stripe' })],
    ["another type's", async () => pair({ type: 'password' })],
    ["an operation's", async () => pair({ operationId: (await grantedOperation(core, shop)).id })],
    ["another customer's", async () => [await place(shop), await place(await installShop(core))]],
  ])('%s record is refused, both ways', async (_, make) => {
    const [one, two] = await make();
    const [first, second] = [await recordOf(one), await recordOf(two)];
    expect([await open(one), await open(two)]).toEqual([CANARY, CANARY]);
    await putRecord(second, one);
    await putRecord(first, two);
    await expect(open(one)).rejects.toMatchObject(REFUSED);
    await expect(open(two)).rejects.toMatchObject(REFUSED);
  });

  async function pair(changes: Partial<CredentialPlace>): Promise<[Placed, Placed]> {
    const one = await place(shop);
    return [one, await place(shop, { target: one.place.target, ...changes })];
  }

  test('2 an earlier version of the same secret is refused in the row of the newer one', async () => {
    const one = await place(shop);
    const old = await recordOf(one);
    await place(shop, one.place);
    expect(await open(one)).toBe(CANARY);
    await putRecord(old, one);
    await expect(open(one)).rejects.toMatchObject(REFUSED);
  });

  test('a deleted secret is refused in the row that took its place', async () => {
    const one = await place(shop);
    const old = await recordOf(one);
    await core.database.withCustomer(shop.customerId, (tx) => core.vault.delete(tx, shop.customerId, one.stored.id));
    const next = await place(shop, one.place);
    expect(await open(next)).toBe(CANARY);
    await putRecord(old, next);
    await expect(open(next)).rejects.toMatchObject(REFUSED);
  });

  test.each<[string, string, Partial<CredentialPlace>]>([
    ['target', "target = 'https://evil.example.net'", { target: 'https://evil.example.net' }],
    ['service', "service = 'shopify'", { service: 'shopify' }],
    ['type', "credential_type = 'session'", { type: 'session' }],
  ])('a row whose %s was rewritten does not open there', async (_, set, changes) => {
    const one = await place(shop);
    await asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query(`UPDATE autonomous_credentials SET ${set} WHERE id = $1`, [one.stored.id]),
    );
    await expect(open({ ...one, place: { ...one.place, ...changes } })).rejects.toMatchObject(REFUSED);
    await tamper('DELETE FROM autonomous_credentials WHERE id = $1', [one.stored.id]);
  });

  test('a row whose expiry was put off does not open', async () => {
    const one = await place(shop);
    const { customerId } = shop;
    await core.database.withCustomer(customerId, (tx) =>
      core.vault.store(
        tx,
        customerId,
        one.place,
        { value: new Secret(CANARY) },
        { expiresAt: new Date(Date.now() + 60_000) },
      ),
    );
    expect(await open(one)).toBe(CANARY);
    for (const expiry of ["expires_at + interval '1 year'", 'NULL']) {
      await tamper(`UPDATE autonomous_credentials SET expires_at = ${expiry} WHERE id = $1`, [one.stored.id]);
      await expect(open(one), expiry).rejects.toMatchObject(REFUSED);
    }
  });

  test("a customer's key does not unwrap as another customer's, or as another version", async () => {
    const [a, b] = [await installShop(core), await installShop(core)];
    const [ofA, ofB] = [await place(a), await place(b)];
    await tamper(
      'UPDATE customer_keys k SET wrapped = o.wrapped FROM customer_keys o WHERE k.customer_id = $1 AND o.customer_id = $2',
      [a.customerId, b.customerId],
    );
    await expect(open(ofA)).rejects.toMatchObject({ code: 'vault_authentication_failed' });
    const sealed = core.database.withCustomer(a.customerId, (tx) =>
      core.sealer.seal(tx, a.customerId, ['x'], Buffer.from(CANARY)),
    );
    await expect(sealed).rejects.toMatchObject({ code: 'vault_authentication_failed' });
    await tamper('UPDATE customer_keys SET version = 2 WHERE customer_id = $1', [b.customerId]);
    const record = await recordOf(ofB);
    record.writeUInt32BE(2, AT.version);
    await putRecord(record, ofB);
    await expect(open(ofB)).rejects.toMatchObject({ code: 'vault_authentication_failed' });
  });
});

describe('a changed record', () => {
  const key = randomBytes(32);
  const sealed = () => sealRecord(key, 1, ['place'], Buffer.from(CANARY));

  function flipped(record: Buffer, bit: number): Buffer {
    const changed = Buffer.from(record);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return changed;
  }

  function words(error: unknown): string {
    if (!(error instanceof CountersignError)) return `raw: ${String(error)}`;
    return `${error.code}: ${error.message}${error.cause === undefined ? '' : ' with a cause'}`;
  }
  const SAME = `${REFUSED.code}: ${REFUSED.message}`;

  test('gives the same error for every bit that was flipped', () => {
    const record = sealed();
    expect(openRecord(key, ['place'], record).toString()).toBe(CANARY);
    const errors = Array.from({ length: record.length * 8 }, (_, bit) => {
      try {
        return openRecord(key, ['place'], flipped(record, bit)).toString();
      } catch (error) {
        return words(error);
      }
    });
    const ofFormat = errors.slice(0, AT.version * 8);
    expect(ofFormat.every((error) => error.startsWith('vault_format_unknown: '))).toBe(true);
    expect(new Set(errors.slice(AT.version * 8))).toEqual(new Set([SAME]));
  });

  test('gives that error also where the key is looked up by the version that the record names', async () => {
    const { customerId } = shop;
    await core.database.withCustomer(customerId, async (tx) => {
      const { record } = await core.sealer.seal(tx, customerId, ['place'], Buffer.from(CANARY));
      const open_ = (bytes: Buffer) => core.sealer.open(tx, customerId, ['place'], bytes).then(String, words);
      expect(await open_(record)).toBe(CANARY);
      for (let bit = AT.version * 8; bit < AT.wrapTag * 8; bit++) expect(await open_(flipped(record, bit))).toBe(SAME);
    });
  });

  test('of any shorter length is refused, the tag at its end included', () => {
    const record = sealed();
    expect(openRecord(key, ['place'], record).toString()).toBe(CANARY);
    for (let length = 0; length < record.length; length++) {
      const code = length < AT.ciphertext ? 'vault_format_unknown' : REFUSED.code;
      expect(() => openRecord(key, ['place'], record.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code }),
      );
    }
  });

  test.each([0, 4, 8, 12, 13, 14, 15])('with a tag of only %i bytes is refused, however it is filled up', (kept) => {
    for (const at of [AT.wrapTag, AT.tag]) {
      const record = sealed();
      record.fill(0, at + kept, at + 16);
      expect(() => openRecord(key, ['place'], record)).toThrow(expect.objectContaining(REFUSED));
      const cut = Buffer.concat([record.subarray(0, at + kept), record.subarray(at + 16)]);
      expect(() => openRecord(key, ['place'], cut)).toThrow(CountersignError);
    }
  });

  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['format 0', Buffer.concat([Buffer.of(0, 1), Buffer.alloc(200)])],
    ['format 2', Buffer.concat([Buffer.of(2, 1), Buffer.alloc(200)])],
    ['suite 0', Buffer.concat([Buffer.of(1, 0), Buffer.alloc(200)])],
    ['suite 2', Buffer.concat([Buffer.of(1, 2), Buffer.alloc(200)])],
    ['text', Buffer.from('plain:cs_secret'.repeat(20))],
  ])('of an unknown format is refused before any key is asked for: %s', async (_, record) => {
    expect(() => keyVersionOf(record)).toThrow(expect.objectContaining({ code: 'vault_format_unknown' }));
    const one = await place(shop);
    await putRecord(record, one);
    await expect(open(one)).rejects.toMatchObject({ code: 'vault_format_unknown' });
  });

  test('a wrong key, a wrong place and a changed bit read alike', () => {
    const changed = sealed();
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    const attempts = [
      () => openRecord(randomBytes(32), ['place'], sealed()),
      () => openRecord(key, ['elsewhere'], sealed()),
      () => openRecord(key, [], sealed()),
      () => openRecord(key, ['place'], changed),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(expect.objectContaining(REFUSED));
  });

  test('parts of a place can not be pushed from one to the next', () => {
    const seen = new Set(
      [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc']].map((p) => associatedData(p).toString('hex')),
    );
    expect(seen.size).toBe(5);
    expect(() => openRecord(key, ['a', 'bc'], sealRecord(key, 1, ['ab', 'c'], Buffer.from('x')))).toThrow(
      expect.objectContaining(REFUSED),
    );
  });
});

test('a ciphertext that two data keys would open is opened by neither: the commitment names one', () => {
  // Whoever holds the customer's key may wrap any data key. The payload here is valid under the key of the forged wrap
  // (no multi-collision is needed to show it), only the commitment is the honest record's.
  const key = randomBytes(32);
  const honest = sealRecord(key, 1, ['place'], Buffer.from('honest'));
  const aad = associatedData(['vault/v1', 'place', '1']);
  const dataKey = randomBytes(32);
  const derived = Buffer.from(hkdfSync('sha512', dataKey, honest.subarray(AT.salt, AT.commitment), aad, 64));
  const wrapped = gcm(key, aad, dataKey);
  const payload = gcm(derived.subarray(0, 32), aad, Buffer.from('forged'));
  const forge = (commitment: Buffer) =>
    Buffer.concat([honest.subarray(0, 6), wrapped, honest.subarray(AT.salt, AT.commitment), commitment, payload]);
  expect(openRecord(key, ['place'], forge(derived.subarray(32))).toString()).toBe('forged');
  expect(() => openRecord(key, ['place'], forge(honest.subarray(AT.commitment, AT.iv)))).toThrow(
    expect.objectContaining(REFUSED),
  );
});

function gcm(key: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]);
}

test('the layout is what its docstring says: other code opens it, step by step', () => {
  const key = randomBytes(32);
  const record = sealRecord(key, 7, ['a', 'b'], Buffer.from(CANARY));
  const aad = Buffer.concat(
    ['vault/v1', 'a', 'b', '7'].map((part) => Buffer.from(`\0\0\0${String.fromCharCode(part.length)}${part}`)),
  );
  const open_ = (k: Buffer, iv: Buffer, tag: Buffer, ciphertext: Buffer) => {
    const decipher = createDecipheriv('aes-256-gcm', k, iv, { authTagLength: 16 }).setAAD(aad).setAuthTag(tag);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  };
  const dataKey = open_(key, record.subarray(6, 18), record.subarray(18, 34), record.subarray(34, 66));
  const derived = Buffer.from(hkdfSync('sha512', dataKey, record.subarray(66, 98), aad, 64));
  expect(derived.subarray(32)).toEqual(record.subarray(98, 130));
  const plain = open_(
    derived.subarray(0, 32),
    record.subarray(130, 142),
    record.subarray(142, 158),
    record.subarray(158),
  );
  expect([...record.subarray(0, 6), plain.toString()]).toEqual([1, 1, 0, 0, 0, 7, CANARY]);
});

test('nothing in any table of the database spells a stored secret', async () => {
  await place(shop);
  const tables = await sql<{ name: string }>(
    testDatabase.adminUrl,
    "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
  );
  expect(tables.length).toBeGreaterThan(16);
  const forms = (['utf8', 'hex', 'base64', 'base64url'] as const).map((e) =>
    Buffer.from(CANARY.slice(3, 27)).toString(e),
  );
  for (const { name } of tables) {
    const search = `SELECT FROM ${name} t WHERE EXISTS (SELECT FROM unnest($1::text[]) form WHERE strpos(t::text, form) > 0)`;
    expect(await sql(testDatabase.adminUrl, search, [forms]), name).toEqual([]);
  }
});
