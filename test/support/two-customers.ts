import type pg from 'pg';
import { newUuid } from '../../core/ids.ts';
import { take } from '../../core/limits.ts';
import { choose } from '../../core/notices/choices.ts';
import { tell } from '../../core/notices/notices.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Secret } from '../../core/secret.ts';
import { createWebhooks } from '../../core/webhooks/webhooks.ts';
import { type Core, connected, installShop, openCore, queuedOperation, type Shop, sql } from './core.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** Two customers on one database, each with at least one row in every table. */
export interface TwoCustomers {
  readonly testDatabase: TestDatabase;
  readonly core: Core;
  readonly a: Shop;
  readonly b: Shop;
  readonly ofA: Operation;
  readonly ofB: Operation;
  /** Names of the tables that say whose their rows are: all of ours. */
  readonly tables: readonly string[];
  /** A connection as the program's role, in nobody's context. */
  program<T>(work: (client: pg.Client) => Promise<T>): Promise<T>;
  /** Rows that the connection sees over all tables, and how many of them are not A's. */
  seen(client: pg.Client): Promise<{ readonly all: number; readonly foreign: number }>;
  close(): Promise<void>;
}

export const NONE = { all: 0, foreign: 0 };

export async function openTwoCustomers(): Promise<TwoCustomers> {
  const testDatabase = await createTestDatabase();
  const core = await openCore(testDatabase);
  const [a, b] = [await installShop(core), await installShop(core)];
  const [ofA, ofB] = [await fill(core, a), await fill(core, b)];
  const rows = await sql<{ name: string }>(testDatabase.adminUrl, TABLES);
  const tables = rows.map(({ name }) => name);
  return {
    ...{ testDatabase, core, a, b, ofA, ofB, tables },
    program: (work) => connected(testDatabase.programUrl, work),
    async seen(client) {
      const sum = { all: 0, foreign: 0 };
      for (const table of tables) {
        const found = await client.query(`SELECT customer_id FROM ${table}`);
        sum.all += found.rows.length;
        sum.foreign += found.rows.filter((row) => row.customer_id !== a.customerId).length;
      }
      return sum;
    },
    close: async () => {
      await core.close();
      await testDatabase.drop();
    },
  };
}

const TABLES = `SELECT table_name AS name FROM information_schema.columns
  WHERE table_schema = 'public' AND column_name = 'customer_id' ORDER BY 1`;

/** At least one row of the customer in every table. */
async function fill(core: Core, shop: Shop): Promise<Operation> {
  const operation = await queuedOperation(core, shop);
  const { customerId: id } = shop;
  const slackId = `T${shop.workspaceId.slice(2, 10).toUpperCase()}`;
  await core.database.withCustomer(id, (tx) =>
    tx.workspace.create({ data: { customerId: id, platform: 'slack', workspaceId: slackId } }),
  );
  await core.installations.install({
    ...{ workspaceId: slackId, name: 'Shop', appId: 'A1', teamId: slackId, enterpriseId: null, botUserId: 'U0BOT' },
    ...{ scopes: ['chat:write'], installer: shop.admin.person },
    tokens: { access: new Secret(`xoxb-of ${slackId}`), refresh: new Secret('xoxe-1'), expiresInSeconds: 43_200 },
  });
  const { stored: token } = await core.apiTokens.create(id, { scopes: ['credentials:value'], days: 1 });
  await core.apiAnswers.begin({ caller: token, keyHash: Buffer.alloc(32, 1), requestHash: Buffer.alloc(32, 2) });
  await createWebhooks(core).add(id, { url: 'https://hooks.example.com/', kinds: ['operation'] });
  await core.sessions.issue(id, shop.admin.id);
  await core.database.withCustomer(id, async (tx) => {
    const thread = await core.threads.open(tx, id, { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' });
    await core.threads.keepMessage(tx, id, thread, 'consent', { thread: thread.ref, ref: 'm' }, 'shown');
    await core.links.issue(tx, id, { purpose: 'reveal', operationId: operation.id, memberId: shop.merchant.id });
    await take(tx, id, { name: 'the same for both', quota: 1, windowSeconds: 1 });
    const step = { customerId: id, operationId: operation.id, step: 9 };
    await tx.operationIntent.create({ data: { ...step, attempt: 1n, label: operation.plan.label, state: 'started' } });
    await tx.modelCall.create({ data: { ...step, id: newUuid(), reservedMicros: 1n } });
    const question = { customerId: id, operationId: operation.id, step: 9, kind: 'help', words: 'x' };
    await tx.question.create({ data: { ...question, id: newUuid(), expiresAt: new Date() } });
    const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 1, height: 1, alt: '' };
    await tx.screenshot.create({ data: { ...step, id: newUuid(), ...picture } });
    const target = 'https://shop.example.com';
    const { workflowId, workflowVersion } = operation.plan;
    const proposal = { workflowId, workflowVersion, target, digest: '', element: {}, score: 1, margin: 1 };
    await tx.workflowProposal.create({ data: { ...step, id: newUuid(), ...proposal } });
    await choose(tx, id, shop.merchant.id, { place: 'direct', timeZone: 'UTC', quiet: undefined });
    await tell(tx, id, [shop.admin.id], { kind: 'result', about: operation.id, key: 'the same for both' });
    const rates = { beforeDone: 1, beforeAll: 1, recentDone: 0, recentAll: 1 };
    await tx.stepEpisode.create({
      data: { customerId: id, id: newUuid(), workflowId, workflowVersion, step: 9, ...rates },
    });
    const value = new Secret(`secret of ${shop.workspaceId}`);
    await core.vault.within(tx).store(id, 'woocommerce', 'api_key', { target, value });
    await tx.erasure.create({ data: { customerId: id, id: newUuid(), memberId: newUuid(), state: 'begun' } });
    await takeEvent(tx, id, { platform: 'web', id: 'the same for both' });
    const head = await tx.auditHead.findUniqueOrThrow({ where: { customerId: id } });
    const hash = Buffer.from(head.hash).toString('hex');
    await core.database.vouch(tx, 'checkpoint', id, `${head.seq}|${hash}|a note`);
    await tx.$executeRaw`SELECT app.record_checkpoint(${head.seq}, ${head.hash}, 'a note')`;
  });
  return operation;
}
