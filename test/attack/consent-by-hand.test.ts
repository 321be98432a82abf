// What the database refuses by itself, whoever speaks to it with the rights of the program.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { planHash, planText } from '../../core/operations/plan.ts';
import { APPROVE, approveByHand, asCustomer, COUNTERSIGN, countersignByHand } from '../support/by-hand.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { countGrants, NOTHING } from '../support/grants.ts';

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

const count = (operation: Operation) => countGrants(testDatabase, operation);

function byHand(statement: string, { id }: Operation) {
  return asCustomer(testDatabase.programUrl, shop.customerId, (client) => client.query(statement, [id]));
}

describe('35 by hand, as the role of the program, in the right context', () => {
  const RUN = "UPDATE autonomous_operations SET status = 'in_progress', consent_given = true WHERE id = $1";
  const refused = { code: '23514', constraint: 'consent_required' };

  test('nothing runs without any countersignature', async () => {
    const operation = await requestOperation(core, shop);
    await expect(byHand(RUN, operation)).rejects.toMatchObject(refused);
    await expect(byHand(RUN.replace('true', 'false'), operation)).rejects.toMatchObject({ code: '23514' });
    const copy = `INSERT INTO autonomous_operations (customer_id, id, thread_id, user_id, service, operation, target, workflow_id,
        workflow_version, status, plan, plan_hash, permissions, consent_given, total_steps)
      SELECT customer_id, 'op-zzzzzzzz', thread_id, user_id, service, operation, target, workflow_id,
        workflow_version, 'in_progress', plan, plan_hash, permissions, true, total_steps
      FROM autonomous_operations WHERE id = $1`;
    await expect(byHand(copy, operation)).rejects.toMatchObject(refused);
  });

  test('something runs with one: the same statement goes through', async () => {
    const operation = await queuedOperation(core, shop);
    expect((await byHand(RUN, operation)).rowCount).toBe(1);
    const rehash = `UPDATE autonomous_operations SET plan_hash = '${'0'.repeat(64)}' WHERE id = $1`;
    await expect(byHand(rehash, operation)).rejects.toMatchObject(refused);
  });

  test.each([
    ['revoked', 'UPDATE autonomous_consent SET revoked_at = app.now() WHERE operation_id = $1'],
    [
      'that has expired',
      "UPDATE autonomous_consent SET expires_at = app.now() - interval '1 ms' WHERE operation_id = $1",
    ],
    ['of another plan', `UPDATE autonomous_consent SET plan_hash = '${'0'.repeat(64)}' WHERE operation_id = $1`],
  ])('nothing runs with a countersignature %s', async (_, spoil) => {
    const operation = await queuedOperation(core, shop);
    await sql(testDatabase.adminUrl, spoil, [operation.id]);
    await expect(byHand(RUN, operation)).rejects.toMatchObject(refused);
  });

  test("nothing runs with another operation's countersignature of the same bytes", async () => {
    const [granted, other] = [await queuedOperation(core, shop), await requestOperation(core, shop)];
    await sql(testDatabase.adminUrl, 'UPDATE autonomous_operations SET plan = $2, plan_hash = $3 WHERE id = $1', [
      other.id,
      planText(granted.plan),
      planHash(granted.plan),
    ]);
    await expect(byHand(RUN, other)).rejects.toMatchObject(refused);
  });

  test('a revocation can not be undone', async () => {
    const operation = await grantedOperation(core, shop);
    const revoke = 'UPDATE autonomous_consent SET revoked_at = app.now() WHERE operation_id = $1';
    expect((await byHand(revoke, operation)).rowCount).toBe(1);
    for (const undo of ['NULL', "app.now() + interval '1 day'"])
      await expect(byHand(revoke.replace('app.now()', undo), operation)).rejects.toMatchObject({ code: '42501' });
  });

  test('a decided question can not be opened again', async () => {
    const operation = await grantedOperation(core, shop);
    const reopen = 'UPDATE consent_requests SET decision = NULL, decided_by = NULL WHERE operation_id = $1';
    await expect(byHand(reopen, operation)).rejects.toMatchObject({ code: '42501' });
  });

  test('a plan can not be put under the hash of another one', async () => {
    const fresh = await createTestDatabase(); // other tests here take the check out
    try {
      const [row] = await sql<{ def: string }>(
        fresh.adminUrl,
        "SELECT pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE conname = 'autonomous_operations_plan_hash_check'",
        [],
      );
      expect(row?.def).toMatch(/plan_hash = encode\(sha256\(convert_to\(plan/);
    } finally {
      await fresh.drop();
    }
  });

  test.each([
    ['widened', `UPDATE autonomous_consent SET permissions = '["write_shop"]' WHERE operation_id = $1`],
    ['moved to another plan', `UPDATE autonomous_consent SET plan_hash = '${'0'.repeat(64)}' WHERE operation_id = $1`],
    ['prolonged', 'UPDATE autonomous_consent SET expires_at = NULL WHERE operation_id = $1'],
    ['laid on somebody else', 'UPDATE autonomous_consent SET user_id = revoked_by WHERE operation_id = $1'],
    ['deleted', 'DELETE FROM autonomous_consent WHERE operation_id = $1'],
  ])('a countersignature can not be %s', async (_, statement) => {
    await expect(byHand(statement, await grantedOperation(core, shop))).rejects.toMatchObject({ code: '42501' });
  });

  // With the program's word, so that the database's own count is what refuses.
  const approve = (operation: Operation, { id }: Member) =>
    asCustomer(testDatabase.programUrl, shop.customerId, (client) => approveByHand(client, operation, id));
  const countersign = (operation: Operation, statement?: string) =>
    asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      countersignByHand(client, operation, shop.approver.id, statement),
    );

  test('a countersignature can not be put there without its approvals, nor with those of whoever asked', async () => {
    const lacks = { code: '23514', constraint: 'approvals_required' };
    const operation = await requestOperation(core, shop);
    await expect(countersign(operation)).rejects.toMatchObject(lacks);
    await approve(operation, shop.merchant);
    await approve(operation, shop.admin);
    await expect(countersign(operation)).rejects.toMatchObject(lacks);
    const own = await requestOperation(core, shop, { requester: shop.approver });
    await approve(own, shop.approver);
    await expect(countersign(own)).rejects.toMatchObject(lacks);
    expect([await count(operation), await count(own)]).toEqual([NOTHING, NOTHING]);
  });

  test.each([
    ['of more permissions', '\'["write_shop"]\'::jsonb', 'o.permissions'],
    ['for longer than its plan said', "app.now() + interval '80 minutes'", "app.now() + interval '1 hour'"],
    ['without an end', 'NULL', "app.now() + interval '1 hour'"],
  ])('an approved countersignature %s can not be put there', async (_, put, instead) => {
    const operation = await requestOperation(core, shop);
    await approve(operation, shop.approver);
    const changed = countersign(operation, COUNTERSIGN.replace(instead, put));
    await expect(changed).rejects.toMatchObject({ code: '23514' });
    expect(await countersign(operation)).toBe(1); // as shown, it can
  });

  test('what happened to a question can not be changed, removed or made up', async () => {
    const operation = await grantedOperation(core, shop);
    const refusal = { code: '42501' };
    for (const statement of [
      "UPDATE consent_events SET kind = 'denied' WHERE operation_id = $1",
      'DELETE FROM consent_events WHERE operation_id = $1',
    ]) {
      await expect(byHand(statement, operation)).rejects.toMatchObject(refusal);
      for (const url of [testDatabase.ownerUrl, testDatabase.adminUrl])
        await expect(sql(url, statement, [operation.id])).rejects.toMatchObject(refusal);
    }
    for (const url of [testDatabase.programUrl, testDatabase.ownerUrl, testDatabase.adminUrl])
      await expect(sql(url, 'TRUNCATE consent_events')).rejects.toMatchObject(refusal);
    const open = await requestOperation(core, shop);
    for (const kind of ['granted', 'denied', 'revoked', 'expired', 'extended', 'superseded', 'withdrawn', 'requested'])
      await expect(
        asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
          client.query(APPROVE, [open.id, kind, shop.approver.id]),
        ),
      ).rejects.toMatchObject(refusal);
    await expect(approve(operation, shop.approver)).rejects.toMatchObject(refusal); // it is closed
    for (const set of ["expires_at = app.now() + interval '1 day'", "decision = 'granted'", "widened = '{}'"])
      await expect(byHand(`UPDATE consent_requests SET ${set} WHERE operation_id = $1`, open)).rejects.toMatchObject(
        refusal,
      );
  });
});
