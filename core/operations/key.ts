import { z } from 'zod';
import type { Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { OperationTypeDefinition, Service } from '../services/service.ts';
import { keptKeyOf } from './kept-key.ts';
import type { Plan } from './plan.ts';
import { operationResult } from './result.ts';

/** Where a key lies in the vault, but for the customer. */
export interface KeyPlace {
  readonly service: Pick<Service, 'id'>;
  readonly type: Pick<OperationTypeDefinition, 'credentialType' | 'type'>;
  readonly base: string;
}

export type PlanKey = NonNullable<Plan['key']>;

/**
 * The key that an operation is about: the one that lies in that place, if an operation of ours made it. Of a revocation also one
 * that its rotation could not end, or that somebody deleted from the vault, when `of` names the operation that made it: the
 * service may still know it.
 * `undefined`: there is none, or another one than that operation's, such as one that was replaced.
 */
export async function keyAt(
  tx: Transaction,
  customerId: CustomerId,
  { service, type, base }: KeyPlace,
  of?: string,
): Promise<PlanKey | undefined> {
  const stored = await inPlace(tx, customerId, { service, type, base });
  const { success, data } = ours.safeParse(stored?.credentialMetadata);
  if (success && (of === undefined || data.operationId === of)) return data;
  if (of === undefined || type.type !== 'credential_revocation') return undefined;
  const kept = ours.safeParse((await keptKeyOf(tx, customerId, { service, type, base }, of))?.metadata);
  return kept.success ? kept.data : deletedKey(tx, customerId, { service, type, base }, of);
}

/** The name of whatever lies in that place, whoever made it; `null` where nothing does. */
export async function nameInPlace(tx: Transaction, customerId: CustomerId, place: KeyPlace): Promise<string | null> {
  const row = await inPlace(tx, customerId, place);
  return row ? (named.safeParse(row.credentialMetadata).data?.label ?? 'an earlier key') : null;
}

const named = z.object({ label: z.string() });
const ours = z.object({ operationId: z.string(), label: z.string(), lastFour: z.string().default('') });

function inPlace(tx: Transaction, customerId: CustomerId, { service, type, base }: KeyPlace) {
  return tx.credential.findFirst({
    where: { customerId, service: service.id, target: base, credentialType: type.credentialType, operationId: null },
    select: { credentialMetadata: true },
  });
}

async function deletedKey(
  tx: Transaction,
  customerId: CustomerId,
  { service, base }: KeyPlace,
  of: string,
): Promise<PlanKey | undefined> {
  const operationId: OperationId | undefined = parseOperationId(of);
  const row =
    operationId &&
    (await tx.operation.findFirst({
      where: { customerId, id: operationId, service: service.id, target: base },
      select: { result: true },
    }));
  const { revokedAt, replacedBy, label, lastFour } = operationResult.safeParse(row?.result).data?.data ?? {};
  if (!operationId || revokedAt === undefined || replacedBy !== undefined || label === undefined) return undefined;
  return { operationId, label, lastFour: lastFour ?? '' };
}
