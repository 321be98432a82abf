import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../core/errors.ts';
import { newUuid } from '../../core/ids.ts';
import { associatedData, keyVersionOf, openRecord, sealRecord } from '../../core/vault/record.ts';
import type { CredentialPlace, StoredCredential } from '../../core/vault/vault.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, grantedOperation, installShop, openCore, type Shop, sql } from '../support/core.ts';
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

/** Hundreds of readings, on a machine that may be busy. */
const SLOW_MS = 240_000;

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
  const { customerId } = owner;
  const stored = await core.vault.store(customerId, where.service, where.type, { ...where, value: CANARY });
  return { shop: owner, place: where, stored };
}

function open({ shop: owner, place: where }: Placed): Promise<string | undefined | null> {
  const ref = { ...where, customerId: owner.customerId, why: 'attack' };
  return core.vault.open(ref, (fields) => fields.value?.toString());
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
  test(
    '1 none opens in the row of another one: all pairs of customers, targets, types and services, swapped',
    async () => {
      const other = await installShop(core);
      const target = `https://${newUuid()}.example.com`;
      const placed: Placed[] = [];
      for (const owner of [shop, other])
        for (const changes of [
          { target },
          {},
          { target, type: 'password' as const },
          { target, service: 'stripe' },
          { target, type: 'password' as const, service: 'stripe' },
        ])
          placed.push(await place(owner, changes));
      const records = await Promise.all(placed.map(recordOf));
      for (const [at, one] of placed.entries())
        for (const [from, record] of records.entries()) {
          await putRecord(record, one);
          if (from === at) expect(await open(one)).toBe(CANARY);
          else await expect(open(one), `${from} in ${at}`).rejects.toMatchObject(REFUSED);
        }
    },
    SLOW_MS,
  );

  test.each<[string, () => Promise<[Placed, Placed]>]>([
    ["another row's", async () => [await place(shop), await place(shop)]],
    ["another service's", async () => pair({ service: 'stripe' })],
    ["another type's", async () => pair({ type: 'password' })],
    ["an operation's", async () => pair({ operationId: (await grantedOperation(core, shop)).id })],
    ["another customer's", async () => [await place(shop), await place(await installShop(core))]],
  ])('1 %s record is refused, both ways', async (_, make) => {
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

  test('2 a deleted secret is refused in the row that took its place', async () => {
    const one = await place(shop);
    const old = await recordOf(one);
    await core.vault.delete(shop.customerId, one.place.service, one.place.type, one.place);
    const next = await place(shop, one.place);
    expect(await open(next)).toBe(CANARY);
    await putRecord(old, next);
    await expect(open(next)).rejects.toMatchObject(REFUSED);
  });

  test.each<[string, string, Partial<CredentialPlace>]>([
    ['target', "target = 'https://evil.example.net'", { target: 'https://evil.example.net' }],
    ['service', "service = 'shopify'", { service: 'shopify' }],
    ['type', "credential_type = 'session'", { type: 'session' }],
  ])('1 a row whose %s was rewritten does not open there', async (_, set, changes) => {
    const one = await place(shop);
    const rewrite = `UPDATE autonomous_credentials SET ${set} WHERE id = $1`;
    const smuggled = asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query(rewrite, [one.stored.id]),
    );
    await expect(smuggled).rejects.toMatchObject({ code: '42501' });
    await tamper(rewrite, [one.stored.id]);
    await expect(open({ ...one, place: { ...one.place, ...changes } })).rejects.toMatchObject(REFUSED);
    await tamper('DELETE FROM autonomous_credentials WHERE id = $1', [one.stored.id]);
  });

  test('a row whose expiry was put off does not open', async () => {
    const one = await place(shop);
    const secret = { ...one.place, value: CANARY, expiresAt: new Date(Date.now() + 60_000) };
    await core.vault.store(shop.customerId, one.place.service, one.place.type, secret);
    expect(await open(one)).toBe(CANARY);
    for (const expiry of ["expires_at + interval '1 year'", 'NULL']) {
      await tamper(`UPDATE autonomous_credentials SET expires_at = ${expiry} WHERE id = $1`, [one.stored.id]);
      await expect(open(one), expiry).rejects.toMatchObject(REFUSED);
    }
  });

  test("1 a customer's key does not unwrap as another customer's, or as another version", async () => {
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
  const sealed = () => sealRecord({ version: 1, bytes: key }, ['place'], Buffer.from(CANARY));

  function flipped(record: Buffer, bit: number): Buffer {
    const changed = Buffer.from(record);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return changed;
  }

  const SAME = `${REFUSED.code}: ${REFUSED.message}`;

  test('3 gives the same error for every bit that was flipped', () => {
    const record = sealed();
    expect(openRecord(key, ['place'], record).toString()).toBe(CANARY);
    const errors = Array.from({ length: record.length * 8 }, (_, bit) => {
      try {
        return openRecord(key, ['place'], flipped(record, bit)).toString();
      } catch (error) {
        return wordsOf(error);
      }
    });
    const ofFormat = errors.slice(0, AT.version * 8);
    expect(ofFormat.every((error) => error.startsWith('vault_format_unknown: '))).toBe(true);
    expect(new Set(errors.slice(AT.version * 8))).toEqual(new Set([SAME]));
  });

  test('3 gives that error also where the key is looked up by the version that the record names', async () => {
    const { customerId } = shop;
    await core.database.withCustomer(customerId, async (tx) => {
      const { record } = await core.sealer.seal(tx, customerId, ['place'], Buffer.from(CANARY));
      const open_ = (bytes: Buffer) => core.sealer.open(tx, customerId, ['place'], bytes).then(String, wordsOf);
      expect(await open_(record)).toBe(CANARY);
      for (let bit = AT.version * 8; bit < AT.wrapTag * 8; bit++) expect(await open_(flipped(record, bit))).toBe(SAME);
    });
  });

  test('4 of any shorter length is refused, the tag at its end included', () => {
    const record = sealed();
    expect(openRecord(key, ['place'], record).toString()).toBe(CANARY);
    for (let length = 0; length < record.length; length++) {
      const code = length < AT.ciphertext ? 'vault_format_unknown' : REFUSED.code;
      expect(() => openRecord(key, ['place'], record.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code }),
      );
    }
  });

  test.each(Array.from({ length: 16 }, (_, bytes) => bytes))(
    '4 with a tag of only %i bytes is refused, however it is filled up',
    (kept) => {
      for (const at of [AT.wrapTag, AT.tag]) {
        const record = sealed();
        record.fill(0, at + kept, at + 16);
        expect(() => openRecord(key, ['place'], record)).toThrow(expect.objectContaining(REFUSED));
        const cut = Buffer.concat([record.subarray(0, at + kept), record.subarray(at + 16)]);
        expect(() => openRecord(key, ['place'], cut)).toThrow(CountersignError);
      }
    },
  );

  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['format 0', Buffer.concat([Buffer.of(0, 1), Buffer.alloc(200)])],
    ['format 1, which is retired', Buffer.concat([Buffer.of(1, 1), Buffer.alloc(200)])],
    ['format 3', Buffer.concat([Buffer.of(3, 1), Buffer.alloc(200)])],
    ['suite 0', Buffer.concat([Buffer.of(2, 0), Buffer.alloc(200)])],
    ['suite 2', Buffer.concat([Buffer.of(2, 2), Buffer.alloc(200)])],
    ['text', Buffer.from('plain:cs_secret'.repeat(20))],
  ])('9 of an unknown format is refused before any key is asked for: %s', async (_, record) => {
    expect(() => keyVersionOf(record)).toThrow(expect.objectContaining({ code: 'vault_format_unknown' }));
    const one = await place(shop);
    await putRecord(record, one);
    await expect(open(one)).rejects.toMatchObject({ code: 'vault_format_unknown' });
  });

  test('9 that was relabelled as a retired or a future format is refused: there is no downgrade', () => {
    for (const [at, byte] of [0, 1].flatMap((at) => Array.from({ length: 256 }, (_, byte) => [at, byte] as const))) {
      const record = sealed();
      if (record.readUInt8(at) === byte) continue;
      record.writeUInt8(byte, at);
      expect(() => openRecord(key, ['place'], record)).toThrow(
        expect.objectContaining({ code: 'vault_format_unknown' }),
      );
    }
  });

  test('6 parts of a place can not be pushed from one to the next', () => {
    const seen = new Set(
      [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc']].map((p) => associatedData(p).toString('hex')),
    );
    expect(seen.size).toBe(5);
    expect(() =>
      openRecord(key, ['a', 'bc'], sealRecord({ version: 1, bytes: key }, ['ab', 'c'], Buffer.from('x'))),
    ).toThrow(expect.objectContaining(REFUSED));
  });
});

