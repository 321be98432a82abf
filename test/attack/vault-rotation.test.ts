import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CustomerId } from '../../core/ids.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { createCustomerKeys, MOST_SEALS } from '../../core/vault/keys.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, connected, openCore, sql, untilBlocked } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { shopTarget, shopWithSecrets } from '../support/vault.ts';

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
const filled = (count: number) => shopWithSecrets(core, count, TEXT);

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
