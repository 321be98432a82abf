import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { prepareRoles, startPostgres } from '../../adapters/postgres/index.ts';
import { type Audit, createAudit } from '../../core/audit/audit.ts';
import { type Consents, createConsents } from '../../core/consent/consent.ts';
import { createCustomers, type Customers, type Member } from '../../core/customers/customers.ts';
import { createDatabase, type Database } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { createMover } from '../../core/operations/move.ts';
import { createOperations, type Operations } from '../../core/operations/operations.ts';
import { createThreads } from '../../core/operations/threads.ts';
import type { OperationJob } from '../../core/queue/queues.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import { getService } from '../../core/services/index.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault, type Vault } from '../../core/vault/vault.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { migrate } from '../../prisma/migrate.ts';
import { silentLog } from '../support/silent-log.ts';
import { makeHome } from './folder.ts';

/** Core, put together as bot/main.ts does it, on a durable PostgreSQL of its own. */
export interface Rig {
  readonly database: Database;
  readonly audit: Audit;
  readonly vault: Vault;
  readonly operations: Operations;
  readonly consents: Consents;
  /** Not started. */
  readonly queue: Queue;
  readonly deadlines: (job: OperationJob) => Promise<void>;
  addCustomer(): Promise<RigCustomer>;
}

/** An organisation with one who asks, one who approves, and a thread. */
export interface RigCustomer {
  readonly customerId: CustomerId;
  readonly merchant: Member;
  readonly approver: Member;
  readonly threadId: string;
}

const POOL_SIZE = 10; // as in bot/main.ts
const STOP_MS = 5_000;

/** `atEnd` takes each end as soon as there is something to end. */
export async function createRig(atEnd: (end: () => Promise<unknown>) => void): Promise<Rig> {
  const home = makeHome();
  atEnd(() => home.remove());
  const server = await startPostgres({ dir: home.postgresDir });
  atEnd(async () => rmSync(server.socketDir, { recursive: true, force: true })); // elsewhere when its path was too long
  atEnd(() => server.stop());
  const rootKeys = createEnvironmentRootKeys({ current: randomBytes(32).toString('base64'), old: [] });
  const urls = await prepareRoles(server, { database: 'countersign' });
  await migrate({ ownerUrl: urls.ownerUrl, rootKeys });

  const database = createDatabase({ url: urls.programUrl, rootKeys, poolSize: POOL_SIZE });
  atEnd(() => database.close());
  const queue = createQueue({ url: urls.programUrl, log: silentLog });
  atEnd(() => queue.stop(STOP_MS));
  const sealer = createSealer(rootKeys);
  const audit = createAudit({ database, sealer });
  const vault = createVault({ sealer, audit });
  const customers = createCustomers({ database, directory: createDirectory(database) });
  const mover = createMover({ audit, vault });
  const workflows = createWorkflowRegistry();
  const operations = createOperations({ database, audit, customers, queue, workflows, getService });
  const consents = createConsents({ database, audit, customers, operations, mover, queue, vault });
  const deadlines = createDeadlines({ database, operations, mover });
  const addCustomer = () => makeCustomer(database, customers);
  return { database, audit, vault, operations, consents, queue, deadlines, addCustomer };
}

async function makeCustomer(database: Database, customers: Customers): Promise<RigCustomer> {
  const workspaceId = newUuid();
  const person = (userId: string) => ({ platform: 'web', workspaceId, userId, name: userId }) as const;
  const customerId = await customers.install({ platform: 'web', workspaceId, name: 'Bench' }, person('admin'));
  return database.withCustomer(customerId, async (tx) => {
    await customers.setApprovers(tx, customerId, [person('approver')], false);
    const thread = await createThreads().open(tx, customerId, { platform: 'web', workspaceId, ref: 'bench' });
    const merchant = await customers.member(tx, customerId, person('merchant'));
    const approver = await customers.member(tx, customerId, person('approver'));
    return { customerId, merchant, approver, threadId: thread.id };
  });
}
