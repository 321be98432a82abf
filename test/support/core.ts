import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { vi } from 'vitest';
import { type Audit, createAudit } from '../../core/audit/audit.ts';
import type { AuditEntry } from '../../core/audit/entry.ts';
import { createRepairs, type Repairs } from '../../core/connections/repair.ts';
import { createRepairOffers, type RepairOffers } from '../../core/connections/repair-offer.ts';
import { type Click, type Consents, createConsents, type Decision } from '../../core/consent/consent.ts';
import { createStandingGrants, type StandingGrants } from '../../core/consent/standing.ts';
import { type ConsoleSessions, createConsoleSessions } from '../../core/console/sessions.ts';
import { type ApiAnswers, createApiAnswers } from '../../core/customers/api-answers.ts';
import { type ApiTokens, createApiTokens } from '../../core/customers/api-tokens.ts';
import { type Customers, createCustomers, type Member } from '../../core/customers/customers.ts';
import { createInstallations, type Installations } from '../../core/customers/installations.ts';
import { createDatabase, type Database, type Transaction } from '../../core/database.ts';
import { createDirectory, type Directory } from '../../core/directory.ts';
import { CountersignError } from '../../core/errors.ts';
import type { CustomerId } from '../../core/ids.ts';
import { type Control, createControl } from '../../core/operations/control.ts';
import { storeEntered } from '../../core/operations/entered.ts';
import type { LeaseDeps } from '../../core/operations/lease.ts';
import { createMover, type Mover } from '../../core/operations/move.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createOperations, type NewOperation, type Operations } from '../../core/operations/operations.ts';
import { createParking, type Parking } from '../../core/operations/parking.ts';
import { createRunSecrets } from '../../core/operations/run-secrets.ts';
import { createStandstill, type Standstill } from '../../core/operations/standstill.ts';
import { OPEN_STATES } from '../../core/operations/states.ts';
import { createThreads, type Threads } from '../../core/operations/threads.ts';
import type { EventRef, Person, Standing } from '../../core/ports/chat.ts';
import type { Http } from '../../core/ports/http.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import { type Redact, redactedAudit } from '../../core/redacted-ports.ts';
import { getService } from '../../core/services/index.ts';
import type { Service } from '../../core/services/service.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { createLinks, type Links } from '../../core/vault/links.ts';
import { createKeyRotation, type KeyRotation } from '../../core/vault/rotation.ts';
import { createSealer, type Sealer } from '../../core/vault/sealer.ts';
import { createTokens, type Tokens } from '../../core/vault/tokens.ts';
import { createVault, type Vault } from '../../core/vault/vault.ts';
import { createWorkflowRegistry, type WorkflowRegistry } from '../../core/workflow/registry.ts';
import type { TestDatabase } from './database.ts';
import { testRootKeys } from './root-keys.ts';
import { silentLog } from './silent-log.ts';

/** Everything below the conversation, wired as the program wires it, on a database of its own. */
export interface Core extends LeaseDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly sealer: Sealer;
  readonly audit: Audit;
  readonly vault: Vault;
  readonly tokens: Tokens;
  readonly keyRotation: KeyRotation;
  readonly links: Links;
  readonly sessions: ConsoleSessions;
  readonly customers: Customers;
  readonly apiTokens: ApiTokens;
  readonly apiAnswers: ApiAnswers;
  readonly installations: Installations;
  readonly mover: Mover;
  readonly queue: Queue;
  readonly threads: Threads;
  readonly workflows: WorkflowRegistry;
  readonly operations: Operations;
  readonly consents: Consents;
  readonly standingGrants: StandingGrants;
  readonly repairOffers: RepairOffers;
  /** Keys are replaced after 90 days. */
  readonly repairs: Repairs;
  readonly parking: Parking;
  /** Every target can be reached. */
  readonly control: Control;
  readonly standstill: Standstill;
  readonly retentionDays: { readonly usual: number; readonly least: number };
  close(): Promise<void>;
}

/** No service is asked for anything. */
export const nowhere: Http = {
  async request() {
    throw new Error('nothing was to be asked of a service');
  },
};

/** What the chat platform says of people: members of everything, unless a test has it say something else. */
export type TestPlatform = (person: Person, group: string | undefined) => Standing | Promise<Standing>;

