// What the console lists, over many operations: each page is read along an index, however much there is.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONSOLE_ROUTES } from '../../adapters/console/index.ts';
import { listEntries } from '../../core/console/entries.ts';
import { dailyFigures, stepSuccess } from '../../core/console/figures.ts';
import { countOpen, listOperations } from '../../core/console/listing.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import { queueDepths } from '../../core/operations/dead-letters.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { listFoundAnew } from '../../core/workflow/found-anew.ts';
import { Prisma } from '../../prisma/generated/client.ts';
import { asCustomer } from '../support/by-hand.ts';
import { openConsole } from '../support/console.ts';
import {
  type Core,
  installShop,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';

const MANY = IS_WHOLE ? 100_000 : 1_000;
/** A page of the list, its counts or its figures, in milliseconds on a machine with other things to do. */
const SOON_MS = 1_500;

/** Of a page's HTML and all of its scripts. */
const MOST_BYTES = 150_000;

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let first: Operation;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  first = await requestOperation(core, shop);
  await sql(
    testDatabase.adminUrl,
    `INSERT INTO autonomous_operations SELECT made.* FROM autonomous_operations o, generate_series(1, $2::int) n,
      LATERAL jsonb_populate_record(o, jsonb_build_object('id', 'op-' || lpad(n::text, 8, '0'), 'status', 'failed',
        'completed_at', o.created_at, 'created_at', o.created_at - make_interval(mins => n))) made
     WHERE o.id = $1`,
    [first.id, MANY],
  );
  const element = { tag: 'button', role: 'button', name: 'Generate a new key for this shop' };
  const kept = { fingerprint: element, identity: element, locators: [{ by: 'css', selector: '#key' }] };
  await sql(
    testDatabase.adminUrl,
    `INSERT INTO workflow_proposals (customer_id, id, operation_id, workflow_id, workflow_version, target, step, digest, element, score, margin)
     SELECT o.customer_id, gen_random_uuid(), o.id, o.workflow_id, o.workflow_version, o.target, 6, n::text, $2::jsonb, 1, 1
     FROM autonomous_operations o, generate_series(1, 25) n WHERE o.id = $1`,
    [first.id, JSON.stringify(kept)],
  );
}, 120_000);

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

interface Sent {
  readonly text: string;
  readonly values: unknown[];
}

/** The statements that `work` sends, and what came of it. */
async function sentBy<T>(work: (tx: Transaction) => Promise<T>): Promise<{ sent: readonly Sent[]; value: T }> {
  const sent: Sent[] = [];
  const value = await core.database.withCustomer(shop.customerId, (tx) =>
    work(
      new Proxy(tx, {
        get(target, name, receiver) {
          if (name !== '$queryRaw') return Reflect.get(target, name, receiver);
          return (strings: TemplateStringsArray, ...values: unknown[]) => {
            const statement = Prisma.sql(strings, ...(values as Parameters<typeof Prisma.sql>[1][])); // as $queryRaw takes them
            sent.push({ text: statement.text, values: statement.values as unknown[] });
            return target.$queryRaw(statement);
          };
        },
      }),
    ),
  );
  return { sent, value };
}

async function plansOf(sent: readonly Sent[]): Promise<string> {
  return asCustomer(testDatabase.programUrl, shop.customerId, async (client) => {
    const plans: string[] = [];
    for (const { text, values } of sent) {
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values);
      plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
    }
    return plans.join('\n');
  });
}

const page = { limit: 50 };
const STATEMENTS: readonly (readonly [name: string, run: (tx: Transaction) => Promise<unknown>])[] = [
  ['everybody’s operations', (tx) => listOperations(tx, shop.customerId, shop.admin, {}, page)],
  ['one’s own operations', (tx) => listOperations(tx, shop.customerId, shop.merchant, {}, page)],
  ['those of a service', (tx) => listOperations(tx, shop.customerId, shop.admin, { service: 'woocommerce' }, page)],
  ['those of a state', (tx) => listOperations(tx, shop.customerId, shop.admin, { state: 'awaiting_consent' }, page)],
  ['those that are not over', (tx) => listOperations(tx, shop.customerId, shop.admin, { state: 'open' }, page)],
  ['those that hold a word', (tx) => listOperations(tx, shop.customerId, shop.admin, { text: 'nothing' }, page)],
  ['how many are open', (tx) => countOpen(tx, shop.customerId, shop.admin)],
  ['entries of the trail', (tx) => listEntries(tx, core.audit, shop.customerId, {}, page)],
  ['entries of an operation', (tx) => listEntries(tx, core.audit, shop.customerId, { operationId: first.id }, page)],
  ['figures a day', (tx) => dailyFigures(tx, shop.customerId, 30)],
  ['how well steps go', (tx) => stepSuccess(tx, shop.customerId)],
  ['what was found anew', (tx) => listFoundAnew(tx, shop.customerId, core.workflows.list())],
];

