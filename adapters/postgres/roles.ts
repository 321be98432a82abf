import pg from 'pg';
import { adminConnection } from './postmaster.ts';
import type { PostgresServer } from './server.ts';

export interface DatabaseUrls {
  /** For migrations only: owns everything, is no superuser, may make databases (shadow databases of `prisma migrate`). */
  readonly ownerUrl: string;
  /** What the program runs with: member of `countersign_program`, which every GRANT names, and nothing else. */
  readonly programUrl: string;
}

const OWNER_ROLE = 'countersign_owner';
const PROGRAM_GROUP = 'countersign_program';
const PROGRAM_ROLE = 'countersign';
/** Drops and erases what the audit trail may lose; its functions belong to it, and nobody logs in as it. */
const RETENTION_ROLE = 'countersign_retention';

/** Makes the roles and the database where they are missing; the same result however often it runs. */
export async function prepareRoles(server: PostgresServer, { database }: { database: string }): Promise<DatabaseUrls> {
  const admin = new pg.Client(adminConnection(server.socketDir));
  await admin.connect();
  try {
    await makeRole(admin, OWNER_ROLE, 'LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS');
    await makeRole(admin, PROGRAM_GROUP, 'NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS');
    await makeRole(admin, PROGRAM_ROLE, 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS');
    await makeRole(admin, RETENTION_ROLE, 'NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS');
    await admin.query(`GRANT ${PROGRAM_GROUP} TO ${PROGRAM_ROLE}`);
    await admin.query(`GRANT ${RETENTION_ROLE} TO ${OWNER_ROLE}`); // whoever hands a function over is a member
    await makeDatabase(admin, database);
    await letEndLog(admin, server, database);
  } finally {
    await admin.end();
  }
  return { ownerUrl: server.url(OWNER_ROLE, database), programUrl: server.url(PROGRAM_ROLE, database) };
}

/** What was erased has to leave the log of changes, too: prisma/reclaim.ts (PostgreSQL 15, 22.5 Predefined Roles). */
async function letEndLog(admin: pg.Client, { socketDir }: PostgresServer, database: string): Promise<void> {
  await admin.query(`GRANT pg_checkpoint TO ${OWNER_ROLE}`);
  const inside = new pg.Client(adminConnection(socketDir, database));
  await inside.connect();
  try {
    await inside.query(`GRANT EXECUTE ON FUNCTION pg_switch_wal() TO ${OWNER_ROLE}`);
  } finally {
    await inside.end();
  }
}

async function makeRole(admin: pg.Client, name: string, attributes: string): Promise<void> {
  const { rowCount } = await admin.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
  await admin.query(`${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${name} ${attributes}`);
}

async function makeDatabase(admin: pg.Client, database: string): Promise<void> {
  const name = pg.escapeIdentifier(database);
  const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [database]);
  if (rowCount === 0) await admin.query(`CREATE DATABASE ${name} OWNER ${OWNER_ROLE}`);
  await admin.query(`GRANT CREATE ON DATABASE ${name} TO ${OWNER_ROLE}`); // the schemas app, sec, directory, pgboss
}