export async function openCore(
  { programUrl }: Pick<TestDatabase, 'programUrl'>,
  {
    platform = () => ({ kind: 'member', isInGroup: false }),
    rootKeys = testRootKeys,
    redact = (text) => text,
    perHour,
    hasPageModel = false,
    http = nowhere,
    serviceOf = getService,
  }: {
    serviceOf?: typeof getService;
    platform?: TestPlatform;
    rootKeys?: RootKeys;
    redact?: Redact;
    perHour?: number;
    hasPageModel?: boolean;
    http?: Http;
  } = {},
): Promise<Core> {
  const database = createDatabase({ url: programUrl, rootKeys, poolSize: 10 });
  const queue = createQueue({ url: programUrl, log: silentLog });
  const directory = createDirectory(database);
  const sealer = createSealer(rootKeys);
  const audit = redactedAudit(createAudit({ database, sealer }), redact);
  const vault = createVault({ database, directory, sealer, audit });
  const tokens = createTokens({ database, vault, audit, http, getService: serviceOf });
  const keyRotation = createKeyRotation({ database, directory, rootKeys, audit });
  const links = createLinks({ database, directory });
  const customers = createCustomers({ database, directory });
  const sessions = createConsoleSessions({ database, directory, customers, audit });
  const apiTokens = createApiTokens({ database, directory, audit });
  const apiAnswers = createApiAnswers({ database, sealer });
  const mover = createMover({ audit, vault });
  const threads = createThreads();
  const workflows = createWorkflowRegistry();
  const planning = { database, audit, customers, queue, workflows, getService: serviceOf, hasPageModel };
  const operations = createOperations({ ...planning, ...(perHour === undefined ? {} : { perHour }) });
  const installing = { database, directory, sealer, customers, audit, mover, operations };
  const installations = createInstallations(installing);
  const identify = async (person: Person, group?: string) => platform(person, group);
  const deciding = { database, audit, customers, operations, queue, identify };
  const consents = createConsents({ ...deciding, mover, vault });
  const standingGrants = createStandingGrants(deciding);
  const repairing = { ...planning, ...(perHour === undefined ? {} : { perHour }), operations, standingGrants, vault };
  const repairOffers = createRepairOffers(repairing);
  const repairs = createRepairs({ ...repairing, directory, rotationDays: 90 });
  const parking = createParking(database);
  const egress = { check: async () => ({ isAllowed: true }) as const };
  const controlled = { database, audit, customers, consents, operations, mover, queue, vault, directory };
  const control = createControl({ ...controlled, egress });
  const standstill = createStandstill(controlled);
  await queue.start();
  return {
    ...{
      database,
      directory,
      sealer,
      audit,
      vault,
      tokens,
      keyRotation,
      links,
      sessions,
      customers,
      apiTokens,
      apiAnswers,
      mover,
      queue,
      threads,
    },
    ...{
      workflows,
      operations,
      installations,
      consents,
      standingGrants,
      repairOffers,
      repairs,
      parking,
      control,
      standstill,
    },
    retentionDays: { usual: 90, least: 30 },
    close: async () => {
      await parking.close();
      await queue.stop(5_000);
      await database.close();
    },
  };
}

/** Of a run that has opened and found nothing. */
export const noSecrets = createRunSecrets({ add() {}, remove() {} });

/** A customer with a workspace of its own and one person for each role; a second approver for races. */
export interface Shop {
  readonly customerId: CustomerId;
  readonly workspaceId: string;
  /** Installed the bot; no approver. */
  readonly admin: Member;
  readonly merchant: Member;
  readonly approver: Member;
  readonly secondApprover: Member;
  readonly threadId: string;
}

export function somebody(workspaceId: string, name: string): Person {
  return { platform: 'web', workspaceId, userId: `U-${name}`, name };
}

export async function installShop(core: Core): Promise<Shop> {
  const workspaceId = `W-${randomUUID()}`;
  const person = (name: string) => somebody(workspaceId, name);
  const customerId = await core.customers.install({ platform: 'web', workspaceId, name: 'Shop' }, person('Ada'));
  return core.database.withCustomer(customerId, async (tx) => {
    await core.customers.setApprovers(tx, customerId, [person('Abel'), person('Anna')], false);
    const member = (name: string) => core.customers.member(tx, customerId, person(name));
    const thread = await core.threads.open(tx, customerId, { platform: 'web', workspaceId, ref: 'thread' });
    return {
      ...{ customerId, workspaceId, threadId: thread.id },
      admin: await member('Ada'),
      merchant: await member('Mona'),
      approver: await member('Abel'),
      secondApprover: await member('Anna'),
    };
  });
}

/** Somebody new to the workspace, of whom no platform was asked yet. */
export function newcomer(core: Core, { customerId, workspaceId }: Shop, name: string): Promise<Member> {
  return core.database.withCustomer(customerId, (tx) =>
    core.customers.member(tx, customerId, somebody(workspaceId, name)),
  );
}

/** "set up WooCommerce for shop.example.com", waiting for a countersignature. */
export async function requestOperation(
  core: Core,
  shop: Shop,
  changes: Partial<NewOperation> = {},
): Promise<Operation> {
  const type = woocommerce.operationTypes.api_key_generation;
  const operation = await core.operations.request(shop.customerId, {
    threadId: shop.threadId,
    requester: shop.merchant,
    service: woocommerce,
    type,
    origin: 'https://shop.example.com',
    base: 'https://shop.example.com',
    permissions: defaultPermissions(type),
    ...changes,
  });
  if (!operation || 'tooSoon' in operation || 'closed' in operation)
    throw new Error('the event was taken before, or comes too soon');
  return operation;
}

