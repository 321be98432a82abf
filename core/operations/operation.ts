import { z } from 'zod';
import type { Consent, ConsentRequest, Operation as OperationRow } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Approval } from '../consent/events.ts';
import { type Member, toMember } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import { customerId as asCustomerId, type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Platform } from '../ports/chat.ts';
import type { OperationType, OperationTypeDefinition, Service, Way } from '../services/service.ts';
import { wayOf } from '../services/ways.ts';
import { type Execution, readExecution } from './execution.ts';
import type { Hold } from './hold.ts';
import { type Parts, partsOf, type Step } from './parts.ts';
import { type Plan, readPlan } from './plan.ts';
import { type OperationResult, operationResult } from './result.ts';
import { type OperationState, parseState } from './states.ts';

/** One request for one operation type on one target, with all that people are shown of it. */
export interface Operation {
  readonly customerId: CustomerId;
  readonly id: OperationId;
  readonly threadId: string;
  readonly state: OperationState;
  readonly fence: bigint;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  /** The one that its plan names. */
  readonly way: Way;
  readonly plan: Plan;
  readonly planHash: string;
  readonly requester: Member;
  /** Where it was asked for. */
  readonly workspace: { readonly platform: Platform; readonly workspaceId: string };
  /** The newest consent request. */
  readonly request: ConsentRequest | null;
  /** Who has approved it, oldest first; while it is open, those whose approval counts as things stand, one a person. */
  readonly approvals: readonly { readonly by: Member; readonly at: Date }[];
  /** Permissions beyond what the requester asked for, and who added each. */
  readonly widened: readonly { readonly permission: string; readonly by: Member }[];
  /** When the thread was reminded of it. */
  readonly remindedAt: Date | null;
  /** Its countersignature, revoked or not; of a repair the standing grant, until its plan's time is over. */
  readonly grant: (Consent & { readonly approver: Member }) | null;
  /** Who decided the newest request, when a person did. */
  readonly decidedBy: Member | null;
  /** Who entered the sign-in or the key, and when. */
  readonly signIn: { readonly by: Member; readonly at: Date } | null;
  /** The last time that it set out to make something at the vendor's. `started` and `uncertain`: nobody saw what came of it. */
  readonly intent: { readonly label: string; readonly state: string; readonly attempt: bigint } | null;
  /** Whether its key lies in the vault: neither deleted nor replaced since it was stored. */
  readonly isKeyStored: boolean;
  /** Ids of the pictures that are still kept, in no order. */
  readonly pictures: readonly string[];
  readonly steps: readonly Step[];
  readonly currentStep: number;
  /** Who wants it paused, and once it is, by whom: `person`, who is `heldBy`, or the operator. */
  readonly hold: Hold | null;
  readonly heldBy: Member | null;
  /** The operation that this one tries again, and the one that tries this one again. */
  readonly retryOf: OperationId | null;
  readonly retriedAs: OperationId | null;
  /** While it waits for approval: the oldest other one that is asked for the same at the same place and is not over. */
  readonly twin: OperationId | null;
  readonly result: OperationResult | null;
  readonly errorCode: string | null;
  /** Of a denied one: why it was denied, as long as these words are on record. */
  readonly errorMessage: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  /** How long machines have worked on it, and since when one does now. */
  readonly execution: Execution;
  readonly completedAt: Date | null;
}

export interface ReadOperationDeps {
  readonly audit: Pick<Audit, 'entryOf'>;
  getService(id: string): Service | undefined;
}

/** Those of one customer with these ids, in their order; who is none of theirs is left out. */
export async function operationsById(
  tx: Transaction,
  deps: ReadOperationDeps,
  customerId: CustomerId,
  ids: readonly string[],
): Promise<readonly Operation[]> {
  return inOrder(await partsOf(tx, customerId, ids), (parts) => wholeOperation(tx, deps, customerId, parts));
}

/** What was read, with what more belongs to it. */
export async function wholeOperation(
  tx: Transaction,
  deps: ReadOperationDeps,
  customerId: CustomerId,
  own: Parts,
): Promise<Operation> {
  const parts = isRepair(own.operation) ? await underItsGrant(tx, customerId, own) : own;
  const { status } = parts.operation;
  return operationOf(
    deps,
    parts,
    status === 'denied' ? await reasonOf(tx, deps, customerId, parts.operation.id) : null,
  );
}

/** Whether more belongs to it than what one statement reads. */
export function isMore(row: Pick<OperationRow, 'status' | 'plan'>): boolean {
  return row.status === 'denied' || isRepair(row);
}

/** Of which `isMore` is false. */
export function readyOperation(deps: Pick<ReadOperationDeps, 'getService'>, parts: Parts): Operation {
  return operationOf(deps, parts, null);
}

