import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { afterCommit, createDatabase, type Transaction } from '../../core/database.ts';
import { readSight } from '../../core/operations/sight.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql, untilBlocked } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay } from '../support/postgres-relay.ts';
import { testRootKeys } from '../support/root-keys.ts';

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

const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
const hold = (tx: Transaction, key: number) => tx.$executeRaw`SELECT pg_advisory_xact_lock(${key}::bigint)`;

describe('a transaction that the database rolls back for the sake of another one', () => {
  test('is run again: of two in a deadlock both get through, each with one commit', async () => {
    const begun: string[] = [];
    const committed: string[] = [];
    const note = (tx: Transaction, name: string) => {
      begun.push(name);
      afterCommit(tx, () => committed.push(name));
      return tx.chatEvent.create({ data: { customerId: shop.customerId, platform: 'web', eventId: name } });
    };
    let second: Promise<string> | undefined;
    const first = await inside(async (tx) => {
      await note(tx, 'first');
      await hold(tx, 1);
      second ??= inside(async (other) => {
        await note(other, 'second');
        await hold(other, 2);
        await hold(other, 1);
        return 'second';
      });
      await untilBlocked(testDatabase, second);
      await hold(tx, 2);
      return 'first';
    });
    expect([first, await second]).toEqual(['first', 'second']);
    expect(begun.length).toBeGreaterThan(2);
    expect(committed.toSorted()).toEqual(['first', 'second']);
    expect(await inside((tx) => tx.chatEvent.count({ where: { eventId: { in: ['first', 'second'] } } }))).toBe(2);
  });

  test.each(['40P01', '40001'])('is given up after three tries, as what may succeed later: %s', async (code) => {
    let tries = 0;
    const disturbed = inside(async () => {
      tries++;
      throw Object.assign(new Error('put last'), { code });
    });
    await expect(disturbed).rejects.toMatchObject({ code: 'database_unavailable', isRetryable: true });
    expect(tries).toBe(3);
  });

  test('is not run again for anything else', async () => {
    let tries = 0;
    const failed = inside(async () => {
      tries++;
      throw Object.assign(new Error('twice the same'), { code: '23505' });
    });
    await expect(failed).rejects.toThrow('twice the same');
    expect(tries).toBe(1);
  });
});

test.each(['end', 'reset'] as const)(
  'a transaction whose connection comes to its %s before the commit is run again on another one, once',
  async (how) => {
    const relay = await openPostgresRelay(testDatabase.programUrl);
    const database = createDatabase({ url: relay.url, rootKeys: testRootKeys, poolSize: 2 });
    const name = `lost by ${how}`;
    let tries = 0;
    await database.withCustomer(shop.customerId, async (tx) => {
      tries++;
      await tx.chatEvent.create({ data: { customerId: shop.customerId, platform: 'web', eventId: name } });
      if (tries === 1) relay.mend(how);
      await tx.customer.count();
    });
    expect(tries).toBe(2);
    expect(await inside((tx) => tx.chatEvent.count({ where: { eventId: name } }))).toBe(1);
    await database.close();
    await relay.close();
  },
);

test.each(['end', 'reset'] as const)(
  'what is only read is asked once more when its connection comes to its %s',
  async (how) => {
    const relay = await openPostgresRelay(testDatabase.programUrl);
    const database = createDatabase({ url: relay.url, rootKeys: testRootKeys, poolSize: 2 });
    const { id } = await requestOperation(core, shop);
    expect((await readSight(database, shop.customerId, id))?.status).toBe('awaiting_consent');
    relay.cut();
    const read = readSight(database, shop.customerId, id);
    await new Promise(setImmediate);
    relay.mend(how);
    expect((await read)?.status).toBe('awaiting_consent');
    await database.close();
    await relay.close();
  },
);

describe('57 an outage is told as one that a later try may survive', () => {
  const OUTAGE = { code: 'database_unavailable', isRetryable: true };
  const open = (url: string) => createDatabase({ url, rootKeys: testRootKeys, poolSize: 2 });

  test('when the server has no connection left', async () => {
    const limit = (most: number) =>
      sql(testDatabase.adminUrl, `ALTER DATABASE ${testDatabase.name} CONNECTION LIMIT ${most}`);
    const database = open(testDatabase.programUrl);
    await limit(0); // more would be too many
    try {
      const refused = database.withCustomer(shop.customerId, (tx) => tx.customer.count());
      await expect(refused).rejects.toMatchObject(OUTAGE);
      await expect(database.exclusively('name', async () => {})).rejects.toMatchObject(OUTAGE);
    } finally {
      await limit(-1);
    }
    expect(await database.withCustomer(shop.customerId, (tx) => tx.customer.count())).toBe(1);
    await database.close();
  });

  const COUNT = {
    'a query': (tx: Transaction) => tx.customer.count(),
    'a statement of our own': (tx: Transaction) => tx.$queryRaw`SELECT count(*) FROM customers`,
  };
  const NAMES = ['a query', 'a statement of our own'] as const;
  test.each(
    NAMES.flatMap((name) =>
      (['end', 'reset'] as const).flatMap((how) =>
        (['before it', 'while the server is at it'] as const).map((when) => ({ name, how, when })),
      ),
    ),
  )('when the connection of $name has come to its $how $when', async ({ name, how, when }) => {
    const relay = await openPostgresRelay(testDatabase.programUrl);
    const database = open(relay.url);
    await database.withCustomer(shop.customerId, (tx) => tx.customer.count());
    const broken = database.withCustomer(shop.customerId, async (tx) => {
      if (when === 'before it') relay.mend(how);
      else relay.cut();
      const counting = COUNT[name](tx);
      await Promise.race([counting, new Promise(setImmediate)]);
      if (when !== 'before it') relay.mend(how);
      return counting;
    });
    await expect(broken).rejects.toMatchObject(OUTAGE);
    await database.close();
    await relay.close();
  });

  test.each(['end', 'reset'] as const)(
    'when the connection has come to its %s before the commit is answered',
    async (how) => {
      const relay = await openPostgresRelay(testDatabase.programUrl);
      const database = open(relay.url);
      const broken = database.withCustomer(shop.customerId, async (tx) => {
        await tx.customer.count();
        relay.cut();
        setImmediate(() => setImmediate(() => relay.mend(how)));
      });
      await expect(broken).rejects.toMatchObject(OUTAGE);
      await database.close();
      await relay.close();
    },
  );
});

test('whoever falls silent in a transaction lets others on within 15 s, and has done nothing', async () => {
  const { customerId } = shop;
  const lock = (tx: Transaction) =>
    tx.$executeRaw`SELECT 1 FROM customers WHERE customer_id = ${customerId}::uuid FOR UPDATE`;
  const woken = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const silent = core.database.withCustomer(customerId, async (tx) => {
    await lock(tx);
    held.resolve();
    await woken.promise; // as a process that the system has stopped
    await lock(tx);
  });
  await held.promise;
  await core.database.withCustomer(customerId, lock); // fails after 30 s, as every transaction does
  woken.resolve();
  await expect(silent).rejects.toMatchObject({ code: 'database_unavailable', isRetryable: true });
});
