import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { signInPlace } from '../../core/operations/entered.ts';
import { STATES } from '../../core/operations/states.ts';
import { Secret } from '../../core/secret.ts';
import type { Sealer } from '../../core/vault/sealer.ts';
import { type CredentialPlace, createVault, type OpenedFields } from '../../core/vault/vault.ts';
import {
  type Core,
  cancel,
  grantedOperation,
  installShop,
  look,
  noSecrets,
  openCore,
  queuedOperation,
  type Shop,
  sql,
  storeSignIn,
  trail,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

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

const CANARY = 'cs_canary_3f9q2m0a1b2c3d4e5f60718293';

function resultPlace(target = `https://${newUuid()}.example.com`): CredentialPlace {
  return { service: 'woocommerce', target, type: 'api_key', operationId: null };
}

function store(place: CredentialPlace, fields: Record<string, string>, expiresAt?: Date) {
  const secrets = Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, new Secret(text)]));
  const { service, type, ...where } = place;
  return core.vault.store(shop.customerId, service, type, {
    ...where,
    value: secrets,
    metadata: { lastFour: '8293' },
    ...(expiresAt ? { expiresAt } : {}),
  });
}

function open(place: CredentialPlace): Promise<Record<string, string> | null> {
  return core.vault.open({ ...place, customerId: shop.customerId, why: 'test' }, (fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, bytes]) => [name, bytes.toString()])),
  );
}

const find = (place: CredentialPlace) => core.vault.find(shop.customerId, place.service, place.type, place);

describe('a stored credential', () => {
  test('comes back field by field, whatever characters it has', async () => {
    const place = resultPlace();
    const fields = { consumer_key: 'ck_ä"\\\u0000\u2028😀', consumer_secret: '', note: 'x'.repeat(100_000) };
    await store(place, fields);
    expect(await open(place)).toEqual(fields);
  });

  test('is replaced by the next one in the same place, and by nothing in another', async () => {
    const place = resultPlace();
    const first = await store(place, { value: 'one' });
    const second = await store(place, { value: 'two' });
    await store(resultPlace(), { value: 'elsewhere' });
    expect(second.id).toBe(first.id);
    expect(await open(place)).toEqual({ value: 'two' });
    const [row] = await sql<{ secret_version: number; rotated: boolean }>(
      testDatabase.adminUrl,
      'SELECT secret_version, last_rotated_at IS NOT NULL AS rotated FROM autonomous_credentials WHERE id = $1',
      [first.id],
    );
    expect(row).toEqual({ secret_version: 2, rotated: true });
  });

  test('of each service, target, type and operation is another one', async () => {
    const operation = await grantedOperation(core, shop);
    const place = resultPlace();
    const places: CredentialPlace[] = [
      place,
      { ...place, service: 'stripe' },
      resultPlace(),
      { ...place, type: 'password' },
      { ...place, operationId: operation.id },
    ];
    for (const [index, each] of places.entries()) await store(each, { value: String(index) });
    expect(await Promise.all(places.map(open))).toEqual(places.map((_, index) => ({ value: String(index) })));
  });

  test('is listed without its value, and gone when deleted', async () => {
    const place = resultPlace();
    const { id } = await store(place, { value: CANARY });
    const list = () => core.vault.list(shop.customerId);
    const listed = (await list()).find((stored) => stored.id === id);
    expect(listed).toMatchObject({
      organizationId: shop.customerId,
      service: 'woocommerce',
      target: place.target,
      credentialType: 'api_key',
      metadata: { lastFour: '8293' },
      expiresAt: null,
      lastRotatedAt: null,
      rotationRequired: false,
      createdAt: expect.any(Date),
    });
    expect(inspect(await list(), { depth: null })).not.toContain(CANARY);
    const remove = () => core.vault.delete(shop.customerId, place.service, place.type, place);
    expect([await remove(), await remove()]).toEqual([true, false]);
    expect(await open(place)).toBeNull();
    expect((await list()).map((stored) => stored.id)).not.toContain(id);
  });

  test('is found as the result of the operation that its metadata names', async () => {
    const operation = await grantedOperation(core, shop);
    const secret = { ...resultPlace(), value: 'x', metadata: { operationId: operation.id } };
    const stored = await core.vault.store(shop.customerId, 'woocommerce', 'api_key', secret);
    const other = await grantedOperation(core, shop);
    const resultOf = (id: typeof operation.id) => core.vault.resultOf(shop.customerId, id);
    expect((await resultOf(operation.id))?.id).toBe(stored.id);
    expect(await resultOf(other.id)).toBeNull();
  });

  test('prints as nothing but [secret]', async () => {
    const place = resultPlace();
    await store(place, { value: CANARY });
    const found = await core.vault.get(shop.customerId, place.service, place.type, place);
    expect(found?.value.reveal()).toBe(CANARY);
    const printed = [inspect(found, { depth: null, showHidden: true }), JSON.stringify(found), `${found?.value}`];
    expect(printed.join('\n')).not.toContain(CANARY);
    expect(printed.join('\n')).toContain('[secret]');
  });

  test('lies in its row as a Buffer without a trace of the plaintext', async () => {
    const place = resultPlace();
    const { id } = await store(place, { value: CANARY });
    const [row] = await sql<{ encrypted_credential: Buffer; row: string }>(
      testDatabase.adminUrl,
      'SELECT encrypted_credential, c::text AS row FROM autonomous_credentials c WHERE id = $1',
      [id],
    );
    expect(row?.encrypted_credential).toBeInstanceOf(Buffer);
    for (const encoding of ['utf8', 'utf16le', 'hex', 'base64'] as const) {
      const form = Buffer.from(CANARY.slice(3, 15)).toString(encoding);
      expect(row?.encrypted_credential.toString('latin1'), encoding).not.toContain(form);
      expect(row?.row, encoding).not.toContain(form);
    }
  });

  test('leaves no plaintext in the buffers that it passed through', async () => {
    const passed: Buffer[] = [];
    const watching: Sealer = {
      seal: (tx, customerId, place, plaintext) => {
        passed.push(plaintext);
        return core.sealer.seal(tx, customerId, place, plaintext);
      },
      open: async (...args) => {
        const plaintext = await core.sealer.open(...args);
        passed.push(plaintext);
        return plaintext;
      },
      openUnder: async (...args) => {
        const plaintext = await core.sealer.openUnder(...args);
        passed.push(plaintext);
        return plaintext;
      },
    };
    const vault = createVault({ ...core, sealer: watching });
    const place = resultPlace();
    const { customerId } = shop;
    await vault.store(customerId, place.service, place.type, { ...place, value: CANARY });
    const use = (fields: OpenedFields) => void passed.push(fields.value ?? Buffer.alloc(0));
    await vault.open({ ...place, customerId, why: 'test' }, use);
    await vault.rotate(customerId, place.service, place.type, place);
    expect(passed.map((buffer) => buffer.length >= CANARY.length)).toEqual([true, true, true, true, true]);
    expect(passed.every((buffer) => buffer.every((byte) => byte === 0))).toBe(true);
  });

  test('has a key, an IV and a salt of its own: the same text never seals to the same bytes', async () => {
    const records = await core.database.withCustomer(shop.customerId, async (tx) => {
      const all: Buffer[] = [];
      for (let n = 0; n < 200; n++)
        all.push((await core.sealer.seal(tx, shop.customerId, ['same'], Buffer.from('same'))).record);
      return all;
    });
    // wrap IV, wrapped key, salt, IV, ciphertext: see core/vault/record.ts for where each lies.
    for (const [from, to] of [
      [6, 18],
      [34, 66],
      [66, 98],
      [130, 142],
      [158, 162],
    ] as const)
      expect(new Set(records.map((record) => record.toString('hex', from, to))).size).toBeGreaterThan(198);
  });
});

