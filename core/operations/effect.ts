import type { OperationIntent } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Secret } from '../secret.ts';
import type { StoredCredential, Vault } from '../vault/vault.ts';
import { lock } from './lease.ts';
import type { Operation } from './operation.ts';
import { keyLabel } from './plan.ts';
import { operationResult, unproven } from './result.ts';

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

/**
 * How long after its step's time-out an intent may still come true: 30 s for its own transaction, which dates it by its
 * beginning; 5 s that its worker may act upon what it last saw, and 2 s for the click; the rest for the vendor's side.
 */
const LATE_MS = 40_000;

/** From when on, by the database's clock, a label that nobody sees is one that nobody will make. */
export function absentFrom(intent: Pick<OperationIntent, 'startedAt'>, stepTimeoutMs: number): Date {
  return new Date(intent.startedAt.getTime() + stepTimeoutMs + LATE_MS);
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

/**
 * Dates an open intent anew, under whoever goes on with it: from now on it may come true, and not from when the page was
 * clicked first. @returns false when there is none.
 */
export async function renewIntent(
  tx: Transaction,
  audit: Audit,
  operation: Operation,
  step: number,
  label: string,
  fence: bigint,
): Promise<boolean> {
  const { customerId, id: operationId } = operation;
  const { count } = await tx.operationIntent.updateMany({
    where: { customerId, operationId, step, label, state: 'started' },
    data: { attempt: fence, startedAt: await databaseNow(tx) },
  });
  if (count === 0) return false;
  const payload = { label, step, again: true };
  await audit.append(tx, customerId, { kind: 'intent.written', operationId, attempt: fence, payload });
  return true;
}

/** Settles an intent that a crash left open; as `absent` only by what was read after `absentFrom`. */
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
  const place = { target: plan.base };
  await vault.hold(customerId, service.id, type.credentialType, place);
  const earlier = await vault.find(customerId, service.id, type.credentialType, place);
  const stored = await vault.store(customerId, service.id, type.credentialType, {
    ...place,
    value: kept.fields,
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
  // The other operation's row before the chain's head: whoever ends that operation takes them in this order, too.
  const replaced = earlier && (await markReplaced(tx, customerId, earlier, operationId));
  await deps.audit.append(tx, customerId, {
    kind: 'credential.stored',
    operationId,
    attempt: kept.fence,
    payload: { credentialId: stored.id, label: kept.label, replaced: earlier?.metadata.label ?? null },
  });
  if (earlier && replaced)
    await deps.audit.append(tx, customerId, {
      kind: 'credential.deleted',
      operationId: replaced,
      payload: { credentialId: earlier.id, replacedBy: operationId },
    });
  return stored;
}

/** The earlier operation says that its key has left the vault; the service goes on knowing it. @returns its id. */
async function markReplaced(
  tx: Transaction,
  customerId: CustomerId,
  earlier: StoredCredential,
  by: OperationId,
): Promise<OperationId | undefined> {
  const id = parseOperationId(earlier.metadata.operationId ?? '');
  if (!id || id === by) return undefined;
  await lock(tx, customerId, id);
  const row = await tx.operation.findUnique({ where: { customerId_id: { customerId, id } }, select: { result: true } });
  if (!row) return undefined;
  const { success, data } = operationResult.safeParse(row.result).data ?? unproven(earlier);
  await tx.operation.update({
    where: { customerId_id: { customerId, id } },
    data: { result: { success, data: { ...data, replacedBy: by } } },
  });
  return id;
}
