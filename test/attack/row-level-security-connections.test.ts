// What a customer leaves behind on a connection of the pool, by an accident or on purpose, is nothing to the next one.
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createDatabase, type Database, type Transaction } from '../../core/database.ts';
import { Prisma } from '../../prisma/generated/client.ts';
import { connected, type Shop, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let a: Shop;
let b: Shop;
/** One connection, so that the next customer gets the very same. */
let pool: Database;

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, a, b } = two);
});

beforeEach(() => {
  pool = createDatabase({ url: testDatabase.programUrl, rootKeys: testRootKeys, poolSize: 1 });
  return () => pool.close();
});

afterAll(() => two.close());

const asA = <T>(work: (tx: Transaction) => Promise<T>) => pool.withCustomer(a.customerId, work);
const asB = <T>(work: (tx: Transaction) => Promise<T>) => pool.withCustomer(b.customerId, work);

const look = z.array(z.object({ pid: z.number(), context: z.string().nullable(), members: z.bigint() })).length(1);

/** The connection as it lies in the pool: whose it still is, and what it shows. */
async function atRest(): Promise<{ pid: number; context: string; members: number }> {
  const rows = await pool.directory(Prisma.sql`
    SELECT pg_backend_pid() AS pid, current_setting('app.context', true) AS context, (SELECT count(*) FROM public.members) AS members`);
  const [row] = look.parse(rows);
  if (!row) throw new Error('no row');
  return { pid: row.pid, context: row.context ?? '', members: Number(row.members) };
}

async function pidOf(tx: Transaction): Promise<number> {
  const [row] = z.array(z.object({ pid: z.number() })).parse(await tx.$queryRaw`SELECT pg_backend_pid() AS pid`);
  return row?.pid ?? 0;
}

async function expectNoTraceOfA(): Promise<void> {
  expect(await atRest()).toMatchObject({ context: '', members: 0 });
  const members = await asB((tx) => tx.member.findMany());
  expect(new Set(members.map((member) => member.customerId))).toEqual(new Set([b.customerId]));
  expect(await atRest()).toMatchObject({ context: '', members: 0 });
}

/** From the superuser's side, as soon as the connection is at it. */
async function whileItWaits(signal: 'pg_cancel_backend' | 'pg_terminate_backend', pid: number): Promise<void> {
  await connected(testDatabase.adminUrl, async (admin) => {
    const busy = "SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event = 'PgSleep'";
    await vi.waitUntil(async () => (await admin.query(busy, [pid])).rowCount === 1, { timeout: 10_000, interval: 10 });
    await admin.query(`SELECT ${signal}($1)`, [pid]);
  });
}

describe('27 a connection has no customer any more', () => {
  test('after a commit, an error of the program, and one of the database', async () => {
    await asA((tx) => tx.member.findMany());
    await expectNoTraceOfA();
    await expect(
      asA(async (tx) => {
        await tx.member.findMany();
        throw new Error('in the middle');
      }),
    ).rejects.toThrow('in the middle');
    await expectNoTraceOfA();
    await expect(asA((tx) => tx.$queryRaw`SELECT 1 / 0`)).rejects.toThrow();
    await expectNoTraceOfA();
    // The program went on as if nothing had happened: the commit is a rollback then.
    await asA(async (tx) => {
      await tx.$queryRaw`SELECT 1 / 0`.catch(() => {});
    }).catch(() => {});
    await expectNoTraceOfA();
  });

  test.each(['pg_cancel_backend', 'pg_terminate_backend'] as const)(
    'after %s in the middle of a statement',
    async (signal) => {
      const before = (await atRest()).pid;
      const running = asA(async (tx) => {
        const pid = await pidOf(tx);
        await Promise.all([tx.$queryRaw`SELECT pg_sleep(30)::text`, whileItWaits(signal, pid)]);
      });
      await expect(running).rejects.toThrow();
      await expectNoTraceOfA();
      // The very same connection where it lives on: nothing was hidden by getting another one.
      const isSame = (await atRest()).pid === before;
      expect(isSame).toBe(signal === 'pg_cancel_backend');
    },
  );

  test('after its transaction was ended from inside, which also ends what it shows', async () => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      const inside = asA(async (tx) => {
        await tx.$executeRawUnsafe(end);
        return tx.member.findMany();
      });
      expect(await inside).toEqual([]);
      await expectNoTraceOfA();
    }
  });

  test('for whoever kept a transaction that is over', async () => {
    const kept = await asA(async (tx) => ({ tx }));
    await expect(kept.tx.member.findMany()).rejects.toThrow(/closed|expired|invalid/i);
    await asB(async () => {
      await expect(kept.tx.member.findMany()).rejects.toThrow(/closed|expired|invalid/i);
    });
  });

  test('for twenty at once who wait for it in turns', async () => {
    const turns = Array.from({ length: 20 }, async (_, n) => {
      const shop = n % 2 === 0 ? a : b;
      const members = await pool.withCustomer(shop.customerId, async (tx) => {
        const found = await tx.member.findMany();
        if (n % 3 === 0) await tx.$queryRaw`SELECT 1 / 0`.catch(() => {});
        return found;
      });
      return members.every((member) => member.customerId === shop.customerId);
    });
    const done = await Promise.allSettled(turns);
    expect(done.filter((turn) => turn.status === 'fulfilled' && !turn.value)).toEqual([]);
    await expectNoTraceOfA();
  });
});