describe('expiry', () => {
  test("follows the database's clock, not the program's", async () => {
    const place = resultPlace();
    const inAnHour = new Date(Date.now() + 3_600_000);
    await store(place, { value: 'x' }, inAnHour);
    expect(await open(place)).toEqual({ value: 'x' });
    await shiftClock(testDatabase.ownerUrl, '61 minutes');
    try {
      expect(await open(place)).toBeNull();
      expect(await find(place)).toBeNull();
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-61 minutes');
    }
    expect(await open(place)).toEqual({ value: 'x' });
  });

  test('of an absent and of an expired credential look alike, and neither is an opening', async () => {
    const expired = resultPlace();
    await store(expired, { value: 'x' }, new Date(Date.now() - 1));
    const before = await opened();
    expect([await open(expired), await open(resultPlace())]).toEqual([null, null]);
    expect(await opened()).toBe(before);
  });
});

async function opened(): Promise<number> {
  const rows = await sql(
    testDatabase.adminUrl,
    "SELECT FROM autonomous_operations_audit WHERE customer_id = $1 AND kind = 'credential.opened'",
    [shop.customerId],
  );
  return rows.length;
}

describe('the record', () => {
  test('has an entry for every opening: who, for which operation, why', async () => {
    const operation = await queuedOperation(core, shop);
    const place = {
      service: 'woocommerce',
      target: operation.plan.base,
      type: 'admin_password',
      operationId: operation.id,
    } as const;
    const reader = { forOperation: operation.id, actor: shop.merchant.id, why: 'step 2' };
    for (let n = 0; n < 3; n++)
      await core.vault.open({ ...place, ...reader, customerId: shop.customerId }, (fields) => fields.value?.length);
    const entries = (await trail(core, operation)).filter(({ kind }) => kind === 'credential.opened');
    expect(entries).toHaveLength(3);
    expect(entries[0]).toMatchObject({
      actor: shop.merchant.id,
      ...{ credentialType: 'admin_password', why: 'step 2' },
      credentialId: expect.stringMatching(/^(?!0{8})[0-9a-f-]{36}$/),
    });
  });

  test('is written before the secret is opened, so that nobody has the value without it', async () => {
    const place = resultPlace();
    await store(place, { value: 'x' });
    const before = await opened();
    await core.vault.open({ ...place, customerId: shop.customerId, why: 'test' }, async () => {
      expect(await opened()).toBe(before + 1);
    });
    expect(await opened()).toBe(before + 1);
  });

  test('leaves the chain intact, whatever id was put into the header', async () => {
    const verdict = await core.audit.verify(shop.customerId);
    expect(verdict.isIntact).toBe(true);
  });
});

