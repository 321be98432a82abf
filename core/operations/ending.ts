import type { Failure } from '../agent/failures.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import type { VerifyResult } from '../services/service.ts';
import type { Vault } from '../vault/vault.ts';
import type { Lease } from './lease.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { Operations } from './operations.ts';
import type { OperationResult } from './result.ts';

export interface EndingDeps {
  readonly database: Database;
  readonly mover: Mover;
  readonly operations: Operations;
  readonly vault: Vault;
}

/** How a run ended; `stopped`: its countersignature no longer covers it. */
export type Ending =
  | { readonly kind: 'completed'; readonly verified: VerifyResult }
  | {
      readonly kind: 'failed';
      readonly code: Failure | 'effect_unsure' | 'workflow_changed' | 'internal';
      readonly words: string;
    }
  | { readonly kind: 'stopped'; readonly words: string };

type Held =
  | Pick<Lease, 'operation' | 'fence'>
  | { readonly customerId: CustomerId; readonly operationId: OperationId; readonly fence: bigint | undefined };

/** Moves the operation to the end that says the truth; does nothing when somebody else has moved it since. */
export async function endOperation(deps: EndingDeps, held: Held, ending: Ending): Promise<void> {
  const { customerId, id } =
    'operation' in held ? held.operation : { customerId: held.customerId, id: held.operationId };
  await deps.database.withCustomer(customerId, async (tx) => {
    const operation = await deps.operations.get(tx, customerId, id);
    if (!operation) return;
    const move = await moveFor(tx, deps, operation, ending);
    const fence = held.fence === undefined ? {} : { fence: held.fence };
    await deps.mover.move(tx, customerId, { operationId: id, from: ['queued', 'in_progress'], ...fence, ...move });
  });
}

async function moveFor(tx: Transaction, deps: EndingDeps, operation: Operation, ending: Ending) {
  const attempt = operation.fence;
  if (ending.kind === 'stopped')
    return {
      to: 'cancelled' as const,
      set: { errorCode: 'consent', errorMessage: ending.words },
      entry: { kind: 'operation.cancelled' as const, attempt, success: false, payload: { why: ending.words } },
    };
  const code = ending.kind === 'failed' ? ending.code : 'verification_failed';
  const words =
    ending.kind === 'failed' ? ending.words : ending.verified.kind === 'fails' ? ending.verified.reason : '';
  if (ending.kind === 'failed' || ending.verified.kind === 'fails')
    return {
      to: 'failed' as const,
      set: { errorCode: code, errorMessage: words },
      entry: { kind: 'operation.failed' as const, attempt, success: false, payload: { code, why: words } },
    };
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

async function resultOf(
  tx: Transaction,
  deps: EndingDeps,
  operation: Operation,
  checked: string,
  method: string,
): Promise<OperationResult> {
  const stored = await deps.vault.within(tx).resultOf(operation.customerId, operation.id);
  const now = await databaseNow(tx);
  return {
    success: true,
    data: {
      credentialId: stored?.id ?? '',
      label: stored?.metadata.label ?? operation.plan.label,
      lastFour: stored?.metadata.lastFour || null,
      checked,
      method,
      ...(stored?.metadata.replaced ? { replaced: stored.metadata.replaced } : {}),
      steps: operation.steps.filter((step) => step.state === 'done').length,
      durationMs: now.getTime() - (operation.startedAt ?? now).getTime(),
    },
  };
}
