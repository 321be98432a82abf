import type { Failure } from '../agent/failures.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import { quoted } from '../plain-text.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { VerifyResult } from '../services/service.ts';
import type { Vault } from '../vault/vault.ts';
import { MACHINE_MS, machineMsAt } from './execution.ts';
import { type Lease, lock } from './lease.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import type { OperationResult } from './result.ts';
import type { RunSecrets } from './run-secrets.ts';

export interface EndingDeps {
  readonly database: Database;
  readonly mover: Mover;
  readonly operations: Operations;
  readonly vault: Vault;
}

/** How a run ended; `stopped`: its countersignature no longer covers it; `overtime`: its machine time is over. */
export type Ending =
  | { readonly kind: 'completed'; readonly verified: VerifyResult }
  | {
      readonly kind: 'failed';
      readonly code: Failure | 'unanswered' | 'effect_unsure' | 'workflow_changed' | 'internal' | 'given_up';
      readonly words: string;
    }
  | { readonly kind: 'stopped'; readonly words: string }
  | { readonly kind: 'overtime' };

type Held =
  | Pick<Lease, 'operation' | 'fence'>
  | {
      readonly customerId: CustomerId;
      readonly operationId: OperationId;
      readonly fence: bigint | undefined;
      /** Only while this is the operation's job. */
      readonly jobId?: string;
    };

/**
 * Moves the operation to the end that says the truth, in words without any of the run's secrets; does nothing when somebody
 * else has moved it since.
 */
export async function endOperation(
  deps: EndingDeps,
  held: Held,
  ending: Ending,
  secrets: Pick<RunSecrets, 'hideIn'>,
): Promise<void> {
  const { customerId, id } =
    'operation' in held ? held.operation : { customerId: held.customerId, id: held.operationId };
  await deps.database.withCustomer(customerId, async (tx) => {
    await lock(tx, customerId, id); // so that what is read of its result is what is written back
    const operation = await deps.operations.get(tx, customerId, id);
    if (!operation) return;
    if ('jobId' in held && !(await isJobOf(tx, operation, held.jobId))) return;
    const move = await moveFor(tx, deps, operation, withoutSecrets(ending, secrets));
    const fence = held.fence === undefined ? {} : { fence: held.fence };
    await deps.mover.move(tx, customerId, { operationId: id, from: ['queued', 'in_progress'], ...fence, ...move });
  });
}

function withoutSecrets(ending: Ending, secrets: Pick<RunSecrets, 'hideIn'>): Ending {
  if (ending.kind === 'overtime') return ending;
  if (ending.kind !== 'completed') return { ...ending, words: secrets.hideIn(ending.words) };
  const { verified } = ending;
  if (verified.kind === 'fails')
    return { ...ending, verified: { ...verified, reason: secrets.hideIn(verified.reason) } };
  const { checked, method } = secrets.hideIn({ checked: verified.checked, method: verified.method });
  return { ...ending, verified: { ...verified, checked, method } };
}

/** Words of our own, about no run in particular. */
const OURS: Pick<RunSecrets, 'hideIn'> = { hideIn: (value) => value };

/** The queue has given the job up after its last retry: the operation that it leaves behind ends, and says so. */
export function endGivenUp(deps: EndingDeps, job: OperationJob, jobId: string): Promise<void> {
  const words =
    'It was begun again and again, and each time it was interrupted or something that it needs was away. It is not tried any more.';
  return endOperation(deps, { ...job, fence: undefined, jobId }, { kind: 'failed', code: 'given_up', words }, OURS);
}

async function isJobOf(tx: Transaction, { customerId, id }: Operation, jobId: string | undefined): Promise<boolean> {
  return (await tx.operation.count({ where: { customerId, id, jobId: jobId ?? null } })) === 1;
}

async function moveFor(tx: Transaction, deps: EndingDeps, operation: Operation, ending: Ending) {
  const attempt = operation.fence;
  if (ending.kind === 'stopped')
    return {
      to: 'cancelled' as const,
      set: { errorCode: 'consent', errorMessage: ending.words },
      entry: { kind: 'operation.cancelled' as const, attempt, success: false, payload: { why: ending.words } },
    };
  if (ending.kind === 'overtime') return failedMove(attempt, 'overtime', overtimeWords(operation));
  const code = ending.kind === 'failed' ? ending.code : 'verification_failed';
  const words =
    ending.kind === 'failed' ? ending.words : ending.verified.kind === 'fails' ? ending.verified.reason : '';
  if (ending.kind === 'failed' || ending.verified.kind === 'fails') return failedMove(attempt, code, words);
  const result = await resultOf(tx, deps, operation, ending.verified.checked, ending.verified.method);
  return {
    to: 'completed' as const,
    set: { result },
    entry: {
      kind: 'operation.completed' as const,
      attempt,
      success: true,
      durationMs: result.data.durationMs,
      payload: { checked: ending.verified.checked, method: ending.verified.method },
    },
  };
}

function failedMove(attempt: bigint, code: string, words: string) {
  return {
    to: 'failed' as const,
    set: { errorCode: code, errorMessage: words },
    entry: { kind: 'operation.failed' as const, attempt, success: false, payload: { code, why: words } },
  };
}

/** What was done and what was not; of a key that was made or may have been, the thread's card says where it is. */
function overtimeWords({ steps, intent }: Operation): string {
  const done = steps.filter(({ state }) => state === 'done').length;
  const next = steps.find(({ state }) => state !== 'done');
  const rest = next ? `; step ${next.number}, ${quoted(next.intent)}, and what comes after it were not` : '';
  const key = intent === null || intent.state === 'absent' ? ' No key was made.' : '';
  const minutes = MACHINE_MS / 60_000;
  return `It was worked on for ${minutes} minutes, which is the most for one operation, without coming to its end. ${done} of ${steps.length} steps were done${rest}.${key}`;
}

async function resultOf(
  tx: Transaction,
  deps: EndingDeps,
  operation: Operation,
  checked: string,
  method: string,
): Promise<OperationResult> {
  const stored = await deps.vault.within(tx).resultOf(operation.customerId, operation.id);
  // What was said of its key while it still ran: another one took its place, or somebody revoked it.
  const { replacedBy, revokedAt } = operation.result?.data ?? {};
  const now = await databaseNow(tx);
  return {
    success: true,
    data: {
      credentialId: stored?.id ?? operation.result?.data.credentialId ?? '',
      label: stored?.metadata.label ?? operation.intent?.label ?? operation.plan.label,
      lastFour: (stored?.metadata.lastFour ?? operation.result?.data.lastFour) || null,
      checked,
      method,
      ...(stored?.metadata.replaced ? { replaced: stored.metadata.replaced } : {}),
      ...(replacedBy ? { replacedBy } : {}),
      ...(revokedAt ? { revokedAt } : {}),
      steps: operation.steps.filter((step) => step.state === 'done').length,
      durationMs: machineMsAt(operation.execution, now),
    },
  };
}
