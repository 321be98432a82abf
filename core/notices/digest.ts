import { z } from 'zod';
import { connectionsOf } from '../connections/records.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { KEY_TYPES } from '../webhooks/message.ts';
import { isRenewed, lastingConsents } from './lapsing.ts';

/** What a week was, in numbers, and what asks for somebody soon. Never a value, and of nobody else. */
export interface Digest {
  readonly from: Date;
  readonly to: Date;
  readonly completed: number;
  readonly failed: number;
  readonly keysMade: number;
  readonly keysRotated: number;
  /** What was asked of the model in the week, in US dollars; an unknown end counts as the most that it may have cost. */
  readonly modelUsd: number;
  readonly expiring: readonly DigestKey[];
  readonly lapsing: readonly DigestKey[];
  readonly unhealthy: readonly UnhealthyConnection[];
}

/** A connection, and when its key or consent ends. */
export interface DigestKey {
  readonly service: string;
  /** The site's address. */
  readonly target: string;
  readonly at: Date;
}

export interface UnhealthyConnection {
  readonly service: string;
  readonly target: string;
  /** As the connection's record has it, such as `expired`. */
  readonly state: string;
}

/** Ahead of its end a key, or a consent, is named in the summary: the week that begins, and one more. */
const AHEAD_DAYS = 14;
const WEEK_MS = 7 * 86_400_000;

const numbers = z.tuple([
  z.object({
    completed: z.int(),
    failed: z.int(),
    keysMade: z.int(),
    keysRotated: z.int(),
    modelUsd: z.number(),
  }),
]);

export async function digestOf(tx: Transaction, customerId: CustomerId, to: Date): Promise<Digest> {
  const since = new Date(to.getTime() - WEEK_MS);
  const [week] = numbers.parse(
    await tx.$queryRaw`
      SELECT
        (SELECT count(*)::int FROM autonomous_operations WHERE customer_id = ${customerId}::uuid AND status = 'completed'
          AND completed_at >= ${since} AND completed_at < ${to}) AS completed,
        (SELECT count(*)::int FROM autonomous_operations WHERE customer_id = ${customerId}::uuid AND status = 'failed'
          AND completed_at >= ${since} AND completed_at < ${to}) AS failed,
        count(*) FILTER (WHERE a.kind = 'credential.stored')::int AS "keysMade",
        count(*) FILTER (WHERE a.kind = 'credential.rotated')::int AS "keysRotated",
        (SELECT coalesce(sum(coalesce(spent_micros, reserved_micros)), 0)::float8 / 1000000 FROM model_calls
          WHERE customer_id = ${customerId}::uuid AND created_at >= ${since} AND created_at < ${to}) AS "modelUsd"
      FROM autonomous_operations_audit a WHERE a.customer_id = ${customerId}::uuid AND a.at >= ${since} AND a.at < ${to}
        AND a.kind IN ('credential.stored', 'credential.rotated')
        AND a.header::jsonb ->> 'credentialType' = ANY (${[...KEY_TYPES]}::text[]) AND a.header::jsonb ->> 'why' IS NULL`,
  );
  const soon = new Date(to.getTime() + AHEAD_DAYS * 86_400_000);
  const keys = await tx.credential.findMany({
    where: { customerId, operationId: null, expiresAt: { gt: to, lte: soon } },
    ...{ select: { service: true, target: true, expiresAt: true }, orderBy: { expiresAt: 'asc' } },
  });
  const consents = await lastingConsents(tx, customerId);
  const lapsing = consents.filter(
    (one) => one.expiresAt !== null && one.expiresAt <= soon && !isRenewed(one, consents),
  );
  const ends = (all: readonly { service: string; target: string; expiresAt: Date | null }[]) =>
    all.flatMap(({ service, target, expiresAt: at }) => (at === null ? [] : [{ service, target, at }]));
  return {
    from: since,
    to,
    ...week,
    expiring: ends(keys),
    lapsing: ends(lapsing),
    unhealthy: await unhealthyOf(tx, customerId),
  };
}

/** A week in which nothing was done and nothing asks for anybody is not told. */
export function isEmpty({ completed, failed, keysMade, keysRotated, modelUsd, ...lists }: Digest): boolean {
  const done = completed + failed + keysMade + keysRotated;
  return done === 0 && modelUsd === 0 && lists.expiring.length + lists.lapsing.length + lists.unhealthy.length === 0;
}

/** Keys that do not work as they should, as far as somebody has looked. */
async function unhealthyOf(tx: Transaction, customerId: CustomerId): Promise<readonly UnhealthyConnection[]> {
  const all = await connectionsOf(tx, customerId);
  return all
    .filter(({ state, checkedAt }) => state !== 'healthy' && checkedAt !== null)
    .map(({ credential: { service, target }, state }) => ({ service, target, state }));
}
