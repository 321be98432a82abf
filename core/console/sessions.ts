import { createHash, randomBytes } from 'node:crypto';
import type { ConsoleSession as Row } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Customers, Member, Role } from '../customers/customers.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type MemberId, newUuid } from '../ids.ts';
import { type Limit, type Taken, take } from '../limits.ts';

/** How long a link is good for, a session at most, and a session that nobody uses. */
export const CONSOLE_LINK_MINUTES = 15;
export const SESSION_HOURS = 8;
const IDLE_MINUTES = 60;
/** Of one person: enough for whoever loses their link, too few to fill a table. */
const LINKS = { quota: 20, windowSeconds: 3600 } as const satisfies Omit<Limit, 'name'>;
/** A use is noted so often: reading pages writes hardly anything. */
const NOTED_EVERY_MS = 60_000;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/** Who has signed in to the console. */
export interface Session {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly member: Member;
  readonly expiresAt: Date;
}

/** What the page of a link says, which spends nothing. */
export interface SignIn {
  readonly customerId: CustomerId;
  readonly id: string;
  readonly member: Member;
  readonly expiresAt: Date;
}

/** Ways into the console. Tokens are 256 random bits in base64url, kept as hashes alone. */
export interface ConsoleSessions {
  /** A link for this person. @returns its token, for this one time; or that they have asked too often. */
  issue(
    customerId: CustomerId,
    memberId: MemberId,
  ): Promise<{ readonly token: string; readonly expiresAt: Date } | { readonly tooSoon: Taken }>;
  /** `undefined`: malformed, unknown, spent, or over, which look alike. */
  look(linkToken: string): Promise<SignIn | undefined>;
  /** Whether a link of that token was there, and has signed somebody in. */
  wasSpent(linkToken: string): Promise<boolean>;
  /** Spends the link, for exactly one caller, and puts on record who came in. @returns the token of the session. */
  open(linkToken: string): Promise<{ readonly token: string; readonly session: Session } | undefined>;
  /**
   * Whose session it is. It is over when it was left, after its time or an hour without use, when its person has lost one of
   * the roles that they came in with, and when the workspace has removed us. `isUse` notes it as used: what a page
   * asks by itself is none.
   */
  find(token: string, isUse: boolean): Promise<Session | undefined>;
  /** Those of them that are good still, as `find` would say; it notes none as used. */
  stillGood(sessions: readonly Pick<Session, 'customerId' | 'id'>[]): Promise<readonly Session[]>;
  /** Ends it; that its person left is on record. */
  leave(session: Session): Promise<void>;
}

