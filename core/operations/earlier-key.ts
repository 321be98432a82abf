import type { EarlierKey } from '../agent/engine.ts';
import type { Audit } from '../audit/audit.ts';
import type { Database, Transaction } from '../database.ts';
import { parseOperationId } from '../ids.ts';
import type { Http } from '../ports/http.ts';
import type { VerifyInput } from '../services/service.ts';
import { tryStored } from '../services/try-stored.ts';
import { asSecrets, type SecretFields, type StoredCredential, type Vault, type Where } from '../vault/vault.ts';
import { takePlace } from './effect.ts';
import { besidePlace } from './entered.ts';
import { keptKeyOf } from './kept-key.ts';
import type { PlanKey } from './key.ts';
import type { Lease } from './lease.ts';
import type { Operations } from './operations.ts';

export interface EarlierKeyDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly vault: Vault;
  readonly operations: Pick<Operations, 'get'>;
  readonly http: Http;
}

interface Using {
  readonly permission: string;
  readonly why: string;
  /** Told of what is opened, before anything else is done with it. */
  learn(fields: SecretFields): void;
}

/**
 * The key that the plan names, as the steps use it: in its place in the vault, or, once the new one of a rotation has that,
 * beside it until the operation ends, or for longer where its end failed. Another one that lies there is left alone.
 */
export function earlierKey(
  deps: EarlierKeyDeps,
  lease: Lease,
  { permission, why, learn }: Using,
): EarlierKey | undefined {
  const { operation } = lease;
  const { customerId, plan, service, type } = operation;
  const { key } = plan;
  if (!key) return undefined;
  const reader = { customerId, forOperation: operation.id, fence: lease.fence, why };
  const own = { service: service.id, target: plan.base, type: type.credentialType } as const;
  const keptPlace = async () => {
    const find = (tx: Transaction) => keptKeyOf(tx, customerId, { service, type, base: plan.base }, key.operationId);
    const kept = await deps.database.withCustomer(customerId, find);
    return kept && { ...own, operationId: kept.operationId };
  };

  const openedAt = async (place: typeof own & Where): Promise<SecretFields | undefined> => {
    const stored = await deps.vault.find(customerId, place.service, place.type, place);
    if (!stored || !isKey(stored, key)) return undefined;
    const ref = { ...place, ...reader };
    const fields = await deps.vault.open(ref, (found, now) => (isKey(now, key) ? asSecrets(found) : undefined));
    if (fields) learn(fields);
    return fields ?? undefined;
  };

  const opened = async (): Promise<SecretFields | undefined> => {
    for (const place of [own, besidePlace(operation)]) {
      const fields = await openedAt(place);
      if (fields) return fields;
    }
    const place = await keptPlace();
    return place && openedAt(place);
  };

  /** What it may do is what was countersigned when it was made. */
  const input = async (): Promise<VerifyInput | undefined> => {
    const credential = await opened();
    if (!credential) return undefined;
    const madeBy = parseOperationId(key.operationId);
    const maker = await deps.database.withCustomer(customerId, async (tx) =>
      madeBy ? deps.operations.get(tx, customerId, madeBy) : undefined,
    );
    const { base, origin } = plan;
    return { base, origin, credential, permissions: maker?.plan.permissions ?? [], http: deps.http };
  };

  return {
    async verify() {
      const found = await input();
      if (!found) return undefined;
      return type.type === 'integration_test' ? tryStored(service, type.verify, found) : type.verify(found);
    },
    async revoke() {
      const found = await input();
      return found && type.revoke?.(found);
    },
    replace: () =>
      deps.database.withCustomer(customerId, async (tx) => {
        await lease.holdToAct(tx, permission);
        return takePlace(tx, deps, operation, key, lease.fence);
      }),
  };
}

function isKey({ metadata }: StoredCredential, { operationId, label }: PlanKey): boolean {
  return metadata.operationId === operationId && metadata.label === label;
}
