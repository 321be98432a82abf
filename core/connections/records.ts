import { z } from 'zod';
import { type ConnectionHealth, Prisma } from '../../prisma/generated/client.ts';
import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid } from '../ids.ts';
import { type StoredCredential, toStored } from '../vault/credential.ts';
import type { ConnectionPlace } from './place.ts';
import { CONNECTION_STATES, type ConnectionState, type Standing } from './verdict.ts';

/** What may be shown of a connection. */
export interface ConnectionView {
  readonly credential: StoredCredential;
  readonly state: ConnectionState;
  readonly reason: string;
  readonly since: Date;
  /** `null`: it was not looked at yet. */
  readonly checkedAt: Date | null;
}

/** A look that is this process's alone, until `CLAIM_MINUTES` are over or it is settled. */
export interface Claim {
  readonly token: string;
  readonly place: ConnectionPlace;
  readonly credential: StoredCredential;
  readonly standing: Standing;
  readonly toldOf: string | null;
}

/** Longer than the calls of any service's proof take together, each at its own limit. */
const CLAIM_MINUTES = 15;

const dueRows = z.array(z.object({ service: z.string(), target: z.string(), credentialType: z.string() }));
const stateSchema = z.enum(CONNECTION_STATES);

/**
 * A row `h` whose look is due and under way nowhere, with no operation at work at its place: what can't be looked at now takes
 * no turn of what can. Due is also what only a clock that was ahead can have written: `directory.customers_to_check` has the same.
 */
const IS_DUE = Prisma.sql`h.next_check_at IS NOT NULL
  AND (h.next_check_at <= app.now() OR h.next_check_at > app.now() + interval '8 days'
    OR greatest(h.checked_at, h.since) > app.now() + interval '1 minute')
  AND (h.claimed_until IS NULL OR h.claimed_until <= app.now() OR h.claimed_until > app.now() + interval '16 minutes')
  AND NOT EXISTS (SELECT FROM autonomous_operations o WHERE o.customer_id = h.customer_id AND o.service = h.service
    AND o.target = h.target AND o.status IN ('queued', 'in_progress'))`;

/** Connections whose look is due and under way nowhere, those that wait longest first. */
export async function dueOf(
  tx: Transaction,
  customerId: CustomerId,
  most: number,
): Promise<readonly ConnectionPlace[]> {
  const rows = dueRows.parse(
    await tx.$queryRaw`
      SELECT h.service, h.target, h.credential_type AS "credentialType" FROM connection_health h
      WHERE h.customer_id = ${customerId}::uuid AND ${IS_DUE}
      ORDER BY least(h.next_check_at, app.now()) LIMIT ${most}`,
  );
  return rows.map((row) => ({ customerId, ...row }));
}

/**
 * Takes the look, in one statement: of two processes that try, the second waits for the row and finds it taken. Not while an
 * operation works on that place: what it is in the middle of is nobody's verdict. `undefined`: not now, or no key lies there.
 */
export async function claim(tx: Transaction, place: ConnectionPlace): Promise<Claim | undefined> {
  const { customerId, service, target, credentialType } = place;
  const token = newUuid();
  const taken = await tx.$executeRaw`
    UPDATE connection_health h SET claim = ${token}::uuid,
      claimed_until = app.now() + make_interval(mins => ${CLAIM_MINUTES}::int)
    WHERE h.customer_id = ${customerId}::uuid AND h.service = ${service} AND h.target = ${target}
      AND h.credential_type = ${credentialType} AND ${IS_DUE}`;
  if (taken === 0) return undefined;
  const found = await credentialAt(tx, place);
  const row = await tx.connectionHealth.findUniqueOrThrow({ where: whereOf(place) });
  if (!found) {
    await tx.connectionHealth.update({ where: whereOf(place), data: { ...FREE, nextCheckAt: null } });
    return undefined;
  }
  return { token, place, credential: found, standing: standingOf(row, await databaseNow(tx)), toldOf: row.toldOf };
}

/**
 * Locks the row of a look for its end. `false`: it is not ours any more, the key is another one than the one that was looked at,
 * or an operation has begun meanwhile; what was found then counts for nothing.
 */