export function createConsoleSessions(deps: {
  readonly database: Database;
  readonly directory: Directory;
  readonly customers: Customers;
  readonly audit: Audit;
}): ConsoleSessions {
  const { database, directory, customers, audit } = deps;

  async function end(tx: Transaction, customerId: CustomerId, id: string): Promise<boolean> {
    const ended = await tx.$executeRaw`
      UPDATE console_sessions SET ended_at = app.now()
      WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid AND ended_at IS NULL`;
    return ended === 1;
  }

  /** The session, if it is one still; one that is over is ended for good. */
  async function asGood(tx: Transaction, customerId: CustomerId, row: Row, now: Date): Promise<Session | undefined> {
    const { id, expiresAt, lastUsedAt, endedAt } = row;
    if (!expiresAt || !lastUsedAt || endedAt) return undefined;
    const member = await customers.find(tx, customerId, row.memberId);
    const isOver = expiresAt <= now || now.getTime() - lastUsedAt.getTime() > IDLE_MINUTES * 60_000;
    if (member && !isOver && !hasLost(member, row.roles) && !(await isRemoved(tx, customerId, member)))
      return { customerId, id, member, expiresAt };
    await end(tx, customerId, id);
    return undefined;
  }

  const look: ConsoleSessions['look'] = async (linkToken) => {
    const linkHash = hashOf(linkToken);
    const customerId = linkHash && (await directory.customerOfConsoleLink(linkHash));
    if (!linkHash || !customerId) return undefined;
    return database.withCustomer(customerId, async (tx) => {
      const row = await tx.consoleSession.findUnique({ where: { linkHash } });
      const member = row && (await customers.find(tx, customerId, row.memberId));
      if (!row || !member || (await isRemoved(tx, customerId, member))) return undefined;
      return { customerId, id: row.id, member, expiresAt: row.linkExpiresAt };
    });
  };

  return {
    look,
    async wasSpent(linkToken) {
      const linkHash = hashOf(linkToken);
      return linkHash !== undefined && (await directory.customerOfSpentConsoleLink(linkHash)) !== undefined;
    },
    issue: (customerId, memberId) =>
      database.withCustomer(customerId, async (tx) => {
        const taken = await take(tx, customerId, { name: `console links ${memberId}`, ...LINKS });
        if (!taken.isAllowed) return { tooSoon: taken };
        const token = newToken();
        const id = newUuid();
        const expiresAt = after(await databaseNow(tx), CONSOLE_LINK_MINUTES);
        const linkHash = digest(token);
        const word = [id, hex(linkHash), memberId, expiresAt.getTime()].join('|');
        await database.vouch(tx, 'console', customerId, word);
        await tx.consoleSession.create({ data: { customerId, id, memberId, linkHash, linkExpiresAt: expiresAt } });
        return { token, expiresAt };
      }),

    async open(linkToken) {
      const found = await look(linkToken);
      if (!found) return undefined;
      const { customerId, id, member } = found;
      const token = newToken();
      return database.withCustomer(customerId, async (tx) => {
        const now = await databaseNow(tx);
        const expiresAt = after(now, SESSION_HOURS * 60);
        const sessionHash = digest(token);
        const roles = [...member.roles];
        const word = [id, 'opened', hex(sessionHash), roles.join(','), expiresAt.getTime()].join('|');
        await database.vouch(tx, 'console', customerId, word);
        // Of two at once, the second waits for the first one's commit and then changes nothing.
        const { count } = await tx.consoleSession.updateMany({
          where: { customerId, id, sessionHash: null, endedAt: null, linkExpiresAt: { gt: now } },
          data: { sessionHash, roles, openedAt: now, expiresAt, lastUsedAt: now },
        });
        if (count === 0) return undefined;
        await audit.append(tx, customerId, { kind: 'console.opened', actor: member.id });
        return { token, session: { customerId, id, member, expiresAt } };
      });
    },

    async find(token, isUse) {
      const sessionHash = hashOf(token);
      const customerId = sessionHash && (await directory.customerOfConsoleSession(sessionHash));
      if (!sessionHash || !customerId) return undefined;
      return database.withCustomer(customerId, async (tx) => {
        const row = await tx.consoleSession.findUnique({ where: { sessionHash } });
        const now = await databaseNow(tx);
        const session = row && (await asGood(tx, customerId, row, now));
        if (!session) return undefined;
        if (isUse && now.getTime() - (row.lastUsedAt?.getTime() ?? 0) > NOTED_EVERY_MS)
          await tx.consoleSession.updateMany({ where: { customerId, id: row.id }, data: { lastUsedAt: now } });
        return session;
      });
    },

    async stillGood(asked) {
      const good: Session[] = [];
      for (const customerId of new Set(asked.map((each) => each.customerId))) {
        const ids = asked.filter((each) => each.customerId === customerId).map(({ id }) => id);
        const theirs = await database.withCustomer(customerId, async (tx) => {
          const now = await databaseNow(tx);
          const found: Session[] = [];
          for (const row of await tx.consoleSession.findMany({ where: { customerId, id: { in: ids } } })) {
            const session = await asGood(tx, customerId, row, now); // one transaction is one connection
            if (session) found.push(session);
          }
          return found;
        });
        good.push(...theirs);
      }
      return good;
    },

    leave: ({ customerId, id, member }) =>
      database.withCustomer(customerId, async (tx) => {
        if (await end(tx, customerId, id))
          await audit.append(tx, customerId, { kind: 'console.left', actor: member.id });
      }),
  };
}

/** Whoever gains a role comes in with it the next time they look; whoever loses one signs in again. */
function hasLost({ roles }: Member, before: readonly string[]): boolean {
  return before.some((role) => !roles.includes(role as Role)); // a word that is no role is one that nobody has
}

/** Whether the workspace of this person has removed us. */
async function isRemoved(tx: Transaction, customerId: CustomerId, { person }: Member): Promise<boolean> {
  if (person.platform !== 'slack') return false;
  const where = { customerId, workspaceId: person.workspaceId, removedAt: { not: null } };
  return (await tx.slackInstallation.count({ where })) > 0;
}

function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** `undefined` for what no token looks like, so that the database is not asked about it. */
function hashOf(token: string): Uint8Array<ArrayBuffer> | undefined {
  return TOKEN.test(token) ? digest(token) : undefined;
}

function digest(token: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(token, 'utf8').digest());
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function after(now: Date, minutes: number): Date {
  return new Date(now.getTime() + minutes * 60_000);
}
