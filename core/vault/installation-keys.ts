import { z } from 'zod';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';
import { installationPlace } from './credential.ts';
import { type CustomerKeys, toBuffer } from './keys.ts';
import { rewrapRecord } from './record.ts';

const installationRows = z.array(
  z.object({ workspace_id: z.string(), expires_at: z.date().nullable(), sealed: z.instanceof(Uint8Array) }),
);

/** Tokens of chat platforms, which are few, under the newest version; their payloads stay. @returns how many. */
export function rewrapInstallations(
  database: Database,
  keys: CustomerKeys,
  customerId: CustomerId,
  version: number,
): Promise<number> {
  return database.withCustomer(customerId, async (tx) => {
    const rows = installationRows.parse(
      await tx.$queryRaw`
        SELECT workspace_id, expires_at, sealed FROM slack_installations
        WHERE customer_id = ${customerId}::uuid AND substring(sealed FROM 3 FOR 4) = int4send(${version}::int)
        ORDER BY workspace_id FOR UPDATE`,
    );
    if (rows.length === 0) return 0;
    const from = await keys.ofVersion(tx, customerId, version);
    const to = await keys.active(tx, customerId);
    try {
      for (const { workspace_id: workspaceId, expires_at: expiresAt, sealed } of rows) {
        const parts = [customerId, ...installationPlace(workspaceId, expiresAt)];
        const record = rewrapRecord(from.bytes, to, parts, toBuffer(sealed));
        await database.vouch(tx, 'installation', customerId, `${workspaceId}|${record.toString('hex')}`);
        await tx.$executeRaw`
          UPDATE slack_installations SET sealed = ${record}
          WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId}`;
      }
    } finally {
      for (const key of [from, to]) key.bytes.fill(0);
    }
    return rows.length;
  });
}

/** The tokens of an erased customer. */
export async function forgetInstallations(tx: Transaction, database: Database, customerId: CustomerId): Promise<void> {
  const where = { customerId, sealed: { not: null } };
  for (const { workspaceId } of await tx.slackInstallation.findMany({ where, select: { workspaceId: true } })) {
    await database.vouch(tx, 'installation', customerId, `${workspaceId}|`);
    await tx.$executeRaw`
      UPDATE slack_installations SET sealed = NULL, expires_at = NULL, removed_at = app.now(), cleared_at = app.now()
      WHERE customer_id = ${customerId}::uuid AND workspace_id = ${workspaceId}`;
  }
}
