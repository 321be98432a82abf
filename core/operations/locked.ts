import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';

/**
 * Until the transaction ends, nobody else decides on the operation or takes it over: they wait, and then see what was written.
 * Not FOR UPDATE: an append holds the chain's head while its foreign key looks at this row, and whoever locked the row waits
 * for that head next.
 */
export async function lock(tx: Transaction, customerId: CustomerId, id: string): Promise<void> {
  await tx.$executeRaw`SELECT 1 FROM autonomous_operations WHERE customer_id = ${customerId}::uuid AND id = ${id} FOR NO KEY UPDATE`;
}

/** The operation as it is from then on. `undefined`: the customer has no such operation. */
export async function lockedOperation(
  tx: Transaction,
  operations: Pick<Operations, 'get'>,
  customerId: CustomerId,
  id: string,
): Promise<Operation | undefined> {
  await lock(tx, customerId, id);
  return operations.get(tx, customerId, id);
}
