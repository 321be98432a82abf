import type { OperationIntent } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Secret } from '../secret.ts';
import { KEPT_TO_END } from '../vault/credential.ts';
import type { StoredCredential, Vault } from '../vault/vault.ts';
import { besidePlace } from './entered.ts';
import type { PlanKey } from './key.ts';
import { lock } from './locked.ts';
import type { Operation } from './operation.ts';
import { keyLabel } from './plan.ts';
import { operationResult, unproven } from './result.ts';
import { isEnd, parseState } from './states.ts';

/**
 * One effect. Creating a key is not idempotent: before the click the intent is committed with a unique label that
 * becomes the key's name; after a crash the label is looked for, and nothing is clicked again on a guess.
 */
export type EffectState =
  /** Nothing was begun: this label may be used. */
  | { readonly kind: 'fresh'; readonly label: string; readonly attempt: number }
  /** The result lies in the vault, under this name at the vendor's. */
  | { readonly kind: 'done'; readonly label: string }
  /** Begun and never settled: look for the label before anything else. */
  | { readonly kind: 'uncertain'; readonly intent: OperationIntent };

/** Reads where the operation's effect stands. */
export async function effectState(tx: Transaction, operation: Operation): Promise<EffectState> {
  const { customerId, id } = operation;
  const intents = await tx.operationIntent.findMany({
    where: { customerId, operationId: id },
    orderBy: { startedAt: 'asc' },
  });
  const done = intents.find((intent) => intent.state === 'done');
  if (done) return { kind: 'done', label: done.label };
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

interface EffectDeps {
  readonly audit: Audit;
  readonly vault: Vault;
}

interface Kept {
  readonly step: number;
  readonly fence: bigint;
  readonly label: string;
  readonly fields: Readonly<Record<string, Secret>>;
}

/** The new secret into the vault and the end of its intent: one transaction. */
export async function keepResult(
  tx: Transaction,
  deps: EffectDeps,
  operation: Operation,
  kept: Kept,
): Promise<StoredCredential> {
  const { customerId, type, service, plan } = operation;
  const vault = deps.vault.within(tx);
  const place = { target: plan.base };
  await vault.hold(customerId, service.id, type.credentialType, place);
  const earlier = await vault.find(customerId, service.id, type.credentialType, place);
  const stored = await vault.store(customerId, service.id, type.credentialType, {
    ...place,
    value: kept.fields,
    metadata: {
      ...metadataOf(operation, kept),
      ...(earlier?.metadata.label ? { replaced: earlier.metadata.label } : {}),
    },
  });
  await intentDone(tx, operation, kept);
  const what = { kind: 'credential.stored', isInUse: true, fence: kept.fence, stored, earlier } as const;
  await recordStored(tx, deps, operation, what);
  return stored;
}

/**
 * The same of a rotation: the new secret lies beside the stored one, which stays what is used, until `takePlace`. Of one that was
 * stopped meanwhile nothing lies there any more, and nothing is put there: the key lives on in the service, as its end says.
 */
export async function keepBeside(tx: Transaction, deps: EffectDeps, operation: Operation, kept: Kept): Promise<void> {
  const { customerId, id } = operation;
  const row = await tx.operation.findUniqueOrThrow({
    where: { customerId_id: { customerId, id } },
    select: { status: true },
  });
  if (isEnd(parseState(row.status))) return intentDone(tx, operation, kept);
  const { service, type, ...place } = besidePlace(operation);
  const metadata = metadataOf(operation, kept);
  const stored = await deps.vault
    .within(tx)
    .store(customerId, service, type, { ...place, value: kept.fields, metadata });
  await intentDone(tx, operation, kept);
  const what = { kind: 'credential.stored', isInUse: false, fence: kept.fence, stored, earlier: null } as const;
  await recordStored(tx, deps, operation, what);
}

/**
 * The key that lies beside takes the place of the one that the plan names, and that one lies beside from then on: one
 * transaction, so that at every moment exactly one of them is the stored one. Harmless when it is done again.
 * @returns why it can't be, as a sentence: nothing was changed then.
 */
export async function takePlace(
  tx: Transaction,
  deps: EffectDeps,
  operation: Operation,
  key: PlanKey,
  fence: bigint,
): Promise<string | undefined> {
  const { customerId, id: operationId } = operation;
  const { service, type, ...beside } = besidePlace(operation);
  const vault = deps.vault.within(tx);
  const place = { target: beside.target };
  await vault.hold(customerId, service, type, place);
  // One whose time is over is replaced like any other.
  const stored = await vault.find(customerId, service, type, { ...place, isExpiredToo: true });
  if (stored?.metadata.operationId === operationId) return undefined;
  if (stored?.metadata.operationId !== key.operationId || stored.metadata.label !== key.label)
    return `“${key.label}” is not the stored key any more, so the new one did not take its place.`;
  if (!(await vault.find(customerId, service, type, beside))) return 'The new key is not in the vault any more.';
  const kept: Record<string, string> = operation.type.revoke ? { [KEPT_TO_END]: operationId } : {};
  const metadata = { result: { replaced: key.label }, beside: kept };
  const exchanged = await vault.exchange(customerId, service, type, beside, metadata);
  const what = { kind: 'credential.rotated', isInUse: true, fence, stored: exchanged, earlier: stored } as const;
  await recordStored(tx, deps, operation, what);
  return undefined;
}

function metadataOf({ id: operationId }: Operation, { label, fields }: Kept) {
  return { operationId, label, lastFour: Object.values(fields)[0]?.lastFour() ?? '' };
}

async function intentDone(
  tx: Transaction,
  { customerId, id: operationId }: Operation,
  { step, fence }: Kept,
): Promise<void> {
  await tx.operationIntent.updateMany({
    where: { customerId, operationId, step, attempt: fence },
    data: { state: 'done', settledAt: await databaseNow(tx) },
  });
}

interface Recorded {
  readonly kind: 'credential.stored' | 'credential.rotated';
  /** Programs use it from now on: by its type webhooks and the summary of a week know it. One that lies beside has none. */
  readonly isInUse: boolean;
  readonly fence: bigint;
  readonly stored: StoredCredential;
  readonly earlier: StoredCredential | null;
}

/** What was stored, and what it took the place of. */
async function recordStored(
  tx: Transaction,
  deps: EffectDeps,
  { customerId, id: operationId }: Operation,
  { kind, isInUse, fence, stored, earlier }: Recorded,
): Promise<void> {
  // The other operation's row before the chain's head: whoever ends that operation takes them in this order, too.
  const replaced = earlier && (await markReplaced(tx, customerId, earlier, operationId));
  const { label = null } = stored.metadata;
  await deps.audit.append(tx, customerId, {
    kind,
    operationId,
    attempt: fence,
    ...(isInUse ? { credentialId: stored.id, credentialType: stored.credentialType } : {}),
    payload: { credentialId: stored.id, label, replaced: earlier?.metadata.label ?? null },
  });
  if (earlier && replaced)
    await deps.audit.append(tx, customerId, {
      kind: 'credential.deleted',
      operationId: replaced,
      payload: { credentialId: earlier.id, replacedBy: operationId },
    });
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