test('the layout is what its docstring says: other code opens it, step by step', () => {
  const key = randomBytes(32);
  const record = sealRecord({ version: 7, bytes: key }, ['a', 'b'], Buffer.from(CANARY));
  const aad = (...parts: string[]) =>
    Buffer.concat(parts.map((part) => Buffer.from(`\0\0\0${String.fromCharCode(part.length)}${part}`)));
  const [ofWrap, ofPayload] = [aad('vault/v2/wrap', 'a', 'b', '7'), aad('vault/v2/payload', 'a', 'b')];
  const open_ = (k: Buffer, data: Buffer, iv: Buffer, tag: Buffer, ciphertext: Buffer) => {
    const decipher = createDecipheriv('aes-256-gcm', k, iv, { authTagLength: 16 }).setAAD(data).setAuthTag(tag);
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  };
  const dataKey = open_(key, ofWrap, record.subarray(6, 18), record.subarray(18, 34), record.subarray(34, 66));
  const derived = Buffer.from(hkdfSync('sha512', dataKey, record.subarray(66, 98), ofPayload, 64));
  expect(derived.subarray(32)).toEqual(record.subarray(98, 130));
  const plain = open_(
    derived.subarray(0, 32),
    ofPayload,
    record.subarray(130, 142),
    record.subarray(142, 158),
    record.subarray(158),
  );
  expect([...record.subarray(0, 6), plain.toString()]).toEqual([2, 1, 0, 0, 0, 7, CANARY]);
});

