import { createHash, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { createDatabase } from '../../core/database.ts';
import { customerId, newUuid } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Secret } from '../../core/secret.ts';
import {
  asCustomer,
  type Core,
  connected,
  contextOf,
  ENTER,
  installShop,
  openCore,
  queuedOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';

let testDatabase: TestDatabase;
let core: Core;
let a: Shop;
let b: Shop;
let ofA: Operation;
let ofB: Operation;
let tables: readonly string[];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  [a, b] = [await installShop(core), await installShop(core)];
  [ofA, ofB] = [await fill(a), await fill(b)];
  const rows = await sql<{ name: string }>(
    testDatabase.adminUrl,
    "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'customer_id' ORDER BY 1",
  );
  tables = rows.map(({ name }) => name);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

/** At least one row of the customer in every table. */
async function fill(shop: Shop): Promise<Operation> {
  const operation = await queuedOperation(core, shop);
  const { customerId: id } = shop;
  await core.database.withCustomer(id, async (tx) => {
    const thread = await core.threads.open(tx, id, { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' });
    await core.threads.keepMessage(tx, id, thread, 'consent', { thread: thread.ref, ref: 'm' }, 'shown');
    await core.links.issue(tx, id, { purpose: 'reveal', operationId: operation.id, memberId: shop.merchant.id });
    const step = { customerId: id, operationId: operation.id, step: 9 };
    await tx.operationIntent.create({ data: { ...step, attempt: 1n, label: operation.plan.label, state: 'started' } });
    const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 1, height: 1, alt: '' };
    await tx.screenshot.create({ data: { ...step, id: newUuid(), ...picture } });
    const target = 'https://shop.example.com';
    const value = new Secret(`secret of ${shop.workspaceId}`);
    await core.vault.within(tx).store(id, 'woocommerce', 'api_key', { target, value });
    await takeEvent(tx, id, { platform: 'web', id: 'the same for both' });
  });
  return operation;
}

const program = <T>(work: (client: pg.Client) => Promise<T>) => connected(testDatabase.programUrl, work);
const CONTEXT = "current_setting('app.context', true)";

/** Rows that the connection sees, table by table; the sum of those that are not A's. */
async function seen(client: pg.Client): Promise<{ all: number; foreign: number }> {
  const sum = { all: 0, foreign: 0 };
  for (const table of tables) {
    const { rows } = await client.query(`SELECT customer_id FROM ${table}`);
    sum.all += rows.length;
    sum.foreign += rows.filter((row) => row.customer_id !== a.customerId).length;
  }
  return sum;
}
const NONE = { all: 0, foreign: 0 };

test('every table of the test holds rows of both customers', async () => {
  expect(tables).toHaveLength(17);
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
    const sum = await asCustomer(testDatabase.programUrl, a.customerId, seen);
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

describe('without a context there is nothing', () => {
  test('before one is set, and for the owner of the tables too', async () => {
    expect(await program(seen)).toEqual(NONE);
    expect(
      await connected(testDatabase.ownerUrl, async (client) => {
        const { rows } = await client.query('SELECT FROM autonomous_operations');
        return rows;
      }),
    ).toEqual([]);
  });

  test('when it was set outside of a transaction', async () => {
    await program(async (client) => {
      await client.query(ENTER, contextOf(a.customerId));
      expect(await seen(client)).toEqual(NONE);
    });
  });

  test('in the next transaction of the same connection, after a commit, a rollback and an error', async () => {
    await program(async (client) => {
      for (const end of ['COMMIT', 'ROLLBACK', 'SELECT 1 / 0']) {
        await client.query('BEGIN');
        await client.query(ENTER, contextOf(a.customerId));
        expect((await seen(client)).all, end).toBeGreaterThan(0);
        await client.query(end).catch(() => client.query('ROLLBACK'));
        expect(await seen(client), end).toEqual(NONE);
      }
    });
  });

  test('for writing either: nothing is changed, inserted or deleted', async () => {
    await program(async (client) => {
      expect((await client.query("UPDATE members SET name = 'x'")).rowCount).toBe(0);
      expect((await client.query('DELETE FROM autonomous_credentials')).rowCount).toBe(0);
      await expect(client.query("INSERT INTO customers VALUES ($1, 'x')", [newUuid()])).rejects.toMatchObject({
        code: '42501',
      });
    });
  });
});

test('a context is signed over the customer, the connection and the moment, by a key that only the database has', async () => {
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

describe('a context can not be', () => {
  /** What the setting holds inside A's transaction. */
  const contextText = async (client: pg.Client, id: string) => {
    await client.query(ENTER, contextOf(id));
    const { rows } = await client.query<{ text: string }>(`SELECT ${CONTEXT} AS text`);
    return rows[0]?.text ?? '';
  };

  test('carried to another connection', async () => {
    await program(async (one) => {
      await one.query('BEGIN');
      const text = await contextText(one, a.customerId);
      expect(text).toMatch(/^[0-9a-f-]{36}\|[0-9a-f]{64}$/);
      await program(async (two) => {
        await two.query('BEGIN');
        await two.query("SELECT set_config('app.context', $1, true)", [text]);
        expect(await seen(two)).toEqual(NONE);
      });
    });
  });

  test('carried to the next transaction of the same connection, or set for the whole of it', async () => {
    await program(async (client) => {
      await client.query('BEGIN');
      const text = await contextText(client, a.customerId);
      await client.query("SELECT set_config('app.context', $1, false)", [text]);
      await client.query('COMMIT');
      expect(await seen(client)).toEqual(NONE);
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.context', $1, true)", [text]);
      expect(await seen(client)).toEqual(NONE);
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
    await program(async (client) => {
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
      expect((await seen(client)).foreign).toBe(0);
    });
    const nested = core.database.withCustomer(a.customerId, (tx) => {
      const [id, expires, token] = contextOf(b.customerId);
      return tx.$executeRaw`SELECT sec.enter(${id}::uuid, ${expires}::bigint, ${token})`;
    });
    await expect(nested).rejects.toMatchObject({ code: 'context_refused' });
  });

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
    await program(async (client) => {
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
          expect(await seen(client), forged).toEqual(NONE); // and what is left of it opens nothing
          await client.query('ROLLBACK');
        }
      }
    });
  });

  test('injected through any text of a request: names and addresses stay text', async () => {
    const evil = `x'); SELECT set_config('app.context', '${b.customerId}', true); --`;
    await core.database.withCustomer(a.customerId, async (tx) => {
      await core.customers.member(tx, a.customerId, { platform: 'web', workspaceId: evil, userId: evil, name: evil });
      await core.threads.open(tx, a.customerId, { platform: 'web', workspaceId: evil, ref: evil });
      expect(await core.operations.get(tx, a.customerId, evil)).toBeUndefined();
      const value = { [evil]: new Secret(evil) };
      await core.vault.within(tx).store(a.customerId, evil.slice(0, 50), 'session', { target: evil, value });
      expect(await tx.operation.findFirst({ where: { id: ofB.id } })).toBeNull();
      expect(await tx.operation.count()).toBe(1);
    });
    expect(await core.directory.customerOfWorkspace('web', evil)).toBeUndefined();
  });
});

describe('the role of the program is refused', () => {
  test.each([
    ['the keys of contexts', 'SELECT * FROM sec.context_key'],
    ['one column of them', 'SELECT kind FROM sec.context_key'],
    ['their making', "INSERT INTO sec.context_key VALUES (5, 'program', '', '')"],
    ['the signature', "SELECT sec.hmac('', '', 'x')"],
    ['the signature of the database', "SELECT sec.bound('x')"],
    ['a function of its own', 'CREATE FUNCTION public.sneak() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'],
    [
      'a function in the schema of the rules',
      'CREATE FUNCTION sec.customer2() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    ],
    [
      'another meaning of a function',
      'CREATE OR REPLACE FUNCTION sec.customer() RETURNS uuid LANGUAGE sql AS $$ SELECT NULL::uuid $$',
    ],
    ['a table', 'CREATE TABLE public.sneak (n int)'],
    ['a schema', 'CREATE SCHEMA sneak'],
    ['a view', 'CREATE VIEW public.sneak AS SELECT * FROM autonomous_operations'],
    ['emptying a table', 'TRUNCATE autonomous_credentials'],
    ['the role of the owner', 'SET ROLE countersign_owner'],
    ['the role of the superuser', 'SET SESSION AUTHORIZATION admin'],
    ['a role of its own', 'CREATE ROLE sneak'],
    ['turning policies off', 'ALTER TABLE autonomous_operations DISABLE ROW LEVEL SECURITY'],
    ['a policy', 'CREATE POLICY mine ON autonomous_operations USING (true)'],
    ['dropping a policy', 'DROP POLICY own_rows ON autonomous_operations'],
    ['reading regardless of policies', 'SET row_security = off; SELECT * FROM autonomous_operations'],
    [
      'a trigger',
      'CREATE TRIGGER mine BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION app.require_live_consent()',
    ],
    ['an index that leaks', 'CREATE UNIQUE INDEX mine ON members (name)'],
    ['a file of the server', "COPY members TO '/tmp/members'"],
    ['a program on the server', "COPY members TO PROGRAM 'cat'"],
    ['a large file', "SELECT pg_read_file('/etc/passwd')"],
    ['the clock', 'CREATE OR REPLACE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() $$'],
  ])('%s', async (_, statement) => {
    const attempt = asCustomer(testDatabase.programUrl, a.customerId, (client) => client.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });

  test('a meaning of its own for our names: what is temporary changes nothing', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      await client.query('CREATE TEMP TABLE context_key AS SELECT 1');
      await client.query('CREATE TEMP TABLE audit_heads AS SELECT 1');
      await client.query("CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT ''::bytea $$");
      await client.query('SET LOCAL search_path = pg_temp, public, pg_catalog');
      await client.query('SELECT app.append_audit(\'{"kind":"x"}\', NULL)');
    });
    expect(await core.audit.verify(a.customerId)).toMatchObject({ isIntact: true });
  });
});

describe("another customer's rows can not be", () => {
  const inA = (statement: string, values: unknown[] = []) =>
    asCustomer(testDatabase.programUrl, a.customerId, (client) => client.query(statement, values));

  test('written: an insert for them is refused in every table that may be written at all', async () => {
    for (const table of tables) {
      const columns = await sql<{ name: string }>(
        testDatabase.adminUrl,
        'SELECT column_name AS name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2',
        ['public', table],
      );
      const list = columns.map(({ name }) => name).join(', ');
      const copied = columns.map(({ name }) => (name === 'customer_id' ? '$1::uuid' : name)).join(', ');
      const attempt = inA(`INSERT INTO ${table} (${list}) SELECT ${copied} FROM ${table}`, [b.customerId]);
      await expect(attempt, table).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('taken over: a row does not move from one customer to another', async () => {
    for (const table of ['members', 'threads', 'autonomous_operations', 'autonomous_credentials', 'customer_keys']) {
      await expect(inA(`UPDATE ${table} SET customer_id = $1`, [b.customerId]), table).rejects.toMatchObject({
        code: '42501',
      });
      expect(
        (await inA(`UPDATE ${table} SET customer_id = $1 WHERE customer_id = $2`, [a.customerId, b.customerId]))
          .rowCount,
        table,
      ).toBe(0);
    }
  });

  test('changed or deleted by name', async () => {
    expect((await inA("UPDATE autonomous_operations SET status = 'cancelled' WHERE id = $1", [ofB.id])).rowCount).toBe(
      0,
    );
    expect((await inA('DELETE FROM autonomous_credentials WHERE customer_id = $1', [b.customerId])).rowCount).toBe(0);
    expect(
      (await inA('UPDATE autonomous_consent SET revoked_at = app.now() WHERE operation_id = $1', [ofB.id])).rowCount,
    ).toBe(0);
  });

  test('referred to: a foreign key names the customer, too', async () => {
    const step = 'INSERT INTO operation_steps (customer_id, operation_id, number, intent) VALUES ($1, $2, 99, $3)';
    await expect(inA(step, [a.customerId, ofB.id, 'x'])).rejects.toMatchObject({ code: '23503' });
    await expect(inA(step, [a.customerId, 'op-00000000', 'x'])).rejects.toMatchObject({ code: '23503' });
    await expect(inA('UPDATE autonomous_operations SET thread_id = $1', [b.threadId])).rejects.toMatchObject({
      code: '23503',
    });
    await expect(inA('UPDATE autonomous_operations SET user_id = $1', [b.merchant.id])).rejects.toMatchObject({
      code: '23503',
    });
  });

  test('guessed by a collision: the same ids and names go in beside theirs', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      await client.query('SAVEPOINT before');
      const copies = [
        [
          "INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles) VALUES ($1, $2, 'web', $3, 'U-Mona', 'Mona', '{}')",
          b.merchant.id,
          b.workspaceId,
        ],
        [
          "INSERT INTO threads (customer_id, id, platform, workspace_id, ref) VALUES ($1, $2, 'web', $3, 'thread')",
          b.threadId,
          b.workspaceId,
        ],
        [
          `INSERT INTO autonomous_operations (customer_id, id, thread_id, user_id, service, operation, target, workflow_id, workflow_version, status, plan, plan_hash, permissions, total_steps)
          SELECT $1, $2, thread_id, user_id, $3, operation, target, workflow_id, workflow_version, 'pending', plan, plan_hash, permissions, total_steps FROM autonomous_operations WHERE id = '${ofA.id}'`,
          ofB.id,
          'woocommerce',
        ],
      ] as const;
      for (const [statement, id, name] of copies) {
        expect((await client.query(statement, [a.customerId, id, name])).rowCount).toBe(1);
        await client.query('ROLLBACK TO before');
      }
    });
  });

  test('seen by an error, an estimate or a statistic', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      const { rows: stats } = await client.query("SELECT * FROM pg_stats WHERE schemaname = 'public'");
      expect(stats).toEqual([]);
      // Conditions that fail or talk about a row: the policy comes first, whatever they cost.
      const id = `CASE WHEN id = '${ofB.id}' THEN 0 ELSE 1 END`;
      expect((await client.query(`SELECT id FROM autonomous_operations WHERE 1 / (${id}) = 1`)).rowCount).toBe(1);
      const heard: string[] = [];
      client.on('notice', ({ message }) => heard.push(message ?? ''));
      await client.query(
        `CREATE FUNCTION pg_temp.tell(words text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
        $$ BEGIN RAISE NOTICE '%', words; RETURN true; END $$`,
      );
      await client.query('SELECT FROM autonomous_operations WHERE pg_temp.tell(id)');
      expect(heard).toEqual([ofA.id]);
    });
  });
});

