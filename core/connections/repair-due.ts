import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { CREDENTIAL_TYPES, type CredentialType } from '../vault/credential.ts';

/** Before its day, and by so much of the time between two, a key may be replaced: so keys of one day are spread over several. */
const SPREAD = 0.1;
const SPREAD_DAYS_MAX = 7;

const rows = z.array(z.object({ service: z.string(), target: z.string(), credentialType: z.enum(CREDENTIAL_TYPES) }));

export interface Due {
  readonly service: string;
  readonly target: string;
  readonly credentialType: CredentialType;
}

/**
 * Keys of operations whose time to be replaced has come, the oldest first: at `days` after they were stored, less a part of the
 * spread that follows from the key's own id, so that it is the same at every look.
 * @param at absent: everywhere
 */
export async function dueForRotation(
  tx: Transaction,
  customerId: CustomerId,
  days: number,
  at?: Due,
): Promise<readonly Due[]> {
  const spreadSeconds = Math.floor(Math.min(days * SPREAD, SPREAD_DAYS_MAX) * 86_400);
  const there = at
    ? Prisma.sql`AND service = ${at.service} AND target = ${at.target} AND credential_type = ${at.credentialType}`
    : Prisma.empty;
  return rows.parse(
    await tx.$queryRaw`
      SELECT service, target, credential_type AS "credentialType" FROM autonomous_credentials
      WHERE customer_id = ${customerId}::uuid AND operation_id IS NULL AND credential_metadata ? 'operationId' ${there}
        AND coalesce(last_rotated_at, created_at) + make_interval(days => ${days}::int)
          - make_interval(secs => abs(hashtext(id::text)::bigint) % (${spreadSeconds}::bigint + 1)) <= app.now()
      ORDER BY coalesce(last_rotated_at, created_at)`,
  );
}
