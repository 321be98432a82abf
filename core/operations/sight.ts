import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { consentRow } from './parts.ts';

/** What says whether a worker may act on an operation, as of one moment of the database's clock. */
export type Sight = z.infer<typeof sight>;

const sight = z.object({
  id: z.string(),
  status: z.string(),
  fence: z.bigint(),
  /** Whether it is held back, by whomever. */
  isHeld: z.boolean(),
  plan: z.string(),
  planHash: z.string(),
  updatedAt: z.date(),
  /** The newest countersignature of its own; where its plan says that it runs under a standing grant, that one. */
  consent: consentRow.nullable(),
  now: z.date(),
});
const rows = z.array(sight).max(1);

const columns = (
  id: string,
) => Prisma.sql`${id}::text AS id, status, fence, is_held AS "isHeld", plan, plan_hash AS "planHash",
  updated_at AS "updatedAt", consent, now`;

/** @returns `undefined`: there is no such operation */
export async function sightOf(tx: Transaction, customerId: CustomerId, id: string): Promise<Sight | undefined> {
  return rows.parse(await tx.$queryRaw`SELECT ${columns(id)} FROM app.sight(${customerId}::uuid, ${id})`)[0];
}

/** The same in a statement of its own, which costs a fraction of a transaction. */
export async function readSight(database: Database, customerId: CustomerId, id: string): Promise<Sight | undefined> {
  const read = (context: Prisma.Sql) => Prisma.sql`SELECT ${columns(id)} FROM app.look(${context}, ${id})`;
  return rows.parse(await database.readAs(customerId, read))[0];
}
