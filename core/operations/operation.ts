import { z } from 'zod';
import type {
  Consent,
  ConsentRequest,
  Operation as OperationRow,
  OperationStep,
} from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { approvalsOf } from '../consent/events.ts';
import type { Customers, Member } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Platform } from '../ports/chat.ts';
import type { OperationType, OperationTypeDefinition, Service, Way } from '../services/service.ts';
import { wayOf } from '../services/ways.ts';
import { type Execution, readExecution } from './execution.ts';
import type { Hold } from './hold.ts';
import { type Plan, readPlan } from './plan.ts';
import { type OperationResult, operationResult } from './result.ts';
import { isEnd, type OperationState, parseState, STATES } from './states.ts';

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
  readonly steps: readonly OperationStep[];
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
  readonly customers: Customers;
  readonly audit: Pick<Audit, 'read'>;
  getService(id: string): Service | undefined;
}

/** One operation by its row, see `readOperations`. */
export async function readOperation(tx: Transaction, deps: ReadOperationDeps, row: OperationRow): Promise<Operation> {
  const [operation] = await readOperations(tx, deps, [row]);
  if (!operation) throw new Error('a row is an operation');
  return operation;
}

/**
 * Reads what belongs to rows of one customer, in their order: a statement for each kind of thing, however many rows there are,
 * one after the other, since one transaction is one connection.
 */
export async function readOperations(
  tx: Transaction,
  deps: ReadOperationDeps,
  rows: readonly OperationRow[],
): Promise<readonly Operation[]> {
  const [first] = rows;
  if (!first) return [];
  const customerId = first.customerId as CustomerId; // a row of this customer's own transaction
  const ids = rows.map(({ id }) => id);
  const where = { customerId, operationId: { in: ids } };
  const threadIds = { in: [...new Set(rows.map(({ threadId }) => threadId))] };
  const threads = new Map(
    (await tx.thread.findMany({ where: { customerId, id: threadIds } })).map((thread) => [thread.id, thread]),
  );
  const answered = new Map<string, ConsentRequest>();
  const requests = firstOfEach(
    await tx.consentRequest.findMany({ where: { ...where, terms: null }, orderBy: { askedAt: 'desc' } }),
  );
  const consents = firstOfEach(
    await tx.consent.findMany({ where: { ...where, templateHash: null }, orderBy: { grantedAt: 'desc' } }),
  );
  // A repair has no question of its own: its countersignature is the standing grant that its plan names.
  const standing = await standingOf(tx, customerId, rows);
  for (const [id, { consent, request }] of standing) {
    consents.set(id, consent);
    answered.set(id, request);
  }
  const given = await approvalsOf(tx, customerId, [...requests.values(), ...answered.values()]);
  const intents = firstOfEach(await tx.operationIntent.findMany({ where, orderBy: { startedAt: 'desc' } }));
  const signIns = firstOfEach(
    await tx.auditEntry.findMany({
      where: { ...where, kind: 'credentials.entered' },
      orderBy: { seq: 'asc' },
      select: { operationId: true, header: true, at: true },
    }),
  );
  const stored = await operationsWithKeys(tx, customerId, ids);
  const steps = Map.groupBy(
    await tx.operationStep.findMany({ where, orderBy: { number: 'asc' } }),
    ({ operationId }) => operationId,
  );
  const over = rows.flatMap(({ id, completedAt }) => (completedAt ? [id] : []));
  const retries = new Map(
    (over.length === 0
      ? []
      : await tx.operation.findMany({
          where: { customerId, retryOf: { in: over } },
          select: { id: true, retryOf: true },
        })
    ).map(({ id, retryOf }) => [retryOf, id as OperationId]), // an operation's own id
  );
  const people = await deps.customers.membersById(tx, customerId, [
    ...rows.flatMap(({ userId, heldBy }) => (heldBy ? [userId, heldBy] : [userId])),
    ...[...requests.values()].flatMap((request) => [
      ...(request.decidedBy ? [request.decidedBy] : []),
      ...Object.values(widenedBy.parse(request.widened ?? {})),
    ]),
    ...[...consents.values()].map(({ userId }) => userId),
    ...[...given.values()].flatMap(({ approvals }) => approvals.map(({ memberId }) => memberId)),
    ...[...signIns.values()].map(({ header }) => actorOf(header)),
  ]);
  const member = (id: string): Member => {
    const found = people.get(id);
    if (!found) throw new Error('somebody on record is no member'); // by foreign key
    return found;
  };
  return inOrder(rows, async (row): Promise<Operation> => {
    const plan = readPlan(row.plan);
    const { service, type, way, id } = named(deps, row, plan);
    const thread = threads.get(row.threadId);
    if (!thread) throw new Error('an operation has a thread'); // by foreign key
    const request = requests.get(id) ?? null;
    const consent = consents.get(id);
    const asked = request ?? answered.get(id);
    const { approvals, remindedAt } = (asked && given.get(asked.id)) ?? { approvals: [], remindedAt: null };
    const intent = intents.get(id);
    const entered = signIns.get(id);
    return {
      customerId,
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
      workspace: { platform: thread.platform as Platform, workspaceId: thread.workspaceId },
      request,
      approvals: approvals.map(({ memberId, at }) => ({ by: member(memberId), at })),
      widened: Object.entries(widenedBy.parse(request?.widened ?? {})).map(([permission, by]) => ({
        permission,
        by: member(by),
      })),
      remindedAt,
      grant: consent ? { ...consent, approver: member(consent.userId) } : null,
      decidedBy: request?.decidedBy ? member(request.decidedBy) : null,
      signIn: entered ? { by: member(actorOf(entered.header)), at: entered.at } : null,
      intent: intent ? { label: intent.label, state: intent.state, attempt: intent.attempt } : null,
      isKeyStored: stored.has(id),
      // A longer plan that was made anew has left rows behind.
      steps: (steps.get(id) ?? []).filter(({ number }) => number <= plan.steps.length),
      currentStep: row.currentStep,
      hold: row.hold as Hold | null, // CHECK autonomous_operations_hold_check guarantees the union
      heldBy: row.heldBy ? member(row.heldBy) : null,
      retryOf: row.retryOf as OperationId | null, // by foreign key
      retriedAs: retries.get(id) ?? null,
      twin: row.status === 'awaiting_consent' ? await twinOf(tx, row) : null,
      result: row.result === null ? null : operationResult.parse(row.result),
      errorCode: row.errorCode,
      errorMessage: row.status === 'denied' ? await reasonOf(tx, deps, customerId, id) : row.errorMessage,
      createdAt: row.createdAt,
      startedAt: row.startedAt,
      execution: readExecution(row.executionMetadata),
      completedAt: row.completedAt,
    };
  });
}

