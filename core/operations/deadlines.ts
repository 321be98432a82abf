import { type Database, databaseNow } from '../database.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { Mover } from './move.ts';
import type { Operations } from './operations.ts';

/** Looks at one operation when a deadline of it has come, and ends it when nobody answered in time. */
export function createDeadlines(deps: {
  database: Database;
  operations: Operations;
  mover: Mover;
}): (job: OperationJob) => Promise<void> {
  return ({ customerId, operationId }) =>
    deps.database.withCustomer(customerId, async (tx) => {
      const operation = await deps.operations.get(tx, customerId, operationId);
      if (!operation) return;
      const now = await databaseNow(tx);
      const { request, grant } = operation;
      const isUnanswered = operation.state === 'awaiting_consent' && request !== null && request.expiresAt <= now;
      const isUnentered =
        operation.state === 'awaiting_credentials' && grant?.expiresAt != null && grant.expiresAt <= now;
      if (!isUnanswered && !isUnentered) return;
      const why = isUnanswered ? 'Nobody approved it in time' : 'The sign-in was not entered in time';
      const entry = { kind: 'operation.expired', payload: { why } } as const;
      await deps.mover.move(tx, customerId, {
        operationId,
        from: [operation.state],
        fence: operation.fence,
        to: 'expired',
        set: { errorMessage: why },
        entry,
      });
    });
}
