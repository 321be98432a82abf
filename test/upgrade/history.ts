/**
 * `node test/upgrade/history.ts`, run by make-dump.ts in an earlier version of the project: migrates the database that the
 * environment names, and does there what a small installation does in a week. Prints what the upgrade's test looks for.
 */
import { createConsoleSessions } from '../../core/console/sessions.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { cancel, grantedOperation, installShop, look, queuedOperation, requestOperation } from '../support/core.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { openWorker } from '../support/worker.ts';

/** What is in the dump; sealed under the tests' root key, which nothing real was ever sealed with. */
export interface History {
  readonly customerId: string;
  readonly base: string;
  /** State by operation, oldest first. */
  readonly states: readonly (readonly [id: string, state: string])[];
  /** Of the operation that brought the key. */
  readonly keyOf: string;
  /** What the vault gives back: a key of a practice shop that is no more. */
  readonly consumerKey: string;
}

const { OWNER_URL: ownerUrl = '', PROGRAM_URL: programUrl = '', ADMIN_URL: adminUrl = '' } = process.env;
await migrate({ ownerUrl, rootKeys: testRootKeys });
const database = { name: 'countersign', ownerUrl, programUrl, adminUrl, drop: async () => {} };
const practice = await startPracticeShop();
const worker = await openWorker(database, { target: new URL(practice.origin).host });
try {
  process.stdout.write(`${JSON.stringify(await live())}\n`);
} finally {
  await worker.close();
  await practice.close();
}

async function live(): Promise<History> {
  const { core } = worker;
  const shop = await installShop(core);
  const { customerId } = shop;
  const base = practice.origin;
  const type = woocommerce.operationTypes.api_key_generation;
  const way = type.ways.find(({ id }) => id === 'entered');
  if (!way) throw new Error('no key can be entered');
  const { consumerKey, consumerSecret } = practice.addKey({ description: 'Countersign', permissions: 'read' });
  const entered = { consumer_key: consumerKey, consumer_secret: consumerSecret };
  const permissions = defaultPermissions(type, way);
  const done = await queuedOperation(core, shop, { origin: base, base, way, permissions }, entered);
  await worker.run(done);
  const { state, errorMessage } = await look(core, done);
  if (state !== 'completed') throw new Error(`the operation is ${state}: ${errorMessage}`);
  const over = await requestOperation(core, shop);
  await cancel(core, over);
  const asked = await requestOperation(core, shop);
  const granted = await grantedOperation(core, shop); // a countersignature that lives, waiting for a sign-in
  const sessions = createConsoleSessions(core);
  const link = await sessions.issue(customerId, shop.admin.id);
  if ('token' in link) await sessions.open(link.token);
  await core.apiTokens.create(customerId, { scopes: ['operations:read'], days: 365 });
  const states: [string, string][] = [];
  for (const operation of [done, over, asked, granted])
    states.push([operation.id, (await look(core, operation)).state]);
  return { customerId, base, states, keyOf: done.id, consumerKey };
}
