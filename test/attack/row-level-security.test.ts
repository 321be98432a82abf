import { createHash } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { createDatabase } from '../../core/database.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { asCustomer, contextOf, ENTER } from '../support/by-hand.ts';
import { type Core, connected, type Shop, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { NONE, openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let core: Core;
let a: Shop;
let b: Shop;
let ofB: Operation;
let tables: readonly string[];

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, core, a, b, ofB, tables } = two);
});

afterAll(() => two.close());

const CONTEXT = "current_setting('app.context', true)";

/** What the setting holds inside A's transaction. */
const contextText = async (client: pg.Client, id: string) => {
  await client.query(ENTER, contextOf(id));
  const { rows } = await client.query<{ text: string }>(`SELECT ${CONTEXT} AS text`);
  return rows[0]?.text ?? '';
};

test('every table of the test holds rows of both customers', async () => {
  expect(tables).toHaveLength(33);
  for (const table of tables) {
    const rows = await sql<{ customer_id: string }>(testDatabase.adminUrl, `SELECT DISTINCT customer_id FROM ${table}`);
    expect(
      rows.map((row) => row.customer_id),
      table,
    ).toEqual(expect.arrayContaining([a.customerId, b.customerId]));
  }
});

describe('a customer sees', () => {
  test('its own rows in every table, and none of another', async () => {
    const sum = await asCustomer(testDatabase.programUrl, a.customerId, two.seen);
    expect(sum.foreign).toBe(0);
    expect(sum.all).toBeGreaterThan(30);
  });

  test('nothing of another by name: the answer is the one for what does not exist', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      for (const table of tables) {
        const foreign = await client.query(`SELECT FROM ${table} WHERE customer_id = $1`, [b.customerId]);
        const absent = await client.query(`SELECT FROM ${table} WHERE customer_id = $1`, [newUuid()]);
        expect([table, foreign.rowCount, absent.rowCount]).toEqual([table, 0, 0]);
      }
    });
  });

  test('through Prisma the same', async () => {
    await core.database.withCustomer(a.customerId, async (tx) => {
      expect(await tx.operation.findMany({ where: { customerId: b.customerId } })).toEqual([]);
      expect(await tx.operation.findFirst({ where: { id: ofB.id } })).toBeNull();
      const credentials = await tx.credential.findMany();
      expect(new Set(credentials.map((row) => row.customerId))).toEqual(new Set([a.customerId]));
      expect(await core.vault.within(tx).list(b.customerId)).toEqual([]);
      expect(await core.operations.latest(tx, b.customerId, 10)).toEqual([]);
    });
  });
});

describe('26 without a context there is nothing', () => {
  test('before one is set, and for the owner of the tables too', async () => {
    expect(await two.program(two.seen)).toEqual(NONE);
    expect(
      await connected(testDatabase.ownerUrl, async (client) => {
        const { rows } = await client.query('SELECT FROM autonomous_operations');
        return rows;
      }),
    ).toEqual([]);
  });

  test('when it was set outside of a transaction', async () => {
    await two.program(async (client) => {
      await client.query(ENTER, contextOf(a.customerId));
      expect(await two.seen(client)).toEqual(NONE);
    });
  });

  test('in the next transaction of the same connection, after a commit, a rollback and an error', async () => {
    await two.program(async (client) => {
      for (const end of ['COMMIT', 'ROLLBACK', 'SELECT 1 / 0']) {
        await client.query('BEGIN');
        await client.query(ENTER, contextOf(a.customerId));
        expect((await two.seen(client)).all, end).toBeGreaterThan(0);
        await client.query(end).catch(() => client.query('ROLLBACK'));
        expect(await two.seen(client), end).toEqual(NONE);
      }
    });
  });

  test('for writing either: nothing is changed, inserted or deleted', async () => {
    await two.program(async (client) => {
      expect((await client.query("UPDATE members SET name = 'x'")).rowCount).toBe(0);
      expect((await client.query('DELETE FROM autonomous_credentials')).rowCount).toBe(0);
      await expect(client.query("INSERT INTO customers VALUES ($1, 'x')", [newUuid()])).rejects.toMatchObject({
        code: '42501',
      });
    });
  });
});

test('26 a context is signed over the customer, the connection and the moment, by a key that only the database has', async () => {
  const [key] = await sql<{ inner_pad: Buffer; outer_pad: Buffer }>(
    testDatabase.adminUrl,
    "SELECT inner_pad, outer_pad FROM sec.context_key WHERE kind = 'database'",
  );
  if (!key) throw new Error('there is no key');
  const sha256 = (...parts: (Buffer | string)[]) =>
    parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
  await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
    const { rows } = await client.query<{ context: string; pid: string; moment: string }>(
      `SELECT ${CONTEXT} AS context, pg_backend_pid()::text AS pid, extract(epoch FROM now())::text AS moment`,
    );
    const { context, pid, moment } = rows[0] ?? {};
    const signature = sha256(key.outer_pad, sha256(key.inner_pad, `${a.customerId}|${pid}|${moment}`));
    expect(context).toBe(`${a.customerId}|${signature.toString('hex')}`);
  });
});

