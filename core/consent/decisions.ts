import type { ConsentRequest } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { type Customers, isSamePerson, type Member } from '../customers/customers.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { takeEvent } from '../operations/events.ts';
import { lockedOperation } from '../operations/locked.ts';
import type { Operation } from '../operations/operation.ts';
import type { Operations } from '../operations/operations.ts';
import type { EventRef, Person, Standing } from '../ports/chat.ts';
import { addEvent, type CollectionMethod, countedApprovals, isRefusedBefore } from './events.ts';
import { mayDecide, type Permitted, type Question, type Refusal, type Rules } from './policy.ts';

export interface Click {
  readonly operationId: string;
  /** The hash of what the card showed. */
  readonly planHash: string;
  readonly by: Member;
  /** How it was given, truthfully. */
  readonly method: CollectionMethod;
  /** Only where the person's own browser gave them. */
  readonly ipAddress?: string;
  readonly userAgent?: string;
  /** Of the method `api`: the token. */
  readonly tokenId?: string;
  /** What brought it, so that a second delivery decides nothing. */
  readonly event?: EventRef;
}

export type Refused = { readonly kind: 'refused'; readonly why: Refusal };
/** This very click was delivered before, and what came of it stands. */
export type Repeated = { readonly kind: 'repeated'; readonly operation: Operation | undefined };
/** Somebody was faster, or it lapsed, or it is another plan by now. */
export type Stale = { readonly kind: 'stale'; readonly operation: Operation | undefined };

/** What is decided on: a question of the operation. */
export interface Subject {
  /** `undefined`: there is none that could be decided. */
  find(tx: Transaction, operation: Operation): Promise<ConsentRequest | undefined>;
  /** What the question showed that it would permit: what an approval is recorded for. */
  permissions(operation: Operation, request: ConsentRequest): readonly string[];
  /** By whom and where it was asked; the operation itself unless this says otherwise. */
  question?(tx: Transaction, operation: Operation, request: ConsentRequest): Promise<Question>;
}

/** Somebody who may decide, on something that can be decided, under the operation's lock. */
export interface Ready {
  readonly operation: Operation;
  readonly request: ConsentRequest;
  readonly by: Member;
  readonly basis: string;
  readonly rules: Rules;
  readonly now: Date;
}

export type Approved =
  /** It counts; more are needed before anything happens. */
  | { readonly kind: 'approved'; readonly operation: Operation; readonly approvals: number; readonly required: number }
  /** This person has approved it, by this account or another one; others are needed. */
  | { readonly kind: 'already_approved'; readonly operation: Operation };

export interface DecisionDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly customers: Customers;
  readonly operations: Operations;
  /** What the chat platform says of somebody right now. Whatever goes wrong there, nobody decides. */
  identify(person: Person, group?: string): Promise<Standing>;
}

/** What somebody decides on in one go: each question as its card showed it. */
export type Shown = Pick<Click, 'operationId' | 'planHash'>;

/** In the order in which they were shown. `none`: what stood in the way, of each question that could not be decided so; nothing was decided. */
export type Together<T> =
  | { readonly kind: 'decided'; readonly each: readonly T[] }
  | { readonly kind: 'none'; readonly why: readonly (Refused | Repeated | Stale)[] };

