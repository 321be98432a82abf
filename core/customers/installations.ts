import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { Person } from '../ports/chat.ts';
import type { Secret } from '../secret.ts';
import { installationPlace } from '../vault/credential.ts';
import { asSecrets, decodeFields, encodeFields } from '../vault/fields.ts';
import type { Sealer } from '../vault/sealer.ts';
import type { Customers, Member } from './customers.ts';
import { type ClearDeps, clearSlack } from './removal.ts';

/** What opens a chat platform for us. `refresh` is good for one exchange. */
export interface InstallationTokens {
  readonly access: Secret;
  readonly refresh?: Secret;
  /** Absent: the access token does not expire. */
  readonly expiresInSeconds?: number;
}

/** An installation of Slack in a workspace or, org-wide, in an organisation. */
export interface InstallationFacts {
  /** What it goes by: the organisation's id where it is org-wide, else the workspace's. */
  readonly workspaceId: string;
  readonly appId: string;
  readonly teamId: string | null;
  readonly enterpriseId: string | null;
  readonly botUserId: string;
  readonly scopes: readonly string[];
}

export interface NewInstallation extends InstallationFacts {
  /** Of the workspace or organisation. */
  readonly name: string;
  readonly installer: Person;
  readonly tokens: InstallationTokens;
}

/** One that is there, opened. */
export interface Installation extends InstallationFacts {
  readonly customerId: CustomerId;
  readonly installedAt: Date;
  readonly access: Secret;
  readonly refresh?: Secret;
  /** Until the access token expires, by the database's clock; absent: never. */
  readonly secondsLeft?: number;
}

export interface Installed {
  readonly customerId: CustomerId;
  readonly installer: Member;
  /** `again`: it had been removed, and begins afresh; `renewed`: it was there, and has new tokens. */
  readonly kind: 'installed' | 'again' | 'renewed';
}

export type Removal = 'uninstalled' | 'tokens revoked' | 'disconnected by the operator';

/** Chat platforms that people installed by OAuth, and their tokens, sealed under the customer's key. */
export interface Installations {
  /**
   * Makes the customer, with the installer as its first admin, or finds it again; what an earlier removal left is cleared
   * first. @throws CountersignError `vault_key_missing`: the customer was erased.
   */
  install(installation: NewInstallation): Promise<Installed>;
  /** `undefined`: nobody installed it, or it was removed. */
  open(workspaceId: string): Promise<Installation | undefined>;
  /**
   * The installation with tokens that are not `isDue`: else `exchange` gets new ones, while no other process does, and they are
   * on record when this settles. Without an answer of `exchange` it stays as it is.
   */
  renew(
    workspaceId: string,
    isDue: (installation: Installation) => boolean,
    exchange: (installation: Installation) => Promise<InstallationTokens | undefined>,
  ): Promise<Installation | undefined>;
  /** Its tokens are gone, and that is on record; the rest is for `finishRemovals`. @returns whether it was there. */
  remove(workspaceId: string, why: Removal): Promise<boolean>;
  /**
   * Of all that were removed: running and waiting operations end, stored credentials are deleted, and the trail stays. Harmless
   * when repeated; what a process leaves undone when it dies, the next one does.
   */
  finishRemovals(): Promise<void>;
}

export interface InstallationDeps extends ClearDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly sealer: Sealer;
  readonly customers: Customers;
  readonly audit: Audit;
}

/** So often are tokens put on record whose like can't be had again. */
const KEEP_TRIES = 4;

const rows = z.array(
  z.object({
    app_id: z.string(),
    team_id: z.string().nullable(),
    enterprise_id: z.string().nullable(),
    bot_user_id: z.string(),
    scopes: z.array(z.string()),
    sealed: z.instanceof(Uint8Array),
    expires_at: z.date().nullable(),
    installed_at: z.date(),
    seconds_left: z.number().nullable(),
  }),
);

