import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CustomerId } from '../../core/ids.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { createCustomerKeys, MOST_SEALS } from '../../core/vault/keys.ts';
import { asCustomer, wordFor } from '../support/by-hand.ts';
import {
  type Core,
  connected,
  installShop,
  openCore,
  queuedOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { fillVault, shopTarget } from '../support/vault.ts';

let testDatabase: TestDatabase;
let core: Core;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const TEXT = 'cs_canary_of';
/** Each is a process of its own that takes a second to start, so `npm test` makes do with fewer than `npm run attacks`. */
const KILLS = process.env.COUNTERSIGN_ATTACKS === 'whole' ? 50 : 7;
const SLOW_MS = 600_000;
const admin = <Row extends object>(text: string, values: unknown[] = []) =>
  sql<Row & Record<string, unknown>>(testDatabase.adminUrl, text, values);

/** The customer of a fresh shop, with so many secrets. */
async function filled(count: number): Promise<Shop> {
  const shop = await installShop(core);
  await fillVault(core.database, testRootKeys, shop.customerId, count, TEXT);
  return shop;
}

function read(customerId: CustomerId, number: number, by: Core = core): Promise<string | undefined | null> {
  const place = { service: 'woocommerce', type: 'api_key', target: shopTarget(number) } as const;
  return by.vault.open({ ...place, customerId, why: 'attack' }, (fields) => fields.value?.toString());
}

interface Held {
  readonly id: string;
  readonly key: string;
  readonly version: number;
  /** Salt, commitment, IV, tag and ciphertext: what a rotation must not touch. */
  readonly payload: string;
  readonly wrap: string;
}

function held(customerId: CustomerId): Promise<Held[]> {
  return admin<Held>(
    `SELECT id, encryption_key_id AS key, secret_version AS version,
      encode(substring(encrypted_credential FROM 67), 'hex') AS payload,
      encode(substring(encrypted_credential FROM 1 FOR 66), 'hex') AS wrap
    FROM autonomous_credentials WHERE customer_id = $1 ORDER BY id`,
    [customerId],
  );
}

/** Root keys whose unwrapping stops when `isAt` says so, until the gate is opened. */
function gated(isAt: () => boolean): { rootKeys: RootKeys; reached: Promise<void>; open(): void } {
  const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  return {
    reached: reached.promise,
    open: () => gate.resolve(),
    rootKeys: {
      ...testRootKeys,
      unwrap: async (...args) => {
        if (isAt()) {
          reached.resolve();
          await gate.promise;
        }
        return testRootKeys.unwrap(...args);
      },
    },
  };
}

describe('11 a rotation', () => {
  test(
    '11 of ten thousand secrets fails no reader and no writer, and leaves every payload as it is',
    async () => {
      const count = 10_000;
      const { customerId } = await filled(count);
      const before = new Map((await held(customerId)).map((row) => [row.id, row]));
      let isOver = false;
      let reads = 0;
      const failures: unknown[] = [];
      const lane = async () => {
        while (!isOver) {
          const number = randomInt(count);
          try {
            if (reads % 5 === 0)
              await core.vault.store(customerId, 'woocommerce', 'api_key', {
                ...{ target: shopTarget(number), value: `${TEXT} ${number}` },
              });
            const text = await read(customerId, number);
            if (text !== `${TEXT} ${number}`) failures.push(text);
          } catch (error) {
            failures.push(error);
          }
          reads++;
        }
      };
      const lanes = Array.from({ length: 8 }, lane);
      const outcome = await core.keyRotation.rotateCustomerKeys(customerId);
      isOver = true;
      await Promise.all(lanes);
      expect(failures).toEqual([]);
      expect(reads).toBeGreaterThan(20);
      const { destroyed } = await core.keyRotation.resume(customerId); // what was written while the last batch ran
      expect([outcome.kind, new Set([...(outcome.kind === 'rotated' ? outcome.destroyed : []), ...destroyed])]).toEqual(
        ['rotated', new Set([1])],
      );
      const after = await held(customerId);
      expect(new Set(after.map(({ key }) => key))).toEqual(new Set(['v2']));
      const untouched = after.filter((row) => row.version === before.get(row.id)?.version);
      expect(untouched.length).toBeGreaterThan(count / 2);
      for (const row of untouched) {
        expect(row.payload).toBe(before.get(row.id)?.payload);
        expect(row.wrap).not.toBe(before.get(row.id)?.wrap);
      }
    },
    SLOW_MS,
  );

  test('11 never undoes what is written while it works', async () => {
    const { customerId } = await filled(3);
    let unwraps = 0;
    const { rootKeys, reached, open } = gated(() => ++unwraps === 2); // a batch unwraps the old key, then the new one
    const slow = await openCore(testDatabase, { rootKeys });
    const rotating = slow.keyRotation.rotateCustomerKeys(customerId);
    await reached;
    const writing = core.vault.store(customerId, 'woocommerce', 'api_key', { target: shopTarget(1), value: 'new' });
    await untilBlocked(testDatabase, writing);
    open();
    await Promise.all([rotating, writing]);
    expect([await read(customerId, 0), await read(customerId, 1)]).toEqual([`${TEXT} 0`, 'new']);
    await slow.close();
  });

  test(
    `11 killed at ${KILLS} points goes on where it was, and nothing is lost`,
    async () => {
      const [count, batch] = [1_600, 40];
      const { customerId } = await filled(count);
      const before = await held(customerId);
      const children: ChildProcess[] = [];
      const begin = () => {
        const child = startRotation(customerId, batch);
        children.push(child.process);
        return child;
      };
      try {
        // While one works the next ones start: most of the time goes into that.
        const waiting = [begin(), begin(), begin()];
        for (let kill = 0; kill < KILLS; kill++) {
          waiting.push(begin());
          const child = waiting.shift();
          expect(await child?.run(DEATHS[kill % DEATHS.length] ?? 'never')).toBe('SIGKILL');
          const some = randomInt(count);
          expect(await read(customerId, some)).toBe(`${TEXT} ${some}`);
        }
      } finally {
        for (const child of children) child.kill('SIGKILL');
      }
      const half = await held(customerId);
      expect(new Set(half.map(({ key }) => key))).toEqual(new Set(['v1', 'v2'])); // it was killed in the middle, and got on
      await core.keyRotation.resume(customerId);
      const after = await held(customerId);
      expect(after.map(({ id, payload }) => [id, payload])).toEqual(before.map(({ id, payload }) => [id, payload]));
      expect(new Set(after.map(({ key }) => key))).toEqual(new Set(['v2']));
      expect((await core.keyRotation.versions(customerId)).map(({ state }) => state)).toEqual(['destroyed', 'active']);
      for (let number = 0; number < count; number += 100)
        expect(await read(customerId, number)).toBe(`${TEXT} ${number}`);
    },
    SLOW_MS,
  );
});

/** Before the new version is there; in the transaction of a batch, with one key or with both; after a commit. */
const DEATHS = ['key 1', 'key 1', 'key 2', 'batch 1', 'key 3', 'key 4', 'batch 2'];
const PROGRAM = join(import.meta.dirname, '../support/rotation-program.ts');

function startRotation(customer: CustomerId, batch: number) {
  const options = JSON.stringify({ url: testDatabase.programUrl, customer, batch });
  const child = spawn(process.execPath, [PROGRAM, options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  const ready = once(lines, 'line');
  const closed = once(child, 'close');
  return {
    process: child,
    /** @returns the signal that it died of. */
    async run(death: string): Promise<unknown> {
      await ready;
      child.stdin.write(`${death}\n`);
      const [, signal] = await closed;
      return signal;
    },
  };
}

test('12 of two rotations at once one makes the new version, and the other says that it came too late', async () => {
  const { customerId } = await filled(5);
  const outcomes = await connected(testDatabase.adminUrl, async (client) => {
    await client.query('BEGIN');
    await client.query('SELECT FROM customer_keys WHERE customer_id = $1 FOR UPDATE', [customerId]);
    const both = Promise.all([1, 2].map(() => core.keyRotation.rotateCustomerKeys(customerId)));
    const waiting = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    await vi.waitUntil(async () => (await admin(waiting, [testDatabase.name])).length === 2, { timeout: 10_000 });
    await client.query('COMMIT');
    return both;
  });
  expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['lost', 'rotated']);
  expect((await core.keyRotation.versions(customerId)).map(({ version }) => version)).toEqual([1, 2]);
  expect(await read(customerId, 4)).toBe(`${TEXT} 4`);
});

describe('13 a key that something still needs', () => {
  const DESTROY = "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE customer_id = $1 AND version = 1";
  const RETIRE = "UPDATE customer_keys SET state = 'decrypt_only' WHERE customer_id = $1";
  const NEEDED = { code: '23001', message: 'key version 1 is still needed' };
  /** With the program's word, so that it is the key's own rules that refuse. */
  const asProgram = (customerId: CustomerId, text: string, state = /state = '(\w+)'/.exec(text)?.[1] ?? 'active') =>
    asCustomer(testDatabase.programUrl, customerId, async (client) => {
      const word = wordFor('key', customerId, `1|${state}|`);
      await client.query("SELECT set_config('app.vouched', $1, true)", [word]);
      return client.query(text, [customerId]);
    });

  /** A retired key with one thing sealed under it, and the statement that takes that thing away. */
  const things: readonly (readonly [string, () => Promise<readonly [CustomerId, string]>])[] = [
    [
      'a stored secret',
      async () => {
        const { customerId } = await filled(1);
        return [customerId, 'DELETE FROM autonomous_credentials WHERE customer_id = $1'];
      },
    ],
    [
      'the words of an audit entry',
      async () => {
        const { customerId } = await installShop(core);
        await core.database.withCustomer(customerId, (tx) =>
          core.audit.append(tx, customerId, { kind: 'rules.changed', payload: { a: 1 } }),
        );
        const drop = 'ALTER TABLE autonomous_operations_audit DISABLE TRIGGER append_only';
        return [customerId, `${drop}; DELETE FROM autonomous_operations_audit`];
      },
    ],
    [
      'a screenshot',
      async () => {
        const shop = await installShop(core);
        const { customerId } = shop;
        const operation = await queuedOperation(core, shop);
        await core.database.withCustomer(customerId, async (tx) => {
          const { record } = await core.sealer.seal(tx, customerId, ['screenshot'], Buffer.from('a picture'));
          const size = { width: 1, height: 1, alt: '', mediaType: 'image/png' };
          const row = { customerId, id: customerId, operationId: operation.id, step: 1, ...size };
          await tx.screenshot.create({ data: { ...row, sealed: Uint8Array.from(record) } });
        });
        await admin('DELETE FROM autonomous_credentials WHERE customer_id = $1', [customerId]);
        await admin('ALTER TABLE autonomous_operations_audit DISABLE TRIGGER append_only');
        await admin('DELETE FROM autonomous_operations_audit WHERE customer_id = $1', [customerId]);
        return [customerId, 'DELETE FROM screenshots WHERE customer_id = $1'];
      },
    ],
  ];

  test.each(things)('13 is destroyed by nobody, not even past row level security: %s', async (_, make) => {
    const [customerId, take] = await make();
    await asProgram(customerId, RETIRE);
    await expect(asProgram(customerId, DESTROY)).rejects.toMatchObject(NEEDED);
    await expect(admin(DESTROY, [customerId])).rejects.toMatchObject(NEEDED);
    if (take.includes('$1')) await admin(take, [customerId]);
    else await admin(take);
    await asProgram(customerId, DESTROY);
  });

  test('13 is destroyed neither while somebody is just sealing under it', async () => {
    const { customerId } = await filled(1);
    await admin('DELETE FROM autonomous_credentials WHERE customer_id = $1', [customerId]); // so nothing needs the key yet
    const { promise: written, resolve: write } = Promise.withResolvers<void>();
    const { promise: sealed, resolve: isSealed } = Promise.withResolvers<void>();
    const storing = core.database.withCustomer(customerId, async (tx) => {
      await core.vault.within(tx).store(customerId, 'stripe', 'api_key', { value: 'x' });
      isSealed();
      await written;
    });
    await sealed;
    await asProgram(customerId, RETIRE);
    const destroying = asProgram(customerId, DESTROY);
    destroying.catch(() => {});
    await untilBlocked(testDatabase, destroying);
    write();
    await storing;
    await expect(destroying).rejects.toMatchObject(NEEDED);
    expect((await core.vault.get(customerId, 'stripe', 'api_key'))?.value.reveal()).toBe('x');
  });

  test.each([
    ['skipped over', "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE customer_id = $1", '42501'],
    ['left in its row', "UPDATE customer_keys SET state = 'destroyed' WHERE customer_id = $1", '42501'],
    ['emptied alone', "UPDATE customer_keys SET wrapped = '' WHERE customer_id = $1", '23514'],
    ['counted down', 'UPDATE customer_keys SET seals = -1 WHERE customer_id = $1', '42501'],
    ['renumbered', 'UPDATE customer_keys SET version = 9 WHERE customer_id = $1', '42501'],
    ['given another age', 'UPDATE customer_keys SET created_at = app.now() WHERE customer_id = $1', '42501'],
    ['deleted', 'DELETE FROM customer_keys WHERE customer_id = $1', '42501'],
  ])('13 an active key is not %s', async (_, statement, code) => {
    const { customerId } = await filled(1);
    await expect(asProgram(customerId, statement)).rejects.toMatchObject({ code });
  });

  test('13 a key does not come back', async () => {
    const { customerId } = await filled(1);
    await core.keyRotation.rotateCustomerKeys(customerId);
    for (const change of ["state = 'active'", "state = 'decrypt_only', wrapped = 'x'"]) {
      const statement = `UPDATE customer_keys SET ${change} WHERE customer_id = $1 AND version = 1`;
      await expect(asProgram(customerId, statement)).rejects.toMatchObject({
        code: expect.stringMatching(/^(42501|23505)$/),
      });
    }
  });
});

test('14 a read that began before a rotation ends well, and leaves no key behind that a later one could use', async () => {
  const { customerId } = await filled(1);
  const [old] = await held(customerId);
  let isSlow = true;
  const { rootKeys, reached, open } = gated(() => isSlow);
  const other = await openCore(testDatabase, { rootKeys });
  const reading = read(customerId, 0, other);
  await reached;
  expect(await core.keyRotation.rotateCustomerKeys(customerId)).toMatchObject({ kind: 'rotated', destroyed: [1] });
  isSlow = false;
  open();
  expect(await reading).toBe(`${TEXT} 0`);
  expect(await read(customerId, 0, other)).toBe(`${TEXT} 0`);
  const put = (row: Held | undefined) =>
    admin(
      "UPDATE autonomous_credentials SET encrypted_credential = decode($1, 'hex'), encryption_key_id = $2 WHERE id = $3",
      [...[`${row?.wrap}${row?.payload}`, row?.key, row?.id]],
    );
  const [fresh] = await held(customerId);
  await put(old);
  await expect(read(customerId, 0, other)).rejects.toMatchObject({ code: 'vault_key_missing' });
  await put(fresh);
  expect(await read(customerId, 0, other)).toBe(`${TEXT} 0`);
  await other.close();
});

describe('upkeep', () => {
  test('rotates keys that are old enough, and no others', async () => {
    const { customerId } = await filled(2);
    const states = async () => (await core.keyRotation.versions(customerId)).map(({ state }) => state);
    await core.keyRotation.upkeep(90);
    expect(await states()).toEqual(['active']);
    await shiftClock(testDatabase.ownerUrl, '90 days');
    try {
      const report = await core.keyRotation.upkeep(90);
      expect(report.failed.map((one) => one.customerId)).not.toContain(customerId);
      expect(report.rotated).toBeGreaterThan(0);
      expect((await core.keyRotation.upkeep(90)).rotated).toBe(0);
      expect(await states()).toEqual(['destroyed', 'active']);
      expect(await read(customerId, 1)).toBe(`${TEXT} 1`);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-90 days');
    }
  });

  test('finishes what somebody began, and rotates a key that has sealed half of what it may', async () => {
    const { customerId } = await filled(2);
    await asCustomer(testDatabase.programUrl, customerId, (client) =>
      client.query('UPDATE customer_keys SET seals = $2 WHERE customer_id = $1', [customerId, MOST_SEALS / 2n]),
    );
    await core.keyRotation.upkeep(90);
    const versions = await core.keyRotation.versions(customerId);
    expect(versions).toMatchObject([{ state: 'destroyed' }, { state: 'active', seals: expect.any(BigInt) }]);
    expect(versions[1]?.seals).toBeGreaterThanOrEqual(2n);
  });

  test('a key that has sealed all it may seals nothing more', async () => {
    const { customerId } = await filled(1);
    await admin('UPDATE customer_keys SET seals = $2 WHERE customer_id = $1', [customerId, String(MOST_SEALS)]);
    await expect(core.vault.store(customerId, 'stripe', 'api_key', { value: 'x' })).rejects.toMatchObject({
      code: 'vault_key_exhausted',
    });
    expect(await read(customerId, 0)).toBe(`${TEXT} 0`);
    await core.keyRotation.rotateCustomerKeys(customerId);
    await core.vault.store(customerId, 'stripe', 'api_key', { value: 'x' });
  });

  test('what is sealed is counted by a sample, near enough', async () => {
    const { customerId } = await filled(1);
    const keys = createCustomerKeys(testRootKeys, 4);
    const before = (await core.keyRotation.versions(customerId))[0]?.seals ?? 0n;
    await core.database.withCustomer(customerId, async (tx) => {
      for (let n = 0; n < 400; n++) (await keys.active(tx, customerId)).bytes.fill(0);
    });
    // One in four is counted as four: 400 on average, with a standard deviation of √(400 · 3) = 35; six of them either way.
    const counted = Number(((await core.keyRotation.versions(customerId))[0]?.seals ?? 0n) - before);
    expect(Math.abs(counted - 400)).toBeLessThan(208);
  });
});
