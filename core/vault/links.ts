import { createHash, randomBytes } from 'node:crypto';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type MemberId, memberId, newUuid, type OperationId } from '../ids.ts';

/** `keep`: the sign-in that a standing grant keeps. */
export type LinkPurpose = 'credentials' | 'answer' | 'reveal' | 'export' | 'keep';

export const LINK_MINUTES = 15;

/** A one-time page for one person. Its token is shown once, to that person, and kept as a hash. */
export interface Link {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly purpose: LinkPurpose;
  readonly operationId: OperationId;
  readonly memberId: MemberId;
  readonly expiresAt: Date;
}

export interface Links {
  /** @returns the link's id, and its token: 256 random bits in base64url. */
  issue(
    tx: Transaction,
    customerId: CustomerId,
    link: { purpose: LinkPurpose; operationId: OperationId; memberId: MemberId },
  ): Promise<{ id: string; token: string; expiresAt: Date }>;
  /** Looks without spending. `undefined`: unknown, spent or expired, which look alike from outside. */
  look(token: string): Promise<Link | undefined>;
  /** Spends the link inside `tx`: true for exactly one caller. */
  spend(tx: Transaction, link: Pick<Link, 'customerId' | 'id'>): Promise<boolean>;
}

export function createLinks(deps: { database: Database; directory: Directory }): Links {
  const { database, directory } = deps;
  return {
    async issue(tx, customerId, link) {
      const token = randomBytes(32).toString('base64url');
      const now = await databaseNow(tx);
      const expiresAt = new Date(now.getTime() + LINK_MINUTES * 60_000);
      const id = newUuid();
      const tokenHash = hash(token);
      const { purpose, operationId, memberId } = link;
      const word = [id, tokenHash.toString('hex'), purpose, operationId, memberId].join('|');
      await database.vouch(tx, 'link', customerId, word);
      await tx.connectLink.create({
        data: { customerId, id, tokenHash: Uint8Array.from(tokenHash), ...link, expiresAt },
      });
      return { id, token, expiresAt };
    },
    async look(token) {
      const tokenHash = Uint8Array.from(hash(token));
      const customerId = await directory.customerOfLink(tokenHash);
      if (!customerId) return undefined;
      return database.withCustomer(customerId, async (tx) => {
        const row = await tx.connectLink.findUnique({ where: { tokenHash } });
        const now = await databaseNow(tx);
        if (!row || row.spentAt || row.expiresAt <= now) return undefined;
        return {
          customerId,
          id: row.id,
          // CHECK connect_links_purpose_check guarantees the union; the id is one of ours by foreign key.
          purpose: row.purpose as LinkPurpose,
          operationId: row.operationId as OperationId,
          memberId: memberId(row.memberId),
          expiresAt: row.expiresAt,
        };
      });
    },
    async spend(tx, link) {
      const count = await tx.$executeRaw`
        UPDATE connect_links SET spent_at = app.now()
        WHERE customer_id = ${link.customerId}::uuid AND id = ${link.id}::uuid AND spent_at IS NULL AND expires_at > app.now()`;
      return count === 1;
    },
  };
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
