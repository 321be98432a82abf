import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { putFirst } from '../queue/jobs.ts';

/**
 * Whether one more operation of the customer may be under way, in whatever process: exact, for whoever asks holds the
 * customer's row until the move that follows is committed. Waiting for a person takes no place. Where there is none, what
 * holds the places goes before the customer's other jobs: one whose worker was lost would else wait behind all those that
 * wait for its place.
 */
export async function hasPlace(tx: Transaction, customerId: CustomerId, most: number): Promise<boolean> {
  await tx.$executeRaw`SELECT 1 FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
  const running = await tx.operation.findMany({
    where: { customerId, status: 'in_progress' },
    select: { jobId: true },
  });
  if (running.length < most) return true;
  const jobs = running.flatMap(({ jobId }) => jobId ?? []);
  await putFirst(tx, customerId, jobs);
  return false;
}
