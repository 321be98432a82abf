import type { Operation } from '../../core/operations/operation.ts';
import { sql } from './core.ts';
import type { TestDatabase } from './database.ts';

/** How many countersignatures of the operation there are, jobs, and entries that say so. */
export async function countGrants({ adminUrl }: Pick<TestDatabase, 'adminUrl'>, { id }: Operation) {
  const [row] = await sql<{ grants: number; jobs: number; entries: number }>(
    adminUrl,
    `SELECT (SELECT count(*)::int FROM autonomous_consent WHERE operation_id = $1) AS grants,
      (SELECT count(*)::int FROM pgboss.job WHERE name = 'operations' AND data ->> 'operationId' = $1) AS jobs,
      (SELECT count(*)::int FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = 'consent.granted') AS entries`,
    [id],
  );
  return row;
}
export const NOTHING = { grants: 0, jobs: 0, entries: 0 };
export const ONCE = { grants: 1, jobs: 1, entries: 1 };
