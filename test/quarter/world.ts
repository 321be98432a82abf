import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { createHttp } from '../../adapters/http/index.ts';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Health } from '../../core/connections/health.ts';
import { createRepairs, type Repairs } from '../../core/connections/repair.ts';
import { customerId as asCustomerId, type CustomerId, type OperationId, parseOperationId } from '../../core/ids.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { createRunner } from '../../core/operations/run.ts';
import { getService } from '../../core/services/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { openTestBrowser } from '../support/browser.ts';
import { keptWorking, repairsAt } from '../support/connections.ts';
import { type Core, click, installShop, look, openCore, type Shop } from '../support/core.ts';
import { shiftClock } from '../support/database.ts';
import { type Connected, connect, healthOf } from '../support/health.ts';
import { createRecordingChat, type RecordingChat } from '../support/recording-chat.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { startRunServer } from '../support/run-postgres.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';
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
  /** Its repairs are countersigned ahead, with the sign-in kept: they run in a real browser. */
  readonly isStanding: boolean;
  /** How often it was told that its key expires. */
  warnings: number;
}

export interface World {
  readonly core: Core;
  readonly health: Health;
  readonly shops: readonly PracticeShop[];
  readonly connections: readonly Connection[];
  readonly chat: RecordingChat;
  readonly repairs: Repairs;
  /** The superuser's way to the tables. */
  readonly admin: pg.Client;
  changePages(shop: number): void;
  /** Whether that shop is out of order now. */
  isAway(shop: number): boolean;
  /** Whether it takes nobody's key now, although its pages work. */
  refusesKeys(shop: number): boolean;
  /** Moves test time on. */
  pass(ms: number): Promise<void>;
  /** The moment of every connection of that shop has come. */
  lookNow(origin: string): Promise<void>;
  /** Carries out what is queued, as a worker does. */
  work(): Promise<readonly Ran[]>;
  /** Questions that nobody answered in time lapse. */
  lapse(): Promise<void>;
  /** Shows every thread that is behind. */
  show(): Promise<void>;
  /** Makes a new key for the connection, as a person does who sets it up again, and says No to what was asked about the old one. */
  renew(connection: Connection): Promise<void>;
  close(): Promise<void>;
}

/** An operation that the worker carried out, and for how long meanwhile the stored key was none that its shop takes. */
export interface Ran {
  readonly connection: Connection;
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly cause: string;
  /** Of the key that it was to make. */
  readonly label: string;
  readonly withoutKeyMs: number;
}

export interface WorldOptions {
  readonly connections: number;
  readonly shops: number;
  readonly everyHours: number;
  readonly rotationDays: number;
  /** Of which connections repairs are granted ahead. */
  readonly standing: ReadonlySet<number>;
}

