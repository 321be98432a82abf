/** The jobs of a test's database as they lie in their queues, and a worker that does them. */
import { vi } from 'vitest';
import { newOperationId } from '../../core/ids.ts';
import { createQueue, type Queue } from '../../core/queue/queue.ts';
import type { OperationJob } from '../../core/queue/queues.ts';
import { type Core, type Shop, sql } from './core.ts';
import type { TestDatabase } from './database.ts';
import { silentLog } from './silent-log.ts';

/** On a machine that is busy with other tests: what is given back to the queue comes again only after its pauses. */
export const PATIENCE_MS = 120_000;

export interface JobRow {
  readonly id: string;
  readonly state: string;
  readonly data: object;
  readonly retry_count: number;
  readonly start_after: Date;
}

/** The job of an operation that is not there otherwise. */
export const newJob = ({ customerId }: Pick<Shop, 'customerId'>): OperationJob => ({
  customerId,
  operationId: newOperationId(),
});

export const send = (core: Core, job: OperationJob) =>
  core.database.withCustomer(job.customerId, (tx) => core.queue.sendOperation(tx, job));

export const jobsOf = ({ adminUrl }: TestDatabase, { operationId }: Pick<OperationJob, 'operationId'>) =>
  sql<JobRow>(
    adminUrl,
    "SELECT id, state, data, retry_count, start_after FROM pgboss.job WHERE data ->> 'operationId' = $1",
    [operationId],
  );

export async function prioritiesOf({ adminUrl }: TestDatabase, jobs: readonly OperationJob[]) {
  const rows = await sql<{ id: string; priority: number }>(
    adminUrl,
    "SELECT data ->> 'operationId' AS id, priority FROM pgboss.job WHERE name = 'operations'",
  );
  return jobs.map(({ operationId }) => rows.find(({ id }) => id === operationId)?.priority);
}

/** Looks until it is so: what is waited for happens in another connection. */
export async function until<T>(read: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  const seen = await vi.waitUntil(
    async () => {
      const value = await read();
      return isSo(value) && { value };
    },
    { timeout: PATIENCE_MS, interval: 50 },
  );
  return seen.value;
}

/** A worker of its own on the same queues; stopped before the file ends. */
export async function withWorker<T>({ programUrl }: TestDatabase, work: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = createQueue({ url: programUrl, log: silentLog });
  await queue.start();
  try {
    return await work(queue);
  } finally {
    await queue.stop(5_000);
  }
}
