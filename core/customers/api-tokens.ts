import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type ApiToken as ApiTokenRow, Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type MemberId, memberId, newUuid } from '../ids.ts';
import { type Limit, type Taken, takenOf } from '../limits.ts';
import { Secret } from '../secret.ts';

/** What a token may do; each route of the API needs one of these. */
export const SCOPES = [
  'operations:read',
  'operations:write',
  'consent:decide',
  'credentials:read',
  'credentials:write',
  'credentials:value',
  'questions:answer',
  'audit:read',
  'queue:read',
] as const;
export type Scope = (typeof SCOPES)[number];

/** What is done with these is done by somebody, by the same rules as in chat: a token for them acts for one member. */
export const SCOPES_OF_MEMBERS: readonly Scope[] = [
  ...(['operations:write', 'consent:decide', 'credentials:write', 'questions:answer'] as const),
];

/** What may be shown of a token: never the token. */
export interface ApiToken {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly scopes: readonly Scope[];
  /** By whom is done what is done with it; absent: it only reads. */
  readonly memberId?: MemberId;
  /** Absent: the operator, on the command line. */
  readonly createdBy?: MemberId;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt?: Date;
  readonly revokedAt?: Date;
  /** By the database's clock. */
  readonly isExpired: boolean;
}

/** Who calls the API: whoever holds the token, in the name of its member where it has one. */
export type ApiCaller = Pick<ApiToken, 'customerId' | 'id' | 'scopes' | 'memberId'>;

export interface ApiTokens {
  /**
   * @returns the token itself as well, for this one time: `csk_` and 64 hexadecimal digits.
   * @throws TypeError for a scope of `SCOPES_OF_MEMBERS` without a member.
   */
  create(
    customerId: CustomerId,
    token: {
      readonly scopes: readonly Scope[];
      readonly days: number;
      readonly member?: MemberId;
      readonly by?: MemberId;
    },
  ): Promise<{ readonly token: Secret; readonly stored: ApiToken }>;
  /** Newest first. */
  list(customerId: CustomerId): Promise<readonly ApiToken[]>;
  /** Good for nothing from the commit on. @returns whether it was there and not revoked already. */
  revoke(customerId: CustomerId, id: string, by?: MemberId): Promise<boolean>;
  /**
   * Whose request this is, with one taken from that limit of the token's and its use noted. `undefined`: malformed, unknown,
   * expired or revoked, which look alike from outside, in words and in what it takes to say them.
   */
  admit(
    token: string,
    limit?: keyof typeof TOKEN_LIMITS,
  ): Promise<{ readonly caller: ApiCaller; readonly taken: Taken } | undefined>;
}

/**
 * Of one token. `value`, for secrets: enough for a program that fetches its keys when it starts, too few to carry a vault away
 * unnoticed. `other`: enough to look at ten operations every second.
 */
export const TOKEN_LIMITS = {
  value: { quota: 60, windowSeconds: 60 },
  other: { quota: 600, windowSeconds: 60 },
} as const satisfies Readonly<Record<string, Omit<Limit, 'name'>>>;

const TOKEN = /^csk_[0-9a-f]{64}$/;
/** Beyond guessing (NIST SP 800-63B asks for 64 random bits), so that a plain hash of it is enough and nothing slows its look-up. */
const TOKEN_BYTES = 32;
const DAY_MS = 86_400_000;
const MOST_KNOWN = 10_000;

/** A scope of a later version means nothing here. */
const scopesSchema = z.array(z.string()).transform((names) => SCOPES.filter((scope) => names.includes(scope)));
const admitted = z
  .array(
    z.object({
      ...{ id: z.string(), scopes: scopesSchema, memberId: z.uuid().transform(memberId).nullable() },
      ...{ isAllowed: z.boolean(), remaining: z.number() },
    }),
  )
  .max(1);

export function createApiTokens(deps: { database: Database; directory: Directory; audit: Audit }): ApiTokens {
  const { database, directory, audit } = deps;
  /** Whose token it is never changes: it need not be looked up for each request. What it is good for is asked each time. */
  const known = new Map<string, CustomerId>();
  return {
    async create(customerId, { scopes, days, member, by }) {
      if (member === undefined && scopes.some((scope) => SCOPES_OF_MEMBERS.includes(scope)))
        throw new TypeError('A token with which something is done acts for a member.');
      const token = `csk_${randomBytes(TOKEN_BYTES).toString('hex')}`;
      const stored = await database.withCustomer(customerId, async (tx) => {
        const now = await databaseNow(tx);
        const id = newUuid();
        const expiresAt = new Date(now.getTime() + days * DAY_MS);
        const tokenHash = Uint8Array.from(hash(token));
        const acting = { memberId: member ?? null, createdBy: by ?? null };
        const data = { customerId, id, tokenHash, scopes: [...scopes], expiresAt, ...acting };
        const word = [id, hash(token).toString('hex'), expiresAt.getTime(), scopes.join(','), member].join('|');
        await database.vouch(tx, 'token', customerId, word);
        const row = await tx.apiToken.create({ data });
        await audit.append(tx, customerId, {
          kind: 'token.created',
          tokenId: id,
          ...(by ? { actor: by } : {}),
          payload: {
            scopes: [...scopes],
            expiresAt: expiresAt.toISOString(),
            ...(member ? { member } : {}),
            ...(by ? {} : { by: 'the operator' }),
          },
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
    async admit(token, limit = 'other') {
      if (!TOKEN.test(token)) return undefined;
      const tokenHash = Uint8Array.from(hash(token));
      const key = Buffer.from(tokenHash).toString('base64');
      const customerId = known.get(key) ?? (await directory.customerOfToken(tokenHash));
      if (!customerId) return undefined;
      const { quota, windowSeconds } = TOKEN_LIMITS[limit];
      const [found] = admitted.parse(
        await database.callAs(
          customerId,
          (context) => Prisma.sql`
            SELECT id, scopes, member_id AS "memberId", is_allowed AS "isAllowed", remaining
            FROM app.admit_token(${context}, ${tokenHash}, ${limit}, ${quota}::float8, ${windowSeconds}::float8)`,
        ),
      );
      known.delete(key);
      if (!found) return undefined; // revoked or expired since the look-up
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(key, customerId);
      const { id, scopes, memberId: member, ...left } = found;
      const caller = { customerId, id, scopes, ...(member ? { memberId: member } : {}) };
      return { caller, taken: takenOf({ name: id, ...TOKEN_LIMITS[limit] }, left) };
    },
  };
}

function toApiToken(row: ApiTokenRow, now: Date): ApiToken {
  const { id, createdAt, expiresAt, memberId: member, createdBy, lastUsedAt, revokedAt } = row;
  return {
    customerId: row.customerId as CustomerId, // a row of this customer's context
    ...{ id, createdAt, expiresAt },
    scopes: scopesSchema.parse(row.scopes),
    ...(member ? { memberId: memberId(member) } : {}),
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
