import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createHealth, type Health } from '../../core/connections/health.ts';
import type { ConnectionPlace, HealthCause } from '../../core/connections/place.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Runner } from '../../core/operations/run.ts';
import type { Http } from '../../core/ports/http.ts';
import type { Log } from '../../core/ports/log.ts';
import { createSecretRegistry } from '../../core/redaction.ts';
import { defaultPermissions, wayOf } from '../../core/services/ways.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import type { NewKey } from '../practice/woocommerce/keys.ts';
import type { PracticeShop } from '../practice/woocommerce/server.ts';
import { type Core, grantedOperation, look, type Shop, storeSignIn } from './core.ts';
import { silentLog } from './silent-log.ts';

/** Calls of services, through the guard, to these practice shops alone. */
export function httpTo(...shops: readonly Pick<PracticeShop, 'origin'>[]): Http {
  return createHttp({
    egress: createEgress({ privateTargets: shops.map(({ origin }) => new URL(origin).host), log: silentLog }),
  });
}

/** A key that was set up by a countersigned operation. */
export interface Connected {
  readonly operation: Operation;
  readonly place: ConnectionPlace;
  readonly key: NewKey;
  /** What the shop calls it. */
  readonly label: string;
}

/** "set up WooCommerce", by the way in which a person makes the key and enters it: proven and kept by the real worker. */
export async function connect(core: Core, runner: Runner, shop: Shop, practice: PracticeShop): Promise<Connected> {
  const type = woocommerce.operationTypes.api_key_generation;
  const way = wayOf(type, 'entered');
  if (!way) throw new Error('a WooCommerce key can be entered');
  const { origin } = practice;
  const wanted = { way, origin, base: origin, permissions: defaultPermissions(type, way) };
  const operation = await grantedOperation(core, shop, wanted);
  const { customerId, id: operationId } = operation;
  const { label } = operation.plan;
  const key = practice.addKey({ description: label, permissions: 'read' });
  await core.database.withCustomer(customerId, async (tx) => {
    const entered = { consumer_key: key.consumerKey, consumer_secret: key.consumerSecret };
    await storeSignIn(core, tx, operation, entered);
    const jobId = await core.queue.sendOperation(tx, { customerId, operationId });
    const entry = { kind: 'credentials.entered', actor: shop.merchant.id } as const;
    const move = { operationId, from: ['awaiting_credentials'], to: 'queued', set: { jobId }, entry } as const;
    await core.mover.move(tx, customerId, move);
  });
  await runner.run({ customerId, operationId }, new AbortController().signal);
  const done = await look(core, operation);
  if (done.state !== 'completed') throw new Error(`${done.id} is ${done.state}: ${done.errorMessage}`);
  const place = { customerId, service: 'woocommerce', target: origin, credentialType: type.credentialType };
  return { operation: done, place, key, label };
}

/** The schedule of one process, without its clock: a pass is made where a test says so. */
export function healthOf(
  core: Core,
  http: Http,
  {
    log = silentLog,
    everyHours = 6,
    passMs = 60_000,
    repair = async () => {},
  }: {
    readonly log?: Log;
    readonly everyHours?: number;
    readonly passMs?: number;
    repair?(place: ConnectionPlace, cause: HealthCause): Promise<void>;
  } = {},
): Health {
  return createHealth({ ...core, http, secrets: createSecretRegistry(), log, repair, everyHours, passMs });
}
