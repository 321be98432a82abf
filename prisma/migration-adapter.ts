import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import type {
  ColumnType,
  SqlDriverAdapter,
  SqlMigrationAwareDriverAdapterFactory,
  SqlQuery,
} from '@prisma/driver-adapter-utils';
import type pg from 'pg';

type PrismaPgAdapter = Awaited<ReturnType<PrismaPg['connect']>>;

/** What @prisma/adapter-pg 7.10.0 declares private or protected, and a migration needs different. */
interface Internals {
  performIO(query: SqlQuery): Promise<pg.QueryArrayResult>;
  onError(error: unknown): never;
}

/** Object ids of pg_type; ColumnTypeEnum of @prisma/driver-adapter-utils. */
const OID_CHAR = 18;
const OID_TEXT = 25;
const CHARACTER: ColumnType = 6;

/**
 * @prisma/adapter-pg made fit for migrations: whole scripts at once, one connection (the migration lock belongs to a
 * session), the catalogue's "char", and a shadow database that is really connected to, and dropped.
 */
export function createMigrationAdapter(url: string): SqlMigrationAwareDriverAdapterFactory {
  const connect = async (to: string): Promise<SqlDriverAdapter> =>
    cure(await new PrismaPg({ connectionString: to, max: 1 }, schemaOption(to)).connect());
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => connect(url),
    connectToShadowDb: async () => {
      const database = `prisma_migrate_shadow_db_${randomUUID()}`;
      const main = await connect(url);
      await main.executeScript(`CREATE DATABASE "${database}"`);
      const shadow = await connect(inDatabase(url, database));
      const release = shadow.dispose.bind(shadow);
      shadow.dispose = async () => {
        await release(); // an open connection would keep the database
        await main.executeScript(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`);
        await main.dispose();
      };
      return shadow;
    },
  };
}

/** The same server and account, another database. */
export function inDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  return other.href;
}

function schemaOption(url: string): { schema?: string } {
  const schema = new URL(url).searchParams.get('schema');
  return schema === null ? {} : { schema };
}

function cure(adapter: PrismaPgAdapter): SqlDriverAdapter {
  // The pinned version has both methods under these names; test/prisma/drift.test.ts goes through them.
  const internals = adapter as unknown as Internals;
  adapter.executeScript = async (script) => {
    // Its own splits at every semicolon, which breaks functions and DO blocks, and is not atomic.
    await adapter
      .underlyingDriver()
      .query(script)
      .catch((error: unknown) => internals.onError(error));
  };
  knowChar(adapter, internals);
  return adapter;
}

/**
 * The catalogue's type "char" is unknown to the adapter, and one CHECK constraint is enough to meet it. The adapter is
 * told that it is text, the engine that it is a character: at text it panics. The engine asks one question at a time.
 */
function knowChar(adapter: PrismaPgAdapter, internals: Internals): void {
  const performIO = internals.performIO.bind(adapter);
  const queryRaw = adapter.queryRaw.bind(adapter);
  let isChar: boolean[] = [];
  internals.performIO = async (query) => {
    const result = await performIO(query);
    isChar = result.fields.map((field) => field.dataTypeID === OID_CHAR);
    for (const field of result.fields) if (field.dataTypeID === OID_CHAR) field.dataTypeID = OID_TEXT;
    return result;
  };
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    return { ...result, columnTypes: result.columnTypes.map((type, index) => (isChar[index] ? CHARACTER : type)) };
  };
}
