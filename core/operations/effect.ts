import type { OperationIntent } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Secret } from '../secret.ts';
import type { StoredCredential, Vault } from '../vault/vault.ts';
import type { Operation } from './operation.ts';
import { keyLabel } from './plan.ts';
import { operationResult } from './result.ts';

/**
 * One effect. Creating a key is not idempotent: before the click the intent is committed with a unique label that
 * becomes the key's name; after a crash the label is looked for, and nothing is clicked again on a guess.
 */
export type EffectState =
  /** Nothing was begun: this label may be used. */
  | { readonly kind: 'fresh'; readonly label: string; readonly attempt: number }
  /** The result lies in the vault. */
  | { readonly kind: 'done' }
  /** Begun and never settled: look for the label before anything else. */
  | { readonly kind: 'uncertain'; readonly intent: OperationIntent };

/** Reads where the operation's effect stands. */
export async function effectState(tx: Transaction, operation: Operation): Promise<EffectState> {
  const { customerId, id } = operation;
  const intents = await tx.operationIntent.findMany({
    where: { customerId, operationId: id },
    orderBy: { startedAt: 'asc' },
  });
  if (intents.some((intent) => intent.state === 'done')) return { kind: 'done' };
  const open = intents.find((intent) => intent.state === 'started' || intent.state === 'uncertain');
  if (open) return { kind: 'uncertain', intent: open };
  const attempt = intents.length + 1;
  return { kind: 'fresh', label: keyLabel(operation.id, attempt), attempt };
}

export async function writeIntent(
  tx: Transaction,
  audit: Audit,
  operation: Operation,
  step: number,
  label: string,
  fence: bigint,
): Promise<void> {
  const { customerId, id: operationId } = operation;
  await tx.operationIntent.create({ data: { customerId, operationId, step, attempt: fence, label, state: 'started' } });
  await audit.append(tx, customerId, { kind: 'intent.written', operationId, attempt: fence, payload: { label, step } });
}

/** Settles an intent that a crash left open. */
export async function settleIntent(
  tx: Transaction,
  audit: Audit,
  intent: OperationIntent,
  operation: Operation,
  state: 'absent' | 'uncertain',
): Promise<void> {
  const { customerId, operationId, step, attempt } = intent;
  await tx.operationIntent.update({
    where: { customerId_operationId_step_attempt: { customerId, operationId, step, attempt } },
    data: { state, settledAt: await databaseNow(tx) },
  });
  await audit.append(tx, operation.customerId, {
    kind: 'intent.settled',
    operationId: operation.id,
    payload: { label: intent.label, found: state },
  });
}

/** The new secret into the vault and the end of its intent: one transaction. */
export async function keepResult(
  tx: Transaction,
  deps: { audit: Audit; vault: Vault },
  operation: Operation,
  kept: { step: number; fence: bigint; label: string; fields: Readonly<Record<string, Secret>> },
): Promise<StoredCredential> {
  const { customerId, id: operationId, type, service, plan } = operation;
  const vault = deps.vault.within(tx);
  const lastFour = Object.values(kept.fields)[0]?.lastFour() ?? '';
  const earlier = await vault.find(customerId, service.id, type.credentialType, { target: plan.base });
  const stored = await vault.store(customerId, service.id, type.credentialType, {
    value: kept.fields,
    target: plan.base,
    metadata: {
      operationId,
      label: kept.label,
      lastFour,
      ...(earlier?.metadata.label ? { replaced: earlier.metadata.label } : {}),
    },
  });
  await tx.operationIntent.updateMany({
    where: { customerId, operationId, step: kept.step, attempt: kept.fence },
    data: { state: 'done', settledAt: await databaseNow(tx) },
  });
  await deps.audit.append(tx, customerId, {
    kind: 'credential.stored',
    operationId,
    attempt: kept.fence,
    payload: { credentialId: stored.id, label: kept.label, replaced: earlier?.metadata.label ?? null },
  });
  if (earlier) await noteReplaced(tx, deps.audit, customerId, earlier, operationId);
  return stored;
}

/** The earlier operation's thread says that its key has left the vault; the service goes on knowing it. */
async function noteReplaced(
  tx: Transaction,
  audit: Audit,
  customerId: CustomerId,
  earlier: StoredCredential,
  by: OperationId,
): Promise<void> {
  const id = parseOperationId(earlier.metadata.operationId ?? '');
  const row = id && (await tx.operation.findUnique({ where: { customerId_id: { customerId, id } } }));
  if (!row) return;
  const result = operationResult.safeParse(row.result).data;
  if (result)
    await tx.operation.update({
      where: { customerId_id: { customerId, id } },
      data: { result: { ...result, data: { ...result.data, replacedBy: by } } },
    });
  await audit.append(tx, customerId, {
    kind: 'credential.deleted',
    operationId: id,
    payload: { credentialId: earlier.id, replacedBy: by },
  });
}
