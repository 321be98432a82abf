import pg from 'pg';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { createProgress, type Progress } from '../../bot/progress.ts';
import type { Health } from '../../core/connections/health.ts';
import type { Repair } from '../../core/connections/place.ts';
import type { Runner } from '../../core/operations/run.ts';
import { migrate } from '../../prisma/migrate.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type Connected, connect, healthOf, httpTo, runnerWithoutBrowser } from '../support/health.ts';
import { type Core, installShop, openCore, type Shop } from '../support/core.ts';
import { shiftClock } from '../support/database.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { startRunServer } from '../support/run-postgres.ts';
import { silentLog } from '../support/silent-log.ts';

/** One connection, in a thread of its own; what it has changes as it is renewed. */
export interface Connection {
  readonly index: number;
  readonly shop: number;
  /** Its customer, with the thread in which it was set up. */
  readonly of: Shop;
  current: Connected;
  /** All that have made a key of it. */
  readonly operations: string[];
  renewals: number;
  /** How often it was told that its key expires. */
  warnings: number;
}

export interface World {
  readonly core: Core;
  readonly health: Health;
  readonly runner: Runner;
  readonly shops: readonly PracticeShop[];
  readonly connections: readonly Connection[];
  readonly chat: RecordingChat;
  readonly progress: Progress;
  /** The superuser's way to the tables. */
  readonly admin: pg.Client;
  /** Whether that shop is out of order now. */
  isAway(shop: number): boolean;
  /** Moves test time on. */
  pass(ms: number): Promise<void>;
  /** Makes a new key for the connection, as a person does who sets it up again. */
  renew(connection: Connection): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly connections: number;
  readonly shops: number;
  readonly everyHours: number;
  /** What the schedule hands a broken connection to. */
  repair?(core: Core): Repair;
}

/** PostgreSQL, practice shops over HTTP, and everything set up by operations that were countersigned and carried out. */
export async function openWorld({ connections: count, shops: shopCount, everyHours, repair }: WorldOptions): Promise<World> {
  const server = await startRunServer();
  const { programUrl, ownerUrl } = await prepareRoles(server, { database: 'quarter' });
  await migrate({ ownerUrl, rootKeys: testRootKeys });
  await shiftClock(ownerUrl, '0 seconds');
  const shops: PracticeShop[] = [];
  for (let n = 0; n < shopCount; n++) shops.push(await startPracticeShop({ products: 1 }));
  const http = httpTo(...shops);
  const core = await openCore({ programUrl }, { http, perHour: 1_000_000 });
  const runner = runnerWithoutBrowser(core, http);
  const chat = createRecordingChat();
  const progress = createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: () => '' });
  const health = healthOf(core, http, { everyHours, ...(repair ? { repair: repair(core) } : {}) });
  const admin = new pg.Client({ connectionString: server.url('admin', 'quarter') });
  const owner = new pg.Client({ connectionString: ownerUrl });
  await Promise.all([admin.connect(), owner.connect()]);
  const connections: Connection[] = [];
  const customers: Shop[] = [];
  for (let index = 0; index < count; index++) {
    const shop = index % shopCount;
    if (shop === 0) customers.push(await installShop(core));
    const customer = customers.at(-1);
    const practice = shops[shop];
    if (!customer || !practice) throw new Error('there is a customer and a shop for each connection');
    const { customerId, workspaceId } = customer;
    const thread = await core.database.withCustomer(customerId, (tx) =>
      core.threads.open(tx, customerId, { platform: 'web', workspaceId, ref: `connection ${index}` }),
    );
    const of = { ...customer, threadId: thread.id };
    const current = await connect(core, runner, of, practice);
    connections.push({ index, shop, of, current, operations: [current.operation.id], renewals: 0, warnings: 0 });
  }
  return {
    ...{ core, health, runner, shops, connections, chat, progress, admin },
    isAway: (shop) => shops[shop]?.outage() !== undefined,
    async pass(ms) {
      await owner.query('UPDATE test.clock SET ahead = ahead + make_interval(secs => $1)', [ms / 1000]);
    },
    async renew(connection) {
      const practice = shops[connection.shop];
      if (!practice) throw new Error('every connection has a shop');
      const old = connection.current.label;
      connection.current = await connect(core, runner, connection.of, practice);
      connection.operations.push(connection.current.operation.id);
      connection.renewals += 1;
      if (practice.keys().some(({ description, isRevoked }) => description === old && !isRevoked)) practice.endKey(old);
    },
    async close() {
      await Promise.all([admin.end(), owner.end()]);
      await core.close();
      for (const shop of shops) await shop.close();
      await server.remove();
    },
  };
}
