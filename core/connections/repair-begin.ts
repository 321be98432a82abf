import type { ConsentRecord } from '../consent/records.ts';
import { isErased } from '../customers/customers.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { newOperationId, type OperationId, parseOperationId } from '../ids.ts';
import { signInPlace } from '../operations/entered.ts';
import { pauseOf } from '../operations/hold.ts';
import { keyAt, type PlanKey } from '../operations/key.ts';
import { lock } from '../operations/locked.ts';
import type { Operation } from '../operations/operation.ts';
import { type Plan, planHash, type RepairCause } from '../operations/plan.ts';
import { ask, insertOperation, obstacleTo, requireTime } from '../operations/request.ts';
import { END_STATES } from '../operations/states.ts';
import type { CredentialType } from '../vault/vault.ts';
import type { ConnectionPlace } from './place.ts';
import { lookSoon } from './records.ts';
import type { Considered, RepairDeps } from './repair.ts';
import { dueForRotation } from './repair-due.ts';
import { givenUpAt, isHeldBack, type PastRepair, pastRepairs, triesOf } from './repair-history.ts';
import { askedRepair, automaticRepair, planRepair, type RepairWay, repairPermissions } from './repair-plan.ts';

/** Tries within a day at one place, whatever came of them: then a person is asked. */
const MOST_TRIES = 2;
/** So long an old key waits for a service that is away, where the tries of a day would come to nothing. */
const PATIENCE_MS = 7 * 86_400_000;

/**
 * Begins a repair at a place, asks for one, or leaves it alone, in one transaction: whoever comes second waits for the place,
 * and finds what the first one began. @throws Refused beyond the customer's limits
 */
export async function begin(
  tx: Transaction,
  deps: RepairDeps,
  place: ConnectionPlace,
  cause: RepairCause,
): Promise<Considered> {
  const connection = await connectionAt(tx, deps, place, cause);
  if (!connection) return undefined;
  const { maker, key } = connection;
  const now = await databaseNow(tx);
  const past = await pastRepairs(tx, place, key);
  const found = await grantFor(tx, deps, maker, cause, now);
  // Whoever gave it may not approve any more, by the platform's word: somebody else is asked.
  const grant = found && past.some((before) => before.isNotVouchedUnder(found.id)) ? undefined : found;
  if (await isHeldBack(tx, place, past, grant?.grantedAt)) return undefined;
  if (cause === 'rotation_due' && !(await isLookedAtSince(tx, place, past))) return undefined;
  const candidate: Candidate = { ...connection, cause, now };
  if (grant) {
    const tries = triesOf(past, now);
    if (tries.length >= MOST_TRIES) return giveUp(tx, deps, place, tries);
    const begun = await beginUnder(tx, deps, candidate, grant);
    if (begun !== 'lacks_sign_in') return begun;
  }
  return askFor(tx, deps, candidate, past);
}

interface Connection {
  readonly place: ConnectionPlace;
  /** The operation that made the stored key, in whose thread everything about it is said. */
  readonly maker: Operation;
  readonly key: PlanKey;
}

interface Candidate extends Connection {
  readonly cause: RepairCause;
  readonly now: Date;
}

/** The key of ours that lies there, if nothing is going on at that place and nobody holds work back. */
async function connectionAt(
  tx: Transaction,
  deps: RepairDeps,
  place: ConnectionPlace,
  cause: RepairCause,
): Promise<Connection | undefined> {
  const { customerId, service: id, target } = place;
  const service = deps.getService(id);
  const how = service && askedRepair(service);
  // A key of a sort that this service's operations don't make is nobody's to repair.
  if (!how || how.type.credentialType !== place.credentialType) return undefined;
  const { credentialType } = how.type;
  await deps.vault.within(tx).hold(customerId, id, credentialType, { target });
  if (await pauseOf(tx, customerId)) return undefined;
  if (cause === 'rotation_due') {
    const due = await dueForRotation(tx, customerId, deps.rotationDays, { service: id, target, credentialType });
    if (due.length === 0 || !service.operationTypes.credential_rotation) return undefined;
    const since = { gt: new Date((await databaseNow(tx)).getTime() - PATIENCE_MS) };
    const where = { customerId, service: id, target, credentialType, state: { in: ['degraded', 'broken'] }, since };
    if ((await tx.connectionHealth.count({ where })) > 0) return undefined;
  }
  const open = { customerId, service: id, target, status: { notIn: [...END_STATES] } };
  if ((await tx.operation.count({ where: open })) > 0) return undefined;
  const key = await keyAt(tx, customerId, { service, type: how.type, base: target });
  const madeBy = parseOperationId(key?.operationId ?? '');
  const maker = madeBy && (await deps.operations.get(tx, customerId, madeBy));
  return key && maker && { place, maker, key };
}