/** "set up WooCommerce for shop.example.com and Stripe": two of one message. @throws Error with what was answered instead. */
export async function requestPair(core: Core, shop: Shop, event?: EventRef): Promise<readonly [Operation, Operation]> {
  const asked = await core.operations.requestTogether(
    shop.customerId,
    [woocommerce, stripe].map((service: Service) => {
      const type = service.operationTypes.api_key_generation;
      if (!type) throw new Error(`${service.name} makes keys`);
      const base = service.home ?? 'https://shop.example.com';
      const permissions = defaultPermissions(type);
      const what = { service, type, origin: base, base, permissions, ...(event && { event }) };
      return { threadId: shop.threadId, requester: shop.merchant, ...what };
    }),
  );
  const [one, two] = asked && 'asked' in asked ? asked.asked : [];
  const why = asked && 'left' in asked ? asked.left.map(({ because }) => because) : asked;
  if (!one || !two) throw new Error(`not both were asked for: ${JSON.stringify(why)}`);
  return [one, two];
}

/** A click on Approve of the card as it was shown. */
export function click(operation: Operation, by: Member, changes: Partial<Click> = {}): Click {
  return { operationId: operation.id, planHash: operation.planHash, by, method: 'web', ...changes };
}

export function grant(core: Core, operation: Operation, by: Member): Promise<Decision> {
  return core.consents.grant(operation.customerId, click(operation, by));
}

/** Countersigned; waits for the sign-in. */
export async function grantedOperation(
  core: Core,
  shop: Shop,
  changes: Partial<NewOperation> = {},
): Promise<Operation> {
  const decision = await grant(core, await requestOperation(core, shop, changes), shop.approver);
  if (decision.kind !== 'granted') throw new Error(`expected a grant, got ${decision.kind}`);
  return decision.operation;
}

/** Everything that is entered for the operation into the vault: those given, else made-up ones. */
export async function storeSignIn(
  core: Core,
  tx: Transaction,
  operation: Operation,
  signIn: Readonly<Record<string, string>> = {},
): Promise<void> {
  const madeUp = Object.fromEntries(operation.way.fields.map(({ name }) => [name, `${name} of ${operation.id}`]));
  await storeEntered(tx, core.vault, operation, { ...madeUp, ...signIn });
}

/** Countersigned, its sign-in entered, its job sent. */
export async function queuedOperation(
  core: Core,
  shop: Shop,
  changes: Partial<NewOperation> = {},
  signIn: Readonly<Record<string, string>> = {},
): Promise<Operation> {
  const operation = await grantedOperation(core, shop, changes);
  const { customerId, id: operationId } = operation;
  return core.database.withCustomer(customerId, async (tx) => {
    await storeSignIn(core, tx, operation, signIn);
    const jobId = await core.queue.sendOperation(tx, { customerId, operationId });
    const entry = { kind: 'credentials.entered', actor: shop.merchant.id } as const;
    await core.mover.move(tx, customerId, {
      operationId,
      from: ['awaiting_credentials'],
      to: 'queued',
      set: { jobId },
      entry,
    });
    return reread(core, tx, operation);
  });
}

/** The operation ends, by nobody in particular. */
export async function cancel(core: Core, { customerId, id: operationId }: Operation): Promise<void> {
  const entry = { kind: 'operation.cancelled' } as const;
  await core.database.withCustomer(customerId, (tx) =>
    core.mover.move(tx, customerId, { operationId, from: OPEN_STATES, to: 'cancelled', entry }),
  );
}

/** The operation as it is now. */
export function look(core: Core, operation: Operation): Promise<Operation> {
  return core.database.withCustomer(operation.customerId, (tx) => reread(core, tx, operation));
}

async function reread(core: Core, tx: Transaction, { customerId, id }: Operation): Promise<Operation> {
  const found = await core.operations.get(tx, customerId, id);
  if (!found) throw new Error(`${id} is gone`);
  return found;
}

export function trail(core: Core, operation: Operation): Promise<readonly AuditEntry[]> {
  const { customerId, id } = operation;
  return core.database.withCustomer(customerId, (tx) => core.audit.entriesOf(tx, customerId, id));
}

export async function kinds(core: Core, operation: Operation): Promise<readonly string[]> {
  return (await trail(core, operation)).map(({ kind }) => kind);
}

/** One statement over a connection of its own. */
export async function sql<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return connected(url, async (client) => (await client.query<Row>(text, values)).rows);
}

export async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // the query under way fails with it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Waits until a connection of the database waits for a lock; stops waiting when `work` is over without that. */
export async function untilBlocked(database: TestDatabase, work: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  work.then(over, over);
  const waiting = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
  await connected(database.adminUrl, (client) =>
    vi.waitUntil(async () => isOver || (await client.query(waiting, [database.name])).rowCount !== 0, {
      timeout: 10_000,
    }),
  );
}

/** Asks again as long as the answer is that it may succeed later: of a hundred at once, some wait too long for a connection. */
export async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof CountersignError && error.isRetryable)) throw error;
    }
  }
}
