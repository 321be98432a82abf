import type { Database } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { newUuid } from '../ids.ts';
import type { StepModel } from './stage.ts';

/** In US dollars. */
export interface ModelLimits {
  readonly perOperationUsd: number;
  /** Of a customer, in the month that the database's clock shows, UTC. */
  readonly perMonthUsd: number;
}

const MICROS = 1_000_000;

/**
 * A step's share of its customer's budget: the most that a request may cost is taken before it is sent, and what it did
 * cost takes its place afterwards. A request whose end nobody saw counts as the most.
 */
export function stepBudget(
  database: Database,
  { perOperationUsd, perMonthUsd }: ModelLimits,
  { customerId, operationId, step }: { customerId: CustomerId; operationId: OperationId; step: number },
): StepModel['reserve'] {
  return async (usd) => {
    const id = newUuid();
    const reservedMicros = BigInt(Math.ceil(usd * MICROS));
    await database.withCustomer(customerId, async (tx) => {
      // One at a time: two operations of a customer would each see room for themselves alone.
      const [customer] = await tx.$queryRaw<{ allows_model: boolean }[]>`
        SELECT allows_model FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
      if (!customer?.allows_model) throw spent('The customer has switched the model off.');
      await tx.modelCall.create({ data: { customerId, id, operationId, step, reservedMicros } });
      const [sums] = await tx.$queryRaw<{ operation: bigint; month: bigint }[]>`
        SELECT coalesce(sum(coalesce(spent_micros, reserved_micros)) FILTER (WHERE operation_id = ${operationId}), 0)::bigint AS operation,
          coalesce(sum(coalesce(spent_micros, reserved_micros)) FILTER (WHERE created_at >= date_trunc('month', app.now(), 'UTC')), 0)::bigint AS month
        FROM model_calls WHERE customer_id = ${customerId}::uuid
          AND (operation_id = ${operationId} OR created_at >= date_trunc('month', app.now(), 'UTC'))`;
      if (Number(sums?.operation) > perOperationUsd * MICROS) throw spent('The operation has spent its model budget.');
      if (Number(sums?.month) > perMonthUsd * MICROS) throw spent('The customer has spent this month’s model budget.');
    });
    return {
      async settle(real) {
        const spentMicros = BigInt(Math.ceil(real * MICROS));
        await database.withCustomer(customerId, (tx) =>
          tx.modelCall.updateMany({ where: { customerId, id }, data: { spentMicros } }),
        );
      },
    };
  };
}

function spent(message: string): CountersignError {
  return new CountersignError('model_budget_spent', message);
}
