import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  asCustomer,
  type Core,
  connected,
  contextOf,
  ENTER,
  installShop,
  kinds,
  openCore,
  requestOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

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

const AUDIT = 'autonomous_operations_audit';

/** A customer with an operation of three entries, and three entries more. */
async function victim() {
  const shop = await installShop(core);
  const operation = await requestOperation(core, shop);
  await core.database.withCustomer(shop.customerId, async (tx) => {
    for (const words of ['one', 'two', 'three'])
      await core.audit.append(tx, shop.customerId, {
        kind: 'guide.shown',
        operationId: operation.id,
        payload: { words },
      });
  });
  return { shop, operation };
}

/** As a superuser with triggers off: what somebody does who owns the server. */
async function tamper(shop: Shop, ...statements: string[]): Promise<void> {
  await connected(testDatabase.adminUrl, async (client) => {
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica');
    for (const statement of statements) {
      const { rowCount } = await client.query(statement.replaceAll('ME', `customer_id = '${shop.customerId}'`));
      if (rowCount === 0) throw new Error(`no row was hit by: ${statement}`);
    }
    await client.query('COMMIT');
  });
}

describe('verify names the first wrong entry after', () => {
  const swap = (column: string) => [
    `UPDATE ${AUDIT} a SET ${column} = b.${column} FROM ${AUDIT} b
     WHERE a.customer_id = b.customer_id AND a.ME AND (a.seq, b.seq) IN ((2, 3), (3, 2))`,
  ];
  const cases: [string, string[], bigint, string][] = [
    [
      'a changed header',
      [`UPDATE ${AUDIT} SET header = replace(header, 'plan.made', 'plan.mode') WHERE ME AND seq = 2`],
      2n,
      'modified',
    ],
    ['a space in a header', [`UPDATE ${AUDIT} SET header = header || ' ' WHERE ME AND seq = 4`], 4n, 'modified'],
    ['a millisecond', [`UPDATE ${AUDIT} SET at = at + interval '1 ms' WHERE ME AND seq = 3`], 3n, 'modified'],
    [
      'a changed hash',
      [`UPDATE ${AUDIT} SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE ME AND seq = 5`],
      5n,
      'modified',
    ],
    [
      'a changed link',
      [`UPDATE ${AUDIT} SET prev = set_byte(prev, 31, get_byte(prev, 31) # 128) WHERE ME AND seq = 5`],
      5n,
      'modified',
    ],
    ['a changed first entry', [`UPDATE ${AUDIT} SET prev = sha256('') WHERE ME AND seq = 1`], 1n, 'modified'],
    [
      'a changed kind beside an honest header',
      [`UPDATE ${AUDIT} SET kind = 'consent.granted' WHERE ME AND seq = 3`],
      3n,
      'modified',
    ],
    [
      'an entry that was moved to another operation',
      [`UPDATE ${AUDIT} SET operation_id = NULL WHERE ME AND seq = 2`],
      2n,
      'modified',
    ],
    [
      'a changed outcome beside an honest header',
      [`UPDATE ${AUDIT} SET success = true WHERE ME AND seq = 1`],
      1n,
      'modified',
    ],
    ['two headers that changed places', swap('header'), 2n, 'modified'],
    [
      'two whole entries that changed places',
      [
        `UPDATE ${AUDIT} SET seq = -seq WHERE ME AND seq IN (2, 3)`,
        `UPDATE ${AUDIT} SET seq = 5 + seq WHERE ME AND seq IN (-2, -3)`,
      ],
      2n,
      'modified',
    ],
    ['a missing first entry', [`DELETE FROM ${AUDIT} WHERE ME AND seq = 1`], 1n, 'gap'],
    ['a missing entry', [`DELETE FROM ${AUDIT} WHERE ME AND seq = 4`], 4n, 'gap'],
    [
      'a missing entry that was closed up',
      [
        `DELETE FROM ${AUDIT} WHERE ME AND seq = 4`,
        `UPDATE ${AUDIT} SET seq = seq - 1 WHERE ME AND seq = 5`,
        `UPDATE ${AUDIT} SET seq = seq - 1 WHERE ME AND seq = 6`,
      ],
      4n,
      'modified',
    ],
    ['a missing tail', [`DELETE FROM ${AUDIT} WHERE ME AND seq > 4`], 5n, 'truncated'],
    ['a missing everything', [`DELETE FROM ${AUDIT} WHERE ME`], 1n, 'truncated'],
    ['a missing head', ['DELETE FROM audit_heads WHERE ME'], 7n, 'truncated'],
    [
      'a head that was set back',
      [
        `UPDATE audit_heads h SET seq = 5, hash = a.hash FROM ${AUDIT} a WHERE a.customer_id = h.customer_id AND h.ME AND a.seq = 5`,
      ],
      7n,
      'truncated',
    ],
    ['a changed head', [`UPDATE audit_heads SET hash = sha256('') WHERE ME`], 6n, 'modified'],
    [
      'an entry that was added',
      [
        `INSERT INTO ${AUDIT} (customer_id, seq, kind, at, header, prev, hash) SELECT customer_id, 7, kind, at, header, hash, sha256('') FROM ${AUDIT} WHERE ME AND seq = 6`,
        'UPDATE audit_heads SET seq = 7 WHERE ME',
      ],
      7n,
      'modified',
    ],
  ]; // prettier-ignore
  test.each(cases)('%s', async (_, statements, seq, fault) => {
    const { shop } = await victim();
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 6 });
    await tamper(shop, ...statements);
    expect(await core.audit.verify(shop.customerId)).toEqual({ isIntact: false, seq, fault });
  });
});

