import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { type PostgresServer, prepareRoles } from '../../adapters/postgres/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { testRootKeys } from './root-keys.ts';
import { startRunServer } from './run-postgres.ts';

const TEMPLATE = 'countersign_template';

/** One PostgreSQL for the whole run, migrated once into a template that every test file copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startRunServer();
  await makeTemplate(server);
  project.provide('postgres', {
    admin: server.url('admin', 'postgres'),
    owner: server.url('countersign_owner', 'postgres'),
    program: server.url('countersign', 'postgres'),
    template: TEMPLATE,
  });
  return () => server.remove();
}

async function makeTemplate(server: PostgresServer): Promise<void> {
  const { ownerUrl } = await prepareRoles(server, { database: TEMPLATE });
  await migrate({ ownerUrl, rootKeys: testRootKeys });
  const admin = new pg.Client({ connectionString: server.url('admin', 'postgres') });
  await admin.connect();
  // One open connection to a template makes every copy fail.
  await admin.query(`ALTER DATABASE ${TEMPLATE} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`);
  await admin.end();
}