export function createInstallations(deps: InstallationDeps): Installations {
  const { database, directory, sealer, customers, audit } = deps;

  async function read(tx: Transaction, customerId: CustomerId, workspaceId: string, lock = Prisma.empty) {
    const [row] = rows.parse(
      await tx.$queryRaw`
        SELECT app_id, team_id, enterprise_id, bot_user_id, scopes, sealed, expires_at, installed_at,
          extract(epoch FROM expires_at - app.now())::float8 AS seconds_left
        FROM slack_installations
        WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId} AND sealed IS NOT NULL ${lock}`,
    );
    if (!row) return undefined;
    const place = installationPlace(workspaceId, row.expires_at);
    const plain = await sealer.open(tx, customerId, place, row.sealed);
    const { access, refresh } = asSecrets(decodeFields(plain));
    plain.fill(0);
    if (!access) throw new CountersignError('vault_format_unknown', 'A sealed installation holds no token.');
    return {
      ...{ customerId, workspaceId, access, appId: row.app_id, teamId: row.team_id, enterpriseId: row.enterprise_id },
      ...{ botUserId: row.bot_user_id, scopes: row.scopes, installedAt: row.installed_at },
      ...(refresh ? { refresh } : {}),
      ...(row.seconds_left === null ? {} : { secondsLeft: row.seconds_left }),
    } satisfies Installation;
  }

  /** Sealed, and vouched for as the next thing that is written of this workspace. */
  async function seal(tx: Transaction, customerId: CustomerId, workspaceId: string, tokens: InstallationTokens) {
    const { access, refresh, expiresInSeconds } = tokens;
    const now = await databaseNow(tx);
    const expiresAt = expiresInSeconds === undefined ? null : new Date(now.getTime() + expiresInSeconds * 1000);
    const plain = encodeFields({ access, ...(refresh ? { refresh } : {}) });
    const { record } = await sealer.seal(tx, customerId, installationPlace(workspaceId, expiresAt), plain);
    plain.fill(0);
    await database.vouch(tx, 'installation', customerId, `${workspaceId}|${record.toString('hex')}`);
    return { sealed: Uint8Array.from(record), expiresAt };
  }

  async function write(tx: Transaction, customerId: CustomerId, given: NewInstallation): Promise<Installed> {
    const { workspaceId, tokens, appId, teamId, enterpriseId, botUserId, scopes } = given;
    const name = `slack installation ${workspaceId}`;
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
    const key = { customerId, workspaceId };
    const where = { customerId_workspaceId: key };
    const before = await tx.slackInstallation.findUnique({ where, select: { removedAt: true } });
    const seen = await customers.member(tx, customerId, given.installer);
    if (before?.removedAt) await customers.beginAfresh(tx, customerId, seen);
    const data = {
      ...{ appId, teamId, enterpriseId, botUserId, scopes: [...scopes], installedBy: seen.id },
      ...{ installedAt: await databaseNow(tx), removedAt: null, clearedAt: null },
      ...(await seal(tx, customerId, workspaceId, tokens)), // its word is for the next statement
    };
    if (before) await tx.slackInstallation.update({ where, data });
    else await tx.slackInstallation.create({ data: { ...key, ...data } });
    const kind = before === null ? 'installed' : before.removedAt === null ? 'renewed' : 'again';
    const installer = await customers.memberById(tx, customerId, seen.id);
    await audit.append(tx, customerId, {
      ...{ kind: 'workspace.installed', actor: seen.id },
      payload: { platform: 'slack', workspaceId, how: kind, scopes: [...scopes] },
    });
    return { customerId, installer, kind };
  }

  async function finish(customerId: CustomerId): Promise<void> {
    const left = await database.withCustomer(customerId, (tx) =>
      tx.slackInstallation.findMany({ where: { customerId, removedAt: { not: null }, clearedAt: null } }),
    );
    for (const { workspaceId } of left) await clearSlack(deps, customerId, workspaceId);
  }

  const installations: Installations = {
    async install(given) {
      const { workspaceId, name, installer } = given;
      const customerId = await customers.install({ platform: 'slack', workspaceId, name }, installer);
      if ((await directory.customersToClear()).includes(customerId)) await clearSlack(deps, customerId, workspaceId);
      return database.withCustomer(customerId, (tx) => write(tx, customerId, given));
    },

    async open(workspaceId) {
      const customerId = await directory.customerOfWorkspace('slack', workspaceId);
      return customerId && database.withCustomer(customerId, (tx) => read(tx, customerId, workspaceId));
    },

    async renew(workspaceId, isDue, exchange) {
      const customerId = await directory.customerOfWorkspace('slack', workspaceId);
      if (!customerId) return undefined;
      // What was exchanged can't be had a second time: it outlives a transaction that the database did not commit.
      let got: InstallationTokens | undefined;
      let spent: string | undefined;
      const once = () =>
        database.withCustomer(customerId, async (tx) => {
          const current = await read(tx, customerId, workspaceId, Prisma.sql`FOR UPDATE`);
          if (!current) return undefined;
          if (!got) {
            if (!isDue(current)) return current;
            got = await exchange(current);
            spent = current.refresh?.reveal();
          }
          // It was committed after all, or somebody has installed it again since: what is there is newer.
          if (!got || current.refresh?.reveal() !== spent) return current;
          const { refresh = current.refresh, ...tokens } = got;
          const data = await seal(tx, customerId, workspaceId, { ...tokens, ...(refresh ? { refresh } : {}) });
          await tx.slackInstallation.update({ where: { customerId_workspaceId: { customerId, workspaceId } }, data });
          return read(tx, customerId, workspaceId);
        });
      for (let tries = 1; ; tries++)
        try {
          return await once();
        } catch (error) {
          const mayHelp = error instanceof CountersignError && error.isRetryable && tries < KEEP_TRIES;
          if (got === undefined || !mayHelp) throw error;
        }
    },

    async remove(workspaceId, why) {
      const customerId = await directory.customerOfWorkspace('slack', workspaceId);
      if (!customerId) return false;
      return database.withCustomer(customerId, async (tx) => {
        const current = await tx.$executeRaw`
          SELECT FROM slack_installations
          WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId} AND sealed IS NOT NULL FOR UPDATE`;
        if (current === 0) return false;
        await database.vouch(tx, 'installation', customerId, `${workspaceId}|`);
        await tx.$executeRaw`
          UPDATE slack_installations SET sealed = NULL, expires_at = NULL, removed_at = app.now()
          WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId}`;
        await audit.append(tx, customerId, {
          kind: 'workspace.removed',
          payload: { platform: 'slack', workspaceId, why },
        });
        return true;
      });
    },

    async finishRemovals() {
      const failures: unknown[] = [];
      for (const customerId of await directory.customersToClear())
        await finish(customerId).catch((error: unknown) => failures.push(error)); // nobody waits for another customer
      if (failures.length > 0) throw failures[0];
    },
  };
  return installations;
}