describe('sign-in secrets', () => {
  const secretsOf = (operationId: string) =>
    sql(testDatabase.adminUrl, 'SELECT FROM autonomous_credentials WHERE operation_id = $1', [operationId]);

  const ends = STATES.filter((state) => ['completed', 'denied', 'expired', 'cancelled', 'failed'].includes(state));
  test.each(ends)('die in the transaction that moves their operation to %s', async (to) => {
    const operation = await queuedOperation(core, shop);
    const other = await queuedOperation(core, shop);
    const kept = resultPlace();
    await store(kept, { value: 'result' });
    const move = { operationId: operation.id, entry: { kind: 'operation.cancelled' } } as const;
    await core.database.withCustomer(shop.customerId, async (tx) => {
      await core.mover.move(tx, shop.customerId, { ...move, from: ['queued'], to: 'in_progress' });
    });
    expect(await secretsOf(operation.id)).toHaveLength(2);
    const rolledBack = core.database.withCustomer(shop.customerId, async (tx) => {
      await core.mover.move(tx, shop.customerId, { ...move, from: ['in_progress'], to });
      throw new Error('not yet');
    });
    await expect(rolledBack).rejects.toThrow('not yet');
    expect(await secretsOf(operation.id)).toHaveLength(2);
    const fence = await core.database.withCustomer(shop.customerId, (tx) =>
      core.mover.move(tx, shop.customerId, { ...move, from: ['in_progress'], to }),
    );
    expect(fence).toBe(operation.fence + 2n);
    expect(await secretsOf(operation.id)).toHaveLength(0);
    expect(await secretsOf(other.id)).toHaveLength(2);
    expect(await open(kept)).toEqual({ value: 'result' });
  });

  test('die also when the countersignature ran out under a queued operation', async () => {
    const operation = await queuedOperation(core, shop);
    const held = { customerId: shop.customerId, operationId: operation.id, fence: undefined };
    await endOperation(core, held, { kind: 'stopped', words: 'Consent has expired' }, noSecrets);
    expect(await secretsOf(operation.id)).toHaveLength(0);
  });
});

describe("a customer's key", () => {
  test('is made once, however many need it first', async () => {
    const fresh = await installShop(core);
    const operation = await grantedOperation(core, fresh);
    await sql(testDatabase.adminUrl, 'DELETE FROM customer_keys WHERE customer_id = $1', [fresh.customerId]);
    const seals = Array.from({ length: 8 }, (_, n) =>
      core.database.withCustomer(fresh.customerId, (tx) =>
        core.sealer.seal(tx, fresh.customerId, [String(n)], Buffer.from(operation.id)),
      ),
    );
    for (const [n, { record, keyId }] of (await Promise.all(seals)).entries()) {
      const plain = await core.database.withCustomer(fresh.customerId, (tx) =>
        core.sealer.open(tx, fresh.customerId, [String(n)], record),
      );
      expect([plain.toString(), keyId]).toEqual([operation.id, 'v1']);
    }
  });

  test('that was destroyed opens nothing, and nothing is sealed under it again', async () => {
    const erased = await installShop(core);
    const operation = await grantedOperation(core, erased);
    await core.database.withCustomer(erased.customerId, (tx) => storeSignIn(core, tx, operation));
    await cancel(core, operation);
    await core.keyRotation.eraseCustomer(erased.customerId);
    const { customerId } = erased;
    const trail = await core.database.withCustomer(customerId, (tx) =>
      core.audit.entriesOf(tx, customerId, operation.id),
    );
    expect(trail.filter(({ payload }) => payload !== undefined)).toEqual([]);
    expect(trail.some(({ gone }) => gone === 'key destroyed')).toBe(true);
    await expect(
      core.database.withCustomer(customerId, (tx) => core.sealer.seal(tx, customerId, ['x'], Buffer.from('x'))),
    ).rejects.toMatchObject({ code: 'vault_key_missing' });
    await store(resultPlace(), { value: 'others are not touched' });
  });
});

test('a reader whose fence is another one reads nothing, and nothing is on record', async () => {
  const operation = await queuedOperation(core, shop);
  const place = signInPlace(operation, 'admin_password');
  const ref = { ...place, customerId: shop.customerId, forOperation: operation.id, why: 'step 2' };
  await core.database.withCustomer(shop.customerId, (tx) =>
    core.mover.move(tx, shop.customerId, {
      ...{ operationId: operation.id, from: ['queued'], to: 'in_progress', entry: { kind: 'operation.started' } },
    }),
  );
  const { fence } = await look(core, operation);
  const before = await opened();
  for (const wrong of [fence - 1n, fence + 1n])
    await expect(core.vault.open({ ...ref, fence: wrong }, () => 1)).rejects.toMatchObject({ why: 'moved' });
  expect(await opened()).toBe(before);
  expect(await core.vault.open({ ...ref, fence }, () => 1)).toBe(1);
});
