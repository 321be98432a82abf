import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { defaultPostgresDir } from '../../adapters/postgres/index.ts';
import { type Demo, type DemoOptions, startDemo } from '../practice/demo.ts';
import { createEmptyDatabase, shiftClock, type TestDatabase } from './database.ts';
import { removeAbandonedServer } from './run-postgres.ts';
import { silentLog } from './silent-log.ts';

/** A project folder that nothing else uses. */
export interface Project {
  /** What `.countersign` is in a real project. */
  readonly folder: string;
  /** Where PostgreSQL keeps its data, when it is the demo's own: as root, outside of the project. */
  readonly postgresDir: string;
  /** Once nothing runs in it any more. */
  remove(): void;
}

const PREFIX = 'countersign-e2e-';
const ABANDONED_MS = 30 * 60_000; // no test takes as long

/** Makes one, and removes what killed test runs left. */
export async function throwawayProject(): Promise<Project> {
  await removeAbandoned();
  return projectIn(mkdtempSync(join(tmpdir(), PREFIX)));
}

function projectIn(project: string): Project {
  const postgresDir = defaultPostgresDir(project);
  return {
    folder: join(project, '.countersign'),
    postgresDir,
    remove: () => {
      for (const dir of [project, postgresDir]) rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const dir = join(tmpdir(), name);
    const { mtimeMs } = statSync(dir, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs < ABANDONED_MS) continue;
    const project = projectIn(dir);
    try {
      if (existsSync(project.postgresDir)) await removeAbandonedServer(project.postgresDir);
      project.remove();
    } catch {
      // it is in use, or another test removes it
    }
  }
}

export interface TestDemo extends Demo {
  readonly project: Project;
  /** Looks behind row level security, as the superuser. */
  sql(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** The database's clock goes on by so many minutes at once. */
  minutesPass(minutes: number): Promise<void>;
  /** Locks the operation's row as long as `work` takes. */
  whileLocked(operationId: string, work: () => Promise<void>): Promise<void>;
  /** Stops the demo and removes everything that it made. */
  remove(): Promise<void>;
}

export interface TestDemoOptions extends Partial<Pick<DemoOptions, 'env' | 'log' | 'shop' | 'services' | 'teamsPort'>> {
  /** `own`: PostgreSQL in the project's folder, as `npm run demo` has it. `shared`, the default: the run's, which is there already. */
  readonly postgres?: 'own' | 'shared';
}

/** The demo on free ports, in a folder of its own. */
export async function startTestDemo(options: TestDemoOptions = {}): Promise<TestDemo> {
  const project = await throwawayProject();
  const database = options.postgres === 'own' ? undefined : await createEmptyDatabase();
  const removeData = async () => {
    await database?.drop();
    project.remove();
  };
  try {
    const demo = await startDemo({
      folder: project.folder,
      ...{ chatPort: 0, httpPort: 0, shopPort: 0 },
      env: { ...demoEnvironment(), ...(database && databaseVariables(database)), ...options.env },
      log: options.log ?? silentLog,
      ...(options.shop ? { shop: options.shop } : {}),
      ...(options.services ? { services: options.services } : {}),
      ...(options.teamsPort === undefined ? {} : { teamsPort: options.teamsPort }),
    });
    const admin = new pg.Pool({ connectionString: asAdmin(demo.app.databaseUrl), max: 2 });
    admin.on('error', () => {}); // the server ends before the pool does when a test failed
    return {
      ...demo,
      project,
      sql: async (text, values = []) => (await admin.query(text, [...values])).rows,
      minutesPass: (minutes) => shiftClock(asAdmin(demo.app.databaseUrl), `${minutes} minutes`),
      async whileLocked(operationId, work) {
        const client = await admin.connect();
        try {
          await client.query('BEGIN');
          await client.query('SELECT FROM autonomous_operations WHERE id = $1 FOR NO KEY UPDATE', [operationId]);
          await work();
        } finally {
          await client.query('ROLLBACK');
          client.release();
        }
      },
      remove: async () => {
        await admin.end();
        await demo.stop();
        await removeData();
      },
    };
  } catch (error) {
    await removeData();
    throw error;
  }
}

/** Room for every request of a test file, and the browser that the run was told to use. */
export function demoEnvironment(): Record<string, string> {
  const { CHROMIUM_PATH } = process.env;
  return { OPERATIONS_PER_HOUR: '1000', ...(CHROMIUM_PATH ? { CHROMIUM_PATH } : {}) };
}

function databaseVariables({ programUrl, ownerUrl }: TestDatabase): Record<string, string> {
  return { DATABASE_URL: programUrl, DATABASE_OWNER_URL: ownerUrl };
}

/** The same database's address for the superuser of a server that a socket in a closed folder admits him to. */
export function asAdmin(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = ADMIN_ROLE;
  return url.href;
}

/** Makes exactly these people approvers, as an admin's form does, so that a test needs no other one before it. */
export async function appoint(
  demo: Pick<TestDemo, 'sql'>,
  approvers: readonly ('merchant' | 'approver' | 'admin')[],
  { mayWorkAlone = false } = {},
): Promise<void> {
  await demo.sql(`UPDATE members SET roles = array_remove(roles, 'approver')`);
  await demo.sql(
    `INSERT INTO members (customer_id, id, platform, workspace_id, user_id, name, roles)
     SELECT w.customer_id, gen_random_uuid(), 'web', 'demo', chosen, initcap(chosen), ARRAY['merchant', 'approver']
     FROM workspaces w, unnest($1::text[]) chosen WHERE w.workspace_id = 'demo'
     ON CONFLICT (customer_id, platform, workspace_id, user_id) DO UPDATE SET roles = members.roles || ARRAY['approver']`,
    [approvers],
  );
  await demo.sql('UPDATE customers SET may_work_alone = $1', [mayWorkAlone]);
}