/** PostgreSQL, practice shops over HTTP, and everything set up by operations that were countersigned and carried out. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const { connections: count, shops: shopCount, everyHours, rotationDays, standing } = options;
  const server = await startRunServer();
  const { programUrl, ownerUrl } = await prepareRoles(server, { database: 'quarter' });
  await migrate({ ownerUrl, rootKeys: testRootKeys });
  await shiftClock(ownerUrl, '0 seconds');
  const shops: PracticeShop[] = [];
  const altered = new Set<number>();
  for (let n = 0; n < shopCount; n++) {
    const renamed = (words: string) => CHANGES.reduce((text, [from, to]) => text.replaceAll(from, to), words);
    const text = (words: string, type: string) => (altered.has(n) && type === 'html' ? renamed(words) : words);
    const alteration = { text, field: (name: string) => name };
    shops.push(await startPracticeShop({ products: 1, obstacles: { adminEmailCheck: false }, alteration }));
  }
  const tools = openTestBrowser({ privateTargets: shops.map(({ origin }) => new URL(origin).host) });
  const http = createHttp({ egress: tools.egress });
  const core = await openCore({ programUrl }, { http, perHour: 1_000_000 });
  const repairs = createRepairs({ ...core, getService, rotationDays });
  const byHand = runnerWithoutBrowser(core, http);
  const screenshots = createScreenshots(core);
  const secrets = { add() {}, remove() {} };
  const runner = createRunner({ ...core, browser: tools.browser, http, screenshots, log: silentLog, secrets });
  const deadlines = createDeadlines(core);
  const chat = createRecordingChat();
  const progress = createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: () => '' });
  // A pass that a slow computer cut short would cost minutes of test time.
  const health = healthOf(core, http, { everyHours, passMs: Number.POSITIVE_INFINITY, repair: repairs.consider });
  const admin = new pg.Client({ connectionString: server.url('admin', 'quarter') });
  const owner = new pg.Client({ connectionString: ownerUrl });
  await Promise.all([admin.connect(), owner.connect()]);
  // What is asked after every pass.
  await admin.query("CREATE INDEX ON autonomous_operations_audit (customer_id, seq) WHERE kind LIKE 'connection.%'");
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
    const current = await connect(core, byHand, of, practice);
    const isStanding = standing.has(index);
    if (isStanding) {
      const signIn = { admin_username: practice.username, admin_password: practice.password };
      await keptWorking(core, of, current.operation, signIn);
    }
    const operations = [current.operation.id];
    connections.push({ index, shop, of, current, operations, isStanding, renewals: 0, warnings: 0 });
  }
  const byOperation = (id: string) => connections.find(({ operations }) => operations.includes(id));
  /** Whether the shop takes the key that a program would read now. */
  const works = async ({ current: { place }, shop }: Connection): Promise<boolean> => {
    const stored = await core.vault.get(place.customerId, place.service, 'api_key', { target: place.target });
    const ending = stored?.fields.consumer_key?.reveal().slice(-7);
    return shops[shop]?.keys().some((key) => !key.isRevoked && key.consumerKeyEnding === ending) ?? false;
  };
  const carryOut = async (row: Named): Promise<Ran> => {
    const job = jobOf(row);
    const operation = await core.database.withCustomer(job.customerId, (tx) =>
      core.operations.get(tx, job.customerId, job.operationId),
    );
    const connection = operation?.plan.key && byOperation(operation.plan.key.operationId);
    if (!operation || !connection) throw new Error(`${job.operationId} is about none of the connections`);
    connection.operations.push(operation.id);
    let withoutKeyMs = 0;
    let isOver = false;
    const run = runner.run(job, new AbortController().signal).finally(() => {
      isOver = true;
    });
    for (let last = performance.now(); !isOver; ) {
      await Promise.race([run.catch(() => {}), wait(SAMPLE_MS)]);
      const isWell = await works(connection);
      const now = performance.now();
      if (!isWell) withoutKeyMs += now - last;
      last = now;
    }
    await run;
    const { state, errorMessage } = await look(core, operation);
    if (state === 'completed') {
      connection.renewals += 1;
      connection.current = { ...connection.current, operation, label: operation.plan.label };
    }
    const cause = operation.plan.repair?.cause ?? '';
    const { label } = operation.plan;
    return { connection, id: operation.id, state, why: errorMessage ?? '', cause, label, withoutKeyMs };
  };
  return {
    ...{ core, health, repairs, shops, connections, chat, admin },
    changePages: (shop) => void altered.add(shop),
    isAway: (shop) => shops[shop]?.outage() !== undefined,
    refusesKeys: (shop) => shops[shop]?.outage() === 'keys-refused',
    async pass(ms) {
      await owner.query('UPDATE test.clock SET ahead = ahead + make_interval(secs => $1)', [ms / 1000]);
    },
    async lookNow(origin) {
      await admin.query('UPDATE connection_health SET next_check_at = app.now() WHERE target = $1', [origin]);
    },
    async work() {
      const ran: Ran[] = [];
      for (;;) {
        const { rows } = await admin.query<Named>(QUEUED);
        if (rows.length === 0) return ran;
        for (const row of rows) ran.push(await carryOut(row));
      }
    },
    async lapse() {
      for (const row of (await admin.query<Named>(LAPSED)).rows) await deadlines(jobOf(row));
    },
    async show() {
      for (const customerId of await core.directory.customersBehind()) {
        const behind = await core.database.withCustomer(customerId, (tx) => core.threads.behind(tx, customerId));
        for (const { id } of behind) await progress.refresh(customerId, id);
      }
    },
    async renew(connection) {
      const practice = shops[connection.shop];
      if (!practice) throw new Error('every connection has a shop');
      const old = connection.current.label;
      const { customerId, approver } = connection.of;
      for (const asked of await repairsAt(core, connection.current.place))
        if (asked.state === 'awaiting_consent')
          await core.consents.deny(customerId, click(asked, approver), 'We make the key ourselves');
      connection.current = await connect(core, byHand, connection.of, practice);
      connection.operations.push(connection.current.operation.id);
      connection.renewals += 1;
      if (practice.keys().some(({ description, isRevoked }) => description === old && !isRevoked)) practice.endKey(old);
    },
    async close() {
      await Promise.all([admin.end(), owner.end()]);
      await tools.close();
      await core.close();
      for (const shop of shops) await shop.close();
      await server.remove();
    },
  };
}

/** What buttons and links are called after an update. */
const CHANGES = [
  ['Generate API key', 'Create API key'],
  ['>Add key<', '>Add a key<'],
] as const;
const SAMPLE_MS = 100;

interface Named {
  readonly customer: string;
  readonly id: string;
}

const QUEUED =
  "SELECT customer_id AS customer, id FROM autonomous_operations WHERE status = 'queued' ORDER BY created_at";
const LAPSED = `SELECT r.customer_id AS customer, r.operation_id AS id FROM consent_requests r
  WHERE r.decision IS NULL AND r.expires_at <= app.now()`;

function jobOf({ customer, id }: Named): { readonly customerId: CustomerId; readonly operationId: OperationId } {
  const operationId = parseOperationId(id);
  if (!operationId) throw new Error(`${id} is no operation`);
  return { customerId: asCustomerId(customer), operationId };
}
