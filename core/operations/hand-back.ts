import type { Operation as OperationRow } from '../../prisma/generated/client.ts';
import type { Transaction } from '../database.ts';
import type { Log } from '../ports/log.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { WorkflowRegistry } from '../workflow/registry.ts';
import { readExecution } from './execution.ts';
import type { Mover } from './move.ts';

export interface HandBackDeps {
  readonly mover: Mover;
  readonly queue: Queue;
  readonly workflows: WorkflowRegistry;
  readonly log: Log;
}

const AGAIN_SECONDS = 10;
/** Ten minutes: a deploy that goes round one machine after the other is over by then. */
const MOST_TIMES = 60;

/**
 * While two versions run side by side, a worker of the older one may be given what a newer one has planned: it leaves it to
 * a worker that knows the way, and only when none comes does the operation end. What it knows in a newer version itself is
 * for the run to judge. The row is locked. @returns whether the job is over.
 */
export async function leftToOthers(
  tx: Transaction,
  deps: HandBackDeps,
  job: OperationJob,
  row: OperationRow,
): Promise<boolean> {
  const { customerId, operationId } = job;
  if (row.status !== 'queued' && row.status !== 'in_progress') return false; // nobody's to run
  const known = deps.workflows.get(row.workflowId)?.version ?? 0;
  if (known >= row.workflowVersion) return false;
  const execution = readExecution(row.executionMetadata);
  const left = execution.left + 1;
  if (left > MOST_TIMES) {
    await deps.mover.move(tx, customerId, { operationId, from: ['queued', 'in_progress'], ...unknownWay(row) });
    return true;
  }
  const jobId = await deps.queue.sendOperation(tx, job, { urgency: 'again', afterSeconds: AGAIN_SECONDS });
  const where = { customerId_id: { customerId, id: operationId } };
  await tx.operation.update({ where, data: { jobId, executionMetadata: { ...execution, left } } });
  const { workflowId: workflow, workflowVersion: wanted } = row;
  deps.log.warn({ operationId, workflow, wanted, known, left }, 'an operation of a newer version is left to others');
  return true;
}

function unknownWay({ fence, workflowVersion }: { fence: bigint; workflowVersion: number }) {
  const why = `It was approved for version ${workflowVersion} of the way to do this, and no worker that knows it has come forward. Ask again once the update of this installation is over.`;
  return {
    fence,
    to: 'failed',
    set: { errorCode: 'workflow_changed', errorMessage: why },
    entry: { kind: 'operation.failed', success: false, payload: { code: 'workflow_changed', why } },
  } as const;
}
