import { existsSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createFileCheckpoints } from '../adapters/checkpoints/index.ts';
import { createEnvironmentRootKeys, loadOrMakeRootKey } from '../adapters/keys/index.ts';
import {
  defaultPostgresDir,
  joinPostgres,
  type PostgresServer,
  prepareRoles,
  startPostgres,
} from '../adapters/postgres/index.ts';
import { createScreenshots } from '../adapters/screenshots/index.ts';
import { type Audit, createAudit } from '../core/audit/audit.ts';
import { type Checkpoints, createCheckpoints } from '../core/audit/checkpoints.ts';
import { createRetention, type Retention } from '../core/audit/retention.ts';
import { createRepairs, type Repairs } from '../core/connections/repair.ts';
import { createRepairOffers, type RepairOffers } from '../core/connections/repair-offer.ts';
import { type ConsentDeps, type Consents, createConsents } from '../core/consent/consent.ts';
import { createStandingGrants, type StandingGrants } from '../core/consent/standing.ts';
import { type ConsoleSessions, createConsoleSessions } from '../core/console/sessions.ts';
import { type ApiAnswers, createApiAnswers } from '../core/customers/api-answers.ts';
import { type ApiTokens, createApiTokens } from '../core/customers/api-tokens.ts';
import { type Customers, createCustomers } from '../core/customers/customers.ts';
import { createInstallations, type Installations } from '../core/customers/installations.ts';
import { createDatabase, type Database } from '../core/database.ts';
import { untilReady } from '../core/database-connection.ts';
import { createDirectory, type Directory } from '../core/directory.ts';
import { createInbox, type Inbox } from '../core/inbox.ts';
import { measuredAudit, measuredMover, measuredVault } from '../core/measured-ports.ts';
import { createMover, type Mover } from '../core/operations/move.ts';
import { createOperations, type Operations } from '../core/operations/operations.ts';
import { createStandstill, type Standstill } from '../core/operations/standstill.ts';
import { createThreads, type Threads } from '../core/operations/threads.ts';
import type { RootKeys } from '../core/ports/keys.ts';
import type { Log } from '../core/ports/log.ts';
import { type Metrics, noMetrics } from '../core/ports/metrics.ts';
import type { Screenshots } from '../core/ports/screenshots.ts';
import { createQueue, type Queue } from '../core/queue/queue.ts';
import { isUnmistakable, type Redact, redactedAudit } from '../core/redacted-ports.ts';
import { createSecretRegistry, redact, redactShown, type SecretRegistry } from '../core/redaction.ts';
import { services } from '../core/services/index.ts';
import type { Service } from '../core/services/service.ts';
import { createLinks, type Links } from '../core/vault/links.ts';
import { createKeyRotation, type KeyRotation } from '../core/vault/rotation.ts';
import { createSealer, type Sealer } from '../core/vault/sealer.ts';
import { createVault, type Vault } from '../core/vault/vault.ts';
import { createWorkflowRegistry, type WorkflowRegistry } from '../core/workflow/registry.ts';
import { migrate, newestMigration } from '../prisma/migrate.ts';
import type { Config } from './config.ts';
import { connectionsOf } from './database-connections.ts';
import { createLog } from './log.ts';

const PROJECT = join(import.meta.dirname, '..');
const LOCAL_FOLDER = '.countersign';
/** A database that is just being started, or migrated by another process, is waited for. */
const PATIENCE_MS = 60_000;

export interface FoundationOptions {
  /** Where the embedded database, a made root key and the like lie; the project's `.countersign` by default. */
  readonly folder?: string;
  readonly log?: Log;
  /** What a chat platform says of somebody who is about to decide. */
  readonly identify?: ConsentDeps['identify'];
  /** Uses an embedded database that another process of ours is running, instead of refusing to. */
  readonly mayJoin?: boolean;
  /** How long the operator's database is waited for at the start; a minute by default. */
  readonly patienceMs?: number;
  /** Of a process that stays: what others see of it. Absent, as on the command line: nothing. */
  readonly role?: Config['role'];
  /** What can be set up, every service by default: practice services stand in for real ones by this alone. */
  readonly services?: readonly Service[];
  /** Hears what is to be counted; absent: nobody does. */
  readonly metrics?: Metrics;
  /** Runs before anything is made or opened; what it throws ends the start. */
  readonly first?: (begun: Pick<Foundation, 'folder' | 'log'>) => Promise<unknown>;
}

