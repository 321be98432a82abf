import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { exportCustomer, type Manifest } from '../../core/rights/export.ts';
import { TABLES } from '../../core/rights/tables.ts';
import { createLinks } from '../../core/vault/links.ts';
import { type Keeper, keepTrails, verifyLines } from '../support/audit.ts';
import {
  type Core,
  cancel,
  click,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { erasuresOf, folderInMemory } from '../support/erasures.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';

let two: TwoCustomers;
let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  two = await openTwoCustomers();
  ({ testDatabase, core } = two);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await two.close();
});

describe('the list of tables', () => {
  const columns = async () => {
    const rows = await sql<{ name: string }>(
      testDatabase.adminUrl,
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name <> '_prisma_migrations' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  };

  test('says of every column whether an export shows it, and of every table how long its rows stay', async () => {
    const named = Object.entries(TABLES).flatMap(([table, { shown, withheld = {}, opened = {} }]) =>
      [...shown, ...Object.keys(withheld), ...Object.keys(opened)].map((column) => `${table}.${column}`),
    );
    expect(named.toSorted()).toEqual((await columns()).toSorted());
  });

  test('says of every table that names a person what their erasure does with it', async () => {
    const rows = await sql<{ name: string }>(
      testDatabase.adminUrl,
      `SELECT DISTINCT conrelid::regclass::text AS name FROM pg_constraint
       WHERE contype = 'f' AND confrelid = 'members'::regclass ORDER BY 1`,
    );
    expect(rows.length).toBeGreaterThan(6);
    expect(rows.filter(({ name }) => TABLES[name]?.person === undefined)).toEqual([]);
  });

  test('opens no sealed column but those that it names, and shows none', async () => {
    const bytes = await sql<{ name: string; col: string }>(
      testDatabase.adminUrl,
      `SELECT table_name AS name, column_name AS col FROM information_schema.columns
       WHERE table_schema = 'public' AND data_type = 'bytea' AND table_name NOT IN ('audit_heads', 'audit_checkpoints')
         AND column_name NOT IN ('prev', 'hash')`,
    );
    expect(bytes.length).toBeGreaterThan(10);
    expect(bytes.filter(({ name, col }) => TABLES[name]?.shown.includes(col))).toEqual([]);
  });
});

interface Exported {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Buffer>;
  rows(table: string): readonly Record<string, unknown>[];
}

async function exported(shop: Shop, people?: readonly Shop['admin']['id'][]): Promise<Exported> {
  const folder = folderInMemory();
  const deps = { ...core, checkpoints: keeper.checkpoints, screenshots: createScreenshots(core) };
  const manifest = await exportCustomer(deps, shop.customerId, people, folder);
  return {
    manifest,
    files: folder.files,
    rows: (table) => JSON.parse(folder.files.get(`tables/${table}.json`)?.toString() ?? 'null'),
  };
}

describe('an export', () => {
  test('holds every row of the customer and the hash of every file, its pictures, and a trail that proves itself', async () => {
    const { customerId } = two.a;
    await sql(testDatabase.adminUrl, 'DELETE FROM screenshots WHERE customer_id = $1', [customerId]); // none of which was sealed
    const picture = { mediaType: 'image/png', width: 1, height: 1, alt: 'the keys page' } as const;
    const bytes = Buffer.from('the picture');
    await createScreenshots(core).put(customerId, { ...picture, bytes, operationId: two.ofA.id, step: 3 });
    const { manifest, files, rows } = await exported(two.a);
    for (const table of two.tables) {
      const [{ count } = { count: '-1' }] = await sql<{ count: string }>(
        testDatabase.adminUrl,
        `SELECT count(*) AS count FROM ${table} WHERE customer_id = $1`,
        [customerId],
      );
      expect([table, rows(table).length]).toEqual([table, Number(count)]);
    }
    expect([...files.keys()].toSorted()).toEqual(
      [...manifest.files.map(({ file }) => file), 'manifest.json'].toSorted(),
    );
    for (const { file, sha256, bytes: size } of manifest.files) {
      const content = files.get(file) ?? Buffer.alloc(0);
      expect([file, createHash('sha256').update(content).digest('hex'), content.length]).toEqual([file, sha256, size]);
    }
    const [shown] = manifest.files.filter(({ file }) => file.startsWith('pictures/'));
    expect(shown?.file).toMatch(new RegExp(`^pictures/${two.ofA.id}-03-[0-9a-f-]{36}\\.png$`));
    expect(files.get(shown?.file ?? '')).toEqual(bytes);
    const lines = (files.get('audit.jsonl') ?? '').toString().trimEnd().split('\n');
    expect((await verifyLines(lines)).code).toBe(0);
    expect(lines.join('\n')).toContain('customer export'); // that it was exported is on record
  });

  test('of a person holds what is about them, with its words, and nothing of what others did', async () => {
    const shop = await installShop(core);
    const { customerId, merchant, admin, approver } = shop;
    const words = (actor: Shop['admin'], text: string) =>
      core.database.withCustomer(customerId, (tx) =>
        core.audit.append(tx, customerId, { kind: 'rules.changed', actor: actor.id, payload: { text } }),
      );
    const operation = await requestOperation(core, shop);
    const place = { ipAddress: '203.0.113.7', userAgent: 'Browser of Abel' };
    expect(await core.consents.grant(customerId, click(operation, approver, place))).toMatchObject({ kind: 'granted' });
    await words(merchant, 'of the merchant');
    await words(admin, 'of the admin');
    const { files, rows, manifest } = await exported(shop, [merchant.id]);
    expect(manifest.members).toEqual([merchant.id]);
    expect(rows('members').map(({ id }) => id)).toEqual([merchant.id]);
    expect(rows('autonomous_operations').map(({ id }) => id)).toEqual([operation.id]);
    expect(rows('autonomous_consent').map(({ user_id }) => user_id)).toEqual([approver.id]); // about what they asked for
    const trail = files.get('audit.json')?.toString() ?? '';
    expect([trail.includes('of the merchant'), trail.includes('of the admin')]).toEqual([true, false]);
    // Where the approver's browser was is the approver's alone.
    const all = (of: Exported) => Buffer.concat([...of.files.values()]).toString();
    expect(all({ files, rows, manifest })).not.toMatch(/203\.0\.113\.7|Browser of Abel/);
    const ofApprover = await exported(shop, [approver.id]);
    expect(ofApprover.files.get('tables/autonomous_consent.json')?.toString()).toMatch(
      /203\.0\.113\.7.*Browser of Abel/s,
    );
    expect(ofApprover.files.get('audit.json')?.toString()).toMatch(/203\.0\.113\.7.*Browser of Abel/s);
    const ofAdmin = await exported(shop, [admin.id]);
    expect(ofAdmin.rows('autonomous_operations')).toEqual([]);
    expect(ofAdmin.files.get('audit.json')?.toString()).toContain('of the admin');
    expect(ofAdmin.files.has('audit.jsonl')).toBe(false);
  });
});

describe('retention', () => {
  /** An operation that is over, with what goes with it, and what lets people in. */
  async function lived() {
    const shop = await installShop(core);
    const { customerId } = shop;
    const operation = await grantedOperation(core, shop);
    await cancel(core, operation);
    await core.apiTokens.create(customerId, { scopes: ['credentials:value'], days: 1 });
    await core.sessions.issue(customerId, shop.admin.id);
    await core.database.withCustomer(customerId, async (tx) => {
      const { id: operationId } = operation;
      await createLinks(core).issue(tx, customerId, { purpose: 'reveal', operationId, memberId: shop.merchant.id });
      await takeEvent(tx, customerId, { platform: 'web', id: randomUUID() });
    });
    return { shop, customerId, operation };
  }
  const left = async (customerId: string) => {
    const names = [
      'autonomous_operations',
      'consent_events',
      'threads',
      'connect_links',
      'console_sessions',
      'api_tokens',
    ];
    const counts: number[] = [];
    for (const name of names) {
      const text = `SELECT count(*)::int AS count FROM ${name} WHERE customer_id = $1`;
      counts.push((await sql<{ count: number }>(testDatabase.adminUrl, text, [customerId]))[0]?.count ?? -1);
    }
    return counts;
  };

  test('takes what is over together with its trail, and leaves what is not, or is held', async () => {
    const [gone, held, kept] = [await lived(), await lived(), await lived()];
    expect((await left(gone.customerId)).every((count) => count > 0)).toBe(true);
    await keeper.retention.placeHold(held.customerId, { why: 'a court', operationId: held.operation.id });
    await shiftClock(testDatabase.ownerUrl, '60 days');
    const young = await requestOperation(core, gone.shop);
    await shiftClock(testDatabase.ownerUrl, '31 days');
    await core.vault.store(kept.customerId, 'woocommerce', 'api_key', {
      ...{ value: 'x', target: 'https://shop.example.com', metadata: { operationId: kept.operation.id } },
    });
    await keeper.retention.dropAll(90);
    // The younger operation stays, and the thread that it is about.
    expect(await left(gone.customerId)).toEqual([1, 1, 1, 0, 0, 0]);
    const [row] = await sql<{ id: string }>(
      testDatabase.adminUrl,
      'SELECT id FROM autonomous_operations WHERE customer_id = $1',
      [gone.customerId],
    );
    expect(row?.id).toBe(young.id);
    // Of the held one nothing went but what is not its own.
    const [operations, events, , links] = await left(held.customerId);
    expect([operations, (events ?? 0) > 2, links]).toEqual([1, true, 1]);
    expect((await core.audit.verify(held.customerId)).isIntact).toBe(true);
    const wordless = await sql(
      testDatabase.adminUrl,
      `SELECT FROM autonomous_operations_audit WHERE customer_id = $1 AND operation_id = $2
       AND payload IS NULL AND header::jsonb ->> 'payloadHash' IS NOT NULL`,
      [held.customerId, held.operation.id],
    );
    expect(wordless).toEqual([]);
    // A stored key rests on the third one.
    expect((await left(kept.customerId)).slice(0, 1)).toEqual([1]);
    for (const { customerId } of [gone, held, kept])
      expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
    await keeper.retention.releaseHold(held.customerId, { why: 'it is over', operationId: held.operation.id });
    await keeper.retention.dropAll(90);
    await keeper.retention.dropAll(90);
    expect((await left(held.customerId)).slice(0, 1)).toEqual([1]); // its release is young, and about it
    await shiftClock(testDatabase.ownerUrl, '91 days');
    await keeper.retention.dropAll(90);
    expect(await left(held.customerId)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await core.audit.verify(held.customerId)).toMatchObject({ isIntact: true });
  });
});

test('retention leaves what is still needed: what runs find things by, where the app was, and what is not over', async () => {
  const shop = await installShop(core);
  const { customerId } = shop;
  const [learned, forgotten] = [await requestOperation(core, shop), await requestOperation(core, shop)];
  for (const operation of [learned, forgotten]) await cancel(core, operation);
  const away = await core.database.withCustomer(customerId, async (tx) => {
    const ref = { platform: 'teams', workspaceId: shop.workspaceId, ref: 'away' } as const;
    const thread = await core.threads.open(tx, customerId, ref);
    for (const [slot, shown] of [
      ['reference', 'removed'],
      ['result:op-gone0000', 'old'],
    ] as const)
      await core.threads.keepMessage(tx, customerId, thread, slot, { thread: ref, ref: slot }, shown);
    return thread.id;
  });
  const admin = (text: string, values: readonly unknown[]) =>
    sql<{ id: string }>(testDatabase.adminUrl, text, [...values]);
  const proposal = `INSERT INTO workflow_proposals (customer_id, id, operation_id, workflow_id, workflow_version, target, step, field,
      digest, element, score, margin, last_held_at, discarded_at, discarded_by)
    SELECT $1, gen_random_uuid(), $2, $6, 1, 'https://shop.example.com', $3, '', 'd', '{}', 1, 1, app.now() + make_interval(days => $4),
      CASE WHEN $5::uuid IS NOT NULL THEN app.now() END, $5`;
  await admin(proposal, [customerId, learned.id, 1, 60, null, 'w']);
  await admin(proposal, [customerId, forgotten.id, 2, 0, null, 'w']);
  // Discarded of the version that runs, and of an earlier one.
  const { workflowId, base: target } = learned.plan;
  await admin(proposal, [customerId, learned.id, 3, 0, shop.admin.id, 'w']);
  await admin(proposal, [customerId, forgotten.id, 4, 0, shop.admin.id, workflowId]);
  expect(target).toBe('https://shop.example.com');
  const episode = `INSERT INTO step_episodes (customer_id, id, workflow_id, workflow_version, step, before_done, before_all, recent_done,
      recent_all, closed_at) SELECT $1, gen_random_uuid(), 'w', 1, $2, 1, 1, 0, 1, app.now() + make_interval(days => $3)`;
  await admin(episode, [customerId, 1, null]);
  await admin(episode, [customerId, 2, 60]);
  await admin(episode, [customerId, 3, 1]);
  await shiftClock(testDatabase.ownerUrl, '100 days');
  await keeper.retention.dropAll(90);
  await keeper.retention.dropAll(90); // what rests on the trail goes once that is gone
  const ids = async (text: string) => (await admin(text, [customerId])).map(({ id }) => id);
  expect(await ids('SELECT id FROM autonomous_operations WHERE customer_id = $1')).toEqual([learned.id]);
  expect(await ids('SELECT step::text AS id FROM workflow_proposals WHERE customer_id = $1 ORDER BY 1')).toEqual([
    '1',
    '3',
  ]);
  expect(await ids('SELECT step::text AS id FROM step_episodes WHERE customer_id = $1 ORDER BY 1')).toEqual(['1', '2']);
  expect(await ids('SELECT slot AS id FROM thread_messages WHERE customer_id = $1')).toEqual(['reference']);
  expect(await ids('SELECT id::text FROM threads WHERE customer_id = $1')).toContain(away);
});

test('a table of tomorrow, as a migration of the owner makes it, ages by its comment and is erased with its person and its customer', async () => {
  const later = await createTestDatabase();
  const own = await openCore(later);
  const trails = keepTrails(own);
  try {
    await sql(
      later.ownerUrl,
      `CREATE TABLE wishes (customer_id uuid NOT NULL REFERENCES customers ON DELETE RESTRICT, member_id uuid NOT NULL,
         made_at timestamptz NOT NULL DEFAULT app.now(), PRIMARY KEY (customer_id, member_id),
         FOREIGN KEY (customer_id, member_id) REFERENCES members (customer_id, id) ON DELETE RESTRICT);
       ALTER TABLE wishes ENABLE ROW LEVEL SECURITY;
       ALTER TABLE wishes FORCE ROW LEVEL SECURITY;
       CREATE POLICY own_rows ON wishes USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
       COMMENT ON TABLE wishes IS 'retention: made_at'`,
    );
    const shop = await installShop(own);
    const { customerId } = shop;
    const wish = (memberId: string) =>
      sql(later.adminUrl, 'INSERT INTO wishes (customer_id, member_id) VALUES ($1, $2)', [customerId, memberId]);
    const wishes = async () =>
      (await sql<{ id: string }>(later.adminUrl, 'SELECT member_id AS id FROM wishes')).map(({ id }) => id);
    await wish(shop.admin.id);
    await shiftClock(later.ownerUrl, '91 days');
    for (const { id } of [shop.merchant, shop.approver]) await wish(id);
    expect(await trails.retention.forget(customerId, 90)).toBeGreaterThan(0);
    expect(new Set(await wishes())).toEqual(new Set([shop.merchant.id, shop.approver.id]));
    expect(await erasuresOf(own, trails).ofMember(customerId, shop.merchant.id)).toMatchObject({ kind: 'erased' });
    expect(await wishes()).toEqual([shop.approver.id]);
    expect(await erasuresOf(own, trails).ofCustomer(customerId)).toMatchObject({ kind: 'erased' });
    expect(await wishes()).toEqual([]);
  } finally {
    trails.remove();
    await own.close();
    await later.drop();
  }
});