describe('26 a context can not be', () => {
  test('carried to another connection', async () => {
    await two.program(async (one) => {
      await one.query('BEGIN');
      const text = await contextText(one, a.customerId);
      expect(text).toMatch(/^[0-9a-f-]{36}\|[0-9a-f]{64}$/);
      await two.program(async (other) => {
        await other.query('BEGIN');
        await other.query("SELECT set_config('app.context', $1, true)", [text]);
        expect(await two.seen(other)).toEqual(NONE);
      });
    });
  });

  test('carried to the next transaction of the same connection, or set for the whole of it', async () => {
    await two.program(async (client) => {
      await client.query('BEGIN');
      const text = await contextText(client, a.customerId);
      await client.query("SELECT set_config('app.context', $1, false)", [text]);
      await client.query('COMMIT');
      expect(await two.seen(client)).toEqual(NONE);
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.context', $1, true)", [text]);
      expect(await two.seen(client)).toEqual(NONE);
    });
  });

  test.each<[string, () => [string, number, Buffer]]>([
    ["with another customer's token", () => [b.customerId, contextOf(a.customerId)[1], contextOf(a.customerId)[2]]],
    [
      'with a later end than was signed',
      () => [a.customerId, contextOf(a.customerId)[1] + 3600, contextOf(a.customerId)[2]],
    ],
    ['with an expired token', () => contextOf(a.customerId, Math.floor(Date.now() / 1000) - 2)],
    ['with a made-up token', () => [a.customerId, contextOf(a.customerId)[1], Buffer.alloc(32)]],
    ['with an empty token', () => [a.customerId, contextOf(a.customerId)[1], Buffer.alloc(0)]],
  ])('entered %s', async (_, values) => {
    await two.program(async (client) => {
      await client.query('BEGIN');
      await expect(client.query(ENTER, values())).rejects.toMatchObject({ code: '42501', message: 'context refused' });
    });
  });

  test('entered with no token, no end or no customer: an unknown is no yes', async () => {
    const [id, expires, token] = contextOf(a.customerId);
    const unknowns: (string | number | Buffer | null)[][] = [
      [id, expires, null],
      [id, null, token],
      [null, expires, token],
      [null, null, null],
    ];
    for (const values of unknowns)
      await expect(sql(testDatabase.programUrl, ENTER, values)).rejects.toMatchObject({ code: '42501' });
  });

  test('entered by the keys of another installation; the program says so in a sentence', async () => {
    const rootKeys = createEnvironmentRootKeys({ current: Buffer.alloc(32, 8).toString('base64'), old: [] });
    const other = createDatabase({ url: testDatabase.programUrl, rootKeys, poolSize: 1 });
    await expect(other.withCustomer(a.customerId, async () => 'in')).rejects.toMatchObject({
      code: 'context_refused',
      message: expect.stringContaining('root key'),
    });
    await other.close();
  });

  test('changed for another customer inside one transaction; the own one may be entered again', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      await client.query(ENTER, contextOf(a.customerId));
      await client.query('SAVEPOINT here');
      await expect(client.query(ENTER, contextOf(b.customerId))).rejects.toMatchObject({ code: '42501' });
      await client.query('ROLLBACK TO here');
      expect((await two.seen(client)).foreign).toBe(0);
    });
    const nested = core.database.withCustomer(a.customerId, (tx) => {
      const [id, expires, token] = contextOf(b.customerId);
      return tx.$executeRaw`SELECT sec.enter(${id}::uuid, ${expires}::bigint, ${token})`;
    });
    await expect(nested).rejects.toMatchObject({ code: 'context_refused' });
  });
});

describe('25 an injected context opens nothing', () => {
  const forgeries = (text: string) => [
    text.replace(a.customerId, b.customerId),
    `${b.customerId}|`,
    b.customerId,
    `${b.customerId}|${'0'.repeat(64)}`,
    `${text}|${b.customerId}`,
    `${b.customerId}|${text}`,
    '|',
    'x'.repeat(1000),
  ];

  test('injected as text in the middle of a transaction, also inside the statement that reads', async () => {
    await two.program(async (client) => {
      await client.query('BEGIN');
      const text = await contextText(client, a.customerId);
      await client.query('COMMIT');
      for (const forged of forgeries(text)) {
        for (const statement of [
          "WITH s AS MATERIALIZED (SELECT set_config('app.context', $1, true)) SELECT o.* FROM s, autonomous_operations o",
          "SELECT * FROM autonomous_operations WHERE set_config('app.context', $1, true) IS NOT NULL",
          "SELECT o.* FROM (SELECT set_config('app.context', $1, true) OFFSET 0) s, LATERAL (SELECT * FROM autonomous_operations) o",
        ]) {
          await client.query('BEGIN');
          await client.query(ENTER, contextOf(a.customerId));
          const { rows } = await client.query(statement, [forged]);
          expect(
            rows.filter((row) => row.customer_id !== a.customerId),
            `${forged} in ${statement}`,
          ).toEqual([]);
          expect(await two.seen(client), forged).toEqual(NONE); // and what is left of it opens nothing
          await client.query('ROLLBACK');
        }
      }
    });
  });
});
