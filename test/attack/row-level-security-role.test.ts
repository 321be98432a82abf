import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendByHand, asCustomer, contextOf, ENTER } from '../support/by-hand.ts';
import { type Core, connected, type Shop, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { NONE, openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let core: Core;
let a: Shop;
let b: Shop;

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, core, a, b } = two);
});

afterAll(() => two.close());

describe('29 the role of the program is refused', () => {
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

  test.each([
    ['a temporary table', 'CREATE TEMP TABLE threads AS SELECT * FROM public.threads'],
    ['one by another word', 'SELECT * INTO TEMP t FROM members'],
    ['a temporary view', 'CREATE TEMP VIEW members AS SELECT 1'],
    ['a function for the session', 'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$'],
  ])('%s: it would stay on the connection that the next customer gets', async (_, statement) => {
    const attempt = asCustomer(testDatabase.programUrl, a.customerId, (client) => client.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });

  test('a meaning of its own for our names: even where temporary things are allowed, they change nothing', async () => {
    await sql(testDatabase.adminUrl, `GRANT TEMPORARY ON DATABASE ${testDatabase.name} TO countersign_program`);
    try {
      await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
        await client.query('CREATE TEMP TABLE context_key AS SELECT 1');
        await client.query('CREATE TEMP TABLE audit_heads AS SELECT 1');
        await client.query(
          "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT ''::bytea $$",
        );
        await client.query('SET LOCAL search_path = pg_temp, public, pg_catalog');
        await appendByHand(client, a.customerId, '{"kind":"x"}');
      });
    } finally {
      await sql(testDatabase.adminUrl, `REVOKE TEMPORARY ON DATABASE ${testDatabase.name} FROM countersign_program`);
    }
    expect(await core.audit.verify(a.customerId)).toMatchObject({ isIntact: true });
  });

  /** What may be read in bulk is what a SELECT shows, and what may be written in bulk is nothing. */
  test.each([
    ['a copy of a table', 'COPY (SELECT customer_id FROM members) TO STDOUT'],
    ['a copy by name', 'COPY members TO STDOUT'],
  ])('%s holds A alone', async (_, statement) => {
    const words = await asCustomer(testDatabase.programUrl, a.customerId, (client) => copied(client, statement));
    expect(words).toContain(a.customerId);
    expect(words).not.toContain(b.customerId);
  });

  test('writing in bulk past the policies', async () => {
    const attempt = asCustomer(testDatabase.programUrl, a.customerId, (client) =>
      client.query('COPY members FROM STDIN'),
    );
    await expect(attempt).rejects.toMatchObject({ message: expect.stringContaining('row-level security') });
  });

  test('a cursor shows A alone, and none that was left open shows anything of A to B', async () => {
    await two.program(async (client) => {
      await client.query('BEGIN');
      await client.query(ENTER, contextOf(a.customerId));
      await client.query('DECLARE c SCROLL CURSOR FOR SELECT customer_id FROM members');
      const { rows } = await client.query<{ customer_id: string }>('FETCH ALL c');
      expect(new Set(rows.map((row) => row.customer_id))).toEqual(new Set([a.customerId]));
      await client.query('COMMIT');
      await client.query('BEGIN');
      await client.query(ENTER, contextOf(b.customerId));
      await expect(client.query('FETCH ALL c')).rejects.toMatchObject({ code: '34000' });
    });
  });

  test('waiting for a lock tells nothing but that somebody writes: it is taken without seeing a row', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      await client.query('LOCK TABLE thread_messages IN ACCESS EXCLUSIVE MODE');
      expect((await two.seen(client)).foreign).toBe(0);
    });
    const attempt = asCustomer(testDatabase.programUrl, a.customerId, (client) =>
      client.query('LOCK TABLE autonomous_operations_audit IN ACCESS EXCLUSIVE MODE'),
    );
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });

  test('files of the server by way of large objects', async () => {
    for (const statement of [
      "SELECT lo_import('/etc/passwd')",
      "SELECT lo_export(1, '/tmp/x')",
      "SELECT pg_ls_dir('.')",
    ]) {
      const attempt = asCustomer(testDatabase.programUrl, a.customerId, (client) => client.query(statement));
      await expect(attempt, statement).rejects.toMatchObject({ code: '42501' });
    }
    expect(await sql(testDatabase.adminUrl, 'SELECT FROM pg_largeobject_metadata')).toEqual([]);
  });
});

