import { z } from 'zod';
import { Prisma } from '../prisma/generated/client.ts';
import type { Database } from './database.ts';
import { type CustomerId, customerId } from './ids.ts';
import type { Platform } from './ports/chat.ts';

const rows = z.array(z.object({ id: z.uuid().nullable() }));

/** What belongs to no customer: outside names to ids, by functions that return ids only, and the pause of everybody's work. */
export interface Directory {
  customerOfWorkspace(platform: Platform, workspaceId: string): Promise<CustomerId | undefined>;
  /** `tokenHash`: SHA-256 of a link's token. */
  customerOfLink(tokenHash: Uint8Array): Promise<CustomerId | undefined>;
  /** `tokenHash`: SHA-256 of a bearer token. Absent, expired, revoked and an erased customer's look alike. */
  customerOfToken(tokenHash: Uint8Array): Promise<CustomerId | undefined>;
  /** Whose these tokens are, each in its place, as they are good at this moment: one question for however many. */
  customersOfTokens(tokenHashes: readonly Uint8Array[]): Promise<readonly (CustomerId | undefined)[]>;
  /** `linkHash`: SHA-256 of the token of a link to the console, `sessionHash` of a session's. Absent, spent and over look alike. */
  customerOfConsoleLink(linkHash: Uint8Array): Promise<CustomerId | undefined>;
  customerOfConsoleSession(sessionHash: Uint8Array): Promise<CustomerId | undefined>;
  /** Of a link that was used. */
  customerOfSpentConsoleLink(linkHash: Uint8Array): Promise<CustomerId | undefined>;
  /** Customers with audit entries that one of their threads has not shown yet. */
  customersBehind(): Promise<readonly CustomerId[]>;
  /** Customers whose trail has grown since a webhook of theirs was told of it. */
  customersToTell(): Promise<readonly CustomerId[]>;
  /** Customers of whom somebody is to be told something now. */
  customersToNotify(): Promise<readonly CustomerId[]>;
  /** Customers with a connection whose next look is due, and under way nowhere, but for those whose work is held back. */
  customersToCheck(): Promise<readonly CustomerId[]>;
  /** Customers with an audit trail. */
  customersOnRecord(): Promise<readonly CustomerId[]>;
  /** Customers whose audit trail has grown since its last checkpoint. */
  customersPastCheckpoint(): Promise<readonly CustomerId[]>;
  /** All that were not erased, for work that goes from one to the next. */
  customers(): Promise<readonly CustomerId[]>;
  /** Customers whose chat was uninstalled, with something left to stop and to delete. */
  customersToClear(): Promise<readonly CustomerId[]>;
  /** The operator's pause of everybody's work; `reason` is empty where none was given. `undefined`: there is none. */
  standstill(): Promise<{ readonly since: Date; readonly reason: string } | undefined>;
  /** Begins it, or ends it with `null`. */
  setStandstill(reason: string | null): Promise<void>;
}

const standing = z.tuple([z.object({ since: z.date().nullable(), reason: z.string().nullable() })]);

/** Whose word it is vouched for with: a customer that nobody can be. */
const NOBODY = customerId('00000000-0000-0000-0000-000000000000');

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
    async customersOfTokens(tokenHashes) {
      const hashes = tokenHashes.map((hash) => Buffer.from(hash).toString('hex'));
      const statement = Prisma.sql`SELECT directory.customer_of_token(decode(h, 'hex')) AS id
        FROM unnest(${hashes}::text[]) WITH ORDINALITY AS given (h, n) ORDER BY n`;
      return rows
        .parse(await database.directory(statement))
        .map(({ id }) => (id === null ? undefined : customerId(id)));
    },
    customerOfConsoleLink: async (linkHash) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_console_link(${linkHash}) AS id`))[0],
    customerOfConsoleSession: async (sessionHash) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_console_session(${sessionHash}) AS id`))[0],
    customerOfSpentConsoleLink: async (linkHash) =>
      (await ids(Prisma.sql`SELECT directory.customer_of_spent_console_link(${linkHash}) AS id`))[0],
    customers: () => ids(Prisma.sql`SELECT id FROM directory.customers() AS id`),
    customersToClear: () => ids(Prisma.sql`SELECT id FROM directory.customers_to_clear() AS id`),
    customersBehind: () => ids(Prisma.sql`SELECT id FROM directory.customers_behind() AS id`),
    customersToTell: () => ids(Prisma.sql`SELECT id FROM directory.customers_to_tell() AS id`),
    customersToNotify: () => ids(Prisma.sql`SELECT id FROM directory.customers_to_notify() AS id`),
    customersToCheck: () => ids(Prisma.sql`SELECT id FROM directory.customers_to_check() AS id`),
    customersOnRecord: () => ids(Prisma.sql`SELECT id FROM directory.customers_on_record() AS id`),
    async standstill() {
      const [{ since, reason }] = standing.parse(
        await database.directory(Prisma.sql`SELECT since, reason FROM app.standstill()`),
      );
      return since === null ? undefined : { since, reason: reason ?? '' };
    },
    async setStandstill(reason) {
      const word = reason === null ? 'end' : `begin|${reason}`;
      const vouched = database.vouched('pause', NOBODY, word, Prisma.sql`${reason}::text`);
      await database.directory(Prisma.sql`SELECT app.set_standstill(${vouched}) AS changed`);
    },
    customersPastCheckpoint: () => ids(Prisma.sql`SELECT id FROM directory.customers_past_checkpoint() AS id`),
  };
}
