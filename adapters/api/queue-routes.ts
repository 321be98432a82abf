import { z } from 'zod';
import { countJobs, findJob, lastJobAt } from '../../core/queue/jobs.ts';
import { OPERATIONS_QUEUE } from '../../core/queue/queues.ts';
import { operationOf, type RouteDeps } from './deps.ts';
import { ok } from './replies.ts';
import { type ApiRoute, NOT_THERE, route } from './route.ts';
import { iso, jobSchema, jobView, response, success, uuid } from './views.ts';

const counts = z.strictObject({
  waiting: z.int(),
  active: z.int(),
  completed: z.int(),
  failed: z.int(),
  delayed: z.int(),
  paused: z.int().describe('Operations that rest.'),
});
const statsSchema = response(
  'QueueStats',
  z.strictObject({
    success,
    stats: counts.describe('Jobs of your own, of the last day.'),
    health: z.strictObject({
      healthy: z.boolean().describe('A worker is there to do them.'),
      queueName: z.string(),
      activeWorkers: z.int().describe('Workers that are at a job of yours.'),
      stats: counts,
      lastJobProcessedAt: z.iso.datetime().nullable(),
    }),
    timestamp: z.iso.datetime(),
  }),
);
/** Processes that work on operations. */
const WORKERS: readonly string[] = ['all', 'worker'];

export function queueRoutes(deps: RouteDeps): readonly ApiRoute[] {
  const { database } = deps;
  return [
    route({
      ...{ method: 'get', path: '/queue/stats', id: 'getQueueStats', scope: 'queue:read' },
      summary: 'How many jobs of your own wait, run and are done, and whether a worker is there.',
      answers: { 200: { description: 'Counts.', schema: statsSchema } },
      async answer({ caller: { customerId } }) {
        const [stats, last] = await database.withCustomer(customerId, async (tx) => [
          await countJobs(tx, customerId),
          await lastJobAt(tx, customerId),
        ]);
        const healthy = (await database.processes()).some((kind) => WORKERS.includes(kind));
        const lastJobProcessedAt = iso(last);
        const health = { healthy, queueName: OPERATIONS_QUEUE, activeWorkers: stats.active, stats, lastJobProcessedAt };
        return ok({ success: true, stats, health, timestamp: new Date().toISOString() });
      },
    }),
    route({
      ...{ method: 'get', path: '/queue/status/:jobId', id: 'getJob', scope: 'queue:read' },
      summary: 'One job of your own.',
      params: z.strictObject({ jobId: uuid }),
      answers: { 200: { description: 'The job.', schema: jobSchema } },
      problems: [404],
      async answer({ caller, params: { jobId } }) {
        const { customerId } = caller;
        const job = await database.withCustomer(customerId, (tx) => findJob(tx, customerId, jobId));
        const operation = job && (await operationOf(deps, caller, job.operationId));
        return job && operation ? ok(jobView(job, operation)) : NOT_THERE;
      },
    }),
  ];
}
