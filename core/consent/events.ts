import { z } from 'zod';
import { type ConsentRequest, Prisma } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId, MemberId } from '../ids.ts';

/** How a decision was given, truthfully. */
export type CollectionMethod = 'web' | 'slack_button' | 'teams_card' | 'api' | 'console';

export interface Approval {
  readonly memberId: string;
  readonly at: Date;
}

export interface CountedApproval extends Approval {
  readonly personId: string;
}

/** What the program itself adds to a question's events; decisions are added by the rows that they change. */
export type OwnEvent =
  | {
      readonly kind: 'approved';
      readonly memberId: MemberId;
      readonly method: CollectionMethod;
      readonly basis: string;
      readonly permissions: readonly string[];
    }
  | {
      readonly kind: 'refused';
      /** Absent: the customer has no such member. */
      readonly memberId: MemberId | undefined;
      readonly method: CollectionMethod;
      readonly reason: string;
    }
  | { readonly kind: 'reminded' };

type AskedQuestion = Pick<ConsentRequest, 'customerId' | 'id' | 'operationId' | 'planHash'>;

/**
 * The database numbers the event, gives it its time, and refuses it when the question is closed; an approval it takes with
 * the program's word alone.
 */
export async function addEvent(
  tx: Transaction,
  database: Database,
  question: AskedQuestion,
  event: OwnEvent,
): Promise<void> {
  const { id, operationId, planHash } = question;
  const customerId = question.customerId as CustomerId; // a row of this customer's own transaction
  const { memberId, method, basis, permissions, reason } = { ...nothing, ...event };
  const approval = [id, operationId, memberId, planHash, method, permissions?.join(','), basis].join('|');
  const plain = Prisma.sql`${event.kind}::text`;
  const kind = event.kind === 'approved' ? database.vouched('approval', customerId, approval, plain) : plain;
  await tx.$executeRaw`
    INSERT INTO consent_events (customer_id, request_id, operation_id, kind, member_id, method, basis, plan_hash, permissions, reason)
    VALUES (${customerId}::uuid, ${id}::uuid, ${operationId}, ${kind}, ${memberId ?? null}::uuid, ${method}, ${basis},
      ${planHash}, ${permissions && JSON.stringify(permissions)}::jsonb, ${reason})`;
}

/** Whether the question's events tell of the same refusal of the same member; of somebody unknown nobody can say that. */
export async function isRefusedBefore(
  tx: Transaction,
  { customerId, id: requestId }: AskedQuestion,
  { memberId, reason }: Extract<OwnEvent, { kind: 'refused' }>,
): Promise<boolean> {
  if (memberId === undefined) return false;
  return (await tx.consentEvent.count({ where: { customerId, requestId, kind: 'refused', memberId, reason } })) > 0;
}

const nothing = { memberId: null, method: null, basis: null, permissions: null, reason: null };

/** The approvals that count as things stand, one a person, oldest first: the database's own count, which guards the grant. */
export async function countedApprovals(
  tx: Transaction,
  customerId: CustomerId,
  requestId: string,
): Promise<readonly CountedApproval[]> {
  return counted.parse(
    await tx.$queryRaw`SELECT member_id AS "memberId", person_id AS "personId", at FROM app.counted_approvals(${customerId}::uuid, ${requestId}::uuid) ORDER BY at`,
  );
}

const counted = z.array(z.object({ memberId: z.uuid(), personId: z.uuid(), at: z.date() }));
