import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileCheckpoints } from '../../adapters/checkpoints/index.ts';
import { runCli } from '../../bot/cli.ts';
import { type Checkpoints, createCheckpoints } from '../../core/audit/checkpoints.ts';
import { bundleLines, type ExportScope, exportTrail } from '../../core/audit/export.ts';
import { createRetention, type Retention } from '../../core/audit/retention.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { CheckpointStore } from '../../core/ports/checkpoints.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { type Core, connected, installShop, requestOperation, type Shop } from './core.ts';
import type { TestDatabase } from './database.ts';
import { testRootKeys } from './root-keys.ts';
import { silentLog } from './silent-log.ts';

/** Checkpoints and retention of a core, in a folder of their own. */
export interface Keeper {
  readonly dir: string;
  readonly store: CheckpointStore;
  readonly checkpoints: Checkpoints;
  readonly retention: Retention;
  remove(): void;
}

export function keepTrails(core: Core, options: { rootKeys?: RootKeys; dir?: string } = {}): Keeper {
  const { rootKeys = testRootKeys, dir = mkdtempSync(join(tmpdir(), 'checkpoints-')) } = options;
  const store = createFileCheckpoints({ dir });
  const { database, directory, audit } = core;
  const checkpoints = createCheckpoints({ database, directory, audit, rootKeys, store, log: silentLog });
  const retention = createRetention({ database, directory, audit, checkpoints, log: silentLog });
  return { dir, store, checkpoints, retention, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** A customer with an operation of three entries, and three entries more. */
export async function shopWithTrail(core: Core): Promise<{ readonly shop: Shop; readonly operation: Operation }> {
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

/** A customer with an operation of three entries, one more in which the merchant says these words, and one of somebody else. */
export async function shopWithWords(core: Core, words: string) {
  const shop = await installShop(core);
  const { customerId } = shop;
  const operation = await requestOperation(core, shop);
  await core.database.withCustomer(customerId, async (tx) => {
    const said = { kind: 'guide.shown', operationId: operation.id, payload: { words } } as const;
    await core.audit.append(tx, customerId, { ...said, actor: shop.merchant.id });
    await core.audit.append(tx, customerId, {
      kind: 'rules.changed',
      actor: shop.admin.id,
      payload: { words: 'kept' },
    });
  });
  return { shop, customerId, operation };
}

/** One more entry about no operation. */
export function appendEntry(core: Core, customerId: CustomerId, payload?: { words: string }) {
  return core.database.withCustomer(customerId, (tx) =>
    core.audit.append(tx, customerId, { kind: 'rules.changed', ...(payload ? { payload } : {}) }),
  );
}

/** The export in JSON Lines, head first, without line ends. */
export async function exportLines(
  core: Core,
  keeper: Keeper,
  customerId: CustomerId,
  scope?: ExportScope,
): Promise<string[]> {
  const { checkpoints } = keeper;
  const lines: string[] = [];
  const trail = await exportTrail({ ...core, checkpoints }, customerId, scope);
  for await (const line of bundleLines(trail)) lines.push(line.trimEnd());
  return lines;
}

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The operator's command line, in this process. */
export async function countersign(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(argv, { env, say: (line) => out.push(line), complain: (line) => err.push(line) });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** `audit verify` on a file of these lines, without any database. */
export async function verifyLines(lines: readonly string[], ...options: readonly string[]): Promise<Said> {
  const dir = mkdtempSync(join(tmpdir(), 'export-'));
  const file = join(dir, 'trail.jsonl');
  try {
    writeFileSync(file, `${lines.join('\n')}\n`);
    return await countersign(['audit', 'verify', file, ...options]);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** As a superuser with triggers off: what somebody does who owns the server. `ME` stands for the customer's rows. */
export async function tamper(database: TestDatabase, shop: Shop, ...statements: string[]): Promise<void> {
  await connected(database.adminUrl, async (client) => {
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica');
    for (const statement of statements) {
      const { rowCount } = await client.query(statement.replaceAll('ME', `customer_id = '${shop.customerId}'`));
      if (rowCount === 0) throw new Error(`no row was hit by: ${statement}`);
    }
    await client.query('COMMIT');
  });
}