describe(`of ${MANY} operations`, () => {
  test.each(STATEMENTS)('%s are read soon, along an index', async (_, run) => {
    const began = performance.now();
    const { sent } = await sentBy(run);
    expect(performance.now() - began).toBeLessThan(SOON_MS);
    expect(sent.length).toBeGreaterThan(0);
    expect(await plansOf(sent)).not.toMatch(/Seq Scan on autonomous_operations/);
  });

  // Of a few rows whatever order they are read in is soon made.
  test.each(IS_WHOLE ? STATEMENTS.slice(0, 3) : [])('%s come in the order of the index, unsorted', async (_, run) => {
    expect(await plansOf((await sentBy(run)).sent)).not.toMatch(/Sort/);
  });

  test('how deep a customer’s queue was is told in half hours of the last day', async () => {
    const [mine, other] = [await installShop(core), await installShop(core)];
    await queuedOperation(core, mine);
    const depths = await queueDepths(core.database, mine.customerId);
    expect([depths.length, depths[0], depths.at(-1)]).toMatchObject([
      49,
      { waiting: 0, running: 0 },
      { waiting: 1, running: 0 },
    ]);
    expect((await queueDepths(core.database, other.customerId)).at(-1)).toMatchObject({ waiting: 0, running: 0 });
  });

  test('every page of the console, with its scripts, is small', async () => {
    const shown = await openConsole(core);
    try {
      const visitor = await shown.signIn(shop.admin);
      const asking = await installShop(core);
      for (let n = 0; n < 10; n++) await requestOperation(core, asking); // as many as Approvals shows at once
      const approver = await shown.signIn(asking.approver);
      const { text } = await visitor.get('/console/operations');
      expect(text.match(/<tr>/g)?.length).toBeGreaterThan(50);
      const script = /src="([^"]+)\/console\.js"/.exec(text)?.[1] ?? '';
      const scripts = ['console.js', 'live.js', 'feed.js', 'times.js', 'chain.js'];
      const sizes = await Promise.all(
        scripts.map(async (name) => (await visitor.get(`${script}/${name}`)).text.length),
      );
      for (const path of [
        ...CONSOLE_ROUTES.filter(({ method, path }) => method === 'get' && !path.includes(':')).map(
          ({ path }) => `/console${path}`,
        ),
        `/console/operations/${first.id}`,
      ]) {
        const page = await (path === '/console/approvals' ? approver : visitor).get(path);
        expect(page.status).toBe(200);
        const bytes = Buffer.byteLength(page.text) + sizes.reduce((sum, size) => sum + size, 0);
        expect([path, bytes < MOST_BYTES], `${bytes} bytes`).toEqual([path, true]);
      }
    } finally {
      await shown.close();
    }
  });

  test('every one is listed once, page by page, newest first', async () => {
    const seen: string[] = [];
    const read = (of: Member, after?: string) =>
      core.database.withCustomer(shop.customerId, (tx) =>
        listOperations(tx, shop.customerId, of, {}, { after, limit: 400 }),
      );
    let next: string | undefined;
    for (let pages = 0; pages < 3; pages++) {
      const { items, next: following } = await read(shop.admin, next);
      seen.push(...items.map(({ id }) => id));
      if (following === undefined) break;
      next = following;
    }
    expect(seen.slice(0, 3)).toEqual([first.id, 'op-00000001', 'op-00000002']);
    expect(new Set(seen).size).toBe(Math.min(1200, MANY + 1));
    expect((await read(shop.approver, 'not a cursor')).items[0]?.id).toBe(first.id);
  });
});