/**
 * After a try the connection is looked at before there is another one, by the next pass: where the service is out of order, a
 * second try would come to nothing like the first.
 */
async function isLookedAtSince(tx: Transaction, place: ConnectionPlace, past: readonly PastRepair[]): Promise<boolean> {
  const tried = past.find(({ isTry }) => isTry)?.completedAt;
  if (!tried) return true;
  const { customerId, service, target, credentialType } = place;
  const where = { customerId, service, target, credentialType, checkedAt: { gt: tried } };
  if ((await tx.connectionHealth.count({ where })) > 0) return true;
  await lookSoon(tx, place, false);
  return false;
}

/** The standing grant that covers a repair of this key as it would be planned right now, held until the transaction ends. */
async function grantFor(
  tx: Transaction,
  deps: RepairDeps,
  maker: Operation,
  cause: RepairCause,
  now: Date,
): Promise<ConsentRecord | undefined> {
  const how = automaticRepair(maker.service);
  if (!how) return undefined;
  const plan = await planRepair(tx, deps, maker, how, { id: newOperationId(), now, repair: { cause } });
  const seen = plan && (await deps.standingGrants.verify(tx, maker.customerId, plan));
  if (!plan || !seen?.hasConsent) return undefined;
  // Whoever takes it back holds its operation: either they find this repair, or this finds it taken back.
  await lock(tx, maker.customerId, seen.consentRecord.operationId);
  const verdict = await deps.standingGrants.verify(tx, maker.customerId, plan);
  return verdict.hasConsent ? verdict.consentRecord : undefined;
}

/** The operation with its job, its plan and the sign-in that it needs: all of it or nothing. */
async function beginUnder(
  tx: Transaction,
  deps: RepairDeps,
  { place, maker, cause, now }: Candidate,
  grant: ConsentRecord,
): Promise<Considered | 'lacks_sign_in'> {
  const { customerId } = place;
  const how = automaticRepair(maker.service);
  const keptBy = parseOperationId(grant.operationId);
  if (!how || !keptBy) return undefined;
  const types = how.way.kind === 'browser' ? how.way.fields.map(({ name }) => name as CredentialType) : []; // see signInPlace
  if (!(await isKept(tx, deps, maker, grant, types))) return 'lacks_sign_in';
  const input = newOperation(maker, how, await deps.customers.memberById(tx, customerId, grant.userId));
  if (await obstacleTo(tx, deps, customerId, input, now)) return undefined;
  await requireTime(tx, customerId, 1, now, deps.perHour);
  const id = newOperationId();
  const plan = await planRepair(tx, deps, maker, how, { id, now, repair: { cause, consent: grant.id } });
  if (!plan) return undefined;
  const hash = planHash(plan);
  const jobId = await deps.queue.sendOperation(tx, { customerId, operationId: id }, { urgency: 'schedule' });
  const granted = { consentGiven: true, consentExpiresAt: new Date(plan.runsUntil) };
  const state = { status: 'queued', createdAt: now, jobId, ...granted };
  await deps.database.vouch(tx, 'repair', customerId, `${id}|${hash}`);
  await insertOperation(tx, customerId, id, input, plan, state);
  const to = { service: place.service, target: place.target, operationId: id };
  const copied = await deps.vault.within(tx).copySignIn(customerId, keptBy, to, types);
  if (!copied) throw new Error('a sign-in secret went away although its operation was held'); // rolls everything back
  await record(tx, deps, { id, plan, hash, cause, keptBy }, customerId);
  for (const { credentialId, type } of copied)
    await deps.audit.append(tx, customerId, {
      ...{ kind: 'credential.copied', operationId: id, credentialId, credentialType: type, why: 'repair' },
    });
  return 'begun';
}