export async function isStillOurs(tx: Transaction, { token, place, credential }: Claim): Promise<boolean> {
  const { customerId, service, target, credentialType } = place;
  const held = await tx.$queryRaw<unknown[]>`
    SELECT 1 AS held FROM connection_health WHERE customer_id = ${customerId}::uuid AND service = ${service} AND target = ${target}
      AND credential_type = ${credentialType} AND claim = ${token}::uuid FOR UPDATE`;
  if (held.length === 0) return false;
  const now = await credentialAt(tx, place);
  const running = await tx.operation.count({
    where: { customerId, service, target, status: { in: ['queued', 'in_progress'] } },
  });
  return now?.id === credential.id && now.version === credential.version && running === 0;
}

const FREE = { claim: null, claimedUntil: null } as const;

/** Ends a look with what is known now. */
export async function settle(
  tx: Transaction,
  { place }: Claim,
  standing: Standing,
  {
    checkedAt,
    nextCheckAt,
    toldOf,
  }: { readonly checkedAt: Date; readonly nextCheckAt: Date; readonly toldOf: string | null },
): Promise<void> {
  await tx.connectionHealth.update({
    where: whereOf(place),
    data: { ...standing, ...FREE, checkedAt, nextCheckAt, toldOf },
  });
}

/** Gives a look back that came to nothing: it is due again then. */
export async function release(tx: Transaction, { token, place }: Claim, afterMs: number): Promise<void> {
  const { customerId, service, target, credentialType } = place;
  await tx.$executeRaw`
    UPDATE connection_health SET claim = NULL, claimed_until = NULL,
      next_check_at = app.now() + make_interval(secs => ${afterMs / 1000}::float8)
    WHERE customer_id = ${customerId}::uuid AND service = ${service} AND target = ${target}
      AND credential_type = ${credentialType} AND claim = ${token}::uuid`;
}

/** Somebody saw whether it works: where its row says otherwise, the next pass looks for itself. */
export async function lookSoon(tx: Transaction, place: ConnectionPlace, works: boolean): Promise<void> {
  const { customerId, service, target, credentialType } = place;
  await tx.$executeRaw`
    UPDATE connection_health SET next_check_at = least(next_check_at, app.now())
    WHERE customer_id = ${customerId}::uuid AND service = ${service} AND target = ${target}
      AND credential_type = ${credentialType} AND next_check_at IS NOT NULL AND (state = 'healthy') <> ${works}`;
}

/** The connections of a customer, newest key first: each stored key with its health. */
export async function connectionsOf(tx: Transaction, customerId: CustomerId): Promise<readonly ConnectionView[]> {
  const stored = await tx.credential.findMany({
    where: { customerId, operationId: null, NOT: { credentialType: 'oauth_token' } },
    orderBy: { createdAt: 'desc' },
  });
  const rows = await tx.connectionHealth.findMany({ where: { customerId } });
  const health = new Map(rows.map((row) => [nameOf(row), row]));
  return stored.flatMap((credential) => {
    const row = health.get(nameOf(credential));
    if (!row) return [];
    const { reason, since, checkedAt } = row;
    return [{ credential: toStored(credential), state: stateSchema.parse(row.state), reason, since, checkedAt }];
  });
}

function nameOf(place: Readonly<Record<'service' | 'target' | 'credentialType', string>>): string {
  return [place.service, place.credentialType, place.target].join('|');
}

async function credentialAt(tx: Transaction, place: ConnectionPlace): Promise<StoredCredential | undefined> {
  const { customerId, service, target, credentialType } = place;
  const row = await tx.credential.findFirst({
    where: { customerId, service, target, credentialType, operationId: null },
  });
  return row ? toStored(row) : undefined;
}

function whereOf({ customerId, service, target, credentialType }: ConnectionPlace) {
  return { customerId_service_target_credentialType: { customerId, service, target, credentialType } };
}

/** Nothing has been since a time to come: where the clock was ahead, it has been since now. */
function standingOf(row: ConnectionHealth, now: Date): Standing {
  const { reason, failures, toldCount, warnedDays, warnedFor } = row;
  const notAhead = <T extends Date | null>(at: T) => (at !== null && at > now ? now : at);
  return {
    ...{ state: stateSchema.parse(row.state), toldState: stateSchema.parse(row.toldState) },
    ...{ since: notAhead(row.since), refusedSince: notAhead(row.refusedSince), toldAt: notAhead(row.toldAt) },
    ...{ reason, failures, toldCount, warnedDays, warnedFor },
  };
}
