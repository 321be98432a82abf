import { z } from 'zod';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { LOOKED_AT } from '../workflow/watch.ts';

/** One day of a customer's operations, in UTC. */
export interface Day {
  readonly day: Date;
  readonly completed: number;
  /** Ended without a result, other than by a person's No. */
  readonly failed: number;
  /** Machine time of those that completed, in milliseconds; `null`: there were none. */
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
  /** Steps by how their element was found. */
  readonly replayed: number;
  readonly relocated: number;
  readonly model: number;
  readonly human: number;
}

const days = z.array(
  z.object({
    day: z.date(),
    completed: z.int(),
    failed: z.int(),
    medianMs: z.number().nullable(),
    p95Ms: z.number().nullable(),
    replayed: z.int(),
    relocated: z.int(),
    model: z.int(),
    human: z.int(),
  }),
);

/** The last days, oldest first, the present one included; a day without anything has its row, too. */
export async function dailyFigures(tx: Transaction, customerId: CustomerId, count: number): Promise<readonly Day[]> {
  return days.parse(
    await tx.$queryRaw`
      WITH day AS (
        SELECT generate_series(date_trunc('day', app.now()) - make_interval(days => ${count - 1}::int),
          date_trunc('day', app.now()), '1 day') AS day
      ), run AS (
        SELECT o.id, date_trunc('day', o.created_at) AS day, o.status, (o.execution_metadata ->> 'machineMs')::float8 AS ms
        FROM autonomous_operations o
        WHERE o.customer_id = ${customerId}::uuid
          AND o.created_at >= date_trunc('day', app.now()) - make_interval(days => ${count - 1}::int)
      ), found AS (
        SELECT r.day, s.rung, count(*)::int AS steps FROM run r
        JOIN operation_steps s ON s.customer_id = ${customerId}::uuid AND s.operation_id = r.id
        WHERE s.rung IN ('replayed', 'relocated', 'model', 'human') GROUP BY 1, 2
      )
      SELECT d.day,
        count(r.id) FILTER (WHERE r.status = 'completed')::int AS completed,
        count(r.id) FILTER (WHERE r.status IN ('failed', 'expired'))::int AS failed,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY r.ms) FILTER (WHERE r.status = 'completed') AS "medianMs",
        percentile_cont(0.95) WITHIN GROUP (ORDER BY r.ms) FILTER (WHERE r.status = 'completed') AS "p95Ms",
        coalesce((SELECT steps FROM found f WHERE f.day = d.day AND f.rung = 'replayed'), 0) AS replayed,
        coalesce((SELECT steps FROM found f WHERE f.day = d.day AND f.rung = 'relocated'), 0) AS relocated,
        coalesce((SELECT steps FROM found f WHERE f.day = d.day AND f.rung = 'model'), 0) AS model,
        coalesce((SELECT steps FROM found f WHERE f.day = d.day AND f.rung = 'human'), 0) AS human
      FROM day d LEFT JOIN run r ON r.day = d.day GROUP BY d.day ORDER BY d.day`,
  );
}

/** How often a step of a workflow was done and failed, over the newest operations of the customer. */
export interface StepSuccess {
  readonly workflowId: string;
  readonly step: number;
  readonly done: number;
  readonly failed: number;
  readonly medianMs: number | null;
}

const successes = z.array(
  z.object({ workflowId: z.string(), step: z.int(), done: z.int(), failed: z.int(), medianMs: z.number().nullable() }),
);

export async function stepSuccess(tx: Transaction, customerId: CustomerId): Promise<readonly StepSuccess[]> {
  return successes.parse(
    await tx.$queryRaw`
      WITH latest AS (
        SELECT id, workflow_id FROM autonomous_operations WHERE customer_id = ${customerId}::uuid
        ORDER BY created_at DESC, id DESC LIMIT ${LOOKED_AT}
      )
      SELECT l.workflow_id AS "workflowId", a.step_number AS step, count(*) FILTER (WHERE a.success)::int AS done,
        count(*) FILTER (WHERE NOT a.success)::int AS failed,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY a.duration_ms) FILTER (WHERE a.success) AS "medianMs"
      FROM latest l JOIN autonomous_operations_audit a ON a.customer_id = ${customerId}::uuid AND a.operation_id = l.id
      WHERE a.step_number IS NOT NULL AND a.success IS NOT NULL
      GROUP BY 1, 2 ORDER BY 1, 2`,
  );
}