/** Of repairs, by operation: the standing grant that each runs under, which ends with its plan's time at the latest. */
async function standingOf(tx: Transaction, customerId: CustomerId, rows: readonly OperationRow[]) {
  const found = new Map<string, { readonly consent: Consent; readonly request: ConsentRequest }>();
  for (const { id, plan: text } of rows) {
    const plan = text.includes('"repair":') ? readPlan(text) : undefined;
    if (plan?.repair?.consent === undefined) continue;
    const row = await tx.consent.findUnique({
      where: { customerId_id: { customerId, id: plan.repair.consent } },
      include: { request: true },
    });
    if (!row) continue;
    const { request, ...consent } = row;
    const until = new Date(Math.min(row.expiresAt?.getTime() ?? 0, new Date(plan.runsUntil).getTime()));
    found.set(id, { consent: { ...consent, expiresAt: until }, request });
  }
  return found;
}

/** Of rows in an order that begins with the one that counts. */
function firstOfEach<Row extends { readonly operationId: string | null }>(rows: readonly Row[]): Map<string, Row> {
  const first = new Map<string, Row>();
  for (const row of rows) if (row.operationId !== null && !first.has(row.operationId)) first.set(row.operationId, row);
  return first;
}

const idRows = z.array(z.object({ id: z.string() }));

/** Those whose key lies in the vault, as `resultWhere` finds the key of one. */
async function operationsWithKeys(
  tx: Transaction,
  customerId: CustomerId,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = idRows.parse(
    await tx.$queryRaw`
      SELECT DISTINCT c.credential_metadata ->> 'operationId' AS id FROM autonomous_credentials c
      WHERE c.customer_id = ${customerId}::uuid AND c.operation_id IS NULL
        AND c.credential_metadata ->> 'operationId' = ANY (${[...ids]})`,
  );
  return new Set(rows.map(({ id }) => id));
}

async function twinOf(tx: Transaction, row: OperationRow): Promise<OperationId | null> {
  const { customerId, id, service, operation, target } = row;
  const open = { status: { notIn: STATES.filter(isEnd) }, id: { not: id }, createdAt: { lt: row.createdAt } };
  const other = await tx.operation.findFirst({
    where: { customerId, service, operation, target, ...open },
    orderBy: { createdAt: 'asc' },
    select: { id: true },
  });
  return other && (other.id as OperationId); // an operation's own id
}

/** Ids of its pictures that are still kept, the last step's first. */
export async function newestPictures(
  tx: Transaction,
  { customerId, steps }: Pick<Operation, 'customerId' | 'steps'>,
  most: number,
): Promise<readonly string[]> {
  const ids = steps.flatMap(({ screenshotId }) => (screenshotId ? [screenshotId] : []));
  const kept = await tx.screenshot.findMany({ where: { customerId, id: { in: ids } }, select: { id: true } });
  const isKept = (id: string) => kept.some((row) => row.id === id);
  return ids.filter(isKept).toReversed().slice(0, most);
}

/** What whoever denied it wrote; `null` once it was erased, or where it can't be opened. */
async function reasonOf(
  tx: Transaction,
  { audit }: ReadOperationDeps,
  customerId: CustomerId,
  operationId: OperationId,
): Promise<string | null> {
  const row = await tx.auditEntry.findFirst({ where: { customerId, operationId, kind: 'operation.denied' } });
  try {
    return (row && denial.safeParse((await audit.read(tx, customerId, row)).payload).data?.reason) || null;
  } catch (error) {
    if (error instanceof CountersignError && !error.isRetryable) return null; // an audit says so, a card does without
    throw error;
  }
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

function named(deps: ReadOperationDeps, row: OperationRow, plan: Plan) {
  const service = deps.getService(row.service);
  // A word that names no type of this service finds none.
  const type = service?.operationTypes[row.operation as OperationType];
  const way = type && wayOf(type, plan.way);
  const id = parseOperationId(row.id);
  if (!service || !type || !way || !id)
    throw new Error(`operation ${row.id} names a service or a way that this version does not have`);
  return { service, type, way, id };
}

const entryHeader = z.object({ actor: z.string() });

function actorOf(header: string): string {
  return entryHeader.parse(JSON.parse(header)).actor;
}