interface Begun {
  readonly id: OperationId;
  readonly plan: Plan;
  readonly hash: string;
  readonly cause: RepairCause;
  readonly keptBy: OperationId;
}

async function record(
  tx: Transaction,
  { audit }: RepairDeps,
  { id, plan, hash, cause, keptBy }: Begun,
  customerId: ConnectionPlace['customerId'],
): Promise<void> {
  const what = { service: plan.service, operation: plan.operationType, target: plan.base, repair: cause };
  await audit.append(tx, customerId, { kind: 'operation.requested', operationId: id, payload: what });
  await audit.append(tx, customerId, { kind: 'plan.made', operationId: id, planHash: hash, payload: { plan } });
  const under = { consent: plan.repair?.consent ?? '', of: keptBy };
  await audit.append(tx, customerId, { kind: 'operation.queued', operationId: id, planHash: hash, payload: { under } });
}

/** Whether the grant keeps all that the way asks for, and all of it lies there. */
async function isKept(
  tx: Transaction,
  { vault }: RepairDeps,
  { customerId, service, plan }: Operation,
  { operationId, standing }: ConsentRecord,
  types: readonly CredentialType[],
): Promise<boolean> {
  const id = parseOperationId(operationId);
  if (!id) return false;
  for (const type of types) {
    const { service: at, ...place } = signInPlace({ service, plan, id }, type);
    const isThere = await vault.within(tx).find(customerId, at, type, place);
    if (!standing?.keeps.includes(type) || !isThere) return false;
  }
  return true;
}

/** A card in the connection's thread, once for a key and what is amiss with it. */
async function askFor(
  tx: Transaction,
  deps: RepairDeps,
  { place, maker, cause, now }: Candidate,
  past: readonly PastRepair[],
): Promise<Considered> {
  const how = askedRepair(maker.service);
  if (!how || past.some((before) => before.isQuestionFor(cause, now))) return undefined;
  const requester = await whoSetItUp(tx, deps, maker);
  // Theirs would be the sign-in, or the key, to enter: what nobody can finish is not asked for.
  if (how.way.kind !== 'stored' && isErased(requester)) return undefined;
  const input = { ...newOperation(maker, how, requester), repair: { cause } };
  const asked = await ask(tx, deps, place.customerId, [input]);
  return asked && asked.asked.length > 0 ? 'asked' : undefined;
}

/** Somebody is told what was tried and what to do, once; then nothing more is tried until something has changed. */
async function giveUp(
  tx: Transaction,
  { audit }: RepairDeps,
  { customerId }: ConnectionPlace,
  tries: readonly PastRepair[],
): Promise<Considered> {
  const [newest] = tries;
  if (!newest || (await givenUpAt(tx, customerId, tries))) return undefined;
  const operationId = newest.id;
  await audit.append(tx, customerId, { kind: 'repair.given_up', operationId, payload: { tries: tries.length } });
  return 'given_up';
}

/** In the thread of the connection. */
function newOperation(maker: Operation, how: RepairWay, requester: Operation['requester']) {
  const { threadId, service, plan } = maker;
  const { origin, base } = plan;
  return { ...how, threadId, requester, service, origin, base, permissions: repairPermissions(how, maker) };
}

/** Whoever asked for the connection, also where it was repaired since without anybody asking. */
async function whoSetItUp(tx: Transaction, deps: RepairDeps, maker: Operation): Promise<Operation['requester']> {
  const standing = maker.plan.repair?.consent === undefined ? undefined : maker.grant?.operationId;
  const first = standing === undefined ? undefined : await deps.operations.get(tx, maker.customerId, standing);
  return (first ?? maker).requester;
}
