import type { ConnectionPlace } from '../../core/connections/place.ts';
import { keepResult, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { NewOperation } from '../../core/operations/operations.ts';
import { OPEN_STATES } from '../../core/operations/states.ts';
import { Secret } from '../../core/secret.ts';
import { type Core, click, installShop, look, noSecrets, queuedOperation, type Shop } from './core.ts';

const never = new AbortController().signal;

interface KeyParts {
  readonly consumerKey: string;
  readonly consumerSecret: string;
}

/** A connection as a set-up leaves it: the operation is over, and its key lies in the vault. `make`: at the service. */
export async function madeConnection(
  core: Core,
  shop: Shop,
  changes: Partial<NewOperation> = {},
  make: (label: string) => KeyParts = () => ({
    consumerKey: `ck_${'a'.repeat(40)}`,
    consumerSecret: `cs_${'b'.repeat(40)}`,
  }),
): Promise<Operation> {
  const operation = await queuedOperation(core, shop, changes);
  const { customerId, id: operationId } = operation;
  const lease = await takeLease(core, { customerId, operationId }, never);
  if (!lease) throw new Error('the lease was not to be had');
  const { label } = operation.plan;
  const made = make(label);
  const fields = { consumer_key: new Secret(made.consumerKey), consumer_secret: new Secret(made.consumerSecret) };
  await core.database.withCustomer(customerId, async (tx) => {
    await writeIntent(tx, core.audit, operation, 9, label, lease.fence);
    await keepResult(tx, core, operation, { step: 9, fence: lease.fence, label, fields });
  });
  const verified = { kind: 'works', checked: 'answered 200', method: 'rest' } as const;
  await endOperation(core, lease, { kind: 'completed', verified }, noSecrets);
  lease.release();
  return look(core, operation);
}

export function placeOf({ customerId, service, plan, type }: Operation): ConnectionPlace {
  return { customerId, service: service.id, target: plan.base, credentialType: type.credentialType };
}

/** "Keep it working", asked by the merchant, approved, and the sign-in entered that it keeps. @returns the grant's id. */
export async function keptWorking(
  core: Core,
  shop: Shop,
  operation: Operation,
  signIn: Readonly<Record<string, string>> = { admin_username: 'mona', admin_password: 'a kept pass phrase' },
): Promise<string> {
  const offered = await core.repairOffers.offer(shop.customerId, operation.id, shop.merchant);
  if (offered.kind !== 'asked') throw new Error(`expected a question, got ${offered.kind}`);
  const { planHash } = offered.question;
  const decision = await core.standingGrants.grant(shop.customerId, click(operation, shop.approver, { planHash }));
  if (decision.kind !== 'granted') throw new Error(`expected a grant, got ${decision.kind}`);
  const kept = await core.repairOffers.keep(operation, shop.merchant.id, signIn, async () => true);
  if (kept.kind !== 'kept') throw new Error(`expected a kept sign-in, got ${kept.kind}`);
  return decision.consentId;
}

/** A shop with one connection. */
interface ConnectedShop {
  readonly shop: Shop;
  readonly operation: Operation;
  readonly place: ConnectionPlace;
}

export async function connectedShop(core: Core): Promise<ConnectedShop> {
  const shop = await installShop(core);
  const operation = await madeConnection(core, shop);
  return { shop, operation, place: placeOf(operation) };
}

/** With a standing grant that keeps its sign-in. */
export async function keptShop(core: Core): Promise<ConnectedShop & { readonly consentId: string }> {
  const connected = await connectedShop(core);
  return { ...connected, consentId: await keptWorking(core, connected.shop, connected.operation) };
}

/** Operations at the place that are about it, the newest first. */
function operationsAt(core: Core, { customerId, service, target }: ConnectionPlace): Promise<readonly Operation[]> {
  return core.database.withCustomer(customerId, async (tx) => {
    const latest = await core.operations.latest(tx, customerId, 100);
    return latest.filter(({ service: { id }, plan }) => id === service && plan.base === target);
  });
}

/** Those of them that the program began or asked for by itself. */
export async function repairsAt(core: Core, place: ConnectionPlace): Promise<readonly Operation[]> {
  return (await operationsAt(core, place)).filter(({ plan }) => plan.repair !== undefined);
}

export async function repairStates(core: Core, place: ConnectionPlace): Promise<readonly Operation['state'][]> {
  return (await repairsAt(core, place)).map(({ state }) => state);
}

/** @throws Error where there is none, or another one. */
export async function onlyRepair(core: Core, place: ConnectionPlace): Promise<Operation> {
  const [repair, ...more] = await repairsAt(core, place);
  if (!repair || more.length > 0) throw new Error(`expected one repair, got ${more.length + (repair ? 1 : 0)}`);
  return repair;
}

/** It ends without a result, as a run would end it. */
export async function fails(core: Core, { customerId, id: operationId }: Operation): Promise<void> {
  const entry = { kind: 'operation.failed', success: false } as const;
  await core.database.withCustomer(customerId, (tx) =>
    core.mover.move(tx, customerId, {
      operationId,
      from: OPEN_STATES,
      to: 'failed',
      set: { errorCode: 'network' },
      entry,
    }),
  );
}
