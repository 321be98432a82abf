// What gets into the trail, and that nothing in it is changed or taken out.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { exportLines, type Keeper, keepTrails, shopWithTrail, verifyLines } from '../support/audit.ts';
import { appendByHand, asCustomer, contextOf, ENTER } from '../support/by-hand.ts';
import { type Core, connected, installShop, kinds, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

const AUDIT = 'autonomous_operations_audit';

const victim = () => shopWithTrail(core);

describe('53 append-only', () => {
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
    ['drop the checkpoints', 'DROP TABLE audit_checkpoints'],
    ['change a checkpoint', "UPDATE audit_checkpoints SET note = ''"],
    ['remove checkpoints', 'DELETE FROM audit_checkpoints'],
    ['make a checkpoint by hand', "INSERT INTO audit_checkpoints VALUES (sec.customer(), 1, sha256(''), '')"],
    ['become the role of retention', 'SET ROLE countersign_retention'],
    ['become the owner', 'SET ROLE countersign_owner'],
    ['shorten the retention period', 'UPDATE sec.retention SET audit_days = 1'],
  ])('keeps the program from this by hand: %s', async (_, statement) => {
    const attempt = asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
  });
});

describe('53 an entry that a smuggled statement makes', () => {
  const APPEND = 'SELECT seq FROM app.append_audit($1, $2)';
  const refused = { code: '42501', message: /does not vouch for this/ };

  const headers: [string, string][] = [
    ['says what never was', '{"kind":"consent.granted"}'],
    ['has no id, so that no reader understands it', '{"kind":"guide.shown"}'],
    ['says in its columns something else than in its header', '{"kind":"guide.shown","id":"1","attempt":"01"}'],
    ['promises words that nobody can open', `{"kind":"guide.shown","id":"1","payloadHash":"${'ab'.repeat(32)}"}`],
    ['names a secret that was never read', '{"kind":"credential.opened","id":"1","credentialId":"1"}'],
    ['names no secret', '{"kind":"credential.opened","id":"1"}'],
  ];
  test.each(headers)('is none when it %s', async (_, header) => {
    const { shop } = await victim();
    const smuggled = asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query(APPEND, [header, Buffer.from('no words')]),
    );
    await expect(smuggled).rejects.toMatchObject(refused);
    expect(await verifyLines(await exportLines(core, keeper, shop.customerId))).toMatchObject({ code: 0 });
  });

  test('behind one of the program’s own, with its word, is none either', async () => {
    const { shop } = await victim();
    const header = JSON.stringify({ kind: 'rules.changed', id: newUuid() });
    const smuggled = asCustomer(testDatabase.programUrl, shop.customerId, async (client) => {
      await appendByHand(client, shop.customerId, header);
      await client.query(APPEND, [header, null]);
    });
    await expect(smuggled).rejects.toMatchObject(refused);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 6 });
  });
});

describe('an append', () => {
  test('is refused without a context', async () => {
    const append = 'SELECT seq FROM app.append_audit($1, NULL)';
    await expect(sql(testDatabase.programUrl, append, ['{"kind":"x"}'])).rejects.toMatchObject({
      code: '42501',
      message: 'context refused',
    });
  });

  test("lands in the context's chain, whatever customer its header names", async () => {
    const [a, b] = [await installShop(core), await installShop(core)];
    const header = JSON.stringify({ kind: 'x', id: newUuid(), customerId: b.customerId });
    await asCustomer(testDatabase.programUrl, a.customerId, (client) => appendByHand(client, a.customerId, header));
    expect(await core.audit.verify(a.customerId)).toMatchObject({ isIntact: true, entries: 1 });
    expect(await core.audit.verify(b.customerId)).toMatchObject({ isIntact: true, entries: 0 });
  });

  test("about another customer's operation is refused", async () => {
    const [a, b] = [await victim(), await victim()];
    const header = JSON.stringify({ kind: 'x', id: newUuid(), operationId: b.operation.id });
    const { customerId } = a.shop;
    const attempt = asCustomer(testDatabase.programUrl, customerId, (c) => appendByHand(c, customerId, header));
    await expect(attempt).rejects.toMatchObject({ code: '23503' });
    expect(await kinds(core, b.operation)).toHaveLength(6);
  });
});
