// A database as an earlier version left it, brought up to this one: docs/upgrade.md. test/upgrade/make-dump.ts made it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CustomerId, customerId, type OperationId } from '../core/ids.ts';
import { migrate, newestMigration } from '../prisma/migrate.ts';
import { type Core, connected, openCore, sql } from './support/core.ts';
import { createEmptyDatabase, type TestDatabase } from './support/database.ts';
import { testRootKeys } from './support/root-keys.ts';
import type { History } from './upgrade/history.ts';

const FOLDER = join(import.meta.dirname, 'upgrade');
// make-dump.ts wrote it.
const HISTORY = JSON.parse(readFileSync(join(FOLDER, 'history.json'), 'utf8')) as History;

let database: TestDatabase;
let core: Core;
let customer: CustomerId;
let applied: readonly string[];

beforeAll(async () => {
  database = await createEmptyDatabase();
  const dump = gunzipSync(readFileSync(join(FOLDER, 'dump.sql.gz'))).toString('utf8');
  await connected(database.adminUrl, (client) => client.query(dump));
  applied = await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys });
  core = await openCore(database);
  customer = customerId(HISTORY.customerId);
}, 120_000);
afterAll(async () => {
  await core?.close();
  await database?.drop();
});

test('every migration since then is applied, and a second start finds nothing to do', async () => {
  expect(applied.length).toBeGreaterThanOrEqual(8);
  expect(applied.at(-1)).toBe(newestMigration());
  expect(await migrate({ ownerUrl: database.ownerUrl, rootKeys: testRootKeys })).toEqual([]);
});

test('the trail is what it was, unbroken, and goes on', async () => {
  const [before] = await sql<{ n: number }>(
    database.adminUrl,
    'SELECT count(*)::int AS n FROM autonomous_operations_audit WHERE customer_id = $1',
    [customer],
  );
  expect(before?.n).toBeGreaterThan(10);
  expect(await core.audit.verify(customer)).toMatchObject({ isIntact: true });
  const entries = await core.database.withCustomer(
    customer,
    (tx) => core.audit.entriesOf(tx, customer, HISTORY.keyOf as OperationId), // that version drew it
  );
  expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['consent.granted', 'operation.completed']));
  await core.database.withCustomer(customer, (tx) =>
    core.audit.append(tx, customer, { kind: 'trail.read', payload: { why: 'upgrade' } }),
  );
  expect(await core.audit.verify(customer)).toMatchObject({ isIntact: true });
});

test('a key that was stored then is opened, with the root key of then', async () => {
  const place = { customerId: customer, service: 'woocommerce', type: 'api_key', target: HISTORY.base } as const;
  const opened = await core.vault.open({ ...place, why: 'upgrade' }, (fields) => fields.consumer_key?.toString());
  expect(opened).toBe(HISTORY.consumerKey);
});

test('operations are listed as they were; countersignature, session and token came along', async () => {
  const listed = await core.database.withCustomer(customer, (tx) => core.operations.latest(tx, customer, 20));
  expect(new Map(listed.map(({ id, state }) => [id, state]))).toEqual(new Map(HISTORY.states));
  const waiting = listed.find(({ state }) => state === 'awaiting_credentials');
  expect(waiting?.grant).toMatchObject({ operationId: waiting?.id, revokedAt: null });
  const sessions = await sql(database.adminUrl, 'SELECT id FROM console_sessions WHERE customer_id = $1', [customer]);
  expect(sessions).toHaveLength(1);
  expect(await core.apiTokens.list(customer)).toMatchObject([{ scopes: ['operations:read'] }]);
});
