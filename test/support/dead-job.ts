import type { Operation } from '../../core/operations/operation.ts';
import { sql } from './core.ts';
import type { TestDatabase } from './database.ts';

/** Leaves a job of the operation as pg-boss does after its last retry: failed. @returns the job's id; none, when there is no such job. */
export async function deadJob(
  { adminUrl }: TestDatabase,
  { id }: Operation,
  queue: 'operations' | 'deadlines' = 'operations',
): Promise<string | undefined> {
  const [job] = await sql<{ readonly id: string }>(
    adminUrl,
    `UPDATE pgboss.job SET state = 'failed', retry_count = retry_limit, completed_on = now()
     WHERE id = (SELECT id FROM pgboss.job WHERE name = $2 AND data ->> 'operationId' = $1 LIMIT 1) RETURNING id`,
    [id, queue],
  );
  return job?.id;
}
