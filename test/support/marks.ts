import { existsSync } from 'node:fs';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { createInbox } from '../../core/inbox.ts';
import { type Core, connected, type Shop, sql } from './core.ts';
import { databaseSinks, filesIn } from './sinks.ts';
import { sweep } from './sweep.ts';

const CHAIN = ['autonomous_operations_audit', 'audit_heads', 'audit_checkpoints', 'customer_keys', 'erasures'];
/** What says where a row belongs; a sealed token, which is opened to be revoked. */
const FIXED = "('customer_id', 'status', 'platform', 'roles')";

interface Place {
  readonly adminUrl: string;
  readonly ownerUrl: string;
}

/**
 * Writes a mark into every column of the customer's that can hold one, whatever tables there are: as somebody who owns the server.
 * @returns their names.
 */
export async function plant({ adminUrl }: Place, customerId: CustomerId, mark: string): Promise<readonly string[]> {
  return connected(adminUrl, async (client) => {
    const { rows } = await client.query<{ name: string; col: string; type: string }>(
      `SELECT table_name AS name, column_name AS col, udt_name AS type FROM information_schema.columns
       WHERE table_schema = 'public' AND udt_name IN ('text', 'varchar', '_text', 'jsonb', 'bytea')
         AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'customer_id')
         AND table_name <> ALL ($1) AND column_name NOT IN ${FIXED} AND column_name !~ '(^|_)id$' AND column_name !~ '_hash$'
         AND (table_name, column_name) NOT IN (('slack_installations', 'sealed'))
       ORDER BY 1, 2`,
      [CHAIN],
    );
    const planted: string[] = [];
    for (const { name, col, type } of rows) {
      const value = {
        text: `$2::text || coalesce(${col}, '')`,
        varchar: `$2::text || coalesce(${col}, '')`,
        _text: 'ARRAY[$2::text]',
        jsonb: 'jsonb_build_object($2::text, 1)',
        bytea: "convert_to($2::text, 'UTF8')",
      }[type];
      await client.query('BEGIN');
      await client.query("SET LOCAL session_replication_role = 'replica'");
      const done = await client
        .query(`UPDATE ${name} SET ${col} = ${value} WHERE customer_id = $1`, [customerId, `${mark}/`])
        .catch(() => undefined); // a column with words of its own, which takes no others
      await client.query(done ? 'COMMIT' : 'ROLLBACK');
      if (done?.rowCount) planted.push(`${name}.${col}`);
    }
    return planted;
  });
}

/** Where bytes of the mark are still found: in every row of every table, and in files. */
export async function findMark(
  { adminUrl }: Place,
  mark: string,
  folders: readonly string[],
): Promise<readonly string[]> {
  const sinks = [...(await databaseSinks(adminUrl)), ...folders.filter(existsSync).flatMap(filesIn)];
  return [...new Set(sweep(sinks, { mark }).map(({ sink }) => sink))];
}

/** The folder of a database's own files. */
export async function databaseFolder({ adminUrl }: Place): Promise<string> {
  const [row] = await sql<{ dir: string }>(
    adminUrl,
    "SELECT current_setting('data_directory') || '/base/' || oid AS dir FROM pg_database WHERE datname = current_database()",
  );
  return row?.dir ?? '';
}

/** Words of the trail and a waiting message: what is sealed, and opened by the program alone. @returns how many values. */
export async function sealMarks(core: Core, shop: Shop, mark: string): Promise<number> {
  const { customerId } = shop;
  await core.database.withCustomer(customerId, async (tx) => {
    for (let n = 0; n < 10; n++)
      await core.audit.append(tx, customerId, {
        kind: 'rules.changed',
        actor: shop.admin.id,
        payload: { words: `${mark} ${n}` },
      });
  });
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: `thread ${mark}` } as const;
  const message = { kind: 'message', id: newUuid(), thread, from: shop.merchant.person, text: mark } as const;
  await createInbox(core).keep(customerId, message);
  return 12;
}
