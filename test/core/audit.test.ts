import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { AUDIT_CHANNEL, createAudit } from '../../core/audit/audit.ts';
import type { NewEntry } from '../../core/audit/entry.ts';
import { canonical } from '../../core/canonical.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  type Shop,
  sql,
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

interface Row {
  readonly seq: string;
  readonly at: Date;
  readonly header: string;
  readonly prev: Buffer;
  readonly hash: Buffer;
  readonly payload: Buffer | null;
}

const rowsOf = (customerId: string) =>
  sql<Row>(
    testDatabase.adminUrl,
    'SELECT seq, at, header, prev, hash, payload FROM autonomous_operations_audit WHERE customer_id = $1 ORDER BY seq',
    [customerId],
  );

const append = (customerId: CustomerId, entry: NewEntry = { kind: 'rules.changed' }) =>
  core.database.withCustomer(customerId, (tx) => core.audit.append(tx, customerId, entry));

describe('the chain', () => {
  test('has the hashes that anybody gets who reads its description, and links each entry to the one before', async () => {
    const { customerId } = await installShop(core);
    const appended = [];
    for (const words of ['ä', '😀', ''])
      appended.push(await append(customerId, { kind: 'rules.changed', payload: { words } }));
    const rows = await rowsOf(customerId);
    let prev = Buffer.alloc(32);
    for (const [index, row] of rows.entries()) {
      const numbers = Buffer.from(
        BigInt(row.seq).toString(16).padStart(16, '0') + BigInt(row.at.getTime()).toString(16).padStart(16, '0'),
        'hex',
      );
      const text = Buffer.concat([Buffer.from('audit-v1\0'), prev, numbers, Buffer.from(row.header)]);
      const hash = createHash('sha256').update(text).digest();
      expect(row.prev).toEqual(prev);
      expect(row.hash).toEqual(hash);
      expect(appended[index]).toEqual({ seq: BigInt(index + 1), hash: hash.toString('hex') });
      prev = hash;
    }
    expect(await core.audit.verify(customerId)).toEqual({
      isIntact: true,
      entries: 3,
      seq: 3n,
      hash: prev.toString('hex'),
      erased: 0,
      locked: 0,
      unexplained: 0,
      droppedUpTo: 0n,
    });
  });

  test('of a customer without entries is intact', async () => {
    const { customerId } = await installShop(core);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 0, seq: 0n });
  });

  test('keeps headers in their one spelling, with every field that was given', async () => {
    const operation = await requestOperation(core, shop);
    const entry = {
      kind: 'step.finished',
      operationId: operation.id,
      actor: shop.admin.id,
      stepNumber: 3,
      attempt: 2n ** 60n,
      success: false,
      durationMs: 1_234,
      rung: 'replayed',
      screenshotSha256: 'ab'.repeat(32),
      planHash: 'cd'.repeat(32),
    } as const;
    const { seq } = await append(shop.customerId, entry);
    const header = (await rowsOf(shop.customerId)).find((row) => BigInt(row.seq) === seq)?.header ?? '';
    expect(header).toBe(canonical(JSON.parse(header)));
    expect(JSON.parse(header)).toEqual({
      ...entry,
      attempt: String(2n ** 60n),
      v: 1,
      id: expect.any(String),
      customerId: shop.customerId,
    });
    const read = (await trail(core, operation)).find((found) => found.seq === seq);
    const { screenshotSha256, ...shown } = entry;
    expect(read).toEqual({ ...shown, seq, at: expect.any(Date), hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  test('takes one entry a step and attempt', async () => {
    const operation = await requestOperation(core, shop);
    const entry = { kind: 'step.finished', operationId: operation.id, stepNumber: 1, attempt: 1n } as const;
    await append(shop.customerId, entry);
    await expect(append(shop.customerId, entry)).rejects.toThrow(/[Uu]nique|23505/);
    await append(shop.customerId, { ...entry, attempt: 2n });
    await append(shop.customerId, { ...entry, stepNumber: 2 });
  });

  test('does not step back in time when a clock does', async () => {
    const { customerId } = await installShop(core);
    await append(customerId);
    await shiftClock(testDatabase.ownerUrl, '-1 hour');
    try {
      await append(customerId);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '1 hour');
    }
    await append(customerId);
    const times = (await rowsOf(customerId)).map(({ at }) => at.getTime());
    expect(times[1]).toBe(times[0]);
    expect(times[2]).toBeGreaterThan(times[0] ?? Number.POSITIVE_INFINITY);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
  });

  test('and what it tells of are one transaction', async () => {
    const { customerId } = await installShop(core);
    const rolledBack = core.database.withCustomer(customerId, async (tx) => {
      await core.audit.append(tx, customerId, { kind: 'rules.changed' });
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await rowsOf(customerId)).toEqual([]);
    expect(await append(customerId)).toMatchObject({ seq: 1n });
  });

  test('can be checked up to any entry', async () => {
    const { customerId } = await installShop(core);
    for (let n = 0; n < 3; n++) await append(customerId);
    const upTo = (seq: bigint) =>
      core.database.withCustomer(customerId, (tx) => core.audit.isIntactUpTo(tx, customerId, seq));
    expect(await Promise.all([0n, 1n, 2n, 3n, 4n].map(upTo))).toEqual([true, true, true, true, false]);
  });
});

describe('a payload', () => {
  test('is sealed: neither row nor header spells it', async () => {
    const canary = 'mona.lisa+canary@example.com';
    const operation = await requestOperation(core, shop);
    await append(shop.customerId, {
      kind: 'guide.shown',
      operationId: operation.id,
      payload: { note: canary, deep: [{ canary }] },
    });
    const rows = await sql<{ text: string }>(
      testDatabase.adminUrl,
      'SELECT a::text AS text FROM autonomous_operations_audit a WHERE operation_id = $1',
      [operation.id],
    );
    for (const form of [canary, Buffer.from(canary).toString('hex'), createHash('sha256').update(canary).digest('hex')])
      expect(rows.map(({ text }) => text).join('\n')).not.toContain(form);
    const read = (await trail(core, operation)).at(-1);
    expect(read?.payload).toEqual({ note: canary, deep: [{ canary }] });
  });

  test('is not left out because a root key is not configured: nothing is written then', async () => {
    const { customerId } = await installShop(core);
    await append(customerId, { kind: 'guide.shown', payload: { words: 'one' } });
    const rootKeys = createEnvironmentRootKeys({ current: Buffer.alloc(32, 9).toString('base64'), old: [] });
    const slipped = createAudit({ database: core.database, sealer: createSealer(rootKeys) });
    const appending = core.database.withCustomer(customerId, (tx) =>
      slipped.append(tx, customerId, { kind: 'guide.shown', payload: { words: 'two' } }),
    );
    await expect(appending).rejects.toMatchObject({ code: 'vault_key_missing' });
    expect(await rowsOf(customerId)).toHaveLength(1);
  });

  test('leaves a salted hash in the header: the same words never hash alike', async () => {
    const { customerId } = await installShop(core);
    const payload = { email: 'mona@example.com' };
    for (let n = 0; n < 3; n++) await append(customerId, { kind: 'guide.shown', payload });
    const hashes = [];
    for (const row of await rowsOf(customerId)) {
      const header = JSON.parse(row.header) as { id: string; payloadHash: string };
      const bytes = await core.database.withCustomer(customerId, (tx) =>
        core.sealer.open(tx, customerId, ['audit', header.id], row.payload ?? Buffer.alloc(0)),
      );
      const opened = JSON.parse(bytes.toString()) as { salt: string };
      expect(opened.salt).toMatch(/^[0-9a-f]{64}$/);
      const salted = createHash('sha256')
        .update(Buffer.from(opened.salt, 'hex'))
        .update(canonical(payload))
        .digest('hex');
      expect(header.payloadHash).toBe(salted);
      hashes.push(header.payloadHash, createHash('sha256').update(canonical(payload)).digest('hex'));
    }
    expect(new Set(hashes).size).toBe(3 + 1);
  });
});

describe('listeners', () => {
  test('hear of a customer after the commit, and never of what was rolled back', async () => {
    const [quiet, open, loud] = await Promise.all([installShop(core), installShop(core), installShop(core)]);
    const heard: (string | undefined)[] = [];
    let wake = () => {};
    const listener = core.database.listen(AUDIT_CHANNEL, (payload) => {
      heard.push(payload);
      wake();
    });
    const until = async (payload: string | undefined) => {
      while (!heard.includes(payload)) await new Promise<void>((resolve) => (wake = resolve));
    };
    await until(undefined); // it listens now
    await core.database
      .withCustomer(quiet.customerId, async (tx) => {
        await core.audit.append(tx, quiet.customerId, { kind: 'rules.changed' });
        throw new Error('no');
      })
      .catch(() => {});
    await core.database.withCustomer(open.customerId, async (tx) => {
      await core.audit.append(tx, open.customerId, { kind: 'rules.changed' });
      await append(loud.customerId);
      await until(loud.customerId);
      expect(heard).not.toContain(open.customerId); // not committed yet
    });
    await until(open.customerId);
    expect(heard).not.toContain(quiet.customerId);
    await listener.stop();
  });

  test('hear once of many entries of a moment', async () => {
    const { customerId } = await installShop(core);
    const heard: (string | undefined)[] = [];
    let wake = () => {};
    const listener = core.database.listen(AUDIT_CHANNEL, (payload) => {
      heard.push(payload);
      wake();
    });
    const until = async (payload: string | undefined) => {
      while (!heard.includes(payload)) await new Promise<void>((resolve) => (wake = resolve));
    };
    await until(undefined);
    await core.database.withCustomer(customerId, async (tx) => {
      for (let n = 0; n < 20; n++) await core.audit.append(tx, customerId, { kind: 'rules.changed' });
    });
    await until(customerId);
    const { customerId: last } = await installShop(core);
    await append(last);
    await until(last);
    expect(heard.filter((payload) => payload === customerId)).toHaveLength(1);
    await listener.stop();
  });

  test('are woken again after their connection was cut', async () => {
    const { customerId } = await installShop(core);
    const channel = `cut_${newUuid().slice(0, 8)}`;
    const heard: (string | undefined)[] = [];
    let wake = () => {};
    const listener = core.database.listen(channel, (payload) => {
      heard.push(payload);
      wake();
    });
    const until = async (count: number) => {
      while (heard.length < count) await new Promise<void>((resolve) => (wake = resolve));
    };
    await until(1);
    const [cut] = await sql<{ count: number }>(
      testDatabase.adminUrl,
      'SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE application_name = $1',
      [`countersign ${channel}`],
    );
    expect(cut?.count).toBe(1);
    await until(2);
    await core.database.notify(channel, [customerId]);
    await until(3);
    expect(heard).toEqual([undefined, undefined, customerId]);
    await listener.stop();
  });
});

test('the way of an approved request is on record, in order', async () => {
  const operation = await grantedOperation(core, shop);
  const entries = await trail(core, operation);
  expect(entries.map(({ kind, actor, planHash }) => [kind, actor, planHash])).toEqual([
    ['operation.requested', shop.merchant.id, undefined],
    ['plan.made', undefined, operation.planHash],
    ['consent.requested', undefined, operation.planHash],
    ['consent.granted', shop.approver.id, operation.planHash],
  ]);
  expect(entries[1]?.payload).toEqual({ plan: operation.plan });
});
