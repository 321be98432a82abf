// Somebody has SQL in the program's own connection, inside the right customer's context: they countersign nothing, and
// change nothing of who may.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { APPROVE, approveByHand, asCustomer, COUNTERSIGN, countersignByHand, vouchByHand } from '../support/by-hand.ts';
import {
  type Core,
  click,
  grant,
  installShop,
  look,
  openCore,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

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

const refused = { code: '42501', message: /does not vouch for this|permission denied/ };
const inside = <T>(work: (client: pg.Client) => Promise<T>) =>
  asCustomer(testDatabase.programUrl, shop.customerId, work);

/** Every row of these tables, to see that nothing changed. */
const rows = async () =>
  sql(
    testDatabase.adminUrl,
    `SELECT (SELECT jsonb_agg(m ORDER BY id) FROM members m) AS members, (SELECT jsonb_agg(c) FROM customers c) AS customers,
      (SELECT jsonb_agg(e ORDER BY request_id, n) FROM consent_events e) AS events,
      (SELECT jsonb_agg(o ORDER BY id) FROM autonomous_operations o) AS operations,
      (SELECT count(*) FROM autonomous_consent) AS consents, (SELECT count(*) FROM api_tokens) AS tokens,
      (SELECT count(*) FROM connect_links) AS links`,
  );

/** Without any word, with one for something else, and with what another customer's would be. */
async function smuggle(statement: string, values: unknown[] = []): Promise<void> {
  const words = [
    async () => {},
    (client: pg.Client) => vouchByHand(client, 'member', shop.customerId, `${newUuid()}|roles|merchant,approver`),
    (client: pg.Client) => vouchByHand(client, 'rules', newUuid(), 'alone|true'),
  ];
  const before = await rows();
  for (const word of words) {
    const smuggled = inside(async (client) => {
      await word(client);
      await client.query(statement, values);
    });
    await expect(smuggled, statement).rejects.toMatchObject(refused);
  }
  expect(await rows()).toEqual(before);
}

describe('35 a smuggled statement', () => {
  test('35 approves nothing, and countersigns nothing', async () => {
    const operation = await requestOperation(core, shop);
    await smuggle(APPROVE, [operation.id, 'approved', shop.approver.id]);
    await smuggle(COUNTERSIGN, [operation.id, shop.approver.id, newUuid()]);
    // Not even where somebody's own approval is there, of several that are required.
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.setRules(tx, shop.customerId, { approvalsRequired: 2, adminsApprove: false, approverGroup: null }),
    );
    expect((await grant(core, operation, shop.approver)).kind).toBe('approved');
    await smuggle(APPROVE, [operation.id, 'approved', shop.secondApprover.id]);
    expect((await grant(core, operation, shop.secondApprover)).kind).toBe('granted');
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.customers.setRules(tx, shop.customerId, { approvalsRequired: 1, adminsApprove: false, approverGroup: null }),
    );
  });

  test('35 countersigns nothing with the whole way of one, and nothing begins', async () => {
    const operation = await requestOperation(core, shop);
    const way = inside(async (client) => {
      await client.query(APPROVE, [operation.id, 'approved', shop.approver.id]);
      await client.query(COUNTERSIGN, [operation.id, shop.approver.id, newUuid()]);
      await client.query("UPDATE autonomous_operations SET status = 'queued', consent_given = true WHERE id = $1", [
        operation.id,
      ]);
    });
    await expect(way).rejects.toMatchObject(refused);
    expect(await look(core, operation)).toMatchObject({ state: 'awaiting_consent', approvals: [], grant: null });
  });

  test('35 puts an approval that somebody gave under no other question, person or rule', async () => {
    const [given, other] = [await requestOperation(core, shop), await requestOperation(core, shop)];
    const word = (client: pg.Client) =>
      vouchByHand(
        client,
        'approval',
        shop.customerId,
        `${given.request?.id}|${given.id}|${shop.approver.id}|${given.planHash}|web||approver`,
      );
    const attempts: [string, string, string][] = [
      [APPROVE, other.id, shop.approver.id],
      [APPROVE, given.id, shop.secondApprover.id],
      [APPROVE.replace("'approver'", "'admin'"), given.id, shop.approver.id],
    ];
    for (const [statement, id, member] of attempts) {
      const smuggled = inside(async (client) => {
        await word(client);
        await client.query(statement, [id, 'approved', member]);
      });
      await expect(smuggled, statement).rejects.toMatchObject(refused);
    }
  });

  test('35 puts a countersignature under no other plan, person, permission or time', async () => {
    const operation = await requestOperation(core, shop);
    const changes: [string, string][] = [
      ['o.permissions,', `'["write_shop"]'::jsonb,`],
      ['$2::uuid', `coalesce('${shop.secondApprover.id}'::uuid, $2::uuid)`],
      ["interval '1 hour'", "interval '59 minutes'"],
    ];
    for (const [part, instead] of changes) {
      const smuggled = inside(async (client) => {
        await approveByHand(client, operation, shop.approver.id);
        const changed = COUNTERSIGN.replace(part, instead);
        await countersignByHand(client, operation, shop.approver.id, changed, COUNTERSIGN);
      });
      await expect(smuggled, instead).rejects.toMatchObject(refused);
    }
  });

  test('35 finds no word behind the row that it was for', async () => {
    const operation = await requestOperation(core, shop);
    const left = await core.database.withCustomer(shop.customerId, async (tx) => {
      const word = () => tx.$queryRaw`SELECT current_setting('app.vouched', true) AS word`;
      const found: unknown[] = [];
      await core.customers.setApprovers(tx, shop.customerId, [shop.secondApprover.person], true);
      found.push(await word());
      await core.customers.setApprovers(tx, shop.customerId, [shop.approver.person, shop.secondApprover.person], false);
      await core.customers.setApprovers(tx, shop.customerId, [shop.approver.person, shop.secondApprover.person], false);
      found.push(await word());
      await core.customers.link(tx, shop.customerId, [shop.admin, shop.merchant]);
      found.push(await word());
      await core.customers.link(tx, shop.customerId, [shop.admin]);
      await core.customers.link(tx, shop.customerId, [shop.merchant]);
      found.push(await word());
      const rules = { approvalsRequired: 1, adminsApprove: false, approverGroup: null };
      await core.customers.setRules(tx, shop.customerId, { ...rules, adminsApprove: true });
      await core.customers.setRules(tx, shop.customerId, rules);
      await core.customers.setRules(tx, shop.customerId, rules);
      found.push(await word());
      const { id: operationId } = operation;
      await core.links.issue(tx, shop.customerId, { purpose: 'reveal', operationId, memberId: shop.admin.id });
      found.push(await word());
      return found;
    });
    expect(left).toEqual(left.map(() => [{ word: '' }]));
    await inside(async (client) => {
      const word = async () => (await client.query("SELECT current_setting('app.vouched') AS word")).rows;
      await approveByHand(client, operation, shop.approver.id);
      expect(await word()).toEqual([{ word: '' }]);
      await countersignByHand(client, operation, shop.approver.id);
      expect(await word()).toEqual([{ word: '' }]);
    });
  });

  test.each([
    "roles = roles || '{approver}'",
    "roles = '{merchant,admin}'",
    "roles = '{merchant}'",
    'person_id = gen_random_uuid()',
    "user_id = 'U-Mona'",
    "workspace_id = 'W-other'",
    "platform = 'slack'",
  ])('35 makes nobody an approver, nor somebody else: %s', async (change) => {
    await smuggle(`UPDATE members SET ${change} WHERE id = $1`, [shop.approver.id]);
  });

  test('35 brings in nobody but merchants', async () => {
    const member = (roles: string, person: string) =>
      `INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles, person_id)
        VALUES (sec.customer(), gen_random_uuid(), 'web', '${shop.workspaceId}', 'U-Mallory', 'Mallory', '${roles}', ${person})`;
    await smuggle(member('{merchant,approver}', 'NULL'));
    await smuggle(member('{admin}', 'NULL'));
    await smuggle(member('{merchant}', `'${shop.approver.personId}'`));
    await smuggle(
      `${member('{merchant}', 'NULL').replace('U-Mallory', 'U-Mona')}
        ON CONFLICT (customer_id, platform, workspace_id, user_id) DO UPDATE SET roles = '{approver}'`,
    );
  });

  test.each([
    'may_work_alone = NOT may_work_alone',
    'approvals_required = approvals_required + 1',
    'admins_approve = NOT admins_approve',
    "approver_group = 'G-1'",
  ])('35 changes no rule: %s', async (change) => {
    await smuggle(`UPDATE customers SET ${change}`);
  });

  test.each(['user_id', 'thread_id', 'service', 'target'])(
    '35 changes nothing of who asked for what, and where: %s',
    async (column) => {
      await requestOperation(core, shop);
      await smuggle(`UPDATE autonomous_operations SET ${column} = ${column}`);
    },
  );

  test('35 asks for nothing in the name of somebody else, who could not approve it themselves', async () => {
    const own = await requestOperation(core, shop, { requester: shop.approver });
    await smuggle(
      `WITH operation AS (
        INSERT INTO autonomous_operations (customer_id, id, thread_id, user_id, service, operation, target, workflow_id,
          workflow_version, status, plan, plan_hash, permissions, total_steps)
        SELECT customer_id, 'op-zzzzzzzz', thread_id, $2, service, operation, target, workflow_id, workflow_version, status, plan,
          plan_hash, permissions, total_steps FROM autonomous_operations WHERE id = $1
        RETURNING *)
      INSERT INTO consent_requests (customer_id, id, operation_id, plan_hash, asked_by, expires_at)
      SELECT customer_id, gen_random_uuid(), id, plan_hash, user_id, app.now() + interval '1 hour' FROM operation`,
      [own.id, shop.merchant.id],
    );
    await smuggle(
      `WITH question AS (UPDATE consent_requests SET decision = 'superseded' WHERE operation_id = $1 RETURNING *)
      INSERT INTO consent_requests (customer_id, id, operation_id, plan_hash, asked_by, expires_at, asked_for, widened)
      SELECT customer_id, gen_random_uuid(), operation_id, plan_hash, asked_by, expires_at, asked_for, '{}' FROM question`,
      [own.id],
    );
  });

  test('35 moves no thread into another workspace', async () => {
    await smuggle("UPDATE threads SET workspace_id = 'W-other'");
  });

  test('35 makes no token, and no link that shows a key', async () => {
    const operation = await requestOperation(core, shop);
    await smuggle(`INSERT INTO api_tokens (customer_id, id, token_hash, scopes, expires_at)
      VALUES (sec.customer(), gen_random_uuid(), sha256('mine'), '{credentials:value}', app.now() + interval '1 day')`);
    for (const purpose of ['reveal', 'credentials', 'answer', 'export'])
      await smuggle(
        `INSERT INTO connect_links (customer_id, id, token_hash, purpose, operation_id, member_id, expires_at)
          VALUES (sec.customer(), gen_random_uuid(), sha256('mine'), $1, $2, $3, app.now() + interval '1 hour')`,
        [purpose, operation.id, shop.admin.id],
      );
  });

  test('35 can only stop: what somebody countersigned it may revoke, and what is asked it may deny', async () => {
    const [granted, asked] = [await requestOperation(core, shop), await requestOperation(core, shop)];
    expect((await core.consents.grant(shop.customerId, click(granted, shop.approver))).kind).toBe('granted');
    await inside(async (client) => {
      const revoke = 'UPDATE autonomous_consent SET revoked_at = app.now() WHERE operation_id = $1';
      expect((await client.query(revoke, [granted.id])).rowCount).toBe(1);
      const deny = "UPDATE consent_requests SET decision = 'denied' WHERE operation_id = $1";
      expect((await client.query(deny, [asked.id])).rowCount).toBe(1);
    });
  });
});