/** @param reason why it was denied */
function operationOf(deps: Pick<ReadOperationDeps, 'getService'>, parts: Parts, reason: string | null): Operation {
  const { operation: row, request, consent, intent, signIn } = parts;
  const plan = readPlan(row.plan);
  const { service, type, way, id } = named(deps, row, plan);
  const member = (wanted: string): Member => {
    const found = parts.people.find((each) => each.id === wanted);
    if (!found) throw new Error('somebody on record is no member'); // by foreign key
    return toMember(found);
  };
  return {
    customerId: asCustomerId(row.customerId),
    id,
    threadId: row.threadId,
    state: parseState(row.status),
    fence: row.fence,
    service,
    type,
    way,
    plan,
    planHash: row.planHash,
    requester: member(row.userId),
    // Written from a ThreadRef, whose platform is the union.
    workspace: { platform: parts.platform as Platform, workspaceId: parts.workspaceId },
    request,
    approvals: (parts.given ?? givenTo(parts)).map(({ memberId, at }) => ({ by: member(memberId), at })),
    widened: Object.entries(widenedBy.parse(request?.widened ?? {})).map(([permission, by]) => ({
      permission,
      by: member(by),
    })),
    remindedAt: parts.events.find(({ kind }) => kind === 'reminded')?.at ?? null,
    grant: consent ? { ...consent, approver: member(consent.userId) } : null,
    decidedBy: request?.decidedBy ? member(request.decidedBy) : null,
    signIn: signIn && { by: member(signIn.actor), at: signIn.at },
    intent,
    isKeyStored: parts.isKeyStored,
    pictures: parts.pictures,
    // A longer plan that was made anew has left rows behind.
    steps: parts.steps.filter(({ number }) => number <= plan.steps.length),
    currentStep: row.currentStep,
    hold: row.hold as Hold | null, // CHECK autonomous_operations_hold_check guarantees the union
    heldBy: row.heldBy ? member(row.heldBy) : null,
    retryOf: row.retryOf as OperationId | null, // by foreign key
    retriedAs: parts.retriedAs as OperationId | null, // by foreign key
    twin: parts.twin as OperationId | null, // an operation's own id
    result: row.result === null ? null : operationResult.parse(row.result),
    errorCode: row.errorCode,
    errorMessage: row.status === 'denied' ? reason : row.errorMessage,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    execution: readExecution(row.executionMetadata),
    completedAt: row.completedAt,
  };
}

function givenTo({ events }: Parts): readonly Approval[] {
  return events.flatMap(({ kind, memberId, at }) => (kind === 'approved' && memberId ? [{ memberId, at }] : []));
}

function isRepair({ plan }: Pick<OperationRow, 'plan'>): boolean {
  return plan.includes('"repair":');
}

/**
 * A repair has no question of its own: its countersignature is the standing grant that its plan names, which ends with the plan's
 * time at the latest.
 */
async function underItsGrant(tx: Transaction, customerId: CustomerId, parts: Parts): Promise<Parts> {
  const { repair, runsUntil } = readPlan(parts.operation.plan);
  const row =
    repair?.consent !== undefined &&
    (await tx.consent.findUnique({
      where: { customerId_id: { customerId, id: repair.consent } },
      include: {
        request: { include: { events: { where: { kind: { in: ['approved', 'reminded'] } }, orderBy: { n: 'asc' } } } },
      },
    }));
  if (!row) return parts;
  const { request, ...consent } = row;
  const expiresAt = new Date(Math.min(row.expiresAt?.getTime() ?? 0, new Date(runsUntil).getTime()));
  const ids = [row.userId, ...request.events.flatMap(({ memberId }) => memberId ?? [])];
  const more = await tx.member.findMany({ where: { customerId, id: { in: ids } } });
  return { ...parts, consent: { ...consent, expiresAt }, events: request.events, people: [...parts.people, ...more] };
}

/** Ids of its pictures that are still kept, the last step's first. */
export function newestPictures(
  { steps, pictures }: Pick<Operation, 'steps' | 'pictures'>,
  most: number,
): readonly string[] {
  const ids = steps.flatMap(({ screenshotId }) => (screenshotId ? [screenshotId] : []));
  return ids
    .filter((id) => pictures.includes(id))
    .toReversed()
    .slice(0, most);
}

/** What whoever denied it wrote; `null` once it was erased, or where it can't be opened: an audit says so, a card does without. */
async function reasonOf(
  tx: Transaction,
  { audit }: ReadOperationDeps,
  customerId: CustomerId,
  operationId: string,
): Promise<string | null> {
  const entry = await audit.entryOf(tx, customerId, operationId, 'operation.denied');
  return denial.safeParse(entry?.payload).data?.reason || null;
}

const denial = z.object({ reason: z.string() });

/** Permission → the member who added it. */
export const widenedBy = z.record(z.string(), z.uuid());

/** One transaction is one connection: its queries go one after the other. */
export async function inOrder<A, B>(items: readonly A[], convert: (item: A) => Promise<B>): Promise<readonly B[]> {
  const out: B[] = [];
  for (const item of items) out.push(await convert(item));
  return out;
}

/** What an operation names of this version. */
export function named(
  deps: Pick<ReadOperationDeps, 'getService'>,
  row: Pick<OperationRow, 'id' | 'service' | 'operation'>,
  plan: Pick<Plan, 'way'>,
) {
  const service = deps.getService(row.service);
  // A word that names no type of this service finds none.
  const type = service?.operationTypes[row.operation as OperationType];
  const way = type && wayOf(type, plan.way);
  const id = parseOperationId(row.id);
  if (!service || !type || !way || !id)
    throw new Error(`operation ${row.id} names a service or a way that this version does not have`);
  return { service, type, way, id };
}
