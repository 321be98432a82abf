import pg from 'pg';
import type { ProvidedContext } from 'vitest';
import { type PostgresServer, prepareRoles } from '../../adapters/postgres/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { testRootKeys } from './root-keys.ts';
import { startRunServer } from './run-postgres.ts';

const TEMPLATE = 'countersign_template';

/** A PostgreSQL, migrated once into a template that every test file copies. */
export async function startTemplate(): Promise<{ urls: ProvidedContext['postgres']; remove(): Promise<void> }> {
  const server = await startRunServer();
  await makeTemplate(server);
  const urls = {
    admin: server.url('admin', 'postgres'),
    owner: server.url('countersign_owner', 'postgres'),
    program: server.url('countersign', 'postgres'),
    template: TEMPLATE,
  };
  return { urls, remove: () => server.remove() };
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
