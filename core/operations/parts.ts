import { z } from 'zod';
import type { Consent, ConsentRequest, Member, OperationStep, Prisma } from '../../prisma/generated/client.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';

/** What belongs to one operation's row, as it lies in the tables. */
export type Parts = z.infer<typeof partsRow>;

const moment = z.string().transform((text) => new Date(text)); // a timestamptz(3) of a session in UTC
const bigint = z.number().transform(BigInt); // fences: far below 2^53
const json = z.custom<Prisma.JsonValue>(() => true); // a jsonb column's value is JSON

/** A table's row as `to_jsonb` gives it, under the names that Prisma has for its columns. */
function rowOf<Shape extends z.ZodRawShape>(shape: Shape) {
  // Columns in the order of the names that they are read under: many rows are read at once, so nothing is made up for each.
  const columns = Object.keys(shape).map(
    (name) => [name, name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] as const,
  );
  return z.preprocess((row) => {
    if (row === null || typeof row !== 'object') return row;
    const named: Record<string, unknown> = {};
    for (const [name, column] of columns) named[name] = (row as Record<string, unknown>)[column]; // an object has properties
    return named;
  }, z.object(shape));
}

const request = rowOf({
  ...{ customerId: z.string(), id: z.string(), operationId: z.string(), planHash: z.string() },
  ...{ askedAt: moment, expiresAt: moment, askedBy: z.string().nullable(), askedFor: json, widened: json },
  ...{ decision: z.string().nullable(), decidedAt: moment.nullable(), decidedBy: z.string().nullable() },
  ...{ method: z.string().nullable(), terms: z.string().nullable() },
}) satisfies z.ZodType<ConsentRequest>;

const consent = rowOf({
  ...{ customerId: z.string(), id: z.string(), requestId: z.string(), operationId: z.string(), userId: z.string() },
  ...{ service: z.string(), operation: z.string(), target: z.string(), permissions: json, planHash: z.string() },
  ...{
    grantedAt: moment,
    expiresAt: moment.nullable(),
    revokedAt: moment.nullable(),
    revokedBy: z.string().nullable(),
  },
  ...{ collectionMethod: z.string(), ipAddress: z.string().nullable(), userAgent: z.string().nullable() },
  ...{ consentVersion: z.string(), extends: z.string().nullable(), templateHash: z.string().nullable() },
  ...{ keeps: z.array(z.string()), createdAt: moment },
}) satisfies z.ZodType<Consent>;

const step = rowOf({
  ...{ customerId: z.string(), operationId: z.string(), number: z.int(), intent: z.string(), state: z.string() },
  ...{ attempt: bigint, rung: z.string().nullable(), startedAt: moment.nullable(), finishedAt: moment.nullable() },
  ...{ durationMs: z.int().nullable(), screenshotId: z.string().nullable(), note: z.string().nullable() },
}) satisfies z.ZodType<OperationStep>;

const member = rowOf({
  ...{ customerId: z.string(), id: z.string(), platform: z.string(), workspaceId: z.string(), userId: z.string() },
  ...{ name: z.string(), roles: z.array(z.string()), personId: z.string().nullable(), createdAt: moment },
}) satisfies z.ZodType<Member>;

const partsRow = z.object({
  id: z.string(),
  platform: z.string(),
  workspaceId: z.string(),
  request: request.nullable(),
  /** Approvals and reminders of that request, oldest first. */
  events: z.array(z.object({ kind: z.string(), memberId: z.string().nullable(), at: moment })),
  consent: consent.nullable(),
  intent: z.object({ label: z.string(), state: z.string(), attempt: bigint }).nullable(),
  signIn: z.object({ actor: z.string(), at: moment }).nullable(),
  isKeyStored: z.boolean(),
  steps: z.array(step),
  retriedAs: z.string().nullable(),
  /** Everybody whom any of these names. */
  people: z.array(member),
});
const partsRows = z.array(partsRow);

/** Of all these operations, in one statement: a transaction is one connection, and each statement a way there and back. */
export async function partsOf(
  tx: Transaction,
  customerId: CustomerId,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Parts>> {
  const rows = partsRows.parse(
    await tx.$queryRaw`
      SELECT o.id, t.platform, t.workspace_id AS "workspaceId", r.row AS request, c.row AS consent, i.row AS intent,
        CASE WHEN s.actor IS NOT NULL THEN jsonb_build_object('actor', s.actor, 'at', s.at) END AS "signIn",
        coalesce((SELECT jsonb_agg(jsonb_build_object('kind', e.kind, 'memberId', e.member_id, 'at', e.at) ORDER BY e.n)
          FROM consent_events e
          WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind IN ('approved', 'reminded')), '[]') AS events,
        EXISTS (SELECT FROM autonomous_credentials k WHERE k.customer_id = o.customer_id AND k.operation_id IS NULL
          AND k.credential_metadata ->> 'operationId' = o.id) AS "isKeyStored",
        coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.number) FROM operation_steps x
          WHERE x.customer_id = o.customer_id AND x.operation_id = o.id), '[]') AS steps,
        CASE WHEN o.completed_at IS NOT NULL THEN
          (SELECT y.id FROM autonomous_operations y WHERE y.customer_id = o.customer_id AND y.retry_of = o.id) END AS "retriedAs",
        (SELECT jsonb_agg(to_jsonb(m)) FROM members m WHERE m.customer_id = o.customer_id AND m.id = ANY (
          ARRAY[o.user_id, o.held_by, r.decided_by, c.user_id, s.actor::uuid]
          || ARRAY(SELECT w.value::uuid FROM jsonb_each_text(r.widened) w)
          || ARRAY(SELECT e.member_id FROM consent_events e
            WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved'))) AS people
      FROM autonomous_operations o
      JOIN threads t ON t.customer_id = o.customer_id AND t.id = o.thread_id
      LEFT JOIN LATERAL (SELECT q.id, q.decided_by, q.widened, to_jsonb(q) AS row FROM consent_requests q
        WHERE q.customer_id = o.customer_id AND q.operation_id = o.id AND q.terms IS NULL
        ORDER BY q.asked_at DESC LIMIT 1) r ON true
      LEFT JOIN LATERAL (SELECT g.user_id, to_jsonb(g) AS row FROM autonomous_consent g
        WHERE g.customer_id = o.customer_id AND g.operation_id = o.id AND g.template_hash IS NULL
        ORDER BY g.granted_at DESC LIMIT 1) c ON true
      LEFT JOIN LATERAL (SELECT jsonb_build_object('label', n.label, 'state', n.state, 'attempt', n.attempt) AS row
        FROM operation_intents n WHERE n.customer_id = o.customer_id AND n.operation_id = o.id
        ORDER BY n.started_at DESC LIMIT 1) i ON true
      LEFT JOIN LATERAL (SELECT a.header::jsonb ->> 'actor' AS actor, a.at FROM autonomous_operations_audit a
        WHERE a.customer_id = o.customer_id AND a.operation_id = o.id AND a.kind = 'credentials.entered'
        ORDER BY a.seq LIMIT 1) s ON true
      WHERE o.customer_id = ${customerId}::uuid AND o.id = ANY (${[...ids]})`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}