/** Rules and records on their database, without anything that speaks, browses or listens: for the program and its command line. */
export interface Foundation {
  readonly folder: string;
  readonly log: Log;
  /** The secrets in use right now, which no log line may show. */
  readonly secrets: SecretRegistry;
  /** Takes secrets out of what people, models and the trail are told. */
  readonly redact: Redact;
  readonly rootKeys: RootKeys;
  /** The database's login of the program. */
  readonly databaseUrl: string;
  /** That of its owner, where it is known. */
  readonly ownerUrl: string | undefined;
  readonly database: Database;
  readonly directory: Directory;
  readonly sealer: Sealer;
  readonly audit: Audit;
  /** Not started. */
  readonly checkpoints: Checkpoints;
  readonly retention: Retention;
  readonly vault: Vault;
  readonly keyRotation: KeyRotation;
  readonly links: Links;
  readonly sessions: ConsoleSessions;
  readonly customers: Customers;
  readonly apiTokens: ApiTokens;
  readonly apiAnswers: ApiAnswers;
  readonly installations: Installations;
  readonly mover: Mover;
  readonly threads: Threads;
  readonly inbox: Inbox;
  readonly workflows: WorkflowRegistry;
  /** Not started. */
  readonly queue: Queue;
  readonly operations: Operations;
  readonly consents: Consents;
  readonly standingGrants: StandingGrants;
  readonly repairOffers: RepairOffers;
  readonly repairs: Repairs;
  readonly standstill: Standstill;
  readonly screenshots: Screenshots;
  readonly services: readonly Service[];
  readonly getService: (id: string) => Service | undefined;
}

/** Configuration → database → core. What was opened is pushed onto `ending`, to be ended in reverse order. */
export async function openFoundation(
  config: Config,
  options: FoundationOptions,
  ending: (() => Promise<unknown>)[],
): Promise<Foundation> {
  const folder = options.folder ?? join(PROJECT, LOCAL_FOLDER);
  const secrets = createSecretRegistry();
  const log = options.log ?? createLog({ isVerbose: config.isVerbose, redact: (text) => redact(text, secrets.all()) });
  const redactWords: Redact = (text) => redactShown(text, secrets.all().filter(isUnmistakable));
  await options.first?.({ folder, log });
  const keyFile = join(folder, 'root.key');
  const hasNoKey = config.keys.current === undefined && !existsSync(keyFile);
  if (hasNoKey && !config.database.url) await setAside(defaultPostgresDir(dirname(folder)), log);
  const current = config.keys.current ?? (await loadOrMakeRootKey(keyFile));
  const rootKeys = createEnvironmentRootKeys({ current, old: config.keys.old });
  const { url: databaseUrl, ownerUrl } = await openPostgres(config, { ...options, folder, log }, rootKeys, ending);

  const database = createDatabase({
    ...{ url: databaseUrl, rootKeys, poolSize: connectionsOf(config).pool },
    ...(options.role === undefined ? {} : { name: options.role }),
  });
  ending.push(() => database.close());
  const queue = createQueue({ url: databaseUrl, log });
  const directory = createDirectory(database);
  const sealer = createSealer(rootKeys);
  const { metrics = noMetrics } = options;
  const audit = measuredAudit(redactedAudit(createAudit({ database, sealer }), redactWords), metrics);
  // A relative folder lies beside the local one, wherever the program was started.
  const store = createFileCheckpoints({ dir: resolve(dirname(folder), config.checkpointDir) });
  const checkpoints = createCheckpoints({ database, directory, audit, rootKeys, store, log });
  const retention = createRetention({ database, directory, audit, checkpoints, log });
  const vault = measuredVault(createVault({ database, directory, sealer, audit }), metrics);
  const keyRotation = createKeyRotation({ database, directory, rootKeys, audit });
  const links = createLinks({ database, directory });
  const customers = createCustomers({ database, directory });
  const sessions = createConsoleSessions({ database, directory, customers, audit });
  const apiTokens = createApiTokens({ database, directory, audit });
  const apiAnswers = createApiAnswers({ database, sealer });
  const mover = measuredMover(createMover({ audit, vault }), metrics);
  const threads = createThreads();
  const inbox = createInbox({ database, sealer });
  const workflows = createWorkflowRegistry();
  const hasPageModel = config.model !== undefined && config.agent.mode !== 'replay';
  const { operationsPerHour: perHour, picturesMbPerMonth } = config.limits;
  const known = options.services ?? services;
  const getService = (id: string) => known.find((service) => service.id === id);
  const planning = { database, audit, customers, queue, workflows, getService };
  const operations = createOperations({ ...planning, hasPageModel, perHour });
  const installing = { database, directory, sealer, customers, audit, mover, operations };
  const installations = createInstallations(installing);
  // Without a chat platform, as on the command line, nobody vouches for anybody: nobody decides.
  const identify = options.identify ?? (async () => ({ kind: 'unknown' }) as const);
  const consents = createConsents({ database, audit, customers, operations, mover, queue, vault, identify });
  const standingGrants = createStandingGrants({ database, audit, customers, operations, queue, identify });
  const repairing = { ...planning, hasPageModel, perHour, operations, standingGrants, vault };
  const repairOffers = createRepairOffers(repairing);
  const repairs = createRepairs({ ...repairing, directory, rotationDays: config.retention.keyRotationDays });
  const standstill = createStandstill({ database, directory, audit, operations, consents, mover, queue });
  const screenshots = createScreenshots({ database, sealer, mbPerMonth: picturesMbPerMonth });
  return {
    ...{ folder, log, secrets, redact: redactWords, rootKeys, databaseUrl, ownerUrl, database, directory },
    ...{ sealer, audit, checkpoints, retention, vault, keyRotation, links, sessions },
    ...{
      customers,
      apiTokens,
      apiAnswers,
      installations,
      mover,
      threads,
      inbox,
      workflows,
      queue,
      operations,
      consents,
      standingGrants,
      repairOffers,
      repairs,
    },
    ...{ standstill, screenshots, services: known, getService },
  };
}

