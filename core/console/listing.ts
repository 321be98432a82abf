import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import { isSamePerson, type Member } from '../customers/customers.ts';
import type { Transaction } from '../database.ts';
import { type CustomerId, OPERATION_ID } from '../ids.ts';
import { machineMsAt, readExecution } from '../operations/execution.ts';
import { OPEN_STATES, type OperationState, parseState } from '../operations/states.ts';
import { type Page, pageOf, readCursor } from '../page.ts';

/** One line of the list of operations: what a look at it tells, read without anything sealed. */
export interface OperationLine {
  readonly id: string;
  readonly service: string;
  readonly type: string;
  readonly target: string;
  readonly state: OperationState;
  readonly requester: string;
  readonly createdAt: Date;
  /** Machine time in milliseconds; `undefined`: nothing has run. */
  readonly durationMs: number | undefined;
  /** How many of its steps are done. */
  readonly done: number;
  readonly steps: number;
}

export interface OperationFilter {
  /** `open`: whatever is not over. */
  readonly state?: OperationState | 'open' | undefined;
  readonly service?: string | undefined;
  /** In the id, the service, the target or the requester's name; capitals don't matter. */
  readonly text?: string | undefined;
}

const lineRows = z.array(
  z.object({
    id: z.string(),
    service: z.string(),
    type: z.string(),
    target: z.string(),
    status: z.string(),
    requester: z.string(),
    createdAt: z.date(),
    execution: z.unknown(),
    done: z.int(),
    steps: z.int(),
    now: z.date(),
  }),
);

/** Whose operations somebody sees: an approver and an admin everybody's, anybody else those they asked for by any account. */
export function isEverybodys({ roles }: Pick<Member, 'roles'>): boolean {
  return roles.includes('approver') || roles.includes('admin');
}

/** Newest first. `of`: whose operations these may be, see `isEverybodys`. @param after the `next` of the page before */
export async function listOperations(
  tx: Transaction,
  customerId: CustomerId,
  of: Member,
  { state, service, text }: OperationFilter,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<Page<OperationLine>> {
  // What somebody made up is no cursor: the list then begins at its beginning.
  const cursor = after === undefined ? undefined : readCursor(after, OPERATION_ID);
  const states = state === 'open' ? OPEN_STATES : state === undefined ? undefined : [state];
  const like = text === undefined || text.trim() === '' ? undefined : `%${escapeLike(text.trim())}%`;
  const where = [
    Prisma.sql`o.customer_id = ${customerId}::uuid`,
    ...(isEverybodys(of) ? [] : [await ownedBy(tx, customerId, of)]),
    ...(states ? [Prisma.sql`o.status = ANY (${[...states]})`] : []),
    ...(service ? [Prisma.sql`o.service = ${service}`] : []),
    ...(like ? [await holding(tx, customerId, like)] : []),
    ...(cursor ? [Prisma.sql`(o.created_at, o.id) < (${cursor.at}::timestamptz, ${cursor.id})`] : []),
  ];
  const rows = lineRows.parse(
    await tx.$queryRaw`
      SELECT o.id, o.service, o.operation AS type, o.target, o.status, o.created_at AS "createdAt",
        (SELECT m.name FROM members m WHERE m.customer_id = o.customer_id AND m.id = o.user_id) AS requester,
        o.execution_metadata AS execution, o.total_steps AS steps,
        (SELECT count(*)::int FROM operation_steps s
         WHERE s.customer_id = o.customer_id AND s.operation_id = o.id AND s.state = 'done') AS done, app.now() AS now
      FROM autonomous_operations o
      WHERE ${Prisma.join(where, ' AND ')}
      ORDER BY o.created_at DESC, o.id DESC LIMIT ${limit + 1}`,
  );
  const page = pageOf(rows, { limit }, ({ createdAt: at, id }) => ({ at, id }));
  const items = page.items.map(({ status, execution, now, ...row }): OperationLine => {
    const ms = machineMsAt(readExecution(execution), now);
    return { ...row, state: parseState(status), durationMs: ms === 0 ? undefined : ms };
  });
  return { ...page, items };
}

const counted = z.tuple([z.object({ open: z.int(), waiting: z.int() })]);

/** How many operations are not over, and how many countersignatures approvers are waited for: of plans, and of repairs to come. */
export async function countOpen(
  tx: Transaction,
  customerId: CustomerId,
  of: Member,
): Promise<{ readonly open: number; readonly waiting: number }> {
  const own = isEverybodys(of) ? Prisma.sql`true` : await ownedBy(tx, customerId, of);
  const [row] = counted.parse(
    await tx.$queryRaw`
      SELECT count(*)::int AS open, (count(*) FILTER (WHERE o.status = 'awaiting_consent')
        + (SELECT count(*) FROM consent_requests r
          WHERE r.customer_id = ${customerId}::uuid AND r.terms IS NOT NULL AND r.decision IS NULL))::int AS waiting
      FROM autonomous_operations o
      WHERE o.customer_id = ${customerId}::uuid AND o.status = ANY (${[...OPEN_STATES]}) AND ${own}`,
  );
  return row;
}

/** Whether this is an operation that they may see. */
export function maySee(operation: { readonly requester: Pick<Member, 'personId'> }, member: Member): boolean {
  return isEverybodys(member) || isSamePerson(operation.requester, member);
}

/** By all accounts of one person, see `Member.personId`. */
async function ownedBy(tx: Transaction, customerId: CustomerId, { id, personId }: Member): Promise<Prisma.Sql> {
  const accounts =
    personId === id ? [] : await tx.member.findMany({ where: { customerId, personId }, select: { id: true } });
  const [only, ...others] = new Set([id as string, ...accounts.map((account) => account.id)]);
  // Of one account alone the rows come in the order of the index.
  if (others.length === 0) return Prisma.sql`o.user_id = ${only}::uuid`;
  return Prisma.sql`o.user_id = ANY (${[only, ...others]}::uuid[])`;
}

/** In the id, the service, the target or the requester's name. People are few, and a join would cost the list the order of its index. */
async function holding(tx: Transaction, customerId: CustomerId, like: string): Promise<Prisma.Sql> {
  const people = idRows.parse(
    await tx.$queryRaw`SELECT id::text AS id FROM members WHERE customer_id = ${customerId}::uuid AND name ILIKE ${like}`,
  );
  return Prisma.sql`(o.id ILIKE ${like} OR o.service ILIKE ${like} OR o.target ILIKE ${like} OR o.user_id = ANY (${people.map(({ id }) => id)}::uuid[]))`;
}

const idRows = z.array(z.object({ id: z.string() }));

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}
