import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import { lockedOperation } from '../operations/locked.ts';
import type { Mover } from '../operations/move.ts';
import type { Operations } from '../operations/operations.ts';
import { isEnd, OPEN_STATES } from '../operations/states.ts';
import type { Platform } from '../ports/chat.ts';
import { deleteRows } from '../vault/records.ts';
import { removeWebhook } from '../webhooks/webhooks.ts';

export interface ClearDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly mover: Mover;
  readonly operations: Operations;
}

/** An installation that is gone, as its platform's own rows say it. */
export interface Removal {
  readonly platform: Extract<Platform, 'slack' | 'teams'>;
  readonly workspaceId: string;
  /** Whether it still is, with something left to clear; held until the commit, so that it is not installed again meanwhile. */
  isDue(tx: Transaction): Promise<boolean>;
  /** From now on nothing is left. @returns whether something was. */
  settle(tx: Transaction): Promise<boolean>;
}

const NAMES = { slack: 'Slack', teams: 'Microsoft Teams' } as const;

/**
 * What a removed installation leaves behind ends: operations, countersignatures, stored credentials, API tokens, sessions of the console, and words
 * that wait for an answer. The trail stays, and says so. Each step may be repeated, by several processes at once.
 */
export async function clearCustomer(deps: ClearDeps, customerId: CustomerId, removal: Removal): Promise<void> {
  const { database } = deps;
  const removed: Removed = { ...removal, customerId };
  for (let open = await openOf(deps, customerId); open.length > 0; open = await openOf(deps, customerId))
    // Each by itself: a thousand rows locked at once would keep every worker waiting.
    for (const id of open) {
      const isDue = await database.withCustomer(customerId, (tx) => cancel(tx, deps, removed, id));
      if (!isDue) return;
    }
  await database.withCustomer(customerId, async (tx) => {
    if (await removal.settle(tx)) await deleteWhatOpens(tx, deps, removed);
  });
}

interface Removed extends Removal {
  readonly customerId: CustomerId;
}

/** As `clearCustomer`, of Slack as it was installed by OAuth. */
export function clearSlack(deps: ClearDeps, customerId: CustomerId, workspaceId: string): Promise<void> {
  return clearCustomer(deps, customerId, slackRemoval(customerId, workspaceId));
}

function slackRemoval(customerId: CustomerId, workspaceId: string): Removal {
  return {
    ...{ platform: 'slack', workspaceId },
    isDue: async (tx) =>
      (await tx.$executeRaw`
        SELECT FROM slack_installations
        WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId} AND removed_at IS NOT NULL AND cleared_at IS NULL
        FOR SHARE`) > 0,
    settle: async (tx) =>
      (await tx.$executeRaw`
        UPDATE slack_installations SET cleared_at = app.now()
        WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId} AND removed_at IS NOT NULL AND cleared_at IS NULL`) >
      0,
  };
}

function openOf({ database }: ClearDeps, customerId: CustomerId): Promise<readonly string[]> {
  const where = { customerId, status: { in: [...OPEN_STATES] } };
  return database.withCustomer(customerId, async (tx) =>
    (await tx.operation.findMany({ where, select: { id: true }, orderBy: { startedAt: 'asc' } })).map(({ id }) => id),
  );
}

/** @returns whether there is still anything to clear: what is asked for after an installation begins afresh is not. */
async function cancel(
  tx: Transaction,
  deps: ClearDeps,
  { customerId, platform, isDue }: Removed,
  id: string,
): Promise<boolean> {
  if (!(await isDue(tx))) return false;
  const operation = await lockedOperation(tx, deps.operations, customerId, id);
  if (!operation || isEnd(operation.state)) return true;
  const why = `Countersign was removed from ${NAMES[platform]}. This thread could not be told.`;
  await deps.mover.move(tx, customerId, {
    ...{ operationId: operation.id, from: OPEN_STATES, to: 'cancelled' },
    set: { errorMessage: why },
    entry: { kind: 'operation.cancelled', payload: { why } },
  });
  return true;
}

async function deleteWhatOpens(
  tx: Transaction,
  { database, audit }: ClearDeps,
  { customerId, platform, workspaceId }: Removed,
): Promise<void> {
  const now = await databaseNow(tx);
  const consents = await tx.consent.updateManyAndReturn({
    where: { customerId, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
    data: { revokedAt: now },
    select: { operationId: true },
  });
  const credentials = await tx.credential.findMany({ where: { customerId }, orderBy: { createdAt: 'asc' } });
  await deleteRows(tx, database, customerId, credentials);
  const tokens = await tx.apiToken.updateManyAndReturn({
    where: { customerId, revokedAt: null, expiresAt: { gt: now } },
    data: { revokedAt: now },
    select: { id: true },
  });
  const webhooks = await tx.webhook.findMany({ where: { customerId, removedAt: null }, select: { id: true } });
  for (const { id } of webhooks) await removeWebhook(tx, database, customerId, id);
  await tx.consoleSession.updateMany({ where: { customerId, endedAt: null }, data: { endedAt: now } });
  await tx.chatEvent.updateMany({
    where: { customerId, platform, sealed: { not: null } },
    data: { sealed: null, dueAt: null },
  });
  for (const operationId of idsOf(consents))
    await audit.append(tx, customerId, { kind: 'consent.revoked', operationId });
  for (const { id, credentialType } of credentials)
    await audit.append(tx, customerId, { kind: 'credential.deleted', credentialId: id, credentialType });
  for (const { id: tokenId } of tokens) await audit.append(tx, customerId, { kind: 'token.revoked', tokenId });
  for (const { id: webhookId } of webhooks)
    await audit.append(tx, customerId, { kind: 'webhook.removed', payload: { webhookId } });
  // Nobody can be shown anything there any more.
  await tx.$executeRaw`
    UPDATE threads SET cursor = last_seq
    WHERE customer_id = ${customerId}::uuid AND platform = ${platform} AND workspace_id = ${workspaceId} AND cursor < last_seq`;
}

function idsOf(found: readonly { readonly operationId: string }[]): readonly OperationId[] {
  return [...new Set(found.map(({ operationId }) => operationId))].flatMap((id) => parseOperationId(id) ?? []);
}
