import { z } from 'zod';
import { Prisma } from '../prisma/generated/client.ts';
import type { Database } from './database.ts';
import { type CustomerId, customerId } from './ids.ts';
import type { Platform } from './ports/chat.ts';

const rows = z.array(z.object({ id: z.uuid().nullable() }));

/** Outside names to ids: functions of the database that know no customer and return ids only. */
export interface Directory {
  customerOfWorkspace(platform: Platform, workspaceId: string): Promise<CustomerId | undefined>;
  /** `tokenHash`: SHA-256 of a link's token. */
  customerOfLink(tokenHash: Uint8Array): Promise<CustomerId | undefined>;
  /** `tokenHash`: SHA-256 of a bearer token. Absent, expired, revoked and an erased customer's look alike. */
  customerOfToken(tokenHash: Uint8Array): Promise<CustomerId | undefined>;
  /** Customers with audit entries that one of their threads has not shown yet. */
  customersBehind(): Promise<readonly CustomerId[]>;
  /** Customers with an audit trail. */
  customersOnRecord(): Promise<readonly CustomerId[]>;
  /** Customers whose audit trail has grown since its last checkpoint. */
  customersPastCheckpoint(): Promise<readonly CustomerId[]>;
  /** All that were not erased, for work that goes from one to the next. */
  customers(): Promise<readonly CustomerId[]>;
}

export function createDirectory(database: Database): Directory {
  const ids = async (sql: Prisma.Sql) =>
    rows.parse(await database.directory(sql)).flatMap((row) => (row.id === null ? [] : [customerId(row.id)]));
  return {
    customerOfWorkspace: async (platform, workspaceId) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_workspace(${platform}, ${workspaceId}) AS id`))[0],
    customerOfLink: async (tokenHash) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_link(${tokenHash}) AS id`))[0],
    customerOfToken: async (tokenHash) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_token(${tokenHash}) AS id`))[0],
    customers: () => ids(Prisma.sql`SELECT id FROM directory.customers() AS id`),
    customersBehind: () => ids(Prisma.sql`SELECT id FROM directory.customers_behind() AS id`),
    customersOnRecord: () => ids(Prisma.sql`SELECT id FROM directory.customers_on_record() AS id`),
    customersPastCheckpoint: () => ids(Prisma.sql`SELECT id FROM directory.customers_past_checkpoint() AS id`),
  };
}