/** What COPY … TO STDOUT sends. */
function copied(client: pg.Client, statement: string): Promise<string> {
  const parts: Buffer[] = [];
  const keep = (message: { chunk: Buffer }) => void parts.push(message.chunk);
  // The driver knows no COPY, but hands its messages on.
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  connection.on('copyData', keep);
  return client.query(statement).then(() => {
    connection.off('copyData', keep);
    return Buffer.concat(parts).toString('utf8');
  });
}

describe('24 the directory', () => {
  test('gives ids for exact names, and nothing but ids', async () => {
    expect(await core.directory.customerOfWorkspace('web', b.workspaceId)).toBe(b.customerId);
    await two.program(async (client) => {
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
      expect(await two.seen(client)).toEqual(NONE);
    });
  });

  test('opens nothing for whoever knows an id: a context needs the key', async () => {
    await two.program(async (client) => {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.context', directory.customer_of_workspace('web', $1)::text, true)", [
        b.workspaceId,
      ]);
      expect(await two.seen(client)).toEqual(NONE);
    });
  });
});

describe('24 a view', () => {
  /** As a migration could bring it. */
  const inside = async (options: string, look: (client: pg.Client) => Promise<void>) =>
    connected(testDatabase.adminUrl, async (client) => {
      await client.query('BEGIN');
      await client.query(
        `CREATE VIEW slip ${options} AS SELECT * FROM members; GRANT SELECT ON slip TO countersign_program`,
      );
      await client.query('SET LOCAL ROLE countersign');
      await client.query(ENTER, contextOf(a.customerId));
      await look(client);
      await client.query('ROLLBACK');
    });
  const owners = async (client: pg.Client) =>
    new Set(
      (await client.query<{ customer_id: string }>('SELECT customer_id FROM slip')).rows.map((r) => r.customer_id),
    );

  test('with the rights of a superuser shows every customer: the catalogue allows none', async () => {
    await inside('', async (client) => {
      expect(await owners(client)).toContain(b.customerId);
    });
  });

  test('with the rights of whoever looks shows A alone', async () => {
    await inside('WITH (security_invoker = true)', async (client) => {
      expect(await owners(client)).toEqual(new Set([a.customerId]));
    });
  });
});

test('24 what runs with the rights of the owner answers for the context alone, and takes no id for one', async () => {
  await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
    const { rows } = await client.query('SELECT sec.customer() AS id');
    expect(rows).toEqual([{ id: a.customerId }]);
    const header = JSON.stringify({ kind: 'x', customerId: b.customerId, operationId: null });
    await appendByHand(client, a.customerId, header);
    await client.query('SAVEPOINT here');
    const theirs = JSON.stringify({ kind: 'x', operationId: two.ofB.id });
    await expect(appendByHand(client, a.customerId, theirs)).rejects.toMatchObject({ code: '23503' });
    await client.query('ROLLBACK TO here');
  });
  const [last] = await sql<{ customer_id: string }>(
    testDatabase.adminUrl,
    "SELECT customer_id FROM autonomous_operations_audit WHERE kind = 'x' ORDER BY at DESC LIMIT 1",
  );
  expect(last).toEqual({ customer_id: a.customerId });
  await two.program(async (client) => {
    await expect(client.query(`SELECT app.append_audit('{"kind":"x"}', NULL)`)).rejects.toMatchObject({
      code: '42501',
    });
  });
});
