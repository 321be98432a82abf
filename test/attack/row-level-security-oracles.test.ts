import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Secret } from '../../core/secret.ts';
import { asCustomer } from '../support/by-hand.ts';
import { queuedOperation, type Shop, somebody, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let a: Shop;
let b: Shop;
let ofA: Operation;
let ofB: Operation;
let tables: readonly string[];

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, a, b, ofA, ofB, tables } = two);
});

afterAll(() => two.close());

const QUEUES_CHANNEL = `pgboss_${createHash('sha224').update('pgboss').digest('hex').slice(0, 24)}`; // pg-boss's own rule
const CHANNELS = ['countersign_audit', QUEUES_CHANNEL];

describe("28 another customer's rows can not be", () => {
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
    // Of these the program may not even for its own rows.
    for (const table of ['customer_keys', 'autonomous_credentials', 'members', 'threads', 'autonomous_operations'])
      for (const to of [a.customerId, b.customerId])
        await expect(inA(`UPDATE ${table} SET customer_id = $1`, [to]), table).rejects.toMatchObject({ code: '42501' });
    for (const table of ['thread_messages', 'operation_steps', 'operation_intents']) {
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
    const copy = (thread: string, member: string) =>
      inA(
        `INSERT INTO autonomous_operations (customer_id, id, thread_id, user_id, service, operation, target, workflow_id, workflow_version, status, plan, plan_hash, permissions, total_steps)
        SELECT customer_id, 'op-00000000', $2, $3, service, operation, target, workflow_id, workflow_version, 'pending', plan, plan_hash, permissions, total_steps FROM autonomous_operations WHERE id = $1`,
        [ofA.id, thread, member],
      );
    await expect(copy(b.threadId, a.merchant.id)).rejects.toMatchObject({ code: '23503' });
    await expect(copy(a.threadId, b.merchant.id)).rejects.toMatchObject({ code: '23503' });
  });

  test('guessed by a collision: the same ids and names go in beside theirs', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      await client.query('SAVEPOINT before');
      const copies = [
        [
          "INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles) VALUES ($1, $2, 'web', $3, 'U-Mona', 'Mona', '{merchant}')",
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

  test('seen by what an error says', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      // Conditions that fail on a row: the policy comes first, whatever they cost.
      const id = `CASE WHEN id = '${ofB.id}' THEN 0 ELSE 1 END`;
      expect((await client.query(`SELECT id FROM autonomous_operations WHERE 1 / (${id}) = 1`)).rowCount).toBe(1);
    });
    const [taken, free] = [b.workspaceId, 'W-of-nobody'].map((name) =>
      inA("INSERT INTO workspaces (customer_id, platform, workspace_id) VALUES ($1, 'web', $2)", [
        a.customerId,
        name,
      ]).then(
        () => undefined,
        (error: unknown) => error as { code: string; detail?: string },
      ),
    );
    // That a workspace has a customer is what the directory tells anyway; whose it is stays unsaid.
    expect(await taken).toMatchObject({ code: '23505' });
    expect(JSON.stringify(await taken)).not.toContain(b.customerId);
    expect(await free).toBeUndefined();
    const step = 'INSERT INTO operation_steps (customer_id, operation_id, number, intent) VALUES ($1, $2, 99, $3)';
    const words = await Promise.all(
      [ofB.id, 'op-00000000'].map((id) => inA(step, [a.customerId, id, 'x']).catch((error: Error) => error)),
    );
    const [theirs, nobodys] = words.map((error) => JSON.stringify(error).replaceAll(/op-[0-9a-z]{8}/g, ''));
    expect(theirs).toBe(nobodys);
  });

  test('seen by a function that is called for each row', async () => {
    await sql(testDatabase.adminUrl, `GRANT TEMPORARY ON DATABASE ${testDatabase.name} TO countersign_program`);
    try {
      await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
        const heard: string[] = [];
        client.on('notice', ({ message }) => heard.push(message ?? ''));
        await client.query(
          `CREATE FUNCTION pg_temp.tell(words text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
          $$ BEGIN RAISE NOTICE '%', words; RETURN true; END $$`,
        );
        await client.query('SELECT FROM autonomous_operations WHERE pg_temp.tell(id)');
        expect(heard).toEqual([ofA.id]);
      });
    } finally {
      await sql(testDatabase.adminUrl, `REVOKE TEMPORARY ON DATABASE ${testDatabase.name} FROM countersign_program`);
    }
  });

  test('guessed from estimates: EXPLAIN says the same of what B has a thousand times and of what nobody has', async () => {
    await sql(
      testDatabase.adminUrl,
      `INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles)
       SELECT $1, gen_random_uuid(), 'web', 'w', 'u' || i, 'Everywhere', '{}' FROM generate_series(1, 3000) i`,
      [b.customerId],
    );
    await sql(testDatabase.adminUrl, 'ANALYZE');
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      const plan = async (condition: string) => {
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN SELECT FROM members WHERE ${condition}`);
        return rows.map((row) => row['QUERY PLAN'].replaceAll(/'[^']*'/g, "''")).join('\n');
      };
      expect(await plan("name = 'Everywhere'")).toBe(await plan("name = 'Nowhere'"));
      expect(await plan("user_id > 'u5'")).toBe(await plan("user_id > 'zz'"));
      expect(await plan(`customer_id = '${b.customerId}'`)).toBe(await plan(`customer_id = '${newUuid()}'`));
    });
    await sql(testDatabase.adminUrl, "DELETE FROM members WHERE name = 'Everywhere'");
  });

  test('guessed from statistics: of our tables there are none to read', async () => {
    await sql(testDatabase.adminUrl, 'ANALYZE');
    const ours = "schemaname NOT IN ('pg_catalog', 'information_schema', 'pgboss')";
    for (const view of ['pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs'])
      expect((await inA(`SELECT * FROM ${view} WHERE ${ours}`)).rows, view).toEqual([]);
    await expect(inA('SELECT * FROM pg_statistic')).rejects.toMatchObject({ code: '42501' });
  });

  test('counted by a sequence: there is none', async () => {
    expect((await inA('SELECT * FROM pg_sequences')).rows).toEqual([]);
  });

  test('timed: the policy is asked once a query, before any row is looked at', async () => {
    await asCustomer(testDatabase.programUrl, a.customerId, async (client) => {
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM autonomous_operations WHERE customer_id = '${b.customerId}'`,
      );
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).toMatch(/One-Time Filter/);
      expect(plan).toMatch(/(?:Scan|Index) .*\(never executed\)/);
    });
  });

  test('overheard: what other connections send holds no value, and notices name ids at most', async () => {
    const spoken = new Set<string>();
    const heard: string[] = [];
    await two.program(async (spy) => {
      spy.on('notification', ({ channel, payload }) => {
        spoken.add(channel);
        heard.push(payload ?? '');
      });
      for (const channel of CHANNELS) await spy.query(`LISTEN ${channel}`);
      const queries = new Set<string>();
      const look = async () => {
        const { rows } = await spy.query<{ query: string; application_name: string }>(
          'SELECT query, application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
        );
        for (const row of rows) queries.add(`${row.application_name} ${row.query}`);
      };
      // Each statement of B's is looked at while it is the connection's last one.
      const canary = `canary ${newUuid()}`;
      await two.core.database.withCustomer(b.customerId, async (tx) => {
        await two.core.customers.member(tx, b.customerId, somebody(b.workspaceId, canary));
        await look();
        const secret = { target: canary, value: new Secret(canary) };
        await two.core.vault.within(tx).store(b.customerId, 'woocommerce', 'session', secret);
        await look();
      });
      await look();
      await queuedOperation(two.core, b);
      await look();
      await vi.waitUntil(() => spoken.size === CHANNELS.length);
      expect(queries.size).toBeGreaterThan(2);
      expect([...queries].filter((text) => text.includes(canary) || text.includes(b.customerId))).toEqual([]);
    });
    expect(new Set(heard)).toEqual(new Set([b.customerId, 'operations']));
  });
});