describe('18 a wrong key, a changed record and a key that never was', () => {
  const changes: readonly (readonly [string, (one: Placed, record: Buffer) => Promise<unknown>])[] = [
    [
      'wrong key',
      async (one) => putRecord(sealRecord({ version: 1, bytes: randomBytes(32) }, ['x'], Buffer.from(CANARY)), one),
    ],
    ['last bit', async (one, record) => putRecord(flipAt(record, record.length - 1), one)],
    ['commitment', async (one, record) => putRecord(flipAt(record, AT.commitment), one)],
    ['wrapped key', async (one, record) => putRecord(flipAt(record, AT.wrappedKey), one)],
    [
      'key that never was',
      (one) => tamper("UPDATE autonomous_credentials SET encryption_key_id = 'v77' WHERE id = $1", [one.stored.id]),
    ],
  ];

  test('18 read alike, in words', async () => {
    for (const [name, change] of changes) {
      const one = await place(shop);
      await change(one, await recordOf(one));
      const error: unknown = await open(one).catch((caught: unknown) => caught);
      expect(wordsOf(error), name).toBe(`${REFUSED.code}: ${REFUSED.message}`);
    }
  });

  test(
    '18 take comparable time',
    async () => {
      const all: { one: Placed; times: number[] }[] = [];
      for (const [, change] of changes) {
        const one = await place(shop);
        await change(one, await recordOf(one));
        all.push({ one, times: [] });
      }
      // The quickest of each: what else the machine does only adds to it, so that more rounds bring the truth nearer.
      const ratio = () => {
        const quick = all.map(({ times }) => Math.min(...times));
        return Math.max(...quick) / Math.min(...quick);
      };
      for (let round = 0; round < 60 || (round < 600 && ratio() >= 2); round++)
        for (const { one, times } of all) {
          const began = performance.now();
          await open(one).catch(() => {});
          times.push(performance.now() - began);
        }
      expect(ratio()).toBeLessThan(2);
    },
    SLOW_MS,
  );
});

function flipAt(record: Buffer, at: number): Buffer {
  const changed = Buffer.from(record);
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof CountersignError)) return `raw: ${String(error)}`;
  return `${error.code}: ${error.message}${error.cause === undefined ? '' : ' with a cause'}`;
}

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
