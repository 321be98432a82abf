import type { Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { OperationTypeDefinition, Way } from '../services/service.ts';
import { KEPT_TO_END } from '../vault/credential.ts';
import type { KeyPlace } from './key.ts';
import type { Operation } from './operation.ts';
import { END_STATES } from './states.ts';

/** Where an earlier key lies that its rotation could not end at the service: beside the stored one, sealed, until it has ended. */
export interface KeptKey {
  /** The rotation. */
  readonly operationId: OperationId;
  /** As `StoredCredential` has it. */
  readonly metadata: unknown;
}

/** @param of the operation that made the key. `undefined`: it is not kept, or its rotation is not over. */
export async function keptKeyOf(
  tx: Transaction,
  customerId: CustomerId,
  { service, type, base }: KeyPlace,
  of: string,
): Promise<KeptKey | undefined> {
  const rows = await tx.credential.findMany({
    where: {
      ...{ customerId, service: service.id, target: base, credentialType: type.credentialType },
      ...{ operationId: { not: null }, credentialMetadata: { path: ['operationId'], equals: of } },
    },
    select: { operationId: true, credentialMetadata: true },
  });
  for (const { operationId: holder, credentialMetadata: metadata } of rows) {
    const operationId = parseOperationId(holder ?? '');
    if (!operationId || !isKeptToEnd(metadata)) continue;
    const where = { customerId, id: operationId, status: { in: [...END_STATES] } };
    if ((await tx.operation.count({ where })) > 0) return { operationId, metadata };
  }
  return undefined;
}

/** Whether a credential of an operation is an earlier key that lies there until it has ended: the customer’s, not of who asked. */
export function isKeptToEnd(metadata: unknown): boolean {
  return typeof metadata === 'object' && metadata !== null && KEPT_TO_END in metadata;
}

/** Of a rotation whose new key is the stored one and whose old one could not be ended: how that alone is done, by that key's own power. */
export function endOfOldKey({
  type,
  service,
  isKeyStored,
}: Pick<Operation, 'type' | 'service' | 'isKeyStored'>):
  | { readonly type: OperationTypeDefinition; readonly way: Way }
  | undefined {
  const revocation = service.operationTypes.credential_revocation;
  const way = revocation?.ways.find(({ kind }) => kind === 'stored');
  const isOpen = type.type === 'credential_rotation' && isKeyStored && type.revoke !== undefined;
  return isOpen && revocation && way ? { type: revocation, way } : undefined;
}
