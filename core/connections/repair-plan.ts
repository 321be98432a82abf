import type { Transaction } from '../database.ts';
import type { OperationId } from '../ids.ts';
import type { Operation } from '../operations/operation.ts';
import type { Plan } from '../operations/plan.ts';
import { planFor, type RequestDeps } from '../operations/request.ts';
import type { OperationTypeDefinition, Service, Way } from '../services/service.ts';
import { permissionsIn } from '../services/ways.ts';

/** How the key of a connection is replaced. */
export interface RepairWay {
  readonly type: OperationTypeDefinition;
  readonly way: Way;
}

/**
 * The way in which the program can do it by itself: by the sign-in that is kept for that, or by the stored key's own power.
 * `undefined`: every way of this service takes a person.
 */
export function automaticRepair({ operationTypes }: Service): RepairWay | undefined {
  const type = operationTypes.credential_rotation;
  const way = type?.ways.find(({ kind }) => kind === 'browser' || kind === 'stored');
  return type && way && { type, way };
}

/** The way that a person is asked for: a rotation, or, where the service knows none, a new key in the old one's place. */
export function askedRepair(service: Service): RepairWay | undefined {
  const type = service.operationTypes.credential_rotation ?? service.operationTypes.api_key_generation;
  const way = type?.ways.find(({ grant }) => grant === undefined) ?? type?.ways[0];
  return type && way && { type, way };
}

/** What the new key takes: what the way can't do without, and the power that the old one had. */
export function repairPermissions({ type, way }: RepairWay, maker: Operation): readonly string[] {
  return permissionsIn(type, way)
    .filter(({ id, isRequired }) => isRequired || maker.plan.permissions.includes(id))
    .map(({ id }) => id);
}

/** The plan of a repair as made at this moment. `undefined`: its key is not there any more. */
export function planRepair(
  tx: Transaction,
  deps: Pick<RequestDeps, 'customers' | 'hasPageModel' | 'workflows'>,
  maker: Operation,
  how: RepairWay,
  { id, now, repair }: { readonly id: OperationId; readonly now: Date; readonly repair: NonNullable<Plan['repair']> },
): Promise<Plan | undefined> {
  const { service, plan } = maker;
  return planFor(tx, deps, maker.customerId, {
    ...{ ...how, id, service, origin: plan.origin, base: plan.base, isFirstHere: false, now, repair },
    permissions: repairPermissions(how, maker),
  });
}