/** A database whose root key is gone can't be opened by anybody: it is kept beside, and a new one is begun. */
async function setAside(dir: string, log: Log): Promise<void> {
  if (!existsSync(join(dir, 'data', 'PG_VERSION'))) return;
  await (await startPostgres({ dir })).stop(); // it may still be running for a program that was killed
  const aside = `${dir}.without-key-${new Date()
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(0, 14)}`;
  renameSync(dir, aside);
  log.warn({ aside }, 'the root key of the earlier database is gone: it was set aside, and an empty one is begun');
}

/** The operator's PostgreSQL, or our own in a folder; brought up to this version where the owner's address is known. */
async function openPostgres(
  config: Config,
  options: Pick<FoundationOptions, 'mayJoin' | 'patienceMs' | 'role'> & { readonly folder: string; readonly log: Log },
  rootKeys: RootKeys,
  ending: (() => Promise<unknown>)[],
): Promise<{ readonly url: string; readonly ownerUrl: string | undefined }> {
  const { log, mayJoin, patienceMs: limitMs = PATIENCE_MS } = options;
  const { url, ownerUrl } = config.database;
  const auditDays = config.retention.leastAuditDays;
  if (url) {
    if (ownerUrl) {
      await untilReady(ownerUrl, { log, limitMs });
      await migrate({ ownerUrl, rootKeys, auditDays, log });
    }
    const staying = options.role === undefined ? {} : { connections: connectionsOf(config).all };
    await untilReady(url, { ...staying, version: newestMigration(), log, limitMs });
    return { url, ownerUrl };
  }
  const dir = defaultPostgresDir(dirname(options.folder));
  const server: PostgresServer = await (mayJoin ? joinPostgres({ dir }) : startPostgres({ dir }));
  ending.push(() => server.stop());
  const urls = await prepareRoles(server, { database: 'countersign' });
  await migrate({ ownerUrl: urls.ownerUrl, rootKeys, auditDays, log });
  return { url: urls.programUrl, ownerUrl: urls.ownerUrl };
}
