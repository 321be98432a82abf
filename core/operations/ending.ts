import type { Proof } from '../agent/engine.ts';
import type { Failure } from '../agent/failures.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import { quoted } from '../plain-text.ts';
import type { OperationJob } from '../queue/queues.ts';
import type { VerifyResult } from '../services/service.ts';
import { MACHINE_MS, machineMsAt } from './execution.ts';
import { keptKeyOf } from './kept-key.ts';
import type { Lease } from './lease.ts';
import { lockedOperation } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import type { OperationResult } from './result.ts';
import { deleteKeyOf, type RevocationDeps } from './revocation.ts';
import type { RunSecrets } from './run-secrets.ts';
import type { OperationState } from './states.ts';

export interface EndingDeps extends RevocationDeps {
  readonly database: Database;
  readonly mover: Mover;
}

/** How a run ended; `stopped`: its countersignature no longer covers it; `overtime`: its machine time is over. */
export type Ending =
  | {
      readonly kind: 'completed';
      /** What showed that the key works; absent: nobody looked. */
      readonly verified?: VerifyResult;
      /** What showed that the earlier key has ended. */
      readonly ended?: Proof;
    }
  | {
      readonly kind: 'failed';
      readonly code:
        | Failure
        | 'unanswered'
        | 'effect_unsure'
        | 'workflow_changed'
        | 'key_changed'
        | 'internal'
        | 'given_up';
      readonly words: string;
    }
  | { readonly kind: 'stopped'; readonly code?: 'consent' | 'not_vouched'; readonly words: string }
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
    // Locked, so that what is read of its result is what is written back.
    const operation = await lockedOperation(tx, deps.operations, customerId, id);
    if (!operation) return;
    if ('jobId' in held && !(await isJobOf(tx, operation, held.jobId))) return;
    // Under its lock: what follows is written only with the move.
    if (!FROM.includes(operation.state) || operation.fence !== (held.fence ?? operation.fence)) return;
    const move = await moveFor(tx, deps, operation, withoutSecrets(ending, secrets));
    const fence = held.fence === undefined ? {} : { fence: held.fence };
    await deps.mover.move(tx, customerId, { operationId: id, from: FROM, ...fence, ...move });
  });
}

const FROM: readonly OperationState[] = ['queued', 'in_progress'];

function withoutSecrets(ending: Ending, secrets: Pick<RunSecrets, 'hideIn'>): Ending {
  if (ending.kind === 'overtime') return ending;
  if (ending.kind !== 'completed') return { ...ending, words: secrets.hideIn(ending.words) };
  const { verified } = ending;
  if (verified === undefined) return ending;
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
      set: { errorCode: ending.code ?? 'consent', errorMessage: ending.words },
      entry: { kind: 'operation.cancelled' as const, attempt, success: false, payload: { why: ending.words } },
    };
  if (ending.kind === 'overtime') return failedMove(attempt, 'overtime', overtimeWords(operation));
  if (ending.kind === 'failed') return failedMove(attempt, ending.code, ending.words);
  const proven = provenBy(operation, ending);
  if (proven.kind === 'fails') return failedMove(attempt, 'verification_failed', proven.reason);
  if (operation.type.type === 'credential_revocation') await deleteRevoked(tx, deps, operation);
  const result = await resultOf(tx, deps, operation, proven);
  return {
    to: 'completed' as const,
    set: { result },
    entry: {
      kind: 'operation.completed' as const,
      attempt,
      success: true,
      durationMs: result.data.durationMs,
      payload: { checked: proven.checked, method: proven.method },
    },
  };
}

/** In the transaction that says that it has ended, at the word of whoever countersigned that. */
async function deleteRevoked(tx: Transaction, deps: EndingDeps, operation: Operation): Promise<void> {
  const { customerId, plan, grant, requester, service, type } = operation;
  const id = parseOperationId(plan.key?.operationId ?? '');
  if (!id) return;
  const by = grant?.approver ?? requester;
  if (await deleteKeyOf(tx, deps, { customerId, id }, by)) return;
  const kept = await keptKeyOf(tx, customerId, { service, type, base: plan.base }, id);
  if (!kept) return;
  const { operationId } = kept;
  await deps.vault.within(tx).delete(customerId, service.id, type.credentialType, { target: plan.base, operationId });
  const payload = { why: 'the key that it replaced has ended' };
  await deps.audit.append(tx, customerId, { kind: 'credential.deleted', operationId, actor: by.id, payload });
}

interface Proven {
  readonly kind: 'works';
  readonly checked: string;
  readonly method: string;
  /** What became of the earlier key. */
  readonly ended?: string;
}

/** What an operation has to show for itself: that its key works or, of a revocation, that the key has ended. */
function provenBy({ type, service }: Operation, { verified, ended }: Ending & { kind: 'completed' }) {
  const side = service.side ?? 'the shop';
  const words =
    ended === undefined
      ? undefined
      : ended.refusedWith === undefined
        ? `It is not in ${side}’s list any more`
        : `${side.charAt(0).toUpperCase()}${side.slice(1)} no longer takes it: ${ended.refusedWith}`;
  const unchecked = { kind: 'fails', reason: 'The key was not checked', isRetryable: false } as const;
  if (type.type !== 'credential_revocation') {
    const found = verified ?? unchecked;
    return found.kind === 'works' && words !== undefined ? ({ ...found, ended: words } satisfies Proven) : found;
  }
  if (words === undefined) return unchecked;
  const method = ended?.refusedWith === undefined ? 'its own list of keys' : 'the reading call that it took before';
  return { kind: 'works', checked: words, method } satisfies Proven;
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
  { checked, method, ended }: Proven,
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
      lastFour: (stored?.metadata.lastFour ?? operation.result?.data.lastFour ?? operation.plan.key?.lastFour) || null,
      checked,
      method,
      ...(stored?.metadata.replaced ? { replaced: stored.metadata.replaced } : {}),
      ...(ended ? { ended } : {}),
      ...(replacedBy ? { replacedBy } : {}),
      ...(revokedAt ? { revokedAt } : {}),
      steps: operation.steps.filter((step) => step.state === 'done').length,
      durationMs: machineMsAt(operation.execution, now),
    },
  };
}