describe('27 on its connection a customer can not leave', () => {
  test('settings that the next one reads or writes by', async () => {
    const [before] = await asB((tx) => tx.member.findMany({ orderBy: { id: 'asc' } }));
    await asA(async (tx) => {
      for (const [name, value] of [
        ['search_path', 'pg_catalog'],
        ['datestyle', 'SQL, DMY'],
        ['timezone', 'Pacific/Kiritimati'],
        ['app.context', `${a.customerId}|${'0'.repeat(64)}`],
      ] as const)
        await tx.$queryRaw`SELECT set_config(${name}, ${value}, false)`;
    });
    const [after] = await asB((tx) => tx.member.findMany({ orderBy: { id: 'asc' } }));
    expect(after).toEqual(before);
    const path = await asB((tx) => tx.$queryRaw`SELECT count(*)::int AS n FROM threads`);
    expect(path).toEqual([{ n: 1 }]);
    expect((await atRest()).members).toBe(0);
  });

  test('an isolation in which the next one acts on what was taken back while it waited', async () => {
    const url = new URL(testDatabase.programUrl);
    url.searchParams.set('options', '-c default_transaction_isolation=serializable'); // as an operator may have set it
    const strict = createDatabase({ url: url.href, rootKeys: testRootKeys, poolSize: 1 });
    const name = (tx: Transaction) => tx.$queryRaw`SELECT name FROM customers`;
    const rename = 'UPDATE customers SET name = $2 WHERE customer_id = $1';
    await asA((tx) => tx.$queryRaw`SELECT set_config('default_transaction_isolation', 'repeatable read', false)`);
    for (const database of [pool, strict])
      for (const now of ['before', 'after'])
        await database.withCustomer(b.customerId, async (tx) => {
          await name(tx);
          await sql(testDatabase.adminUrl, rename, [b.customerId, now]);
          expect(await name(tx)).toEqual([{ name: now }]);
        });
    await strict.close();
  });

  test.each([
    'PREPARE mine AS SELECT 1',
    'DEALLOCATE ALL',
    'DECLARE mine CURSOR WITH HOLD FOR SELECT * FROM members',
    'FETCH ALL mine',
    'CREATE TEMP TABLE mine (n int)',
    "SET app.context = 'x'",
    'SET SESSION search_path = mine',
    'RESET ALL',
    'LISTEN mine',
    'LOCK TABLE members',
    'DO $$ BEGIN PERFORM 1; END $$',
    'EXPLAIN SELECT 1',
    'COPY members TO STDOUT',
    'BEGIN; SET search_path = mine',
    'COMMIT AND CHAIN',
  ])('%s', async (statement) => {
    await expect(asA((tx) => tx.$executeRawUnsafe(statement))).rejects.toMatchObject({ code: 'context_refused' });
    await expectNoTraceOfA();
  });

  test('a second statement behind the first one, however many came before', async () => {
    await asA(async (tx) => {
      for (let n = 0; n < 510; n++) await tx.$queryRawUnsafe(`SELECT ${n} AS n WHERE $1::int = 1`, 1);
    });
    await expect(asA((tx) => tx.$queryRawUnsafe('SELECT 1; PREPARE mine AS SELECT 2'))).rejects.toMatchObject({
      message: expect.stringContaining('multiple commands'),
    });
  });

  test('a statement by way of a function that runs one', async () => {
    for (const statement of [
      'PREPARE mine AS SELECT 1',
      'CREATE TEMP TABLE mine (n int)',
      'INSERT INTO members DEFAULT VALUES',
    ])
      await expect(asA((tx) => tx.$queryRaw`SELECT query_to_xml(${statement}, true, true, '')::text`)).rejects.toThrow(
        /not allowed in a non-volatile function/,
      );
  });

  test('its own meaning of the statement by which the next one enters: the token would be overheard', async () => {
    const heard: (string | undefined)[] = [];
    await connected(testDatabase.programUrl, async (spy) => {
      spy.on('notification', ({ payload }) => heard.push(payload));
      await spy.query('LISTEN overheard');
      await asA((tx) => tx.member.findMany());
      await asA(async (tx) => {
        const rows =
          await tx.$queryRaw`SELECT name FROM pg_prepared_statements WHERE statement LIKE '%sec.enter%' AND statement NOT LIKE '%pg_prepared%'`;
        const [entering] = z
          .array(z.object({ name: z.string() }))
          .length(1)
          .parse(rows);
        await tx.$executeRawUnsafe(`DEALLOCATE ${entering?.name}`);
        await tx.$executeRawUnsafe(
          `PREPARE ${entering?.name} (uuid, bigint, bytea) AS SELECT pg_notify('overheard', $1 || '|' || $2 || '|' || encode($3, 'hex'))`,
        );
      }).catch(() => {});
      const members = await asB((tx) => tx.member.findMany());
      await spy.query('SELECT 1'); // what was notified before has arrived with this
      expect(heard).toEqual([]);
      expect(members.length).toBeGreaterThan(0);
    });
  });

  test('a table of its own before the next one’s', async () => {
    await sql(testDatabase.adminUrl, `GRANT TEMPORARY ON DATABASE ${testDatabase.name} TO countersign_program`);
    try {
      // Begins with an allowed word, and makes a table all the same.
      await asA((tx) => tx.$executeRawUnsafe('SELECT * INTO TEMP threads FROM public.threads'));
      const seen = await asB((tx) => tx.$queryRaw`SELECT DISTINCT customer_id::text AS id FROM threads`);
      expect(seen).toEqual([{ id: b.customerId }]);
    } finally {
      await sql(testDatabase.adminUrl, `REVOKE TEMPORARY ON DATABASE ${testDatabase.name} FROM countersign_program`);
    }
    await expect(asA((tx) => tx.$executeRawUnsafe('SELECT * INTO TEMP other FROM public.threads'))).rejects.toThrow(
      /permission denied/,
    );
  });
});
