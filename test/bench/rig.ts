import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createFileCheckpoints } from '../../adapters/checkpoints/index.ts';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { type PostgresServer, prepareRoles, startPostgres } from '../../adapters/postgres/index.ts';
import { type Audit, createAudit } from '../../core/audit/audit.ts';
import { type Checkpoints, createCheckpoints } from '../../core/audit/checkpoints.ts';
import { type Consents, createConsents } from '../../core/consent/consent.ts';
import { type Customers, createCustomers, type Member } from '../../core/customers/customers.ts';
import { createDatabase, type Database } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { createMover } from '../../core/operations/move.ts';
import { createOperations, type Operations } from '../../core/operations/operations.ts';
import { createThreads } from '../../core/operations/threads.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import type { OperationJob } from '../../core/queue/queues.ts';
import { getService } from '../../core/services/index.ts';
import { createKeyRotation, type KeyRotation } from '../../core/vault/rotation.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault, type Vault } from '../../core/vault/vault.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { migrate } from '../../prisma/migrate.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Endings } from './endings.ts';
import { makeHome } from './folder.ts';

/** Core, put together as bot/main.ts does it, on a durable PostgreSQL of its own. */
export interface Rig {
  readonly database: Database;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly vault: Vault;
  readonly keyRotation: KeyRotation;
  readonly rootKeys: RootKeys;
  readonly operations: Operations;
  readonly consents: Consents;
  /** Not started. */
  readonly queue: Queue;
  readonly deadlines: (job: OperationJob) => Promise<void>;
  addCustomer(): Promise<RigCustomer>;
  /** The database's superuser, who may load what would take the program hours. */
  readonly adminUrl: string;
  /** What another process of the same installation is started with. */
  readonly env: Readonly<Record<string, string>>;
}

/** An organisation with one who asks, one who approves, and a thread. */
export interface RigCustomer {
  readonly customerId: CustomerId;
  readonly merchant: Member;
  readonly approver: Member;
  readonly threadId: string;
}

const POOL_SIZE = 10; // as in bot/main.ts

export async function createRig({ open }: Pick<Endings, 'open'>): Promise<Rig> {
  const { it: home } = await open(makeHome, (made) => made.remove());
  const { it: server } = await open(() => startPostgres({ dir: home.postgresDir }), stopServer);
  const current = randomBytes(32).toString('base64');
  const rootKeys = createEnvironmentRootKeys({ current, old: [] });
  const urls = await prepareRoles(server, { database: 'countersign' });
  await migrate({ ownerUrl: urls.ownerUrl, rootKeys });

  const connect = () => createDatabase({ url: urls.programUrl, rootKeys, poolSize: POOL_SIZE });
  const { it: database } = await open(connect, (opened) => opened.close());
  const queue = createQueue({ url: urls.programUrl, log: silentLog });
  const sealer = createSealer(rootKeys);
  const audit = createAudit({ database, sealer });
  const directory = createDirectory(database);
  const vault = createVault({ database, directory, sealer, audit });
  const checkpointDir = join(home.folder, 'checkpoints');
  const store = createFileCheckpoints({ dir: checkpointDir });
  const checkpoints = createCheckpoints({ database, directory, audit, rootKeys, store, log: silentLog });
  const customers = createCustomers({ database, directory });
  const keyRotation = createKeyRotation({ database, directory, rootKeys, audit });
  const mover = createMover({ audit, vault });
  const workflows = createWorkflowRegistry();
  const operations = createOperations({ database, audit, customers, queue, workflows, getService });
  const identify = async () => ({ kind: 'member', isInGroup: false }) as const;
  const consents = createConsents({ database, audit, customers, operations, mover, queue, vault, identify });
  const deadlines = createDeadlines({ database, audit, operations, mover, vault });
  const addCustomer = () => makeCustomer(database, customers);
  return {
    ...{
      database,
      audit,
      checkpoints,
      vault,
      keyRotation,
      rootKeys,
      operations,
      consents,
      queue,
      deadlines,
      addCustomer,
    },
    adminUrl: server.url('admin', 'countersign'),
    env: { DATABASE_URL: urls.programUrl, ENCRYPTION_KEY: current, CHECKPOINT_DIR: checkpointDir },
  };
}

async function stopServer(server: PostgresServer): Promise<void> {
  await server.stop();
  rmSync(server.socketDir, { recursive: true, force: true }); // lies elsewhere when its path was too long
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
