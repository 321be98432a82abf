import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ApiToken as ApiTokenRow } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type MemberId, memberId, newUuid } from '../ids.ts';
import { type Limit, type Taken, take } from '../limits.ts';
import { Secret } from '../secret.ts';

/** What a token may do; each route of the API needs one of these. */
export const SCOPES = ['credentials:value', 'operations:read'] as const;
export type Scope = (typeof SCOPES)[number];

/** What may be shown of a token: never the token. */
export interface ApiToken {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly scopes: readonly Scope[];
  /** Absent: the operator, on the command line. */
  readonly createdBy?: MemberId;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt?: Date;
  readonly revokedAt?: Date;
  /** By the database's clock. */
  readonly isExpired: boolean;
}

/** Who calls the API: not a person, but whoever holds the token. */
export type ApiCaller = Pick<ApiToken, 'customerId' | 'id' | 'scopes'>;

export interface ApiTokens {
  /** @returns the token itself as well, for this one time: `csk_` and 64 hexadecimal digits. */
  create(
    customerId: CustomerId,
    token: { readonly scopes: readonly Scope[]; readonly days: number; readonly by?: MemberId },
  ): Promise<{ readonly token: Secret; readonly stored: ApiToken }>;
  /** Newest first. */
  list(customerId: CustomerId): Promise<readonly ApiToken[]>;
  /** Good for nothing from the commit on. @returns whether it was there and not revoked already. */
  revoke(customerId: CustomerId, id: string, by?: MemberId): Promise<boolean>;
  /**
   * Whose request this is, with one taken from the token's limit and its use noted. `undefined`: malformed, unknown, expired
   * or revoked, which look alike from outside, in words and in what it takes to say them.
   */
  admit(token: string): Promise<{ readonly caller: ApiCaller; readonly taken: Taken } | undefined>;
}

/** Of one token: enough for a program that fetches its keys when it starts, too few to carry a vault away unnoticed. */
export const TOKEN_LIMIT = { quota: 60, windowSeconds: 60 } as const satisfies Omit<Limit, 'name'>;

const TOKEN = /^csk_[0-9a-f]{64}$/;
/** Beyond guessing (NIST SP 800-63B asks for 64 random bits), so that a plain hash of it is enough and nothing slows its look-up. */
const TOKEN_BYTES = 32;
const DAY_MS = 86_400_000;

/** A scope of a later version means nothing here. */
const scopesSchema = z.array(z.string()).transform((names) => SCOPES.filter((scope) => names.includes(scope)));
const admitted = z.array(z.object({ id: z.string(), scopes: scopesSchema })).max(1);

export function createApiTokens(deps: { database: Database; directory: Directory; audit: Audit }): ApiTokens {
  const { database, directory, audit } = deps;
  return {
    async create(customerId, { scopes, days, by }) {
      const token = `csk_${randomBytes(TOKEN_BYTES).toString('hex')}`;
      const stored = await database.withCustomer(customerId, async (tx) => {
        const now = await databaseNow(tx);
        const id = newUuid();
        const expiresAt = new Date(now.getTime() + days * DAY_MS);
        const tokenHash = Uint8Array.from(hash(token));
        const data = { customerId, id, tokenHash, scopes: [...scopes], createdBy: by ?? null, expiresAt };
        const word = [id, hash(token).toString('hex'), expiresAt.getTime(), scopes.join(',')].join('|');
        await database.vouch(tx, 'token', customerId, word);
        const row = await tx.apiToken.create({ data });
        await audit.append(tx, customerId, {
          kind: 'token.created',
          tokenId: id,
          ...(by ? { actor: by } : {}),
          payload: { scopes: [...scopes], expiresAt: expiresAt.toISOString(), ...(by ? {} : { by: 'the operator' }) },
        });
        return toApiToken(row, now);
      });
      return { token: new Secret(token), stored };
    },
    list: (customerId) =>
      database.withCustomer(customerId, async (tx) => {
        const now = await databaseNow(tx);
        const rows = await tx.apiToken.findMany({ where: { customerId }, orderBy: { createdAt: 'desc' } });
        return rows.map((row) => toApiToken(row, now));
      }),
    revoke: (customerId, id, by) =>
      database.withCustomer(customerId, async (tx) => {
        const count = await tx.$executeRaw`
          UPDATE api_tokens SET revoked_at = app.now()
          WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid AND revoked_at IS NULL`;
        if (count === 0) return false;
        await audit.append(tx, customerId, {
          kind: 'token.revoked',
          tokenId: id,
          ...(by ? { actor: by } : { payload: { by: 'the operator' } }),
        });
        return true;
      }),
    async admit(token) {
      if (!TOKEN.test(token)) return undefined;
      const tokenHash = Uint8Array.from(hash(token));
      const customerId = await directory.customerOfToken(tokenHash);
      if (!customerId) return undefined;
      return database.withCustomer(customerId, async (tx) => {
        const [found] = admitted.parse(
          await tx.$queryRaw`
            UPDATE api_tokens SET last_used_at = app.now()
            WHERE customer_id = ${customerId}::uuid AND token_hash = ${tokenHash} AND revoked_at IS NULL
              AND expires_at > app.now()
            RETURNING id, scopes`,
        );
        if (!found) return undefined; // revoked since the look-up
        const taken = await take(tx, customerId, { name: `api token ${found.id}`, ...TOKEN_LIMIT });
        return { caller: { customerId, ...found }, taken };
      });
    },
  };
}

function toApiToken(row: ApiTokenRow, now: Date): ApiToken {
  const { id, createdAt, expiresAt, createdBy, lastUsedAt, revokedAt } = row;
  return {
    customerId: row.customerId as CustomerId, // a row of this customer's context
    ...{ id, createdAt, expiresAt },
    scopes: scopesSchema.parse(row.scopes),
    ...(createdBy ? { createdBy: memberId(createdBy) } : {}),
    ...(lastUsedAt ? { lastUsedAt } : {}),
    ...(revokedAt ? { revokedAt } : {}),
    isExpired: expiresAt <= now,
  };
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

/** What is kept of a token. */
export { hash as tokenHash };