describe('the directory', () => {
  test('gives ids for exact names, and nothing but ids', async () => {
    expect(await core.directory.customerOfWorkspace('web', b.workspaceId)).toBe(b.customerId);
    await program(async (client) => {
      const { rows } = await client.query('SELECT * FROM directory.customer_of_workspace($1, $2)', [
        'web',
        b.workspaceId,
      ]);
      expect(rows).toEqual([{ customer_of_workspace: b.customerId }]);
      const { rows: behind } = await client.query<{ customers_behind: string }>(
        'SELECT * FROM directory.customers_behind()',
      );
      expect(behind.map((row) => row.customers_behind).sort()).toEqual([a.customerId, b.customerId].sort());
      for (const [platform, workspace] of [
        ['web', '%'],
        ['web', ''],
        ['slack', b.workspaceId],
        [null, null],
      ])
        expect(
          (await client.query('SELECT directory.customer_of_workspace($1, $2) AS id', [platform, workspace])).rows,
        ).toEqual([{ id: null }]);
      expect(await seen(client)).toEqual(NONE);
    });
  });

  test('opens nothing for whoever knows an id: a context needs the key', async () => {
    await program(async (client) => {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.context', directory.customer_of_workspace('web', $1)::text, true)", [
        b.workspaceId,
      ]);
      expect(await seen(client)).toEqual(NONE);
    });
  });
});

test('a hundred transactions of three customers over a pool of two: each sees its own', async () => {
  const database = createDatabase({ url: testDatabase.programUrl, rootKeys: testRootKeys, poolSize: 2 });
  const customers = [a.customerId, b.customerId, customerId(randomUUID())];
  const work = Array.from({ length: 100 }, async (_, n) => {
    const id = customers[n % 3] ?? a.customerId;
    const read = database.withCustomer(id, async (tx) => {
      const rows = await tx.operation.findMany({ select: { customerId: true } });
      if (n % 5 === 0) throw new Error('rolled back');
      return rows;
    });
    const rows = await read.catch((error: unknown) => {
      if (n % 5 === 0) return [];
      throw error;
    });
    return rows.every((row) => row.customerId === id) && (n % 5 === 0 || n % 3 === 2 || rows.length > 0);
  });
  expect((await Promise.all(work)).filter((isRight) => !isRight)).toEqual([]);
  await database.close();
});