test('an entry is read from what is chained, not from the columns beside it', async () => {
  const { shop, operation } = await victim();
  await tamper(
    shop,
    `UPDATE ${AUDIT} SET kind = 'consent.granted', success = true, duration_ms = 7 WHERE ME AND seq = 3`,
  );
  const [entry] = (await trail(core, operation)).filter(({ seq }) => seq === 3n);
  expect(entry?.kind).toBe('consent.requested');
  expect(entry).not.toHaveProperty('success');
  expect(entry).not.toHaveProperty('durationMs');
});

test('a payload does not open in another entry, and one that was sealed anew does not pass for the chained one', async () => {
  const { shop, operation } = await victim();
  const { customerId } = shop;
  await tamper(
    shop,
    `UPDATE ${AUDIT} a SET payload = b.payload FROM ${AUDIT} b WHERE a.customer_id = b.customer_id AND a.ME AND a.seq = 4 AND b.seq = 1`,
  );
  await expect(trail(core, operation)).rejects.toMatchObject({ code: 'vault_authentication_failed' });
  const [row] = await sql<{ header: string }>(
    testDatabase.adminUrl,
    `SELECT header FROM ${AUDIT} WHERE customer_id = $1 AND seq = 4`,
    [customerId],
  );
  const { id } = JSON.parse(row?.header ?? '{}') as { id: string };
  const words = { salt: '00'.repeat(32), payload: { words: 'other' } };
  const { record } = await core.database.withCustomer(customerId, (tx) =>
    core.sealer.seal(tx, customerId, ['audit', id], Buffer.from(JSON.stringify(words))),
  );
  await tamper(shop, `UPDATE ${AUDIT} SET payload = '\\x${record.toString('hex')}' WHERE ME AND seq = 4`);
  await expect(trail(core, operation)).rejects.toMatchObject({ code: 'audit_chain_broken' });
});

describe('append-only', () => {
  let shop: Shop;
  let operation: Operation;

  beforeAll(async () => {
    ({ shop, operation } = await victim());
  });

  const statements = [
    `UPDATE ${AUDIT} SET kind = 'x'`,
    `UPDATE ${AUDIT} SET kind = 'x' WHERE false`,
    `DELETE FROM ${AUDIT}`,
    `DELETE FROM ${AUDIT} WHERE false`,
    `TRUNCATE ${AUDIT}`,
    `TRUNCATE ${AUDIT} CASCADE`,
    'TRUNCATE customers CASCADE',
  ];
  test.each(statements)('refuses the program, even inside the right context: %s', async (statement) => {
    const attempt = asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
    expect(await kinds(core, operation)).toHaveLength(6);
  });

  test.each(statements)('refuses the owner of the tables: %s', async (statement) => {
    const attempt = connected(testDatabase.ownerUrl, async (client) => {
      await client.query('BEGIN');
      await client.query(ENTER, contextOf(shop.customerId));
      await client.query(statement);
      await client.query('COMMIT');
    });
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
    expect(await kinds(core, operation)).toHaveLength(6);
  });

  test.each([
    [
      'insert an entry',
      `INSERT INTO ${AUDIT} (customer_id, seq, kind, at, header, prev, hash) VALUES (sec.customer(), 99, 'x', now(), '{}', sha256(''), sha256(''))`,
    ],
    ['move the head', 'UPDATE audit_heads SET seq = 0'],
    ['lock the head for good', 'SELECT FROM audit_heads FOR UPDATE'],
    ['remove the head', 'DELETE FROM audit_heads'],
    ['make a head', "INSERT INTO audit_heads VALUES (sec.customer(), 9, sha256(''), now())"],
    [
      'replace the append',
      "CREATE OR REPLACE FUNCTION app.append_audit(header text, payload bytea, OUT seq bigint, OUT hash bytea) LANGUAGE sql AS $$ SELECT 1::bigint, ''::bytea $$",
    ],
    ['drop the trigger', `DROP TRIGGER append_only ON ${AUDIT}`],
    ['turn the trigger off', `ALTER TABLE ${AUDIT} DISABLE TRIGGER ALL`],
    ['turn all triggers off', 'SET session_replication_role = replica'],
    ['drop the table', `DROP TABLE ${AUDIT}`],
  ])('keeps the program from this by hand: %s', async (_, statement) => {
    const attempt = asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });
});

describe('an append', () => {
  const APPEND = 'SELECT seq FROM app.append_audit($1, NULL)';

  test('is refused without a context', async () => {
    await expect(sql(testDatabase.programUrl, APPEND, ['{"kind":"x"}'])).rejects.toMatchObject({
      code: '42501',
      message: 'context refused',
    });
  });

  test("lands in the context's chain, whatever customer its header names", async () => {
    const [a, b] = [await installShop(core), await installShop(core)];
    const header = JSON.stringify({ kind: 'x', id: newUuid(), customerId: b.customerId });
    await asCustomer(testDatabase.programUrl, a.customerId, (client) => client.query(APPEND, [header]));
    expect(await core.audit.verify(a.customerId)).toMatchObject({ isIntact: true, entries: 1 });
    expect(await core.audit.verify(b.customerId)).toMatchObject({ isIntact: true, entries: 0 });
  });

  test("about another customer's operation is refused", async () => {
    const [a, b] = [await victim(), await victim()];
    const header = JSON.stringify({ kind: 'x', id: newUuid(), operationId: b.operation.id });
    const attempt = asCustomer(testDatabase.programUrl, a.shop.customerId, (client) => client.query(APPEND, [header]));
    await expect(attempt).rejects.toMatchObject({ code: '23503' });
    expect(await kinds(core, b.operation)).toHaveLength(6);
  });
});
