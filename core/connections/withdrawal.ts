import type { Transaction } from '../database.ts';
import type { OperationId } from '../ids.ts';
import { lock } from '../operations/locked.ts';
import type { Mover } from '../operations/move.ts';
import { type RepairCause, readPlan } from '../operations/plan.ts';
import type { ConnectionPlace } from './place.ts';

/** The error code of a question for a repair that the program itself took back. */
export const RECOVERED = 'recovered';

/** What is over as soon as the key works. */
const TROUBLES: readonly RepairCause[] = ['broken', 'expired'];

/** The key works: whoever is still asked for a repair of it is asked no more. Called before the chain is appended to. */
export async function withdrawQuestions(
  tx: Transaction,
  { mover }: { readonly mover: Mover },
  { customerId, service, target }: ConnectionPlace,
): Promise<void> {
  const asked = await tx.operation.findMany({
    where: { customerId, service, target, status: 'awaiting_consent', plan: { contains: '"repair":' } },
    select: { id: true, plan: true },
    orderBy: { id: 'asc' },
  });
  for (const { id, plan } of asked) {
    const cause = readPlan(plan).repair?.cause;
    if (cause === undefined || !TROUBLES.includes(cause)) continue;
    const operationId = id as OperationId; // an operation's own id
    await lock(tx, customerId, operationId);
    const why = 'The key works again, so nothing has to be repaired.';
    await mover.move(tx, customerId, {
      ...{ operationId, from: ['awaiting_consent'], to: 'cancelled' },
      set: { errorCode: RECOVERED, errorMessage: why },
      entry: { kind: 'operation.cancelled', payload: { why } },
    });
  }
}
