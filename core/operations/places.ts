import type { Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';

/**
 * Whether one more operation of the customer may be under way, in whatever process: exact, for whoever asks holds the
 * customer's row until the move that follows is committed. Waiting for a person takes no place.
 * @throws CountersignError `customer_busy` (retryable): the queue puts the job back.
 */
export async function requirePlace(tx: Transaction, customerId: CustomerId, most: number): Promise<void> {
  await tx.$executeRaw`SELECT 1 FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
  const running = await tx.operation.count({ where: { customerId, status: 'in_progress' } });
  if (running >= most)
    throw new CountersignError('customer_busy', `The customer has ${running} operations under way.`, {
      isRetryable: true,
    });
}