export interface Decisions {
  mayDecide(
    customerId: CustomerId,
    member: Member,
    question: Question,
    decision: 'approve' | 'deny',
  ): Promise<Permitted>;
  /**
   * Who is refused is on record, once a question, person and reason: whoever goes on clicking can't flood the chain.
   * `carryOut` runs in the transaction that found that they may.
   */
  decide<T>(
    customerId: CustomerId,
    click: Omit<Click, 'planHash'>,
    decision: 'approve' | 'deny',
    subject: Subject,
    carryOut: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<T | Refused | Repeated | Stale>;
  /** One approval; `complete` runs with the one that makes them enough. */
  approve<T>(
    customerId: CustomerId,
    click: Click,
    subject: Subject,
    complete: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<T | Approved | Refused | Repeated | Stale>;
  /** `decide` for each of several questions, in one transaction: all of them or none. @throws TypeError for one that is named twice. */
  decideTogether<T>(
    customerId: CustomerId,
    shown: readonly Shown[],
    click: ClickOnSeveral,
    decision: 'approve' | 'deny',
    subject: Subject,
    carryOut: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<Together<T>>;
  /** `approve` for each of several questions, in one transaction: all of them, exactly as shown, or none. */
  approveTogether<T>(
    customerId: CustomerId,
    shown: readonly Shown[],
    click: ClickOnSeveral,
    subject: Subject,
    complete: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<Together<T | Approved>>;
}

export type ClickOnSeveral = Omit<Click, 'operationId' | 'planHash'>;

/** The way of every decision: who it is, by the platform's word; then, under the operation's lock, whether they may. */
export function createDecisions(deps: DecisionDeps): Decisions {
  const { database, audit, customers, operations } = deps;

  /**
   * Outside of any transaction: a platform takes its time. It is not asked about whoever may not decide whatever it says, since
   * it takes so many questions a minute: who goes on clicking would leave none for those who may.
   */
  const standingOf = async (customerId: CustomerId, by: Member): Promise<Vouched> => {
    const { rules, found } = await database.withCustomer(customerId, async (tx) => ({
      rules: await customers.rules(tx, customerId),
      found: await customers.find(tx, customerId, by.id),
    }));
    const group = rules.approverGroup;
    const { roles = [] } = found ?? {};
    const mayEver = group !== null || roles.includes('approver') || (rules.adminsApprove && roles.includes('admin'));
    if (found && !mayEver) return { standing: { kind: 'guest' }, group };
    try {
      return { standing: await deps.identify(by.person, group ?? undefined), group };
    } catch {
      return { standing: { kind: 'unknown' }, group };
    }
  };

  /** Whether this person may decide on the operation's question, under its lock. Who may not is on record. */
  const examine = async (
    tx: Transaction,
    customerId: CustomerId,
    vouched: Vouched,
    operation: Operation,
    click: ClickOnSeveral,
    decision: 'approve' | 'deny',
    subject: Subject,
  ): Promise<Ready | Refused | Stale> => {
    const request = await subject.find(tx, operation);
    const asked = request ?? operation.request;
    // A repair under a standing grant: nobody may decide where nothing was asked, and no events tell of who was refused before.
    if (!asked) return { kind: 'stale', operation };
    const question = (request && (await subject.question?.(tx, operation, request))) ?? operation;
    const rules = await customers.rules(tx, customerId);
    const by = await asOfNow(tx, customers, customerId, click.by);
    const permitted = judge(by, question, rules, vouched, decision);
    if (!permitted.isPermitted || typeof by === 'string') {
      const why = permitted.isPermitted ? 'not_verified' : permitted.why;
      const memberId = typeof by === 'string' ? undefined : by.id;
      const event = { kind: 'refused', memberId, method: click.method, reason: why } as const;
      if (await isRefusedBefore(tx, asked, event)) return { kind: 'refused', why };
      await addEvent(tx, database, asked, event);
      const entry = { kind: 'consent.refused', operationId: operation.id, actor: click.by.id } as const;
      await audit.append(tx, customerId, { ...entry, payload: { why } });
      return { kind: 'refused', why };
    }
    if (!request) return { kind: 'stale', operation };
    const now = await databaseNow(tx);
    return { operation, request, by, basis: permitted.basis, rules, now };
  };

  /** Adds the approval of somebody who may; `complete` runs with the one that makes them enough. */
  const addApproval = async <T>(
    tx: Transaction,
    ready: Ready,
    click: ClickOnSeveral,
    subject: Subject,
    complete: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<T | Approved> => {
    const { operation, request, by, basis, rules } = ready;
    const { customerId } = operation;
    const before = await countedApprovals(tx, customerId, request.id);
    const isNew = !before.some((approval) => isSamePerson(approval, by));
    if (isNew) {
      const { method } = click;
      const permissions = subject.permissions(operation, request);
      await addEvent(tx, database, request, { kind: 'approved', memberId: by.id, method, basis, permissions });
    }
    const approvals = isNew ? await countedApprovals(tx, customerId, request.id) : before;
    if (approvals.length >= rules.approvalsRequired) return complete(tx, ready);
    if (!isNew) return { kind: 'already_approved', operation } as const;
    const required = rules.approvalsRequired;
    await audit.append(tx, customerId, {
      kind: 'consent.approved',
      operationId: operation.id,
      actor: by.id,
      planHash: request.planHash,
      payload: { approvals: approvals.length, required, ...collected(click) },
    });
    const after = (await operations.get(tx, customerId, operation.id)) ?? operation;
    return { kind: 'approved', operation: after, approvals: approvals.length, required } as const;
  };

  /**
   * First all of the locks, in the order of the ids, so that nobody waits in a circle: who is refused is written into the
   * chain, and whoever holds that waits for no row. Then all of the questions, and only then the first of the decisions.
   */
  const together = async <T>(
    customerId: CustomerId,
    shown: readonly Shown[],
    click: ClickOnSeveral,
    decision: 'approve' | 'deny',
    subject: Subject,
    isAsShown: (ready: Ready, shown: Shown) => boolean,
    carryOut: (tx: Transaction, ready: Ready) => Promise<T>,
  ): Promise<Together<T>> => {
    const ids = [...new Set(shown.map(({ operationId }) => operationId))].sort();
    if (ids.length < shown.length) throw new TypeError('Each operation is decided on once.');
    const vouched = await standingOf(customerId, click.by);
    return database.withCustomer(customerId, async (tx) => {
      const isFirst = await takeEvent(tx, customerId, click.event);
      const locked = new Map<string, Operation | undefined>();
      for (const id of ids) locked.set(id, await lockedOperation(tx, operations, customerId, id));
      const found = shown.map((asked) => ({ asked, operation: locked.get(asked.operationId) }));
      if (!isFirst) return { kind: 'none', why: found.map(({ operation }) => ({ kind: 'repeated', operation })) };
      const ready: Ready[] = [];
      const why: (Refused | Stale)[] = [];
      for (const { asked, operation } of found) {
        const examined: Ready | Refused | Stale = operation
          ? await examine(tx, customerId, vouched, operation, click, decision, subject)
          : { kind: 'stale', operation };
        if ('kind' in examined) why.push(examined);
        else if (isAsShown(examined, asked)) ready.push(examined);
        else why.push({ kind: 'stale', operation });
      }
      if (why.length > 0) return { kind: 'none', why };
      const each: T[] = [];
      for (const one of ready) each.push(await carryOut(tx, one));
      return { kind: 'decided', each };
    });
  };

  const decisions: Decisions = {
    async mayDecide(customerId, member, question, decision) {
      const vouched = await standingOf(customerId, member);
      return database.withCustomer(customerId, async (tx) => {
        const rules = await customers.rules(tx, customerId);
        return judge(await asOfNow(tx, customers, customerId, member), question, rules, vouched, decision);
      });
    },
    async decide(customerId, click, decision, subject, carryOut) {
      const vouched = await standingOf(customerId, click.by);
      return database.withCustomer(customerId, async (tx) => {
        const isFirst = await takeEvent(tx, customerId, click.event);
        const operation = await lockedOperation(tx, operations, customerId, click.operationId);
        if (!isFirst) return { kind: 'repeated', operation };
        if (!operation) return { kind: 'stale', operation };
        const ready = await examine(tx, customerId, vouched, operation, click, decision, subject);
        return 'kind' in ready ? ready : carryOut(tx, ready);
      });
    },
    approve: (customerId, click, subject, complete) =>
      decisions.decide(customerId, click, 'approve', subject, async (tx, ready) => {
        if (!isOpenAsShown(ready, click)) return { kind: 'stale', operation: ready.operation } as const;
        return addApproval(tx, ready, click, subject, complete);
      }),
    decideTogether: (customerId, shown, click, decision, subject, carryOut) =>
      together(customerId, shown, click, decision, subject, () => true, carryOut),
    approveTogether: (customerId, shown, click, subject, complete) =>
      together(customerId, shown, click, 'approve', subject, isOpenAsShown, (tx, ready) =>
        addApproval(tx, ready, click, subject, complete),
      ),
  };
  return decisions;
}

/** Undecided, in time, and about the very plan that the card showed. */
function isOpenAsShown({ request, now }: Ready, shown: Shown): boolean {
  return request.decision === null && request.expiresAt > now && shown.planHash === request.planHash;
}

/** For the sealed part of an audit entry: who gave it how is personal. */
export function collected({ method, ipAddress, userAgent, tokenId }: Omit<ClickOnSeveral, 'by'>) {
  return {
    method,
    ...(ipAddress ? { ipAddress } : {}),
    ...(userAgent ? { userAgent } : {}),
    ...(tokenId ? { token: tokenId } : {}),
  };
}

interface Vouched {
  readonly standing: Standing;
  /** The group that was asked about. */
  readonly group: string | null;
}

function judge(
  by: Member | 'nobody' | 'ambiguous',
  question: Question,
  rules: Rules,
  { standing, group }: Vouched,
  decision: 'approve' | 'deny',
): Permitted {
  if (by === 'nobody') return { isPermitted: false, why: 'not_an_approver' };
  if (by === 'ambiguous') return { isPermitted: false, why: 'not_verified' };
  // The group may be another one since the platform was asked.
  const isInGroup = standing.kind === 'member' && standing.isInGroup && group === rules.approverGroup;
  return mayDecide(by, question, rules, standing.kind === 'member' ? { ...standing, isInGroup } : standing, decision);
}

/** What a card or a form knew of a person may be old, or put together: the row counts, and it has to be that person's. */
async function asOfNow(
  tx: Transaction,
  customers: Customers,
  customerId: CustomerId,
  by: Member,
): Promise<Member | 'nobody' | 'ambiguous'> {
  const now = await customers.find(tx, customerId, by.id);
  if (!now) return 'nobody';
  const { platform, workspaceId, userId } = now.person;
  const isSame =
    by.person.platform === platform && by.person.workspaceId === workspaceId && by.person.userId === userId;
  return isSame ? now : 'ambiguous';
}
